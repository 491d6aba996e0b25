"""Identifiers that sort by time."""

from __future__ import annotations

import secrets
import uuid


def uuid7(now_ms: int) -> str:
    """Return a UUIDv7 (RFC 9562) in its canonical text: sorted by `now_ms`, the rest random."""
    value = (now_ms << 80) | (7 << 76) | (secrets.randbits(12) << 64) | (2 << 62)
    return str(uuid.UUID(int=value | secrets.randbits(62)))
