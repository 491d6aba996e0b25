"""Ages in the list, and for how long they stay true."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentinel import human
from sentinel.human import HOUR, MINUTE, SECOND
from sentinel.tui.line import plain
from sentinel.tui.render import incidents
from sentinel.tui.store import STALE_MS, Link, Phase, Snapshot
from tests.unit.tui.test_store import summary

NOON = 1_763_640_000_000  # a full minute


def shown(age_ms, now_ms):
    row = plain(incidents.row(summary(1, opened_ms=now_ms - age_ms), now_ms, 200))
    return row.split()[1]


@pytest.mark.parametrize(
    ("age_ms", "after_minute_ms", "says"),
    [
        (0, 30_000, "now"),
        (59_000, 30_000, "59s"),
        (60_000, 30_000, "1m"),  # never less than that, whatever the minute
        (149_000, 30_000, "1m"),  # two minutes at the next full minute, 30 s from here
        (150_000, 30_000, "2m"),
        (120_000, 0, "2m"),
        (3 * HOUR, 59_999, "2h"),
        (3 * HOUR, 0, "3h"),
    ],
)
def test_an_age_of_minutes_moves_on_the_full_minute(age_ms, after_minute_ms, says):
    assert shown(age_ms, NOON + after_minute_ms) == says


@given(st.integers(0, 3 * HOUR), st.integers(0, MINUTE - 1))
def test_an_age_is_at_most_a_minute_behind(age_ms, after_minute_ms):
    exact = {human.age(age_ms - late) for late in range(0, min(age_ms, MINUTE) + 1, 500)}
    assert shown(age_ms, NOON + after_minute_ms) in exact | {human.age(age_ms)}


LINK = Link(phase=Phase.UP, heard_ms=NOON)


@pytest.mark.parametrize(
    ("age_ms", "link", "now_ms", "lasts_ms"),
    [
        (HOUR, LINK, NOON, incidents.LOOK_MS),
        (HOUR, LINK, NOON + STALE_MS - 3000, 3001),  # then the hub has been silent for too long
        (HOUR, LINK, NOON + STALE_MS, 1),
        (HOUR, LINK, NOON + STALE_MS + 1, SECOND),  # and for how long is shown
        (HOUR, Link(phase=Phase.UP, heard_ms=NOON + 55_000), NOON + 55_000, 5000),
        (HOUR, Link(phase=Phase.LOST, heard_ms=NOON), NOON, SECOND),
        (HOUR, Link(), NOON, SECOND),
        (MINUTE, LINK, NOON, incidents.LOOK_MS),
        (MINUTE - 1, LINK, NOON, SECOND),
    ],
)
def test_the_list_is_left_alone_for_as_long_as_it_is_true(age_ms, link, now_ms, lasts_ms):
    rows = (summary(1, opened_ms=now_ms - HOUR), summary(2, opened_ms=now_ms - age_ms))
    assert incidents.lasts_ms(rows, Snapshot(link=link), now_ms) == lasts_ms


@given(st.integers(MINUTE, 3 * HOUR), st.integers(0, 120_000))
def test_nothing_that_is_shown_changes_while_it_lasts(age_ms, later_ms):
    now_ms = NOON + later_ms
    one = summary(1, opened_ms=now_ms - age_ms)
    snapshot = Snapshot(link=Link(phase=Phase.UP, heard_ms=now_ms))
    last_ms = now_ms + incidents.lasts_ms((one,), snapshot, now_ms) - 1
    assert incidents.row(one, now_ms, 200) == incidents.row(one, last_ms, 200)
