"""The audit log as it is stored: pages of records, the nodes of the tree, checkpoints. It only reads.

Verification reads a million records, so `pages` asks the drivers themselves: SQLAlchemy would take three
times as long to hand over a row as SQLite does to find it. Pages end where a stored node of the tree does.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from sentinel import errors, merkle
from sentinel.hub.tables import AUDIT, AUDIT_NODE, CHECKPOINT, DECISION, HEAD

KEPT = 8  # every eighth level of the tree is stored
PAGE = 1 << 12  # records, a multiple of the leaves under a stored node


def exact(table: sa.Table) -> list[sa.ColumnElement[Any]]:
    """Return the columns of `table`, its bytes as bytes whatever somebody has put there.

    SQLite keeps a text in a column of bytes, and what reads it must say so and not fall over it.
    """
    return [
        sa.cast(column, sa.LargeBinary).label(column.name)
        if isinstance(column.type, sa.LargeBinary)
        else column
        for column in table.c
    ]


HEAD_ROW = sa.select(
    sa.cast(HEAD.c.seq, sa.BigInteger).label("seq"),
    sa.cast(HEAD.c.tree, sa.LargeBinary).label("tree"),
).where(HEAD.c.id == 1)


class Row(NamedTuple):
    """One record as it is stored; `hash` is the leaf's."""

    seq: int
    incident: str
    body: bytes
    hash: bytes


Raw = tuple[int, str, bytes, bytes]  # a Row's fields, as a driver gives them


