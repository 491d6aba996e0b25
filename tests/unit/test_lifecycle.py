from __future__ import annotations

from collections import deque

import pytest

from sentinel import lifecycle
from sentinel.domain import State
from sentinel.errors import LifecycleError
from sentinel.lifecycle import SERVED_BY, TERMINAL, TRANSITIONS, Event, Server, advance


def reachable(start, without=()):
    seen, queue = {start}, deque([start])
    while queue:
        for event, to in TRANSITIONS[queue.popleft()].items():
            if to not in seen and event not in without:
                seen.add(to)
                queue.append(to)
    return seen


def test_every_state_has_a_row_and_a_server():
    assert set(TRANSITIONS) == set(SERVED_BY) == set(State)


def test_every_state_can_be_reached_and_every_event_is_used():
    assert reachable(State.REPORTED) == set(State)
    assert {event for row in TRANSITIONS.values() for event in row} == set(Event)


def test_every_incident_can_end():
    assert all(reachable(state) & TERMINAL for state in State)


def test_a_final_state_has_no_way_out():
    assert {State.RESOLVED, State.CLOSED} == TERMINAL
    assert all(SERVED_BY[state] is Server.NOBODY for state in TERMINAL)


def test_nothing_executes_without_an_approval_and_an_admission():
    assert State.EXECUTING not in reachable(State.REPORTED, without={Event.APPROVED})
    assert State.EXECUTING not in reachable(State.REPORTED, without={Event.ADMITTED})


def test_a_refused_plan_cannot_be_approved_as_it_is():
    assert Event.APPROVED not in TRANSITIONS[State.REFUSED]


def test_a_missing_pair_is_an_error_that_says_what_is_possible():
    with pytest.raises(LifecycleError, match="resolved cannot be approved") as refusal:
        advance(State.RESOLVED, Event.APPROVED)
    assert "nothing: it is final" in refusal.value.hint
    with pytest.raises(LifecycleError) as refusal:
        advance(State.MANUAL, Event.APPROVED)
    assert refusal.value.hint == "from manual it can be: closed-by-hand, recovered"


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("event", Event)
def test_advance_says_what_the_table_says(state, event):
    if event in TRANSITIONS[state]:
        assert advance(state, event) is TRANSITIONS[state][event]
    else:
        with pytest.raises(LifecycleError):
            advance(state, event)


def test_the_diagram_has_every_transition():
    lines = lifecycle.diagram().splitlines()
    assert sum(": " in line for line in lines) == sum(len(row) for row in TRANSITIONS.values())
