"""What else an operator may do: act on an incident by hand, or revise its plan. None of it runs anything.

Each is a compare-and-set on the revision that the operator saw, but for a stop: that is about a run.
"""

from __future__ import annotations

from functools import partial

import msgspec

from sentinel import errors, lifecycle
from sentinel.domain import Incident, Stage, State, Statement, Stopping
from sentinel.hub.approve import existing, plan_record
from sentinel.hub.cases import Case, line
from sentinel.hub.moves import Entry, move
from sentinel.hub.persist import Store
from sentinel.hub.persist_writes import UnitOfWork
from sentinel.lifecycle import Event
from sentinel.protocol import Action, ActRequest, ReviseRequest


async def act(store: Store, operator: str, request: ActRequest, now_ms: int) -> Incident:
    """Ask again, take over, close, acknowledge or release, if the incident is as the operator saw it.

    Or stop its plan, however far that has come since.

    Raises ConflictError where it has changed since, LifecycleError where its state has no such move.
    """
    if request.action is Action.CLOSE and not request.note.strip():
        raise errors.OperatorError(
            "closing without a note", hint="say what was done: whoever comes next will read it"
        )
    operation = _stop if request.action is Action.STOP else _act
    await store.write(partial(operation, operator=operator, request=request, now_ms=now_ms))
    return await store.incident(request.incident)


_ACTS = {
    Action.ASK_AGAIN: Event.ASKED_AGAIN,
    Action.TAKE_OVER: Event.TAKEN_OVER,
    Action.CLOSE: Event.CLOSED_BY_HAND,
}


_STOPS = {State.APPROVED: Event.APPROVAL_VOID}  # else STOPPED: what a stop leads to


async def _act(work: UnitOfWork, operator: str, request: ActRequest, now_ms: int) -> None:
    case = await _as_seen(work, request.incident, request.revision)
    event = _ACTS.get(request.action)
    if event is None:
        await _own(work, case, operator, request, now_ms)
        return
    entry = Entry(
        at_ms=now_ms,
        stage=Stage.APPROVE,
        actor=f"operator:{operator}",
        action=event.value,
        text=f"{event.value} by {operator}" + (f": {request.note}" if request.note else ""),
    )
    after = case
    if request.action is Action.ASK_AGAIN:
        after = msgspec.structs.replace(case, attempt=case.attempt + 1)
    elif request.action is Action.TAKE_OVER:
        after = msgspec.structs.replace(case, owner=operator)
    await move(work, case, event, after, entry)


async def _own(
    work: UnitOfWork, case: Case, operator: str, request: ActRequest, now_ms: int
) -> None:
    """Note who is on the incident; it stays in its state, and who may decide stays as it is."""
    releases = request.action is Action.RELEASE
    if not case.is_open:
        raise errors.LifecycleError(
            f"incident {case.id} has ended: it is {case.state.value}, and nobody has to be on it",
            hint="only an open incident can be acknowledged or released",
        )
    if releases and not case.owner:
        raise errors.OperatorError(
            f"nobody is on incident {case.id}", hint="only what somebody is on can be released"
        )
    told = _released(operator, case.owner) if releases else _acknowledged(operator, case.owner)
    owner = "" if releases else operator
    entry = Entry(
        at_ms=now_ms,
        # Every incident has passed it: on the stage bar this is no approval, and no other progress.
        stage=Stage.PERSIST,
        actor=f"operator:{operator}",
        action="released" if releases else "acknowledged",
        text=told + (f": {request.note}" if request.note else ""),
        facts={"owner": owner},
    )
    await move(work, case, None, msgspec.structs.replace(case, owner=owner), entry)


def _acknowledged(operator: str, before: str) -> str:
    """Return the timeline's line; `before` is who was on it."""
    if before == operator:
        return f"acknowledged again by {operator}"
    return f"acknowledged by {operator}" + (f" instead of {before}" if before else "")


def _released(operator: str, before: str) -> str:
    return f"released by {operator}" + (f" for {before}" if before != operator else "")


async def _stop(work: UnitOfWork, operator: str, request: ActRequest, now_ms: int) -> None:
    """Note that nothing more of the plan under way is to start; the node answers what that comes to.

    A bundle that may have left cannot be called back from here, so the state is the node's to change.
    """
    case = await existing(work, request.incident)
    lifecycle.advance(case.state, _STOPS.get(case.state, Event.STOPPED))
    decision = await work.decision(case)
    assert decision is not None
    # How far it has come changes with every word of the node, and is no reason not to stop it.
    if request.revision < decision.seq:
        raise errors.ConflictError(
            f"incident {case.id} has been approved since revision {request.revision}",
            hint="read it again: it is another run than the one you saw",
        )
    if (before := case.papers.stopping) is not None:
        raise errors.ConflictError(
            f"{before.by} has stopped it already",
            hint="what runs is left to end, and nothing starts after it",
        )
    stopping = Stopping(
        challenge=msgspec.json.decode(decision.statement, type=Statement).challenge,
        by=operator,
        reason=line(request.note),
        asked_ms=now_ms,
    )
    entry = Entry(
        at_ms=now_ms,
        stage=Stage.EXECUTE,
        actor=f"operator:{operator}",
        action="stop-asked",
        text=f"stop asked for by {operator}" + (f": {request.note}" if request.note else ""),
        facts={"challenge": stopping.challenge},
    )
    papers = msgspec.structs.replace(case.papers, stopping=stopping)
    await move(work, case, None, msgspec.structs.replace(case, papers=papers), entry)


async def _as_seen(work: UnitOfWork, incident: str, revision: int) -> Case:
    case = await existing(work, incident)
    if case.revision != revision:
        moves = await work.moves(incident)
        last = f"; last by {moves[-1].actor}: {moves[-1].text}" if moves else ""
        raise errors.ConflictError(
            f"incident {incident} has changed since revision {revision}{last}",
            hint="read it again and decide again",
        )
    return case


async def revise(store: Store, operator: str, request: ReviseRequest, now_ms: int) -> Incident:
    """Replace the plan's commands by a new revision in the operator's name, to be judged afresh.

    Raises ConflictError where the incident has changed since the operator saw it, LifecycleError where
    its state has no plan to revise, WireError where a command is out of bounds, and OperatorError where
    nothing would be left.
    """
    if not request.commands:
        raise errors.OperatorError(
            "a revision without a command", hint="reject the plan or take the incident over"
        )
    await store.write(partial(_revise, operator=operator, request=request, now_ms=now_ms))
    return await store.incident(request.incident)


async def _revise(work: UnitOfWork, operator: str, request: ReviseRequest, now_ms: int) -> None:
    case = await _as_seen(work, request.incident, request.revision)
    old = await work.plan(case)
    if old is None:
        raise errors.OperatorError(f"incident {case.id} has no plan yet")
    revised = msgspec.structs.replace(
        old.plan,
        event=case.event,
        revision=case.plan_revision + 1,
        author=operator,
        engine=f"operator:{operator}",
        stand_in="",
        created_ms=now_ms,
        commands=request.commands,
    )
    plan = plan_record(revised)
    entry = Entry(
        at_ms=now_ms,
        stage=Stage.APPROVE,
        actor=f"operator:{operator}",
        action=Event.REVISED.value,
        text=f"plan revision {plan.revision} by {operator}",
        facts={"plan": plan.digest},
    )
    after = msgspec.structs.replace(case, plan_revision=plan.revision, verdict=None)
    moved = await move(work, case, Event.REVISED, after, entry)
    await work.add_plan(case.id, moved.revision, plan)
