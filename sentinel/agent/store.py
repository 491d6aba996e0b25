"""The node's durable state: what must survive `kill -9` between any two lines.

One SQLite file, written only from the agent's one thread. A change and the letter that reports it are
one transaction: `with store.transaction(): ...`. Rules:
  - what `put` has returned from is on disk, in order, until the hub's receipt;
  - a challenge is spent once, and before anything runs;
  - an execution that was begun and not ended is `interrupted`: it is reported, and never repeated.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path

import msgspec

from sentinel import canonical
from sentinel.agent.store_file import StoreFile
from sentinel.domain import Bundle, Outcome, Recovery, Report
from sentinel.protocol import AGENT_MESSAGE_BYTES, Letter

log = logging.getLogger(__name__)

LIMIT = 4 * AGENT_MESSAGE_BYTES  # canonical JSON is larger than the protobuf of the same letter
LETTER_BYTES = 64 << 20
REFUSED_KEPT = 1000  # a hub that refuses everything must not fill the disk
USES_KEPT_MS = 8 * 86_400_000  # longer than any limit of a rule looks back
CHECKPOINTS_KEPT = 256  # plans on their way name one of them
CLEARED_KEPT = 256  # reports of faults that are over; without its report a plan can only be refused


class Use(msgspec.Struct, frozen=True, kw_only=True):
    """That an admitted plan uses a rule which has limits. `argv` is the digest of the command's tree."""

    rule: str
    uses: int
    argv: str
    event: str
    live: bool  # False: a rehearsal
    at_ms: int


class Interrupted(msgspec.Struct, frozen=True, kw_only=True):
    """A plan that was admitted and whose end was never written.

    `begun` is the index of the command that had started and not ended, None between two commands.
    """

    bundle: Bundle
    event: str
    begun: int | None


