"""The first wall against text that acts: whatever came from elsewhere is made visible here, once.

Textual sanitises nothing: an escape sequence in a process name would reach the terminal from every one
of its widgets. So no widget of ours takes a `str`. They take lines of `SafeStr`, and `safe()` is the
only place that makes one; mypy holds everybody to it.

It is applied where a value becomes a line (`line.text`), not where it is decoded, because spans count
the characters of the original and what is signed is the original.
"""

from __future__ import annotations

import unicodedata
from typing import NewType

SafeStr = NewType("SafeStr", str)

LIMIT = 4096  # characters of one text on one line; a longer one is cut and says so

_NAMED = {"\t": "\\t", "\n": "\\n", "\r": "\\r"}
# Python calls these printable, yet they show nothing, or join with their neighbour so that terminals
# disagree about the width: fillers, blank braille, flags' halves, skin tones.
_BLANK = frozenset("\u115f\u1160\u3164\uffa0\u2800")
_JOINING = ((0x1F1E6, 0x1F1FF), (0x1F3FB, 0x1F3FF))
# Marks without a picture of their own: grapheme joiner, Khmer inherent vowels, variation selectors.
_INVISIBLE_MARKS = ((0x034F, 0x034F), (0x17B4, 0x17B5), (0x180B, 0x180F), (0xFE00, 0xFE0F))
_BMP = 0x10000


def safe(text: str, limit: int = LIMIT) -> SafeStr:
    """Return `text` as something that cannot act on a terminal.

    Control, format, surrogate, private and unassigned characters, exotic spaces, blanks that pass for
    printable and every combining mark after the first are shown as `\\x1b` or `\\u202e`. Applied
    twice it changes nothing.
    """
    if len(text) <= limit:
        return _visible(text)
    return SafeStr(f"{_visible(text[:limit])}... ({len(text) - limit} more characters)")


def _visible(text: str) -> SafeStr:
    if text.isascii() and text.isprintable():
        return SafeStr(text)
    return SafeStr("".join(glyphs(text)))


def glyphs(text: str) -> list[SafeStr]:
    """Return what is shown for each character of `text`, one entry per character."""
    shown: list[SafeStr] = []
    base = False  # the character before can carry a mark
    for char in text:
        if " " <= char <= "~":
            shown.append(SafeStr(char))
            base = char != " "
            continue
        mark = unicodedata.category(char).startswith("M")
        hidden = (mark and not base) or _hidden(char)
        shown.append(SafeStr(_escape(char) if hidden else char))
        base = not mark and not hidden
    return shown


def plain_ascii(char: str) -> bool:
    """Say whether `char` is what a person takes it for: a printable ASCII character."""
    return " " <= char <= "~"


def named(char: str) -> SafeStr:
    """Return `U+0430 CYRILLIC SMALL LETTER A` for `char`."""
    return safe(f"U+{ord(char):04X} {unicodedata.name(char, 'without a name')}")


def _hidden(char: str) -> bool:
    if not char.isprintable() or char in _BLANK:
        return True
    code = ord(char)
    ranges = _JOINING + _INVISIBLE_MARKS
    return any(low <= code <= high for low, high in ranges)


def _escape(char: str) -> str:
    if char in _NAMED:
        return _NAMED[char]
    code = ord(char)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < _BMP else f"\\U{code:08x}"
