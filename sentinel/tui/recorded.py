"""A recording that answers like a hub: `sentinel-tui --demo`, the pictures and the tests use it.

Nothing here runs anything. The incidents are domain values read from a file; a decision plays the
continuation that was recorded for it, at the speed at which it was recorded. The checks that the hub
makes of a decision are made here too, so that what the demo lets through, a hub would.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import AsyncIterator, Callable
from functools import partial

import msgspec

from sentinel import canonical, errors, protocol
from sentinel.domain import (
    Choice,
    Digest,
    Incident,
    Mode,
    Move,
    Stage,
    State,
    Statement,
    Value,
    Verdict,
)
from sentinel.lifecycle import TERMINAL, Event, advance
from sentinel.tui import filters, window
from sentinel.tui.recording import Recording, Step, logged, rehearsal, runbooks, services

SIGN_OF_LIFE_S = 5.0
STATEMENT_BYTES = 8192

_ACTS = {
    protocol.Action.ASK_AGAIN: Event.ASKED_AGAIN,
    protocol.Action.TAKE_OVER: Event.TAKEN_OVER,
    protocol.Action.CLOSE: Event.CLOSED_BY_HAND,
}


class RecordedHub:
    """A `client.Port` over a recording."""

    def __init__(
        self, recording: Recording, clock: Callable[[], int], *, alone: bool = True
    ) -> None:
        """`clock` runs in the recording's time; `alone` lets incidents go on by themselves."""
        self._recording = recording
        self._clock = clock
        self._by_id = {r.incident.summary.id: r for r in recording.incidents}
        self._now = {i: r.incident for i, r in self._by_id.items()}
        self._revision = max((i.summary.revision for i in self._now.values()), default=0)
        self._audit = list(recording.audit)
        self._due: list[tuple[int, int, str, Step]] = []  # when, tie-break, incident, step
        self._tie = itertools.count()
        self._changed = asyncio.Event()
        if alone:
            for name, recorded in self._by_id.items():
                self._play(name, recorded.alone)

    async def close(self) -> None:
        """There is nothing to close."""

    async def call(self, request: Value) -> Value:
        """Answer as the hub would; OperatorError or ConflictError where it would refuse."""
        match request:
            case protocol.StatusRequest():
                return self._status()
            case protocol.ListRequest():
                return self._page(request)
            case protocol.GetRequest():
                return self._get(request.incident)
            case protocol.DecideRequest():
                return self._decide(request)
            case protocol.ActRequest():
                return self._act(request)
            case protocol.AgentsRequest():
                return self._agents()
            case protocol.AuditRequest():
                return self._audit_page(request)
            case protocol.ReviseRequest():
                return self._revise(request)
            case _:
                return self._recalled(request)

    def _recalled(self, request: Value) -> Value:
        match request:
            case protocol.RunbooksRequest():
                known = runbooks(self._recording.runbooks, self._now.values())
                return protocol.Runbooks(runbooks=known)
            case protocol.ServicesRequest():
                return services(self._now.values())
            case _:
                raise errors.OperatorError(f"the recording knows no {type(request).__name__}")

    async def watch(self, since: int) -> AsyncIterator[protocol.Update]:
        """Yield the status, what changed after `since`, and then the recording as it plays."""
        while True:
            yield protocol.Update(revision=since, status=self._status())
            self._changed.clear()
            self._advance()
            for incident in sorted(self._now.values(), key=lambda i: i.summary.revision):
                if incident.summary.revision > since:
                    since = incident.summary.revision
                    yield protocol.Update(revision=since, summary=incident.summary)
            await self._wait()

    async def _wait(self) -> None:
        """Wait for a decision, the next step, or the next sign of life."""
        delay = SIGN_OF_LIFE_S
        if self._due:
            delay = min(delay, max(0.0, (self._due[0][0] - self._clock()) / 1000))
        try:
            async with asyncio.timeout(delay):
                await self._changed.wait()
        except TimeoutError:
            return

    def _play(self, incident: str, steps: tuple[Step, ...]) -> None:
        at_ms = self._clock()
        for step in steps:
            at_ms += step.after_ms
            heapq.heappush(self._due, (at_ms, next(self._tie), incident, step))

    def _advance(self) -> None:
        """Apply the steps whose time has come."""
        while self._due and self._due[0][0] <= self._clock():
            at_ms, _, name, step = heapq.heappop(self._due)
            self._apply(name, step, at_ms)

    def _apply(self, name: str, step: Step, at_ms: int) -> None:
        before = self._now[name]
        if before.summary.state in TERMINAL:
            return
        report = before.report
        if step.challenge is not None:
            report = msgspec.structs.replace(report, challenge=step.challenge)
        results = before.results
        if step.result is not None:
            index = step.result.index
            results = (*(r for r in results if r.index != index), step.result)
        move = Move(
            at_ms=at_ms,
            stage=step.stage,
            action=step.action,
            actor=step.actor,
            state=step.state,
            text=step.text,
        )
        after = msgspec.structs.replace(
            before,
            report=report,
            results=results,
            admission=step.admission or before.admission,
            verification=step.verification or before.verification,
        )
        self._moved(after, move)

    def _moved(self, incident: Incident, move: Move) -> Incident:
        """Store `incident` as it is after `move`, under the next revision, with its audit record."""
        self._revision += 1
        summary = msgspec.structs.replace(
            incident.summary, state=move.state, revision=self._revision, updated_ms=move.at_ms
        )
        after = msgspec.structs.replace(incident, summary=summary, moves=(*incident.moves, move))
        self._now[summary.id] = after
        seq = self._audit[-1].seq + 1 if self._audit else 1
        self._audit.append(logged(seq, move, summary.id))
        self._changed.set()
        return after

    def _status(self) -> protocol.HubStatus:
        states = [incident.summary.state for incident in self._now.values()]
        return msgspec.structs.replace(
            self._recording.status,
            now_ms=self._clock(),
            open_incidents=sum(state not in TERMINAL for state in states),
            need_decision=states.count(State.AWAITING),
        )

    def _agents(self) -> protocol.Agents:
        """Return the nodes; those that are connected go on being heard."""
        passed = self._clock() - self._recording.at_ms
        return protocol.Agents(
            agents=tuple(
                msgspec.structs.replace(a, last_seen_ms=a.last_seen_ms + passed)
                if a.connected
                else a
                for a in self._recording.agents
            )
        )

    def _page(self, request: protocol.ListRequest) -> protocol.Page:
        newest = sorted((i.summary for i in self._now.values()), key=lambda s: s.id, reverse=True)
        chosen = [
            summary
            for summary in newest
            if not (request.open_only and summary.state in TERMINAL)
            and (request.before is None or summary.id < request.before)
            and filters.accepts(request.terms, summary)
        ]
        # A recording fits in one page, whatever the place.
        chosen.sort(key=partial(window.key, order=request.order))
        return protocol.Page(
            summaries=tuple(chosen[: request.limit]),
            revision=self._revision,
            more=len(chosen) > request.limit,
        )

    def _get(self, incident: str) -> Incident:
        found = [i for i in self._now if i.startswith(incident) or i.endswith(incident)]
        if len(found) != 1:
            raise errors.OperatorError(f"there is no incident {incident}")
        return self._now[found[0]]

    def _audit_page(self, request: protocol.AuditRequest) -> protocol.AuditPage:
        records = [r for r in self._audit if request.incident in (None, r.incident)]
        if request.after < 0:
            return protocol.AuditPage(records=tuple(records[-request.limit :]))
        later = [record for record in records if record.seq > request.after]
        return protocol.AuditPage(records=tuple(later[: request.limit]))

    def _decide(self, request: protocol.DecideRequest) -> Incident:
        statement = canonical.decode(Statement, request.statement.encode(), limit=STATEMENT_BYTES)
        incident = self._get(statement.incident)
        self._check(statement, incident)
        approved = statement.choice is Choice.APPROVE
        follows = self._continuation(statement, incident) if approved else ()
        event = Event.APPROVED if approved else Event.REJECTED
        move = Move(
            at_ms=self._clock(),
            stage=Stage.APPROVE,
            action=event.value,
            actor=f"operator:{statement.operator}",
            state=advance(incident.summary.state, event),
            text=f"{event.value} by {statement.operator}, {statement.mode.value}"
            + (f": {statement.reason}" if statement.reason else ""),
        )
        decided = msgspec.structs.replace(
            incident, decision=statement, decider=statement.operator, results=(), admission=None
        )
        after = self._moved(decided, move)
        self._play(statement.incident, follows)
        return after

    def _continuation(self, statement: Statement, incident: Incident) -> tuple[Step, ...]:
        """Return what follows an approval: a rehearsal is made up, a live run was recorded."""
        if statement.mode is Mode.DRY_RUN:
            return tuple(rehearsal(incident))
        recorded = self._by_id[statement.incident]
        if not recorded.live or recorded.incident.plan_digest != statement.plan:
            raise errors.OperatorError(
                "no live run of this plan was recorded", hint="rehearse it: press t"
            )
        return recorded.live

    def _revise(self, request: protocol.ReviseRequest) -> Incident:
        """Strike commands; what a new command is worth only a hub can say."""
        incident = self._get(request.incident)
        self._as_seen(incident, request.revision)
        plan, judgement = incident.plan, incident.judgement
        assert plan is not None
        assert judgement is not None
        known = dict(zip((c.text for c in plan.commands), judgement.commands, strict=True))
        unknown = [c.text for c in request.commands if c.text not in known]
        if unknown or not request.commands:
            raise errors.OperatorError(
                "the recording can only strike commands", hint="edit them with `sentinel demo`"
            )
        operator = self._recording.status.operator
        revised = msgspec.structs.replace(
            plan, revision=plan.revision + 1, author=operator, commands=request.commands
        )
        digest = canonical.digest_of(revised)
        kept = tuple(known[command.text] for command in request.commands)
        worst = max((each.verdict for each in kept), key=list(Verdict).index)
        judged = msgspec.structs.replace(judgement, plan=digest, verdict=worst, commands=kept)
        advance(incident.summary.state, Event.REVISED)
        runnable = any(each.verdict is Verdict.ALLOW for each in kept)
        after = msgspec.structs.replace(
            incident,
            plan=revised,
            plan_digest=digest,
            judgement=judged,
            summary=msgspec.structs.replace(incident.summary, verdict=worst),
            results=(),
        )
        move = Move(
            at_ms=self._clock(),
            stage=Stage.VALIDATE,
            action=Event.REVISED.value,
            actor=f"operator:{operator}",
            state=State.AWAITING if runnable else State.REFUSED,
            text=f"plan revision {revised.revision} by {operator}",
        )
        return self._moved(after, move)

    def _check(self, statement: Statement, incident: Incident) -> None:
        """Raise ConflictError unless `statement` is about the incident as it is now."""
        advance(incident.summary.state, Event.APPROVED)
        now = (
            incident.report.event,
            incident.summary.host,
            incident.plan_digest,
            incident.judgement.policy if incident.judgement else Digest(""),
            incident.report.challenge,
        )
        said = (
            statement.event,
            statement.host,
            statement.plan,
            statement.policy,
            statement.challenge,
        )
        if said != now or not statement.issued_ms <= self._clock() < statement.expires_ms:
            raise errors.ConflictError(
                "the incident has changed since you read it", hint="read it again"
            )

    def _act(self, request: protocol.ActRequest) -> Incident:
        incident = self._get(request.incident)
        if request.action is protocol.Action.STOP:
            raise errors.OperatorError(
                "a recording goes on to its end",
                hint="stop a real plan with `sentinel demo --live`",
            )
        self._as_seen(incident, request.revision)
        operator = self._recording.status.operator
        event = _ACTS.get(request.action)
        if event is None:
            return self._own(incident, operator, request)
        move = Move(
            at_ms=self._clock(),
            stage=Stage.APPROVE,
            action=event.value,
            actor=f"operator:{operator}",
            state=advance(incident.summary.state, event),
            text=f"{event.value} by {operator}: {request.note}",
        )
        taken = request.action is protocol.Action.TAKE_OVER
        return self._moved(_owned(incident, operator) if taken else incident, move)

    def _own(self, incident: Incident, operator: str, request: protocol.ActRequest) -> Incident:
        """Note who is on it; the recording has one person."""
        summary, releases = incident.summary, request.action is protocol.Action.RELEASE
        if summary.state in TERMINAL or (releases and not summary.owner):
            raise errors.OperatorError("the incident has ended, or nobody is on it")
        action = "released" if releases else "acknowledged"
        move = Move(
            at_ms=self._clock(),
            stage=Stage.PERSIST,
            action=action,
            actor=f"operator:{operator}",
            state=summary.state,
            text=f"{action} by {operator}" + (f": {request.note}" if request.note else ""),
        )
        return self._moved(_owned(incident, "" if releases else operator), move)

    @staticmethod
    def _as_seen(incident: Incident, revision: int) -> None:
        if incident.summary.revision != revision:
            raise errors.ConflictError(
                "the incident has changed since you read it", hint="read it again"
            )


def _owned(incident: Incident, owner: str) -> Incident:
    summary = msgspec.structs.replace(incident.summary, owner=owner)
    return msgspec.structs.replace(incident, summary=summary)
