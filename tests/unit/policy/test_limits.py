"""Limits of a rule: what a plan may hold, and what a moment permits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentinel import canonical
from sentinel.domain import Limit, Verdict
from sentinel.policy import limits, rules, validate
from sentinel.policy.rulefile import Source
from tests.unit.policy.test_validate import plan

ALLOW, REVIEW = Verdict.ALLOW, Verdict.REVIEW
SITE = b"""
schema = 1
layer = "site"
name = "limits"
[[allow]]
id = "site.frob"
cmd = "frob"
args = "int?"
per_plan = 2
per_hour = 3
cool_down_s = 60
hours = "22:00-06:00"
dry_run_first = true
[[allow]]
id = "site.free"
cmd = "free-of-limits"
"""
POLICY = rules.build([*rules.shipped(), Source("limits.toml", SITE)], examples=False)
FROB = Limit(
    rule="site.frob",
    per_plan=2,
    per_hour=3,
    cool_down_s=60,
    hours="22:00-06:00",
    dry_run_first=True,
)


def verdicts(*texts):
    made = plan(*texts)
    judged = validate.judge_plan(POLICY, made, canonical.digest_of(made), validate.NO_FACTS)
    return [each.verdict for each in judged.commands]


def test_a_judgement_carries_the_limits_of_the_rules_that_took_it_and_no_verdict_depends_on_them():
    found = validate.judge(POLICY, "sudo frob 1 | sort && free-of-limits")
    assert found.verdict is ALLOW
    assert found.limits == (FROB,)
    assert validate.judge(POLICY, "frob; frob").limits[0].uses == 2
    assert validate.judge(POLICY, "free-of-limits").limits == ()


def test_the_command_beyond_the_limit_of_a_plan_is_review_and_says_why():
    assert verdicts("frob 1", "frob 2", "frob 3", "uptime") == [ALLOW, ALLOW, REVIEW, ALLOW]
    assert verdicts("frob 1; frob 2", "frob 3") == [ALLOW, REVIEW]
    # What is not allowed anyway does not run, so it counts for nothing.
    assert verdicts("frob x", "frob 1; frob x", "frob 2", "frob 3") == [
        REVIEW,
        REVIEW,
        ALLOW,
        ALLOW,
    ]


def test_one_command_that_uses_a_rule_too_often_is_review_in_every_node_of_its_tree():
    text = "frob 1; frob 2; frob 3"
    found = validate.judge(POLICY, text)
    assert found.verdict is REVIEW
    assert found.findings[0].reason == "at most 2 in a plan: this is number 3"
    assert found.findings[0].rule == "site.frob"
    assert {node.verdict for node in found.tree} == {REVIEW}


@given(st.lists(st.sampled_from(["frob 1", "frob 1; frob 2", "uptime", "frob x"]), max_size=6))
def test_one_more_command_never_weakens_a_plan(texts):
    before = verdicts(*texts[:-1])
    assert verdicts(*texts)[: len(before)] == before
    assert (
        sum(t.count("frob") for t, v in zip(texts, verdicts(*texts), strict=True) if v is ALLOW)
        <= 2
    )


@pytest.mark.parametrize(
    ("hours", "open_at", "closed_at"),
    [
        ("22:00-06:00", ["22:00", "23:59", "00:00", "05:59"], ["06:00", "12:00", "21:59"]),
        ("09:30-17:00", ["09:30", "16:59"], ["09:29", "17:00", "00:00"]),
        ("00:00-00:01", ["00:00"], ["00:01", "23:59"]),
    ],
)
def test_hours_begin_with_their_first_minute_and_end_before_their_last(hours, open_at, closed_at):
    for times, wanted in ((open_at, True), (closed_at, False)):
        for text in times:
            hour, minute = map(int, text.split(":"))
            for day in (0, 20_000):
                now_ms = ((day * 24 + hour) * 60 + minute) * 60_000 + 59_999
                assert limits.is_open(hours, now_ms) is wanted
                assert limits.clock(now_ms) == text


def test_hours_that_are_malformed_are_never_open():
    assert not any(limits.is_open("", minute * 60_000) for minute in range(24 * 60))


def test_a_limit_in_one_line():
    assert limits.words(FROB) == (
        "at most 2 in a plan, at most 3 an hour, 60 s after the last, only 22:00-06:00 UTC,"
        " only after a dry-run"
    )
