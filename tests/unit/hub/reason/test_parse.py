from __future__ import annotations

import json
import unicodedata

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentinel import canonical
from sentinel.domain import Command, Diagnosis
from sentinel.hub.reason import parse
from sentinel.hub.reason.engine import EngineError, Failure

ENTITIES = ("P1", "P2", "F1")
EVIDENCE = ("E1", "E2")

GOOD = {
    "culprit": "P1",
    "confidence_pct": 90,
    "summary": "leaky-worker holds the memory",
    "claims": [{"evidence": ["E1"], "text": "It is over its limit."}],
    "ruled_out": ["It is not the disk."],
    "commands": [{"timeout_s": 10, "text": "kill -TERM 4121", "purpose": "end it", "undo": ""}],
}


def good(**changes):
    return json.dumps(GOOD | changes)


def command(text):
    return good(commands=[GOOD["commands"][0] | {"text": text}])


def parsed(reply):
    return parse.parse(reply, ENTITIES, EVIDENCE)


def refused(reply):
    with pytest.raises(EngineError) as caught:
        parsed(reply)
    assert caught.value.what.isprintable()
    assert len(caught.value.what) < 700
    return caught.value


def test_a_good_reply_becomes_a_diagnosis_and_commands():
    answer = parsed(good())
    assert answer.commands == (Command(text="kill -TERM 4121", purpose="end it", timeout_s=10),)
    assert answer.diagnosis.culprit == "P1"
    assert answer.diagnosis.claims[0].evidence == ("E1",)


def test_nobody_may_be_to_blame():
    assert parsed(good(culprit=None)).diagnosis.culprit is None


@pytest.mark.parametrize(
    "around",
    ["{}", "\n {}\n", "```json\n{}\n```", "```\n{}\n```\n", "<think>so {{ }}\n</think>\n{}"],
)
def test_what_models_put_around_json_is_taken_off(around):
    assert parsed(around.format(good())).diagnosis.culprit == "P1"


def test_bytes_are_taken_as_well():
    assert parsed(good().encode()).commands


NOT_JSON = [
    "",
    "no",
    "{",
    good() + good(),
    good()[:-1],
    "[" * 60_000,
    "{'a': 1}",
    "Sure!\n" + good(),
]


@pytest.mark.parametrize("reply", NOT_JSON, ids=lambda r: r[:20])
def test_what_is_not_one_json_object_is_refused(reply):
    assert refused(reply).failure is Failure.NOT_JSON


SCHEMA = {
    "[]": "Expected `object`",
    good(confidence_pct="90"): "$.confidence_pct",
    good(confidence_pct=True): "$.confidence_pct",
    good(confidence_pct=None): "$.confidence_pct",
    good(confidence_pct=90.0): "90.0 is no whole number",
    good(confidence_pct=101): "$.confidence_pct",
    good(confidence_pct=-1): "$.confidence_pct",
    good(confidence_pct=float("nan")): "NaN is no whole number",
    good(confidence_pct=float("inf")): "Infinity is no whole number",
    good().replace("90", "9" * 5000): "too long",
    good().replace("90", "9" * 30): "$.confidence_pct",
    good()[:-1] + ', "culprit": "P2"}': "the key 'culprit' is there twice",
    good(approved=True): "approved",
    good(summary=""): "$.summary",
    good(summary="a" * 1025): "$.summary",
    good(claims=[]): "$.claims",
    good(claims=[{"evidence": [], "text": "t"}]): "$.claims[0].evidence",
    good(claims=[{"evidence": ["E1"], "text": "t"}] * 17): "$.claims",
    good(commands=[]): "$.commands",
    good(commands=GOOD["commands"] * 17): "$.commands",
    good(commands=[{"text": "ls"}]): "$.commands[0]",
    good(commands=[GOOD["commands"][0] | {"timeout_s": 0}]): "timeout_s",
    good(commands=[GOOD["commands"][0] | {"timeout_s": 601}]): "timeout_s",
    good(commands=[GOOD["commands"][0] | {"shell": True}]): "shell",
    command("ls " + "a" * 1022): "$.commands[0].text",
    command(""): "$.commands[0].text",
    command(["ls"]): "$.commands[0].text",
}  # fmt: skip


@pytest.mark.parametrize(("reply", "said"), SCHEMA.items(), ids=lambda s: s[:30])
def test_what_is_not_of_the_schema_is_refused_with_what_to_repair(reply, said):
    error = refused(reply)
    assert error.failure is Failure.SCHEMA
    assert said in error.what


CHARACTERS = [
    "\x00", "\x1b", "\n", "\r", "\t", "\x7f", "\x85", "\x9b", "\u00ad", "\u200b", "\u200d", "\u200e", "\u202e",
    "\u2028", "\u2066", "\ufeff", "\ufffd", "\ue000", "\U000e0041", "\u3000", "\u00a0",
]  # fmt: skip


