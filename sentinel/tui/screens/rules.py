"""The rules of the packs that are part of this program, by pack; each in full behind Enter."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from textual.widget import Widget

from sentinel.policy import rules
from sentinel.tui.desk import Desk
from sentinel.tui.line import EMPTY, Line, Row, Tone, line, text
from sentinel.tui.render import rules as render
from sentinel.tui.screens.page import WRITTEN_CELLS
from sentinel.tui.screens.pager import Pager
from sentinel.tui.screens.search import Searched
from sentinel.tui.trail import Visit
from sentinel.tui.widgets.lines import Browser, Lines


class RulesPage(Searched):
    """Every rule, or those that have what is searched for."""

    NAME = "rules"

    def __init__(self, desk: Desk) -> None:
        """Build over `desk`. Raises PolicyError."""
        super().__init__(desk)
        self._entries = render.entries(rules.packs())
        self._counts = Lines(desk.paint, id="counts")
        self._list = Browser(desk.paint, id="list")
        self._drawn: tuple[str, int] | None = None

    def path(self) -> Sequence[str]:
        """Return where one is."""
        return ("sentinel", "rules")

    def visit(self) -> Visit:
        """Return how it is opened again."""
        return Visit("rules")

    def subject(self) -> tuple[str, str]:
        """Return the id of the rule under the cursor."""
        return "rule", self._list.stop

    def whole(self) -> list[Line]:
        """Return every rule that is shown, in full."""
        documents = (render.full(each, WRITTEN_CELLS) for each in self._shown())
        return [row.line for rows in documents for row in (*rows, Row(EMPTY))]

    def body(self) -> Iterable[Widget]:
        """Return the widgets."""
        return (self._counts, self._list, self._search)

    def _shown(self) -> list[render.Entry]:
        return [each for each in self._entries if self.found(*each.texts)]

    def draw(self) -> None:
        """Show the rules; they stay as they are."""
        drawn = (self._search.value, self._list.room)
        if drawn == self._drawn:
            return
        self._drawn, shown = drawn, self._shown()
        words = render.counts(shown, self._entries)
        self._counts.show([line(text(f" {words}", Tone.STRONG))])
        nothing = [Row(line(text("no rule has that")))]
        self._list.show(render.document(shown, self._list.room) or nothing)

    def hint(self) -> str:
        """Return whose rules these are."""
        return "the shipped packs; the site's own files are on the hub and on each node"

    def on_browser_opened(self, message: Browser.Opened) -> None:
        """Show one rule in full."""
        chosen = next(each for each in self._entries if each.id == message.row)
        path = (*self.path(), chosen.id)
        self.app.push_screen(Pager(self.desk, path, lambda cells: render.full(chosen, cells)))
