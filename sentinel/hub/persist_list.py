"""The list of incidents as one statement: its order, its filter, and the page of it that is wanted.

A page is found by the place of its neighbour and never by an offset, so that what comes in above does
not shift it; the order is total, because an id is in it.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from sentinel import lifecycle
from sentinel.domain import Summary
from sentinel.hub.tables import INCIDENT
from sentinel.protocol import ListRequest, Match, Term

_SUMMARY = [INCIDENT.c[name] for name in Summary.__struct_fields__]
URGENCY = sa.case(
    {severity.value: rank for severity, rank in lifecycle.RANK.items()}, value=INCIDENT.c.severity
)
_TURN = sa.case(
    {state.value: turn for state, turn in lifecycle.TURN.items()}, value=INCIDENT.c.state
)


def page(request: ListRequest) -> sa.Select[Any]:
    """Return the statement for one page and one row more; a page that ends at a place comes reversed."""
    query = sa.select(*_SUMMARY).where(*map(_term, request.terms)).limit(request.limit + 1)
    if request.open_only:
        query = query.where(INCIDENT.c.is_open)
    if request.before is not None:
        query = query.where(INCIDENT.c.id < request.before)
    if not request.urgent:
        return query.order_by(INCIDENT.c.id.desc())
    urgency = _TURN * len(lifecycle.RANK) + URGENCY  # as lifecycle.urgency has it
    place = request.place
    if request.up:
        if place is not None:
            at = lifecycle.urgency(place.state, place.severity)
            query = query.where((urgency < at) | ((urgency == at) & (INCIDENT.c.id > place.id)))
        return query.order_by(urgency.desc(), INCIDENT.c.id)
    if place is not None:
        at = lifecycle.urgency(place.state, place.severity)
        query = query.where((urgency > at) | ((urgency == at) & (INCIDENT.c.id < place.id)))
    return query.order_by(urgency, INCIDENT.c.id.desc())


def _term(term: Term) -> sa.ColumnElement[bool]:
    holds = sa.or_(sa.false(), *map(_match, term.any_of))
    return sa.not_(holds) if term.negated else holds


def _match(match: Match) -> sa.ColumnElement[bool]:
    column = sa.func.lower(sa.func.coalesce(INCIDENT.c[match.field.value], ""))
    if not match.parts:
        return column == ""
    parts = (part.replace("/", "//").replace("%", "/%").replace("_", "/_") for part in match.parts)
    return column.like(f"%{'%'.join(parts)}%", escape="/")
