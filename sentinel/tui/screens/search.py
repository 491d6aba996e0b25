"""A screen whose rows can be searched: `/`, words, Enter; Esc shows all again."""

from __future__ import annotations

from sentinel.tui.commands import Command
from sentinel.tui.desk import Desk
from sentinel.tui.render.search import has
from sentinel.tui.screens.page import Page
from sentinel.tui.widgets.entry import Entry


class Searched(Page):
    """Base of the screens with a search. `body` has to end with `_search`."""

    def __init__(self, desk: Desk) -> None:
        """Search for nothing yet."""
        super().__init__(desk)
        self._search = Entry(desk.paint, "/", id="search")
        self._search.add_class("gone")

    def found(self, *texts: str) -> bool:
        """Say whether what is searched for is in `texts`."""
        return not self._search.value or has(self._search.value, *texts)

    def at_foot(self) -> list[Command]:
        """Return what Enter and Escape do to a search while it is typed."""
        if self._search.has_focus:
            return [Command("", "enter", "keep the search"), Command("", "escape", "show all")]
        return super().at_foot()

    def on_entry_changed(self, _: Entry.Changed) -> None:
        """Search as it is typed."""
        self.update_view()

    def on_entry_submitted(self, _: Entry.Submitted) -> None:
        """Keep the search and go back to the rows."""
        self._close_search()

    def _close_search(self) -> None:
        self._search.set_class(not self._search.value, "gone")
        self.set_focus(self.browser)
        self.call_after_refresh(self.update_view)

    def action_search(self, words: str = "") -> None:
        """Type what is searched for, or search for what was typed."""
        if words:
            self._search.clear()
            self._search.type(words)
            self._close_search()
            return
        self._search.remove_class("gone")
        self.set_focus(self._search)
        self.call_after_refresh(self.update_view)

    def action_back(self) -> None:
        """Show all again; leave where all is shown."""
        if self._search.value or self._search.has_focus:
            self._search.clear()
            self._close_search()
        else:
            super().action_back()
