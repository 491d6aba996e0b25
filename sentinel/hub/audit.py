"""The audit log: append, and verify.

A record's body is canonical JSON, kept as its exact bytes; hash(n) = SHA-256(hash(n-1) || body(n)), and
hash(0) is 32 zero bytes. Nobody outside this file knows how records are linked, so a Merkle tree can
take the chain's place. A record is appended in the transaction of the change that it records.

The chain shows that what is there has not been altered since somebody else last saw its end; only
whoever keeps that end elsewhere can tell when the whole log has been written anew.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from typing import Annotated, Protocol

import msgspec
from msgspec import Meta

from sentinel import canonical, errors
from sentinel.domain import AuditRecord, Count, Digest, Line, Millis, Name, Text, Value

MAX_BODY = 8192  # characters, the bound of domain.AuditRecord.body
GENESIS = bytes(32)


class Body(Value, frozen=True, kw_only=True):
    """What one record says. `facts` are digests, numbers and names, as text."""

    seq: Count
    at_ms: Millis
    action: Name
    actor: Name
    incident: Name = ""
    state: Name = ""  # after the change
    text: Line = ""
    facts: Annotated[dict[Name, Text], Meta(max_length=32)] = msgspec.field(default_factory=dict)


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One record as it is stored."""

    seq: int
    incident: str
    body: bytes
    hash: bytes


class Log(Protocol):
    """The unit of work, as far as this file needs it."""

    @property
    def end(self) -> tuple[int, bytes]:
        """The seq and hash of the last record; (0, GENESIS) of an empty log."""

    def add_record(self, row: Row) -> None:
        """Add the record after the last."""


class Store(Protocol):
    """The store, as far as verification needs it."""

    def audit_rows(self) -> AsyncIterator[Row]:
        """Every record, by seq."""

    async def audit_end(self) -> tuple[int, bytes]:
        """The seq and hash that the head row holds."""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What verification found: how many records hold, and the first that does not."""

    records: int
    head: Digest
    broken: int | None = None  # seq of the first record that does not hold
    reason: str = ""


def append(log: Log, body: Body) -> int:
    """Append `body` under the next number and return that number; the caller's `seq` is ignored.

    Raises WireError where the body is larger than a record may be.
    """
    last, previous = log.end
    numbered = msgspec.structs.replace(body, seq=last + 1)
    data = canonical.encode(numbered)
    if len(data) > MAX_BODY:
        raise errors.WireError(
            f"an audit record of {len(data)} bytes is over its limit of {MAX_BODY}",
            hint="shorten the reason or the note",
        )
    digest = hashlib.sha256(previous + data).digest()
    log.add_record(Row(seq=numbered.seq, incident=body.incident, body=data, hash=digest))
    return numbered.seq


def record(row: Row) -> AuditRecord:
    """Return a stored record as operators see it."""
    body = msgspec.json.decode(row.body, type=Body)
    return AuditRecord(
        seq=row.seq,
        at_ms=body.at_ms,
        action=body.action,
        actor=body.actor,
        incident=body.incident,
        body=row.body.decode(),
        hash=digest_text(row.hash),
    )


def digest_text(raw: bytes) -> Digest:
    """Return a raw SHA-256 as `sha256:<hex>`."""
    return Digest(f"sha256:{raw.hex()}")


async def verify(store: Store) -> Finding:
    """Read the whole log and name the first record that does not hold.

    Found are: a changed byte, a missing, added, repeated or moved record, a record filed under another
    incident than its body says, and an end that is not where the head row says.
    """
    end, head = await store.audit_end()
    count, previous = 0, GENESIS
    async for row in store.audit_rows():
        reason = _fault(row, count + 1, previous)
        if not reason and row.seq == end and row.hash != head:
            reason = f"the head row has another hash for record {end}: {digest_text(head)}"
        if reason:
            return Finding(
                records=count, head=digest_text(previous), broken=count + 1, reason=reason
            )
        count, previous = row.seq, row.hash
    # A hub may be writing: the log can be longer than the head read before it, the head read after it
    # can be further on than the log, and nothing else.
    if count < end:
        reason = f"record {count + 1} is missing: the head row says that there are {end}"
        return Finding(records=count, head=digest_text(previous), broken=count + 1, reason=reason)
    end, _ = await store.audit_end()
    if count > end:
        reason = f"record {end + 1} is beyond the end that the head row knows"
        return Finding(records=count, head=digest_text(previous), broken=end + 1, reason=reason)
    return Finding(records=count, head=digest_text(previous))


def _fault(row: Row, expected: int, previous: bytes) -> str:
    """Return why `row` is not record number `expected` after `previous`, or nothing."""
    if row.seq != expected:
        return f"record {expected} is missing; the next is {row.seq}"
    if hashlib.sha256(previous + row.body).digest() != row.hash:
        return f"the hash of record {expected} does not follow from its body and the record before"
    try:
        body = canonical.decode(Body, row.body, limit=MAX_BODY)
    except errors.WireError as error:
        return f"record {expected}: {error.what}"
    if body.seq != expected:
        return f"record {expected} says that it is number {body.seq}"
    if body.incident != row.incident:
        return f"record {expected} is filed under incident {row.incident}"
    return ""
