"""The home screen: every open incident, 'need you' first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar, overload

from textual.binding import BindingType
from textual.widget import Widget

from sentinel import errors
from sentinel.domain import Summary
from sentinel.protocol import ListRequest
from sentinel.tui import filters, look
from sentinel.tui.client import PAGE
from sentinel.tui.desk import Desk
from sentinel.tui.line import EMPTY, Row, clip, line
from sentinel.tui.render import incidents as render
from sentinel.tui.screens.incident import IncidentPage
from sentinel.tui.screens.page import Page, key
from sentinel.tui.store import select
from sentinel.tui.widgets.entry import Entry
from sentinel.tui.widgets.lines import MARGIN, Browser, Lines


class Rows(Sequence[Row]):
    """The incidents as rows, made when they are looked at: twenty on the screen, not a thousand."""

    def __init__(self, summaries: Sequence[Summary], now_ms: int, cells: int) -> None:
        """Render for `now_ms`, `cells` wide."""
        self._summaries = summaries
        self._now_ms = now_ms
        self._cells = cells

    def __len__(self) -> int:
        return len(self._summaries)

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Row]: ...
    def __getitem__(self, index: int | slice) -> Row | Sequence[Row]:
        """Return one row, rendered now."""
        if isinstance(index, slice):
            return Rows(self._summaries[index], self._now_ms, self._cells)
        summary = self._summaries[index]
        return Row(render.row(summary, self._now_ms, self._cells), summary.id)


class IncidentsPage(Page):
    """The live list."""

    BINDINGS: ClassVar[list[BindingType]] = [
        key("enter", "nothing", "open", "open the incident under the cursor"),
        key("slash", "filter", "filter", "filter: host= kind= state= sev= verdict= or text, !not"),
        key("n", "next", "next that needs you", "go to the next incident that needs you"),
        key("o", "ended", "ended", "show those that have ended as well, or not"),
        key("q", "leave", "quit", "leave sentinel-tui"),
        key("escape", "clear", "clear the filter", shown=False),
    ]

    def __init__(self, desk: Desk) -> None:
        """Build over `desk`."""
        super().__init__(desk)
        self._counts = Lines(desk.paint, id="counts")
        self._titles = Lines(desk.paint, id="titles")
        self._list = Browser(desk.paint, id="list")
        self._filter = Entry(desk.paint, "/", id="filter")
        self._accepts = filters.parse("")
        self._ended = False
        self._shown: tuple[Summary, ...] = ()

    def path(self) -> Sequence[str]:
        """Return where one is."""
        status = self.desk.snapshot.status
        return ("sentinel", status.site) if status else ("sentinel",)

    def body(self) -> Iterable[Widget]:
        """Return the widgets."""
        self._filter.add_class("gone")
        return (self._counts, self._titles, self._list, self._filter)

    def draw(self) -> None:
        """Show the incidents that the filter takes."""
        snapshot, cells = self.desk.snapshot, self._list.room
        self._shown = select(snapshot.summaries, self._accepts, ended=self._ended)
        counts = render.counts(
            snapshot, shown=len(self._shown), filtered=self._filter.value, ended=self._ended
        )
        self._counts.show([clip(counts, self.size.width)])
        self._titles.show([line(" " * MARGIN, *render.titles(cells))])
        if not self._shown:
            self._list.show([Row(EMPTY), Row(line(render.empty(snapshot, self._filter.value)))])
            return
        stop = self._list.stop
        at = next((i for i, s in enumerate(self._shown) if s.id == stop), -1)
        self._list.show(Rows(self._shown, self.desk.clock(), cells), at=at)

    def hint(self) -> str:
        """Return the evidence of the incident under the cursor, in full."""
        at = next((s for s in self._shown if s.id == self._list.stop), None)
        return at.evidence if at else ""

    def on_browser_moved(self, _: Browser.Moved) -> None:
        """Show the evidence of the row under the cursor."""
        self.say("")

    def on_browser_opened(self, message: Browser.Opened) -> None:
        """Open an incident."""
        self.app.push_screen(IncidentPage(self.desk, message.row))

    def on_entry_changed(self, _: Entry.Changed) -> None:
        """Filter as it is typed."""
        try:
            self._accepts = filters.parse(self._filter.value)
        except errors.OperatorError as error:
            self.say(f"{error.what}: {error.hint}", bad=True)
            return
        self.say("")
        self.update_view()

    def on_entry_submitted(self, _: Entry.Submitted) -> None:
        """Keep the filter and go back to the list."""
        self._close_filter()

    def _close_filter(self) -> None:
        self._filter.set_class(not self._filter.value, "gone")
        self.set_focus(self._list)
        self.call_after_refresh(self.update_view)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer what the present situation has."""
        if action == "back":
            return False
        return super().check_action(action, parameters)

    def action_filter(self) -> None:
        """Type a filter."""
        self._filter.remove_class("gone")
        self.set_focus(self._filter)
        self.call_after_refresh(self.update_view)

    def action_clear(self) -> None:
        """Show everything again."""
        self._filter.clear()
        self._accepts = filters.parse("")
        self._close_filter()

    def action_next(self) -> None:
        """Go to the next incident that needs a person."""
        ids = [s.id for s in self._shown if look.needs_you(s.state)]
        if not ids:
            self.say("nothing here needs you")
            return
        here = ids.index(self._list.stop) if self._list.stop in ids else -1
        at = next(i for i, s in enumerate(self._shown) if s.id == ids[(here + 1) % len(ids)])
        self._list.move_to(at)

    def action_ended(self) -> None:
        """Show those that have ended as well, or not."""
        self._ended = not self._ended
        if self._ended:
            self.ask(ListRequest(open_only=False, limit=PAGE))
        self.update_view()

    def action_leave(self) -> None:
        """Leave the program."""
        self.app.exit()

    def action_nothing(self) -> None:
        """Enter is the list's; it is named here for the footer and the help."""
