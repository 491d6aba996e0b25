"""The second wall and the pace: only listed sequences leave, a replay shows the screen, one frame flies."""

from __future__ import annotations

import re
from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st
from rich.segment import Segment
from rich.style import Style

from sentinel.tui.line import cells_of
from sentinel.tui.output import MOST_PATIENCE_S, PATIENCE_S, Pacer, Shadow, cells, sgr
from tests.unit.tui.conftest import press, sees

GRAMMAR = re.compile(r"(?:\x1b\[\d+(?:;\d+)?H|\x1b\[[\d;]*m|\x1b\[K|[^\x00-\x1f\x7f-\x9f])*\Z")
TOKEN = re.compile(r"\x1b\[(\d+)(?:;(\d+))?H|\x1b\[([\d;]*)m|(\x1b\[K)|(.)", re.DOTALL)

PLAIN, BOLD, RED = Style(), Style(bold=True), Style(color="red", reverse=True)


class Cell(NamedTuple):
    """What one cell shows, and in which style."""

    shown: str
    sgr: str


class Terminal:
    """As much of a terminal as the grammar needs."""

    def __init__(self, width, height):
        self.grid = [[Cell("#", "unknown")] * width for _ in range(height)]
        self.x = self.y = 0
        self.sgr = ""

    def feed(self, data):
        for row, column, style, erase, char in TOKEN.findall(data):
            if row:
                self.move(int(row) - 1, int(column or 1) - 1)
            elif erase:
                self.grid[self.y][self.x :] = [Cell(" ", "")] * (len(self.grid[0]) - self.x)
            elif char:
                self.put(char)
            else:
                self.sgr = style.removeprefix("0;")

    def move(self, y, x):
        self.y, self.x = y, x

    def put(self, char):
        row, size = self.grid[self.y], cells_of(char)
        if size == 0:
            at = self.x - 1 if row[self.x - 1].shown else self.x - 2
            row[at] = Cell(row[at].shown + char, row[at].sgr)
            return
        row[self.x] = Cell(char, self.sgr)
        if size == 2:
            row[self.x + 1] = Cell("", self.sgr)
        self.x += size


class Resized(Terminal):
    """One that has just got its size: what was on its way was laid out for another, and is cut."""

    def move(self, y, x):
        super().move(min(y, len(self.grid) - 1), min(x, len(self.grid[0]) - 1))

    def put(self, char):
        if self.x + cells_of(char) <= len(self.grid[0]):
            super().put(char)


def line(text, style=PLAIN):
    return [Segment(text, style)]


STYLES = st.sampled_from([PLAIN, BOLD, RED])
# Widths change with neighbours only in ways that `safe` has already taken out.
CALM = st.text(st.sampled_from("ab cdé日本 ─✓"), max_size=14)
ROWS = st.lists(st.lists(st.tuples(CALM, STYLES), max_size=4), min_size=3, max_size=3)


def fitting(row, width):
    """Cut a row as a strip is cut: by cells, never through a wide character."""
    left, kept = width, []
    for text, style in row:
        taken = ""
        for char in text:
            if cells_of(char) > left:
                break
            taken += char
            left -= cells_of(char)
        kept.append(Segment(taken, style))
    return kept


@settings(deadline=None)
@given(st.lists(ROWS, min_size=1, max_size=6))
def test_a_replay_of_what_was_sent_shows_every_frame(frames):
    shadow, terminal = Shadow(), Terminal(20, 3)
    for frame in frames:
        wanted = [fitting(row, 20) for row in frame]
        sent = shadow.update(wanted, 20)
        assert GRAMMAR.match(sent)
        terminal.feed(sent)
        for y, row in enumerate(wanted):
            expected = cells(row)
            expected += [Cell(" ", "")] * (20 - len(expected))
            assert terminal.grid[y] == expected


