"""The node's durable state: what must survive `kill -9` between any two lines.

One SQLite file, written only from the agent's one thread. A change and the letter that reports it are
one transaction: `with store.transaction(): ...`. Rules:
  - what `put` has returned from is on disk, in order, until the hub's receipt;
  - a challenge is spent once, and before anything runs;
  - an execution that was begun and not ended is `interrupted`: it is reported, and never repeated.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from sentinel import canonical
from sentinel.domain import Bundle, Recovery, Report
from sentinel.errors import StoreError
from sentinel.protocol import AGENT_MESSAGE_BYTES, Letter

VERSION = 1
LIMIT = 4 * AGENT_MESSAGE_BYTES  # canonical JSON is larger than the protobuf of the same letter

_SCHEMA = """
CREATE TABLE outbox (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    droppable INTEGER NOT NULL,
    letter BLOB NOT NULL
) STRICT;
CREATE TABLE refused (
    id TEXT PRIMARY KEY,
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
    begun INTEGER,
    ended INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE verification (
    incident TEXT PRIMARY KEY,
    recovery BLOB NOT NULL,
    started_ms INTEGER NOT NULL
) STRICT;
"""


class Interrupted(msgspec.Struct, frozen=True, kw_only=True):
    """A plan that was admitted and whose end was never written. `begun` is the last command started."""

    bundle: Bundle
    event: str
    begun: int | None


class Store:
    """The node's state file, open between `with` and its end."""

    def __init__(self, path: Path, *, letters: int = 10_000) -> None:
        """Open or make the file at `path`; the outbox holds at most `letters` that may be dropped.

        Raises StoreError where the file is damaged, of a newer version, or cannot be written.
        """
        self._path = path
        self._letters = letters
        self.dropped = 0
        try:
            self._db = sqlite3.connect(path, isolation_level=None, timeout=5)
            path.chmod(0o600)
            for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
                self._db.execute(f"PRAGMA {pragma}")
            self._migrate()
        except (sqlite3.Error, OSError) as error:
            raise self._fault(error) from None

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
        """Make everything inside one durable change, or none of it. May be nested."""
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

    # ------------------------------------------------------------ outbox

    def put(self, letter: Letter) -> bool:
        """Put `letter` at the end of the outbox; durable when the transaction is.

        A full outbox drops a mere "has started" instead of storing it, and returns False; everything
        else is stored however full it is, for it is needed to bring the incident to its end.
        """
        droppable = letter.ran is not None and letter.ran.result.ended_ms == 0
        with self.transaction():
            if droppable and self.waiting() >= self._letters:
                self.dropped += 1
                return False
            self._db.execute(
                "INSERT INTO outbox (id, droppable, letter) VALUES (?, ?, ?)",
                (letter.id, droppable, canonical.encode(letter)),
            )
        return True

    def waiting(self) -> int:
        """Return how many letters wait for the hub's receipt."""
        return int(self._db.execute("SELECT count(*) FROM outbox").fetchone()[0])

    def pending(self, *, after: int, limit: int) -> tuple[tuple[int, Letter], ...]:
        """Return up to `limit` letters with their seq, in order, from the first after `after`."""
        rows = self._db.execute(
            "SELECT seq, letter FROM outbox WHERE seq > ? ORDER BY seq LIMIT ?", (after, limit)
        )
        return tuple((seq, canonical.decode(Letter, data, limit=LIMIT)) for seq, data in rows)

    def settle(self, letter: str) -> None:
        """Forget a letter that the hub has committed."""
        with self.transaction():
            self._db.execute("DELETE FROM outbox WHERE id = ?", (letter,))

    def refuse(self, letter: str, reason: str) -> None:
        """Put aside a letter that the hub will never take; it is kept for a person to look at."""
        with self.transaction():
            self._db.execute(
                "INSERT OR REPLACE INTO refused SELECT id, ?, letter FROM outbox WHERE id = ?",
                (reason, letter),
            )
            self._db.execute("DELETE FROM outbox WHERE id = ?", (letter,))

    def refused(self) -> int:
        """Return how many letters the hub has refused."""
        return int(self._db.execute("SELECT count(*) FROM refused").fetchone()[0])

    # ------------------------------------------------------------ faults and challenges

    def open_fault(self, report: Report) -> None:
        """Keep a report: its frozen context is what plans are judged against."""
        with self.transaction():
            self._db.execute(
                "INSERT INTO fault (event, is_open, report) VALUES (?, 1, ?)",
                (report.event, canonical.encode(report)),
            )
            self.issue(report.challenge, report.event)

    def close_fault(self, event: str) -> None:
        """Note that the signal cleared. The report is kept while a plan about it may still come."""
        with self.transaction():
            self._db.execute("UPDATE fault SET is_open = 0 WHERE event = ?", (event,))

    def open_faults(self) -> tuple[Report, ...]:
        """Return the reports whose signal has not cleared, oldest first."""
        rows = self._db.execute("SELECT report FROM fault WHERE is_open ORDER BY event")
        return tuple(canonical.decode(Report, row[0], limit=LIMIT) for row in rows)

    def report(self, event: str) -> Report | None:
        """Return the report of that event, as it was frozen."""
        row = self._db.execute("SELECT report FROM fault WHERE event = ?", (event,)).fetchone()
        return canonical.decode(Report, row[0], limit=LIMIT) if row else None

    def issue(self, nonce: str, event: str) -> None:
        """Make `nonce` the present challenge of `event`; earlier unspent ones of it are void."""
        with self.transaction():
            self._db.execute("DELETE FROM challenge WHERE event = ? AND spent_ms IS NULL", (event,))
            self._db.execute("INSERT INTO challenge (nonce, event) VALUES (?, ?)", (nonce, event))

    def challenge(self, nonce: str) -> tuple[str, bool] | None:
        """Return (event, spent) of a challenge that this node issued, None for any other."""
        row = self._db.execute(
            "SELECT event, spent_ms IS NOT NULL FROM challenge WHERE nonce = ?", (nonce,)
        ).fetchone()
        return (row[0], bool(row[1])) if row else None

    def spend(self, nonce: str, now_ms: int) -> bool:
        """Spend a challenge durably; True exactly once in its life."""
        with self.transaction():
            cursor = self._db.execute(
                "UPDATE challenge SET spent_ms = ? WHERE nonce = ? AND spent_ms IS NULL",
                (now_ms, nonce),
            )
        return cursor.rowcount == 1

    # ------------------------------------------------------------ executions

    def begin_execution(self, nonce: str, event: str, bundle: Bundle) -> None:
        """Keep an admitted bundle. A later plan for the same incident takes its place."""
        with self.transaction():
            self._db.execute(
                "DELETE FROM execution WHERE incident = ? AND ended", (bundle.incident,)
            )
            self._db.execute(
                "INSERT INTO execution (challenge, incident, event, bundle) VALUES (?, ?, ?, ?)",
                (nonce, bundle.incident, event, canonical.encode(bundle)),
            )

    def begin_command(self, incident: str, index: int) -> None:
        """Note that a command is about to start, before it does."""
        with self.transaction():
            self._db.execute(
                "UPDATE execution SET begun = ? WHERE incident = ? AND NOT ended", (index, incident)
            )

    def end_execution(self, incident: str) -> None:
        """Note that an admitted plan has ended."""
        with self.transaction():
            self._db.execute("UPDATE execution SET ended = 1 WHERE incident = ?", (incident,))

    def knows(self, bundle: Bundle) -> bool:
        """Say whether exactly this bundle was admitted before, so that it needs no second answer."""
        row = self._db.execute(
            "SELECT bundle FROM execution WHERE incident = ?", (bundle.incident,)
        ).fetchone()
        return row is not None and row[0] == canonical.encode(bundle)

    def interrupted(self) -> tuple[Interrupted, ...]:
        """Return the plans that were admitted and not ended: asked once, at start."""
        rows = self._db.execute("SELECT bundle, event, begun FROM execution WHERE NOT ended")
        return tuple(
            Interrupted(
                bundle=canonical.decode(Bundle, data, limit=LIMIT), event=event, begun=begun
            )
            for data, event, begun in rows
        )

    # ------------------------------------------------------------ verifications

    def begin_verification(self, incident: str, recovery: Recovery, started_ms: int) -> None:
        """Keep what is being watched, so that a restart goes on watching."""
        with self.transaction():
            self._db.execute(
                "INSERT OR REPLACE INTO verification VALUES (?, ?, ?)",
                (incident, canonical.encode(recovery), started_ms),
            )

    def end_verification(self, incident: str) -> None:
        """Note that the answer is in the outbox."""
        with self.transaction():
            self._db.execute("DELETE FROM verification WHERE incident = ?", (incident,))

    def verifications(self) -> tuple[tuple[str, Recovery, int], ...]:
        """Return (incident, recovery, started_ms) of what is being watched."""
        rows = self._db.execute("SELECT incident, recovery, started_ms FROM verification")
        return tuple(
            (incident, canonical.decode(Recovery, data, limit=LIMIT), started)
            for incident, data, started in rows
        )

    # ------------------------------------------------------------ the file

    def _migrate(self) -> None:
        version = int(self._db.execute("PRAGMA user_version").fetchone()[0])
        if version > VERSION:
            raise StoreError(
                f"{self._path} is of version {version}, this agent reads version {VERSION}",
                hint="install the newer agent again, or move the file away and enrol anew",
            )
        if version == 0:
            with self.transaction():
                for statement in _SCHEMA.split(";\n"):
                    self._db.execute(statement)
                self._db.execute(f"PRAGMA user_version = {VERSION}")

    def _undo(self) -> None:
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")

    def _fault(self, error: sqlite3.Error | OSError) -> StoreError:
        return StoreError(
            f"{self._path}: {error}",
            hint="free the disk, or if the file is damaged move it away: open faults are found again",
        )
