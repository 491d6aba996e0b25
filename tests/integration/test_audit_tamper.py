"""Whoever owns the database, and then the hub's key too, against `audit verify` and the witnesses.

Each case does to a real database what its superuser can, triggers or not. Without the hub's key
verification names it; with the key, and a log that is consistent in itself, a node does that has seen the
log before.
"""

from __future__ import annotations

import asyncio
import time

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519

from sentinel import canonical, demo, merkle
from sentinel.agent import witness
from sentinel.agent.store import Store as NodeStore
from sentinel.errors import NodeError, SignatureError
from sentinel.hub import audit
from sentinel.hub.notary import Notary
from sentinel.hub.persist import Store
from sentinel.hub.persist_log import Row
from sentinel.trust import checkpoint
from tests.unit.hub import databases

SIGNER = checkpoint.Signer("sentinel/test", ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32)))
RECORDS = 300


class Site:
    """A hub's log that is signed at 100 and 300 records, and a node that has seen both."""

    def __init__(self, url, folder, node):
        self.url, self.folder, self.node = url, folder, node

    async def fill(self):
        async with await Store.open(self.url) as store:
            keeper = Notary(store, SIGNER, self.folder)
            for count in (100, RECORDS - 100):
                await store.write(lambda work, count=count: self._add(work, count))
                await keeper.keep()
                await self._shown(store)

    @staticmethod
    async def _add(work, count):
        for n in range(count):
            audit.append(work, audit.Body(seq=0, at_ms=n, action="test", actor="hub", text=str(n)))

    async def _shown(self, store):
        keeper = Notary(store, SIGNER, self.folder)
        shown = await keeper.witness(self.node.seen())
        return witness.follow(shown.checkpoint, shown.growth, SIGNER.key, self.node, now=True)

    async def verify(self):
        """What an auditor finds, with the key that they kept."""
        async with await Store.open(self.url, prepare=False) as store:
            assert store.restored  # that the triggers are gone is said besides
            return await audit.verify(store, key=SIGNER.key)

    async def show(self):
        """The hub goes on and shows the node its log; return the check that fails there."""
        async with await Store.open(self.url) as store:
            try:
                await self._shown(store)
            except SignatureError as error:
                return error.check
        return ""

    async def rewrite(self, change, *, sign=False):
        """Write the log anew with everything that hangs on it; `change` is given the bodies.

        With `sign` by the hub's own key, its checkpoints too.
        """
        async with await Store.open(self.url, prepare=False) as store:
            end = await store.log.end()
            rows = [Row(*row) async for page in store.log.pages(0, end.size) for row in page]
        bodies = change([row.body for row in rows])
        databases.unseal(self.url)
        databases.run(self.url, "DELETE FROM audit_node", "DELETE FROM audit", "DELETE FROM head")
        if sign:
            databases.run(self.url, "DELETE FROM checkpoint")
        tree, made = merkle.Range(), {}
        for seq, body in enumerate(bodies, 1):
            leaf = merkle.leaf_hash(body)
            tree = tree.add(leaf, made=made)
            databases.insert(self.url, "audit", (seq, "", body, leaf))
            if sign and seq in (100, len(bodies)):
                note = SIGNER.sign(seq, tree.root()).encode()
                databases.insert(self.url, "checkpoint", (seq, note))
        for node, root in made.items():
            if node.level == 8:
                databases.insert(self.url, "audit_node", (8, node.number, root))
        databases.insert(self.url, "head", (1, tree.size, tree.dump()))


@pytest.fixture
async def site(database_url, tmp_path):
    with NodeStore(tmp_path / "node.db") as node:
        made = Site(database_url, tmp_path, node)
        await made.fill()
        yield made


def body_of(seq, text):
    return canonical.encode(audit.Body(seq=seq, at_ms=seq, action="test", actor="hub", text=text))


# ---------------------------------------------------------------- the database alone

SWAP = (
    "UPDATE audit SET seq = -150 WHERE seq = 150",
    "UPDATE audit SET seq = 150 WHERE seq = 151",
    "UPDATE audit SET seq = 151 WHERE seq = -150",
)
INSERT = (
    "UPDATE audit SET seq = -seq - 1 WHERE seq >= 150",
    "UPDATE audit SET seq = -seq WHERE seq < 0",
    "INSERT INTO audit SELECT 150, incident, body, hash FROM audit WHERE seq = 9",
)


@pytest.mark.parametrize(
    ("statements", "broken", "says"),
    [
        (("UPDATE audit SET body = hash WHERE seq = 150",), 150, "is not that of its body"),
        (("DELETE FROM audit WHERE seq = 150",), 150, "record 150 is missing"),
        (SWAP, 150, "says that it is number 151"),
        (("DELETE FROM audit WHERE seq > 290",), 291, "record 291 is missing"),
        (INSERT, 150, "says that it is number 9"),
        (("UPDATE audit_node SET hash = (SELECT hash FROM audit WHERE seq = 1)",), 1, "the records 1 to 256 is another; the records themselves hold"),
        (("DELETE FROM audit_node",), 1, "the records 1 to 256 is missing; the records themselves hold"),
        (("UPDATE checkpoint SET size = 200 WHERE size = 300",), 101, "says 300"),
        (("UPDATE checkpoint SET note = (SELECT hash FROM audit WHERE seq = 1)",), 1, "not a signed checkpoint"),
        (("DELETE FROM head",), 1, "head row is missing"),
        (("UPDATE head SET seq = 290",), 1, "head row is damaged"),
    ],
)  # fmt: skip
async def test_what_is_done_to_the_database_is_named(site, statements, broken, says):
    databases.unseal(site.url)
    databases.run(site.url, *statements)
    found = await site.verify()
    assert found.broken == broken
    assert says in found.reason


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_a_superuser_in_a_replica_session_is_refused_and_named_once_the_triggers_are_off(
    site,
):
    replica = "SET session_replication_role = replica"
    with pytest.raises(databases.Refused):
        databases.run(site.url, replica, "DELETE FROM audit WHERE seq = 300")
    databases.unseal(site.url)
    databases.run(site.url, replica, "DELETE FROM audit WHERE seq = 300")
    assert (await site.verify()).broken == 300


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit SET body = 'text' WHERE seq = 150",
        "UPDATE audit SET hash = 7 WHERE seq = 150",
        "UPDATE audit SET incident = x'00' WHERE seq = 150",
    ],
)
async def test_a_value_of_another_type_is_named_and_crashes_nothing(site, statement):
    databases.unseal(site.url)
    databases.run(site.url, statement)
    assert (await site.verify()).broken == 150


