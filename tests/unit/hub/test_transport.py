"""The hub's end of the agents' streams, as far as it needs no stream; the rest is in tests/integration."""

from __future__ import annotations

import asyncio

import pytest

from sentinel import errors
from sentinel.domain import Host
from sentinel.hub import persist_writes, transport
from sentinel.hub.transport import AgentDoor, Session, Site
from sentinel.protocol import AgentMessage
from tests.unit.hub import builders as b
from tests.unit.hub import databases

KEPT, EVERY = 8, 4


@pytest.fixture
def few(monkeypatch):
    monkeypatch.setattr(persist_writes, "LETTERS_KEPT", KEPT)
    monkeypatch.setattr(transport, "FORGET_EVERY", EVERY)


def door(store, clock=None):
    site = Site(name="t", version="t", policy="p", heartbeat_s=1)
    return AgentDoor(store, site, clock or (lambda: b.NOW), None, None)


def kept(database_url):
    rows = databases.run(database_url, "SELECT host, letter FROM letter_seen ORDER BY letter")
    return [letter for host, letter in rows if host == b.HOST]


async def test_of_the_letters_that_were_stored_the_newest_are_known(store, database_url, few):
    ticks = iter(range(b.NOW, b.NOW + 1000))
    agents = door(store, lambda: next(ticks))
    session = Session(Host(b.HOST), "01", None)
    other = b.letter(report=b.report(host="other"))
    await agents._take(Session(Host("other"), "02", None), AgentMessage(letter=other))
    letters = [b.letter(report=b.report()) for _ in range(5 * KEPT)]
    for letter in letters:
        await agents._take(session, AgentMessage(letter=letter))
        assert len(kept(database_url)) <= KEPT + EVERY
    newest = {letter.id for letter in letters[-KEPT:]}
    assert newest <= set(kept(database_url))
    # Whatever the node may send again is still known: it changes nothing.
    before = await store.revision()
    for letter in letters[-KEPT:]:
        await agents._take(session, AgentMessage(letter=letter))
    assert await store.revision() == before
    assert not await store.write(lambda work: work.first_sight("other", other.id, b.NOW))


async def test_a_database_that_is_away_does_not_end_the_watch_for_revocations(store, monkeypatch):
    monkeypatch.setattr(transport, "REVOKED_S", 0.001)
    session, asked = Session(Host(b.HOST), "01", None), 0

    async def revoked():
        nonlocal asked
        asked += 1
        if asked < 3:
            raise errors.StoreError("the database is away")
        return frozenset({"01"})

    monkeypatch.setattr(store, "revoked", revoked)
    agents = door(store)
    agents.sessions[session.host] = session
    async with asyncio.TaskGroup() as tasks:
        watch = tasks.create_task(agents.watch_revocations())
        await asyncio.wait_for(session.ended.wait(), 10)
        watch.cancel()
    assert session.why == f"the certificate of {b.HOST} was revoked"
