"""The pipeline: who moves an incident on from each state, driven by what the database says.

| state      | the hub's part                                                                        |
|------------|---------------------------------------------------------------------------------------|
| REPORTED   | reason (a lease, so that no two hubs ask a model the same thing) and make a plan      |
| PLANNED    | judge every command; await a decision if any may run, refuse if none may             |
| AWAITING   | expire after `decide_s`                                                               |
| APPROVED   | give up after `collect_s` if the node has not fetched the plan                        |
| EXECUTING, EXECUTED, FAILED | give up on a node that is silent `silent_s` beyond what its plan may take |
| UNRESOLVED | ask for the next plan once by itself; after that it is the operator's                 |

Nothing carries an incident from one row to the next: each step reads the state, does its part and moves
by compare-and-set, so a crash costs at most one step, which the next start repeats. A step that finds
the incident moved meanwhile has lost a race and forgets its work. The other states are served by the
node and the operator.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Protocol

import msgspec

from sentinel import errors
from sentinel.config import HubSettings
from sentinel.domain import (
    Command,
    Context,
    Diagnosis,
    Evidence,
    Incident,
    Plan,
    PlanJudgement,
    Reasoning,
    Recovery,
    Report,
    Stage,
    State,
    Verdict,
)
from sentinel.hub import recall
from sentinel.hub.approve import plan_record
from sentinel.hub.cases import Case, PlanRecord, line
from sentinel.hub.moves import Entry, move, remark
from sentinel.hub.persist import Store
from sentinel.hub.persist_writes import UnitOfWork
from sentinel.lifecycle import Event
from sentinel.policy.validate import QUORUM

log = logging.getLogger(__name__)

REASONERS = 2  # calls of an engine at once
LEASE_MS = 60_000
RENEW_S = 15.0
POLL_S = 1.0  # how late an expiry may be noticed; everything else is nudged
PASS = 100  # incidents looked at in one pass over a state
MANY = 10_000  # plans looked at when the hub starts


class Proposal(Protocol):
    """What a reasoner answers; it always answers."""

    @property
    def diagnosis(self) -> Diagnosis:
        """What is believed to be wrong."""

    @property
    def commands(self) -> tuple[Command, ...]:
        """What would mend it; may be empty."""

    @property
    def author(self) -> str:
        """Whose plan it is: the engine's kind."""

    @property
    def engine(self) -> str:
        """The engine with its model or runbook."""

    @property
    def stand_in(self) -> str:
        """Why the playbook's plan stands in for a model's, or empty."""

    @property
    def evidence(self) -> tuple[Evidence, ...]:
        """The numbered facts it was reasoned from."""

    @property
    def records(self) -> tuple[Reasoning, ...]:
        """Every call of an engine, whole."""


class Reasoner(Protocol):
    """Stage 4."""

    async def propose(self, incident: Incident, attempt: int, now_ms: int) -> Proposal:
        """Return a plan for `incident`; `attempt` counts from 1. Never raises."""


class Policy(Protocol):
    """Stage 5. The same plan and context always give the same judgement."""

    @property
    def digest(self) -> str:
        """The digest of the rules, as it stands in every judgement."""

    def judge(self, plan: Plan, context: Context) -> PlanJudgement:
        """Return the verdict on every command of `plan`. Never raises."""


def _longest_ms(plan: Plan) -> int:
    """Return how long a node may take to run a plan and to see whether it helped."""
    return sum(command.timeout_s for command in plan.commands) * 1000 + plan.recovery.deadline_ms


def _disagreements(plan: Plan, judgement: PlanJudgement, at_ms: int) -> list[Entry]:
    """Return a security record for each command that two parsers read differently: somebody may be trying."""
    return [
        Entry(
            at_ms=at_ms,
            stage=Stage.VALIDATE,
            actor="hub",
            action="security.quorum",
            text=f"two parsers read command {number} of revision {plan.revision} differently",
            facts={
                "command": errors.printable(command.text, 1000),
                "author": errors.printable(plan.author, 100),
                "policy": judgement.policy,
            },
        )
        for number, (command, judged) in enumerate(
            zip(plan.commands, judgement.commands, strict=True), 1
        )
        if any(finding.rule == QUORUM for finding in judged.findings)
    ]


