"""Values for tests of the hub, and a reasoner and a policy that say what a test wants them to."""

from __future__ import annotations

import asyncio
import uuid

import msgspec

from sentinel import canonical, protocol
from sentinel.config import ApprovalSettings, HubSettings
from sentinel.domain import (
    Admission,
    Anomaly,
    Choice,
    Command,
    CommandResult,
    Context,
    Diagnosis,
    Evidence,
    Judgement,
    Kind,
    Metric,
    Mode,
    Outcome,
    PlanJudgement,
    Process,
    Reasoning,
    Report,
    Risk,
    Severity,
    Signature,
    Stage,
    State,
    Statement,
    Verdict,
    Verification,
)
from sentinel.hub import approve, intake
from sentinel.hub.moves import Entry, move
from sentinel.hub.pipeline import Pipeline
from sentinel.lifecycle import Event
from sentinel.protocol import Cleared, DecideRequest, Finish, Finished, Letter, Ran
from sentinel.trust import signers
from tests.unit.trust.keys import SoftKey

NOW = 1_800_000_000_000
HOST = "web1"
POLICY = "sha256:" + "a" * 64


def ident():
    return str(uuid.uuid4())


def nonce():
    return uuid.uuid4().hex


def report(host=HOST, **anomaly):
    fault = Anomaly(
        rule="memory",
        kind=Kind.MEMORY,
        severity=Severity.CRITICAL,
        metric=Metric.PROCESS_RSS,
        subject="4242:777",
        value=300 << 20,
        threshold=200 << 20,
        clear_below=180 << 20,
        clear_for_ms=1000,
        since_ms=NOW - 5000,
        detected_ms=NOW - 1000,
    )
    return Report(
        event=ident(),
        host=host,
        anomaly=msgspec.structs.replace(fault, **anomaly),
        context=Context(
            captured_ms=NOW - 900,
            processes=(Process(pid=4242, start_ticks=777, name="hog"),),
        ),
        challenge=nonce(),
        mode=Mode.LIVE,
        policy=POLICY,
    )


def letter(**what):
    return Letter(id=ident(), **what)


async def reported(store, said=None, now_ms=NOW):
    """Let a node report a fault; return the incident."""
    said = said or report()
    await intake.take(store, said.host, letter(report=said), now_ms)
    page = await store.page(open_only=False, before=None, limit=500)
    for summary in page.summaries:
        incident = await store.incident(summary.id)
        if incident.report.event == said.event:
            return incident
    raise AssertionError("not stored")


async def case(store, incident):
    """Return the row of the incident of that id."""
    return await store.write(lambda work: work.case(incident))


class Proposal(msgspec.Struct, frozen=True, kw_only=True):
    diagnosis: Diagnosis = Diagnosis(summary="hog holds the memory", confidence_pct=90)
    commands: tuple[Command, ...] = (Command(text="kill -TERM 4242"),)
    author: str = "playbook"
    engine: str = "playbook:memory-hog"
    stand_in: str = ""
    evidence: tuple[Evidence, ...] = (Evidence(id="E1", text="hog holds 300 MiB"),)
    records: tuple[Reasoning, ...] = (
        Reasoning(engine="playbook", prompt="p", reply="r", started_ms=NOW, ended_ms=NOW),
    )


class Reasoner:
    """Answers each call with the next of its proposals, the last for ever; notes what it was asked."""

    def __init__(self, *proposals):
        self.proposals = list(proposals) or [Proposal()]
        self.asked = []

    async def propose(self, incident, attempt, now_ms):
        self.asked.append((incident.summary.id, attempt))
        return self.proposals.pop(0) if len(self.proposals) > 1 else self.proposals[0]


class Policy:
    """Judges a command by its first word."""

    digest = POLICY

    def __init__(self, risk=Risk.MEDIUM):
        self.risk = risk

    def judge(self, plan, context):
        known = {"kill": Verdict.ALLOW, "rm": Verdict.BLOCK}
        verdicts = [known.get(c.text.split()[0], Verdict.REVIEW) for c in plan.commands]
        order = [Verdict.BLOCK, Verdict.REVIEW, Verdict.ALLOW]
        worst = min(verdicts, key=order.index, default=Verdict.BLOCK)
        return PlanJudgement(
            plan=canonical.digest_of(plan),
            policy=POLICY,
            verdict=worst,
            commands=tuple(Judgement(verdict=v, findings=(), risk=self.risk) for v in verdicts),
        )


class Clock:
    def __init__(self, now_ms=NOW):
        self.now_ms = now_ms

    def __call__(self):
        return self.now_ms


