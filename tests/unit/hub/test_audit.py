"""The log refuses to be changed, and when it is changed all the same, verification says where."""

from __future__ import annotations

import asyncio

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519

from sentinel import canonical, errors, merkle
from sentinel.hub import audit
from sentinel.hub.persist import Store
from sentinel.hub.persist_log import Row
from sentinel.trust import checkpoint
from tests.unit.hub import databases

SIGNER = checkpoint.Signer("sentinel/test", ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32)))


async def fill(store, count=5):
    for n in range(count):
        await store.record("test", f"record {n}", n)


async def fill_at_once(store, count):
    """Add `count` records in one transaction."""

    async def operation(work):
        for n in range(count):
            audit.append(work, audit.Body(seq=0, at_ms=n, action="test", actor="hub", text=str(n)))

    await store.write(operation)


async def sign(store):
    """Keep a signed checkpoint of the log as it is; return it."""
    end = await store.log.end()
    note = SIGNER.sign(end.size, end.root())
    assert await store.write(lambda work: work.add_checkpoint(end.size, note))
    return checkpoint.parse(note)


async def leaves(store):
    end = await store.log.end()
    return [merkle.leaf_hash(row[2]) async for page in store.log.pages(0, end.size) for row in page]


async def test_an_untouched_log_holds(store):
    await fill(store)
    found = await audit.verify(store)
    assert (found.records, found.broken) == (5, None)
    assert found.head == canonical.digest_text((await store.log.end()).root())


async def test_an_empty_log_holds(store):
    found = await audit.verify(store, key=SIGNER.key)
    assert found == audit.Finding(records=0, head=canonical.digest_text(merkle.EMPTY))


# ---------------------------------------------------------------- the tree


async def test_the_tree_is_over_the_exact_bytes_of_the_records(store):
    await fill_at_once(store, 300)
    hashes = await leaves(store)
    assert len(hashes) == 300
    tree = merkle.Range()
    for leaf in hashes:
        tree = tree.add(leaf)
    assert await store.log.end() == tree
    node = merkle.Subtree(8, 0)
    assert await store.log.nodes([node, merkle.Subtree(8, 1)]) == {
        node: merkle.perfect(hashes[:256])
    }


async def test_what_a_failed_operation_added_is_not_in_the_tree(store):
    """The savepoint takes back the leaf, and the node of the tree that it completed."""
    await fill_at_once(store, 255)

    async def fails(work):
        audit.append(work, audit.Body(seq=0, at_ms=1, action="fails", actor="hub"))
        raise errors.ConflictError("no")

    fine, failed = await asyncio.gather(
        store.record("fine", "x", 1), store.write(fails), return_exceptions=True
    )
    assert fine is None
    assert isinstance(failed, errors.ConflictError)
    await fill(store, 2)
    found = await audit.verify(store)
    assert (found.records, found.broken) == (258, None)


