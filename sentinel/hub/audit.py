"""The audit log: append, and verify.

A record's body is canonical JSON, kept as its exact bytes; record n is leaf n - 1 of a Merkle tree
(`sentinel.merkle`). Nobody outside this file knows how records are linked. A record, and the nodes of
the tree that it completes, are written in the transaction of the change that it records.

Verification names the first record that does not hold. What it can tell rests on what it is given:
the tree's stored nodes show any change made without care; a log that was written anew with all its
nodes is shown by the signed checkpoints; and where the hub's key was stolen too, only by a checkpoint
that was kept elsewhere, as every node keeps one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from sentinel import canonical, errors, merkle
from sentinel.domain import AuditRecord, Digest, LogRecord
from sentinel.hub.persist_log import KEPT, PAGE, LogReader, Raw, Row
from sentinel.trust import checkpoint
from sentinel.trust.checkpoint import Checkpoint

MAX_BODY = 8192  # characters, the bound of domain.AuditRecord.body
_KEPT_LEAVES = 1 << KEPT


Body = LogRecord


class Log(Protocol):
    """The unit of work, as far as this file needs it."""

    @property
    def end(self) -> merkle.Range:
        """The tree over the log's records."""

    def add_record(self, row: Row) -> None:
        """Add the record after the last."""


