"""Styled text without a terminal: a line is a tuple of pieces, a piece is safe text with a tone.

A tone says what a piece means; `widgets/paint.py` alone knows what that looks like. Every width is in
cells of the terminal, so that wide characters keep the columns straight.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum, auto, unique
from functools import lru_cache
from typing import NamedTuple, TypeAlias

from rich.cells import cell_len

from sentinel.tui.safe import LIMIT, SafeStr, safe


@unique
class Tone(Enum):
    """What a piece of text means."""

    PLAIN = auto()
    DIM = auto()
    STRONG = auto()
    BAR = auto()  # header and footer
    ALARM = auto()  # a banner: the hub is gone, this is a recording
    RULE = auto()  # a line that separates
    ALLOW = auto()
    REVIEW = auto()
    BLOCK = auto()
    GOOD = auto()
    WARN = auto()
    BAD = auto()
    HERE = auto()  # the part of a command that the cursor is on


class Piece(NamedTuple):
    """A run of text of one tone."""

    text: SafeStr
    tone: Tone = Tone.PLAIN


Line: TypeAlias = tuple[Piece, ...]


class Row(NamedTuple):
    """A line of a document. Where `stop` is not empty the cursor can rest; it names what that opens."""

    line: Line
    stop: str = ""


EMPTY: Line = ()
LEAST = 8  # cells: text beside something takes no less
ELLIPSIS = safe("…")


def text(value: object, tone: Tone = Tone.PLAIN, limit: int = LIMIT) -> Piece:
    """Return `value` as a piece. This is where text of others is made safe."""
    return Piece(safe(str(value), limit), tone)


def line(*parts: Piece | str) -> Line:
    """Return a line of `parts`; a plain `str` among them becomes safe, plain text."""
    return tuple(text(part) if isinstance(part, str) else part for part in parts)


def cells_of(value: str) -> int:
    """Return how many cells `value` takes; the usual case does not look at every character."""
    return len(value) if value.isascii() else cell_len(value)


def width(of: Line) -> int:
    """Return how many cells `of` takes."""
    used = 0
    for piece in of:
        used += cells_of(piece.text)
    return used


def plain(of: Line) -> str:
    """Return the text of `of` without its tones."""
    return "".join(piece.text for piece in of)


def clip(of: Line, cells: int) -> Line:
    """Return `of` within `cells`; what was cut leaves an ellipsis."""
    if width(of) <= cells:
        return of
    if cells <= 0:
        return EMPTY
    kept: list[Piece] = []
    room = cells - 1
    for piece in of:
        head = _take(piece.text, room)
        kept.append(Piece(head, piece.tone))
        room -= cells_of(head)
        if head != piece.text:
            break
    return (*kept, Piece(ELLIPSIS, kept[-1].tone))


def pad(of: Line, cells: int, tone: Tone = Tone.PLAIN) -> Line:
    """Return `of` made exactly `cells` wide: cut, or filled with blanks of `tone`."""
    used = width(of)
    if used > cells:
        of = clip(of, cells)
        used = width(of)
    return of if used >= cells else (*of, _blank(cells - used, tone))


@lru_cache(maxsize=512)
def _blank(cells: int, tone: Tone) -> Piece:
    return text(" " * cells, tone)


def cell(value: object, cells: int, tone: Tone = Tone.PLAIN) -> Line:
    """Return a column: `value` made exactly `cells` wide."""
    return pad((text(value, tone),), cells)


def spread(left: Line, right: Line, cells: int, tone: Tone = Tone.PLAIN) -> Line:
    """Return `left` and `right` at the two ends of a line; the left gives way first."""
    fitting = clip(right, cells)
    room = cells - width(fitting)
    if room <= 1:
        return pad(fitting, cells, tone)
    return (*pad(clip(left, room - 1), room, tone), *fitting)


def rule(title: str, cells: int, tone: Tone = Tone.RULE) -> Line:
    """Return a separating line with its title near the left end."""
    head = line(text("─ ", Tone.RULE), text(title, Tone.STRONG), text(" ", Tone.RULE))
    head = head if title else EMPTY
    return clip((*head, text("─" * max(0, cells - width(head)), tone)), cells)


def wrap(value: str, cells: int, tone: Tone = Tone.PLAIN, *, first: Line = EMPTY) -> list[Line]:
    """Return `value` broken between words into lines of at most `cells`.

    The first line begins with `first`; the others are indented by as much. A word longer than a line
    is broken where it must be. Where `first` leaves no room it has a line of its own.
    """
    indent = width(first)
    if indent and cells - indent < LEAST:
        return [clip(first, cells), *wrap(value, cells, tone)]
    room = max(1, cells - indent)
    rows = _broken(safe(value), room) or [SafeStr("")]
    rest = line(" " * indent) if indent else EMPTY
    return [
        (*(first if number == 0 else rest), Piece(row, tone)) for number, row in enumerate(rows)
    ]


def _broken(value: SafeStr, room: int) -> list[SafeStr]:
    rows: list[SafeStr] = []
    current: str | None = None
    for word in value.split(" "):
        candidate = word if current is None else f"{current} {word}"
        if cells_of(candidate) <= room:
            current = candidate
            continue
        if current is not None:
            rows.append(SafeStr(current))
        current = word
        while cells_of(current) > room:
            head = _take(SafeStr(current), room)
            rows.append(head)
            current = current[len(head) :]
    return [*rows, SafeStr(current)] if current else rows


def _take(value: SafeStr, cells: int) -> SafeStr:
    """Return the longest beginning of `value` that fits in `cells`."""
    if value.isascii():
        return SafeStr(value[: max(0, cells)])
    used = 0
    for index, char in enumerate(value):
        used += cells_of(char)
        if used > cells:
            return SafeStr(value[:index])
    return value


def joined(parts: Iterable[Line], separator: Line) -> Line:
    """Return `parts` in one line with `separator` between them."""
    result: list[Piece] = []
    for part in parts:
        if result:
            result.extend(separator)
        result.extend(part)
    return tuple(result)


_ASCII = {
    "✓": "+",
    "✗": "x",
    "…": "~",
    "─": "-",
    "│": "|",
    "├": "|",
    "└": "`",
    "·": ".",
    "×": "x",
    "–": "-",
    "—": "-",
    "→": ">",
    "←": "<",
    "↑": "^",
    "↓": "v",
    "↵": "<",
    "≥": ">",
    "≤": "<",
    "▸": "+",
    "▾": "-",
    **dict(zip("▁▂▃▄▅▆▇█", "_.,-=+*#", strict=True)),
}


def to_ascii(of: Line) -> Line:
    """Return `of` for a terminal that has only ASCII: our own signs by their twins, the rest as `?`.

    Cell for cell, so that what was laid out stays laid out.
    """
    return tuple(
        piece if piece.text.isascii() else Piece(_ascii(piece.text), piece.tone) for piece in of
    )


def _ascii(value: SafeStr) -> SafeStr:
    return SafeStr("".join(c if c.isascii() else _ASCII.get(c, "?" * cells_of(c)) for c in value))
