"""The list's order and filter in the database are those of the terminal, on both sorts of database."""

from __future__ import annotations

import asyncio
import random
from functools import partial

import msgspec
import pytest

from sentinel.domain import Kind, Severity, State, Verdict
from sentinel.hub import intake
from sentinel.hub.persist import Store
from sentinel.protocol import Letter, ListRequest, Order
from sentinel.tui import filters, window
from tests.unit.hub import builders as b

HOSTS = ("web1", "web-2", "db-01")


async def fill(url):
    """Forty incidents in every state and severity, as the door that writes them leaves them."""
    random.seed(7)
    async with await Store.open(url) as store:
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

        async def change(work):
            for summary in page.summaries:
                case = await work.case(summary.id)
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


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def listed(request, tmp_path_factory):
    """The URL of a database that every test here reads and none changes, and what is in it."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path_factory.mktemp('listed')}/hub.db"
    else:
        url = request.getfixturevalue("postgresql").create("listed")
    return url, asyncio.run(fill(url))


@pytest.fixture
async def store(listed):
    async with await Store.open(listed[0]) as opened:
        yield opened


@pytest.fixture
def filled(listed):
    return listed[1]


def ids(summaries):
    return [summary.id for summary in summaries]


@pytest.mark.parametrize("by", Order)
async def test_pages_are_in_the_terminals_order(store, filled, by):
    order = ids(sorted(filled, key=partial(window.key, order=by)))
    for up in (False, True):
        seen, place = [], None
        while True:
            request = ListRequest(open_only=False, order=by, up=up, place=place, limit=7)
            page = await store.listed(request)
            seen = [*page.summaries, *seen] if up else [*seen, *page.summaries]
            if not page.more:
                break
            place = window.place_of(page.summaries[0 if up else -1])
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
    request = ListRequest(open_only=False, order=Order.URGENCY, limit=500, terms=terms)
    found = (await store.listed(request)).summaries
    assert ids(found) == ids(
        sorted((s for s in filled if filters.accepts(terms, s)), key=window.key)
    )
