"""Tones to styles: the 16 colours of the operator's own palette, or none.

Every tone that matters differs from its neighbours by more than its colour (bold, reverse, underline),
and the words differ anyway.
"""

from __future__ import annotations

from collections.abc import Mapping

from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from sentinel.tui.line import Line, Tone, pad, to_ascii

ANSI: Mapping[Tone, Style] = {
    Tone.PLAIN: Style(),
    Tone.DIM: Style(dim=True),
    Tone.STRONG: Style(bold=True),
    Tone.BAR: Style(reverse=True),
    Tone.ALARM: Style(color="red", bold=True, reverse=True),
    Tone.RULE: Style(dim=True),
    Tone.ALLOW: Style(color="green"),
    Tone.REVIEW: Style(color="yellow", bold=True),
    Tone.BLOCK: Style(color="red", bold=True, reverse=True),
    Tone.GOOD: Style(color="green"),
    Tone.WARN: Style(color="yellow"),
    Tone.BAD: Style(color="red", bold=True),
    Tone.HERE: Style(bold=True, underline=True),
}
MONO: Mapping[Tone, Style] = {
    tone: Style(bold=style.bold, dim=style.dim, reverse=style.reverse, underline=style.underline)
    for tone, style in ANSI.items()
}


class Paint:
    """How lines become strips in this terminal."""

    def __init__(self, *, mono: bool, ascii_only: bool) -> None:
        """`mono` uses no colour, `ascii_only` no sign beyond ASCII."""
        self._styles = MONO if mono else ANSI
        self._ascii = ascii_only

    def strip(self, of: Line, cells: int) -> Strip:
        """Return `of` as a strip of exactly `cells`."""
        shown = to_ascii(of) if self._ascii else of
        # Never a segment without a style: Textual's no-colour filters stumble over it.
        return Strip([Segment(p.text, self._styles[p.tone]) for p in pad(shown, cells)], cells)