@settings(deadline=None)
@given(st.lists(st.tuples(st.text(max_size=30), STYLES), max_size=5))
def test_whatever_a_widget_was_given_only_listed_sequences_leave(row):
    sent = Shadow().update([[Segment(text, style) for text, style in row]], 40)
    assert GRAMMAR.match(sent), repr(sent)


def test_escape_sequences_in_a_segment_are_question_marks():
    sent = Shadow().update([line("a\x1b]52;c;x\x07\x9b2J\u202eb")], 20)
    assert sent == "\x1b[1Ha?]52;c;x??2J?b\x1b[K"


def test_control_segments_are_dropped():
    assert cells([Segment("\x1b[2J", None, [(1,)]), Segment("a", PLAIN)]) == [Cell("a", "")]


def test_what_did_not_change_is_not_sent():
    shadow = Shadow()
    rows = [line("one"), line("two")]
    assert shadow.update(rows, 10)
    assert shadow.update([line("one"), line("two")], 10) == ""


def test_one_changed_character_costs_a_move_and_the_character():
    shadow = Shadow()
    shadow.update([line("age 41s")], 10)
    assert shadow.update([line("age 42s")], 10) == "\x1b[1;6H2"


def test_a_small_gap_is_bridged_and_a_large_one_is_jumped():
    shadow = Shadow()
    shadow.update([line("a2345b7890123c")], 20)
    assert shadow.update([line("A2345B7890123C")], 20) == "\x1b[1HA2345B\x1b[1;14HC"


def test_blanks_at_the_end_are_erased():
    shadow = Shadow()
    shadow.update([line("x" * 40)], 40)
    assert shadow.update([line("x")], 40) == "\x1b[1;2H\x1b[K"


def test_blanks_in_reverse_video_are_sent():
    sent = Shadow().update([line("x" + " " * 9, Style(reverse=True))], 10)
    assert sent == "\x1b[1H\x1b[7mx         \x1b[m"


def test_another_style_does_not_inherit_the_one_before():
    sent = Shadow().update([[Segment("a", BOLD), Segment("b", RED), Segment("c", PLAIN)]], 3)
    assert sent == "\x1b[1H\x1b[1ma\x1b[0;7;31mb\x1b[mc"


def test_colours_are_the_sixteen_of_the_terminal_unless_a_skin_names_them_in_full():
    assert sgr(Style(color="color(196)")) in ("31", "91")
    assert sgr(Style(color="bright_blue")) == "94"
    assert sgr(Style(color="#d7263d")) == "38;2;215;38;61"
    assert sgr(Style(color="default", bgcolor="default")) == ""


def test_after_it_was_told_to_forget_everything_is_sent_again():
    shadow = Shadow()
    first = shadow.update([line("one")], 10)
    shadow.forget()
    assert shadow.update([line("one")], 10) == first


def test_another_size_sends_everything_again():
    shadow = Shadow()
    shadow.update([line("one")], 10)
    assert "one" in shadow.update([line("one")], 12)


def test_a_terminal_that_never_answers_is_not_waited_for():
    pacer = Pacer()
    pacer.sent(0.0)
    assert pacer.may_send()
    assert not pacer.overdue(1000.0)


def answering():
    pacer = Pacer()
    pacer.sent(0.0)
    assert not pacer.answered()
    return pacer


def test_one_frame_is_in_flight_and_what_changes_meanwhile_goes_into_the_next():
    pacer = answering()
    pacer.sent(1.0)
    assert not pacer.may_send()
    assert not pacer.may_send()
    assert pacer.answered()
    assert pacer.may_send()


def test_an_answer_with_nothing_due_sends_nothing():
    pacer = answering()
    pacer.sent(1.0)
    assert not pacer.answered()