class Store(Protocol):
    """The store, as far as verification needs it."""

    @property
    def log(self) -> LogReader:
        """The stored log."""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What verification found: how many records hold, and the first that does not."""

    records: int
    head: Digest  # the root of the tree over those that hold
    checkpoints: int = 0  # that hold
    broken: int | None = None  # seq of the first record that does not hold
    reason: str = ""


def append(log: Log, body: Body) -> int:
    """Append `body` under the next number and return that number; the caller's `seq` is ignored.

    Raises WireError where the body is larger than a record may be.
    """
    numbered = msgspec.structs.replace(body, seq=log.end.size + 1)
    data = canonical.encode(numbered)
    if len(data) > MAX_BODY:
        raise errors.WireError(
            f"an audit record of {len(data)} bytes is over its limit of {MAX_BODY}",
            hint="shorten the reason or the note",
        )
    log.add_record(Row(numbered.seq, body.incident, data, merkle.leaf_hash(data)))
    return numbered.seq


def record(row: Row) -> AuditRecord:
    """Return a stored record as operators see it; StoreError where it is none any more."""
    try:
        body = msgspec.json.decode(row.body, type=Body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise errors.StoreError(
            f"record {row.seq} of the audit log does not read",
            hint="sentinel audit verify names what was tampered with",
        ) from None
    return AuditRecord(
        seq=row.seq,
        at_ms=body.at_ms,
        action=body.action,
        actor=body.actor,
        incident=body.incident,
        body=row.body.decode(),
        hash=canonical.digest_text(row.hash),
    )


# ---------------------------------------------------------------- proofs


async def inclusion(log: LogReader, seq: int, size: int) -> tuple[bytes, ...]:
    """Return the proof that record `seq` is in the tree of `size` records."""
    return await _proof(log, merkle.inclusion(seq - 1, size))


async def consistency(log: LogReader, old: int, size: int) -> tuple[bytes, ...]:
    """Return the proof that the log of `size` records begins with that of `old`."""
    return await _proof(log, merkle.consistency(old, size))


async def range_at(log: LogReader, size: int) -> merkle.Range:
    """Return the compact range of the tree over the first `size` records."""
    parts = merkle.subtrees((0, size))
    roots = await log.roots(parts)
    return merkle.Range(size, tuple(roots[part] for part in parts))


async def _proof(log: LogReader, stretches: list[merkle.Stretch]) -> tuple[bytes, ...]:
    parts = [merkle.subtrees(stretch) for stretch in stretches]
    roots = await log.roots(subtree for part in parts for subtree in part)
    return tuple(merkle.fold([roots[subtree] for subtree in part]) for part in parts)


# ---------------------------------------------------------------- verification


class _Fault(Exception):
    """The record, and what is wrong; only `verify` catches it."""

    def __init__(self, seq: int, reason: str) -> None:
        super().__init__(reason)
        self.seq = seq


async def verify(
    store: Store,
    *,
    key: checkpoint.Key | None = None,
    known: Sequence[Checkpoint] = (),
    start: Checkpoint | None = None,
) -> Finding:
    """Read the whole log and name the first record that does not hold.

    Found are: a changed byte, a missing, added, repeated or moved record, a record filed under another
    incident than its body says, an end that is not where the head row says, and a log that is not the
    one of a checkpoint: the stored ones, which must be signed by `key`, and the `known` ones, which
    somebody kept. With `start` the records up to that checkpoint are not read again; their hashes are
    held against it.
    """
    walk = _Walk(store.log, key, sorted(known, key=lambda each: each.size))
    try:
        await walk.begin(start)
        await walk.records()
        await walk.end()
    except _Fault as fault:
        return walk.finding(fault)
    return walk.finding(None)


class _Filed(msgspec.Struct, frozen=True):
    """What a body must say of where it is filed. Its other fields are bound by the hash alone."""

    seq: int
    incident: str = ""


_decode = msgspec.json.Decoder(_Filed).decode


class _Walk:
    """One verification on its way from record to record; `_tree` covers those that hold."""

    def __init__(self, log: LogReader, key: checkpoint.Key | None, known: list[Checkpoint]) -> None:
        self._log = log
        self._key = key
        self._known = known
        self._tree = merkle.Range()
        self._head = merkle.Range()
        self._last = 0, 0
        self._sure = 0  # records up to the last checkpoint that holds
        self._held = 0

    def finding(self, fault: _Fault | None) -> Finding:
        return Finding(
            records=self._tree.size,
            head=canonical.digest_text(self._tree.root()),
            checkpoints=self._held,
            broken=fault.seq if fault else None,
            reason=str(fault) if fault else "",
        )

    async def begin(self, start: Checkpoint | None) -> None:
        """Read where the log ends, and begin at its beginning or after a checkpoint."""
        # A hub may be writing. What is last is read before the head, so it cannot be beyond it.
        self._last = await self._log.last()
        head = await self._log.head()
        if head is None:
            raise _Fault(1, "the head row is missing")
        try:
            self._head = merkle.Range.load(*head)
        except ValueError as error:
            raise _Fault(1, f"the head row is damaged: {error}") from None
        if start is None:
            return
        self._check_length(start)
        try:
            tree = await range_at(self._log, start.size)
        except errors.StoreError as error:
            raise _Fault(1, error.what) from None
        if tree.root() != start.root:
            raise _Fault(
                1, f"records 1 to {start.size} are not those of the checkpoint to start from"
            )
        self._tree, self._sure = tree, start.size

    async def records(self) -> None:
        """Hold every record up to the head against the tree and the checkpoints."""
        async for page in self._log.pages(self._tree.size, self._head.size):
            first = self._tree.size + 1
            last = min((self._tree.size // PAGE + 1) * PAGE, self._head.size)
            leaves = [merkle.leaf_hash(row[2]) for row in page]
            # All at once, because nearly always all hold; record by record only to name the one.
            whole = [row[0] for row in page] == list(range(first, last + 1))
            if not whole or leaves != [row[3] for row in page] or not _filed(page):
                self._name(page, first)
            await self._grow(leaves)

    def _name(self, page: list[Raw], first: int) -> None:
        """Raise for the first record of a page that does not hold; those before it are taken."""
        for expected, row in enumerate(page, first):
            if reason := _fault(Row(*row), expected):
                raise _Fault(expected, reason)
            self._tree = self._tree.add(row[3])
        missing = first + len(page)
        raise _Fault(missing, f"record {missing} is missing: the log has {self._head.size}")

    async def _grow(self, leaves: list[bytes]) -> None:
        """Add a page of leaves, and compare what it completes with the stored nodes and checkpoints."""
        before, made = self._tree, dict[merkle.Subtree, bytes]()
        at, tree = 0, before
        while at < len(leaves):
            whole = tree.size % _KEPT_LEAVES == 0 and at + _KEPT_LEAVES <= len(leaves)
            step, level = (_KEPT_LEAVES, KEPT) if whole else (1, 0)
            tree = tree.add(merkle.perfect(leaves[at : at + step]), level, made)
            at += step
        try:
            await self._hold_checkpoints(before, leaves)
        finally:
            # Where both have something to say, a node names fewer records.
            await self._hold_nodes(made)
        self._tree = tree

    async def _hold_nodes(self, made: dict[merkle.Subtree, bytes]) -> None:
        kept = sorted(node for node in made if node.level and node.level % KEPT == 0)
        stored = await self._log.nodes(kept) if kept else {}
        for node in kept:
            if stored.get(node) != made[node]:
                raise self._node_fault(node, "is missing" if node not in stored else "is another")

    def _node_fault(self, node: merkle.Subtree, said: str) -> _Fault:
        first, last = (node.number << node.level) + 1, (node.number + 1) << node.level
        stored = f"the stored node of the tree over the records {first} to {last} {said}"
        if last <= self._sure:
            return _Fault(first, f"{stored}; the records themselves hold")
        return _Fault(
            max(first, self._sure + 1), f"{stored}: one of them is not the one that was written"
        )

    async def _hold_checkpoints(self, tree: merkle.Range, leaves: list[bytes]) -> None:
        begin, end = tree.size, tree.size + len(leaves)
        found: list[tuple[int, str | Checkpoint]] = [
            (each.size, each) for each in self._known if begin < each.size <= end
        ]
        found += await self._log.checkpoints(begin, end)
        held = set()
        for size, said in sorted(found, key=lambda each: each[0]):
            each = self._signed(size, said) if isinstance(said, str) else said
            if each in held:
                continue
            held.add(each)
            for leaf in leaves[tree.size - begin : each.size - begin]:
                tree = tree.add(leaf)
            if tree.root() != each.root:
                raise _Fault(
                    self._sure + 1,
                    f"the records {self._sure + 1} to {each.size} are not those that the checkpoint"
                    f" of {each.size} was signed over",
                )
            self._sure = each.size
            self._held += 1

    def _signed(self, size: int, note: str) -> Checkpoint:
        """Return the stored checkpoint that `note` is, its signature held against the key."""
        try:
            found = checkpoint.verify(note, self._key) if self._key else checkpoint.parse(note)
        except errors.SignatureError as error:
            raise _Fault(
                self._sure + 1, f"the stored checkpoint of {size} records: {error.what}"
            ) from None
        if found.size != size:
            raise _Fault(
                self._sure + 1, f"the stored checkpoint of {size} records says {found.size}"
            )
        return found

    async def end(self) -> None:
        """Hold the end against the head row, and against whatever has seen a longer log."""
        if self._tree != self._head:
            raise self._other_head()
        for size, note in await self._log.checkpoints(self._head.size, self._last[1]):
            self._check_length(self._signed(size, note))
        for each in self._known:
            self._check_length(each)
        if self._last[0] > self._head.size:
            beyond = self._head.size + 1
            raise _Fault(beyond, f"record {beyond} is beyond the end that the head row knows")

    def _other_head(self) -> _Fault:
        """Return the fault of a head row that is over other records, with the first that may differ."""
        spans = merkle.subtrees((0, self._tree.size))
        for span, ours, theirs in zip(spans, self._tree.hashes, self._head.hashes, strict=True):
            if ours != theirs:
                begin, end = span.number << span.level, (span.number + 1) << span.level
                return _Fault(
                    max(begin, self._sure) + 1,
                    f"the head row has another hash for the records {begin + 1} to {end}",
                )
        raise AssertionError("two ranges of one size that differ differ in a hash")

    def _check_length(self, each: Checkpoint) -> None:
        if each.size > self._head.size:
            raise _Fault(
                self._head.size + 1,
                f"record {self._head.size + 1} is missing: a checkpoint was signed over"
                f" {each.size} records, and the log has {self._head.size}",
            )


def _filed(page: list[Raw]) -> bool:
    """Say whether each record's body reads, and says the number and incident it is filed under."""
    try:
        for seq, incident, body, _ in page:
            said = _decode(body)
            if said.seq != seq or said.incident != incident:
                return False
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False
    return True


def _fault(row: Row, expected: int) -> str:
    """Return why `row` is not record number `expected`, or nothing."""
    if row.seq != expected:
        return f"record {expected} is missing; the next is {row.seq}"
    if merkle.leaf_hash(row.body) != row.hash:
        return f"the hash of record {expected} is not that of its body"
    try:
        body = canonical.decode(Body, row.body, limit=MAX_BODY)
    except errors.WireError as error:
        return f"record {expected}: {error.what}"
    if body.seq != expected:
        return f"record {expected} says that it is number {body.seq}"
    if body.incident != row.incident:
        return f"record {expected} is filed under incident {row.incident}"
    return ""