@pytest.mark.parametrize("char", CHARACTERS, ids=lambda c: f"U+{ord(c):04X}")
@pytest.mark.parametrize("field", ["summary", "ruled_out", "text", "purpose", "undo"])
def test_characters_that_could_act_or_deceive_are_refused_everywhere(char, field):
    text = f"a{char}b"
    replies = {
        "summary": good(summary=text),
        "ruled_out": good(ruled_out=[text]),
        "text": command(text),
    }
    reply = replies.get(field, good(commands=[GOOD["commands"][0] | {field: text}]))
    error = refused(reply)
    assert error.failure is Failure.SCHEMA
    assert f"U+{ord(char):04X}" in error.what


def test_a_lone_surrogate_is_refused_as_an_escape_and_as_itself():
    assert "U+D800" in refused(command("ls \ud800")).what
    assert refused('{"culprit": "\ud800"}').failure is Failure.BAD_ENCODING


def test_bytes_that_are_not_utf8_are_refused():
    assert refused(b'{"culprit": "\xff"}').failure is Failure.BAD_ENCODING


def test_text_is_taken_in_nfc():
    decomposed = unicodedata.normalize("NFD", "größe")
    assert parsed(good(summary=decomposed)).diagnosis.summary == "größe"


def test_two_spellings_of_one_key_are_still_an_unknown_key():
    reply = good()[:-1] + ', "\u0063\u0301ulprit": 1}'
    assert refused(reply).failure is Failure.SCHEMA


@pytest.mark.parametrize(
    ("reply", "where"),
    [
        (good(culprit="P3"), "$.culprit"),
        (good(culprit="E1"), "$.culprit"),
        (good(claims=[{"evidence": ["E1", "E3"], "text": "t"}]), "$.claims[0].evidence"),
        (good(claims=[{"evidence": ["P1"], "text": "t"}]), "$.claims[0].evidence"),
    ],
)
def test_what_does_not_exist_cannot_be_named(reply, where):
    error = refused(reply)
    assert error.failure is Failure.UNGROUNDED
    assert where in error.what
    assert "the ids are: " in error.what


def test_the_largest_reply_is_taken_and_a_byte_more_is_not():
    padded = good() + " " * (parse.MAX_TEXT - len(good()))
    assert parsed(padded)
    assert refused(padded + " ").failure is Failure.TOO_LARGE


def test_the_schema_names_only_the_ids_there_are_and_short_fields_first():
    schema = parse.schema(("P2", "F1"), ("E1", "E2"))
    assert schema["properties"]["culprit"] == {"enum": ["P2", "F1", None]}
    claim = schema["properties"]["claims"]["items"]
    assert claim["properties"]["evidence"]["items"]["enum"] == ["E1", "E2"]
    assert list(schema["properties"])[:2] == ["culprit", "confidence_pct"]
    assert "maxLength" not in json.dumps(schema)


def test_the_schema_and_the_strict_type_ask_for_the_same_keys():
    schema = parse.schema(ENTITIES, EVIDENCE)
    fields = [f.name for f in msgspec.structs.fields(parse._Reply)]
    assert schema["required"] == fields
    command_fields = [f.name for f in msgspec.structs.fields(parse._Command)]
    assert schema["properties"]["commands"]["items"]["required"] == command_fields


def survives(reply):
    """Parse `reply`; whatever passes is within the bounds of the domain."""
    try:
        answer = parsed(reply)
    except EngineError:
        return
    canonical.decode(Diagnosis, canonical.encode(answer.diagnosis), limit=1 << 20)
    for each in answer.commands:
        canonical.decode(Command, canonical.encode(each), limit=1 << 20)


@given(st.binary(max_size=300))
def test_no_bytes_make_it_raise_anything_else(reply):
    survives(reply)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


@given(JSON)
def test_no_json_makes_it_raise_anything_else(value):
    survives(json.dumps(value))


@given(st.sampled_from(sorted(GOOD)), JSON)
def test_no_change_of_one_field_makes_it_raise_anything_else(field, value):
    survives(good(**{field: value}))


@given(st.integers(0, len(good())), st.integers(0, 40), st.text(max_size=4))
def test_no_cut_or_insertion_makes_it_raise_anything_else(at, length, text):
    survives(good()[:at] + text + good()[at + length :])


@given(st.text(alphabet=st.characters(), max_size=20))
def test_no_command_text_that_passes_holds_what_is_not_printable(text):
    try:
        answer = parsed(command(text))
    except EngineError:
        return
    assert answer.commands[0].text.isprintable()
