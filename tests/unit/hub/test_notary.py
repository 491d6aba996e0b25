"""What the hub shows its nodes: checkpoints in the order in which the log grew, each with its proofs."""

from __future__ import annotations

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519

from sentinel import merkle
from sentinel.domain import MAX_GROWTH, Bundle, LogRecord
from sentinel.errors import StoreError
from sentinel.hub import audit
from sentinel.hub.cases import DecisionRecord
from sentinel.hub.notary import Notary
from sentinel.trust import checkpoint
from tests.unit.hub import builders as b
from tests.unit.hub import databases

SIGNER = checkpoint.Signer("sentinel/test", ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32)))


@pytest.fixture
def notary(store, tmp_path):
    return Notary(store, SIGNER, tmp_path)


async def fill(store, count):
    for n in range(count):
        await store.record("test", str(n), n)


def holds(growth, roots, found):
    """Whether each proof shows that the log grew from a size whose root is known."""
    return all(
        merkle.extends(
            each.since,
            roots[each.since],
            found.size,
            found.root,
            [bytes.fromhex(h) for h in each.proof],
        )
        for each in growth
    )


async def test_a_node_is_shown_the_log_with_a_proof_from_each_size_it_has_seen(
    store, notary, tmp_path
):
    roots = {}
    for size in range(1, 8):
        await fill(store, 1)
        roots[size] = (await store.log.end()).root()
    shown = await notary.witness({2, 5, 7, 0})
    found = checkpoint.verify(shown.checkpoint, SIGNER.key)
    assert (found.size, found.root) == (7, roots[7])
    assert [each.since for each in shown.growth] == [2, 5]
    assert holds(shown.growth, roots, found)
    await fill(store, MAX_GROWTH)
    many = await Notary(store, SIGNER, tmp_path).witness(range(8 + MAX_GROWTH))
    assert [each.since for each in many.growth] == list(range(7, 7 + MAX_GROWTH))


async def test_many_nodes_are_shown_the_same_checkpoint_for_a_while(store, notary):
    await fill(store, 3)
    first = await notary.witness(())
    await fill(store, 1)
    assert await notary.witness({3}) == first
    later = await notary.witness({4})  # a node that has seen more, of another hub
    assert checkpoint.parse(later.checkpoint).size == 4


async def test_a_log_shorter_than_what_a_node_has_seen_is_shown_as_it_is(store, notary):
    await fill(store, 3)
    shown = await notary.witness({9})
    assert checkpoint.parse(shown.checkpoint).size == 3
    assert shown.growth == ()


async def approved(store):
    """Return an approved plan as it waits for its node, by the moves alone."""
    incident = await b.awaiting(store)
    statement = b.statement(incident)
    data = msgspec.json.encode({"of": statement.incident})
    record = audit.Body(
        seq=0,
        at_ms=1,
        action="approved",
        actor="operator:alice",
        facts={"statement": data.decode()},
    )

    async def decide(work):
        seq = audit.append(work, record)
        decision = DecisionRecord(
            seq=seq, operator="alice", plan=statement.plan, statement=data, signatures=b"[]"
        )
        await work.add_decision(incident.summary.id, statement.choice, decision)

    await store.write(decide)
    return Bundle(incident=incident.summary.id, plan="p", statement=data.decode())


async def test_a_plan_goes_with_the_proof_of_its_approvals_record(store, notary):
    await fill(store, 5)
    before = await notary.witness(())
    seen = checkpoint.parse(before.checkpoint)
    bundle = await approved(store)
    await fill(store, 3)
    logged = (await notary.logged(bundle, {seen.size})).log
    found = checkpoint.verify(logged.checkpoint, SIGNER.key)
    data = logged.record.encode()
    record = msgspec.json.decode(data, type=LogRecord)
    assert record.facts["statement"] == bundle.statement
    assert record.seq == logged.seq
    proof = [bytes.fromhex(each) for each in logged.inclusion]
    assert merkle.includes(merkle.leaf_hash(data), logged.seq - 1, found.size, proof, found.root)
    assert holds(logged.growth, {seen.size: seen.root}, found)
    assert [each.since for each in logged.growth] == [seen.size]


async def test_a_plan_whose_approval_is_on_no_record_has_no_proof(store, notary):
    await fill(store, 2)
    with pytest.raises(StoreError, match="is not on record"):
        await notary.logged(Bundle(incident="i", plan="p", statement="s"), ())


async def test_a_tree_with_a_hole_proves_nothing(store, notary, database_url):
    await fill(store, 5)
    databases.unseal(database_url)
    databases.run(database_url, "DELETE FROM audit WHERE seq = 4")
    with pytest.raises(StoreError, match="has a hole"):
        await notary.witness({3})
