"""The first wall: nothing that acts gets through, and what was hidden is seen."""

from __future__ import annotations

import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentinel.tui.safe import LIMIT, glyphs, named, safe

HIDDEN = {
    "escape sequence": ("\x1b[2J", "\\x1b[2J"),
    "clipboard write": ("\x1b]52;c;cm0=\x07", "\\x1b]52;c;cm0=\\x07"),
    "8-bit control": ("\x9b2J", "\\x9b2J"),
    "bidi override": ("a\u202eb", "a\\u202eb"),
    "zero width": ("a\u200bb", "a\\u200bb"),
    "tag characters": ("\U000e0041", "\\U000e0041"),
    "line feed": ("a\nb", "a\\nb"),
    "soft hyphen": ("a\u00adb", "a\\xadb"),
    "no-break space": ("a\u00a0b", "a\\xa0b"),
    "line separator": ("a\u2028b", "a\\u2028b"),
    "Hangul filler": ("\u3164", "\\u3164"),
    "blank braille": ("\u2800", "\\u2800"),
    "variation selector": ("a\ufe0f", "a\\ufe0f"),
    "lone surrogate": ("\udcff", "\\udcff"),
    "flag halves": ("\U0001f1e9\U0001f1ea", "\\U0001f1e9\\U0001f1ea"),
    "private use": ("\ue000", "\\ue000"),
}


@pytest.mark.parametrize("name", HIDDEN)
def test_what_acts_or_hides_is_shown_escaped(name):
    raw, shown = HIDDEN[name]
    assert safe(raw) == shown


def test_plain_text_and_other_scripts_stay_as_they_are():
    for text in ("free -m", "größe", "日本語", "Ελλάδα", "[bold]not markup[/]", "e\u0301"):
        assert safe(text) == text


def test_a_letter_carries_one_mark_and_no_more():
    assert safe("e" + "\u0301" * 3) == "e\u0301\\u0301\\u0301"
    assert safe("\u0301") == "\\u0301"
    assert safe(" \u0301") == " \\u0301"


@given(st.text(max_size=60))
def test_whatever_comes_out_is_printable_and_stays_the_same(text):
    once = safe(text)
    assert once.isprintable()
    assert safe(once) == once
    assert not any(unicodedata.category(c) in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp") for c in once)


@given(st.text(max_size=60))
def test_there_is_one_glyph_for_each_character(text):
    assert len(glyphs(text)) == len(text)
    assert "".join(glyphs(text)) == safe(text)


def test_a_text_of_a_megabyte_is_cut_and_says_so():
    shown = safe("x" * 2**20)
    assert shown == "x" * LIMIT + f"... ({2**20 - LIMIT} more characters)"


def test_every_character_there_is_becomes_printable():
    for start in range(0, sys.maxunicode + 1, 4096):
        block = "".join(map(chr, range(start, start + 4096)))
        assert all(glyph.isprintable() for glyph in glyphs(block))


def test_a_character_is_named():
    assert named("а") == "U+0430 CYRILLIC SMALL LETTER A"
    assert named("\x1b") == "U+001B without a name"
