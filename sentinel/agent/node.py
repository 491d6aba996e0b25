"""One node at work: the senses, the outbox and the hands, wired together.

    senses   sample -> detect -> capture -> outbox           (and verify what was executed)
    link     outbox -> hub, plans <- hub                     (`transport`)
    hands    plan -> admit -> sentinel-exec (admit, execute) -> outbox

Every step that must not be lost is one transaction of the store together with the letter that reports
it, so that a crash between any two lines leaves either nothing or the step and its letter.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
import time
from pathlib import Path

import msgspec

from sentinel import __version__, config, errors, process, protocol
from sentinel.agent import (
    admit,
    capture,
    detect,
    enrol,
    gate,
    halt,
    handover,
    hands,
    rules,
    transport,
    witness,
)
from sentinel.agent.admit import Admitted, Refused
from sentinel.agent.detect import Clear, Detector
from sentinel.agent.pressure import PressureTrigger
from sentinel.agent.sample import HostSampler, ProcessSampler
from sentinel.agent.store import Store
from sentinel.agent.verify import Verifier
from sentinel.config import AgentSettings
from sentinel.domain import (
    GAUGES,
    Admission,
    Anomaly,
    Bundle,
    CommandResult,
    Halt,
    Outcome,
    Report,
    Sample,
    Verification,
)
from sentinel.ids import uuid7
from sentinel.policy import validate
from sentinel.policy.rules import Policy
from sentinel.protocol import Finish, Letter
from sentinel.trust import checkpoint, identity, x509

log = logging.getLogger(__name__)

NEAR_S = 0.25  # between two rounds of readings while something is near its limit
CAPTURE_S = 2
RETRY_S = 1.0  # before a full disk is tried again
RENEWAL_CHECK_S = 3600
BUNDLES = 128  # plans that wait for the hands; the hub sends what did not fit again
ANSWER_S = 30.0  # for sentinel-exec to say something beyond the time that a command has


def new_challenge() -> str:
    """Return 128 random bits in hex: what an approval of the next plan must quote."""
    return secrets.token_hex(16)


class Places(msgspec.Struct, frozen=True, kw_only=True):
    """Where an agent's files are. `config` is None where every default holds."""

    state: Path
    roots: Path
    config: Path | None
    exec_socket: Path | None  # of systemd; None: sentinel-exec is a child of the agent

    def executor(self, host: str) -> handover.Executor:
        """Return where each plan gets its sentinel-exec; a child reads the very same files."""
        words = ["--state", str(self.state), "--roots", str(self.roots), "--host", host]
        if self.config is not None:
            words += ["--config", str(self.config)]
        return handover.Executor(self.exec_socket, words)


