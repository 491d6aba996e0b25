"""The filter's little grammar: `host=web kind=memory !state=manual leaky`.

Terms are separated by blanks and must all hold. `field=part` looks for `part` in that field; anything
else looks in the whole line, and for its letters in order in host, kind and id. `!` in front of a term
turns it round.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable

from sentinel.domain import Summary
from sentinel.errors import OperatorError
from sentinel.tui import look

Accepts = Callable[[Summary], bool]

FIELDS: dict[str, Callable[[Summary], str]] = {
    "id": lambda s: s.id,
    "host": lambda s: s.host,
    "kind": lambda s: s.kind.value,
    "state": lambda s: f"{s.state.value} {look.STATE_WORD[s.state]}",
    "sev": lambda s: f"{s.severity.value} {look.SEVERITY_WORD[s.severity]}",
    "verdict": lambda s: s.verdict.value if s.verdict else "",
}


def parse(text: str) -> Accepts:
    """Return the test that `text` describes; the empty text takes everything.

    Raises OperatorError that names a field which does not exist, and the nearest one that does.
    """
    terms = [_term(word) for word in text.split()]
    return lambda summary: all(term(summary) for term in terms)


def _term(word: str) -> Accepts:
    if word.startswith("!"):
        inner = _term(word[1:])
        return lambda summary: not inner(summary)
    field, equals, part = word.partition("=")
    if not equals:
        return _anywhere(word.lower())
    if field not in FIELDS:
        near = difflib.get_close_matches(field, FIELDS, 1) or [", ".join(FIELDS)]
        raise OperatorError(f"there is no field {field}", hint=f"did you mean {near[0]}?")
    read, wanted = FIELDS[field], part.lower()
    return lambda summary: wanted in read(summary).lower()


def _anywhere(wanted: str) -> Accepts:
    def accepts(summary: Summary) -> bool:
        shorts = (summary.host, summary.kind.value, summary.id)
        if wanted in summary.evidence.lower() or any(wanted in s.lower() for s in shorts):
            return True
        words = (look.STATE_WORD[summary.state], look.SEVERITY_WORD[summary.severity])
        return wanted in " ".join(words).lower() or any(_in_order(wanted, s) for s in shorts[:2])

    return accepts


def _in_order(wanted: str, text: str) -> bool:
    letters = iter(text.lower())
    return all(letter in letters for letter in wanted)
