"""Two widgets on Textual's Line API: given lines, and rows to move in.

A changed line repaints itself and nothing else (measured: 163 bytes against 8 KB of a DataTable cell),
and the cost does not depend on how many rows there are. Neither takes a `str`, so no markup and no
escape sequence of anybody else's can get in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual import events
from textual.binding import BindingType
from textual.message import Message

from sentinel.tui.commands import LIST, Overrides
from sentinel.tui.line import EMPTY, Line, Row, Tone, line, text
from sentinel.tui.widgets import bindings
from sentinel.tui.widgets.paint import Paint, Painted

MARGIN = 2  # cells on the left, where the cursor is shown
# Before a row: whether the cursor is on it, and whether it is marked.
_HEADS = {
    (False, False): line("  "),
    (True, False): line(text("> ", Tone.STRONG)),
    (False, True): line(text(" *", Tone.STRONG)),
    (True, True): line(text(">*", Tone.STRONG)),
}


class Lines(Painted):
    """Shows the lines it is given, from the top."""

    def __init__(self, paint: Paint, *, id: str | None = None) -> None:
        """Start empty."""
        super().__init__(paint, id=id)
        self._lines: Sequence[Line] = ()

    def show(self, lines: Sequence[Line]) -> None:
        """Show `lines`; only those that changed are repainted."""
        before, self._lines = self._lines, tuple(lines)
        for y in range(self.size.height):
            if _at(before, y) != _at(self._lines, y):
                self.repaint(y)

    def line(self, y: int, _: int) -> Line:
        """Return line `y` as it stands on the screen."""
        return _at(self._lines, y)


def _at(lines: Sequence[Line], y: int) -> Line:
    return lines[y] if y < len(lines) else EMPTY


class Browser(Painted, can_focus=True):
    """Rows to move in. The cursor rests on rows that have a stop, and stays with its stop."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *bindings.of_places([LIST], {}),
        bindings.binding("open", "enter"),
    ]

    @dataclass
    class Moved(Message):
        """The cursor is on another row."""

        row: str

    @dataclass
    class Opened(Message):
        """Enter was pressed on a row."""

        row: str

    @dataclass
    class Edge(Message):
        """The first (-1) or the last (1) row is wanted."""

        direction: int

    def __init__(self, paint: Paint, *, id: str | None = None) -> None:
        """Start empty."""
        super().__init__(paint, id=id)
        self._rows: Sequence[Row] = ()
        self._lines: Sequence[Line] = ()  # those on the screen
        self._cursor = -1
        self._top = 0
        self._deepest = 0
        self._marked: frozenset[str] = frozenset()

    def mark(self, stops: frozenset[str]) -> None:
        """Put a sign before the rows of these stops, and before no others."""
        self._marked = stops
        self._repaint()

    @property
    def stop(self) -> str:
        """What the cursor is on, or nothing."""
        return self._rows[self._cursor].stop if 0 <= self._cursor < len(self._rows) else ""

    @property
    def at(self) -> int:
        """The index of the row that the cursor is on, or -1."""
        return self._cursor if self.stop else -1

    def rebind(self, overrides: Overrides) -> None:
        """Take the keys that somebody has chosen."""
        self._bindings = bindings.put(self._bindings, [LIST], overrides)

    @property
    def rows(self) -> Sequence[Row]:
        """Everything there is, on the screen or not."""
        return self._rows

    @property
    def row(self) -> Row:
        """The row under the cursor, an empty one where there is none."""
        return self._rows[self._cursor] if 0 <= self._cursor < len(self._rows) else Row(EMPTY)

    @property
    def on_screen(self) -> slice:
        """Which of the rows are on the screen."""
        return slice(self._top, self._top + self.size.height)

    @property
    def room(self) -> int:
        """Cells of a row."""
        return max(1, self.size.width - MARGIN)

    @property
    def read(self) -> bool:
        """Whether every row has been on the screen since the document changed."""
        return self._deepest >= len(self._rows)

    def show(self, rows: Sequence[Row], *, at: int | None = None) -> None:
        """Show `rows`; the cursor stays on its stop, and that row where it is on the screen.

        Who is at the top stays there, to see what comes in above. `at` is where the cursor's stop is
        now, for a sequence that is too long to search.
        """
        old_stop, offset = self.stop, self._cursor - self._top
        if rows != self._rows:
            self._deepest = 0
        self._rows = rows
        found = self._find(old_stop) if at is None else at
        if found >= 0:
            self._cursor = found
            self._top = found - offset if self._top else 0
        else:
            self._cursor = min(self._cursor, len(rows) - 1)
            self._cursor = self._nearest(max(0, self._cursor))
        self._scrolled()
        if self.stop != old_stop:
            self.post_message(self.Moved(self.stop))

    def lies(self, stop: str) -> int:
        """Say where the row of `stop` is: on the screen (0), above it (-1), below it or nowhere (1)."""
        at = self._find(stop)
        return 0 if self._visible(at) else -1 if 0 <= at < self._top else 1

    def go(self, stop: str) -> None:
        """Put the cursor on the row of `stop`, if there is one."""
        index = self._find(stop)
        if index >= 0:
            self._move(index)

    def move_to(self, index: int) -> None:
        """Put the cursor on row `index`."""
        if 0 <= index < len(self._rows):
            self._move(index)

    def _find(self, stop: str) -> int:
        if not stop:
            return -1
        return next((i for i, row in enumerate(self._rows) if row.stop == stop), -1)

    def _nearest(self, index: int) -> int:
        """Return the stop at `index` or after it, or else before it, or -1."""
        after = self._next(index - 1, 1)
        return after if after >= 0 else self._next(index, -1)

    def _next(self, index: int, direction: int) -> int:
        """Return the next stop from `index` in `direction`, or -1."""
        index += direction
        while 0 <= index < len(self._rows):
            if self._rows[index].stop:
                return index
            index += direction
        return -1

    def _visible(self, index: int) -> bool:
        return self._top <= index < self._top + self.size.height

    def _clamp(self) -> None:
        self._top = max(0, min(self._top, len(self._rows) - self.size.height))

    def _move(self, index: int) -> None:
        """Put the cursor on `index` and bring it into view."""
        before, self._cursor = self._cursor, index
        height = max(1, self.size.height)
        if index < self._top:
            # A document's first stop is below its head: going there shows the head as well.
            self._top = 0 if self._next(index, -1) < 0 and index < height else index
        elif index >= self._top + height:
            self._top = index - height + 1
        self._scrolled()
        if before != index:
            self.post_message(self.Moved(self.stop))

    def _scroll(self, rows: int) -> None:
        self._top += rows
        self._scrolled()
        if not self._visible(self._cursor):
            start = self._top - 1 if rows > 0 else self._top + self.size.height
            found = self._next(start, 1 if rows > 0 else -1)
            if self._visible(found):
                self._move(found)

    def _scrolled(self) -> None:
        self._clamp()
        self._deepest = max(self._deepest, self._top + self.size.height)
        self._repaint()

    def _repaint(self) -> None:
        """Repaint the lines of the screen that have changed."""
        before, self._lines = self._lines, [self._line(y) for y in range(self.size.height)]
        for y, shown in enumerate(self._lines):
            if _at(before, y) != shown:
                self.repaint(y)

    def _line(self, y: int) -> Line:
        index = self._top + y
        if not 0 <= index < len(self._rows):
            return EMPTY
        row = self._rows[index]
        return (*_HEADS[index == self._cursor, row.stop in self._marked], *row.line)

    def line(self, y: int, _: int) -> Line:
        """Return line `y` as it stands on the screen."""
        return _at(self._lines, y)

    def on_resize(self, _: events.Resize) -> None:
        """Keep the cursor in view."""
        if self._cursor >= 0 and not self._visible(self._cursor):
            self._top = self._cursor - self.size.height + 1
        self._scrolled()

    # The actions below only move. Nothing that changes an incident is an action anywhere.

    def action_step(self, direction: int) -> None:
        """Go to the next stop if it is near, or else scroll by a line."""
        found = self._next(self._cursor, direction)
        edge = self._top - 1 if direction < 0 else self._top + self.size.height
        if found >= 0 and (self._visible(found) or found == edge):
            self._move(found)
        else:
            self._scroll(direction)

    def action_page(self, direction: int) -> None:
        """Go on by a screen less a line; in a list the cursor goes along."""
        rows = direction * max(1, self.size.height - 1)
        if self._cursor >= 0 and self._rows[self._cursor].stop and self._dense():
            self._top += rows
            target = max(0, min(len(self._rows) - 1, self._cursor + rows))
            self._clamp()
            self._move(target)
        else:
            self._scroll(rows)

    def _dense(self) -> bool:
        """Say whether this is a list (every row a stop) and not a document."""
        return bool(self._rows[0].stop and self._rows[-1].stop)

    def action_edge(self, direction: int) -> None:
        """Go to the first or the last row."""
        self._scroll(direction * len(self._rows))
        found = self._next(-1, 1) if direction < 0 else self._next(len(self._rows), -1)
        if found >= 0 and self._visible(found):
            self._move(found)
        self.post_message(self.Edge(direction))

    def action_open(self) -> None:
        """Say that the row under the cursor is wanted; one that nobody sees is shown first."""
        if not self.stop:
            return
        if self._visible(self._cursor):
            self.post_message(self.Opened(self.stop))
        else:
            self._move(self._cursor)