class _Unusable(msgspec.Struct, frozen=True, kw_only=True):
    """The proposal that stands for one that is out of bounds: nothing in it can run."""

    diagnosis: Diagnosis
    author: str
    engine: str
    commands: tuple[Command, ...] = ()
    stand_in: str = ""
    evidence: tuple[Evidence, ...] = ()
    records: tuple[Reasoning, ...] = ()


class Pipeline:
    """Moves on what is the hub's to move, for as long as `run` runs."""

    def __init__(
        self,
        store: Store,
        reasoner: Reasoner,
        policy: Policy,
        *,
        settings: HubSettings,
        clock: Callable[[], int],
    ) -> None:
        """`clock` returns ms since the epoch."""
        self._store = store
        self._reasoner = reasoner
        self._policy = policy
        self._settings = settings
        self._clock = clock
        # The same after a restart, so that a hub takes its own unfinished work up again at once.
        self._owner = f"{settings.site}@{os.uname().nodename}:{settings.port}"

    async def run(self) -> None:
        """Serve until cancelled."""
        if self._store.restored:
            names = ", ".join(self._store.restored)
            text = f"triggers of the audit log were missing or altered: {names}"
            await self._store.record("audit-resealed", text, self._clock())
        await self._store.write(lambda work: work.release_leases(self._owner))
        await self._rejudge()
        async with asyncio.TaskGroup() as tasks:
            for _ in range(REASONERS):
                tasks.create_task(self._forever(self.reason_one))
            tasks.create_task(self._forever(self.tend))

    async def _forever(self, step: Callable[[], Awaitable[bool]]) -> None:
        """Repeat `step` while it finds work, and whenever something has changed or time has passed."""
        while True:
            seen = self._store.bus.revision
            try:
                if await step():
                    continue
                async with asyncio.timeout(POLL_S):
                    await self._store.bus.wait(seen)
            except TimeoutError:
                continue
            except errors.StoreError as error:
                log.warning("%s", error.what, extra={"action": "store_unreachable"})
                await asyncio.sleep(POLL_S)

    # ------------------------------------------------------------ REPORTED -> PLANNED

    async def reason_one(self) -> bool:
        """Make a plan for the incident that has waited longest; False where none waits."""
        if not await self._store.claimable(State.REPORTED, self._clock()):
            return False
        now_ms = self._clock()
        claimed = await self._store.write(
            lambda work: work.claim(State.REPORTED, self._owner, now_ms, now_ms + LEASE_MS, 1)
        )
        if not claimed:
            return False
        case = claimed[0]
        incident = await self._store.incident(case.id)
        async with asyncio.TaskGroup() as tasks:
            renewal = tasks.create_task(self._renew(case.id))
            proposal = await self._reasoner.propose(incident, case.attempt, self._clock())
            renewal.cancel()
        try:
            await self._lose_gracefully(lambda work: self._plan(work, case, proposal))
        except errors.WireError as error:
            # Asked again, an engine that answers out of bounds would do so again: let a person see it.
            log.warning("proposal unusable: %s", error.what, extra={"action": "proposal_unusable"})
            unusable = _Unusable(
                diagnosis=Diagnosis(summary=line(error.what), confidence_pct=0),
                author=line(proposal.author)[:256],
                engine=line(proposal.engine)[:256],
            )
            await self._lose_gracefully(lambda work: self._plan(work, case, unusable))
        return True

    async def _renew(self, incident: str) -> None:
        """Keep the lease while an engine thinks."""
        while True:
            await asyncio.sleep(RENEW_S)
            try:
                await self._store.write(
                    partial(
                        UnitOfWork.extend_lease,
                        incident=incident,
                        owner=self._owner,
                        until_ms=self._clock() + LEASE_MS,
                    )
                )
            except errors.StoreError:
                log.warning("lease on %s not renewed", incident, extra={"action": "lease_late"})

    async def _plan(self, work: UnitOfWork, claimed: Case, proposal: Proposal) -> None:
        """Store a proposal as the plan for the report that is in force by now."""
        case = await work.case(claimed.id)
        if case is None or case.state is not State.REPORTED or case.attempt != claimed.attempt:
            return
        now_ms = self._clock()
        report = await work.report(case)
        plan = self._made(case, report, proposal, now_ms)
        papers = msgspec.structs.replace(case.papers, evidence=proposal.evidence)
        after = msgspec.structs.replace(
            case,
            plan_revision=plan.revision,
            verdict=None,
            papers=papers,
            runbook=recall.runbook_of(proposal.author, proposal.engine),
        )
        seq = work.end[0] + 1
        await work.add_plan(case.id, seq, plan)
        digests = await work.add_reasoning(case.id, seq, proposal.records)
        stand_in = f", standing in: {proposal.stand_in}" if proposal.stand_in else ""
        entry = Entry(
            at_ms=now_ms,
            stage=Stage.REASON,
            actor="hub",
            action=Event.PLAN_MADE.value,
            text=f"plan revision {plan.revision} by {proposal.engine}{stand_in}",
            facts={"plan": plan.digest, "reasoning": " ".join(digests)},
        )
        await move(work, case, Event.PLAN_MADE, after, entry)

    def _made(self, case: Case, report: Report, proposal: Proposal, now_ms: int) -> PlanRecord:
        plan = Plan(
            incident=case.id,
            event=case.event,
            revision=case.plan_revision + 1,
            host=case.host,
            author=proposal.author,
            engine=proposal.engine,
            stand_in=proposal.stand_in,
            created_ms=now_ms,
            diagnosis=proposal.diagnosis,
            commands=proposal.commands,
            recovery=self._recovery(report),
        )
        return plan_record(plan)

    def _recovery(self, report: Report) -> Recovery:
        """Return how the node tells that the fault is gone: by the very signal that raised it."""
        anomaly = report.anomaly
        return Recovery(
            metric=anomaly.metric,
            subject=anomaly.subject,
            clear_below=anomaly.clear_below,
            clear_for_ms=anomaly.clear_for_ms,
            deadline_ms=self._settings.verify_s * 1000,
        )

    # ------------------------------------------------------------ everything else

    async def tend(self) -> bool:
        """Judge, expire and escalate; False where there was nothing to do."""
        done = [
            await self._judge_waiting(),
            await self._expire(
                State.AWAITING, self._settings.decide_s, Event.EXPIRED, "nobody decided in time"
            ),
            await self._expire(
                State.APPROVED,
                self._settings.collect_s,
                Event.NOT_COLLECTED,
                "the node did not fetch the plan in time",
            ),
            await self._miss(),
            await self._escalate(),
        ]
        return any(done)

    async def _judge_waiting(self) -> bool:
        cases = await self._store.waiting(State.PLANNED, limit=PASS)
        for case in cases:
            await self._judge(case)
        return bool(cases)

    async def _judge(self, case: Case) -> None:
        """Judge the plan in force against the report in force."""
        report, record = await self._store.papers(case)
        assert record is not None
        plan, bound = record.plan, None
        if plan.event != case.event:
            # The node has reported the fault anew since: the same plan, bound to what it says now.
            plan = msgspec.structs.replace(
                plan, event=case.event, revision=plan.revision + 1, created_ms=self._clock()
            )
            record = bound = plan_record(plan)
        # A thread, because a hostile command may take a parser a good part of a second.
        judgement = await asyncio.to_thread(self._policy.judge, plan, report.context)
        runnable = any(c.verdict is Verdict.ALLOW for c in judgement.commands)
        event = Event.JUDGED_RUNNABLE if runnable else Event.JUDGED_REFUSED
        now_ms = self._clock()
        counts = ", ".join(
            f"{sum(c.verdict is verdict for c in judgement.commands)} {verdict.value}"
            for verdict in Verdict
        )
        entry = Entry(
            at_ms=now_ms,
            stage=Stage.VALIDATE,
            actor="hub",
            action=event.value,
            text=f"plan revision {record.revision}: {counts}",
            facts={"plan": record.digest, "policy": judgement.policy},
        )
        after = msgspec.structs.replace(
            case, verdict=judgement.verdict, plan_revision=record.revision
        )

        async def operation(work: UnitOfWork) -> None:
            moved = await move(work, case, event, after, entry)
            if bound is not None:
                await work.add_plan(case.id, moved.revision, bound)
            await work.judge_plan(case.id, record.revision, judgement)
            for remarked in _disagreements(plan, judgement, now_ms):
                remark(work, moved, remarked)

        await self._lose_gracefully(operation)

    async def _rejudge(self) -> None:
        """Send back what waits for an operator under other rules than today's: no node would take it.

        Only at the start, so that two hubs with different rules do not send it to and fro for ever.
        """
        for state in (State.AWAITING, State.REFUSED):
            for case in await self._store.waiting(state, limit=MANY):
                record = await self._store.plan(case)
                if record is None or record.judgement is None:
                    continue
                if record.judgement.policy == self._policy.digest:
                    continue
                entry = Entry(
                    at_ms=self._clock(),
                    stage=Stage.VALIDATE,
                    actor="hub",
                    action=Event.REVISED.value,
                    text="the policy has changed: the plan is judged again",
                    facts={"policy": self._policy.digest},
                )
                await self._move(case, Event.REVISED, case, entry)

    async def _expire(self, state: State, limit_s: int, event: Event, text: str) -> bool:
        now_ms = self._clock()
        cases = await self._store.waiting(
            state, entered_before_ms=now_ms - limit_s * 1000, limit=PASS
        )
        stage = Stage.APPROVE if state is State.AWAITING else Stage.TRANSPORT
        for case in cases:
            entry = Entry(at_ms=now_ms, stage=stage, actor="hub", action=event.value, text=text)
            await self._move(case, event, case, entry)
        return bool(cases)

    async def _miss(self) -> bool:
        """Hand over to a person what a silent node leaves open: it may have run, or run still."""
        now_ms, moved = self._clock(), False
        silent_ms = self._settings.silent_s * 1000
        for state in (State.EXECUTING, State.EXECUTED, State.FAILED):
            cases = await self._store.waiting(
                state, entered_before_ms=now_ms - silent_ms, limit=PASS
            )
            for case in cases:
                record = await self._store.plan(case)
                if record is None or now_ms - case.entered_ms <= silent_ms + _longest_ms(
                    record.plan
                ):
                    continue
                entry = Entry(
                    at_ms=now_ms,
                    stage=Stage.EXECUTE if state is State.EXECUTING else Stage.VERIFY,
                    actor="hub",
                    action=Event.NODE_SILENT.value,
                    text=f"{case.host} has not said how it ended: look at it before you act",
                )
                await self._move(case, Event.NODE_SILENT, case, entry)
                moved = True
        return moved

    async def _escalate(self) -> bool:
        cases = await self._store.waiting(State.UNRESOLVED, escalated=False, limit=PASS)
        for case in cases:
            entry = Entry(
                at_ms=self._clock(),
                stage=Stage.REASON,
                actor="hub",
                action=Event.ASKED_AGAIN.value,
                text="the plan did not help: the next step is asked for, once",
            )
            after = msgspec.structs.replace(case, attempt=case.attempt + 1, escalated=True)
            await self._move(case, Event.ASKED_AGAIN, after, entry)
        return bool(cases)

    async def _move(self, before: Case, event: Event, after: Case, entry: Entry) -> None:
        await self._lose_gracefully(lambda work: move(work, before, event, after, entry))

    async def _lose_gracefully(self, operation: Callable[[UnitOfWork], Awaitable[object]]) -> None:
        """Write, unless somebody has moved the incident meanwhile: then it is theirs."""
        try:
            await self._store.write(operation)
        except (errors.ConflictError, errors.LifecycleError) as error:
            log.info("moved by somebody else: %s", error.what, extra={"action": "race_lost"})
