"""Numbers as people say them."""

from __future__ import annotations

import pytest

from sentinel import human
from sentinel.domain import Metric


@pytest.mark.parametrize(
    ("ms", "said"),
    [
        (-5, "now"),
        (999, "now"),
        (1000, "1s"),
        (59_999, "59s"),
        (60_000, "1m"),
        (3_599_999, "59m"),
        (3_600_000, "1h"),
        (47 * 3_600_000, "47h"),
        (49 * 3_600_000, "2d"),
        (100 * 86_400_000, "100d"),
    ],
)
def test_an_age_is_one_short_word(ms, said):
    assert human.age(ms) == said


@pytest.mark.parametrize(
    ("ms", "said"),
    [
        (4, "4 ms"),
        (-5, "0 ms"),
        (4100, "4.1 s"),
        (59_000, "59 s"),
        (125_000, "2 min 5 s"),
        (120_000, "2 min"),
        (11_040_000, "3 h 4 min"),
        (90_000_000, "1 d 1 h"),
    ],
)
def test_a_duration_is_as_precise_as_one_wants(ms, said):
    assert human.duration(ms) == said


@pytest.mark.parametrize(
    ("count", "said"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (300 << 20, "300 MiB"),
        (1_288_490_188, "1.2 GiB"),
        (-2048, "-2.0 KiB"),
        (2**63, "8192 PiB"),
    ],
)
def test_bytes_are_in_binary_units(count, said):
    assert human.size(count) == said


@pytest.mark.parametrize(
    ("metric", "value", "said"),
    [
        (Metric.MEMORY_USED, 971, "97.1%"),
        (Metric.PROCESS_RSS, 1024 * 1024, "1.0 MiB"),
        (Metric.LOAD_PER_CPU, 4750, "4.75"),
        (Metric.ZOMBIES, 12, "12"),
    ],
)
def test_a_reading_is_in_the_unit_that_its_metric_names(metric, value, said):
    assert human.reading(metric, value) == said


def test_every_metric_has_words():
    assert set(human.METRIC_WORDS) == set(Metric)


def test_a_slope_has_a_sign_and_an_unknown_one_says_nothing():
    assert human.slope(Metric.FS_USED, 12) == "+1.2%/min"
    assert human.slope(Metric.FS_USED, -12) == "-1.2%/min"
    assert human.slope(Metric.FS_USED, None) == ""


def test_a_sparkline_shows_the_last_samples():
    assert human.spark((0, 7), 10) == "▁█"
    assert human.spark((5, 5, 5), 10) == "▄▄▄"
    assert human.spark(tuple(range(100)), 3) == "▁▄█"
    assert human.spark((), 10) == ""
    assert human.spark((1, 2), 0) == ""


def test_a_digest_is_shown_in_fours():
    assert human.digest("sha256:9f3ca1b277de0000") == "9f3c a1b2 77de"


def test_times_are_utc_and_the_largest_that_the_domain_allows_does_no_harm():
    assert human.clock(1_763_694_780_000) == "03:13:00"
    assert human.date(1_763_694_780_000) == "2025-11-21 03:13:00Z"
    assert human.date(2**53).startswith("9999-")


def test_the_short_id_is_the_end_because_the_beginning_is_only_the_time():
    assert human.short_id("019aa464-c9a0-7399-8527-3fe7e8865f02") == "5f02"


def test_what_took_no_second_did_not_take_now():
    assert [human.span(ms) for ms in (0, 999, 1000, 90_000)] == ["<1s", "<1s", "1s", "1m"]
