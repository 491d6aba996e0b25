"""The tables: what a row is, on SQLite and on PostgreSQL.

A row is its indexed columns, and beside them either the exact bytes of what was received, hashed or
signed, or a JSON document of what the hub made itself. Bytes are the truth wherever there are bytes:
nothing is re-encoded to be checked, and a NUL in a log line cannot upset a database that has no NUL.

The classes only describe: rows are read and written by `persist` with statements, never through an
object that remembers what it read. The read-modify-write of an ORM let both of two operators win.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

# Text that is compared or sorted byte by byte whatever the locale of the database.
Plain = sa.String().with_variant(sa.String(collation="C"), "postgresql")
# An INTEGER PRIMARY KEY is SQLite's own row id: the log then needs no second index.
Serial = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


class Document(sa.types.TypeDecorator[dict[str, Any]]):
    """A JSON object. PostgreSQL's has no U+0000, so on neither database does a document hold one."""

    impl = sa.JSON().with_variant(JSONB(), "postgresql")
    cache_ok = True

    def process_bind_param(self, value: dict[str, Any] | None, _: sa.Dialect) -> Any:  # noqa: ANN401
        """Return `value` with every NUL shown as the replacement character."""
        return _without_nul(value)


def _without_nul(value: object) -> object:
    if isinstance(value, str):
        return value.replace("\x00", "\ufffd")
    if isinstance(value, dict):
        return {_without_nul(key): _without_nul(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nul(item) for item in value]
    return value


def _text(**options: Any) -> Any:  # noqa: ANN401  (Field's own signature)
    return Field(sa_type=Plain, **options)


def _int(**options: Any) -> Any:  # noqa: ANN401
    return Field(sa_type=sa.BigInteger, **options)


def _bytes(**options: Any) -> Any:  # noqa: ANN401
    return Field(sa_type=sa.LargeBinary, **options)


class Incident(SQLModel, table=True):
    """One incident: where it stands. `revision` is the audit seq of its last record."""

    __tablename__ = "incident"
    __table_args__ = (
        # One fault, one open incident: the wall behind the coalescing in `intake`.
        sa.Index(
            "incident_open_key",
            "host",
            "kind",
            "rule",
            "subject",
            unique=True,
            sqlite_where=sa.text("is_open"),
            postgresql_where=sa.text("is_open"),
        ),
        sa.Index("incident_revision", "revision", unique=True),
        sa.Index("incident_open_id", "is_open", "id"),
        sa.Index("incident_state_entered", "state", "entered_ms"),
        sa.Index("incident_host_state", "host", "state"),
        sa.Index("incident_culprit", "host", "kind", "rule", "culprit", "id"),
        sa.Index("incident_tail", "tail"),
        # Each holds all that `persist_recall` adds up, so that no row is read for it.
        sa.Index("incident_service", "service", "state", "opened_ms"),
        sa.Index("incident_runbook", "runbook", "state", "opened_ms"),
    )

    id: str = _text(primary_key=True)
    tail: str = _text()  # the id read backwards, so that a suffix is found by an index
    host: str = _text()
    kind: str = _text()
    severity: str = _text()
    state: str = _text()
    is_open: bool
    revision: int = _int()
    rule: str = _text()
    subject: str = _text()
    culprit: str = _text()
    event: str = _text()
    challenge: str = _text()
    verdict: str | None = _text(nullable=True)
    evidence: str = _text()
    count: int = _int()
    previous: str | None = _text(nullable=True)
    opened_ms: int = _int()
    updated_ms: int = _int()
    entered_ms: int = _int()
    attempt: int = _int()
    escalated: bool
    plan_revision: int = _int()  # of the plan in force; 0 before the first
    decision_seq: int = _int()  # of the last decision; 0 before the first
    owner: str = _text(sa_column_kwargs={"server_default": ""})  # who is on it; empty: nobody
    service: str = _text(sa_column_kwargs={"server_default": ""})  # of the likeliest culprit
    runbook: str = _text(sa_column_kwargs={"server_default": ""})  # that made the last plan
    lease_owner: str = _text()
    lease_until_ms: int = _int()
    papers: dict[str, Any] = Field(sa_type=Document)


class Report(SQLModel, table=True):
    """An event of a node. The key holds the host: a node can only ever name its own events."""

    __tablename__ = "report"
    __table_args__ = (sa.Index("report_incident", "incident", "seq"),)

    host: str = _text(primary_key=True)
    event: str = _text(primary_key=True)
    incident: str = _text(foreign_key="incident.id")
    seq: int = _int()
    digest: str = _text()
    body: bytes = _bytes()


class Plan(SQLModel, table=True):
    """One revision of a plan, its exact bytes, and what the policy said of them."""

    __tablename__ = "plan"

    incident: str = _text(primary_key=True, foreign_key="incident.id")
    revision: int = _int(primary_key=True)
    seq: int = _int()
    digest: str = _text()
    body: bytes = _bytes()
    judgement: bytes | None = _bytes(nullable=True)


class Decision(SQLModel, table=True):
    """What a person decided: the statement's exact bytes and the signatures over them."""

    __tablename__ = "decision"
    __table_args__ = (sa.Index("decision_incident", "incident", "seq"),)

    seq: int = Field(sa_type=Serial, primary_key=True, sa_column_kwargs={"autoincrement": False})
    incident: str = _text(foreign_key="incident.id")
    operator: str = _text()
    choice: str = _text()
    plan: str = _text()
    statement: bytes = _bytes()
    signatures: bytes = _bytes()


class Result(SQLModel, table=True):
    """What became of one command of one approved run; `decision` is the seq of the approval."""

    __tablename__ = "result"

    incident: str = _text(primary_key=True, foreign_key="incident.id")
    decision: int = _int(primary_key=True)
    position: int = _int(primary_key=True)
    outcome: str = _text()
    body: bytes = _bytes()


class Reasoning(SQLModel, table=True):
    """One call of an engine, with everything needed to replay it."""

    __tablename__ = "reasoning"

    incident: str = _text(primary_key=True, foreign_key="incident.id")
    seq: int = _int(primary_key=True)
    position: int = _int(primary_key=True)
    digest: str = _text()
    body: bytes = _bytes()


class Timeline(SQLModel, table=True):
    """One line of an incident's timeline; several may belong to one audit record."""

    __tablename__ = "timeline"

    incident: str = _text(primary_key=True, foreign_key="incident.id")
    seq: int = _int(primary_key=True)
    position: int = _int(primary_key=True)
    move: dict[str, Any] = Field(sa_type=Document)


class LetterSeen(SQLModel, table=True):
    """A letter that is stored. Written in the transaction that stores it: exactly once."""

    __tablename__ = "letter_seen"

    host: str = _text(primary_key=True)
    letter: str = _text(primary_key=True)
    seen_ms: int = _int()


class Service(SQLModel, table=True):
    """A service that a host's reports have shown; the map of what runs where."""

    __tablename__ = "service"

    service: str = _text(primary_key=True)
    host: str = _text(primary_key=True)
    seen_ms: int = _int()


class Agent(SQLModel, table=True):
    """A node as it last showed itself."""

    __tablename__ = "agent"

    host: str = _text(primary_key=True)
    connected: bool
    last_seen_ms: int = _int()
    version: str = _text()
    mode: str = _text()
    policy: str = _text()
    certificate_expires_ms: int = _int()
    clock_skew_ms: int = _int()


class Invite(SQLModel, table=True):
    """A one-time token, as its hash."""

    __tablename__ = "invite"

    token_hash: str = _text(primary_key=True)
    host: str = _text()
    expires_ms: int = _int()
    spent_ms: int | None = _int(nullable=True)


class Certificate(SQLModel, table=True):
    """A certificate that was issued, and since when it counts no more."""

    __tablename__ = "certificate"
    __table_args__ = (
        sa.Index("certificate_host", "host"),
        sa.Index("certificate_revoked", "revoked_ms"),
    )

    serial: str = _text(primary_key=True)
    host: str = _text()
    expires_ms: int = _int()
    revoked_ms: int | None = _int(nullable=True)


class Head(SQLModel, table=True):
    """One row: the end of the audit log. Whoever writes locks it first, so writers take turns.

    `seq` is the number of records, `tree` the compact range of the Merkle tree over them.
    """

    __tablename__ = "head"

    id: int = Field(
        sa_type=sa.SmallInteger, primary_key=True, sa_column_kwargs={"autoincrement": False}
    )
    seq: int = _int()
    tree: bytes = _bytes()


class Audit(SQLModel, table=True):
    """The append-only log: triggers refuse every change, every deletion and every gap.

    Record `seq` is leaf seq - 1 of the Merkle tree, and `hash` is that leaf's hash.
    """

    __tablename__ = "audit"
    __table_args__ = (sa.Index("audit_incident", "incident", "seq"),)

    seq: int = Field(sa_type=Serial, primary_key=True, sa_column_kwargs={"autoincrement": False})
    incident: str = _text()
    body: bytes = _bytes()
    hash: bytes = _bytes()


class AuditNode(SQLModel, table=True):
    """The root of the perfect subtree over the leaves [number << level, (number + 1) << level).

    Kept for every eighth level above the leaves: a proof then reads a few hundred hashes at most, and
    the tree costs one row in 255 records.
    """

    __tablename__ = "audit_node"

    level: int = Field(
        sa_type=sa.SmallInteger, primary_key=True, sa_column_kwargs={"autoincrement": False}
    )
    number: int = _int(primary_key=True, sa_column_kwargs={"autoincrement": False})
    hash: bytes = _bytes()


class Checkpoint(SQLModel, table=True):
    """A checkpoint of the log as it was signed; triggers refuse what they refuse of the log."""

    __tablename__ = "checkpoint"

    size: int = Field(sa_type=Serial, primary_key=True, sa_column_kwargs={"autoincrement": False})
    note: bytes = _bytes()


def _table(kind: type[SQLModel]) -> sa.Table:
    return SQLModel.metadata.tables[str(kind.__tablename__)]


METADATA = SQLModel.metadata
INCIDENT = _table(Incident)
REPORT = _table(Report)
PLAN = _table(Plan)
DECISION = _table(Decision)
RESULT = _table(Result)
REASONING = _table(Reasoning)
TIMELINE = _table(Timeline)
LETTER_SEEN = _table(LetterSeen)
SERVICE = _table(Service)
AGENT = _table(Agent)
INVITE = _table(Invite)
CERTIFICATE = _table(Certificate)
HEAD = _table(Head)
AUDIT = _table(Audit)
AUDIT_NODE = _table(AuditNode)
CHECKPOINT = _table(Checkpoint)