def pipeline(store, reasoner=None, clock=None, policy=None, **settings):
    return Pipeline(
        store,
        reasoner or Reasoner(),
        policy or Policy(),
        settings=HubSettings(**settings),
        clock=clock or Clock(),
    )


async def drive(pipe):
    """Let the pipeline do everything there is to do now."""
    while await pipe.reason_one() or await pipe.tend():
        pass


async def awaiting(store, said=None):
    """Return an incident whose plan awaits a decision."""
    incident = await reported(store, said)
    await drive(pipeline(store))
    incident = await store.incident(incident.summary.id)
    assert incident.summary.state is State.AWAITING
    return incident


async def many_awaiting(store, count):
    """Return `count` incidents whose plans await a decision, by the moves alone, in one transaction."""
    pipe = pipeline(store)

    async def operation(work):
        for n in range(count):
            said = report(rule=f"r{n}")
            await intake._take(work, HOST, letter(report=said), NOW)
            row = await work.case_of_event(HOST, said.event)
            plan = pipe._made(row, said, Proposal(), NOW)
            judgement = Policy().judge(plan.plan, said.context)
            plan = msgspec.structs.replace(plan, judgement=judgement)
            await work.add_plan(row.id, row.revision, plan)
            for event in (Event.PLAN_MADE, Event.JUDGED_RUNNABLE):
                after = msgspec.structs.replace(row, plan_revision=1)
                entry = Entry(at_ms=NOW, stage=Stage.REASON, actor="hub", action="x", text="x")
                row = await move(work, row, event, after, entry)

    await store.write(operation)
    page = await store.page(open_only=True, before=None, limit=500)
    return await asyncio.gather(*(store.incident(s.id) for s in page.summaries))


def statement(incident, choice=Choice.APPROVE, operator="alice", **changes):
    said = Statement(
        choice=choice,
        incident=incident.summary.id,
        event=incident.report.event,
        report=canonical.report_digest(incident.report),
        host=incident.summary.host,
        plan=incident.plan_digest,
        policy=incident.judgement.policy,
        challenge=incident.report.challenge,
        mode=Mode.DRY_RUN,
        operator=operator,
        reason="because",
        issued_ms=NOW,
        expires_ms=NOW + 600_000,
    )
    return msgspec.structs.replace(said, **changes)


KEYS = {name: SoftKey() for name in ("alice", "bob", "carol")}
SIGNERS = signers.parse("".join(key.line(name) for name, key in KEYS.items()))
RULES = approve.Rules(hub_mode=Mode.LIVE, signers=SIGNERS, approvals=ApprovalSettings())


def signed(text, operator="alice", namespace=protocol.DECISION):
    return Signature(signer=operator, sshsig=KEYS[operator].sign(text.encode(), namespace))


def request(said, operator="alice"):
    """The decision `said`, signed by `operator`."""
    text = canonical.encode(said).decode()
    return DecideRequest(
        incident=said.incident, statement=text, signatures=(signed(text, operator),)
    )


async def decide(store, incident, choice=Choice.APPROVE, operator="alice", **changes):
    said = statement(incident, choice, operator, **changes)
    return await approve.decide(store, operator, request(said, operator), NOW, RULES)


async def say(store, incident, now_ms=NOW, **what):
    """Let the incident's node write a letter; return the incident as it is then."""
    await intake.take(store, incident.summary.host, letter(**what), now_ms)
    return await store.incident(incident.summary.id)


def admission(incident, admitted=True, **changes):
    said = Admission(incident=incident.summary.id, admitted=admitted, mode=Mode.LIVE, at_ms=NOW)
    return msgspec.structs.replace(said, **changes)


def ran(incident, index=0, outcome=Outcome.RAN, **changes):
    result = CommandResult(index=index, outcome=outcome)
    return Ran(incident=incident.summary.id, result=msgspec.structs.replace(result, **changes))


def finished(incident, finish=Finish.ALL_RAN, **changes):
    said = Finished(
        incident=incident.summary.id,
        event=incident.report.event,
        finish=finish,
        challenge=nonce(),
        at_ms=NOW,
    )
    return msgspec.structs.replace(said, **changes)


def verification(incident, recovered=True):
    return Verification(incident=incident.summary.id, recovered=recovered, reason="seen", at_ms=NOW)


def cleared(incident, **changes):
    said = Cleared(event=incident.report.event, observed=7, at_ms=NOW)
    return msgspec.structs.replace(said, **changes)