class Store(StoreFile):
    """What is kept in the node's state file, open between `with` and its end."""

    def __init__(
        self, path: Path, *, letters: int = 10_000, letter_bytes: int = LETTER_BYTES
    ) -> None:
        """Open or make the file at `path`, as `StoreFile` does.

        Over `letters` or `letter_bytes` the outbox is full.
        """
        super().__init__(path)
        self._letters = letters
        self._letter_bytes = letter_bytes
        self._refused = 0
        self.dropped = 0  # letters that a full outbox did not take

    # ------------------------------------------------------------ outbox

    def put(self, letter: Letter) -> bool:
        """Put `letter` at the end of the outbox; durable when the transaction is.

        A full outbox takes no mere "has started" and no answer to a stop, which the hub would ask for
        again, says so in the log and returns False; everything else it takes however full it is, for
        without it the incident could not come to its end.
        """
        data = canonical.encode(letter)
        started = letter.ran is not None and letter.ran.result.outcome is Outcome.RUNNING
        with self.transaction():
            if (started or letter.stopped is not None) and self._full(len(data)):
                self.dropped += 1
                log.warning(
                    "the outbox is full: %d letters dropped", self.dropped,
                    extra={"action": "letter_dropped"},
                )  # fmt: skip
                return False
            self._db.execute("INSERT INTO outbox (id, letter) VALUES (?, ?)", (letter.id, data))
        return True

    def waiting(self) -> int:
        """Return how many letters wait for the hub's receipt."""
        return self._integer("SELECT count(*) FROM outbox")

    def pending(self, *, after: int, limit: int) -> tuple[tuple[int, Letter], ...]:
        """Return up to `limit` letters with their seq, in order, from the first after `after`."""
        rows = self._rows(
            "SELECT seq, letter FROM outbox WHERE seq > ? ORDER BY seq LIMIT ?", after, limit
        )
        return tuple((seq, canonical.decode(Letter, data, limit=LIMIT)) for seq, data in rows)

    def settle(self, letter: str) -> None:
        """Forget a letter that the hub has committed."""
        with self.transaction():
            self._db.execute("DELETE FROM outbox WHERE id = ?", (letter,))

    def refuse(self, letter: str, reason: str) -> None:
        """Put aside a letter that the hub will never take, for a person to look at."""
        with self.transaction():
            taken = self._db.execute(
                "INSERT OR IGNORE INTO refused (id, reason, letter)"
                " SELECT id, ?, letter FROM outbox WHERE id = ?",
                (reason, letter),
            ).rowcount
            self._db.execute("DELETE FROM outbox WHERE id = ?", (letter,))
            self._db.execute(
                "DELETE FROM refused WHERE seq <= (SELECT max(seq) FROM refused) - ?",
                (REFUSED_KEPT,),
            )
        self._refused += taken

    def refused(self) -> int:
        """Return how many letters the hub has refused since the file was opened."""
        return self._refused

    def _full(self, more: int) -> bool:
        """Say whether another letter of `more` bytes is one too many."""
        # The size of a blob stands at its head: this reads no letter.
        held = self._integer("SELECT coalesce(sum(length(letter)), 0) FROM outbox")
        return self.waiting() >= self._letters or held + more > self._letter_bytes

    # ------------------------------------------------------------ faults and challenges

    def open_fault(self, report: Report) -> None:
        """Keep a report: its frozen context is what plans are judged against."""
        with self.transaction():
            self._forget_cleared()
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
        rows = self._rows("SELECT report FROM fault WHERE is_open ORDER BY rowid")
        return tuple(canonical.decode(Report, row[0], limit=LIMIT) for row in rows)

    def report(self, event: str) -> Report | None:
        """Return the report of that event, as it was frozen."""
        rows = self._rows("SELECT report FROM fault WHERE event = ?", event)
        return canonical.decode(Report, rows[0][0], limit=LIMIT) if rows else None

    def issue(self, nonce: str, event: str) -> None:
        """Make `nonce` the present challenge of `event`; earlier unspent ones of it are void."""
        with self.transaction():
            self._db.execute("DELETE FROM challenge WHERE event = ? AND spent_ms IS NULL", (event,))
            self._db.execute("INSERT INTO challenge (nonce, event) VALUES (?, ?)", (nonce, event))

    def challenge(self, nonce: str) -> tuple[str, bool] | None:
        """Return (event, spent) of a challenge that this node issued, None for any other."""
        rows = self._rows(
            "SELECT event, spent_ms IS NOT NULL FROM challenge WHERE nonce = ?", nonce
        )
        return (rows[0][0], bool(rows[0][1])) if rows else None

    def spend(self, nonce: str, now_ms: int) -> bool:
        """Spend a challenge durably; True exactly once in its life."""
        with self.transaction():
            cursor = self._db.execute(
                "UPDATE challenge SET spent_ms = ? WHERE nonce = ? AND spent_ms IS NULL",
                (now_ms, nonce),
            )
        return cursor.rowcount == 1

    def _forget_cleared(self) -> None:
        """Forget the oldest faults that are over, with their challenges and ended executions."""
        rows = self._rows(
            "SELECT event FROM fault WHERE NOT is_open"
            " AND event NOT IN (SELECT event FROM execution WHERE NOT ended)"
            " ORDER BY rowid DESC LIMIT -1 OFFSET ?",
            CLEARED_KEPT,
        )
        for table in (
            "execution",
            "challenge",
            "fault",
        ):  # what refers goes before what it refers to
            self._db.executemany(f"DELETE FROM {table} WHERE event = ?", rows)  # noqa: S608

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
        self._running(incident, index)

    def end_command(self, incident: str) -> None:
        """Note that the command has ended, in one transaction with the letter that says how."""
        self._running(incident, None)

    def _running(self, incident: str, index: int | None) -> None:
        with self.transaction():
            self._db.execute(
                "UPDATE execution SET running = ? WHERE incident = ? AND NOT ended",
                (index, incident),
            )

    def end_execution(self, incident: str) -> None:
        """Note that an admitted plan has ended."""
        with self.transaction():
            self._db.execute("UPDATE execution SET ended = 1 WHERE incident = ?", (incident,))

    def executing(self, incident: str) -> bool:
        """Say whether a plan of that incident was admitted and has not ended."""
        return bool(
            self._rows("SELECT 1 FROM execution WHERE incident = ? AND NOT ended", incident)
        )

    def knows(self, bundle: Bundle) -> bool:
        """Say whether exactly this bundle was admitted before, so that it needs no second answer."""
        rows = self._rows("SELECT bundle FROM execution WHERE incident = ?", bundle.incident)
        if not rows:
            return False
        # The proof that it is on record is made anew each time it is sent.
        kept = canonical.decode(Bundle, rows[0][0], limit=LIMIT)
        return msgspec.structs.replace(kept, log=None) == msgspec.structs.replace(bundle, log=None)

    def interrupted(self) -> tuple[Interrupted, ...]:
        """Return the plans that were admitted and not ended: asked once, at start."""
        rows = self._rows("SELECT bundle, event, running FROM execution WHERE NOT ended")
        return tuple(
            Interrupted(
                bundle=canonical.decode(Bundle, data, limit=LIMIT), event=event, begun=running
            )
            for data, event, running in rows
        )

    # ------------------------------------------------------------ uses of rules that have limits

    def note(self, uses: Iterable[Use]) -> None:
        """Keep what an admitted plan uses; forget what no limit looks back to."""
        rows = [msgspec.structs.astuple(use) for use in uses]
        if not rows:
            return
        with self.transaction():
            oldest = rows[0][-1] - USES_KEPT_MS
            self._db.execute("DELETE FROM rule_use WHERE at_ms < ?", (oldest,))
            self._db.executemany("INSERT INTO rule_use VALUES (?, ?, ?, ?, ?, ?)", rows)

    def used(self, rule: str, after_ms: int, until_ms: int) -> tuple[int, int | None]:
        """Return how often live plans of that time use `rule`, and when the last of them was admitted."""
        ((count, last),) = self._rows(
            "SELECT coalesce(sum(uses), 0), max(at_ms) FROM rule_use"
            " WHERE rule = ? AND live AND at_ms > ? AND at_ms <= ?",
            rule,
            after_ms,
            until_ms,
        )
        return int(count), last

    def rehearsed(self, rule: str, argv: str, event: str) -> bool:
        """Say whether that very command was rehearsed for that event."""
        return bool(
            self._rows(
                "SELECT 1 FROM rule_use WHERE rule = ? AND argv = ? AND event = ? AND NOT live",
                rule,
                argv,
                event,
            )
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
        rows = self._rows("SELECT incident, recovery, started_ms FROM verification")
        return tuple(
            (incident, canonical.decode(Recovery, data, limit=LIMIT), started)
            for incident, data, started in rows
        )

    # ------------------------------------------------------------ the hub's log, as it was seen

    def keep_checkpoint(self, size: int, note: str) -> None:
        """Keep a checkpoint that held; the oldest are forgotten, but what sentinel-exec has seen last."""
        with self.transaction():
            self._db.execute("INSERT INTO checkpoint (size, note) VALUES (?, ?)", (size, note))
            self._db.execute(
                "DELETE FROM checkpoint WHERE size NOT IN"
                " (SELECT size FROM checkpoint ORDER BY size DESC LIMIT ?)"
                " AND size IS NOT (SELECT max(size) FROM checkpoint WHERE handed)",
                (CHECKPOINTS_KEPT,),
            )

    def checkpoint(self, size: int) -> str | None:
        """Return the checkpoint of that size, where one is kept."""
        rows = self._rows("SELECT note FROM checkpoint WHERE size = ?", size)
        return str(rows[0][0]) if rows else None

    def last_checkpoint(self) -> str | None:
        """Return the checkpoint of the largest size."""
        rows = self._rows("SELECT note FROM checkpoint ORDER BY size DESC LIMIT 1")
        return str(rows[0][0]) if rows else None

    def note_handed(self, size: int) -> None:
        """Note that sentinel-exec has seen the checkpoint of that size too."""
        with self.transaction():
            self._db.execute("UPDATE checkpoint SET handed = 1 WHERE size = ?", (size,))

    def seen(self) -> tuple[int, ...]:
        """Return the sizes that this program and sentinel-exec have seen last, 0 for none."""
        ((last, handed),) = self._rows(
            "SELECT coalesce(max(size), 0), coalesce(max(size) FILTER (WHERE handed), 0)"
            " FROM checkpoint"
        )
        return last, handed

    def raise_alarm(self, name: str, reason: str) -> bool:
        """Keep an alarm about the log, until `forget_checkpoints`; False where there was one already."""
        with self.transaction():
            cursor = self._db.execute(
                "INSERT OR IGNORE INTO alarm VALUES (1, ?, ?)", (name, reason)
            )
        return cursor.rowcount == 1

    def alarm(self) -> tuple[str, str] | None:
        """Return the name and the reason of the alarm about the log, if there is one."""
        rows = self._rows("SELECT name, reason FROM alarm")
        return (str(rows[0][0]), str(rows[0][1])) if rows else None

    def forget_checkpoints(self) -> None:
        """Forget the alarm and everything seen of the log: the next checkpoint begins anew."""
        with self.transaction():
            self._db.execute("DELETE FROM alarm")
            self._db.execute("DELETE FROM checkpoint")
