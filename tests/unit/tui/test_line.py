"""Layout in cells: cut, padded, wrapped, and never wider than asked."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from sentinel.tui.line import (
    EMPTY,
    Tone,
    cell,
    clip,
    joined,
    line,
    pad,
    plain,
    rule,
    spread,
    text,
    to_ascii,
    width,
    wrap,
)

TEXTS = st.text(max_size=80)
CELLS = st.integers(min_value=0, max_value=60)


@given(TEXTS, CELLS)
def test_clip_and_pad_keep_to_their_cells(value, cells):
    assert width(clip(line(value), cells)) <= cells
    assert width(pad(line(value), cells)) == cells or cells == 0


def test_what_is_cut_leaves_an_ellipsis():
    assert plain(clip(line("abcdef"), 4)) == "abc…"
    assert plain(clip(line("abcd"), 4)) == "abcd"
    assert clip(line("abcd"), 0) == EMPTY


def test_a_wide_character_is_never_halved():
    assert plain(clip(line("日本語"), 4)) == "日…"
    assert plain(pad(clip(line("日本語"), 4), 4)) == "日… "


def test_a_text_becomes_safe_on_its_way_into_a_line():
    assert plain(line("a\x1b[2Jb")) == "a\\x1b[2Jb"
    assert plain(cell("a\tb", 10)) == "a\\tb      "


@given(TEXTS, st.integers(min_value=8, max_value=60))
def test_wrapped_lines_fit_and_lose_nothing_but_blanks(value, cells):
    rows = wrap(value, cells)
    assert all(width(row) <= max(cells, 8) for row in rows)
    joined_up = "".join(plain(row) for row in rows)
    assert joined_up.replace(" ", "") == plain(line(value)).replace(" ", "")


def test_wrap_breaks_between_words_and_hangs_under_its_head():
    rows = wrap("one two three", 12, first=line("- "))
    assert [plain(row) for row in rows] == ["- one two", "  three"]


def test_wrap_keeps_the_blanks_in_front_of_a_table():
    assert [plain(row) for row in wrap("   Mem:  1", 20)] == ["   Mem:  1"]


def test_a_word_longer_than_a_line_is_broken():
    assert [plain(row) for row in wrap("x" * 20, 8)] == ["x" * 8, "x" * 8, "x" * 4]


def test_spread_keeps_the_right_end_and_lets_the_left_give_way():
    assert plain(spread(line("left"), line("right"), 12)) == "left   right"
    assert plain(spread(line("a long left end"), line("right"), 12)) == "a lon… right"


@given(TEXTS, TEXTS, CELLS)
def test_spread_keeps_to_its_cells(left, right, cells):
    assert width(spread(line(left), line(right), cells)) <= cells


def test_rule_has_its_title_near_the_left():
    assert plain(rule("WHAT", 12)) == "─ WHAT ─────"


def test_joined_puts_the_separator_between():
    parts = [line("a"), line("b")]
    assert plain(joined(parts, line(" | "))) == "a | b"


@given(TEXTS)
def test_ascii_is_ascii_and_takes_the_same_cells(value):
    of = line(text("✓ ─ … ▁█ " + value, Tone.ALLOW))
    shown = to_ascii(of)
    assert plain(shown).isascii()
    assert width(shown) == cell_len(plain(of))
