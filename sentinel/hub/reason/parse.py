"""A model's text becomes a diagnosis and commands, or is refused with words that say what to repair.

Nothing of an engine's promise to keep to a schema is believed: size, JSON, duplicate keys, types,
bounds, characters and every id are checked here. What passes is data with known bounds; whether a
command may run is not asked here. Pure.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator, Sequence
from typing import Annotated

import msgspec
from msgspec import Meta

from sentinel.domain import MAX_COMMANDS, Claim, Command, Diagnosis
from sentinel.errors import printable
from sentinel.hub.reason.engine import MAX_TEXT, EngineError, Failure

Short = Annotated[str, Meta(min_length=1, max_length=1024)]
Id = Annotated[str, Meta(min_length=1, max_length=64)]


class _Claim(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    evidence: Annotated[tuple[Id, ...], Meta(min_length=1, max_length=16)]
    text: Short


class _Command(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    timeout_s: Annotated[int, Meta(ge=1, le=600)]
    text: Short
    purpose: Annotated[str, Meta(max_length=1024)]
    undo: Annotated[str, Meta(max_length=1024)]


class _Reply(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    culprit: Id | None
    confidence_pct: Annotated[int, Meta(ge=0, le=100)]
    summary: Short
    claims: Annotated[tuple[_Claim, ...], Meta(min_length=1, max_length=16)]
    ruled_out: Annotated[tuple[Short, ...], Meta(max_length=16)]
    commands: Annotated[tuple[_Command, ...], Meta(min_length=1, max_length=MAX_COMMANDS)]


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What a model said, within the bounds of `domain`."""

    diagnosis: Diagnosis
    commands: tuple[Command, ...]


def schema(entities: Sequence[str], evidence: Sequence[str]) -> dict[str, object]:
    """Return the JSON Schema of a reply in which only these ids can be named, the likeliest first.

    Short fields first, so that what matters stands before an answer is cut. No bounds on strings:
    some engines refuse them, others become slow; `parse` has them.
    """
    text = {"type": "string"}
    number = {"type": "string", "enum": list(evidence)}
    claim = _object(evidence={"type": "array", "items": number, "minItems": 1}, text=text)
    command = _object(
        timeout_s={"type": "integer", "minimum": 1, "maximum": 600},
        text=text,
        purpose=text,
        undo=text,
    )
    return _object(
        culprit={"enum": [*entities, None]},
        confidence_pct={"type": "integer", "minimum": 0, "maximum": 100},
        summary=text,
        claims={"type": "array", "items": claim, "minItems": 1, "maxItems": 6},
        ruled_out={"type": "array", "items": text, "maxItems": 4},
        commands={"type": "array", "items": command, "minItems": 1, "maxItems": 6},
    )


def _object(**properties: object) -> dict[str, object]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def parse(reply: str | bytes, entities: Sequence[str], evidence: Sequence[str]) -> Answer:
    """Return what `reply` says. Raises EngineError, and nothing else, whose `what` says what to repair."""
    try:
        plain = _json(_body(_text(reply)))
        answer = msgspec.convert(_nfc(plain), _Reply, strict=True)
    except msgspec.ValidationError as error:
        raise EngineError(str(error), kind=Failure.SCHEMA) from None
    except RecursionError:
        raise EngineError("the reply is nested too deep", kind=Failure.NOT_JSON) from None
    _refuse_unknown(answer, entities, evidence)
    return Answer(
        diagnosis=Diagnosis(
            summary=answer.summary,
            culprit=answer.culprit,
            confidence_pct=answer.confidence_pct,
            claims=tuple(Claim(text=c.text, evidence=c.evidence) for c in answer.claims),
            ruled_out=answer.ruled_out,
        ),
        commands=tuple(
            Command(text=c.text, purpose=c.purpose, undo=c.undo, timeout_s=c.timeout_s)
            for c in answer.commands
        ),
    )


def _text(reply: str | bytes) -> str:
    """Return the reply as text within its size."""
    try:
        data = reply if isinstance(reply, bytes) else reply.encode()
        if len(data) > MAX_TEXT:
            raise EngineError(
                f"the reply has {len(data)} bytes, at most {MAX_TEXT} are taken",
                kind=Failure.TOO_LARGE,
            )
        return data.decode()
    except (UnicodeEncodeError, UnicodeDecodeError) as error:
        raise EngineError(
            f"the reply is not valid Unicode: {error.reason}", kind=Failure.BAD_ENCODING
        ) from None


_THOUGHT = re.compile(r"\s*<think>.*?</think>", re.DOTALL)
_FENCED = re.compile(r"\s*```(?:json)?[ \t]*\n(.*?)\n?[ \t]*```\s*", re.DOTALL)


def _body(text: str) -> str:
    """Return the reply without what models put around JSON: their thoughts, a code fence."""
    thought = _THOUGHT.match(text)
    text = text[thought.end() :] if thought else text
    fenced = _FENCED.fullmatch(text)
    return fenced.group(1) if fenced else text


def _json(text: str) -> object:
    """Return the JSON in `text`; every laxity of the parser is refused."""
    try:
        plain: object = json.loads(
            text, object_pairs_hook=_once, parse_constant=_no_number, parse_float=_no_number
        )
    except json.JSONDecodeError as error:
        raise EngineError(
            f"the reply is not one JSON object: {error.msg} at character {error.pos}",
            kind=Failure.NOT_JSON,
        ) from None
    except ValueError:
        # An integer of thousands of digits, which Python does not convert.
        raise EngineError("a number in the reply is too long", kind=Failure.SCHEMA) from None
    return plain


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found: dict[str, object] = {}
    for key, value in pairs:
        if key in found:
            raise EngineError(f"the key {key!r} is there twice", kind=Failure.SCHEMA)
        found[key] = value
    return found


def _no_number(text: str) -> object:
    raise EngineError(f"{text[:40]} is no whole number", kind=Failure.SCHEMA)


def _nfc(plain: object, path: str = "$") -> object:
    """Return the value with every text in NFC; refuse characters that could act or deceive."""
    match plain:
        case str():
            text = unicodedata.normalize("NFC", plain)
            for char in text:
                if not char.isprintable() or char == "\ufffd":
                    raise EngineError(
                        f"{path} holds the character U+{ord(char):04X}: write plain text on one line",
                        kind=Failure.SCHEMA,
                    )
            return text
        case dict():
            return {_nfc(key, path): _nfc(value, f"{path}.{printable(key, 40)}") for key, value in plain.items()}  # fmt: skip
        case list():
            return [_nfc(value, f"{path}[{n}]") for n, value in enumerate(plain)]
        case _:
            return plain


def _refuse_unknown(answer: _Reply, entities: Sequence[str], evidence: Sequence[str]) -> None:
    for where, name, known in _named(answer, entities, evidence):
        if name not in known:
            ids = ", ".join(known) or "none"
            raise EngineError(
                f"{where} names {name}, which does not exist; the ids are: {ids}",
                kind=Failure.UNGROUNDED,
            )


def _named(
    answer: _Reply, entities: Sequence[str], evidence: Sequence[str]
) -> Iterator[tuple[str, str, Sequence[str]]]:
    if answer.culprit is not None:
        yield "$.culprit", answer.culprit, entities
    for n, claim in enumerate(answer.claims):
        for name in claim.evidence:
            yield f"$.claims[{n}].evidence", name, evidence
