"""The first tables."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

from sentinel.hub.tables import Document, Plain, Serial

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def _text(name: str, *, primary_key: bool = False) -> sa.Column[Any]:
    return sa.Column(name, Plain, nullable=False, primary_key=primary_key)


def _int(name: str, *, primary_key: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.BigInteger, nullable=False, primary_key=primary_key)


def _bytes(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.LargeBinary, nullable=False)


def _incident(*, primary_key: bool = False) -> sa.Column[Any]:
    return sa.Column(
        "incident",
        Plain,
        sa.ForeignKey("incident.id"),
        nullable=False,
        primary_key=primary_key,
    )


def upgrade() -> None:
    _incidents()
    _what_belongs_to_an_incident()
    _peers()
    _log()


def _incidents() -> None:
    op.create_table(
        "incident",
        _text("id", primary_key=True),
        _text("tail"),
        _text("host"),
        _text("kind"),
        _text("severity"),
        _text("state"),
        sa.Column("is_open", sa.Boolean, nullable=False),
        _int("revision"),
        _text("rule"),
        _text("subject"),
        _text("culprit"),
        _text("event"),
        _text("challenge"),
        sa.Column("verdict", Plain, nullable=True),
        _text("evidence"),
        _int("count"),
        sa.Column("previous", Plain, nullable=True),
        _int("opened_ms"),
        _int("updated_ms"),
        _int("entered_ms"),
        _int("attempt"),
        sa.Column("escalated", sa.Boolean, nullable=False),
        _int("plan_revision"),
        _int("decision_seq"),
        _text("lease_owner"),
        _int("lease_until_ms"),
        sa.Column("papers", Document, nullable=False),
    )
    op.create_index(
        "incident_open_key",
        "incident",
        ["host", "kind", "rule", "subject"],
        unique=True,
        sqlite_where=sa.text("is_open"),
        postgresql_where=sa.text("is_open"),
    )
    op.create_index("incident_revision", "incident", ["revision"], unique=True)
    op.create_index("incident_open_id", "incident", ["is_open", "id"])
    op.create_index("incident_state_entered", "incident", ["state", "entered_ms"])
    op.create_index("incident_host_state", "incident", ["host", "state"])
    op.create_index("incident_culprit", "incident", ["host", "kind", "rule", "culprit", "id"])
    op.create_index("incident_tail", "incident", ["tail"])


def _what_belongs_to_an_incident() -> None:
    op.create_table(
        "report",
        _text("host", primary_key=True),
        _text("event", primary_key=True),
        _incident(),
        _int("seq"),
        _text("digest"),
        _bytes("body"),
    )
    op.create_index("report_incident", "report", ["incident", "seq"])
    op.create_table(
        "plan",
        _incident(primary_key=True),
        _int("revision", primary_key=True),
        _int("seq"),
        _text("digest"),
        _bytes("body"),
        sa.Column("judgement", sa.LargeBinary, nullable=True),
    )
    op.create_table(
        "decision",
        sa.Column("seq", Serial, primary_key=True, autoincrement=False),
        _incident(),
        _text("operator"),
        _text("choice"),
        _text("plan"),
        _bytes("statement"),
        _bytes("signatures"),
    )
    op.create_index("decision_incident", "decision", ["incident", "seq"])
    op.create_table(
        "result",
        _incident(primary_key=True),
        _int("decision", primary_key=True),
        _int("position", primary_key=True),
        _text("outcome"),
        _bytes("body"),
    )
    op.create_table(
        "reasoning",
        _incident(primary_key=True),
        _int("seq", primary_key=True),
        _int("position", primary_key=True),
        _text("digest"),
        _bytes("body"),
    )
    op.create_table(
        "timeline",
        _incident(primary_key=True),
        _int("seq", primary_key=True),
        _int("position", primary_key=True),
        sa.Column("move", Document, nullable=False),
    )


def _peers() -> None:
    op.create_table(
        "letter_seen",
        _text("host", primary_key=True),
        _text("letter", primary_key=True),
        _int("seen_ms"),
    )
    op.create_table(
        "agent",
        _text("host", primary_key=True),
        sa.Column("connected", sa.Boolean, nullable=False),
        _int("last_seen_ms"),
        _text("version"),
        _text("mode"),
        _text("policy"),
        _int("certificate_expires_ms"),
        _int("clock_skew_ms"),
    )
    op.create_table(
        "invite",
        _text("token_hash", primary_key=True),
        _text("host"),
        _int("expires_ms"),
        sa.Column("spent_ms", sa.BigInteger, nullable=True),
    )
    op.create_table(
        "certificate",
        _text("serial", primary_key=True),
        _text("host"),
        _int("expires_ms"),
        sa.Column("revoked_ms", sa.BigInteger, nullable=True),
    )
    op.create_index("certificate_host", "certificate", ["host"])
    op.create_index("certificate_revoked", "certificate", ["revoked_ms"])


def _log() -> None:
    op.create_table(
        "audit",
        sa.Column("seq", Serial, primary_key=True, autoincrement=False),
        _text("incident"),
        _bytes("body"),
        _bytes("hash"),
    )
    op.create_index("audit_incident", "audit", ["incident", "seq"])
    head = op.create_table(
        "head",
        sa.Column("id", sa.SmallInteger, primary_key=True, autoincrement=False),
        _int("seq"),
        _bytes("hash"),
    )
    op.bulk_insert(head, [{"id": 1, "seq": 0, "hash": bytes(32)}])
