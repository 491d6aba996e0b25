"""The list widget: the cursor stays with its row, and only what changed is painted."""

from __future__ import annotations

import contextlib

import pytest
from textual.app import App

from sentinel.tui.line import Row, line
from sentinel.tui.widgets.entry import NEVER_S, Entry
from sentinel.tui.widgets.lines import Browser
from sentinel.tui.widgets.paint import Paint
from tests.unit.tui.conftest import press


class One(App):
    """One widget on a screen of its own."""

    CSS = "Browser { height: 1fr; }"

    def __init__(self, widget):
        super().__init__(ansi_color=True)
        self.widget = widget
        self.seen = []

    def compose(self):
        yield self.widget

    def on_mount(self):
        self.widget.focus()

    def on_browser_opened(self, message):
        self.seen.append(message.row)

    def on_entry_submitted(self, message):
        self.seen.append(message.entry.value)


def rows(names, *, stops=True):
    return [Row(line(name), name if stops else "") for name in names]


@contextlib.asynccontextmanager
async def browsing(shown, height=5):
    browser = Browser(Paint())
    app = One(browser)
    async with app.run_test(size=(20, height)) as pilot:
        await pilot.pause()
        browser.show(shown)
        await pilot.pause()
        yield app, browser, pilot


def lines(app):
    return [strip.text.rstrip() for strip in app.screen._compositor.render_strips()]


async def test_it_moves_by_row_by_page_and_to_the_ends():
    async with browsing(rows("abcdefghij")) as (_, browser, pilot):
        places = []
        for key in ("j", "down", "k", "pagedown", "G", "pageup", "g"):
            await press(pilot, key)
            places.append(browser.stop)
        assert places == ["b", "c", "b", "f", "j", "f", "a"]


async def test_the_cursor_stays_with_its_row_and_that_where_it_is_on_the_screen():
    async with browsing(rows("abcdefghij")) as (app, browser, pilot):
        await press(pilot, *"jjjjjj")
        before = lines(app).index("> g")
        browser.show(rows("XYabcdefghij"))
        await pilot.pause()
        assert lines(app).index("> g") == before


async def test_who_is_at_the_top_sees_what_comes_in_above():
    async with browsing(rows("abc")) as (app, browser, pilot):
        browser.show(rows("Xabc"))
        await pilot.pause()
        assert lines(app)[:2] == ["  X", "> a"]


async def test_a_row_that_is_gone_leaves_the_cursor_near():
    async with browsing(rows("abcdef")) as (_, browser, pilot):
        await press(pilot, *"jj")
        browser.show(rows("abdef"))
        assert browser.stop == "d"
        browser.show([])
        assert browser.stop == ""
        browser.show(rows("z"))
        assert browser.stop == "z"


async def test_a_document_scrolls_to_its_stops_and_by_lines_between_them():
    document = [Row(line(str(n)), f"s{n}" if n in (2, 12) else "") for n in range(20)]
    async with browsing(document) as (app, browser, pilot):
        assert browser.stop == "s2"
        await press(pilot, "j")
        assert lines(app)[0].strip() == "1"
        for _ in range(9):
            await press(pilot, "j")
        assert browser.stop == "s12"


async def test_a_document_is_read_when_its_end_was_on_the_screen():
    document = rows([str(n) for n in range(12)], stops=False)
    async with browsing(document) as (_, browser, pilot):
        assert not browser.read
        await press(pilot, "G")
        assert browser.read
        await press(pilot, "g")
        browser.show(list(document))
        assert browser.read
        browser.show([*document, Row(line("more"))])
        assert not browser.read


async def test_enter_says_which_row_and_nothing_where_there_is_none():
    async with browsing(rows("ab")) as (app, browser, pilot):
        await press(pilot, "j", "enter")
        assert app.seen == ["b"]
        browser.show(rows("x", stops=False))
        await press(pilot, "enter")
        assert app.seen == ["b"]


async def test_moving_paints_two_lines():
    async with browsing(rows("abcde")) as (_, browser, pilot):
        painted = []
        draw = browser.render_line
        browser.render_line = lambda y: painted.append(y) or draw(y)
        await press(pilot, "j")
        await pilot.pause(0.05)
        assert sorted(painted) == [0, 1]


async def test_showing_the_same_paints_nothing():
    async with browsing(rows("abcde")) as (_, browser, pilot):
        painted = []
        browser.render_line = painted.append
        browser.show(rows("abcde"))
        await pilot.pause(0.05)
        assert painted == []


@contextlib.asynccontextmanager
async def typing(**options):
    entry = Entry(Paint(), "name", id="entry", **options)
    app = One(entry)
    async with app.run_test(size=(20, 2)) as pilot:
        await pilot.pause()
        yield app, entry, pilot


@pytest.mark.parametrize(
    ("keys", "value"),
    [
        (["a", "b", "backspace", "c"], "ac"),
        (["a", "b", "left", "x"], "axb"),
        (["a", "b", "home", "delete"], "b"),
        ([*"one two", "ctrl+w"], "one "),
        ([*"one", "ctrl+u", "x"], "x"),
        ([*"ab", "home", "end", "c", "right", "left", "x"], "abxc"),
    ],
)
async def test_a_line_is_edited(keys, value):
    async with typing() as (_, entry, pilot):
        await press(pilot, *keys)
        assert entry.value == value


async def test_only_what_is_accepted_is_typed_and_no_more_than_fits():
    async with typing(accepts="0123456789abcdef".__contains__, limit=4) as (_, entry, pilot):
        await press(pilot, *"9xyzf3cdef")
        assert entry.value == "9f3c"


async def test_a_line_that_is_not_armed_takes_nothing_and_shows_no_cursor():
    async with typing() as (app, entry, pilot):
        entry.arm(NEVER_S)
        await press(pilot, *"abc", "enter")
        assert (entry.value, app.seen) == ("", [])
        assert lines(app)[0] == "name >"
        entry.arm(0.0)
        await press(pilot, *"abc", "enter")
        assert app.seen == ["abc"]
        assert lines(app)[0] == "name > abc_"


async def test_a_long_line_scrolls_with_its_cursor():
    async with typing() as (app, _, pilot):
        await press(pilot, *"abcdefghijklmnopqrstuvwxyz")
        await pilot.pause(0.02)
        assert lines(app)[0] == "name > pqrstuvwxyz_"
