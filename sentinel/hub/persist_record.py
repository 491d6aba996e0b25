"""The papers behind the log, whole: what was reported, planned, decided and run, as exact bytes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from sentinel.hub.persist_log import exact
from sentinel.hub.persist_reads import Reader
from sentinel.hub.tables import DECISION, PLAN, REASONING, REPORT, RESULT

PAGE = 500


class PlanPaper(msgspec.Struct, frozen=True, kw_only=True):
    """One revision of a plan, and the judgement of it if there is one."""

    incident: str
    revision: int
    seq: int
    digest: str
    body: bytes
    judgement: bytes | None


class DecisionPaper(msgspec.Struct, frozen=True, kw_only=True):
    """One decision; `seq` is the number of its audit record."""

    seq: int
    incident: str
    operator: str
    choice: str
    plan: str
    statement: bytes
    signatures: bytes


class ResultPaper(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one command of the run that decision `decision` approved."""

    decision: int
    position: int
    body: bytes


class Dossier(msgspec.Struct, frozen=True, kw_only=True):
    """Everything stored of one incident that can be derived again, or checked."""

    incident: str
    reports: dict[str, tuple[str, bytes]]  # event -> digest and body
    plans: tuple[PlanPaper, ...]
    decisions: tuple[DecisionPaper, ...]
    results: tuple[ResultPaper, ...]
    reasoning: tuple[tuple[str, bytes], ...]  # digest and body


class RecordReader:
    """Reads papers, in short transactions of its own."""

    def __init__(self, read: Callable[[], AbstractAsyncContextManager[AsyncConnection]]) -> None:
        """`read` opens a connection, and turns what the driver raises into StoreError."""
        self._read = read

    async def dossier(self, name: str) -> Dossier:
        """Return the papers of the incident of that id, or of the one id that begins or ends so.

        Raises OperatorError where there is none, or more than one.
        """
        async with self._read() as connection:
            incident = (await Reader(connection).named(name)).id

            async def rows(table: sa.Table, *order: str) -> list[dict[str, Any]]:
                query = sa.select(*exact(table)).where(table.c.incident == incident)
                found = await connection.execute(query.order_by(*(table.c[name] for name in order)))
                return [dict(row) for row in found.mappings()]

            reports = await rows(REPORT, "seq")
            reasoning = await rows(REASONING, "seq", "position")
            return Dossier(
                incident=incident,
                reports={row["event"]: (row["digest"], row["body"]) for row in reports},
                plans=tuple(PlanPaper(**row) for row in await rows(PLAN, "revision")),
                decisions=tuple(DecisionPaper(**row) for row in await rows(DECISION, "seq")),
                results=tuple(
                    ResultPaper(**{name: row[name] for name in ResultPaper.__struct_fields__})
                    for row in await rows(RESULT, "decision", "position")
                ),
                reasoning=tuple((row["digest"], row["body"]) for row in reasoning),
            )

    async def decisions(self, upto: int) -> AsyncIterator[DecisionPaper]:
        """Yield every decision recorded up to audit record `upto`, by number."""
        seq = 0
        while True:
            query = sa.select(*exact(DECISION)).where(DECISION.c.seq > seq, DECISION.c.seq <= upto)
            async with self._read() as connection:
                found = await connection.execute(query.order_by(DECISION.c.seq).limit(PAGE))
                rows = found.mappings().all()
            for row in rows:
                yield DecisionPaper(**row)
            if len(rows) < PAGE:
                return
            seq = rows[-1]["seq"]

    async def plan(self, incident: str, digest: str) -> PlanPaper | None:
        """Return the revision of an incident's plan that has that digest."""
        query = sa.select(*exact(PLAN)).where(PLAN.c.incident == incident, PLAN.c.digest == digest)
        async with self._read() as connection:
            row = (await connection.execute(query)).mappings().first()
        return None if row is None else PlanPaper(**row)