def test_a_stalled_terminal_is_asked_again_ever_more_rarely():
    pacer = answering()
    pacer.sent(0.0)
    asked, now = [], 0.0
    for _ in range(6000):
        now += 0.1
        if pacer.overdue(now):
            asked.append(round(now))
    assert asked[:4] == [3, 9, 21, 45]
    assert len(asked) <= 4 + 600 / MOST_PATIENCE_S
    pacer.answered()
    pacer.sent(now)
    assert pacer.overdue(now + PATIENCE_S)


def test_drawn_means_that_the_terminal_has_said_so():
    seen = []
    pacer = Pacer()
    pacer.when_drawn(lambda: seen.append("at once"))
    pacer = answering()
    pacer.sent(1.0)
    pacer.when_drawn(lambda: seen.append("flying"))
    pacer.may_send()
    pacer.when_drawn(lambda: seen.append("due"))
    assert seen == ["at once"]
    pacer.answered()
    assert seen == ["at once", "flying"]
    pacer.sent(2.0)
    pacer.answered()
    assert seen == ["at once", "flying", "due"]


def test_a_due_frame_with_nothing_in_it_keeps_nobody_waiting():
    seen = []
    pacer = answering()
    pacer.sent(1.0)
    pacer.may_send()
    pacer.when_drawn(lambda: seen.append("due"))
    assert pacer.answered()
    assert seen == []
    pacer.nothing_due()
    assert seen == ["due"]
    assert not pacer.behind


def drawn(pacer):
    seen = []
    pacer.when_drawn(lambda: seen.append("drawn"))
    return seen


def test_the_answer_to_a_question_that_was_asked_twice_is_not_the_next_frames():
    pacer = answering()
    pacer.sent(1.0)
    assert pacer.overdue(1.0 + PATIENCE_S)
    pacer.answered()
    pacer.sent(5.0)
    seen = drawn(pacer)
    pacer.answered()  # to the second question behind the frame before
    assert not seen
    pacer.sent(5.1)
    assert drawn(pacer) == seen == []
    pacer.answered()
    assert seen


def test_nobody_is_told_at_once_while_an_older_frame_has_been_answered_twice():
    pacer = answering()
    pacer.sent(1.0)
    assert pacer.overdue(1.0 + PATIENCE_S)
    pacer.answered()
    pacer.sent(5.0)
    pacer.answered()
    assert drawn(pacer) == []


def test_answers_that_were_lost_are_made_good_at_once_and_keep_nobody_waiting():
    pacer, now = answering(), 1.0
    pacer.sent(now)
    for _ in range(5):
        now += MOST_PATIENCE_S
        assert pacer.overdue(now) == 1
    pacer.answered()  # to the last of six
    for _ in range(2):
        pacer.sent(now)
        seen = drawn(pacer)
        pacer.answered()
        count = pacer.overdue(now)
        assert count == 5
        for _ in range(count):
            assert not seen
            assert not pacer.overdue(now)
            pacer.answered()
        assert seen
        assert not pacer.waiting
    assert drawn(pacer) == ["drawn"]


def test_a_key_that_is_written_as_an_answer_is_none():
    pacer = answering()
    pacer.answered()
    pacer.sent(1.0)
    pacer.answered()
    pacer.answered()
    pacer.sent(2.0)
    seen = drawn(pacer)
    assert not seen
    pacer.answered()
    assert seen


async def test_the_shadow_makes_of_a_whole_session_what_textual_has_on_its_screen(build):
    app, shadow, terminal = build(), Shadow(), Terminal(80, 24)
    async with app.run_test(size=(80, 24)) as pilot:
        await sees(pilot, "db-01")
        for key in ("j", "j", "enter", "pagedown", "n", "enter", "n", "right", "q", "q", "2", "1"):
            await press(pilot, key)
            await pilot.pause(0.02)
            strips = app.screen._compositor.render_strips()
            sent = shadow.update(strips, 80)
            assert GRAMMAR.match(sent)
            terminal.feed(sent)
            for row, strip in zip(terminal.grid, strips, strict=True):
                assert "".join(cell.shown for cell in row).rstrip() == strip.text.rstrip()
