"""What the terminal knows: frozen summaries, fed by the hub's updates, 'need you' first.

The store keeps at most `LIMIT` incidents, those that need a person soonest, so that a list of a hundred
thousand costs what a list of a thousand costs; the header's counts are the hub's, never counted here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import Enum, auto, unique

from sentinel.domain import Incident, State, Summary, Value
from sentinel.lifecycle import TERMINAL
from sentinel.protocol import HubStatus, Page, Update
from sentinel.tui import look

LIMIT = 1000
STALE_MS = 12_000  # two signs of life missed: what is on the screen may no longer be true

_TURN = {
    State.AWAITING: 0,
    State.REFUSED: 1,
    State.UNRESOLVED: 1,
    State.MANUAL: 2,
    State.RESOLVED: 4,
    State.CLOSED: 4,
}
_IN_FLIGHT = 3


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
    more: bool = False  # the hub has open incidents that are not in here


def sort_key(summary: Summary) -> tuple[int, int, int, str]:
    """Return what orders the list: whose turn, how severe, newest first."""
    turn = _TURN.get(summary.state, _IN_FLIGHT)
    return (turn, look.SEVERITY_RANK[summary.severity], -summary.opened_ms, summary.id)


def stale(link: Link, now_ms: int) -> bool:
    """Say whether the hub has been silent for too long to act on what is shown."""
    return link.phase is not Phase.UP or now_ms - link.heard_ms > STALE_MS


class Store:
    """Holds the present and hands out snapshots."""

    def __init__(self) -> None:
        """Start empty, connecting."""
        self._known: dict[str, Summary] = {}
        self._snapshot = Snapshot()
        self._changed = False
        self.incidents: dict[str, Incident] = {}  # whole ones, as they were last fetched

    @property
    def revision(self) -> int:
        """The revision to watch from: everything up to it is in here."""
        return self._snapshot.revision

    def snapshot(self) -> Snapshot:
        """Return the present state; the same object as long as nothing changed."""
        if self._changed:
            ordered = sorted(self._known.values(), key=sort_key)
            if len(ordered) > LIMIT:
                self._known = {summary.id: summary for summary in ordered[:LIMIT]}
            self._replace(
                summaries=tuple(ordered[:LIMIT]),
                more=self._snapshot.more or len(ordered) > LIMIT,
            )
            self._changed = False
        return self._snapshot

    def listed(self, pages: Iterable[Page]) -> None:
        """Take the hub's own list in place of what was known; what has ended meanwhile stays ended."""
        collected = list(pages)
        ended = {i: s for i, s in self._known.items() if s.state in TERMINAL}
        fresh = {summary.id: summary for page in collected for summary in page.summaries}
        self._known = ended | fresh
        self._changed = True
        self._replace(
            revision=min((page.revision for page in collected), default=0),
            more=any(page.more for page in collected[-1:]),
        )

    def updated(self, update: Update, now_ms: int) -> None:
        """Take one update of the watch."""
        link = Link(phase=Phase.UP, heard_ms=now_ms)
        self._replace(link=link, revision=max(self.revision, update.revision))
        if update.status is not None:
            self._replace(status=update.status)
        if update.summary is not None:
            self._take(update.summary)

    def fetched(self, incident: Incident) -> None:
        """Take a whole incident, unless a newer form of it is known."""
        known = self.incidents.get(incident.summary.id)
        if known is None or known.summary.revision <= incident.summary.revision:
            self.incidents[incident.summary.id] = incident
        self._take(incident.summary)

    def seen(self, page: Page) -> None:
        """Take a page that was asked for beside the watch, such as one with ended incidents."""
        for summary in page.summaries:
            self._take(summary)

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

    def outdated(self, incident: str) -> bool:
        """Say whether the list knows a newer form of a fetched incident."""
        whole = self.incidents.get(incident)
        return whole is None or self.known_revision(incident) > whole.summary.revision

    def known_revision(self, incident: str) -> int:
        """Return the newest revision of an incident that the list has heard of."""
        summary = self._known.get(incident)
        return summary.revision if summary else 0

    def _take(self, summary: Summary) -> None:
        known = self._known.get(summary.id)
        if known is None or known.revision <= summary.revision:
            self._known[summary.id] = summary
            self._changed = True

    def _replace(self, **changes: object) -> None:
        fields = {name: getattr(self._snapshot, name) for name in Snapshot.__struct_fields__}
        self._snapshot = Snapshot(**{**fields, **changes})


def select(
    summaries: Iterable[Summary], accepts: Callable[[Summary], bool], *, ended: bool
) -> tuple[Summary, ...]:
    """Return those that `accepts` takes, with or without those that have ended."""
    return tuple(s for s in summaries if (ended or s.state not in TERMINAL) and accepts(s))
