"""Writes `sentinel/tui/recorded.json`: `python -m tests.unit.tui.record`.

The recording shows one incident in every situation that the terminal has to tell apart. Times are those
of one night; ids are UUIDv7 made from them, so that the same file comes out every time.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import msgspec

from sentinel import canonical
from sentinel.domain import (
    Admission,
    AgentStatus,
    Anomaly,
    AuditRecord,
    Claim,
    Command,
    CommandResult,
    Context,
    Diagnosis,
    Evidence,
    Filesystem,
    Incident,
    Judgement,
    Kind,
    Metric,
    Mode,
    Move,
    Outcome,
    Plan,
    PlanJudgement,
    Process,
    Recovery,
    Report,
    Sample,
    Severity,
    Stage,
    State,
    Statement,
    Summary,
    Verdict,
    Verification,
)
from sentinel.domain import Choice as DomainChoice
from sentinel.hub import recall
from sentinel.hub.reason import playbook
from sentinel.policy import rules, validate
from sentinel.protocol import HubStatus
from sentinel.tui.recording import Recorded, Recording, Step, logged

TARGET = Path(__file__).parents[3] / "sentinel" / "tui" / "recorded.json"

AT_MS = 1_763_694_780_000  # 2025-11-21 03:13:00Z
S, M = 1000, 60_000
POLICY = canonical.digest(b"recorded policy")
OLD_POLICY = canonical.digest(b"recorded policy, last week")
ORDER = (Verdict.ALLOW, Verdict.REVIEW, Verdict.BLOCK)


def uuid7(at_ms: int, number: int) -> str:
    tail = canonical.digest(f"{at_ms} {number}".encode())[7:]
    return f"{at_ms >> 16:08x}-{at_ms & 0xFFFF:04x}-7{tail[:3]}-8{tail[3:6]}-{tail[6:18]}"


def nonce(name: str) -> str:
    return canonical.digest(name.encode())[7:39]


def command(text: str, purpose: str = "", undo: str = "none needed") -> Command:
    return Command(text=text, purpose=purpose, undo=undo)


@cache
def policy() -> rules.Policy:
    """The shipped rules, at a site that has named the units of the recording."""
    shipped = rules.load(examples=False)
    units = shipped.sets.get("units", frozenset()) | {"app", "nginx", "report-worker"}
    return msgspec.structs.replace(shipped, sets={**shipped.sets, "units": units})


def judged(text: str) -> Judgement:
    """What the policy says of a command, the captured processes being those of the recording."""
    return validate.judge(policy(), text, validate.Facts(pids=frozenset({2217, 4402})))


class Case:
    """Builds one incident step by step; `ago` is how long before AT_MS it was detected."""

    def __init__(
        self,
        number: int,
        ago: int,
        host: str,
        anomaly: dict,
        context: dict,
        mode: Mode = Mode.LIVE,
        policy: str = POLICY,
    ) -> None:
        self.at_ms = AT_MS - ago
        self.number = number
        self.host = host
        self.id = uuid7(self.at_ms, number)
        self.event = uuid7(self.at_ms - 40, number)
        self.anomaly = Anomaly(
            **{"subject": "", "since_ms": self.at_ms - 5 * S, "detected_ms": self.at_ms, **anomaly}
        )
        self.report = Report(
            event=self.event,
            host=host,
            anomaly=self.anomaly,
            context=Context(
                captured_ms=self.at_ms + 38, boot_ms=AT_MS - 44 * 86_400 * S, **context
            ),
            challenge=nonce(f"challenge {number}"),
            mode=mode,
            policy=policy,
        )
        self.moves: list[Move] = []
        self.fields: dict = {}
        self.verdict: Verdict | None = None
        self.evidence: tuple[Evidence, ...] = ()
        self.state = State.REPORTED
        self.owner = ""
        self.clock_ms = self.at_ms
        node = f"node:{host}"
        rule = self.anomaly.rule
        self.move(0, Stage.DETECT, "detected", node, State.REPORTED, f"{rule} holds")
        self.move(38, Stage.CAPTURE, "captured", node, State.REPORTED, "context captured")
        self.move(9, Stage.TRANSPORT, "reported", "hub", State.REPORTED, "letter stored")

    def move(
        self, after: int, stage: Stage, action: str, actor: str, state: State, text: str
    ) -> None:
        self.clock_ms += after
        self.state = state
        self.moves.append(
            Move(
                at_ms=self.clock_ms, stage=stage, action=action, actor=actor, state=state, text=text
            )
        )

    def plan(
        self,
        diagnosis: Diagnosis,
        commands: list[Command],
        judgements: list[Judgement],
        engine: str = "playbook:memory-hog",
        took: int = 12,
        stand_in: str = "",
        revision: int = 1,
    ) -> Plan:
        a = self.anomaly
        author = engine.partition(":")[0]
        self.move(took, Stage.REASON, "plan-made", "hub", State.PLANNED, f"plan by {engine}")
        plan = Plan(
            incident=self.id,
            event=self.event,
            revision=revision,
            host=self.host,
            author=author,
            engine=engine,
            stand_in=stand_in,
            created_ms=self.clock_ms,
            diagnosis=diagnosis,
            commands=tuple(commands),
            recovery=Recovery(
                metric=a.metric,
                subject=a.subject,
                clear_below=a.clear_below,
                clear_for_ms=a.clear_for_ms,
                deadline_ms=120 * S,
            ),
        )
        self.verdict = max((j.verdict for j in judgements), key=ORDER.index)
        digest = canonical.digest_of(plan)
        self.fields |= {
            "plan": plan,
            "plan_digest": digest,
            "judgement": PlanJudgement(
                plan=digest, policy=POLICY, verdict=self.verdict, commands=tuple(judgements)
            ),
        }
        runnable = any(j.verdict is Verdict.ALLOW for j in judgements)
        state = State.AWAITING if runnable else State.REFUSED
        action = "judged-runnable" if runnable else "judged-refused"
        self.move(6, Stage.VALIDATE, action, "hub", state, f"verdict {self.verdict.value}")
        return plan

    def acknowledge(self, after: int) -> None:
        self.owner = "alice"
        self.move(
            after,
            Stage.PERSIST,
            "acknowledged",
            "operator:alice",
            self.state,
            "acknowledged by alice",
        )

    def decide(self, after: int, choice: DomainChoice, mode: Mode, reason: str) -> None:
        approved = choice is DomainChoice.APPROVE
        self.move(
            after,
            Stage.APPROVE,
            "approved" if approved else "rejected",
            "operator:alice",
            State.APPROVED if approved else State.MANUAL,
            f"{'approved' if approved else 'rejected'} by alice, {mode.value}: {reason}",
        )
        self.fields |= {
            "decider": "alice",
            "decision": Statement(
                choice=choice,
                incident=self.id,
                event=self.event,
                report=canonical.report_digest(self.report),
                host=self.host,
                plan=self.fields["plan_digest"],
                policy=POLICY,
                challenge=self.report.challenge,
                mode=mode,
                operator="alice",
                reason=reason,
                issued_ms=self.clock_ms - 900,
                expires_ms=self.clock_ms + 15 * M,
            ),
        }

    def incident(self, evidence: str, count: int = 1, **more: object) -> Incident:
        return Incident(
            summary=Summary(
                id=self.id,
                revision=1000 + self.number * 10 + len(self.moves),
                host=self.host,
                kind=self.anomaly.kind,
                severity=self.anomaly.severity,
                state=self.state,
                verdict=self.verdict,
                evidence=evidence,
                count=count,
                opened_ms=self.at_ms,
                updated_ms=self.clock_ms,
                owner=self.owner,
                service=recall.service_of(self.report),
            ),
            report=self.report,
            evidence=self.evidence,
            moves=tuple(self.moves),
            **self.fields,
            **more,
        )


def ramp(start: int, end: int, count: int) -> tuple[int, ...]:
    return tuple(start + (end - start) * i // (count - 1) for i in range(count))


def memory() -> Recorded:
    """Awaiting; the plan may run; the node permits live."""
    pid = 2217
    hog = Process(
        pid=pid,
        start_ticks=380_118_204,
        ppid=1,
        name="report-worker",
        cmdline="/opt/report/bin/report-worker --queue nightly",
        user="report",
        unit="report-worker.service",
        state="S",
        rss_bytes=8_697_308_774,
        cpu_permille=212,
        fds=61,
        age_s=15_120,
    )
    case = Case(
        1,
        2 * M,
        "db-01",
        {
            "rule": "host.memory",
            "kind": Kind.MEMORY,
            "severity": Severity.CRITICAL,
            "metric": Metric.MEMORY_USED,
            "value": 971,
            "threshold": 920,
            "clear_below": 850,
            "clear_for_ms": 10 * S,
            "slope_per_min": 21,
            "samples": ramp(862, 971, 40),
        },
        {
            "cpus": 8,
            "memory_total_bytes": 16_659_775_488,
            "memory_available_bytes": 483_183_821,
            "swap_total_bytes": 2_147_483_648,
            "swap_free_bytes": 66_060_288,
            "load1_milli": 3120,
            "processes": (
                hog,
                Process(
                    pid=1190,
                    start_ticks=41_220,
                    name="postgres",
                    cmdline="postgres: checkpointer",
                    user="postgres",
                    unit="postgresql.service",
                    rss_bytes=1_288_490_188,
                    cpu_permille=88,
                    fds=214,
                    age_s=3_801_600,
                ),
            ),
        },
    )
    case.evidence = (
        Evidence(id="E1", text="memory used 97.1%, limit 92.0%, rising 2.1%/min"),
        Evidence(id="E2", text="P1 report-worker[2217] holds 8.10 GiB, 52% of all memory"),
        Evidence(id="E3", text="P1 has run for 4 h 12 min; its unit has no MemoryMax"),
        Evidence(id="E4", text="swap 96.9% used; memory pressure (full) 4.1%"),
    )
    kill = f"kill -TERM {pid}"
    case.plan(
        Diagnosis(
            summary="report-worker[2217] leaks memory; the host will be out of memory in about 1 min",
            culprit="P1",
            confidence_pct=92,
            claims=(
                Claim(text="one process holds more than half of the memory", evidence=("E2",)),
                Claim(text="it grows steadily and nothing limits it", evidence=("E1", "E3")),
            ),
            ruled_out=(
                "page cache: available memory fell with it (E4)",
                "postgres: steady for days",
            ),
        ),
        [
            command("free -m", "memory before"),
            command(
                kill,
                "ask the leaking worker to end; its unit starts it afresh",
                "systemctl start report-worker",
            ),
            command("systemctl is-active report-worker", "the unit has it again"),
        ],
        [judged(each) for each in ("free -m", kill, "systemctl is-active report-worker")],
    )
    node, argv = "node:db-01", tuple(kill.split())
    free = (
        "               total        used        free      shared  buff/cache   available\n"
        "Mem:           15888       14950         211          12         726         461\n"
        "Swap:           2047        1984          63\n"
    )
    live = (
        Step(
            after_ms=400,
            state=State.EXECUTING,
            stage=Stage.EXECUTE,
            action="admitted",
            actor=node,
            text="admitted, live",
            admission=Admission(incident=case.id, admitted=True, mode=Mode.LIVE, at_ms=AT_MS + 400),
        ),
        _ran(300, node, 0, ("free", "-m"), free, 21),
        _ran(500, node, 1, argv, "", 4),
        _ran(1500, node, 2, ("systemctl", "is-active", "report-worker"), "active\n", 12),
        Step(
            after_ms=200,
            state=State.EXECUTED,
            stage=Stage.EXECUTE,
            action="all-ran",
            actor=node,
            text="3 of 3 commands ran",
        ),
        Step(
            after_ms=10_200,
            state=State.RESOLVED,
            stage=Stage.VERIFY,
            action="recovered",
            actor=node,
            text="memory used 44.8%, below 85.0% for 10 s",
            verification=Verification(
                incident=case.id,
                recovered=True,
                observed=448,
                samples=(971, 962, 451, 449, 449, 448, 448, 448),
                reason="below 85.0% for 10 s",
                at_ms=AT_MS + 13_000,
            ),
        ),
    )
    return Recorded(
        incident=case.incident("97.1% used, +2.1%/min, report-worker 8.10 GiB"),
        live=live,
    )


def _ran(after: int, node: str, index: int, argv: tuple[str, ...], out: str, took: int) -> Step:
    return Step(
        after_ms=after,
        state=State.EXECUTING,
        stage=Stage.EXECUTE,
        action="ran",
        actor=node,
        text=f"command {index + 1} ended with 0",
        result=CommandResult(
            index=index,
            outcome=Outcome.RAN,
            argv=argv,
            exit_status=0,
            stdout=out,
            started_ms=AT_MS + 1000 * index,
            ended_ms=AT_MS + 1000 * index + took,
        ),
    )


def disk_blocked() -> Recorded:
    """Awaiting, but a command is blocked: there is no approve key."""
    case = Case(
        2,
        3 * M,
        "node-017",
        {
            "rule": "host.disk",
            "kind": Kind.DISK_SPACE,
            "severity": Severity.CRITICAL,
            "metric": Metric.FS_USED,
            "subject": "/var",
            "value": 972,
            "threshold": 950,
            "clear_below": 900,
            "clear_for_ms": 30 * S,
            "slope_per_min": 12,
            "samples": ramp(880, 972, 60),
        },
        {
            "cpus": 4,
            "filesystems": (
                Filesystem(
                    mountpoint="/var",
                    device="/dev/vda3",
                    fstype="ext4",
                    size_bytes=7_623_566_950,
                    used_bytes=7_408_818_586,
                    free_bytes=214_748_364,
                ),
            ),
        },
    )
    case.evidence = (
        Evidence(id="E1", text="/var 97.2% used, 205 MiB free, rising 1.2%/min"),
        Evidence(id="E2", text="/var/log/app grew by 3.9 GiB in 44 min"),
        Evidence(id="E3", text="logrotate's state file is locked since 02:29"),
    )
    purge = (
        "find /var/log -name '*.gz' -mtime +7 -print0 | xargs -0 rm -f --"
        " && systemctl restart rsyslog && rm -rf /var/log/journal"
    )
    case.plan(
        Diagnosis(
            summary="debug logging was left on after the last deploy and logrotate is stuck",
            confidence_pct=71,
            claims=(
                Claim(text="/var/log/app fills the filesystem", evidence=("E1", "E2")),
                Claim(text="rotation does not run", evidence=("E3",)),
            ),
            ruled_out=("inodes: 12% used",),
        ),
        [
            command("df -h /var", "how full"),
            command(
                "journalctl --vacuum-size=200M", "free journal space", "none: old entries are gone"
            ),
            command(purge, "delete rotated logs and the journal, reopen the files", "none"),
        ],
        [judged(each) for each in ("df -h /var", "journalctl --vacuum-size=200M", purge)],
        engine="ollama:qwen2.5:14b",
        took=14_210,
    )
    return Recorded(incident=case.incident("/var 97.2% used, +1.2%/min, 205 MiB free", count=3))


def files_mixed() -> Recorded:
    """Awaiting; a command for review is skipped before one that changes something."""
    case = Case(
        3,
        9 * M,
        "node-009",
        {
            "rule": "process.fds",
            "kind": Kind.FD_EXHAUSTION,
            "severity": Severity.WARNING,
            "metric": Metric.PROCESS_FDS,
            "subject": "811:90412",
            "value": 61_022,
            "threshold": 58_000,
            "clear_below": 30_000,
            "clear_for_ms": 20 * S,
            "slope_per_min": 840,
            "samples": ramp(51_200, 61_022, 30),
        },
        {
            "cpus": 2,
            "processes": (
                Process(
                    pid=811,
                    start_ticks=90_412,
                    name="nginx",
                    cmdline="nginx: worker process",
                    user="www-data",
                    unit="nginx.service",
                    rss_bytes=112_197_632,
                    fds=61_022,
                    age_s=1_036_800,
                ),
            ),
        },
        mode=Mode.DRY_RUN,
        policy=OLD_POLICY,
    )
    case.evidence = (Evidence(id="E1", text="nginx[811] has 61022 of 65536 files open, +840/min"),)
    texts = ("ss -s", "ulimit -n 131072", "systemctl reload nginx")
    case.plan(
        Diagnosis(
            summary="nginx[811] keeps connections to a dead upstream open",
            culprit="P1",
            confidence_pct=64,
            claims=(Claim(text="open files rise without new requests", evidence=("E1",)),),
        ),
        [
            command(texts[0], "sockets by state"),
            command(texts[1], "raise the limit", "ulimit -n 65536"),
            command(texts[2], "new workers close what the old ones hold"),
        ],
        [judged(each) for each in texts],
        stand_in="ollama:qwen2.5:14b did not answer within 120 s",
        engine="playbook:open-files",
        took=120_400,
    )
    return Recorded(incident=case.incident("nginx[811] 61022 open files of 65536, +840/min"))


def executing() -> Recorded:
    """Running now: two of three commands are done; it ends by itself."""
    case = Case(
        4,
        22 * M,
        "edge-2",
        {
            "rule": "host.disk",
            "kind": Kind.DISK_SPACE,
            "severity": Severity.WARNING,
            "metric": Metric.FS_USED,
            "subject": "/",
            "value": 934,
            "threshold": 930,
            "clear_below": 900,
            "clear_for_ms": 30 * S,
            "samples": ramp(921, 934, 30),
        },
        {"cpus": 2},
    )
    case.evidence = (
        Evidence(id="E1", text="/ 93.4% used, limit 93.0%; the journal holds 2.0 GiB"),
    )
    texts = ("df -h /", "journalctl --vacuum-size=500M", "df -h /")
    case.plan(
        Diagnosis(
            summary="the journal fills /",
            confidence_pct=88,
            claims=(Claim(text="the journal is the largest that may go", evidence=("E1",)),),
        ),
        [
            command(texts[0]),
            command(texts[1], undo="none: old entries are gone"),
            command(texts[2]),
        ],
        [judged(each) for each in texts],
        engine="playbook:disk-journal",
    )
    case.decide(19 * M, DomainChoice.APPROVE, Mode.LIVE, "known, see the runbook")
    node = "node:edge-2"
    case.move(210, Stage.EXECUTE, "admitted", node, State.EXECUTING, "admitted, live")
    before = "Filesystem      Size  Used Avail Use% Mounted on\n/dev/vda1        30G   28G  2.0G  94% /\n"
    case.fields["admission"] = Admission(
        incident=case.id, admitted=True, mode=Mode.LIVE, at_ms=case.clock_ms
    )
    started = AT_MS - 30 * S
    incident = case.incident(
        "/ 93.4% used, the journal holds 2.0 GiB",
        results=(
            CommandResult(
                index=0,
                outcome=Outcome.RAN,
                argv=("df", "-h", "/"),
                exit_status=0,
                stdout=before,
                started_ms=started,
                ended_ms=started + 18,
            ),
            CommandResult(
                index=1,
                outcome=Outcome.RUNNING,
                argv=tuple(texts[1].split()),
                started_ms=started + 40,
            ),
        ),
    )
    after = before.replace("28G  2.0G  94%", "26G  3.6G  88%")
    vacuum = "Vacuuming done, freed 1.5G of archived journals from /var/log/journal.\n"
    alone = (
        _ran(9000, node, 1, tuple(texts[1].split()), vacuum, 39_000),
        _ran(700, node, 2, ("df", "-h", "/"), after, 17),
        Step(
            after_ms=200,
            state=State.EXECUTED,
            stage=Stage.EXECUTE,
            action="all-ran",
            actor=node,
            text="3 of 3 commands ran",
        ),
        Step(
            after_ms=30_000,
            state=State.RESOLVED,
            stage=Stage.VERIFY,
            action="recovered",
            actor=node,
            text="filesystem used 88.1%, below 90.0% for 30 s",
            verification=Verification(
                incident=case.id,
                recovered=True,
                observed=881,
                samples=(934, 934, 881, 881, 881),
                reason="below 90.0% for 30 s",
                at_ms=AT_MS + 40_000,
            ),
        ),
    )
    return Recorded(incident=incident, alone=alone)


def unresolved() -> Recorded:
    """The plan ran, and the signal did not recover."""
    case = Case(
        5,
        41 * M,
        "web-3",
        {
            "rule": "host.pressure",
            "kind": Kind.PRESSURE,
            "severity": Severity.WARNING,
            "metric": Metric.PSI_IO,
            "value": 412,
            "threshold": 300,
            "clear_below": 150,
            "clear_for_ms": 20 * S,
            "samples": (180, 240, 305, 333, 390, 402, 412),
        },
        {"cpus": 4},
    )
    case.evidence = (Evidence(id="E1", text="I/O pressure 41.2%, limit 30.0%"),)
    text = "ionice -c 3 -p 4402"
    case.plan(
        Diagnosis(summary="a backup competes with the web server", confidence_pct=55),
        [command(text, "let the backup wait", "ionice -c 2 -p 4402")],
        [judged(text)],
        engine="playbook:io-pressure",
    )
    case.acknowledge(20 * S)
    case.decide(100 * S, DomainChoice.APPROVE, Mode.LIVE, "backup may wait")
    node = "node:web-3"
    case.move(180, Stage.EXECUTE, "admitted", node, State.EXECUTING, "admitted, live")
    case.move(420, Stage.EXECUTE, "all-ran", node, State.EXECUTED, "1 of 1 commands ran")
    case.move(
        120 * S,
        Stage.VERIFY,
        "deadline-passed",
        node,
        State.UNRESOLVED,
        "I/O pressure 38.8% after 120 s, needs less than 15.0%",
    )
    incident = case.incident(
        "I/O pressure 41.2%, ran ionice, still 38.8%",
        results=(
            CommandResult(
                index=0, outcome=Outcome.RAN, argv=tuple(text.split()), exit_status=0, ended_ms=3
            ),
        ),
        verification=Verification(
            incident=case.id,
            recovered=False,
            observed=388,
            samples=(412, 401, 395, 388),
            reason="not below 15.0% within 120 s",
            at_ms=case.clock_ms,
        ),
    )
    return Recorded(incident=incident)


def reasoning() -> Recorded:
    """No plan yet: the engine is being asked."""
    case = Case(
        6,
        11 * S,
        "node-044",
        {
            "rule": "host.load",
            "kind": Kind.CPU,
            "severity": Severity.WARNING,
            "metric": Metric.LOAD_PER_CPU,
            "value": 4750,
            "threshold": 4000,
            "clear_below": 2000,
            "clear_for_ms": 60 * S,
            "slope_per_min": 310,
            "samples": ramp(1200, 4750, 20),
        },
        {"cpus": 8, "load1_milli": 38_000},
    )
    case.evidence = (Evidence(id="E1", text="load 38.0 on 8 processors"),)
    return Recorded(incident=case.incident("load 38.0 on 8 processors, +0.31/min"))


def rejected() -> Recorded:
    """In a person's hands: the plan was rejected with a reason."""
    case = Case(
        7,
        64 * M,
        "db-02",
        {
            "rule": "host.swap",
            "kind": Kind.SWAP,
            "severity": Severity.INFO,
            "metric": Metric.SWAP_USED,
            "value": 612,
            "threshold": 600,
            "clear_below": 400,
            "clear_for_ms": 60 * S,
            "samples": ramp(540, 612, 12),
        },
        {"cpus": 8},
    )
    text = "systemctl restart app"
    case.plan(
        Diagnosis(summary="app was swapped out overnight", confidence_pct=40),
        [command(text, "start it afresh")],
        [judged(text)],
        engine="playbook:swap",
    )
    case.decide(8 * M, DomainChoice.REJECT, Mode.DRY_RUN, "month end: nobody restarts app now")
    return Recorded(incident=case.incident("swap 61.2% used"))


