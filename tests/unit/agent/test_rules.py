from __future__ import annotations

import pytest

from sentinel import config
from sentinel.agent.rules import DEFAULT_RULES, KIND_OF, rules
from sentinel.config import AgentSettings
from sentinel.domain import Kind, Metric, Severity
from sentinel.errors import ConfigError


def settings(text):
    return config.parse(AgentSettings, text, "agent.toml")


def test_every_metric_has_a_failure_class():
    assert set(KIND_OF) == set(Metric)


def test_no_two_shipped_rules_tell_of_the_same_signal():
    metrics = [rule.metric for rule in DEFAULT_RULES]
    assert len(metrics) == len(set(metrics))


def test_a_rule_is_read_as_people_write_it():
    (rule,) = rules(
        settings(
            """
            shipped_rules = false
            [[rules]]
            id = "hog"
            metric = "process_resident_memory_bytes"
            process = "sentinel-demo"
            above = "128MiB"
            clear_below = "64MiB"
            slope_above_per_min = "1MiB"
            for = "1s"
            clear_for = "1500ms"
            severity = "critical"
            """
        )
    )
    assert (rule.above, rule.clear_below, rule.slope_per_min_above) == (
        128 << 20,
        64 << 20,
        1 << 20,
    )
    assert (rule.for_ms, rule.clear_for_ms) == (1000, 1500)
    assert (rule.kind, rule.severity, rule.process) == (
        Kind.MEMORY,
        Severity.CRITICAL,
        "sentinel-demo",
    )


@pytest.mark.parametrize(
    ("metric", "above", "expected"),
    [
        ("memory_used_permille", '"90%"', (900, 810)),
        ("load1_per_cpu_milli", '"1.5"', (1500, 1350)),
        ("processes_zombie_count", "1", (1, 1)),
    ],
)
def test_without_a_clear_level_it_is_nine_tenths(metric, above, expected):
    text = f'shipped_rules = false\n[[rules]]\nid = "r"\nmetric = "{metric}"\nabove = {above}'
    (rule,) = rules(settings(text))
    assert (rule.above, rule.clear_below) == expected


def test_a_rule_of_a_shipped_one_s_name_takes_its_place():
    text = '[[rules]]\nid = "memory-used"\nmetric = "memory_used_permille"\nabove = "50%"'
    found = rules(settings(text))
    assert len(found) == len(DEFAULT_RULES)
    assert [rule.above for rule in found if rule.id == "memory-used"] == [500]


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ('above = "90"', "rule r: above: '90' is not a permille"),
        ('above = "90%"\nfor = "3"', "rule r: for"),
        ('above = "90%"\nclear_below = "95%"', "rule r: above 900 with clear_below 950"),
        ('above = "0%"', "rule r: above 0"),
        ('above = "90%"\nprocess = "x"', "rule r: process 'x'"),
    ],
)
def test_a_rule_that_says_nothing_usable_is_refused_by_name(line, fault):
    text = f'[[rules]]\nid = "r"\nmetric = "memory_used_permille"\n{line}'
    with pytest.raises(ConfigError) as caught:
        rules(settings(text))
    assert caught.value.what.startswith(fault)
    assert caught.value.hint


def test_two_rules_of_one_name_are_refused():
    one = '[[rules]]\nid = "r"\nmetric = "memory_used_permille"\nabove = "50%"\n'
    with pytest.raises(ConfigError, match="rule r is there twice"):
        rules(settings(one * 2))