@pytest.mark.parametrize("size", [1, 2, 3, 255, 256, 257, 700])
async def test_proofs_from_the_store_hold(store, size):
    await fill_at_once(store, size)
    hashes, end = await leaves(store), await store.log.end()
    for seq in {1, 2, size // 2, size} & set(range(1, size + 1)):
        proof = await audit.inclusion(store.log, seq, size)
        assert merkle.includes(hashes[seq - 1], seq - 1, size, proof, end.root())
    for old in {0, 1, 2, 128, 255, 256, 300, 512, size} & set(range(size + 1)):
        proof = await audit.consistency(store.log, old, size)
        before = await audit.range_at(store.log, old)
        assert merkle.extends(old, before.root(), size, end.root(), proof)


async def test_a_proof_over_a_hole_is_an_error_that_says_so(store, database_url):
    await fill_at_once(store, 300)
    databases.unseal(database_url)
    databases.run(database_url, "DELETE FROM audit WHERE seq = 3")
    with pytest.raises(errors.StoreError, match="hole in records 3 to 4"):
        await audit.inclusion(store.log, 1, 300)


# ---------------------------------------------------------------- tampering is named

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


@pytest.mark.parametrize(
    ("tampering", "broken", "says"),
    [
        (("FLIP",), 3, "is not that of its body"),
        (("UPDATE audit SET hash = body WHERE seq = 3",), 3, "is not that of its body"),
        (("DELETE FROM audit WHERE seq = 3",), 3, "record 3 is missing; the next is 4"),
        (("DELETE FROM audit WHERE seq = 1",), 1, "record 1 is missing"),
        (("DELETE FROM audit WHERE seq = 5",), 5, "record 5 is missing: the log has 5"),
        (("DELETE FROM audit",), 1, "record 1 is missing: the log has 5"),
        ((COPY,), 6, "beyond the end"),
        (SWAP, 2, "says that it is number 3"),
        (("UPDATE audit SET incident = 'x' WHERE seq = 4",), 4, "filed under incident x"),
        (("UPDATE head SET seq = 6",), 6, "record 6 is missing"),
        (("UPDATE head SET seq = 4",), 1, "head row is damaged"),
        (("DELETE FROM head",), 1, "head row is missing"),
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


async def test_a_head_row_over_other_records_is_named(store, database_url):
    await fill(store, 7)
    tree = await store.log.end()
    for at, first in enumerate((1, 5, 7)):
        hashes = [*tree.hashes[:at], bytes(32), *tree.hashes[at + 1 :]]
        databases.put(database_url, "head", "tree", b"".join(hashes), "id = 1")
        found = await audit.verify(store)
        assert (found.broken, found.records) == (first, 7)
        assert "the head row has another hash" in found.reason


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b'{"seq": 1', "record 1: LogRecord"),
        (canonical.encode(audit.Body(seq=2, at_ms=1, action="a", actor="b")), "is number 2"),
    ],
)
async def test_a_record_that_is_well_linked_but_not_itself_does_not_hold(
    store, database_url, body, says
):
    await fill(store, 1)
    await rewrite(store, database_url, {1: body})
    found = await audit.verify(store)
    assert found.broken == 1
    assert says in found.reason


async def rewrite(store, url, bodies, *, upto=None):
    """Write records anew with everything that hangs on them, as who owns the database can."""
    databases.unseal(url)
    end = await store.log.end()
    rows = [Row(*row) async for page in store.log.pages(0, end.size) for row in page]
    tree, made = merkle.Range(), {}
    for row in rows[:upto]:
        body = bodies.get(row.seq, row.body)
        leaf = merkle.leaf_hash(body)
        tree = tree.add(leaf, made=made)
        if row.seq in bodies:
            databases.put(url, "audit", "body", body, f"seq = {row.seq}")
            databases.put(url, "audit", "hash", leaf, f"seq = {row.seq}")
    databases.run(url, f"DELETE FROM audit WHERE seq > {tree.size}")
    databases.run(url, "DELETE FROM audit_node")
    for node, root in made.items():
        if node.level == 8:
            databases.run(url, f"INSERT INTO audit_node VALUES (8, {node.number}, '')")
            where = f"number = {node.number}"
            databases.put(url, "audit_node", "hash", root, where)
    databases.put(url, "head", "tree", tree.dump(), "id = 1")
    databases.run(url, f"UPDATE head SET seq = {tree.size}")


def another(seq):
    return canonical.encode(audit.Body(seq=seq, at_ms=seq, action="forged", actor="hub"))


async def test_a_record_whose_hash_was_made_anew_is_found_by_the_tree(store, database_url):
    await fill_at_once(store, 600)
    databases.unseal(database_url)
    databases.put(database_url, "audit", "body", another(300), "seq = 300")
    databases.put(database_url, "audit", "hash", merkle.leaf_hash(another(300)), "seq = 300")
    found = await audit.verify(store)
    assert found.broken == 257
    assert "the records 257 to 512 is another: one of them is not the one" in found.reason
    databases.run(database_url, "DELETE FROM audit_node WHERE number = 0")
    found = await audit.verify(store)
    assert found.broken == 1
    assert "the records 1 to 256 is missing" in found.reason


