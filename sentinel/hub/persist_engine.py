"""The two databases: how each is opened, and what its faults mean to the person who runs the hub."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from sentinel import errors

BUSY_S = 10  # how long a lock of another process is waited for


def new_engine(url: str) -> AsyncEngine:
    """Return an engine that has connected to nothing yet."""
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise errors.ConfigError(
            "database: this is not a database URL",
            hint="write sqlite:///PATH or postgresql://USER@HOST/NAME",
        ) from None
    kind = parsed.get_backend_name()
    if kind == "sqlite" and parsed.database not in (None, "", ":memory:"):
        engine = create_async_engine(
            parsed.set(drivername="sqlite+aiosqlite"),
            connect_args={"timeout": BUSY_S, "isolation_level": None},
        )
        sa.event.listen(engine.sync_engine, "connect", _on_sqlite_connect)
        sa.event.listen(engine.sync_engine, "begin", _on_sqlite_begin)
        return engine
    if kind == "postgresql":
        try:
            return create_async_engine(
                parsed.set(drivername="postgresql+psycopg"),
                pool_pre_ping=True,
                connect_args={"options": _POSTGRESQL_OPTIONS, "connect_timeout": BUSY_S},
            )
        except ModuleNotFoundError as error:
            raise errors.ConfigError(
                f"database: {error.name} is not installed", hint="install sentinel[postgres]"
            ) from None
    raise errors.ConfigError(
        f"database: {parsed.render_as_string(hide_password=True)} is neither SQLite in a file nor"
        " PostgreSQL",
        hint="write sqlite:///PATH or postgresql://USER@HOST/NAME",
    )


# A hub that hangs while it holds the head row would stop every other: its session is ended.
_POSTGRESQL_OPTIONS = (
    f"-c lock_timeout={BUSY_S}s -c statement_timeout=60s"
    " -c idle_in_transaction_session_timeout=60s -c synchronous_commit=on"
)


def make_private(path: str) -> None:
    """Make the file before SQLite does, for its owner only: what hosts run is nobody else's business.

    SQLite gives the files it makes beside it the same mode.
    """
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))


def must_exist(path: str) -> None:
    """Raise StoreError where there is no file: SQLite would make an empty one."""
    if not Path(path).is_file():
        raise errors.StoreError(
            f"there is no database at {path}", hint="a hub makes it when it first starts"
        )


def _on_sqlite_connect(connection: Any, _: object) -> None:  # noqa: ANN401
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _on_sqlite_begin(connection: sa.Connection) -> None:
    """Begin as what the transaction will be: one that turns writer half way may have to be lost."""
    writes = connection.get_execution_options().get("sentinel_writes")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


_REMEDIES = (
    ("database is locked", "another process has held its lock for too long: stop it"),
    ("disk is full", "free space on the database's filesystem"),
    ("no space left", "free space on the database's filesystem"),
    ("unable to open", "its directory must exist and belong to the hub's user"),
    ("readonly", "the file and its directory must belong to the hub's user"),
    ("not a database", "this file is something else: name another, or restore a backup"),
    ("malformed", "the file is damaged: restore a backup"),
    ("password", "correct the user or password of `database` in hub.toml"),
    ("does not exist", "create it, or correct `database` in hub.toml"),
    ("permission denied", "the user of `database` in hub.toml must own its tables"),
)


def store_error(error: SQLAlchemyError | OSError, url: sa.URL) -> errors.StoreError:
    """Return the fault of the database at `url` with its remedy."""
    said = reason(error)
    name = url.render_as_string(hide_password=True)
    remedy = next(
        (remedy for words, remedy in _REMEDIES if words in said.lower()),
        "is the server up, and is `database` in hub.toml right?",
    )
    return errors.StoreError(f"the database {name}: {said}", hint=remedy)


def reason(error: BaseException) -> str:
    """Return what the database said, without the statement and the values that were in it."""
    said = str(error.orig if isinstance(error, DBAPIError) else error)
    return errors.printable(said.strip().split("\n", 1)[0], 300)
