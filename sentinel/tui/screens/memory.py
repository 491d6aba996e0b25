"""Past incidents with how they ended, counted by kind and host: the hub's own record, and no more."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import cast

from textual.widget import Widget

from sentinel.domain import Summary
from sentinel.protocol import ListRequest
from sentinel.protocol import Page as Summaries
from sentinel.tui.client import Answered
from sentinel.tui.desk import Desk
from sentinel.tui.line import Line, Row, clip, line, text
from sentinel.tui.render import memory as render
from sentinel.tui.screens.page import WRITTEN_CELLS, Page
from sentinel.tui.trail import Visit
from sentinel.tui.widgets.lines import Browser, Lines

PAGE = 500
MOST = 2000  # incidents that are looked back on
REFRESH_MS = 10_000


class MemoryPage(Page):
    """What has happened before."""

    NAME = "memory"

    def __init__(self, desk: Desk) -> None:
        """Build over `desk`."""
        super().__init__(desk)
        self._known: dict[str, Summary] = {}
        self._more = False
        self._loaded = False
        self._asked_ms = 0
        self._chosen = ""
        self._version = 0  # of what is known
        self._drawn: tuple[int, str, int, int] | None = None
        self._counts = Lines(desk.paint, id="counts")
        self._doc = Browser(desk.paint, id="doc")

    def path(self) -> Sequence[str]:
        """Return where one is."""
        return ("sentinel", "memory")

    def visit(self) -> Visit:
        """Return how it is opened again."""
        return Visit("memory")

    def subject(self) -> tuple[str, str]:
        """Return the id, or the kind or host, under the cursor."""
        by, name = render.group(self._doc.stop)
        return by or "id", name

    def whole(self) -> list[Line]:
        """Return the whole document, wide."""
        rows = render.document(self._past(), self._chosen, self.desk.clock(), WRITTEN_CELLS)
        return [row.line for row in rows]

    def body(self) -> Iterable[Widget]:
        """Return the widgets."""
        return (self._counts, self._doc)

    def _past(self) -> list[Summary]:
        return sorted(self._known.values(), key=lambda s: (s.opened_ms, s.id), reverse=True)

    def draw(self) -> None:
        """Show what is known, and ask for what is new from time to time."""
        now_ms = self.desk.clock()
        if now_ms - self._asked_ms >= REFRESH_MS and self.is_current:
            self._asked_ms = now_ms
            self._ask(None)
        if not self._loaded:
            self._doc.show([Row(line(text("asking the hub for past incidents")))])
            return
        # Ages are seldom worth two thousand rows a second.
        drawn = (self._version, self._chosen, self._doc.room, now_ms // REFRESH_MS)
        if drawn != self._drawn:
            self._drawn = drawn
            past = self._past()
            self._counts.show([clip(render.counts(past, more=self._more), self.size.width)])
            self._doc.show(render.document(past, self._chosen, now_ms, self._doc.room))

    def _ask(self, before: str | None) -> None:
        self.ask(ListRequest(open_only=False, before=before, limit=PAGE))

    def answered(self, message: Answered) -> None:
        """Take a page, and ask for the next one where it brought something new."""
        page = cast("Summaries", message.reply)
        fresh = [s for s in page.summaries if s.id not in self._known]
        self._known |= {summary.id: summary for summary in page.summaries}
        if fresh:
            self._more = page.more
            if page.more and len(self._known) < MOST:
                self._ask(page.summaries[-1].id)
        self._loaded = True
        self._version += 1
        self.update_view()

    def on_browser_opened(self, message: Browser.Opened) -> None:
        """Open the incident; or show only those of the kind or host, or all again."""
        if not render.group(message.row)[0]:
            self.want("incident", message.row)
            return
        self._chosen = "" if self._chosen == message.row else message.row
        self.update_view()
