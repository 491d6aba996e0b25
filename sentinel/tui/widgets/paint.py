"""Tones to styles: the 16 colours of the operator's own palette, others, or none.

Every tone that matters differs from its neighbours by more than its colour (bold, reverse, underline),
and the words differ anyway.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from sentinel.tui.line import Line, Tone, pad, to_ascii
from sentinel.tui.look import Skin

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


def _with(hues: Mapping[Tone, str]) -> Mapping[Tone, Style]:
    """Return the weights of ANSI in other hues; a tone that is not named keeps its own."""
    return {
        tone: MONO[tone] + Style(color=hues[tone]) if tone in hues else style
        for tone, style in ANSI.items()
    }


# Two hues that no common form of colour blindness takes for one another; weight tells the rest.
DEUT = _with(
    {
        Tone.ALLOW: "bright_blue",
        Tone.GOOD: "bright_blue",
        Tone.REVIEW: "yellow",
        Tone.WARN: "yellow",
        Tone.BLOCK: "yellow",
        Tone.BAD: "yellow",
        Tone.ALARM: "yellow",
    }
)
# Legible on black and on white: nobody tells a program which of the two it is on.
TRUECOLOR = _with(
    {
        Tone.ALLOW: "#00875f",
        Tone.GOOD: "#00875f",
        Tone.REVIEW: "#a86a00",
        Tone.WARN: "#a86a00",
        Tone.BLOCK: "#d7263d",
        Tone.BAD: "#d7263d",
        Tone.ALARM: "#d7263d",
    }
)
SKINS = {Skin.ANSI: ANSI, Skin.MONO: MONO, Skin.DEUT: DEUT, Skin.TRUECOLOR: TRUECOLOR}


class Paint:
    """How lines become strips in this terminal."""

    def __init__(self, skin: Skin = Skin.ANSI, *, ascii_only: bool = False) -> None:
        """`ascii_only` uses no sign beyond ASCII."""
        self.wear(skin)
        self._ascii = ascii_only
        self.due: Callable[[], None] | None = None  # sends a frame; None: Textual sees to it

    def wear(self, skin: Skin) -> None:
        """Take other colours, from the next line that is painted on."""
        self.skin = skin
        self._styles = SKINS[skin]

    def strip(self, of: Line, cells: int) -> Strip:
        """Return `of` as a strip of exactly `cells`."""
        shown = to_ascii(of) if self._ascii else of
        # Never a segment without a style: Textual's no-colour filters stumble over it.
        return Strip([Segment(p.text, self._styles[p.tone]) for p in pad(shown, cells)], cells)


class Painted(Widget):
    """A widget of lines, each as wide as the screen."""

    def __init__(self, paint: Paint, *, id: str | None = None) -> None:
        """Paint with `paint`."""
        super().__init__(id=id, markup=False)
        self._paint = paint
        self._known: dict[int, tuple[Line, int, Skin, Strip]] = {}

    def line(self, y: int, cells: int) -> Line:
        """Return line `y`, of at most `cells`."""
        raise NotImplementedError

    def repaint(self, y: int) -> None:
        """Have line `y` painted again; Textual takes a dozen messages and a timer for it."""
        if self._paint.due:
            self._paint.due()
        else:
            self.refresh(Region(0, y, self.size.width, 1))

    def strip(self, y: int, cells: int) -> Strip:
        """Return line `y` as a strip of exactly `cells`; one that has not changed is not made again."""
        of, known = self.line(y, cells), self._known.get(y)
        if known is not None and known[:3] == (of, cells, self._paint.skin):
            return known[3]
        made = self._paint.strip(of, cells)
        self._known[y] = (of, cells, self._paint.skin, made)
        return made

    def render_line(self, y: int) -> Strip:
        """Return line `y` for Textual."""
        return self.strip(y, self.size.width)