async def test_a_log_written_anew_with_its_tree_is_found_by_a_stored_checkpoint(
    store, database_url
):
    await fill(store, 4)
    await sign(store)
    await fill(store, 5)
    await sign(store)
    await fill(store)
    found = await audit.verify(store, key=SIGNER.key)
    assert (found.broken, found.checkpoints) == (None, 2)
    await rewrite(store, database_url, {7: another(7)})
    found = await audit.verify(store, key=SIGNER.key)
    assert (found.broken, found.checkpoints) == (5, 1)
    assert "the records 5 to 9 are not those that the checkpoint of 9" in found.reason


async def test_a_truncated_log_is_found_by_a_stored_checkpoint(store, database_url):
    await fill(store, 9)
    await sign(store)
    await rewrite(store, database_url, {}, upto=6)
    found = await audit.verify(store, key=SIGNER.key)
    assert found.broken == 7
    assert "signed over 9 records, and the log has 6" in found.reason


async def test_a_log_written_anew_with_its_checkpoints_is_found_by_one_kept_elsewhere(
    store, database_url
):
    await fill(store, 9)
    kept = await sign(store)
    await rewrite(store, database_url, {2: another(2)})
    databases.run(database_url, "DELETE FROM checkpoint")
    assert (await audit.verify(store, key=SIGNER.key)).broken is None
    found = await audit.verify(store, key=SIGNER.key, known=[kept])
    assert found.broken == 1
    assert "the checkpoint of 9" in found.reason
    await rewrite(store, database_url, {}, upto=5)
    found = await audit.verify(store, known=[kept])
    assert (found.broken, found.records) == (6, 5)


@pytest.mark.parametrize(
    ("note", "says"),
    [
        ("nonsense", "not a signed checkpoint"),
        (SIGNER.sign(4, bytes(32)), "says 4"),
        (SIGNER.sign(5, bytes(32)).replace("\n5\n", "\n6\n"), "signature does not hold"),
    ],
)
async def test_a_stored_checkpoint_that_is_none_does_not_hold(store, database_url, note, says):
    await fill(store)
    await sign(store)
    databases.unseal(database_url)
    databases.put(database_url, "checkpoint", "note", note.encode(), "size = 5")
    found = await audit.verify(store, key=SIGNER.key)
    assert found.broken == 1
    assert says in found.reason


async def test_verification_from_a_checkpoint_reads_only_what_came_after(store, database_url):
    await fill_at_once(store, 300)
    start = await sign(store)
    await fill(store, 4)
    found = await audit.verify(store, key=SIGNER.key, start=start)
    assert (found.records, found.broken) == (304, None)
    databases.unseal(database_url)
    databases.run(database_url, "UPDATE audit SET body = hash WHERE seq = 7")
    assert (await audit.verify(store, start=start)).broken is None
    assert (await audit.verify(store)).broken == 7
    databases.run(database_url, "UPDATE audit SET hash = body WHERE seq = 290")
    databases.put(database_url, "audit", "hash", bytes(32), "seq = 290")
    found = await audit.verify(store, start=start)
    assert found.broken == 1
    assert "not those of the checkpoint to start from" in found.reason
    beyond = msgspec.structs.replace(start, size=400)
    found = await audit.verify(store, start=beyond)
    assert found.broken == 305


async def test_checkpoints_only_grow(store):
    await fill(store, 3)
    await sign(store)
    note = SIGNER.sign(3, bytes(32))
    assert not await store.write(lambda work: work.add_checkpoint(3, note))
    ((size, kept),) = await store.log.checkpoints(0, 9)
    assert size == 3
    assert checkpoint.parse(kept).root != bytes(32)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE checkpoint SET size = 4",
        "DELETE FROM checkpoint",
        "INSERT INTO checkpoint SELECT 2, note FROM checkpoint WHERE size = 3",
        "INSERT INTO checkpoint SELECT 3, note FROM checkpoint WHERE size = 3",
    ],
)
async def test_the_database_refuses_to_change_a_checkpoint(store, database_url, statement):
    await fill(store, 3)
    await sign(store)
    with pytest.raises(databases.Refused):
        databases.run(database_url, statement)
    assert (await audit.verify(store, key=SIGNER.key)).checkpoints == 1


# ---------------------------------------------------------------- the database refuses


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
        ("TRUNCATE checkpoint",),
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
