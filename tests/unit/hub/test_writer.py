"""Group commit: many callers, one transaction, each answered for itself and none before the commit."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import subprocess
import sys

import sqlalchemy as sa

from sentinel import errors
from sentinel.hub import audit
from sentinel.hub.persist import Store
from tests.unit.hub import databases


def operation(n, fault=None):
    async def write(work):
        await work.add_invite(f"token {n}", "web1", 1)
        body = audit.Body(seq=0, at_ms=n, action="test", actor="hub")
        audit.append(work, body)
        if fault is not None:
            raise fault
        return n

    return write


def tokens(url):
    rows = databases.run(url, "SELECT token_hash FROM invite")
    return sorted(int(token.split()[1]) for (token,) in rows)


async def test_many_writes_share_few_commits(store):
    commits = []
    sa.event.listen(store._engine.sync_engine, "commit", commits.append)
    written = await asyncio.gather(*(store.write(operation(n)) for n in range(200)))
    assert written == list(range(200))
    assert len(commits) < 20


async def test_one_that_fails_takes_back_only_itself(store, database_url):
    faults = {3: errors.ConflictError("three"), 7: ZeroDivisionError("seven")}
    outcomes = await asyncio.gather(
        *(store.write(operation(n, faults.get(n))) for n in range(10)), return_exceptions=True
    )
    assert outcomes == [faults.get(n, n) for n in range(10)]
    assert tokens(database_url) == [0, 1, 2, 4, 5, 6, 8, 9]
    found = await audit.verify(store)
    assert (found.records, found.broken) == (8, None)


async def test_a_value_that_the_database_refuses_is_its_writers_fault_alone(store, database_url):
    outcomes = await asyncio.gather(
        *(store.write(operation(n)) for n in (1, 2, 1, 3)), return_exceptions=True
    )
    assert outcomes[:2] == [1, 2]
    assert isinstance(outcomes[2], errors.WireError)
    assert "cannot hold this" in outcomes[2].what
    assert outcomes[3] == 3
    assert tokens(database_url) == [1, 2, 3]


END = {"sqlite": "ROLLBACK", "postgresql": "SELECT pg_terminate_backend(pg_backend_pid())"}


async def test_when_the_transaction_is_lost_nobody_is_told_that_it_was_written(store, database_url):
    async def sabotage(work):
        for _ in range(2):
            await work._connection.exec_driver_sql(END[store.database])

    outcomes = await asyncio.gather(
        store.write(operation(1)),
        store.write(sabotage),
        store.write(operation(2)),
        return_exceptions=True,
    )
    assert [type(outcome) for outcome in outcomes] == [errors.StoreError] * 3
    assert tokens(database_url) == []
    assert await store.write(operation(9)) == 9
    assert (await audit.verify(store)).broken is None


async def test_a_transaction_that_the_database_gives_up_in_silence_is_noticed(store):
    async def sabotage(work):
        # As SQLite does by itself on a full disk, PostgreSQL after a failed statement.
        give_up = {"sqlite": "ROLLBACK", "postgresql": "SELECT 1 / 0"}
        with contextlib.suppress(sa.exc.SQLAlchemyError):
            await work._connection.exec_driver_sql(give_up[store.database])

    outcomes = await asyncio.gather(
        store.write(operation(1)), store.write(sabotage), return_exceptions=True
    )
    assert [type(outcome) for outcome in outcomes] == [errors.StoreError] * 2
    assert await store.write(operation(9)) == 9


async def test_a_caller_that_gives_up_disturbs_nobody(store, database_url):
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(store.write(operation(n))) for n in range(20)]
        await asyncio.sleep(0)
        for task in running[::2]:
            task.cancel()
    assert await store.write(operation(99)) == 99
    assert set(tokens(database_url)) >= {n for n in range(20) if n % 2}
    assert (await audit.verify(store)).broken is None


async def test_a_full_queue_makes_callers_wait_and_loses_none(database_url, monkeypatch):
    monkeypatch.setattr("sentinel.hub.persist.QUEUE", 4)
    async with await Store.open(database_url) as store:
        await asyncio.gather(*(store.write(operation(n)) for n in range(100)))
    assert tokens(database_url) == list(range(100))


# Writes as fast as it can from many tasks, and prints the number of each write that was acknowledged.
WRITES_FOR_EVER = """
import asyncio, itertools, os, sys
from sentinel.hub.persist import Store
from tests.unit.hub.test_writer import operation

async def main():
    numbers = itertools.count(int(sys.argv[2]))
    async def forever():
        for n in numbers:
            await store.write(operation(n))
            os.write(1, b"%d\\n" % n)
    async with await Store.open(sys.argv[1]) as store, asyncio.TaskGroup() as tasks:
        for _ in range(50):
            tasks.create_task(forever())

asyncio.run(main())
"""


def test_kill_9_loses_nothing_that_was_acknowledged(database_url):
    acknowledged = set()
    for first in (0, 1_000_000):
        with subprocess.Popen(
            [sys.executable, "-c", WRITES_FOR_EVER, database_url, str(first)],
            stdout=subprocess.PIPE,
        ) as child:
            lines = [child.stdout.readline() for _ in range(60)]  # it is writing, and goes on
            child.send_signal(signal.SIGKILL)
            lines += child.stdout.read().splitlines(keepends=True)
        acknowledged |= {int(line) for line in lines if line.endswith(b"\n")}
    assert len(acknowledged) > 100
    assert acknowledged <= set(tokens(database_url))

    async def verify():
        async with await Store.open(database_url) as store:
            return await audit.verify(store)

    found = asyncio.run(verify())
    assert found.broken is None
    assert found.records == len(tokens(database_url))
