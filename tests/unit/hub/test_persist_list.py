"""The list's order and filter in the database are those of the terminal, on both sorts of database."""

from __future__ import annotations

import random

import msgspec
import pytest

from sentinel.domain import Kind, Severity, State, Verdict
from sentinel.hub import intake
from sentinel.protocol import Letter, ListRequest, Place
from sentinel.tui import filters, window
from tests.unit.hub import builders as b

HOSTS = ("web1", "web-2", "db-01")


@pytest.fixture
async def filled(store):
    """Forty incidents in every state and severity, as the door that writes them leaves them."""
    random.seed(7)
    for number in range(40):
        host = random.choice(HOSTS)
        report = b.report(
            host=host,
            rule=f"r{number}",
            severity=random.choice(list(Severity)),
            kind=random.choice((Kind.MEMORY, Kind.CPU)),
        )
        await intake.take(store, host, Letter(id=b.ident(), report=report), b.NOW + number)
    page = await store.page(open_only=False, before=None, limit=500)
    for summary in page.summaries:

        async def change(work, incident=summary.id):
            case = await work.case(incident)
            state = random.choice(list(State))
            after = msgspec.structs.replace(
                case,
                state=state,
                verdict=random.choice((None, *Verdict)),
                owner=random.choice(("", "", "ann", "anna-b", "bob")),
            )
            assert await work.swap(case, after)

        await store.write(change)
    return (await store.page(open_only=False, before=None, limit=500)).summaries


def ids(summaries):
    return [summary.id for summary in summaries]


async def test_pages_in_the_urgent_order_are_the_terminals_order(store, filled):
    order = ids(sorted(filled, key=window.key))
    for up in (False, True):
        seen, place = [], None
        while True:
            request = ListRequest(open_only=False, urgent=True, up=up, place=place, limit=7)
            page = await store.listed(request)
            seen = [*page.summaries, *seen] if up else [*seen, *page.summaries]
            if not page.more:
                break
            end = page.summaries[0 if up else -1]
            place = Place(state=end.state, severity=end.severity, id=end.id)
        assert ids(seen) == order


@pytest.mark.parametrize(
    "text",
    [
        *("host=web", "host=_", "host=%", "!host=web", "kind=cpu sev=crit", "verdict=allow"),
        *("!verdict=allow", "state=awaiting", "state=resolved", "hog", "HOG 300", "wb1", "d01"),
        *("who=ann", "who=", "!who=", "!who=bob", "who= sev=crit", "who=ANN", "bob", "!bob"),
        *("reasoning", "crit", "nothing-like-it", "!nothing-like-it", "a/b", "mem !web"),
    ],
)
async def test_a_filter_means_in_the_database_what_it_means_in_the_terminal(store, filled, text):
    terms = filters.parse(text)
    request = ListRequest(open_only=False, urgent=True, limit=500, terms=terms)
    found = (await store.listed(request)).summaries
    assert ids(found) == ids(
        sorted((s for s in filled if filters.accepts(terms, s)), key=window.key)
    )