# ---------------------------------------------------------------- a whole log, written anew

REWRITES = {
    "flip": lambda bodies: [*bodies[:149], body_of(150, "forged"), *bodies[150:]],
    "truncate": lambda bodies: bodies[:250],
    "fork": lambda bodies: [*bodies[:200], *(body_of(n, "fork") for n in range(201, 400))],
}


@pytest.mark.parametrize(("name", "broken"), [("flip", 101), ("truncate", 251), ("fork", 101)])
async def test_a_log_written_anew_without_the_hubs_key_is_named_by_its_checkpoints(
    site, name, broken
):
    await site.rewrite(REWRITES[name])
    found = await site.verify()
    assert (found.broken, found.checkpoints) == (broken, 1)
    assert "checkpoint" in found.reason


@pytest.mark.parametrize(
    ("name", "check"),
    [
        ("flip", "checkpoint.fork"),
        ("truncate", "checkpoint.rollback"),
        ("fork", "checkpoint.fork"),
    ],
)
async def test_a_log_written_anew_with_the_stolen_key_is_named_by_a_witness(site, name, check):
    await site.rewrite(REWRITES[name], sign=True)
    found = await site.verify()
    assert (found.broken, found.checkpoints) == (None, 2)
    assert await site.show() == check


async def test_a_database_put_back_is_named_by_a_witness(site):
    """As when an old backup is restored: everything in it is genuine, and it is not what was."""
    await site.rewrite(lambda bodies: bodies[:100])
    databases.run(site.url, "DELETE FROM checkpoint WHERE size > 100")
    assert (await site.verify()).broken is None
    assert await site.show() == "checkpoint.rollback"


def test_a_node_tells_of_a_log_that_was_rolled_back_and_runs_nothing_any_more(tmp_path):
    """Real programs: the hub's state goes back to a copy of itself, and its node does not."""
    site = demo.Site(tmp_path / "site")
    site.folder.mkdir()
    hub = site.states["hub"]
    try:
        site.set_up("heartbeat_s = 1\n", "")
        site.start("agent")
        wait_for(site.folder / "agent.log", "[witness]")
        stop(site, "hub")
        asyncio.run(roll_back(f"sqlite:///{hub}/hub.db", 2))
        with pytest.raises(NodeError, match="did not start"):
            site.start("hub")  # it knows its own checkpoint, until that is taken back too
        assert "was rolled back: it has 2 records" in site.logs()
        (hub / "checkpoint").unlink()
        site.start("hub")
        wait_for(site.folder / "agent.log", "[checkpoint.rollback]")
        wait_for(site.folder / "hub.log", "runs nothing any more")
        stop(site, "agent")
        stop(site, "hub")
        with pytest.raises(NodeError, match="witness failed"):
            site.run("agent", "witness", "--state", site.states["agent"])
        said = site.run("agent", "witness", "--forget", "--state", site.states["agent"])
        assert "nothing seen yet" in said
    finally:
        site.stop()
    ((kept, shown),) = databases.run(
        f"sqlite:///{hub}/hub.db",
        "SELECT json_extract(body, '$.facts.kept'), json_extract(body, '$.facts.shown')"
        " FROM audit WHERE json_extract(body, '$.action') = 'checkpoint.rollback'",
    )
    # Both by the hub's own key: the proof that it signed two histories.
    key = checkpoint.parse_key((hub / "checkpoint.pub").read_text())
    before, after = checkpoint.verify(kept, key), checkpoint.verify(shown, key)
    assert before.size > after.size


def stop(site, name):
    site.running[name].terminate()
    site.running[name].wait(20)


def wait_for(path, text):
    """Wait until a program has logged `text`."""
    deadline = time.monotonic() + 60
    while text not in path.read_text():
        assert time.monotonic() < deadline, path.read_text()
        time.sleep(0.05)


async def roll_back(url, size):
    async with await Store.open(url, prepare=False) as store:
        tree = await audit.range_at(store.log, size)
    databases.unseal(url)
    databases.run(
        url,
        f"DELETE FROM audit WHERE seq > {size}",
        "DELETE FROM checkpoint",
        f"UPDATE head SET seq = {size}, tree = x'{tree.dump().hex()}'",
    )


async def test_an_honest_log_goes_on_before_a_witness(site):
    async with await Store.open(site.url) as store:
        assert store.restored == ()
        await store.record("more", "x", 1)
    assert await site.show() == ""
    assert site.node.seen() == (RECORDS + 1, 0)
