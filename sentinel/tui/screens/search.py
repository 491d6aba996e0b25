"""A screen with a line to search by: `/`, words, Enter; Esc shows all again."""

from __future__ import annotations

from typing import ClassVar

from sentinel.tui.commands import Command
from sentinel.tui.desk import Desk
from sentinel.tui.render.search import has
from sentinel.tui.screens.page import Page
from sentinel.tui.widgets.entry import Entry


class Searched(Page):
    """Base of the screens with a search. `body` has to end with `_search`."""

    KEEP: ClassVar[str] = "keep the search"  # what Enter does while it is typed
    CLEAR: ClassVar[str] = "show all"  # and Escape

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
            return [Command("", "enter", self.KEEP), Command("", "escape", self.CLEAR)]
        return super().at_foot()

    def searched(self) -> None:
        """Show what the search takes now."""
        self.update_view()

    def on_entry_changed(self, _: Entry.Changed) -> None:
        """Search as it is typed."""
        self.searched()

    def on_entry_submitted(self, _: Entry.Submitted) -> None:
        """Keep the search and go back to the rows."""
        self.close_search()

    def close_search(self) -> None:
        """Go back to the rows; the line stays where there is something in it."""
        self._search.set_class(not self._search.value, "gone")
        self.set_focus(self.browser)
        self.call_after_refresh(self.update_view)

    def action_search(self, words: str = "") -> None:
        """Type what is searched for, or search for what was typed."""
        if words:
            self.search_for(words)
            return
        self._search.remove_class("gone")
        self.set_focus(self._search)
        self.call_after_refresh(self.update_view)

    def search_for(self, words: str) -> None:
        """Show what `words` take."""
        self._search.clear()
        self._search.type(words)
        self.close_search()

    def action_back(self) -> None:
        """Show all again; leave where all is shown."""
        if self._search.value or self._search.has_focus:
            self._search.clear()
            self.close_search()
        else:
            super().action_back()
