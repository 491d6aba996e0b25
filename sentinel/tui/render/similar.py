"""What happened before of the same kind, to the same service or on the same host, and how it ended."""

from __future__ import annotations

from collections.abc import Iterable

from sentinel.domain import Summary
from sentinel.protocol import Field, ListRequest, Match, Term
from sentinel.tui import look
from sentinel.tui.line import Row, rule
from sentinel.tui.render import incidents

STOP = "incident"  # a row stops at `incident:ID`
SHOWN = 5
ASKED = 50  # the hub's match is of parts of words: some that come are of others


def request(of: Summary) -> ListRequest:
    """Return what asks for the newest incidents before this one that may be like it."""
    where = (Field.SERVICE, of.service) if of.service else (Field.HOST, of.host)
    terms = [Match(field=Field.KIND, parts=(of.kind.value,))]
    terms.append(Match(field=where[0], parts=(where[1].lower(),)))
    return ListRequest(
        open_only=False,
        before=of.id,
        limit=ASKED,
        terms=tuple(Term(any_of=(match,)) for match in terms),
    )


def like(of: Summary, others: Iterable[Summary]) -> list[Summary]:
    """Return those of `others` that are like it: of its kind and service, or host where there is none."""
    return [
        other
        for other in others
        if other.kind is of.kind
        and other.id != of.id
        and (other.service == of.service if of.service else other.host == of.host)
    ][:SHOWN]


def rows(of: Summary, others: Iterable[Summary], now_ms: int, cells: int) -> list[Row]:
    """Return the section, nothing where nothing is like it."""
    found = like(of, others)
    if not found:
        return []
    head = Row(rule(f"SIMILAR: {look.kind(of.kind)} of {of.service or of.host}, before", cells))
    return [head, *(Row(incidents.row(s, now_ms, cells), f"{STOP}:{s.id}") for s in found)]
