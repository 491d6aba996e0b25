"""The statements that write, all in one transaction that holds the head row of the audit log.

Whoever holds that row is the only writer on its database until the transaction ends, whichever hub it
belongs to. The compare-and-set in `swap` does not lean on that: it holds by itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncTransaction

from sentinel import canonical, errors, merkle
from sentinel.domain import (
    Choice,
    CommandResult,
    Move,
    Outcome,
    PlanJudgement,
    Reasoning,
    Report,
    State,
)
from sentinel.hub import persist_recall
from sentinel.hub.cases import Case, DecisionRecord, PlanRecord
from sentinel.hub.persist_engine import reason
from sentinel.hub.persist_list import URGENCY
from sentinel.hub.persist_log import HEAD_ROW, KEPT, Row
from sentinel.hub.persist_reads import Reader
from sentinel.hub.tables import (
    AGENT,
    AUDIT,
    AUDIT_NODE,
    CERTIFICATE,
    CHECKPOINT,
    DECISION,
    HEAD,
    INCIDENT,
    INVITE,
    LETTER_SEEN,
    PLAN,
    REASONING,
    REPORT,
    RESULT,
    TIMELINE,
)

NOTIFY_CHANNEL = "sentinel"
LETTERS_KEPT = 1024  # ids of a host's newest letters; see `forget_letters`

_LETTER = {c.name: sa.bindparam(c.name, type_=c.type) for c in LETTER_SEEN.c}
_FIRST_SIGHT = (
    sa.insert(LETTER_SEEN)
    .from_select(
        list(_LETTER),
        sa.select(*_LETTER.values()).where(
            ~sa.exists().where(
                LETTER_SEEN.c.host == _LETTER["host"], LETTER_SEEN.c.letter == _LETTER["letter"]
            )
        ),
    )
    .returning(LETTER_SEEN.c.letter)
)
_LOCKED_HEAD = HEAD_ROW.with_for_update()


class UnitOfWork(Reader):
    """One transaction that writes. Operations run in it one after the other, each in a savepoint."""

    def __init__(
        self, connection: AsyncConnection, end: merkle.Range, whole: AsyncTransaction
    ) -> None:
        """Use `begin`."""
        super().__init__(connection)
        self._whole = whole
        self._began = self._end = end
        self._records: list[Row] = []
        self._nodes: list[tuple[merkle.Subtree, bytes]] = []
        self._lines: list[dict[str, Any]] = []
        self._seen: list[tuple[str, str, int]] = []  # service, host, when

    @classmethod
    async def begin(cls, connection: AsyncConnection) -> UnitOfWork:
        """Lock the head row, and with it the right to write, until the transaction ends."""
        row = (await connection.execute(_LOCKED_HEAD)).one()
        # Either database can give up a transaction by itself and let the rest of it pass as if
        # nothing had been. A savepoint around the whole is gone then, and `finish` finds out.
        try:
            end = merkle.Range.load(row.seq, row.tree)
        except ValueError as error:
            raise errors.StoreError(
                f"the head row of the audit log is damaged: {error}",
                hint="sentinel audit verify says what else is; restore a backup",
            ) from None
        return cls(connection, end, await connection.begin_nested())

    async def attempt(self, operation: Callable[[UnitOfWork], Awaitable[object]]) -> object:
        """Run `operation` in a savepoint; return its result, or its exception as a value.

        What the log gained in it is taken back with it. Raises where the database itself failed: then
        the whole transaction is lost.
        """
        mark = self._end, len(self._records), len(self._lines), len(self._nodes)
        seen = len(self._seen)
        savepoint = await self._connection.begin_nested()
        # gather, so that whatever the operation raises goes to its own caller and to nobody else.
        (outcome,) = await asyncio.gather(operation(self), return_exceptions=True)
        if not isinstance(outcome, BaseException):
            await savepoint.commit()
            return outcome
        refused = isinstance(outcome, (DataError, IntegrityError))
        if isinstance(outcome, DBAPIError) and not refused:
            raise outcome
        await savepoint.rollback()
        self._end = mark[0]
        del self._records[mark[1] :], self._lines[mark[2] :], self._nodes[mark[3] :]
        del self._seen[seen:]
        if refused:
            return errors.WireError(
                f"the database cannot hold this: {reason(outcome)}",
                hint="the value is refused as it stands; sending it again will not help",
            )
        return outcome

    async def finish(self) -> int:
        """Write what the log gained and return its new end, just before the commit."""
        if self._records:
            rows = [row._asdict() for row in self._records]
            await self._connection.execute(sa.insert(AUDIT), rows)
        if self._nodes:
            nodes = [
                {"level": node.level, "number": node.number, "hash": root}
                for node, root in self._nodes
            ]
            await self._connection.execute(sa.insert(AUDIT_NODE), nodes)
        if self._lines:
            await self._connection.execute(sa.insert(TIMELINE), self._lines)
        if self._seen:
            await persist_recall.note_services(self._connection, self._seen)
        seq = self._end.size
        if self._end != self._began:
            await self._connection.execute(
                sa.update(HEAD).where(HEAD.c.id == 1).values(seq=seq, tree=self._end.dump())
            )
            if self._connection.dialect.name == "postgresql":
                await self._connection.execute(
                    sa.select(sa.func.pg_notify(NOTIFY_CHANNEL, str(seq)))
                )
        await self._whole.commit()
        return seq

    # ------------------------------------------------------------ the log

    @property
    def end(self) -> merkle.Range:
        """The tree over the log's records; `end[0]` is the number of the last."""
        return self._end

    def add_record(self, row: Row) -> None:
        """Add the audit record after the last."""
        made: dict[merkle.Subtree, bytes] = {}
        self._records.append(row)
        self._end = self._end.add(row.hash, made=made)
        self._nodes += ((n, root) for n, root in made.items() if n.level and n.level % KEPT == 0)

    async def add_checkpoint(self, size: int, note: str) -> bool:
        """Keep a signed checkpoint; False where a hub has kept one of that size or a larger."""
        newest = await self._connection.execute(sa.select(sa.func.max(CHECKPOINT.c.size)))
        if (newest.scalar_one() or 0) >= size:
            return False
        values = {"size": size, "note": note.encode()}
        await self._connection.execute(sa.insert(CHECKPOINT), values)
        return True

    def add_moves(self, incident: str, seq: int, moves: Iterable[Move]) -> None:
        """Add lines to an incident's timeline under one audit record."""
        self._lines += [
            {"incident": incident, "seq": seq, "position": n, "move": msgspec.to_builtins(move)}
            for n, move in enumerate(moves)
        ]

    async def moves(self, incident: str) -> tuple[Move, ...]:
        """Return the newest lines of the timeline, with those that this transaction adds."""
        added = [line["move"] for line in self._lines if line["incident"] == incident]
        stored = await super().moves(incident)
        return (*stored, *(msgspec.convert(move, Move) for move in added))

    # ------------------------------------------------------------ incidents

    async def insert_case(self, *cases: Case) -> None:
        """Add new incidents."""
        values = [
            {**msgspec.to_builtins(case), "tail": case.id[::-1], "is_open": case.is_open}
            for case in cases
        ]
        await self._connection.execute(sa.insert(INCIDENT), values)

    async def swap(self, before: Case, after: Case) -> bool:
        """Replace `before` by `after` if the incident still is where it was; return whether it did."""
        old, new = msgspec.to_builtins(before), msgspec.to_builtins(after)
        values = {name: new[name] for name in new if new[name] != old[name]}
        if before.is_open is not after.is_open:
            values["is_open"] = after.is_open
        statement = sa.update(INCIDENT).where(
            INCIDENT.c.id == before.id,
            INCIDENT.c.state == before.state.value,
            INCIDENT.c.revision == before.revision,
        )
        return (await self._connection.execute(statement.values(**values))).rowcount == 1

    async def claim(
        self, state: State, owner: str, now_ms: int, until_ms: int, limit: int
    ) -> tuple[Case, ...]:
        """Lease up to `limit` cases in `state` without a lease: the most severe first, of those the
        longest waiting, because in a storm an engine is asked about one after the other.
        """
        query = (
            sa.select(INCIDENT.c.id)
            .where(INCIDENT.c.state == state.value, INCIDENT.c.lease_until_ms <= now_ms)
            .order_by(URGENCY, INCIDENT.c.entered_ms)
            .limit(limit)
            # A row that somebody's session holds is passed over, not waited for.
            .with_for_update(skip_locked=True)
        )
        ids = (await self._connection.execute(query)).scalars().all()
        if not ids:
            return ()
        await self._connection.execute(
            sa.update(INCIDENT)
            .where(INCIDENT.c.id.in_(ids))
            .values(lease_owner=owner, lease_until_ms=until_ms)
        )
        return await self.cases(INCIDENT.c.id.in_(ids), limit=limit)

    async def extend_lease(self, incident: str, owner: str, until_ms: int) -> bool:
        """Extend `owner`'s lease; False where it no longer is the owner's."""
        statement = (
            sa.update(INCIDENT)
            .where(INCIDENT.c.id == incident, INCIDENT.c.lease_owner == owner)
            .values(lease_until_ms=until_ms)
        )
        return (await self._connection.execute(statement)).rowcount == 1

    async def release_leases(self, owner: str) -> None:
        """End every lease of `owner`."""
        await self._connection.execute(
            sa.update(INCIDENT)
            .where(INCIDENT.c.lease_owner == owner)
            .values(lease_owner="", lease_until_ms=0)
        )

    # ------------------------------------------------------------ what belongs to an incident

    async def first_sight(self, host: str, letter: str, now_ms: int) -> bool:
        """Note that a host's letter is stored; False where it was before."""
        values = {"host": host, "letter": letter, "seen_ms": now_ms}
        return (await self._connection.execute(_FIRST_SIGHT, values)).first() is not None

    async def forget_letters(self, host: str) -> None:
        """Forget the ids of all letters of a host but the newest.

        A letter comes again only while the node has no receipt for it. The node sends in order, and has
        64 on their way at the most: so it can only be one of the last 64 that are stored.
        """
        oldest = (
            sa.select(LETTER_SEEN.c.seen_ms)
            .where(LETTER_SEEN.c.host == host)
            .order_by(LETTER_SEEN.c.seen_ms.desc())
            .offset(LETTERS_KEPT - 1)
            .limit(1)
            .scalar_subquery()
        )
        await self._connection.execute(
            sa.delete(LETTER_SEEN).where(LETTER_SEEN.c.host == host, LETTER_SEEN.c.seen_ms < oldest)
        )

    async def add_report(self, report: Report, body: bytes, incident: str, seq: int) -> None:
        """Add a report's exact bytes under its incident and audit record."""
        await self.add_reports([(report, body, incident, seq)])

    async def add_reports(self, reports: Iterable[tuple[Report, bytes, str, int]]) -> None:
        """Add reports, each with its exact bytes, its incident and its audit record."""
        values = [
            {
                "host": report.host,
                "event": report.event,
                "incident": incident,
                "seq": seq,
                "digest": canonical.digest(body),
                "body": body,
            }
            for report, body, incident, seq in reports
        ]
        await self._connection.execute(sa.insert(REPORT), values)

    def note_services(self, host: str, names: Iterable[str], seen_ms: int) -> None:
        """Note the services that a host's report has shown to run."""
        self._seen += [(name, host, seen_ms) for name in names]

    async def add_plan(self, incident: str, seq: int, plan: PlanRecord) -> None:
        """Add one revision of a plan."""
        await self.add_plans([(incident, seq, plan)])

    async def add_plans(self, plans: Iterable[tuple[str, int, PlanRecord]]) -> None:
        """Add plans, each under its incident and audit record."""
        values = [
            {
                "incident": incident,
                "revision": plan.revision,
                "seq": seq,
                "digest": plan.digest,
                "body": plan.body,
                "judgement": None if plan.judgement is None else canonical.encode(plan.judgement),
            }
            for incident, seq, plan in plans
        ]
        await self._connection.execute(sa.insert(PLAN), values)

    async def judge_plan(self, incident: str, revision: int, judgement: PlanJudgement) -> None:
        """Put the policy's judgement beside a plan."""
        await self._connection.execute(
            sa.update(PLAN)
            .where(PLAN.c.incident == incident, PLAN.c.revision == revision)
            .values(judgement=canonical.encode(judgement))
        )

    async def add_decision(self, incident: str, choice: Choice, decision: DecisionRecord) -> None:
        """Add a decision."""
        values = {"incident": incident, "choice": choice.value} | msgspec.structs.asdict(decision)
        await self._connection.execute(sa.insert(DECISION), values)

    async def put_result(self, case: Case, result: CommandResult) -> bool:
        """Keep a command's result; False where it is known already or comes after the final one."""
        key = (
            RESULT.c.incident == case.id,
            RESULT.c.decision == case.decision_seq,
            RESULT.c.position == result.index,
        )
        values: dict[str, Any] = {
            "outcome": result.outcome.value,
            "body": canonical.encode(result),
        }
        known = (
            await self._connection.execute(sa.select(RESULT.c.outcome).where(*key))
        ).scalar_one_or_none()
        if known is None:
            values |= {
                "incident": case.id,
                "decision": case.decision_seq,
                "position": result.index,
            }
            await self._connection.execute(sa.insert(RESULT), values)
            return True
        if known != Outcome.RUNNING.value or result.outcome is Outcome.RUNNING:
            return False
        await self._connection.execute(sa.update(RESULT).where(*key).values(**values))
        return True

    async def add_reasoning(
        self, incident: str, seq: int, records: tuple[Reasoning, ...]
    ) -> tuple[str, ...]:
        """Keep the engine's calls of one round; return the digests of their exact bytes."""
        bodies = [canonical.encode(record) for record in records]
        digests = tuple(canonical.digest(body) for body in bodies)
        rows = [
            {"incident": incident, "seq": seq, "position": n, "digest": digests[n], "body": body}
            for n, body in enumerate(bodies)
        ]
        if rows:
            await self._connection.execute(sa.insert(REASONING), rows)
        return digests

    # ------------------------------------------------------------ peers

    async def put_agent(self, host: str, values: dict[str, Any]) -> None:
        """Change what is known of a node, or begin to know it; `values` are columns of `agent`."""
        known = await self._connection.execute(
            sa.update(AGENT).where(AGENT.c.host == host).values(**values)
        )
        if not known.rowcount:
            blank: dict[str, Any] = {
                "connected": False,
                "last_seen_ms": 0,
                "version": "",
                "mode": "dry-run",
                "policy": "",
                "certificate_expires_ms": 0,
                "clock_skew_ms": 0,
            }
            await self._connection.execute(sa.insert(AGENT), {"host": host} | blank | values)

    async def disconnect_agents(self) -> None:
        """Note that no node is connected."""
        await self._connection.execute(
            sa.update(AGENT).where(AGENT.c.connected).values(connected=False)
        )

    async def add_invite(self, token_hash: str, host: str, expires_ms: int) -> None:
        """Add an invite."""
        values = {"token_hash": token_hash, "host": host, "expires_ms": expires_ms}
        await self._connection.execute(sa.insert(INVITE), values)

    async def spend_invite(self, token_hash: str, now_ms: int) -> str | None:
        """Spend an invite and return its host; None where there is none that is unspent and in time."""
        statement = (
            sa.update(INVITE)
            .where(
                INVITE.c.token_hash == token_hash,
                INVITE.c.spent_ms.is_(None),
                INVITE.c.expires_ms > now_ms,
            )
            .values(spent_ms=now_ms)
            .returning(INVITE.c.host)
        )
        host: str | None = (await self._connection.execute(statement)).scalar_one_or_none()
        return host

    async def add_certificate(self, serial: str, host: str, expires_ms: int) -> None:
        """Add a certificate that was issued."""
        values = {"serial": serial, "host": host, "expires_ms": expires_ms}
        await self._connection.execute(sa.insert(CERTIFICATE), values)

    async def revoke(self, host: str, now_ms: int) -> int:
        """Revoke every certificate of `host` and return how many that were."""
        statement = (
            sa.update(CERTIFICATE)
            .where(CERTIFICATE.c.host == host, CERTIFICATE.c.revoked_ms.is_(None))
            .values(revoked_ms=now_ms)
        )
        return (await self._connection.execute(statement)).rowcount