def resolved() -> Recorded:
    """Over: it recovered on its own."""
    case = Case(
        8,
        95 * M,
        "edge-1",
        {
            "rule": "host.inodes",
            "kind": Kind.DISK_INODES,
            "severity": Severity.INFO,
            "metric": Metric.FS_INODES_USED,
            "subject": "/tmp",
            "value": 905,
            "threshold": 900,
            "clear_below": 800,
            "clear_for_ms": 60 * S,
        },
        {},
    )
    case.move(
        3 * M,
        Stage.VERIFY,
        "recovered",
        "node:edge-1",
        State.RESOLVED,
        "recovered on its own: inodes used 41.0%",
    )
    return Recorded(incident=case.incident("/tmp 90.5% of inodes used"))


def gauges(cpu: int, memory: int, disk: int) -> tuple[Sample, ...]:
    readings = ((Metric.CPU_USED, "", cpu), (Metric.MEMORY_USED, "", memory))
    readings += ((Metric.FS_USED, "/", disk // 2), (Metric.FS_USED, "/var", disk))
    return tuple(Sample(metric=m, subject=s, value=v, at_ms=AT_MS) for m, s, v in readings)


def agents() -> tuple[AgentStatus, ...]:
    def agent(host: str, seen: int, **more: object) -> AgentStatus:
        fields = {
            "connected": True,
            "version": "0.1.0",
            "mode": Mode.LIVE,
            "policy": POLICY,
            "certificate_expires_ms": AT_MS + 5 * 86_400 * S,
            "clock_skew_ms": 3,
            **more,
        }
        return AgentStatus(host=host, last_seen_ms=AT_MS - seen, **fields)

    return (
        agent("db-01", 900, open_incidents=1, gauges=gauges(412, 971, 880)),
        agent("db-02", 2100, open_incidents=1),
        agent("edge-1", 1200),
        agent("edge-2", 400, open_incidents=1),
        agent(
            "node-009",
            3100,
            mode=Mode.DRY_RUN,
            policy=OLD_POLICY,
            clock_skew_ms=-2400,
            open_incidents=1,
        ),
        agent("node-017", 1900, certificate_expires_ms=AT_MS + 11 * 3600 * S, open_incidents=1),
        agent("node-044", 700, open_incidents=1),
        agent("node-051", 31 * M, connected=False, version="0.0.9", mode=Mode.DRY_RUN),
        agent("web-3", 1500, open_incidents=1),
    )


def audit(recorded: list[Recorded]) -> tuple[AuditRecord, ...]:
    moves = sorted(
        ((move, r.incident.summary.id) for r in recorded for move in r.incident.moves),
        key=lambda pair: pair[0].at_ms,
    )
    return tuple(logged(seq, *each) for seq, each in enumerate(moves, 88_180))


def build() -> Recording:
    recorded = [
        memory(),
        disk_blocked(),
        files_mixed(),
        executing(),
        unresolved(),
        reasoning(),
        rejected(),
        resolved(),
    ]
    status = HubStatus(
        version="0.1.0",
        site="prod-dc1",
        now_ms=AT_MS,
        policy=POLICY,
        mode=Mode.LIVE,
        engine="ollama:qwen2.5:14b",
        engine_ready=False,
        engine_note="no answer within 120 s; the playbook stands in",
        database="postgresql",
        nodes_connected=8,
        nodes=9,
        open_incidents=7,
        need_decision=3,
        operator="you",
        role="operator",
    )
    return Recording(
        at_ms=AT_MS,
        status=status,
        incidents=tuple(recorded),
        agents=agents(),
        audit=audit(recorded),
        runbooks=recall.runbooks(playbook.shipped().runbooks, {}),
    )


def text() -> str:
    """Return the file's content: JSON with one value a line, so that a change can be reviewed."""
    plain = msgspec.to_builtins(build(), order="deterministic")
    return json.dumps(plain, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    TARGET.write_text(text())