class LogReader:
    """Reads the log of a store, in short transactions of its own."""

    def __init__(self, read: Callable[[], AbstractAsyncContextManager[AsyncConnection]]) -> None:
        """`read` opens a connection, and turns what the driver raises into StoreError."""
        self._read = read

    async def head(self) -> tuple[int, bytes] | None:
        """Return the head row: how many records there are, and the tree's range; None without one."""
        async with self._read() as connection:
            row = (await connection.execute(HEAD_ROW)).one_or_none()
        return None if row is None else (row.seq, row.tree)

    async def end(self) -> merkle.Range:
        """Return the tree's range; StoreError where the head row is missing or damaged."""
        head = await self.head()
        try:
            if head is not None:
                return merkle.Range.load(*head)
        except ValueError:
            pass
        raise errors.StoreError(
            "the head row of the audit log is missing or damaged",
            hint="sentinel audit verify says what else is; restore a backup",
        )

    async def last(self) -> tuple[int, int]:
        """Return the highest number of a record and the largest size of a checkpoint; 0 for none."""
        async with self._read() as connection:
            row = (
                await connection.execute(
                    sa.select(
                        sa.select(sa.func.max(AUDIT.c.seq)).scalar_subquery(),
                        sa.select(sa.func.max(CHECKPOINT.c.size)).scalar_subquery(),
                    )
                )
            ).one()
        return row[0] or 0, row[1] or 0

    async def pages(self, after: int, upto: int, limit: int = PAGE) -> AsyncIterator[list[Raw]]:
        """Yield the records in (`after`, `upto`] by number, in pages that end at multiples of `limit`.

        A page may hold fewer records than numbers, or none: then they are missing.
        """
        while after < upto:
            last = min((after // limit + 1) * limit, upto)
            async with self._read() as connection:
                rows = await _tuples(connection, after, last)
            yield rows
            after = last

    async def of_incident(self, incident: str) -> list[Row]:
        """Return the records filed under an incident, oldest first."""
        query = sa.select(*exact(AUDIT)).where(AUDIT.c.incident == incident).order_by(AUDIT.c.seq)
        async with self._read() as connection:
            return [Row(*row) for row in await connection.execute(query)]

    async def approval(self, incident: str, statement: bytes) -> Row | None:
        """Return the record of the newest decision of an incident that has this statement."""
        query = (
            sa.select(*exact(AUDIT))
            .join(DECISION, DECISION.c.seq == AUDIT.c.seq)
            .where(DECISION.c.incident == incident, DECISION.c.statement == statement)
            .order_by(AUDIT.c.seq.desc())
            .limit(1)
        )
        async with self._read() as connection:
            row = (await connection.execute(query)).one_or_none()
        return None if row is None else Row(*row)

    async def checkpoints(self, after: int, upto: int) -> list[tuple[int, str]]:
        """Return size and note of the stored checkpoints with a size in (`after`, `upto`], by size."""
        query = (
            sa.select(*exact(CHECKPOINT))
            .where(CHECKPOINT.c.size > after, CHECKPOINT.c.size <= upto)
            .order_by(CHECKPOINT.c.size)
        )
        async with self._read() as connection:
            rows = (await connection.execute(query)).all()
        return [(row.size, row.note.decode("utf-8", "replace")) for row in rows]

    async def nodes(self, wanted: Iterable[merkle.Subtree]) -> dict[merkle.Subtree, bytes]:
        """Return the stored roots of subtrees of a kept level; what is missing is left out."""
        found = {}
        for level, indexes in _by_level(wanted).items():
            for index, root in (await self._hashes(level, [(i, i + 1) for i in indexes])).items():
                found[merkle.Subtree(level, index)] = root
        return found

    async def roots(self, wanted: Iterable[merkle.Subtree]) -> dict[merkle.Subtree, bytes]:
        """Return the roots of any complete subtrees, from the kept levels below them.

        Raises StoreError where the tree has holes.
        """
        wanted = list(wanted)
        below: dict[int, list[tuple[merkle.Subtree, int, int]]] = defaultdict(list)
        for subtree in wanted:
            kept = subtree.level - subtree.level % KEPT
            width = 1 << (subtree.level - kept)
            below[kept].append((subtree, subtree.number * width, (subtree.number + 1) * width))
        found = {}
        for level, parts in below.items():
            hashes = await self._hashes(level, [(begin, end) for _, begin, end in parts])
            for subtree, begin, end in parts:
                row = [hashes[n] for n in range(begin, end) if n in hashes]
                if len(row) != end - begin:
                    raise errors.StoreError(
                        f"the tree of the audit log has a hole in records"
                        f" {(begin << level) + 1} to {end << level}",
                        hint="sentinel audit verify names what was tampered with",
                    )
                found[subtree] = merkle.perfect(row)
        return found

    async def _hashes(self, level: int, parts: list[tuple[int, int]]) -> dict[int, bytes]:
        """Return the hashes with an index in one of the stretches `parts` of a kept level."""
        if level:
            number = AUDIT_NODE.c.number
            root = sa.cast(AUDIT_NODE.c.hash, sa.LargeBinary)
            query = sa.select(number, root).where(AUDIT_NODE.c.level == level)
        else:
            number, parts = AUDIT.c.seq, [(begin + 1, end + 1) for begin, end in parts]
            query = sa.select(number - 1, sa.cast(AUDIT.c.hash, sa.LargeBinary))
        inside = sa.or_(*((number >= begin) & (number < end) for begin, end in parts))
        async with self._read() as connection:
            rows = (await connection.execute(query.where(inside))).all()
        return {row[0]: row[1] for row in rows}


_PAGE = (
    "SELECT seq, incident, CAST(body AS {1}), CAST(hash AS {1}) FROM audit"
    " WHERE seq > {0} AND seq <= {0} ORDER BY seq"
)
_SQLITE_PAGE, _POSTGRESQL_PAGE = _PAGE.format("?", "BLOB"), _PAGE.format("%s", "BYTEA")


async def _tuples(connection: AsyncConnection, after: int, last: int) -> list[Raw]:
    """Return the records in (`after`, `last`] as the driver gives them."""
    driver = (await connection.get_raw_connection()).driver_connection
    assert driver is not None
    try:
        if connection.dialect.name == "sqlite":
            rows = await driver.execute_fetchall(_SQLITE_PAGE, (after, last))
        else:
            async with driver.cursor(binary=True) as cursor:
                await cursor.execute(_POSTGRESQL_PAGE, (after, last))
                rows = await cursor.fetchall()
    except connection.dialect.loaded_dbapi.Error as error:
        raise errors.StoreError(f"the audit log cannot be read: {error}") from error
    return list(rows)


def _by_level(subtrees: Iterable[merkle.Subtree]) -> dict[int, list[int]]:
    found: dict[int, list[int]] = defaultdict(list)
    for level, index in subtrees:
        found[level].append(index)
    return found
