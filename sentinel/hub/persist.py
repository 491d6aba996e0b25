"""Stage 6: the store. SQLite where nothing is configured, PostgreSQL by URL, the same code.

    async with await Store.open("sqlite:////var/lib/sentinel/hub.db") as store:
        ...

Opening brings the database to this version's tables and seals its audit log. All writing goes through
`write`, which groups what many callers want into one commit; all reading is short transactions of its
own. A `revision` is the number of an audit record: it rises by one with every change to anything, so
"what changed after N" has one answer, and it is the same on every hub of a database.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Self, TypedDict, TypeVar, Unpack

import msgspec
import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from sentinel import errors, lifecycle, protocol
from sentinel.domain import (
    AgentStatus,
    AuditRecord,
    Bundle,
    Incident,
    Mode,
    Report,
    Sample,
    State,
    Summary,
)
from sentinel.hub import audit, persist_list, persist_recall
from sentinel.hub.bus import Bus
from sentinel.hub.cases import Case, PlanRecord, view
from sentinel.hub.migrations import schema
from sentinel.hub.persist_engine import make_private, must_exist, new_engine, store_error
from sentinel.hub.persist_log import LogReader, Row
from sentinel.hub.persist_reads import Reader
from sentinel.hub.persist_record import RecordReader
from sentinel.hub.persist_writes import NOTIFY_CHANNEL, UnitOfWork
from sentinel.hub.tables import AGENT, AUDIT, CERTIFICATE, HEAD, INCIDENT
from sentinel.hub.writer import Writer

log = logging.getLogger(__name__)

T = TypeVar("T")

BATCH = 256  # operations in one commit
QUEUE = 4096  # operations that wait; beyond it callers wait before they are queued
POLL_S = 1.0  # how soon another process's changes are seen where nothing notifies us
OF_HOST = 500
SIGN_MS = 60_000  # a node's mere sign of life is written no more often than this
SIGNS = frozenset({"last_seen_ms", "clock_skew_ms", "gauges"})


class AgentNote(TypedDict, total=False):
    """What may be noted of a node; the fields of domain.AgentStatus."""

    connected: bool
    last_seen_ms: int
    version: str
    mode: Mode
    policy: str
    certificate_expires_ms: int
    clock_skew_ms: int
    gauges: tuple[Sample, ...]  # never written: they are of the moment


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """How many open incidents there are in each state, and how many nodes."""

    states: dict[State, int]
    nodes: int
    nodes_connected: int

    @property
    def open_incidents(self) -> int:
        """Incidents that can still move."""
        return sum(self.states.values())

    @property
    def need_decision(self) -> int:
        """Plans that await an approval."""
        return self.states.get(State.AWAITING, 0)


class Store:
    """The database of one hub, open between `async with` and its end."""

    def __init__(self, engine: AsyncEngine) -> None:
        """Use `open`."""
        self._engine = engine
        self._writing = engine.execution_options(sentinel_writes=True)
        self._writer = Writer(self._begin, batch=BATCH, queue=QUEUE)
        self._tasks = asyncio.TaskGroup()
        self._own: list[asyncio.Task[None]] = []
        self._revoked: tuple[int, frozenset[str]] = (-1, frozenset())
        self._agents: dict[str, AgentNote] = {}  # newer than what is written
        self._written_ms: dict[str, int] = {}  # host -> last_seen_ms as it is written
        self.bus = Bus()
        self.log = LogReader(self._read)
        self.dossiers = RecordReader(self._read)
        self.restored: tuple[
            str, ...
        ] = ()  # triggers of the audit log that were not as they must be

    @classmethod
    async def open(cls, url: str, *, prepare: bool = True) -> Store:
        """Return the store at `url`, migrated and sealed: `sqlite:///PATH` or `postgresql://...`.

        It writes from `async with` on. Without `prepare` nothing is changed: the database must be
        there and of this version, and whatever is wrong with its triggers is only said.
        Raises ConfigError where `url` names no database that we know, and StoreError where the
        database cannot be used or a newer version has written it.
        """
        store = cls(new_engine(url))
        try:
            await (store._prepare() if prepare else store._inspect())
        except BaseException:
            await store._engine.dispose()
            raise
        return store

    async def _prepare(self) -> None:
        async with self._faults():
            if self.database == "sqlite":
                make_private(str(self._engine.url.database))
            async with self._writing.begin() as connection:
                self.restored = await connection.run_sync(schema.prepare)
        self.bus.publish(await self.revision())
        if self.restored:
            log.warning(
                "the audit log's triggers were missing or altered and have been put back: %s",
                ", ".join(self.restored),
                extra={"action": "audit_resealed"},
            )

    async def _inspect(self) -> None:
        if self.database == "sqlite":
            must_exist(str(self._engine.url.database))
        async with self._read() as connection:
            self.restored = await connection.run_sync(schema.inspect)

    async def __aenter__(self) -> Self:
        """Start writing."""
        await self._tasks.__aenter__()
        self._own = [
            self._tasks.create_task(self._writer.run()),
            self._tasks.create_task(self._follow()),
        ]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Commit what is queued and close. What the body raised goes on as it is, in no group."""
        try:
            if kind is None:
                await self._writer.close()
        finally:
            for task in self._own:
                task.cancel()
            await self._tasks.__aexit__(None, None, None)
            await self._engine.dispose()

    @property
    def database(self) -> str:
        """The sort of database: `sqlite` or `postgresql`."""
        return self._engine.dialect.name

    # ------------------------------------------------------------ transactions

    async def write(self, operation: Callable[[UnitOfWork], Awaitable[T]]) -> T:
        """Run `operation` in a transaction with others and return its result after the commit.

        It may be run again where nothing was committed, so it must change nothing but the database.
        Raises what `operation` raised, WireError where the database cannot hold a value, or StoreError.
        """
        return await self._writer.write(operation)

    @asynccontextmanager
    async def _begin(self) -> AsyncIterator[UnitOfWork]:
        async with self._faults(), self._writing.begin() as connection:
            work = await UnitOfWork.begin(connection)
            yield work
            revision = await work.finish()
        self.bus.publish(revision)

    @asynccontextmanager
    async def _read(self) -> AsyncIterator[AsyncConnection]:
        async with self._faults(), self._engine.connect() as connection:
            yield connection

    @asynccontextmanager
    async def _faults(self) -> AsyncIterator[None]:
        """Turn what the driver raises into StoreError; this is the only place that does."""
        try:
            yield
        except (SQLAlchemyError, OSError) as error:
            raise store_error(error, self._engine.url) from error

    async def _follow(self) -> None:
        """Publish what other processes commit: by notification where there is one, and by polling."""
        while True:
            try:
                if self.database == "postgresql":
                    await self._listen()
                else:
                    await asyncio.sleep(POLL_S)
                    self.bus.publish(await self.revision())
            except errors.StoreError as error:
                log.warning("%s", error.what, extra={"action": "store_unreachable"})
                await asyncio.sleep(POLL_S)

    async def _listen(self) -> None:
        async with self._faults(), self._engine.connect() as connection:
            await connection.execution_options(isolation_level="AUTOCOMMIT")
            driver = (await connection.get_raw_connection()).driver_connection
            assert driver is not None
            try:
                await connection.exec_driver_sql(f"LISTEN {NOTIFY_CHANNEL}")
                while True:
                    async for note in driver.notifies(timeout=POLL_S, stop_after=1):
                        self.bus.publish(int(note.payload))
                    self.bus.publish(await _head(connection))
            except self._engine.dialect.loaded_dbapi.Error as error:
                raise errors.StoreError(f"the database's notifications ended: {error}") from error
            finally:
                await connection.invalidate()

    # ------------------------------------------------------------ incidents

    async def page(self, *, open_only: bool, before: str | None, limit: int) -> protocol.Page:
        """Return incidents, newest first; `before` is the last id of the page before."""
        request = protocol.ListRequest(open_only=open_only, before=before, limit=limit)
        return await self.listed(request)

    async def listed(self, request: protocol.ListRequest) -> protocol.Page:
        """Return the page of incidents that is asked for."""
        async with self._read() as connection:
            # The revision first: what changes in between is then sent once more, and never missed.
            revision = await _head(connection)
            rows = (await connection.execute(persist_list.page(request))).mappings().all()
        found = [msgspec.convert(row, Summary) for row in rows[: request.limit]]
        if request.up:
            found.reverse()
        return protocol.Page(
            summaries=tuple(found), revision=revision, more=len(rows) > request.limit
        )

    async def changes(self, *, since: int, limit: int) -> tuple[Summary, ...]:
        """Return the incidents that changed after `since`, in the order of their last change."""
        query = (
            sa.select(*persist_list.SUMMARY)
            .where(INCIDENT.c.revision > since)
            .order_by(INCIDENT.c.revision)
            .limit(limit)
        )
        async with self._read() as connection:
            rows = (await connection.execute(query)).mappings().all()
        return tuple(msgspec.convert(row, Summary) for row in rows)

    async def incident(self, name: str) -> Incident:
        """Return the incident of that id, or of the one id that begins or ends so.

        Raises OperatorError where there is none, or more than one.
        """
        async with self._read() as connection:
            reader = Reader(connection)
            return view(await reader.folder(await reader.named(name)))

    async def case(self, name: str) -> Case:
        """Return the case of the incident of that name, as `incident` takes it, without its papers."""
        async with self._read() as connection:
            return await Reader(connection).named(name)

    async def waiting(
        self,
        state: State,
        *,
        entered_before_ms: int | None = None,
        escalated: bool | None = None,
        limit: int,
    ) -> tuple[Case, ...]:
        """Return cases in `state`, the longest there first: all, or those that came to it before
        `entered_before_ms`, or those that the hub has (not) escalated.
        """
        where = [INCIDENT.c.state == state.value]
        if entered_before_ms is not None:
            where.append(INCIDENT.c.entered_ms < entered_before_ms)
        if escalated is not None:
            where.append(INCIDENT.c.escalated.is_(escalated))
        async with self._read() as connection:
            return await Reader(connection).cases(*where, limit=limit)

    async def claimable(self, state: State, now_ms: int) -> bool:
        """Return whether some case in `state` is without a lease; a claim would then find it."""
        query = (
            sa.select(sa.literal(1))
            .where(INCIDENT.c.state == state.value, INCIDENT.c.lease_until_ms <= now_ms)
            .limit(1)
        )
        async with self._read() as connection:
            return (await connection.execute(query)).first() is not None

    async def papers(self, case: Case) -> tuple[Report, PlanRecord | None]:
        """Return the report and the plan that are in force as `case` says."""
        async with self._read() as connection:
            reader = Reader(connection)
            return await reader.report(case), await reader.plan(case)

    async def plan(self, case: Case) -> PlanRecord | None:
        """Return the plan in force alone, where nobody needs the report, which may be large."""
        async with self._read() as connection:
            return await Reader(connection).plan(case)

    async def of_host(self, host: str, states: Collection[State]) -> tuple[Case, ...]:
        """Return the cases of `host` in one of `states`, those that have been there longest first."""
        among = INCIDENT.c.state.in_([state.value for state in states])
        async with self._read() as connection:
            return await Reader(connection).cases(INCIDENT.c.host == host, among, limit=OF_HOST)

    async def bundles(self, host: str) -> tuple[Bundle, ...]:
        """Return the approved plans that `host` has not answered yet."""
        async with self._read() as connection:
            return await Reader(connection).bundles(host)

    async def counts(self) -> Counts:
        """Return how much there is."""
        by_state = (
            sa.select(INCIDENT.c.state, sa.func.count())
            .where(INCIDENT.c.state.in_(sorted(state.value for state in lifecycle.OPEN)))
            .group_by(INCIDENT.c.state)
        )
        by_connection = sa.select(AGENT.c.connected, sa.func.count()).group_by(AGENT.c.connected)
        async with self._read() as connection:
            rows = (await connection.execute(by_state)).all()
            nodes = (await connection.execute(by_connection)).all()
        connected = {bool(connected): count for connected, count in nodes}
        return Counts(
            states={State(state): count for state, count in rows},
            nodes=sum(connected.values()),
            nodes_connected=connected.get(True, 0),
        )

    async def services(self) -> protocol.Services:
        """Return what runs where, and what has been failing."""
        async with self._read() as connection:
            return await persist_recall.services(connection)

    async def runbook_pasts(self) -> dict[str, protocol.Past]:
        """Return what became of the incidents that a runbook made the last plan of, by its id."""
        async with self._read() as connection:
            return await persist_recall.runbooks(connection)

    # ------------------------------------------------------------ the log

    async def revision(self) -> int:
        """Return the number of the last audit record."""
        async with self._read() as connection:
            return await _head(connection)

    async def record(self, action: str, text: str, now_ms: int) -> None:
        """Write an audit record about the hub itself."""

        async def operation(work: UnitOfWork) -> None:
            _note(work, now_ms, action, text, {})

        await self.write(operation)

    async def audit_page(
        self, *, after: int, limit: int, incident: str | None
    ) -> tuple[AuditRecord, ...]:
        """Return records with a seq greater than `after`, or the newest where that is negative."""
        query = sa.select(AUDIT).limit(limit)
        if incident is not None:
            query = query.where(AUDIT.c.incident == incident)
        newest = after < 0
        query = (
            query.order_by(AUDIT.c.seq.desc())
            if newest
            else query.where(AUDIT.c.seq > after).order_by(AUDIT.c.seq)
        )
        async with self._read() as connection:
            rows = (await connection.execute(query)).mappings().all()
        records = [audit.record(Row(**row)) for row in rows]
        return tuple(reversed(records) if newest else records)

    # ------------------------------------------------------------ nodes and certificates

    async def note_agent(self, host: str, **note: Unpack[AgentNote]) -> None:
        """Note what a node showed of itself. A mere sign of life is written once a minute."""
        known = self._agents.get(host, {})
        merged: AgentNote = {**known, **note}
        seen_ms = merged.get("last_seen_ms", 0)
        news = {name: value for name, value in note.items() if name not in SIGNS}
        if news.items() <= known.items() and seen_ms < self._written_ms.get(host, 0) + SIGN_MS:
            self._agents[host] = merged
            return
        await self.write(lambda work: work.put_agent(host, _agent_values(note)))
        self._agents[host] = merged
        self._written_ms[host] = seen_ms

    async def disconnect_agents(self) -> None:
        """Note that no node is connected, as a hub knows that has just started."""
        self._agents.clear()
        self._written_ms.clear()
        await self.write(UnitOfWork.disconnect_agents)

    async def agents(self) -> tuple[AgentStatus, ...]:
        """Return the nodes by name."""
        open_by_host = (
            sa.select(INCIDENT.c.host, sa.func.count())
            .where(INCIDENT.c.is_open)
            .group_by(INCIDENT.c.host)
        )
        async with self._read() as connection:
            rows = (await connection.execute(sa.select(AGENT).order_by(AGENT.c.host))).mappings()
            stored = [dict(row) for row in rows]
            counted = {row[0]: row[1] for row in await connection.execute(open_by_host)}
        return tuple(
            msgspec.convert(
                row | self._signs(row) | {"open_incidents": counted.get(row["host"], 0)},
                AgentStatus,
            )
            for row in stored
        )

    def _signs(self, row: dict[str, Any]) -> dict[str, Any]:
        """Return the signs of life this hub has had of a node since they were last written."""
        note = self._agents.get(row["host"], {})
        if note.get("last_seen_ms", 0) < row["last_seen_ms"]:
            return {}  # perhaps it is another hub's now
        return {name: value for name, value in note.items() if name in SIGNS}

    async def add_invite(self, token_hash: str, host: str, expires_ms: int, now_ms: int) -> None:
        """Keep an invite for `host`, as its token's hash."""

        async def operation(work: UnitOfWork) -> None:
            await work.add_invite(token_hash, host, expires_ms)
            _note(work, now_ms, "invited", f"invite for {host}", {"host": host})

        await self.write(operation)

    async def spend_invite(self, token_hash: str, now_ms: int) -> str | None:
        """Spend an invite and return its host; None where it is unknown, spent or expired."""

        async def operation(work: UnitOfWork) -> str | None:
            host = await work.spend_invite(token_hash, now_ms)
            if host is not None:
                _note(work, now_ms, "joined", f"{host} used its invite", {"host": host})
            return host

        return await self.write(operation)

    async def note_certificate(self, serial: str, host: str, expires_ms: int, now_ms: int) -> None:
        """Keep the serial number of a certificate that was issued to `host`."""

        async def operation(work: UnitOfWork) -> None:
            await work.add_certificate(serial, host, expires_ms)
            text = f"certificate {serial} for {host}"
            _note(work, now_ms, "certified", text, {"host": host, "serial": serial})

        await self.write(operation)

    async def revoke(self, host: str, now_ms: int) -> int:
        """Revoke every certificate of `host` and return how many there were."""

        async def operation(work: UnitOfWork) -> int:
            count = await work.revoke(host, now_ms)
            text = f"{count} certificates of {host} revoked"
            _note(work, now_ms, "revoked", text, {"host": host})
            return count

        return await self.write(operation)

    async def revoked(self) -> frozenset[str]:
        """Return the serial numbers that count no more; asked again only after a change."""
        revision, serials = self._revoked
        if revision != self.bus.revision:
            revision = self.bus.revision
            query = sa.select(CERTIFICATE.c.serial).where(CERTIFICATE.c.revoked_ms.is_not(None))
            async with self._read() as connection:
                serials = frozenset((await connection.execute(query)).scalars())
            self._revoked = revision, serials
        return serials


def _note(work: UnitOfWork, now_ms: int, action: str, text: str, facts: dict[str, str]) -> None:
    body = audit.Body(seq=0, at_ms=now_ms, action=action, actor="hub", text=text, facts=facts)
    audit.append(work, body)


def _agent_values(note: AgentNote) -> dict[str, Any]:
    """Return a note as columns; a node's own words are escaped, for they end in a terminal."""
    return {
        name: errors.printable(value, 200) if isinstance(value, str) else value
        for name, value in note.items()
        if name != "gauges"
    }


async def _head(connection: AsyncConnection) -> int:
    return int((await connection.execute(sa.select(HEAD.c.seq))).scalar_one())
