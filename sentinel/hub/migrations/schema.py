"""Brings a database to this version's tables, and seals its audit log.

`prepare` runs inside one transaction at every start. It refuses a database that a newer version has
written, runs what migrations are missing, and compares the audit log's triggers with the ones below:
a trigger that is missing, switched off or altered is put back, and the caller is told so, because
somebody must have removed it; the hub writes that into the log. It does not refuse to start: triggers
stop accidents and the hub's own faults, and are lost in many a restored backup, while whoever owns the
database can remove them and put them back, which only `audit.verify` and the witnesses show.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from sentinel import __version__, errors

FOLDER = Path(__file__).parent

# Any number will do, as long as every hub of one database takes the same.
_MIGRATION_LOCK = 0x53454E54

# Trigger -> its statement. A trigger's name begins with its table's.
_SQLITE = {
    "audit_no_update": (
        "CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit"
        " BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END"
    ),
    "audit_no_delete": (
        "CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit"
        " BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END"
    ),
    # INSERT OR REPLACE deletes without firing a delete trigger: only the next number may come in.
    "audit_no_gap": (
        "CREATE TRIGGER audit_no_gap BEFORE INSERT ON audit"
        " WHEN NEW.seq IS NOT (SELECT coalesce(max(seq), 0) + 1 FROM audit)"
        " BEGIN SELECT RAISE(ABORT, 'the audit log has no gaps'); END"
    ),
    "checkpoint_no_update": (
        "CREATE TRIGGER checkpoint_no_update BEFORE UPDATE ON checkpoint"
        " BEGIN SELECT RAISE(ABORT, 'a checkpoint stays as it was signed'); END"
    ),
    "checkpoint_no_delete": (
        "CREATE TRIGGER checkpoint_no_delete BEFORE DELETE ON checkpoint"
        " BEGIN SELECT RAISE(ABORT, 'a checkpoint stays as it was signed'); END"
    ),
    "checkpoint_no_return": (
        "CREATE TRIGGER checkpoint_no_return BEFORE INSERT ON checkpoint"
        " WHEN NEW.size <= (SELECT max(size) FROM checkpoint)"
        " BEGIN SELECT RAISE(ABORT, 'checkpoints only grow'); END"
    ),
}

_REFUSE = (
    " BEGIN RAISE EXCEPTION 'the audit log is append-only'"
    " USING ERRCODE = 'integrity_constraint_violation'; END "
)
_NEXT = (
    " BEGIN IF NEW.seq IS DISTINCT FROM (SELECT coalesce(max(seq), 0) + 1 FROM audit) THEN"
    " RAISE EXCEPTION 'the audit log has no gaps' USING ERRCODE = 'integrity_constraint_violation';"
    " END IF; RETURN NEW; END "
)
_GROW = (
    " BEGIN IF NEW.size <= (SELECT max(size) FROM checkpoint) THEN"
    " RAISE EXCEPTION 'checkpoints only grow' USING ERRCODE = 'integrity_constraint_violation';"
    " END IF; RETURN NEW; END "
)
_ROW = " FOR EACH ROW"
_STATEMENT = " FOR EACH STATEMENT"


class _Trigger(NamedTuple):
    """`kind` is pg_trigger.tgtype: 1 row, 2 before, 4 insert, 8 delete, 16 update, 32 truncate."""

    table: str
    when: str
    each: str
    function: str
    body: str
    kind: int


_POSTGRESQL = {
    "audit_no_change": _Trigger("audit", "UPDATE OR DELETE", _ROW, "audit_refuse", _REFUSE, 27),
    "audit_no_truncate": _Trigger("audit", "TRUNCATE", _STATEMENT, "audit_refuse", _REFUSE, 34),
    "audit_no_gap": _Trigger("audit", "INSERT", _ROW, "audit_next", _NEXT, 7),
    "checkpoint_no_change": _Trigger(
        "checkpoint", "UPDATE OR DELETE", _ROW, "audit_refuse", _REFUSE, 27
    ),
    "checkpoint_no_truncate": _Trigger(
        "checkpoint", "TRUNCATE", _STATEMENT, "audit_refuse", _REFUSE, 34
    ),
    "checkpoint_no_return": _Trigger("checkpoint", "INSERT", _ROW, "checkpoint_next", _GROW, 7),
}


def prepare(connection: sa.Connection) -> tuple[str, ...]:
    """Upgrade the database behind `connection` and seal its log, in the caller's transaction.

    Returns the names of triggers that had to be put back; none on a new database.
    Raises StoreError where a newer version has written it.
    """
    if connection.dialect.name == "postgresql":
        # However long it takes: an index over a million rows, or the hub that is at it already.
        connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
        connection.exec_driver_sql("SET LOCAL lock_timeout = 0")
        # Two hubs that start at once migrate one after the other.
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_MIGRATION_LOCK)))
    config = _config(connection)
    scripts = ScriptDirectory.from_config(config)
    present = set(MigrationContext.configure(connection).get_current_heads())
    _refuse_newer(present, scripts)
    broken = _broken(connection) if present else ()
    if present != set(scripts.get_heads()):
        command.upgrade(config, "head")
    _seal(connection)
    return broken


def inspect(connection: sa.Connection) -> tuple[str, ...]:
    """Return the names of triggers that are not as they must be, and change nothing.

    Raises StoreError unless the database is of this very version.
    """
    scripts = ScriptDirectory.from_config(_config(connection))
    present = set(MigrationContext.configure(connection).get_current_heads())
    _refuse_newer(present, scripts)
    if present != set(scripts.get_heads()):
        raise errors.StoreError(
            f"the database is at revision {', '.join(sorted(present)) or 'nothing'},"
            f" and sentinel {__version__} reads {', '.join(scripts.get_heads())}",
            hint="start this version's hub on it once, or read it with the version that wrote it",
        )
    return _broken(connection)


def _config(connection: sa.Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def _refuse_newer(present: set[str], scripts: ScriptDirectory) -> None:
    known = {script.revision for script in scripts.walk_revisions()}
    if unknown := sorted(present - known):
        raise errors.StoreError(
            f"the database is at revision {', '.join(unknown)},"
            f" and sentinel {__version__} knows up to {', '.join(scripts.get_heads())}",
            hint="a newer version has written it: run that version, or restore the backup made before",
        )


def _seal(connection: sa.Connection) -> None:
    """Put back the triggers that are not as they must be."""
    postgresql = connection.dialect.name == "postgresql"
    broken = _broken(connection)
    for name in broken:
        statements = _mend_postgresql(name) if postgresql else _mend_sqlite(name)
        for statement in statements:
            connection.exec_driver_sql(statement)
    if _broken(connection):
        raise errors.StoreError(
            f"the audit log's triggers cannot be put back: {', '.join(broken)}",
            hint="start the hub once as the owner of the tables `audit` and `checkpoint`",
        )


def _broken(connection: sa.Connection) -> tuple[str, ...]:
    """Return the triggers that are not as they must be, of the tables that there are."""
    if connection.dialect.name == "postgresql":
        return _broken_postgresql(connection)
    return _broken_sqlite(connection)


def _broken_sqlite(connection: sa.Connection) -> tuple[str, ...]:
    rows = connection.exec_driver_sql(
        "SELECT name, sql FROM sqlite_master WHERE type IN ('trigger', 'table')"
    )
    found = {row.name: row.sql for row in rows}
    return tuple(
        name
        for name, sql in _SQLITE.items()
        if name.partition("_")[0] in found and found.get(name) != sql
    )


def _mend_sqlite(name: str) -> tuple[str, ...]:
    return (f"DROP TRIGGER IF EXISTS {name}", _SQLITE[name])


def _broken_postgresql(connection: sa.Connection) -> tuple[str, ...]:
    rows = connection.exec_driver_sql(
        "SELECT relname, tgname, tgtype, prosrc FROM pg_class"
        # 'A': it fires whatever session_replication_role says.
        " LEFT JOIN pg_trigger ON tgrelid = pg_class.oid AND NOT tgisinternal AND tgenabled = 'A'"
        " LEFT JOIN pg_proc ON pg_proc.oid = tgfoid"
        " WHERE pg_class.oid IN (to_regclass('audit'), to_regclass('checkpoint'))"
    ).all()
    tables = {row.relname for row in rows}
    found = {(row.relname, row.tgname): (row.tgtype, row.prosrc) for row in rows}
    return tuple(
        name
        for name, trigger in _POSTGRESQL.items()
        if trigger.table in tables
        and found.get((trigger.table, name)) != (trigger.kind, trigger.body)
    )


def _mend_postgresql(name: str) -> tuple[str, ...]:
    table, when, each, function, body, _ = _POSTGRESQL[name]
    return (
        f"CREATE OR REPLACE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql AS $${body}$$",
        f"DROP TRIGGER IF EXISTS {name} ON {table}",
        f"CREATE TRIGGER {name} BEFORE {when} ON {table}{each} EXECUTE FUNCTION {function}()",
        f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {name}",
    )
