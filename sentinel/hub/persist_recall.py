"""The statements that look back over the whole record: what ran where, and what became of it.

Incidents are added up over an index that holds all that is asked for, in the database: a hundred
thousand of them are read as quickly as a page of the list.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from sentinel import lifecycle
from sentinel.domain import State
from sentinel.hub.tables import INCIDENT, SERVICE
from sentinel.protocol import MAX_RUNBOOKS, MAX_SERVICE_HOSTS, MAX_SERVICES, Past, Service, Services

_OPEN = sorted(state.value for state in lifecycle.OPEN)


def _past(column: sa.Column[Any], limit: int) -> sa.Select[Any]:
    """Return the statement for what became of incidents, by the values of `column`, most first."""
    count = sa.func.count()
    state = INCIDENT.c.state
    return (
        sa.select(
            column.label("name"),
            count.label("count"),
            sa.func.sum(sa.case((state.in_(_OPEN), 1), else_=0)).label("open"),
            sa.func.sum(sa.case((state == State.RESOLVED.value, 1), else_=0)).label("resolved"),
            sa.func.max(INCIDENT.c.opened_ms).label("last_ms"),
        )
        .where(column > "")
        .group_by(column)
        .order_by(count.desc(), column)
        .limit(limit)
    )


async def _pasts(
    connection: AsyncConnection, column: sa.Column[Any], limit: int
) -> dict[str, Past]:
    rows = (await connection.execute(_past(column, limit))).mappings()
    return {
        row["name"]: Past(
            count=row["count"],
            open=int(row["open"]),
            resolved=int(row["resolved"]),
            last_ms=row["last_ms"],
        )
        for row in rows
    }


async def runbooks(connection: AsyncConnection) -> dict[str, Past]:
    """Return what became of the incidents whose last plan a runbook made, by the runbook's id."""
    return await _pasts(connection, INCIDENT.c.runbook, MAX_RUNBOOKS)


async def services(connection: AsyncConnection) -> Services:
    """Return the services with most incidents, and after them those that ran on most hosts."""
    pasts = await _pasts(connection, INCIDENT.c.service, MAX_SERVICES)
    hosts = sa.func.count()
    by_hosts = sa.select(SERVICE.c.service, hosts).group_by(SERVICE.c.service)
    common = await connection.execute(
        by_hosts.order_by(hosts.desc(), SERVICE.c.service).limit(MAX_SERVICES)
    )
    names = list(dict.fromkeys([*pasts, *(row[0] for row in common)]))[:MAX_SERVICES]
    counted = await connection.execute(by_hosts.where(SERVICE.c.service.in_(names)))
    counts = {row[0]: row[1] for row in counted}
    total = await connection.execute(sa.select(sa.func.count(SERVICE.c.service.distinct())))
    latest = await _latest_hosts(connection, names)
    return Services(
        services=tuple(
            Service(
                name=name,
                hosts=tuple(latest[name]),
                host_count=counts.get(name, 0),
                past=pasts.get(name, Past()),
            )
            for name in names
        ),
        more=max(0, int(total.scalar_one()) - len(names)),
    )


async def _latest_hosts(connection: AsyncConnection, names: list[str]) -> dict[str, list[str]]:
    """Return the hosts that have shown each service last, by name."""
    number = sa.func.row_number().over(
        partition_by=SERVICE.c.service, order_by=(SERVICE.c.seen_ms.desc(), SERVICE.c.host)
    )
    ranked = (
        sa.select(SERVICE.c.service, SERVICE.c.host, number.label("number"))
        .where(SERVICE.c.service.in_(names))
        .subquery()
    )
    query = (
        sa.select(ranked.c.service, ranked.c.host)
        .where(ranked.c.number <= MAX_SERVICE_HOSTS)
        .order_by(ranked.c.service, ranked.c.host)
    )
    found: dict[str, list[str]] = defaultdict(list)
    for service, host in await connection.execute(query):
        found[service].append(host)
    return found


async def note_services(connection: AsyncConnection, seen: Iterable[tuple[str, str, int]]) -> None:
    """Note of each service and host when that host has shown it; the last word counts."""
    latest = {(name, host): seen_ms for name, host, seen_ms in seen}
    rows = [
        {"service": name, "host": host, "seen_ms": seen_ms}
        for (name, host), seen_ms in sorted(latest.items())
    ]
    await connection.execute(_NOTED[connection.dialect.name], rows)


_KEY = [SERVICE.c.service, SERVICE.c.host]
_ON_SQLITE = sqlite.insert(SERVICE)
_ON_POSTGRESQL = postgresql.insert(SERVICE)
_NOTED: dict[str, sa.Insert] = {
    "sqlite": _ON_SQLITE.on_conflict_do_update(
        index_elements=_KEY, set_={"seen_ms": _ON_SQLITE.excluded.seen_ms}
    ),
    "postgresql": _ON_POSTGRESQL.on_conflict_do_update(
        index_elements=_KEY, set_={"seen_ms": _ON_POSTGRESQL.excluded.seen_ms}
    ),
}
