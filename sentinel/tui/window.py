"""A window on the hub's list: every incident between its two ends, in one of the orders.

A hundred thousand incidents are never in here: pages are asked for as the cursor comes near an end, and
the far end is let go. Between its ends the window is kept true by the hub's updates alone, wherever an
incident moves: in, out or within. Pure; who asks and who answers is elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from operator import itemgetter

from sentinel.domain import Summary
from sentinel.lifecycle import TERMINAL, rank, urgency
from sentinel.protocol import ListRequest, Order, Page, Place
from sentinel.tui import filters
from sentinel.tui.filters import Terms

PAGE = 200
KEPT = 1000  # rows; twice as many where updates bring them in
NEAR = 60  # rows between the cursor and an end: then the next page is asked for

Key = tuple[str, int, bytes]


def key(summary: Summary | Place, order: Order = Order.URGENCY) -> Key:
    """Return what orders the list, as the hub's statement has it; of equals the newest is first."""
    if order is Order.URGENCY:
        return "", urgency(summary.state, summary.severity), _newest_first(summary.id)
    name = ""
    if order is Order.HOST:
        name = summary.host
    elif order is Order.KIND:
        name = summary.kind.value
    return name, rank(order, summary.state, summary.severity), _newest_first(summary.id)


@lru_cache(maxsize=4 * KEPT)
def _newest_first(incident: str) -> bytes:
    """Return the id turned round byte by byte: ids are ASCII and sort by time."""
    return bytes(255 - byte for byte in incident.encode(errors="replace")) + b"\xff"


class Window:
    """Part of the incidents that `terms` take, with or without those that have ended."""

    def __init__(
        self, terms: Terms = (), *, ended: bool = False, order: Order = Order.URGENCY
    ) -> None:
        """Know of nothing yet."""
        self.terms = terms
        self.ended = ended
        self.order = order
        self.loaded = False
        self._rows: dict[str, tuple[Key, Summary]] = {}  # each with what orders it
        self._high: Place | None = None  # rows above this are not in here; None: there are none
        self._low: Place | None = None
        self._ordered: tuple[Summary, ...] | None = ()

    @property
    def above(self) -> bool:
        """Whether the hub has rows above the first."""
        return self._high is not None

    @property
    def below(self) -> bool:
        """Whether the hub has rows below the last."""
        return self._low is not None or not self.loaded

    @property
    def whole(self) -> bool:
        """Whether this is everything there is."""
        return self.loaded and not (self.terms or self.above or self.below)

    @property
    def rows(self) -> tuple[Summary, ...]:
        """The rows in order; the same object as long as nothing changed."""
        if self._ordered is None:
            ordered = sorted(self._rows.values(), key=itemgetter(0))
            self._keep(ordered)
            self._ordered = tuple(row for _, row in ordered)
        return self._ordered

    def get(self, incident: str) -> Summary | None:
        """Return the row of an incident, if it is in here."""
        known = self._rows.get(incident)
        return known[1] if known else None

    def takes(self, summary: Summary) -> bool:
        """Say whether `summary` is one of those that are looked for, wherever it stands."""
        return (self.ended or summary.state not in TERMINAL) and filters.accepts(
            self.terms, summary
        )

    # ---- what to ask for

    def edge(self, direction: int) -> ListRequest:
        """Return the request for the first page (-1), or the last (1)."""
        return self._request(None, up=direction > 0)

    def wanted(self, index: int) -> ListRequest | None:
        """Return the page to ask for while the cursor is on row `index`; None where all is here."""
        if not self.loaded:
            return self.edge(-1)
        if self._low is not None and index >= len(self._rows) - NEAR:
            return self._request(self._low, up=False)
        if self._high is not None and index < NEAR:
            return self._request(self._high, up=True)
        return None

    def _request(self, place: Place | None, *, up: bool) -> ListRequest:
        return ListRequest(
            open_only=not self.ended,
            limit=PAGE,
            order=self.order,
            up=up,
            place=place,
            terms=self.terms,
        )

    # ---- what comes

    def page(self, request: ListRequest, page: Page, newer: Mapping[str, Summary]) -> bool:
        """Take the answer to `request`; False where the window has moved on meanwhile.

        `newer` are incidents as updates have shown them: the page may be older than that.
        """
        if request != self._request(request.place, up=request.up):
            return False
        if request.place is None:
            self._rows = {}
            self._high = self._low = None
        elif request.place != (self._high if request.up else self._low):
            return False
        self.loaded = True
        end = place_of(page.summaries[0 if request.up else -1]) if page.summaries else None
        if request.up:
            self._high = end if page.more else None
        else:
            self._low = end if page.more else None
        for summary in page.summaries:
            known = newer.get(summary.id)
            self._put(known if known and known.revision > summary.revision else summary)
        for summary in newer.values():
            self._put(summary)
        self._let_go(KEPT, low=request.up)
        return True

    def update(self, summary: Summary) -> None:
        """Take an incident as it is now."""
        known = self.get(summary.id)
        if known is None or known.revision <= summary.revision:
            self._put(summary)
            self._let_go(2 * KEPT, low=self._high is None)

    def sort(self, order: Order) -> None:
        """Put everything there is into another order."""
        assert self.whole
        self.order = order
        self._fill(row for _, row in self._rows.values())

    def seed(self, rows: Iterable[Summary]) -> None:
        """Show what is known already, until the hub's own page comes."""
        self._fill(row for row in rows if self.takes(row))

    def _fill(self, rows: Iterable[Summary]) -> None:
        self._keep([(key(row, self.order), row) for row in rows])
        self._ordered = None

    def _keep(self, rows: Iterable[tuple[Key, Summary]]) -> None:
        """Hold these; where they are in order, the next sort has little to do."""
        self._rows = {row[1].id: row for row in rows}

    def _put(self, summary: Summary) -> None:
        known = self._rows.pop(summary.id, None)
        kept = known[1] if known and known[1].revision > summary.revision else summary
        at = key(kept, self.order)
        if self.takes(kept) and self._within(at):
            self._rows[kept.id] = (at, kept)
        self._ordered = None

    def _within(self, at: Key) -> bool:
        over = self._high is not None and at < key(self._high, self.order)
        return not over and not (self._low is not None and at > key(self._low, self.order))

    def _let_go(self, most: int, *, low: bool) -> None:
        """Drop rows from one end where there are more than `most`."""
        if len(self._rows) <= most:
            return
        kept = self.rows[:KEPT] if low else self.rows[-KEPT:]
        if low:
            self._low = place_of(kept[-1])
        else:
            self._high = place_of(kept[0])
        self._keep([self._rows[row.id] for row in kept])
        self._ordered = kept


def place_of(summary: Summary) -> Place:
    """Return where an incident stands in every order."""
    return Place(**{name: getattr(summary, name) for name in Place.__struct_fields__})
