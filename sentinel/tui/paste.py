"""What is pasted is text to its end: an escape sequence in it presses no key.

Textual reads the brackets around a paste with the same eyes as keys. An ESC inside makes it look for a
key, and what it then does not know, up to 32 characters, it hands out as keys: a text copied from
elsewhere could open a dialog. So the ESCs inside a paste are taken out before Textual sees them.

Outside of one an ESC waits half a second for the rest of a sequence. Where a key comes that begins none,
Escape was pressed and then that key: it does not wait, and neither is lost.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

from textual._time import get_time
from textual._xterm_parser import XTermParser
from textual.message import Message

# Behind an ESC that is none of a sequence: what follows begins no CSI, SS2, SS3, OSC, DCS, SOS, PM, APC or ST.
_PRESSED = re.compile(r"(?<=\x1b)(?=[^\x1b\[\]NOPX^_\\])")
START, END = "\x1b[200~", "\x1b[201~"


class Brackets:
    """Follows the brackets in what a terminal sends, in pieces as they come."""

    def __init__(self) -> None:
        """Not in a paste."""
        self._inside = False
        self._tail = ""  # the last that was passed on: a bracket may begin in it
        self._held = ""  # the beginning of what may be an end bracket

    def plain(self, data: str) -> str:
        """Return `data` without the ESCs that are inside a paste."""
        data, self._held = self._held + data, ""
        kept: list[str] = []
        while data:
            part, data = self._within(data) if self._inside else self._without(data)
            kept.append(part)
        return "".join(kept)

    def _without(self, data: str) -> tuple[str, str]:
        """Return what comes before a paste and its bracket, as it is, and the rest."""
        passed = len(self._tail)
        head, bracket, rest = (self._tail + data).partition(START)
        self._inside, self._tail = bool(bracket), "" if bracket else head[1 - len(START) :]
        return (head + bracket)[passed:], rest

    def _within(self, data: str) -> tuple[str, str]:
        """Return the text of a paste with its end bracket, if that has come, and the rest."""
        head, bracket, rest = data.partition(END)
        if not bracket:
            head, self._held = _split(head)
        self._inside = not bracket
        return head.replace("\x1b", "") + bracket, rest


def _split(data: str) -> tuple[str, str]:
    """Split off the end of `data` where it may be the beginning of an end bracket."""
    for count in range(min(len(END) - 1, len(data)), 0, -1):
        if END.startswith(data[-count:]):
            return data[:-count], data[-count:]
    return data, ""


class Parser(XTermParser):
    """Textual's parser behind the brackets."""

    def __init__(self, debug: bool = False) -> None:
        """Start outside of a paste."""
        super().__init__(debug)
        self._brackets = Brackets()
        self._last = ""  # the last character that was handed on

    def feed(self, data: str) -> Iterable[Message]:
        """Yield the events in `data`; no data is the end, as Textual has it."""
        plain = self._brackets.plain(data)
        if not data:
            yield from super().feed(data)
            return
        for piece in _PRESSED.split(plain):
            if _PRESSED.search(self._last + piece[:1]) and self._timeout_time is not None:
                self._timeout_time = get_time()
                yield from self.tick()
            if piece:
                self._last = piece[-1]
                yield from super().feed(piece)

    def patience_ms(self) -> int | None:
        """Return in how many milliseconds `tick` is due; None where nothing is begun."""
        if self._timeout_time is None:
            return None
        return max(0, math.ceil(1000 * (self._timeout_time - get_time())))
