"""A window on a long list: contiguous, bounded, and the same rows as the hub has there, whatever moves."""

from __future__ import annotations

import random
from functools import partial

import msgspec
import pytest

from sentinel.domain import Severity, State
from sentinel.protocol import ListRequest, Order, Page
from sentinel.tui.filters import accepts, parse
from sentinel.tui.window import KEPT, NEAR, PAGE, Window, key
from tests.unit.tui.test_store import summary

STATES = (State.AWAITING, State.MANUAL, State.EXECUTING, State.REPORTED)


class Hub:
    """Answers pages as the hub's statement does."""

    def __init__(self, count, by=Order.URGENCY):
        self.key = partial(key, order=by)
        self.rows = {}
        self.revision = 0
        for number in range(count):
            self.change(number, random.choice(STATES))

    def change(self, number, state):
        self.revision += 1
        severity, host = random.choice(list(Severity)), f"web-{number % 7}"
        made = summary(number, state, revision=self.revision, severity=severity, host=host)
        self.rows[made.id] = made
        return made

    def order(self, request=None):
        request = request or ListRequest()
        return sorted(
            (
                s
                for s in self.rows.values()
                if accepts(request.terms, s)
                and not (request.open_only and s.state in (State.RESOLVED, State.CLOSED))
            ),
            key=self.key,
        )

    def answer(self, request: ListRequest) -> Page:
        order = self.order(request)
        if request.place is not None:
            at = self.key(request.place)
            order = [s for s in order if (self.key(s) < at if request.up else self.key(s) > at)]
        part = order[-request.limit :] if request.up else order[: request.limit]
        return Page(summaries=tuple(part), revision=self.revision, more=len(order) > len(part))


def load(window, hub, request):
    assert window.page(request, hub.answer(request), {})


def contiguous(window, hub):
    """Assert that the window is a piece of the hub's list, with nothing missing and nothing beside."""
    order = [s.id for s in hub.order(ListRequest(terms=window.terms, open_only=not window.ended))]
    shown = [s.id for s in window.rows]
    start = order.index(shown[0])
    assert shown == order[start : start + len(shown)]
    assert window.above is (start > 0)
    assert window.below is (start + len(shown) < len(order))


@pytest.mark.parametrize("by", Order)
def test_it_pages_down_to_the_end_and_up_again(by):
    hub, window, at = Hub(3000, by), Window(order=by), 0
    load(window, hub, window.wanted(0))
    assert len(window.rows) == PAGE
    seen = {s.id for s in window.rows}
    while (request := window.wanted(len(window.rows) - 1)) is not None and not request.up:
        load(window, hub, request)
        contiguous(window, hub)
        seen |= {s.id for s in window.rows}
        assert len(window.rows) <= KEPT
    assert len(seen) == 3000
    while (request := window.wanted(at)) is not None and request.up:
        load(window, hub, request)
        contiguous(window, hub)
    assert not window.above


def test_both_ends_are_one_request_away():
    hub, window = Hub(1000), Window()
    load(window, hub, window.edge(1))
    assert [s.id for s in window.rows] == [s.id for s in hub.order()[-PAGE:]]
    assert (window.above, window.below) == (True, False)
    load(window, hub, window.edge(-1))
    contiguous(window, hub)


def test_no_page_is_asked_for_far_from_the_ends():
    hub, window = Hub(1000), Window()
    load(window, hub, window.edge(-1))
    assert window.wanted(PAGE - NEAR - 1) is None
    assert not window.wanted(PAGE - NEAR).up


@pytest.mark.parametrize("seed", range(5))
def test_updates_keep_it_true_wherever_incidents_move(seed):
    random.seed(seed)
    by = random.choice(list(Order))
    hub, window = Hub(900, by), Window(order=by)
    load(window, hub, window.edge(-1))
    for _ in range(200):
        if random.random() < 0.1:
            request = window.wanted(random.choice((0, len(window.rows) - 1)))
            if request:
                load(window, hub, request)
        number = random.choice((random.randrange(900), 900 + random.randrange(50)))
        window.update(hub.change(number, random.choice((*STATES, State.RESOLVED))))
        contiguous(window, hub)


def test_an_update_overtakes_a_page_that_is_on_its_way():
    hub, window = Hub(500), Window()
    load(window, hub, window.edge(-1))
    request = window.wanted(PAGE)
    page = hub.answer(request)
    moved = page.summaries[3]
    newer = msgspec.structs.replace(moved, revision=9999, state=State.RESOLVED)
    hub.rows[newer.id] = newer
    window.update(newer)
    assert window.page(request, page, {newer.id: newer})
    contiguous(window, hub)


def test_an_answer_to_another_question_is_dropped():
    hub, window = Hub(600), Window()
    first = window.edge(-1)
    load(window, hub, first)
    stale = window.wanted(PAGE)
    load(window, hub, stale)
    assert not window.page(stale, hub.answer(stale), {})
    for change in ({"terms": parse("host=x")}, {"order": Order.HOST}, {"before": "i000009"}):
        other = msgspec.structs.replace(first, **change)
        assert not window.page(other, hub.answer(other), {})
    contiguous(window, hub)


def test_a_storm_at_the_top_does_not_grow_it_without_bound():
    hub, window = Hub(100), Window()
    load(window, hub, window.edge(-1))
    assert window.whole
    for number in range(100, 100 + 2 * KEPT):
        window.update(hub.change(number, State.AWAITING))
    assert len(window.rows) <= 2 * KEPT
    contiguous(window, hub)
