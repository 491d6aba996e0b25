"""The life of an incident: every transition there is, and nothing else.

Rule 1: every move of an incident between states is a row of `TRANSITIONS`. A pair that is not there
        is an error and nothing changes; there is no silent no-op.
Rule 2: this file does not know who asks. Who may cause an event is decided where the event enters
        (`hub/access.py`, `hub/approve.py`, `agent/admit.py`); here is only what is possible at all.
Rule 3: the database applies a move by compare-and-set on (id, state, revision) and writes its audit
        record in the same transaction; this table says which value to set.

Five moves go beyond the first sketch of this table, because people need them:
  - REVISED: an operator struck or edited a command; the new revision is judged afresh.
  - REHEARSED: a dry-run has ended. Nothing was changed, so nothing can have recovered because of it:
    the plan awaits its decision again, under a fresh challenge from the node.
  - NODE_SILENT: the node that ran the plan has not come back. What it did is not known, so no machine
    goes on from there; what it says later is kept, and its verification can still resolve.
  - STOPPED: a person stopped the plan before its last command. Whoever did so decides what comes next,
    so the plan awaits a decision again, and no machine asks for another one.
  - APPROVAL_VOID: the node holds an approval for void of which nothing ran, and has made a fresh
    challenge: the plan can be approved again.
"""

from __future__ import annotations

from enum import StrEnum, unique

from sentinel.domain import Severity, State
from sentinel.errors import LifecycleError
from sentinel.protocol import Order


@unique
class Event(StrEnum):
    """What can happen to an incident."""

    PLAN_MADE = "plan-made"
    JUDGED_RUNNABLE = "judged-runnable"
    JUDGED_REFUSED = "judged-refused"
    REVISED = "revised"
    APPROVED = "approved"
    REJECTED = "rejected"
    EXPIRED = "expired"
    ASKED_AGAIN = "asked-again"
    TAKEN_OVER = "taken-over"
    ADMITTED = "admitted"
    NODE_REFUSED = "node-refused"
    NOT_COLLECTED = "not-collected"
    NODE_SILENT = "node-silent"
    APPROVAL_VOID = "approval-void"
    STOPPED = "stopped"
    REHEARSED = "rehearsed"
    ALL_RAN = "all-ran"
    ONE_FAILED = "one-failed"
    RECOVERED = "recovered"
    DEADLINE_PASSED = "deadline-passed"
    MERGED = "merged"
    CLOSED_BY_HAND = "closed-by-hand"


@unique
class Server(StrEnum):
    """Whose turn it is to move an incident on."""

    HUB = "hub"
    OPERATOR = "operator"
    NODE = "node"
    NOBODY = "nobody"


SERVED_BY: dict[State, Server] = {
    State.REPORTED: Server.HUB,
    State.PLANNED: Server.HUB,
    State.AWAITING: Server.OPERATOR,
    State.REFUSED: Server.OPERATOR,
    State.APPROVED: Server.NODE,
    State.EXECUTING: Server.NODE,
    State.EXECUTED: Server.NODE,
    State.FAILED: Server.NODE,
    State.UNRESOLVED: Server.OPERATOR,
    State.MANUAL: Server.OPERATOR,
    State.RESOLVED: Server.NOBODY,
    State.CLOSED: Server.NOBODY,
}

# In which order a person should look at them: a decision that waits, a plan that failed them, what is in
# somebody's hands, what goes on by itself, what is over. The hub's pages and the terminal both sort by it.
TURN: dict[State, int] = {
    **dict.fromkeys(State, 3),
    State.AWAITING: 0,
    State.REFUSED: 1,
    State.UNRESOLVED: 1,
    State.MANUAL: 2,
    State.RESOLVED: 4,
    State.CLOSED: 4,
}
LIFE: dict[State, int] = {state: at for at, state in enumerate(State)}
RANK: dict[Severity, int] = {Severity.CRITICAL: 0, Severity.WARNING: 1, Severity.INFO: 2}

