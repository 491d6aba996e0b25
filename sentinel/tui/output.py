"""The second wall, and the way to the terminal: only what changed, only what is on the list, one frame at
a time.

Textual repaints widgets; what it would send is compared here, cell by cell, with what the terminal
already shows, and the difference is all that leaves the process: cursor moves, styles, erase to the end
of a line, and printable characters. Nothing else can, whatever a widget was given.

After each frame the terminal is asked where its cursor is. Until it answers the next frame is not sent,
and what changes meanwhile goes into that one: frames are dropped, never queued. Without this a slow
link runs ever further behind the keys, and a stalled terminal freezes the whole program, stream and
all, because Textual's own writer blocks once it is full. A terminal that has never answered is not
waited for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import repeat
from typing import TypeAlias

from rich.color import ColorSystem, ColorType
from rich.segment import Segment
from rich.style import Style

from sentinel.tui.line import cells_of

GAP = 5  # cells: to send this many again is cheaper than to move the cursor
BLANKS = 4  # more than these at the end of a line are erased rather than sent
ASK = "\x1b[6n"  # the terminal answers with its cursor's position
PATIENCE_S = 3.0  # then it is asked once more
MOST_PATIENCE_S = 60.0

_ATTRIBUTES = (("bold", "1"), ("dim", "2"), ("italic", "3"), ("underline", "4"), ("reverse", "7"))


# What one cell shows: a character with its marks, or nothing right of a wide one; and its style.
Cell: TypeAlias = tuple[str, str]


@lru_cache(maxsize=256)
def sgr(style: Style) -> str:
    """Return the parameters that select `style` in 16 colours; the default style has none.

    Only what a skin names in full (`#rrggbb`) is sent in full.
    """
    codes = [code for name, code in _ATTRIBUTES if getattr(style, name)]
    for color, foreground in ((style.color, True), (style.bgcolor, False)):
        if color is not None and not color.is_default:
            full = color.type is ColorType.TRUECOLOR
            plain = color if full else color.downgrade(ColorSystem.STANDARD)
            codes += plain.get_ansi_codes(foreground=foreground)
    return ";".join(codes)


def cells(segments: Iterable[Segment]) -> list[Cell]:
    """Return the cells of a line; whatever is not printable shows as `?`."""
    row: list[Cell] = []
    for text, style, control in segments:
        if control:
            continue
        codes = sgr(style) if style else ""
        if text.isascii() and text.isprintable():
            row += zip(text, repeat(codes))
        else:
            for char in text:
                _append(row, char if char.isprintable() else "?", codes)
    return row


def _append(row: list[Cell], char: str, codes: str) -> None:
    width = cells_of(char)
    if width == 0:
        # A mark belongs to the character before it, which for a wide one is a cell further back.
        at = len(row) - 1
        if at > 0 and not row[at][0]:
            at -= 1
        if at >= 0:
            row[at] = (row[at][0] + char, row[at][1])
        return
    row.append((char, codes))
    if width == 2:
        row.append(("", codes))


class Shadow:
    """What the terminal shows, as far as we know."""

    def __init__(self) -> None:
        """Know nothing."""
        self._rows: list[list[Cell | None]] = []
        self._lines: list[list[Segment] | None] = []
        self._size = (0, 0)

    def forget(self) -> None:
        """Know nothing any more: something else has written on this terminal."""
        self._size = (0, 0)

    def update(self, lines: Sequence[Iterable[Segment]], width: int) -> str:
        """Return what makes the terminal show `lines`, and take note that it will."""
        if self._size != (width, len(lines)):
            self._size = (width, len(lines))
            self._rows = [[None] * width for _ in lines]
            self._lines = [None for _ in lines]
        pen = _Pen()
        for y, line in enumerate(lines):
            segments = list(line)
            if segments == self._lines[y]:
                continue
            row = cells(segments)
            row = (row + [(" ", "")] * (width - len(row)))[:width]
            self._line(pen, y, row)
            self._rows[y], self._lines[y] = list(row), segments
        return pen.finished()

    def _line(self, pen: _Pen, y: int, row: list[Cell]) -> None:
        old, x, width = self._rows[y], 0, len(row)
        while x < width:
            if row[x] == old[x]:
                x += 1
                continue
            end = self._end_of_change(old, row, x)
            start = x - 1 if not row[x][0] and x else x
            blanks = _blanks(row, start, end) if end == width else 0
            if blanks > BLANKS:
                pen.write(y, start, row[start : end - blanks])
                pen.erase(y, end - blanks)
            else:
                pen.write(y, start, row[start:end])
            x = end

    @staticmethod
    def _end_of_change(old: list[Cell | None], row: list[Cell], start: int) -> int:
        """Return where the run of changes that begins at `start` ends; small gaps are bridged."""
        last = at = start
        while at < len(row) and at - last <= GAP:
            if row[at] != old[at]:
                last = at
            at += 1
        return last + 1


def _blanks(row: list[Cell], start: int, end: int) -> int:
    """Return how many cells before `end` are blank and of the default style."""
    count = 0
    while end - count > start and row[end - count - 1] == (" ", ""):
        count += 1
    return count


class _Pen:
    """Writes cells with as few moves and style changes as it can."""

    def __init__(self) -> None:
        self._out: list[str] = []
        self._sgr = ""
        self._at = (-1, -1)

    def write(self, y: int, x: int, row: Sequence[Cell]) -> None:
        """Write `row` from (x, y) on."""
        if not row:
            return
        self._move(y, x)
        for shown, codes in row:
            self._style(codes)
            self._out.append(shown)
        self._at = (y, x + len(row))

    def erase(self, y: int, x: int) -> None:
        """Erase from (x, y) to the end of the line."""
        self._move(y, x)
        self._style("")
        self._out.append("\x1b[K")

    def finished(self) -> str:
        """Return everything, with the style back at its default."""
        self._style("")
        return "".join(self._out)

    def _move(self, y: int, x: int) -> None:
        if self._at != (y, x):
            self._out.append(f"\x1b[{y + 1};{x + 1}H" if x else f"\x1b[{y + 1}H")
            self._at = (y, x)

    def _style(self, codes: str) -> None:
        if codes != self._sgr:
            # From one style to another by way of the default: styles hold what is on, never what is off.
            reset = "0;" if codes and self._sgr else ""
            self._out.append(f"\x1b[{reset}{codes}m")
            self._sgr = codes


@dataclass
class _Waiter:
    question: int  # the one behind the frame that is waited for
    callback: Callable[[], None]


class Pacer:
    """Keeps one frame in flight, once the terminal has shown that it answers. Times are in seconds.

    Questions are numbered as they are sent. A terminal answers them in their order, and each once at
    the most, so the n-th answer is to the n-th question or a later one: what was sent before that has
    been drawn. Where answers were lost, more questions make the count good.
    """

    def __init__(self) -> None:
        """No frame has been sent, and nothing is known of the terminal."""
        self.answers = False
        self.in_flight = False
        self.behind = False  # something has changed since the frame that is in flight
        self._asked = 0
        self._heard = 0
        self._frame = 0  # the question behind the last frame
        self._patience_s = PATIENCE_S
        self._asked_s = 0.0
        self._waiters: list[_Waiter] = []
        self._due: list[Callable[[], None]] = []  # wait for the frame that is due

    def may_send(self) -> bool:
        """Say whether a frame may go now; if not, it is remembered that one is due."""
        if self.in_flight and self.answers:
            self.behind = True
            return False
        return True

    def sent(self, now_s: float) -> None:
        """Note that a frame has gone, with the question behind it."""
        self.in_flight, self.behind = True, False
        self._asked += 1
        self._frame = self._asked
        self._asked_s, self._patience_s = now_s, PATIENCE_S
        self._wait_for_frame()

    @property
    def waiting(self) -> bool:
        """Whether an answer is waited for that has to be asked for again if it does not come."""
        return self.answers and (self.in_flight or bool(self._waiters))

    def overdue(self, now_s: float) -> int:
        """Return how many times the question has to be asked once more, with growing patience.

        An answer gets lost when a terminal is detached or was busy; nothing but the question is sent
        meanwhile, so that nothing piles up.
        """
        if not self.waiting or now_s - self._asked_s < self._patience_s:
            return 0
        count = 1 if self.in_flight else self._waiters[-1].question - self._heard
        self._asked += count
        self._asked_s = now_s
        self._patience_s = min(max(PATIENCE_S, 2 * self._patience_s), MOST_PATIENCE_S)
        return count

    def answered(self) -> bool:
        """Take the terminal's answer; say whether a frame is due."""
        if self.in_flight:
            self._patience_s = 0.0  # it is there: whoever waits for more answers may ask at once
        self.answers, self.in_flight = True, False
        self._heard = min(self._heard + 1, self._asked)  # Shift+F3 is written as an answer is
        self._release()
        return self.behind

    def nothing_due(self) -> None:
        """Note that the frame which was due has nothing in it: no answer to it will ever come."""
        self.behind = False
        self._wait_for_frame()
        self._release()

    def _wait_for_frame(self) -> None:
        self._waiters += [_Waiter(self._frame, callback) for callback in self._due]
        self._due = []

    def _release(self) -> None:
        """Call those whose frame is known to be on the screen."""
        done = [waiter for waiter in self._waiters if waiter.question <= self._heard]
        self._waiters = self._waiters[len(done) :]
        for waiter in done:
            waiter.callback()

    def when_drawn(self, callback: Callable[[], None]) -> None:
        """Call `callback` when the terminal has shown all that was sent or is due now.

        At once where it has, or where the terminal does not answer such questions.
        """
        if not self.answers:
            callback()
            return
        self._due.append(callback)
        if not self.behind:
            self.nothing_due()
