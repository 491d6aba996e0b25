"""The list of incidents as one statement: its order, its filter, and the page of it that is wanted.

A page is found by the place of its neighbour and never by an offset, so that what comes in above does
not shift it; the order is total, because an id is in it.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from sentinel import lifecycle
from sentinel.domain import State, Summary
from sentinel.hub.tables import INCIDENT
from sentinel.protocol import ListRequest, Match, Order, Place, Term

SUMMARY = [INCIDENT.c[name] for name in Summary.__struct_fields__]
URGENCY = sa.case(
    {severity.value: rank for severity, rank in lifecycle.RANK.items()}, value=INCIDENT.c.severity
)
_TURN = sa.case(
    {state.value: turn for state, turn in lifecycle.TURN.items()}, value=INCIDENT.c.state
)
_LIFE = sa.case({state.value: at for state, at in lifecycle.LIFE.items()}, value=INCIDENT.c.state)
_URGENCY = _TURN * len(lifecycle.RANK) + URGENCY
# What is sorted by, ascending, as lifecycle.rank has it; the id comes last, descending.
_KEYS: dict[Order, tuple[sa.ColumnElement[Any], ...]] = {
    Order.URGENCY: (_URGENCY,),
    Order.AGE: (),
    Order.SEVERITY: (URGENCY * len(State) + _TURN,),
    Order.HOST: (INCIDENT.c.host, _URGENCY),
    Order.KIND: (INCIDENT.c.kind, _URGENCY),
    Order.STATE: (_LIFE * len(lifecycle.RANK) + URGENCY,),
}


def page(request: ListRequest) -> sa.Select[Any]:
    """Return the statement for one page and one row more; a page that ends at a place comes reversed."""
    query = sa.select(*SUMMARY).where(*map(_term, request.terms)).limit(request.limit + 1)
    if request.open_only:
        query = query.where(INCIDENT.c.is_open)
    if request.before is not None:
        query = query.where(INCIDENT.c.id < request.before)
    keys = _KEYS[request.order]
    if request.place is not None:
        query = query.where(_beyond(keys, request.order, request.place, up=request.up))
    if request.up:
        return query.order_by(*(key.desc() for key in keys), INCIDENT.c.id)
    return query.order_by(*keys, INCIDENT.c.id.desc())


def _beyond(
    keys: tuple[sa.ColumnElement[Any], ...], order: Order, place: Place, *, up: bool
) -> sa.ColumnElement[bool]:
    """Return what holds of the rows that come after `place`, or with `up` before it."""
    names = {Order.HOST: (place.host,), Order.KIND: (place.kind.value,)}.get(order, ())
    values = (*names, lifecycle.rank(order, place.state, place.severity))
    beyond = INCIDENT.c.id > place.id if up else INCIDENT.c.id < place.id
    for key, value in reversed(list(zip(keys, values, strict=False))):
        beyond = (key < value if up else key > value) | ((key == value) & beyond)
    return beyond


def _term(term: Term) -> sa.ColumnElement[bool]:
    holds = sa.or_(sa.false(), *map(_match, term.any_of))
    return sa.not_(holds) if term.negated else holds


def _match(match: Match) -> sa.ColumnElement[bool]:
    column = sa.func.lower(sa.func.coalesce(INCIDENT.c[match.field.value], ""))
    if not match.parts:
        return column == ""
    parts = (part.replace("/", "//").replace("%", "/%").replace("_", "/_") for part in match.parts)
    return column.like(f"%{'%'.join(parts)}%", escape="/")
