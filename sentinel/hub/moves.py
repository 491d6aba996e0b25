"""The only two ways in which an incident comes to be or changes: `begin` and `move`.

Each is one compare-and-set together with its audit record and its lines of the timeline, in the
caller's transaction. An incident's revision is the number of that audit record.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from sentinel import errors, lifecycle
from sentinel.domain import Move, Stage, State
from sentinel.hub import audit
from sentinel.hub.cases import Case, line
from sentinel.hub.persist_writes import UnitOfWork
from sentinel.lifecycle import Event


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """What is written about a change: `text` for the timeline, `facts` for the audit record."""

    at_ms: int
    stage: Stage
    actor: str  # "hub", "node:web1" or "operator:alice"
    action: str
    text: str
    facts: dict[str, str] = msgspec.field(default_factory=dict)


async def begin(work: UnitOfWork, case: Case, entry: Entry, before: tuple[Move, ...] = ()) -> Case:
    """Open the incident `case` and return it with its revision.

    `before` are the lines of its timeline that tell what the node did before the hub knew.
    """
    (opened,) = await begin_all(work, [(case, entry, before)])
    return opened


async def begin_all(
    work: UnitOfWork, cases: Iterable[tuple[Case, Entry, tuple[Move, ...]]]
) -> list[Case]:
    """Open several incidents, each with its entry and the lines before it, and return them."""
    opened = []
    for case, entry, before in cases:
        seq = _record(work, case, entry)
        opened.append(msgspec.structs.replace(case, revision=seq))
        work.add_moves(case.id, seq, (*before, _line(entry, case.state)))
    await work.insert_case(*opened)
    return opened


async def move(
    work: UnitOfWork, before: Case, event: Event | None, after: Case, entry: Entry
) -> Case:
    """Apply `event` to the incident as it was read in `before`, and return it as it is now.

    `after` is `before` with whatever else changes; its state, revision and times are set here. Without
    an `event` the state stays as it is and only the rest changes.
    Raises LifecycleError where the state table has no such move, and ConflictError where the incident
    is no longer where `before` says; nothing is changed then.
    """
    state = lifecycle.advance(before.state, event) if event else before.state
    seq = _record(work, msgspec.structs.replace(after, state=state), entry)
    after = msgspec.structs.replace(
        after, state=state, revision=seq, updated_ms=max(entry.at_ms, before.updated_ms)
    )
    if event:
        after = msgspec.structs.replace(
            after, entered_ms=entry.at_ms, lease_owner="", lease_until_ms=0
        )
    if not await work.swap(before, after):
        raise errors.ConflictError(
            f"incident {before.id} is no longer {before.state.value} at revision {before.revision}",
            hint="read it again and decide again",
        )
    work.add_moves(after.id, seq, (_line(entry, state),))
    if after.papers.cleared and state in _WAITING and event is not Event.RECOVERED:
        return await _recover(work, after, entry.at_ms)
    return after


# An incident whose signal cleared while a plan was on its way, and which is now to wait for a person.
_WAITING = frozenset({State.AWAITING, State.MANUAL})


async def _recover(work: UnitOfWork, case: Case, at_ms: int) -> Case:
    entry = Entry(
        at_ms=at_ms,
        stage=Stage.VERIFY,
        actor=f"node:{case.host}",
        action=Event.RECOVERED.value,
        text="the signal had cleared in the meantime",
    )
    return await move(work, case, Event.RECOVERED, case, entry)


def remark(work: UnitOfWork, case: Case, entry: Entry) -> None:
    """Put into the record what is to be known of an incident and does not move it."""
    _record(work, case, entry)


def _record(work: UnitOfWork, case: Case, entry: Entry) -> int:
    body = audit.Body(
        seq=0,
        at_ms=entry.at_ms,
        action=entry.action,
        actor=entry.actor,
        incident=case.id,
        state=case.state.value,
        text=line(entry.text),
        facts=entry.facts,
    )
    return audit.append(work, body)


def _line(entry: Entry, state: State) -> Move:
    return Move(
        at_ms=entry.at_ms,
        stage=entry.stage,
        action=entry.action,
        actor=entry.actor,
        state=state,
        text=line(entry.text),
    )
