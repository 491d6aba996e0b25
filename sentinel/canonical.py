"""Canonical bytes and digests: one value, one text, one hash.

Canonical JSON here is RFC 8785 for the subset we use: sorted ASCII keys, no floats, no white space,
UTF-8, integers within ±2**53. Signed things travel as their exact bytes and nobody re-makes them to
verify; decoding refuses whatever would not re-encode to the same bytes, which is also what refuses
duplicate keys, floats, unknown fields and other spellings of the same number.
"""

from __future__ import annotations

import hashlib
import json
from typing import TypeVar

import msgspec

from sentinel.domain import Digest, Report, Value
from sentinel.errors import WireError

V = TypeVar("V", bound=Value)


def encode(value: Value) -> bytes:
    """Return the canonical bytes of `value`.

    Raises WireError where it holds something that has no canonical form (a float, a lone surrogate).
    """
    return encode_plain(msgspec.to_builtins(value, order="deterministic"), type(value).__name__)


def encode_plain(plain: object, name: str = "value") -> bytes:
    """Return the canonical bytes of plain JSON data; `name` is for messages. Raises as `encode`."""
    _refuse_floats(plain, "$")
    try:
        # json, not msgspec: RFC 8785 sorts keys and escapes as json.dumps does for our subset.
        return json.dumps(
            plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
        ).encode()
    except UnicodeEncodeError as error:
        raise WireError(
            f"{name} holds text that is not valid Unicode: {error.reason}",
            hint="replace lone surrogates before the value is made",
        ) from None


def decode(kind: type[V], data: bytes, *, limit: int) -> V:
    """Return the value of type `kind` that `data` is the canonical encoding of.

    Raises WireError where `data` is longer than `limit` bytes, is not of that type and within its
    bounds, or is not canonical.
    """
    if len(data) > limit:
        raise WireError(f"{kind.__name__} of {len(data)} bytes is over its limit of {limit}")
    try:
        value = msgspec.json.decode(data, type=kind, strict=True)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise WireError(f"{kind.__name__} does not decode: {error}") from None
    if encode(value) != data:
        raise WireError(
            f"{kind.__name__} is not canonical",
            hint="sorted keys, no white space, no duplicate or unknown keys, no floats",
        )
    return value


def digest(data: bytes) -> Digest:
    """Return the SHA-256 of `data` as `sha256:<hex>`."""
    return digest_text(hashlib.sha256(data).digest())


def digest_text(raw: bytes) -> Digest:
    """Return a raw SHA-256 as `sha256:<hex>`."""
    return Digest(f"sha256:{raw.hex()}")


def digest_of(value: Value) -> Digest:
    """Return the digest of `value`'s canonical bytes."""
    return digest(encode(value))


def report_digest(report: Report) -> Digest:
    """Return the digest of what a node reported. Its challenge is left out: it is renewed after a run."""
    return digest_of(msgspec.structs.replace(report, challenge="0" * 32))


def _refuse_floats(plain: object, path: str) -> None:
    match plain:
        case float():
            raise WireError(f"{path} is the float {plain}: only integers have canonical bytes")
        case dict():
            for key, item in plain.items():
                _refuse_floats(item, f"{path}.{key}")
        case list() | tuple():
            for index, item in enumerate(plain):
                _refuse_floats(item, f"{path}[{index}]")
        case _:
            pass
