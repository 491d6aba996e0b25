from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentinel import canonical
from sentinel.domain import Command, Metric, Sample
from sentinel.errors import WireError

SAMPLE = Sample(metric=Metric.FS_USED, subject="/var", value=-3, at_ms=1)
BYTES = b'{"at_ms":1,"metric":"filesystem_used_permille","subject":"/var","value":-3}'


def test_keys_are_sorted_and_nothing_is_spaced():
    assert canonical.encode(SAMPLE) == BYTES


def test_text_is_utf8_and_control_characters_are_escaped():
    text = canonical.encode(Command(text="é\n\x1b"))
    assert '"text":"é\\n\\u001b"'.encode() in text


def test_the_digest_is_the_sha256_of_the_bytes():
    assert canonical.digest_of(SAMPLE) == "sha256:" + hashlib.sha256(BYTES).hexdigest()


@pytest.mark.parametrize(
    "data",
    [
        BYTES.replace(b":1,", b": 1,"),
        BYTES.replace(b'"at_ms":1', b'"at_ms":1.0'),
        BYTES.replace(b'"at_ms":1', b'"at_ms":01'),
        BYTES.replace(b'"at_ms":1', b'"at_ms":2,"at_ms":1'),
        BYTES.replace(b'"at_ms":1', b'"at_ms":true'),
        BYTES.replace(b'"at_ms":1,', b'"at_ms":1,"extra":1,'),
        BYTES.replace(b"/var", b"\\u002fvar"),
        BYTES.replace(b'{"at_ms":1,', b"{").replace(b"-3}", b'-3,"at_ms":1}'),
        BYTES + b" ",
        b"\xff" + BYTES,
        b"[" * 5000,
        b"",
    ],
)
def test_another_spelling_is_refused(data):
    with pytest.raises(WireError):
        canonical.decode(Sample, data, limit=10_000)


def test_over_the_limit_is_refused_before_it_is_parsed():
    with pytest.raises(WireError, match="over its limit of 10"):
        canonical.decode(Sample, BYTES, limit=10)


@given(st.integers(0, len(BYTES) - 1), st.integers(0, 255))
def test_one_changed_byte_is_refused_or_another_value(position, byte):
    changed = BYTES[:position] + bytes([byte]) + BYTES[position + 1 :]
    try:
        value = canonical.decode(Sample, changed, limit=1000)
    except WireError:
        return
    assert (value == SAMPLE) == (changed == BYTES)


def test_a_lone_surrogate_has_no_canonical_bytes():
    with pytest.raises(WireError, match="not valid Unicode"):
        canonical.encode(Command(text="\ud800"))


def test_a_float_has_no_canonical_bytes():
    with pytest.raises(WireError, match=r"\$.value is the float 0.5"):
        canonical.encode(Sample(metric=Metric.FS_USED, value=0.5, at_ms=1))
