from __future__ import annotations

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sentinel import canonical, domain, protocol, wire
from sentinel.errors import WireError
from tests.unit.strategies import values

KINDS = sorted(wire.MESSAGES, key=lambda kind: kind.__name__)
SAMPLE = domain.Sample(metric=domain.Metric.FS_USED, subject="/var", value=-3, at_ms=1)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_a_message_has_exactly_the_fields_of_its_noun(kind):
    fields = {field.encode_name for field in msgspec.structs.fields(kind)}
    assert {field.name for field in wire.MESSAGES[kind].DESCRIPTOR.fields} == fields


def test_every_noun_that_travels_has_a_message():
    nouns = wire._values(domain) | wire._values(protocol)
    # Reasoning stays in the store; a LogRecord and a LoginStatement travel as their exact bytes.
    assert {kind.__name__ for kind in nouns.values()} - {k.__name__ for k in KINDS} == {
        "LogRecord",
        "LoginStatement",
        "Reasoning",
    }


def test_every_enum_value_has_a_number_on_the_wire():
    for kind in KINDS:
        for field in wire.MESSAGES[kind].DESCRIPTOR.fields:
            if field.enum_type is None:
                continue
            noun = getattr(domain, field.enum_type.name, None) or getattr(
                protocol, field.enum_type.name
            )
            numbers = {wire._enum_number(field.enum_type, value) for value in noun}
            assert numbers == set(range(1, len(noun) + 1))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@given(data=st.data())
@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
def test_a_value_survives_the_wire_and_its_canonical_bytes(kind, data):
    value = data.draw(values(kind))
    assert wire.decode(kind, wire.encode(value), limit=1 << 24) == value
    text = canonical.encode(value)
    assert canonical.decode(kind, text, limit=1 << 24) == value
    assert canonical.encode(wire.decode(kind, wire.encode(value), limit=1 << 24)) == text


@given(st.binary(max_size=300))
def test_any_bytes_decode_or_are_refused_as_a_wire_error(data):
    for kind in (protocol.AgentMessage, protocol.HubMessage, protocol.DecideRequest):
        try:
            wire.decode(kind, data, limit=1000)
        except WireError:
            continue


def test_a_message_over_its_limit_is_refused_with_both_numbers():
    with pytest.raises(WireError, match="Sample of 45 bytes is over its limit of 10"):
        wire.decode(domain.Sample, wire.encode(SAMPLE), limit=10)


def test_a_field_out_of_bounds_is_named():
    report = wire.MESSAGES[domain.FileEntry](path="x" * 2000, bytes=1)
    with pytest.raises(WireError, match=r"length <= 1024 - at `\$\.path`"):
        wire.decode(domain.FileEntry, report.SerializeToString(), limit=1 << 20)


def test_an_enum_value_of_a_newer_version_is_refused_by_name():
    message = wire.MESSAGES[domain.Command](text="ls", timeout_s=3)
    assert wire.decode(domain.Command, message.SerializeToString(), limit=1000).text == "ls"
    newer = wire.MESSAGES[domain.CommandResult](index=0, outcome=99)
    with pytest.raises(WireError, match="Outcome 99 is unknown to this version"):
        wire.decode(domain.CommandResult, newer.SerializeToString(), limit=1000)


def test_labels_that_an_old_hub_does_not_know_are_carried():
    context = domain.Context(captured_ms=1, labels={"rack": "b7", "future-field": "1"})
    assert wire.decode(domain.Context, wire.encode(context), limit=1000).labels == context.labels


def test_a_lone_surrogate_cannot_be_sent():
    with pytest.raises(WireError, match="Goodbye cannot be sent"):
        wire.encode(protocol.Goodbye(reason="\ud800"))


def test_the_id_of_an_unreadable_letter_is_found_for_its_receipt():
    good = protocol.Letter(id="abc", cleared=protocol.Cleared(event="e", observed=1, at_ms=1))
    data = wire.encode(protocol.AgentMessage(letter=good))
    assert wire.letter_id(data) == "abc"
    assert wire.letter_id(b"\xff\xff") == "unreadable"
    assert wire.letter_id(data.replace(b"abc", b"a\nc")) == "unreadable"
