"""The statements that read: rows as values, inside a transaction that `persist` has opened."""

from __future__ import annotations

from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from sentinel import errors
from sentinel.domain import (
    Bundle,
    CommandResult,
    Kind,
    Move,
    PlanJudgement,
    Report,
    Signature,
    State,
)
from sentinel.hub.cases import SHOWN_MOVES, Case, DecisionRecord, Folder, Papers, PlanRecord
from sentinel.hub.tables import DECISION, INCIDENT, PLAN, REPORT, RESULT, TIMELINE

MIN_ID_PART = 4

_CASE = [INCIDENT.c[name] for name in Case.__struct_fields__]


def _is(column: sa.Column[Any]) -> sa.ColumnElement[bool]:
    return column == sa.bindparam(column.name, type_=column.type)


# What every letter asks, built once: to build a statement costs as much as to run it.
_CASE_BY_ID = sa.select(*_CASE).where(_is(INCIDENT.c.id))
_OPEN_CASE = sa.select(*_CASE).where(
    _is(INCIDENT.c.host),
    _is(INCIDENT.c.kind),
    _is(INCIDENT.c.rule),
    _is(INCIDENT.c.subject),
    INCIDENT.c.is_open,
)
_PREVIOUS = (
    sa.select(INCIDENT.c.id)
    .where(
        _is(INCIDENT.c.host),
        _is(INCIDENT.c.kind),
        _is(INCIDENT.c.rule),
        _is(INCIDENT.c.culprit),
        INCIDENT.c.is_open.is_(False),
    )
    .order_by(INCIDENT.c.id.desc())
    .limit(1)
)
_CASE_OF_EVENT = (
    sa.select(*_CASE)
    .join(REPORT, REPORT.c.incident == INCIDENT.c.id)
    .where(_is(REPORT.c.host), _is(REPORT.c.event))
)


def _begins(column: sa.Column[Any], part: str) -> sa.ColumnElement[bool]:
    """Return a condition that an index serves, unlike LIKE; no id has a character after `~`."""
    return (column >= part) & (column < part + "~")


