"""A second way into a test's database: what somebody with its password could do behind the hub's back."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import psycopg

Refused = (sqlite3.DatabaseError, psycopg.DatabaseError)


def connect(url):
    """Return a plain connection to the database at `url`, in autocommit."""
    if url.startswith("sqlite"):
        return sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
    return psycopg.connect(url, autocommit=True)


def run(url, *statements):
    """Run statements one by one; return the rows of the last."""
    with closing(connect(url)) as connection:
        for statement in statements:
            cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else []


def put(url, table, column, data, where):
    """Put `data` into a column of bytes."""
    mark = "?" if url.startswith("sqlite") else "%s"
    with closing(connect(url)) as connection:
        connection.execute(f"UPDATE {table} SET {column} = {mark} WHERE {where}", (data,))


def unseal(url):
    """Remove the audit log's triggers, as its owner can."""
    if url.startswith("sqlite"):
        names = run(url, "SELECT name FROM sqlite_master WHERE type = 'trigger'")
        run(url, "SELECT 1", *(f"DROP TRIGGER {name}" for (name,) in names))
    else:
        run(
            url,
            *(f"ALTER TABLE IF EXISTS {t} DISABLE TRIGGER ALL" for t in ("audit", "checkpoint")),
        )


def end_sessions(url):
    """End every session on a PostgreSQL, as its restart would."""
    run(
        url,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()",
    )


def insert(url, table, values):
    """Insert one row."""
    marks = ", ".join("?" if url.startswith("sqlite") else "%s" for _ in values)
    with closing(connect(url)) as connection:
        connection.execute(f"INSERT INTO {table} VALUES ({marks})", values)
