"""What the terminal knows: frozen summaries, fed by the hub's updates, 'need you' first.

The list is a window on the hub's (`window`), so that a list of a hundred thousand costs what a list of a
thousand costs; the header's counts are the hub's where the window does not hold everything.
"""

from __future__ import annotations

from enum import Enum, auto, unique
from typing import TypeVar

from sentinel.domain import Incident, Summary, Value
from sentinel.protocol import HubStatus, ListRequest, Order, Page, Update
from sentinel.tui.filters import Terms
from sentinel.tui.window import Window

STALE_MS = 12_000  # two signs of life missed: what is on the screen may no longer be true
RECENT = 1000  # updates that are remembered: a page on its way may be older than they are
WHOLE = 32  # incidents that are kept whole; the others are fetched again when they are opened

V = TypeVar("V")


@unique
class Phase(Enum):
    """How the connection to the hub is."""

    CONNECTING = auto()
    UP = auto()
    LOST = auto()


class Link(Value, frozen=True, kw_only=True):
    """The connection to the hub, as the header tells it."""

    phase: Phase = Phase.CONNECTING
    heard_ms: int = 0  # when the hub was last heard
    retry_ms: int = 0  # when it is tried next
    attempt: int = 0
    why: str = ""


class Snapshot(Value, frozen=True, kw_only=True):
    """Everything a list screen shows, at one moment."""

    summaries: tuple[Summary, ...] = ()
    status: HubStatus | None = None
    link: Link = Link()
    revision: int = 0
    whole: bool = False  # the hub has no open incident that is not in here
    above: bool = False  # the hub has more of them above the first
    below: bool = False


def stale(link: Link, now_ms: int) -> bool:
    """Say whether the hub has been silent for too long to act on what is shown."""
    return link.phase is not Phase.UP or now_ms - link.heard_ms > STALE_MS


class Store:
    """Holds the present and hands out snapshots."""

    def __init__(self) -> None:
        """Start empty, connecting."""
        self._window = Window()
        self._recent: dict[str, Summary] = {}
        self._snapshot = Snapshot()
        self.incidents: dict[str, Incident] = {}  # whole ones, as they were last fetched

    @property
    def revision(self) -> int:
        """The revision to watch from: everything up to it is in here."""
        return self._snapshot.revision

    def snapshot(self) -> Snapshot:
        """Return the present state; the same object as long as nothing changed."""
        window, shown = self._window, self._snapshot
        now = (window.rows, window.whole, window.above, window.below)
        if now[0] is not shown.summaries or now[1:] != (shown.whole, shown.above, shown.below):
            self._replace(summaries=now[0], whole=now[1], above=now[2], below=now[3])
        return self._snapshot

    # ---- the list

    def look_for(self, terms: Terms, *, ended: bool, order: Order = Order.URGENCY) -> bool:
        """Look for what `terms` take, and say whether that is all that the list has now.

        Where everything is here already it is only sorted, and has more in it.
        """
        window = self._window
        if (terms, ended, order) == (window.terms, window.ended, window.order):
            return True
        if window.whole and (window.ended or not ended):
            if order is not window.order:
                window.sort(order)
            return False
        self._window = Window(terms, ended=ended, order=order)
        self._window.seed(window.rows)
        return True

    def wanted(self, index: int) -> ListRequest | None:
        """Return the page to ask for while the cursor is on row `index` of the list."""
        return self._window.wanted(index)

    def edge(self, direction: int) -> ListRequest | None:
        """Return the request for the first (-1) or last (1) page, where that end is not here."""
        away = self._window.above if direction < 0 else self._window.below
        return self._window.edge(direction) if away else None

    def paged(self, request: ListRequest, page: Page) -> None:
        """Take a page of the list; the first one says from which revision to watch."""
        if not self.revision:
            self._replace(revision=page.revision)
        self._window.page(request, page, self._recent)

    def updated(self, update: Update, now_ms: int) -> None:
        """Take one update of the watch."""
        link = Link(phase=Phase.UP, heard_ms=now_ms)
        self._replace(link=link, revision=max(self.revision, update.revision))
        if update.status is not None:
            self._replace(status=update.status)
        if update.summary is not None:
            self._take(update.summary)

    def lost(self, why: str, *, retry_ms: int, attempt: int) -> None:
        """Note that the hub is away."""
        link = self._snapshot.link
        self._replace(
            link=Link(
                phase=Phase.LOST,
                heard_ms=link.heard_ms,
                retry_ms=retry_ms,
                attempt=attempt,
                why=why,
            )
        )

    # ---- whole incidents

    def fetched(self, incident: Incident) -> None:
        """Take a whole incident, unless a newer form of it is known."""
        known = self.incidents.get(incident.summary.id)
        if known is None or known.summary.revision <= incident.summary.revision:
            _keep(self.incidents, incident.summary.id, incident, WHOLE)
        self._take(incident.summary)

    def outdated(self, incident: str) -> bool:
        """Say whether the list knows a newer form of a fetched incident."""
        whole = self.incidents.get(incident)
        return whole is None or self.known_revision(incident) > whole.summary.revision

    def known_revision(self, incident: str) -> int:
        """Return the newest revision of an incident that has been heard of lately."""
        known = (self._window.get(incident), self._recent.get(incident))
        return max((summary.revision for summary in known if summary), default=0)

    def _take(self, summary: Summary) -> None:
        if self.known_revision(summary.id) <= summary.revision:
            _keep(self._recent, summary.id, summary, RECENT)
            self._window.update(summary)

    def _replace(self, **changes: object) -> None:
        fields = {name: getattr(self._snapshot, name) for name in Snapshot.__struct_fields__}
        self._snapshot = Snapshot(**{**fields, **changes})


def _keep(kept: dict[str, V], name: str, value: V, most: int) -> None:
    """Put `value` last; beyond `most` the first goes."""
    kept.pop(name, None)
    kept[name] = value
    if len(kept) > most:
        del kept[next(iter(kept))]
