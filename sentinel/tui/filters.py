"""The filter's little grammar: `host=web kind=memory !state=manual leaky`.

Terms are separated by blanks and must all hold. `field=part` looks for `part` in that field; anything
else looks in the whole line, and for its letters in order in host and kind. `!` in front of a term turns
it round. `who=ann` is what ann is on, `who=` what nobody is on, and `!who=` what anybody is. What is typed becomes terms that the hub searches by (`protocol.Term`); here they are applied
to what the hub has sent already, so that both mean the same.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator
from enum import StrEnum

from sentinel.domain import Severity, State, Summary
from sentinel.errors import OperatorError
from sentinel.protocol import Field, Match, Term
from sentinel.tui import look

Terms = tuple[Term, ...]

_PLAIN = {
    "id": Field.ID,
    "host": Field.HOST,
    "kind": Field.KIND,
    "verdict": Field.VERDICT,
    "who": Field.OWNER,
    "service": Field.SERVICE,
}
_READ: dict[Field, Callable[[Summary], str]] = {
    Field.ID: lambda s: s.id,
    Field.HOST: lambda s: s.host,
    Field.KIND: lambda s: s.kind.value,
    Field.STATE: lambda s: s.state.value,
    Field.SEVERITY: lambda s: s.severity.value,
    Field.VERDICT: lambda s: s.verdict.value if s.verdict else "",
    Field.EVIDENCE: lambda s: s.evidence,
    Field.OWNER: lambda s: s.owner,
    Field.SERVICE: lambda s: s.service,
}
FIELDS = (*_PLAIN, "state", "sev")
MOST_TERMS = 16
MOST_LETTERS = 64


def parse(text: str) -> Terms:
    """Return the terms of `text`; the empty text has none, and so takes everything.

    Raises OperatorError that names a field which does not exist, and the nearest one that does.
    """
    words = text.split()
    if len(words) > MOST_TERMS:
        raise OperatorError(f"{len(words)} terms are too many", hint=f"at most {MOST_TERMS}")
    return tuple(_term(word) for word in words)


def accepts(terms: Terms, summary: Summary) -> bool:
    """Say whether every term holds of `summary`."""
    return all(
        any(_holds(match, summary) for match in term.any_of) is not term.negated for term in terms
    )


def _holds(match: Match, summary: Summary) -> bool:
    value, at = _READ[match.field](summary).lower(), 0
    if not match.parts:
        return not value
    for part in match.parts:
        found = value.find(part, at)
        if found < 0:
            return False
        at = found + len(part)
    return True


def _term(word: str) -> Term:
    if word.startswith("!"):
        inner = _term(word[1:])
        return Term(any_of=inner.any_of, negated=not inner.negated)
    field, equals, part = word.partition("=")
    wanted = (part if equals else word).lower()[:256]
    if not equals:
        return Term(any_of=tuple(_anywhere(wanted)))
    if field in _PLAIN:
        nobody = field == "who" and not wanted
        parts = () if nobody else (wanted,)
        return Term(any_of=(Match(field=_PLAIN[field], parts=parts),))
    if field == "state":
        return Term(any_of=tuple(_states(wanted)))
    if field == "sev":
        return Term(any_of=tuple(_severities(wanted)))
    near = difflib.get_close_matches(field, FIELDS, 1) or [", ".join(FIELDS)]
    raise OperatorError(f"there is no field {field}", hint=f"did you mean {near[0]}?")


def _anywhere(wanted: str) -> Iterator[Match]:
    for field in (Field.EVIDENCE, Field.HOST, Field.KIND, Field.ID, Field.OWNER):
        yield Match(field=field, parts=(wanted,))
    if 1 < len(wanted) <= MOST_LETTERS:
        for field in (Field.HOST, Field.KIND):
            yield Match(field=field, parts=tuple(wanted))
    yield from _states(wanted, shown_only=True)
    yield from _severities(wanted, shown_only=True)


def _states(wanted: str, *, shown_only: bool = False) -> Iterator[Match]:
    for state in State:
        yield from _named(Field.STATE, state, look.STATE_WORD[state], wanted, shown_only)


def _severities(wanted: str, *, shown_only: bool = False) -> Iterator[Match]:
    for severity in Severity:
        word = look.SEVERITY_WORD[severity]
        yield from _named(Field.SEVERITY, severity, word, wanted, shown_only)


def _named(
    field: Field, value: StrEnum, word: str, wanted: str, shown_only: bool
) -> Iterator[Match]:
    """Yield the match of a value whose word on the screen, or own name, has `wanted` in it."""
    known = word if shown_only else f"{value.value} {word}"
    if wanted in known.lower():
        yield Match(field=field, parts=(value.value,))