class Agent:
    """The agent of one host."""

    def __init__(
        self, settings: AgentSettings, places: Places, store: Store, policy: Policy
    ) -> None:
        """Wire everything; nothing runs yet. Raises ConfigError or PeerError where a file is wrong."""
        self._settings = settings
        self._state = state = places.state
        self._store = store
        self._policy = policy
        self._credentials = identity.load(state, process.now_ms())
        self._host = self._credentials.details.identity.name
        self._interval_s = config.quantity(settings.interval, "duration", "interval") / 1000
        period_ms = config.quantity(settings.process_interval, "duration", "process_interval")
        self._table = ProcessSampler(period_ms)
        self._samples: tuple[Sample, ...] = ()
        self._boot_ms = process.now_ms() - int(time.clock_gettime(time.CLOCK_BOOTTIME) * 1000)
        # A silence as long as a few readings is no silence yet, however rarely they are taken.
        self._gap_ms = max(detect.GAP_MS, 3 * int(self._interval_s * 1000), 3 * period_ms)
        self._detector = Detector(rules.rules(settings), gap_ms=self._gap_ms)
        self._found: asyncio.Queue[Anomaly | Clear | Verification] = asyncio.Queue()
        self._bundles: asyncio.Queue[Bundle] = asyncio.Queue(BUNDLES)
        self._events: dict[tuple[str, str, str], str] = {}
        self._verifiers: list[Verifier] = []
        self._under_way: halt.UnderWay | None = None
        self._said: set[str] = set()
        self._link = transport.Link(
            store,
            transport.Node(
                attach=self._attach,
                heartbeat=self._heartbeat,
                bundle=self._take,
                witness=self._see,
                stop=self._stop,
                credentials=lambda: identity.load(state, process.now_ms()),
            ),
            settings.hub,
        )
        self._executor = places.executor(self._host)
        own = frozenset({os.getpid()})
        self._gate = gate.node(settings, places.roots, self._host, policy, store, own)

    async def run(self, stop: asyncio.Event) -> None:
        """Take up what a restart left, say ready, and work until `stop`."""
        self._resume()
        async with asyncio.TaskGroup() as tasks:
            workers = [
                tasks.create_task(work)
                for work in (
                    self._sense(),
                    self._tell(),
                    self._work(),
                    self._link.run(),
                    self._renew(),
                )
            ]
            mode = self._settings.mode.value
            log.info("agent of %s, mode %s, policy %s", self._host, mode, self._policy.digest)
            process.notify("READY=1")
            await stop.wait()
            process.notify("STOPPING=1")
            for worker in workers:
                worker.cancel()
        await self._executor.close()

    # ------------------------------------------------------------ after a restart

    def _resume(self) -> None:
        """Take up open faults and verifications; report plans that a crash cut short as failed."""
        for report in self._store.open_faults():
            self._detector.resume(report.anomaly)
            self._events[_key(report.anomaly)] = report.event
        for incident, recovery, started_ms in self._store.verifications():
            self._verifiers.append(Verifier(incident, recovery, started_ms, gap_ms=self._gap_ms))
        self._cut_short()

    def _cut_short(self) -> None:
        """Report the plans that were admitted and will not be ended by anybody."""
        for cut in self._store.interrupted():
            log.warning("plan of %s was cut short: not repeated", cut.bundle.incident)
            with self._store.transaction():
                for result in hands.cut_short(cut, process.now_ms()):
                    self._put(ran=protocol.Ran(incident=cut.bundle.incident, result=result))
                self._finish(cut.bundle, cut.event, Finish.ONE_FAILED)

    # ------------------------------------------------------------ senses

    async def _sense(self) -> None:
        """Stages 1 and 9: read, detect and verify, sooner where something stalls."""
        host = HostSampler()
        with PressureTrigger() as trigger, contextlib.closing(host):
            for resource, reason in trigger.reasons.items():
                log.info("no pressure trigger for %s: %s", resource, errors.printable(reason))
            while True:
                now_ms = process.now_ms()
                recoveries = [verifier.recovery for verifier in self._verifiers]
                table = self._table.read(now_ms, self._detector.watching(*recoveries))
                self._samples = host.sample(now_ms)
                self._say_once(*host.failures.values(), self._table.failure)
                for found in self._detector.step(self._samples, now_ms, table):
                    self._found.put_nowait(found)
                self._verify(now_ms, table)
                pause = min(self._interval_s, NEAR_S) if self._detector.near else self._interval_s
                await trigger.wait(pause)

    def _say_once(self, *failures: str) -> None:
        """Log what cannot be read or written, each reason once: silence is not secret."""
        for reason in failures:
            if reason and reason not in self._said:
                self._said.add(reason)
                log.warning("not available: %s", reason, extra={"action": "not_available"})

    def _verify(self, now_ms: int, table: detect.Table | None) -> None:
        for verifier in list(self._verifiers):
            answer = verifier.step(self._samples, now_ms, table)
            if answer is None:
                continue
            self._verifiers.remove(verifier)
            self._found.put_nowait(answer)

    async def _tell(self) -> None:
        """Put what was found into the outbox, in the order it was found.

        A full disk is a fault to report, not one to die of: what cannot be stored is tried again, with
        the room that was reserved for this first.
        """
        while True:
            found = await self._found.get()
            while not await self._told(found):
                if not self._store.release_reserve():
                    await asyncio.sleep(RETRY_S)
            self._link.nudge()

    async def _told(self, found: Anomaly | Clear | Verification) -> bool:
        """Store one finding with its letter; False where the disk refused."""
        try:
            match found:
                case Anomaly():
                    await self._report(found)
                case Clear():
                    self._clear(found)
                case Verification():
                    with self._store.transaction():
                        self._store.end_verification(found.incident)
                        self._put(verification=found)
        except errors.StoreError as error:
            self._say_once(error.what)
            return False
        return True

    async def _report(self, anomaly: Anomaly) -> None:
        """Stage 2: freeze the picture, and keep it with its letter."""
        now_ms = process.now_ms()
        context = await asyncio.to_thread(
            capture.capture,
            anomaly,
            now_ms,
            deadline_ns=time.monotonic_ns() + CAPTURE_S * 1_000_000_000,
            seen=self._table.seen,
            labels=self._settings.labels
            | validate.labels_of(self._settings.groups, self._settings.role),
        )
        report = Report(
            event=uuid7(now_ms),
            host=self._host,
            anomaly=anomaly,
            context=context,
            challenge=new_challenge(),
            mode=self._settings.mode,
            policy=self._policy.digest,
        )
        with self._store.transaction():
            self._store.open_fault(report)
            self._put(report=report)
        self._events[_key(anomaly)] = report.event
        await self._make_ready()
        log.warning(
            "%s: %s at %d", anomaly.rule, anomaly.subject or "host", anomaly.value,
            extra={"action": "anomaly"},
        )  # fmt: skip

    def _clear(self, clear: Clear) -> None:
        event = self._events.get(_key(clear.anomaly))
        if event is None:
            return
        with self._store.transaction():
            self._store.close_fault(event)
            self._put(
                cleared=protocol.Cleared(event=event, observed=clear.observed, at_ms=clear.at_ms)
            )
        del self._events[_key(clear.anomaly)]
        log.info("%s cleared: %s", clear.anomaly.rule, clear.reason, extra={"action": "cleared"})

    # ------------------------------------------------------------ hands

    def _see(self, shown: protocol.Witness) -> None:
        """Hold what the hub's log is against what it was; raise an alarm where that cannot be."""
        key = self._gate.log_key
        if key is None or self._store.alarm():
            return
        first = self._store.last_checkpoint() is None
        try:
            witness.follow(shown.checkpoint, shown.growth, key, self._store, now=True)
        except errors.SignatureError as error:
            log.error("the hub's log: %s", error.what, extra={"action": error.check})
            if error.check in witness.ALARMS:
                self._alarm(error, shown.checkpoint)
            return
        if first:
            log.info(
                "witness of the log %s from its record %d on",
                key.name, witness.note_size(shown.checkpoint),
                extra={"action": "witness"},
            )  # fmt: skip

    def _alarm(self, error: errors.SignatureError, shown: str) -> None:
        """Keep the alarm with the letter that tells of it: from now on nothing runs here."""
        with self._store.transaction():
            self._store.raise_alarm(error.check, errors.in_one_line(error))
            self._put(
                alarm=protocol.Alarm(
                    check=error.check,
                    reason=errors.printable(error.what, 900),
                    kept=self._store.last_checkpoint() or "",
                    shown=shown,
                    at_ms=process.now_ms(),
                )
            )
        self._link.nudge()

    async def _take(self, bundle: Bundle) -> None:
        """Queue a plan. One that does not fit is sent again on the next connection."""
        if bundle.log is not None:
            self._see(protocol.Witness(checkpoint=bundle.log.checkpoint, growth=bundle.log.growth))
        with contextlib.suppress(asyncio.QueueFull):
            self._bundles.put_nowait(bundle)

    def _stop(self, stop: protocol.Stop) -> None:
        """Let nothing more of a run start, and say what that comes to. It can make nothing run."""
        run = self._under_way
        with self._store.transaction():
            answer = run.stop(stop) if run and run.is_meant(stop) else self._void(stop)
            if answer is not Halt.NOT_BEGUN:  # which the refusal says
                self._put(
                    stopped=protocol.Stopped(
                        incident=stop.incident,
                        challenge=stop.challenge,
                        answer=answer,
                        at_ms=process.now_ms(),
                    )
                )
        log.warning(
            "%s: plan of %s: %s", halt.words(stop), stop.incident, answer.value,
            extra={"action": "stop"},
        )  # fmt: skip
        self._link.nudge()

    def _void(self, stop: protocol.Stop) -> Halt:
        """Make an approval void of which nothing has begun, wherever it is by now."""
        found = self._store.challenge(stop.challenge)
        if found is None:
            return Halt.UNKNOWN
        event, spent = found
        if spent:
            return Halt.TOO_LATE
        waiting = [self._bundles.get_nowait() for _ in range(self._bundles.qsize())]
        for bundle in waiting:
            if stop.challenge not in bundle.statement:  # else this is its answer
                self._bundles.put_nowait(bundle)
        self._refuse(stop.incident, Refused(check="stopped", reason=halt.words(stop)), event)
        return Halt.NOT_BEGUN

    async def _work(self) -> None:
        """Stage 8: one plan at a time."""
        while True:
            bundle = await self._bundles.get()
            if self._store.knows(bundle):
                continue  # sent again because our answer is still on its way
            asked = gate.ask(bundle, self._gate, process.now_ms())
            if isinstance(asked, Refused):
                self._refuse(bundle.incident, asked)
            else:
                await self._hand_over(asked)
            self._link.nudge()

    async def _hand_over(self, asked: Admitted) -> None:
        """Give a plan to sentinel-exec and keep what it says; where it fails, say what became of it."""
        try:
            async with await self._executor.connect() as link:
                if not self._bundles.empty():
                    await self._make_ready()  # it loads while this one runs
                await self._follow(asked, link)
        except (errors.NodeError, errors.PeerError) as error:
            said = errors.printable(errors.in_one_line(error))
            log.error("%s", said, extra={"action": "exec_failed"})
            if not self._store.executing(asked.plan.incident):
                self._refuse(asked.plan.incident, Refused(check="exec.failed", reason=error.what))
            self._cut_short()

    async def _make_ready(self) -> None:
        """Have a sentinel-exec ready for the next plan. Where there is none, the plan will say so."""
        try:
            await self._executor.prepare()
        except errors.NodeError as error:
            self._say_once(error.what)

    async def _follow(self, asked: Admitted, link: handover.Connection) -> None:
        """Put every word of sentinel-exec on record, and let it go on only then."""
        bundle, event = asked.bundle, asked.statement.event
        # The report is kept under its first challenge; people quoted the present one.
        challenge = asked.statement.challenge
        report = msgspec.structs.replace(asked.report, challenge=challenge)
        await link.send(handover.Order(bundle=bundle, report=report))
        within_s = ANSWER_S + max(command.timeout_s for command in asked.plan.commands)
        word = await link.hear(within_s)
        if not self._admitted(asked, word.admission):
            if word.admission is not None and not word.admission.admitted:
                with contextlib.suppress(errors.PeerError):
                    await link.go_on()  # that was all it had to say
            return
        self._under_way = run = halt.UnderWay(asked)
        try:
            while word.finish is None:
                await link.go_on(run.reason)
                word = await link.hear(within_s)
                if word.result is not None and run.records(word.result):
                    self._ran(bundle, word.result)
                    self._link.nudge()
        finally:
            self._under_way = None
        with self._store.transaction():
            self._finish(
                bundle, event, word.finish, ran=run.ran or word.finish is not Finish.STOPPED
            )
        with contextlib.suppress(errors.PeerError):
            await link.go_on()

    def _admitted(self, asked: Admitted, said: Admission | None) -> bool:
        """Keep the answer of sentinel-exec; where it admits, our own gate must admit too, and spends."""
        bundle = asked.bundle
        if said is None:
            raise errors.WireError("sentinel-exec began without an answer")
        if not said.admitted:
            self._refused(asked, said)
            return False
        now_ms = process.now_ms()
        with self._store.transaction():
            outcome = admit.admit(bundle, self._gate, now_ms)
            if isinstance(outcome, Admitted):
                if bundle.log is not None:
                    self._store.note_handed(checkpoint.parse(bundle.log.checkpoint).size)
                answer = msgspec.structs.replace(said, incident=bundle.incident, at_ms=now_ms)
                self._put(admission=answer)
                self._unwatch(bundle.incident)
        # Unknown by now: a stop has made it void while sentinel-exec looked at it, and has been answered.
        if isinstance(outcome, Refused) and outcome.check != "challenge.unknown":
            self._refuse(bundle.incident, outcome)
        self._link.nudge()
        return isinstance(outcome, Admitted)

    def _refused(self, asked: Admitted, said: Admission) -> None:
        """Pass on why sentinel-exec refuses; where the approval is lost for nothing, it can be given again."""
        void, reason = "", said.reason
        if said.check == "challenge.spent":
            # Our own gate has just found it unspent. So one of us went down when sentinel-exec had spent
            # it and we had not yet said "go on", without which nothing starts.
            void = asked.statement.event
            reason = "the node went down before anything of it ran: it can be approved again"
        self._refuse(asked.plan.incident, Refused(check=said.check, reason=reason), void)

    def _refuse(self, incident: str, refused: Refused, void: str = "") -> None:
        """Say that a plan was refused; with a fresh challenge of the event `void`, it can be approved again."""
        reason = errors.printable(refused.reason, 900)
        challenge = new_challenge() if void else None
        with self._store.transaction():
            if challenge is not None:
                self._store.issue(challenge, void)
            self._put(
                admission=Admission(
                    incident=incident,
                    admitted=False,
                    mode=self._settings.mode,
                    check=refused.check,
                    reason=reason,
                    at_ms=process.now_ms(),
                    challenge=challenge,
                )
            )
        log.error("plan refused: %s: %s", refused.check, reason, extra={"action": "refused"})

    def _ran(self, bundle: Bundle, result: CommandResult) -> None:
        with self._store.transaction():
            if result.outcome is Outcome.RUNNING:
                self._store.begin_command(bundle.incident, result.index)
            else:
                self._store.end_command(bundle.incident)
            self._put(ran=protocol.Ran(incident=bundle.incident, result=result))

    def _unwatch(self, incident: str) -> None:
        """Watch no more for what an earlier, stopped run of a plan has done: the next one begins."""
        self._store.end_verification(incident)
        self._verifiers = [each for each in self._verifiers if each.incident != incident]

    def _finish(self, bundle: Bundle, event: str, finish: Finish, *, ran: bool = True) -> None:
        """End a plan: a fresh challenge, and unless nothing `ran`, the watch for recovery."""
        now_ms, challenge = process.now_ms(), new_challenge()
        self._store.end_execution(bundle.incident)
        self._store.issue(challenge, event)
        self._put(
            finished=protocol.Finished(
                incident=bundle.incident,
                event=event,
                finish=finish,
                challenge=challenge,
                at_ms=now_ms,
            )
        )
        if ran and finish is not Finish.REHEARSED:
            recovery = hands.recovery_of(bundle)
            self._store.begin_verification(bundle.incident, recovery, now_ms)
            self._verifiers.append(Verifier(bundle.incident, recovery, now_ms, gap_ms=self._gap_ms))

    # ------------------------------------------------------------ the link's questions

    def _attach(self) -> protocol.Attach:
        return protocol.Attach(
            version=__version__,
            policy=self._policy.digest,
            mode=self._settings.mode,
            boot_ms=self._boot_ms,
            sent_ms=process.now_ms(),
            seen=self._store.seen(),
        )

    def _heartbeat(self) -> protocol.Heartbeat:
        return protocol.Heartbeat(
            sent_ms=process.now_ms(),
            gauges=self._samples[:GAUGES],
            spooled=self._store.waiting(),
            refused=self._store.refused(),
            seen=self._store.seen(),
        )

    async def _renew(self) -> None:
        """Renew the certificate at half life; a hub that is away is asked again an hour later."""
        while True:
            now_ms = process.now_ms()
            try:
                credentials = identity.load(self._state, now_ms)
                if x509.renewal_due(credentials.details, now_ms):
                    address = self._settings.hub or credentials.address.hub
                    await enrol.renew(self._state, credentials, address)
            except errors.SentinelError as error:
                log.warning("certificate not renewed: %s", error.what)
            await asyncio.sleep(RENEWAL_CHECK_S)

    def _put(self, **body: object) -> None:
        self._store.put(Letter(id=uuid7(process.now_ms()), **body))  # type: ignore[arg-type]


def _key(anomaly: Anomaly) -> tuple[str, str, str]:
    return anomaly.rule, anomaly.metric.value, anomaly.subject
