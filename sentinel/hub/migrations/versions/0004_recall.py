"""Which service each incident is of, which runbook planned for it, and which services ran where.

What the reports and plans of the past say is taken over, a page at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import sqlalchemy as sa
from alembic import op

from sentinel.domain import Plan, Report
from sentinel.hub import recall
from sentinel.hub.tables import Plain

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

PAGE = 500

_INCIDENT = sa.table(
    "incident", *map(sa.column, ("id", "host", "event", "plan_revision", "service", "runbook"))
)
_REPORT = sa.table("report", *map(sa.column, ("host", "event", "body", "seq")))
_PLAN = sa.table("plan", *map(sa.column, ("incident", "revision", "body")))
_SERVICE = sa.table("service", *map(sa.column, ("service", "host", "seen_ms")))


def upgrade() -> None:
    for name in ("service", "runbook"):
        op.add_column("incident", sa.Column(name, Plain, nullable=False, server_default=""))
    op.create_table(
        "service",
        sa.Column("service", Plain, primary_key=True),
        sa.Column("host", Plain, primary_key=True),
        sa.Column("seen_ms", sa.BigInteger, nullable=False),
    )
    _take_over(op.get_bind())
    for name in ("service", "runbook"):
        op.create_index(f"incident_{name}", "incident", [name, "state", "opened_ms"])


def _take_over(connection: sa.Connection) -> None:
    at_report = (_REPORT.c.host == _INCIDENT.c.host) & (_REPORT.c.event == _INCIDENT.c.event)
    at_plan = (_PLAN.c.incident == _INCIDENT.c.id) & (_PLAN.c.revision == _INCIDENT.c.plan_revision)
    query = (
        sa.select(_INCIDENT.c.id, _INCIDENT.c.host, _REPORT.c.body, _PLAN.c.body.label("plan"))
        .join(_REPORT, at_report)
        .outerjoin(_PLAN, at_plan)
        .order_by(_INCIDENT.c.id)
        .limit(PAGE)
    )
    update = sa.update(_INCIDENT).where(_INCIDENT.c.id == sa.bindparam("incident"))
    seen: dict[tuple[str, str], int] = {}
    for rows in _pages(connection, query):
        found = []
        for row in rows:
            report = msgspec.json.decode(row.body, type=Report)
            service = recall.service_of(report)
            found.append({"incident": row.id, "of": service, "by": _runbook(row.plan)})
            for name in recall.services_in(report, service):
                seen[name, row.host] = report.context.captured_ms
        connection.execute(
            update.values(service=sa.bindparam("of"), runbook=sa.bindparam("by")), found
        )
    noted = [{"service": name, "host": host, "seen_ms": ms} for (name, host), ms in seen.items()]
    if noted:
        connection.execute(sa.insert(_SERVICE), noted)


def _pages(connection: sa.Connection, query: sa.Select[Any]) -> Iterator[list[sa.Row[Any]]]:
    last = ""
    while rows := list(connection.execute(query.where(_INCIDENT.c.id > last))):
        yield rows
        last = rows[-1].id


def _runbook(body: bytes | None) -> str:
    """Return the runbook of the plan in force; what a person made of a runbook's plan counts as theirs."""
    if body is None:
        return ""
    plan = msgspec.json.decode(body, type=Plan)
    return recall.runbook_of(plan.author, plan.engine)
