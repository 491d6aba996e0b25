"""A screen to read: an output, a record, the help."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from textual.widget import Widget

from sentinel.tui.desk import Desk
from sentinel.tui.line import Row
from sentinel.tui.screens.page import Page
from sentinel.tui.widgets.lines import Browser


class Pager(Page):
    """Shows what a function makes of the width."""

    def __init__(
        self, desk: Desk, path: Sequence[str], document: Callable[[int], Sequence[Row]]
    ) -> None:
        """`document(cells)` returns the rows."""
        super().__init__(desk)
        self._path = path
        self._document = document
        self._doc = Browser(desk.paint, id="doc")

    def path(self) -> Sequence[str]:
        """Return where one is."""
        return self._path

    def body(self) -> Iterable[Widget]:
        """Return the widgets."""
        return (self._doc,)

    def hint(self) -> str:
        """Return that there is more, as long as it was not on the screen."""
        return "" if self._doc.read else "more below: ↓ or PgDn"

    def draw(self) -> None:
        """Show the document."""
        self._doc.show(self._document(self._doc.room))
