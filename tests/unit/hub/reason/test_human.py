from __future__ import annotations

import pytest

from sentinel.domain import Metric
from sentinel.hub.reason import human


@pytest.mark.parametrize(
    ("count", "said"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (300 << 20, "300 MiB"),
        (int(1.5 * (1 << 30)), "1.5 GiB"),
        (-2048, "-2.0 KiB"),
        (1 << 62, "4096 PiB"),
    ],
)
def test_bytes_are_said_in_binary_units(count, said):
    assert human.size(count) == said


@pytest.mark.parametrize(
    ("ms", "said"),
    [
        (-5, "0.0 s"),
        (400, "0.4 s"),
        (12_000, "12 s"),
        (125_000, "2 min 5 s"),
        (3_600_000, "1 h"),
        (90_000_000, "1 d 1 h"),
    ],
)
def test_a_length_of_time_has_its_two_largest_units(ms, said):
    assert human.duration(ms) == said


@pytest.mark.parametrize(
    ("metric", "value", "said"),
    [
        (Metric.PROCESS_RSS, 96 << 20, "96 MiB"),
        (Metric.FS_USED, 972, "97.2%"),
        (Metric.LOAD_PER_CPU, 1500, "1.50"),
        (Metric.ZOMBIES, 80, "80"),
    ],
)
def test_a_reading_is_said_in_the_unit_of_its_metric(metric, value, said):
    assert human.reading(metric, value) == said


def test_every_metric_has_words():
    assert set(human.METRIC_WORDS) == set(Metric)
