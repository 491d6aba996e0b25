"""The log refuses to be changed, and when it is changed all the same, verification says where."""

from __future__ import annotations

import hashlib

import pytest

from sentinel import canonical, errors
from sentinel.hub import audit
from sentinel.hub.persist import Store
from tests.unit.hub import databases


async def fill(store, count=5):
    for n in range(count):
        await store.record("test", f"record {n}", n)


async def test_an_untouched_log_holds(store):
    await fill(store)
    found = await audit.verify(store)
    assert (found.records, found.broken) == (5, None)
    assert found.head == audit.digest_text((await store.audit_end())[1])


async def test_an_empty_log_holds(store):
    assert (await audit.verify(store)).broken is None


SWAP = (
    "UPDATE audit SET seq = -2 WHERE seq = 2",
    "UPDATE audit SET seq = 2 WHERE seq = 3",
    "UPDATE audit SET seq = 3 WHERE seq = -2",
)
FLIP = {
    "sqlite": "UPDATE audit SET body = CAST(replace(CAST(body AS TEXT), 'record 2', 'record 9') AS BLOB)",
    "postgresql": "UPDATE audit SET body = convert_to(replace(convert_from(body, 'UTF8'), 'record 2',"
    " 'record 9'), 'UTF8')",
}
COPY = "INSERT INTO audit (seq, incident, body, hash) SELECT 6, incident, body, hash FROM audit WHERE seq = 5"
HEAD_BACK = "UPDATE head SET seq = 4, hash = (SELECT hash FROM audit WHERE seq = 4)"


@pytest.mark.parametrize(
    ("tampering", "broken", "says"),
    [
        (("FLIP",), 3, "does not follow"),
        (("UPDATE audit SET hash = body WHERE seq = 3",), 3, "does not follow"),
        (("DELETE FROM audit WHERE seq = 3",), 3, "record 3 is missing; the next is 4"),
        (("DELETE FROM audit WHERE seq = 1",), 1, "record 1 is missing"),
        (("DELETE FROM audit WHERE seq = 5",), 5, "the head row says that there are 5"),
        (("DELETE FROM audit",), 1, "the head row says that there are 5"),
        ((COPY,), 6, "does not follow"),
        (SWAP, 2, "does not follow"),
        (("UPDATE audit SET incident = 'x' WHERE seq = 4",), 4, "filed under incident x"),
        (("UPDATE head SET seq = 4",), 4, "another hash"),
        ((HEAD_BACK,), 5, "beyond the end"),
        (("UPDATE head SET hash = (SELECT hash FROM audit WHERE seq = 1)",), 5, "another hash"),
    ],
)
async def test_the_first_record_that_does_not_hold_is_named(
    store, database_url, tampering, broken, says
):
    await fill(store)
    databases.unseal(database_url)
    if tampering == ("FLIP",):
        tampering = (FLIP[store.database],)
    databases.run(database_url, *tampering)
    found = await audit.verify(store)
    assert found.broken == broken
    assert says in found.reason


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b'{"seq": 1}', "record 1: Body"),
        (canonical.encode(audit.Body(seq=2, at_ms=1, action="a", actor="b")), "is number 2"),
    ],
)
async def test_a_record_that_is_well_linked_but_not_itself_does_not_hold(
    store, database_url, body, says
):
    await fill(store, 1)
    digest = hashlib.sha256(audit.GENESIS + body).hexdigest()
    databases.unseal(database_url)
    literal = "x'{}'" if store.database == "sqlite" else "'\\x{}'"
    set_body, set_hash = literal.format(body.hex()), literal.format(digest)
    databases.run(database_url, f"UPDATE audit SET body = {set_body}, hash = {set_hash}")
    found = await audit.verify(store)
    assert found.broken == 1
    assert says in found.reason


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit SET incident = 'x' WHERE seq = 2",
        "DELETE FROM audit WHERE seq = 2",
        "DELETE FROM audit",
        "INSERT INTO audit (seq, incident, body, hash) SELECT 9, incident, body, hash FROM audit",
        "INSERT INTO audit (seq, incident, body, hash) SELECT 2, '', body, hash FROM audit WHERE seq = 2",
    ],
)
async def test_the_database_refuses_to_change_the_log(store, database_url, statement):
    await fill(store)
    with pytest.raises(databases.Refused):
        databases.run(database_url, statement)
    assert (await audit.verify(store)).broken is None


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_replacing_a_record_is_refused(store, database_url):
    await fill(store)
    for statement in (
        "INSERT OR REPLACE INTO audit SELECT seq, 'x', body, hash FROM audit WHERE seq = 2",
        "REPLACE INTO audit SELECT seq, 'x', body, hash FROM audit WHERE seq = 5",
        "INSERT INTO audit SELECT * FROM audit WHERE seq = 5 ON CONFLICT DO UPDATE SET incident = 'x'",
        "UPDATE OR REPLACE audit SET seq = 4 WHERE seq = 5",
    ):
        with pytest.raises(databases.Refused):
            databases.run(database_url, statement)
    assert (await audit.verify(store)).broken is None


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_neither_truncation_nor_a_replica_session_gets_round_the_triggers(
    store, database_url
):
    await fill(store)
    for statements in (
        ("TRUNCATE audit",),
        ("SET session_replication_role = replica", "DELETE FROM audit WHERE seq = 5"),
    ):
        with pytest.raises(databases.Refused):
            databases.run(database_url, *statements)


async def test_triggers_that_were_removed_are_put_back_at_the_next_start(database_url):
    async with await Store.open(database_url) as store:
        assert store.restored == ()
        await fill(store)
    databases.unseal(database_url)
    async with await Store.open(database_url) as store:
        assert set(store.restored) >= {"audit_no_gap"}
        with pytest.raises(databases.Refused):
            databases.run(database_url, "DELETE FROM audit WHERE seq = 2")
    async with await Store.open(database_url) as store:
        assert store.restored == ()


async def test_a_trigger_that_does_nothing_is_no_trigger(database_url):
    async with await Store.open(database_url):
        pass
    if database_url.startswith("sqlite"):
        weaken = (
            "DROP TRIGGER audit_no_delete",
            "CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit BEGIN SELECT 1; END",
        )
    else:
        weaken = (
            "CREATE OR REPLACE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS"
            " 'BEGIN RETURN OLD; END'",
        )
    databases.run(database_url, *weaken)
    async with await Store.open(database_url) as store:
        assert store.restored
        await fill(store)
        with pytest.raises(databases.Refused):
            databases.run(database_url, "DELETE FROM audit WHERE seq = 2")


async def test_a_record_too_large_is_refused_with_the_change_it_records(store):
    with pytest.raises(errors.WireError, match="over its limit"):
        await store.record("test", "x" * audit.MAX_BODY, 1)
    assert await store.revision() == 0


async def test_pages_of_the_log_come_oldest_first_from_either_end(store):
    await fill(store, 5)

    async def seqs(after, limit):
        page = await store.audit_page(after=after, limit=limit, incident=None)
        return [record.seq for record in page]

    assert await seqs(0, 2) == [1, 2]
    assert await seqs(2, 9) == [3, 4, 5]
    assert await seqs(-1, 2) == [4, 5]
    assert await seqs(5, 2) == []