class Reader:
    """Reads rows as values, in one transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        """Read over `connection`."""
        self._connection = connection

    async def _case(self, query: sa.Select[Any], **values: str) -> Case | None:
        row = (await self._connection.execute(query, values)).mappings().first()
        return None if row is None else msgspec.convert(row, Case)

    async def cases(self, *where: sa.ColumnElement[bool], limit: int) -> tuple[Case, ...]:
        """Return the cases that have been in their state longest, of those that match `where`."""
        query = sa.select(*_CASE).where(*where).order_by(INCIDENT.c.entered_ms).limit(limit)
        rows = (await self._connection.execute(query)).mappings()
        return tuple(msgspec.convert(row, Case) for row in rows)

    async def case(self, incident: str) -> Case | None:
        """Return the case of that id."""
        return await self._case(_CASE_BY_ID, id=incident)

    async def named(self, name: str) -> Case:
        """Return the case of that id, or of the one id that begins or ends so (see `resolve`)."""
        case = await self.case(name) or await self.case(await self.resolve(name))
        assert case is not None
        return case

    async def resolve(self, name: str) -> str:
        """Return the one id that begins or ends with `name`; OperatorError where that is not one."""
        part = name.strip().lower()
        if len(part) < MIN_ID_PART:
            raise errors.OperatorError(
                f"{errors.printable(name)} is too short for an incident's id",
                hint=f"give at least {MIN_ID_PART} characters of its beginning or end",
            )
        query = (
            sa.select(INCIDENT.c.id)
            .where(_begins(INCIDENT.c.id, part) | _begins(INCIDENT.c.tail, part[::-1]))
            .limit(2)
        )
        ids = (await self._connection.execute(query)).scalars().all()
        if not ids:
            raise errors.OperatorError(f"there is no incident {errors.printable(name, 64)}")
        if len(ids) > 1:
            raise errors.OperatorError(
                f"{errors.printable(name, 64)} fits more than one incident",
                hint="give more characters; the end of an id tells more than its beginning",
            )
        return str(ids[0])

    async def open_case(self, host: str, kind: Kind, rule: str, subject: str) -> Case | None:
        """Return the open case about that very fault; there is at most one."""
        return await self._case(_OPEN_CASE, host=host, kind=kind.value, rule=rule, subject=subject)

    async def previous(self, host: str, kind: Kind, rule: str, culprit: str) -> str | None:
        """Return the id of the newest closed incident with the same culprit."""
        values = {"host": host, "kind": kind.value, "rule": rule, "culprit": culprit}
        return (await self._connection.execute(_PREVIOUS, values)).scalar_one_or_none()

    async def case_of_event(self, host: str, event: str) -> Case | None:
        """Return the case that the host's event was reported to."""
        return await self._case(_CASE_OF_EVENT, host=host, event=event)

    async def newest_event(self, incident: str) -> str:
        """Return the event that the node reported last of that incident."""
        query = (
            sa.select(REPORT.c.event)
            .where(REPORT.c.incident == incident)
            .order_by(REPORT.c.seq.desc())
            .limit(1)
        )
        return str((await self._connection.execute(query)).scalar_one())

    async def report(self, case: Case) -> Report:
        """Return the report in force."""
        query = sa.select(REPORT.c.body).where(
            REPORT.c.host == case.host, REPORT.c.event == case.event
        )
        body = (await self._connection.execute(query)).scalar_one()
        return msgspec.json.decode(body, type=Report)

    async def plan(self, case: Case) -> PlanRecord | None:
        """Return the plan in force, if there is one yet."""
        if not case.plan_revision:
            return None
        query = sa.select(PLAN.c.revision, PLAN.c.digest, PLAN.c.body, PLAN.c.judgement).where(
            PLAN.c.incident == case.id, PLAN.c.revision == case.plan_revision
        )
        row = (await self._connection.execute(query)).one()
        judgement = (
            None
            if row.judgement is None
            else msgspec.json.decode(row.judgement, type=PlanJudgement)
        )
        return PlanRecord(
            revision=row.revision, digest=row.digest, body=row.body, judgement=judgement
        )

    async def decision(self, case: Case) -> DecisionRecord | None:
        """Return the last decision, if there is one yet."""
        if not case.decision_seq:
            return None
        query = sa.select(
            DECISION.c.seq,
            DECISION.c.operator,
            DECISION.c.plan,
            DECISION.c.statement,
            DECISION.c.signatures,
        ).where(DECISION.c.seq == case.decision_seq)
        row = (await self._connection.execute(query)).mappings().one()
        return msgspec.convert(row, DecisionRecord)

    async def results(self, case: Case) -> tuple[CommandResult, ...]:
        """Return the results of the last approved run, in the plan's order."""
        if not case.decision_seq:
            return ()
        query = (
            sa.select(RESULT.c.body)
            .where(RESULT.c.incident == case.id, RESULT.c.decision == case.decision_seq)
            .order_by(RESULT.c.position)
        )
        bodies = (await self._connection.execute(query)).scalars()
        return tuple(msgspec.json.decode(body, type=CommandResult) for body in bodies)

    async def moves(self, incident: str) -> tuple[Move, ...]:
        """Return the newest lines of the timeline, oldest first."""
        query = (
            sa.select(TIMELINE.c.move)
            .where(TIMELINE.c.incident == incident)
            .order_by(TIMELINE.c.seq.desc(), TIMELINE.c.position.desc())
            .limit(SHOWN_MOVES)
        )
        moves = (await self._connection.execute(query)).scalars().all()
        return tuple(msgspec.convert(move, Move) for move in reversed(moves))

    async def folder(self, case: Case) -> Folder:
        """Return everything about one incident."""
        return Folder(
            case=case,
            report=await self.report(case),
            plan=await self.plan(case),
            decision=await self.decision(case),
            results=await self.results(case),
            moves=await self.moves(case.id),
        )

    async def bundles(self, host: str) -> tuple[Bundle, ...]:
        """Return the approved plans that `host` has not answered yet, as their exact bytes.

        One that a person has stopped is not among them, for it leaves the hub no more.
        """
        query = (
            sa.select(
                INCIDENT.c.id,
                INCIDENT.c.papers,
                PLAN.c.body,
                DECISION.c.statement,
                DECISION.c.signatures,
            )
            .join(
                PLAN,
                (PLAN.c.incident == INCIDENT.c.id) & (PLAN.c.revision == INCIDENT.c.plan_revision),
            )
            .join(DECISION, DECISION.c.seq == INCIDENT.c.decision_seq)
            .where(INCIDENT.c.host == host, INCIDENT.c.state == State.APPROVED.value)
            .order_by(DECISION.c.seq)
        )
        return tuple(
            Bundle(
                incident=row.id,
                plan=row.body.decode(),
                statement=row.statement.decode(),
                signatures=msgspec.json.decode(row.signatures, type=tuple[Signature, ...]),
            )
            for row in await self._connection.execute(query)
            if msgspec.convert(row.papers, Papers).stopping is None
        )
