"""Brings a database to this version's tables, and seals its audit log.

`prepare` runs inside one transaction at every start. It refuses a database that a newer version has
written, runs what migrations are missing, and compares the audit log's triggers with the ones below:
a trigger that is missing, switched off or altered is put back, and the caller is told so, because
somebody must have removed it. Triggers stop accidents and the hub's own faults; whoever owns the
database can remove them, which is what `audit.verify` and witnesses are for.
"""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from sentinel import __version__, errors

FOLDER = Path(__file__).parent

# Any number will do, as long as every hub of one database takes the same.
_MIGRATION_LOCK = 0x53454E54

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
# name -> (when, function, body, pg_trigger.tgtype: 1 row, 2 before, 4 insert, 8 delete, 16 update, 32 truncate)
_POSTGRESQL = {
    "audit_no_change": (
        "BEFORE UPDATE OR DELETE ON audit FOR EACH ROW",
        "audit_refuse",
        _REFUSE,
        27,
    ),
    "audit_no_truncate": (
        "BEFORE TRUNCATE ON audit FOR EACH STATEMENT",
        "audit_refuse",
        _REFUSE,
        34,
    ),
    "audit_no_gap": ("BEFORE INSERT ON audit FOR EACH ROW", "audit_next", _NEXT, 7),
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
    config = Config()
    config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    config.attributes["connection"] = connection
    scripts = ScriptDirectory.from_config(config)
    present = set(MigrationContext.configure(connection).get_current_heads())
    _refuse_newer(present, scripts)
    if present != set(scripts.get_heads()):
        command.upgrade(config, "head")
    restored = _seal(connection)
    return restored if present else ()


def _refuse_newer(present: set[str], scripts: ScriptDirectory) -> None:
    known = {script.revision for script in scripts.walk_revisions()}
    if unknown := sorted(present - known):
        raise errors.StoreError(
            f"the database is at revision {', '.join(unknown)},"
            f" and sentinel {__version__} knows up to {', '.join(scripts.get_heads())}",
            hint="a newer version has written it: run that version, or restore the backup made before",
        )


def _seal(connection: sa.Connection) -> tuple[str, ...]:
    """Put back the triggers that are not as they must be, and return their names."""
    postgresql = connection.dialect.name == "postgresql"
    broken = _broken_postgresql(connection) if postgresql else _broken_sqlite(connection)
    for name in broken:
        statements = _mend_postgresql(name) if postgresql else _mend_sqlite(name)
        for statement in statements:
            connection.exec_driver_sql(statement)
    if _broken_postgresql(connection) if postgresql else _broken_sqlite(connection):
        raise errors.StoreError(
            f"the audit log's triggers cannot be put back: {', '.join(broken)}",
            hint="start the hub once as the owner of the table `audit`",
        )
    return broken


def _broken_sqlite(connection: sa.Connection) -> tuple[str, ...]:
    rows = connection.exec_driver_sql(
        "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'audit'"
    )
    found = {row.name: row.sql for row in rows}
    return tuple(name for name, sql in _SQLITE.items() if found.get(name) != sql)


def _mend_sqlite(name: str) -> tuple[str, ...]:
    return (f"DROP TRIGGER IF EXISTS {name}", _SQLITE[name])


def _broken_postgresql(connection: sa.Connection) -> tuple[str, ...]:
    rows = connection.exec_driver_sql(
        "SELECT tgname, tgtype, prosrc FROM pg_trigger JOIN pg_proc ON pg_proc.oid = tgfoid"
        # 'A': it fires whatever session_replication_role says.
        " WHERE tgrelid = 'audit'::regclass AND NOT tgisinternal AND tgenabled = 'A'"
    )
    found = {name: (kind, body) for name, kind, body in rows}
    return tuple(
        name for name, (_, _, body, kind) in _POSTGRESQL.items() if found.get(name) != (kind, body)
    )


def _mend_postgresql(name: str) -> tuple[str, ...]:
    when, function, body, _ = _POSTGRESQL[name]
    return (
        f"CREATE OR REPLACE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql AS $${body}$$",
        f"DROP TRIGGER IF EXISTS {name} ON audit",
        f"CREATE TRIGGER {name} {when} EXECUTE FUNCTION {function}()",
        f"ALTER TABLE audit ENABLE ALWAYS TRIGGER {name}",
    )