TRANSITIONS: dict[State, dict[Event, State]] = {
    State.REPORTED: {
        Event.PLAN_MADE: State.PLANNED,
        Event.RECOVERED: State.RESOLVED,
        Event.MERGED: State.CLOSED,
    },
    State.PLANNED: {
        Event.JUDGED_RUNNABLE: State.AWAITING,
        Event.JUDGED_REFUSED: State.REFUSED,
        Event.RECOVERED: State.RESOLVED,
    },
    State.AWAITING: {
        Event.APPROVED: State.APPROVED,
        Event.REJECTED: State.MANUAL,
        Event.EXPIRED: State.MANUAL,
        Event.ASKED_AGAIN: State.REPORTED,
        Event.REVISED: State.PLANNED,
        Event.RECOVERED: State.RESOLVED,
    },
    State.REFUSED: {
        Event.ASKED_AGAIN: State.REPORTED,
        Event.REVISED: State.PLANNED,
        Event.TAKEN_OVER: State.MANUAL,
        Event.RECOVERED: State.RESOLVED,
    },
    State.APPROVED: {
        Event.ADMITTED: State.EXECUTING,
        Event.NODE_REFUSED: State.MANUAL,
        Event.APPROVAL_VOID: State.AWAITING,
        Event.NOT_COLLECTED: State.MANUAL,
    },
    State.EXECUTING: {
        Event.REHEARSED: State.AWAITING,
        Event.STOPPED: State.AWAITING,
        Event.ALL_RAN: State.EXECUTED,
        Event.ONE_FAILED: State.FAILED,
        Event.NODE_SILENT: State.MANUAL,
    },
    State.EXECUTED: {
        Event.RECOVERED: State.RESOLVED,
        Event.DEADLINE_PASSED: State.UNRESOLVED,
        Event.NODE_SILENT: State.MANUAL,
    },
    State.FAILED: {
        Event.RECOVERED: State.RESOLVED,
        Event.DEADLINE_PASSED: State.UNRESOLVED,
        Event.NODE_SILENT: State.MANUAL,
    },
    State.UNRESOLVED: {
        Event.ASKED_AGAIN: State.REPORTED,
        Event.TAKEN_OVER: State.MANUAL,
        Event.RECOVERED: State.RESOLVED,
    },
    State.MANUAL: {
        Event.RECOVERED: State.RESOLVED,
        Event.CLOSED_BY_HAND: State.CLOSED,
    },
    State.RESOLVED: {},
    State.CLOSED: {},
}

TERMINAL = frozenset(state for state, moves in TRANSITIONS.items() if not moves)
OPEN = frozenset(State) - TERMINAL


def advance(state: State, event: Event) -> State:
    """Return the state that `event` leads to from `state`.

    Raises LifecycleError where the table has no such pair; the caller has changed nothing yet.
    """
    try:
        return TRANSITIONS[state][event]
    except KeyError:
        possible = ", ".join(sorted(e.value for e in TRANSITIONS[state])) or "nothing: it is final"
        raise LifecycleError(
            f"an incident that is {state.value} cannot be {event.value}",
            hint=f"from {state.value} it can be: {possible}",
        ) from None


def urgency(state: State, severity: Severity) -> int:
    """Return what orders incidents for a person, the lowest first; of equals the newest is first."""
    return TURN[state] * len(RANK) + RANK[severity]


def rank(order: Order, state: State, severity: Severity) -> int:
    """Return what orders a list, the lowest first; by host and kind it orders those of one name."""
    match order:
        case Order.URGENCY | Order.HOST | Order.KIND:
            return urgency(state, severity)
        case Order.AGE:
            return 0
        case Order.SEVERITY:
            return RANK[severity] * len(State) + TURN[state]
        case Order.STATE:
            return LIFE[state] * len(RANK) + RANK[severity]


def diagram() -> str:
    """Return the state diagram as Mermaid text; DESIGN.md carries it and CI compares."""
    lines = ["stateDiagram-v2", "    [*] --> reported"]
    for state, moves in TRANSITIONS.items():
        lines += [f"    {state.value} --> {to.value}: {event.value}" for event, to in moves.items()]
        if not moves:
            lines.append(f"    {state.value} --> [*]")
    return "\n".join(lines)
