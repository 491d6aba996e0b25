"""The node's state file: how it is opened, whose it is, its tables, and what a fault of it means.

One SQLite file, written only from one program's one thread. What is kept in it is in `store`.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from sentinel.errors import StoreError

VERSION = 3
RESERVE_BYTES = 4 << 20
APPLICATION = 0x53454E54  # "SENT": the file is ours
LOCK_S = 5.0  # how long to wait for an agent that is just ending

_SCHEMA = """
CREATE TABLE outbox (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    letter BLOB NOT NULL
) STRICT;
CREATE TABLE refused (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    reason TEXT NOT NULL,
    letter BLOB NOT NULL
) STRICT;
CREATE TABLE fault (
    event TEXT PRIMARY KEY,
    is_open INTEGER NOT NULL,
    report BLOB NOT NULL
) STRICT;
CREATE TABLE challenge (
    nonce TEXT PRIMARY KEY,
    event TEXT NOT NULL REFERENCES fault,
    spent_ms INTEGER
) STRICT;
CREATE TABLE execution (
    challenge TEXT PRIMARY KEY REFERENCES challenge (nonce),
    incident TEXT NOT NULL UNIQUE,
    event TEXT NOT NULL,
    bundle BLOB NOT NULL,
    running INTEGER,
    ended INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE rule_use (
    rule TEXT NOT NULL,
    uses INTEGER NOT NULL,
    argv TEXT NOT NULL,
    event TEXT NOT NULL,
    live INTEGER NOT NULL,
    at_ms INTEGER NOT NULL
) STRICT;
CREATE TABLE checkpoint (
    size INTEGER PRIMARY KEY,
    note TEXT NOT NULL,
    handed INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE alarm (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    name TEXT NOT NULL,
    reason TEXT NOT NULL
) STRICT;
CREATE TABLE verification (
    incident TEXT PRIMARY KEY,
    recovery BLOB NOT NULL,
    started_ms INTEGER NOT NULL
) STRICT;
"""

_DAMAGED = "move it away and start again: open faults are found again, unsent reports are lost"
_HINTS = {
    "SQLITE_CORRUPT": _DAMAGED,
    "SQLITE_NOTADB": _DAMAGED,
    "SQLITE_FULL": "free space on its filesystem",
    "SQLITE_IOERR": "look at the disk: the kernel log says more",
    "SQLITE_BUSY": "another agent runs on this state directory: stop it first",
    "SQLITE_CANTOPEN": "the agent's user must own the file and its directory",
    "SQLITE_READONLY": "the agent's user must own the file and its directory",
}


class StoreFile:
    """The file, open between `with` and its end."""

    def __init__(self, path: Path) -> None:
        """Open or make the file at `path`.

        Raises StoreError where the file is damaged, not ours, of a newer version, in use by another
        agent, or cannot be written; then nothing in it was changed.
        """
        self._path = path
        try:
            path.touch(mode=0o600)
            path.chmod(0o600)
            self._db = sqlite3.connect(path, isolation_level=None, timeout=LOCK_S)
        except (sqlite3.Error, OSError) as error:
            raise self._fault(error) from None
        try:
            self._open()
        except BaseException:
            self._db.close()
            raise
        self._reserve = path.with_suffix(".reserve")
        self._keep_reserve()

    def __enter__(self) -> Self:
        """Return itself, open."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the file."""
        self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Make everything inside one durable change, or none of it. Inside another, be part of that."""
        if self._db.in_transaction:
            yield
            return
        try:
            self._db.execute("BEGIN IMMEDIATE")
            yield
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            self._undo()
            raise self._fault(error) from None
        except BaseException:
            self._undo()
            raise

    def _keep_reserve(self) -> None:
        """Take some room now, so that a full disk can still be reported. Without room, do without."""
        try:
            with self._reserve.open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, RESERVE_BYTES)
        except OSError:
            self._reserve.unlink(missing_ok=True)

    def release_reserve(self) -> bool:
        """Give the reserved room back to the disk; False where there was none left. Taken anew at start."""
        if not self._reserve.exists():
            return False
        self._reserve.unlink(missing_ok=True)
        return True

    def _open(self) -> None:
        """Take the file for us alone, look whether it is whole and ours, and make what is missing."""
        # One agent per file: a second one would take the first one's running plan for interrupted.
        self._rows("PRAGMA locking_mode=EXCLUSIVE")
        version = self._integer("PRAGMA user_version")
        if version > VERSION:
            raise StoreError(
                f"{self._path} is of version {version}, this agent reads version {VERSION}",
                hint="install the newer agent again, or move the file away: open faults are found again",
            )
        made = bool(self._rows("SELECT 1 FROM sqlite_schema LIMIT 1"))
        if made and self._integer("PRAGMA application_id") != APPLICATION:
            raise StoreError(
                f"{self._path} is a database, but not an agent's",
                hint="name another state directory",
            )
        (found,) = self._rows("PRAGMA quick_check(1)")[0]
        if found != "ok":
            raise StoreError(f"{self._path} is damaged: {found}", hint=_DAMAGED)
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            self._rows(f"PRAGMA {pragma}")
        if version == VERSION:
            return
        with self.transaction():
            # An older version only lacks tables.
            for statement in _SCHEMA.replace("CREATE TABLE", "CREATE TABLE IF NOT EXISTS").split(
                ";\n"
            ):
                self._db.execute(statement)
            self._db.execute(f"PRAGMA application_id = {APPLICATION}")
            self._db.execute(f"PRAGMA user_version = {VERSION}")

    def _rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """Return all rows of a query, or raise StoreError."""
        try:
            return self._db.execute(query, values).fetchall()
        except sqlite3.Error as error:
            raise self._fault(error) from None

    def _integer(self, query: str) -> int:
        return int(self._rows(query)[0][0])

    def _undo(self) -> None:
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")

    def _fault(self, error: sqlite3.Error | OSError) -> StoreError:
        name = getattr(error, "sqlite_errorname", None) or "SQLITE_CANTOPEN"
        hints = [hint for prefix, hint in _HINTS.items() if name.startswith(prefix)]
        return StoreError(f"{self._path}: {error}", hint=hints[0] if hints else "")
