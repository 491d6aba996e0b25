"""How many people must sign follows from what would run, and from nothing that would not."""

from __future__ import annotations

import pytest

from sentinel.config import ApprovalSettings
from sentinel.domain import Judgement, Mode, PlanJudgement, Risk, Verdict
from sentinel.policy import approvals, rules, validate
from tests.unit.policy import packs

DIGEST = "sha256:" + "0" * 64
SETTINGS = ApprovalSettings(low=1, medium=2, high=3)
POLICY = packs.alone(
    """
[[allow]]
id = "change"
cmd = "sync"
[[allow]]
id = "grave"
cmd = "truncate"
args = "word*"
risk = "high"
[[allow]]
id = "mild"
cmd = "renice"
args = "word*"
risk = "low"
"""
)


def judged(*commands):
    """A judgement of commands given as (verdict, risk)."""
    return PlanJudgement(
        plan=DIGEST,
        policy=DIGEST,
        verdict=Verdict.ALLOW,
        commands=tuple(Judgement(verdict=v, findings=(), risk=r) for v, r in commands),
    )


A, R = Verdict.ALLOW, Verdict.REVIEW


@pytest.mark.parametrize(
    ("commands", "risk", "people"),
    [
        ([(A, Risk.LOW)], Risk.LOW, 1),
        ([(A, Risk.LOW), (A, Risk.MEDIUM)], Risk.MEDIUM, 2),
        ([(A, Risk.HIGH), (A, Risk.LOW)], Risk.HIGH, 3),
        ([(A, Risk.LOW), (R, Risk.HIGH)], Risk.LOW, 1),
        ([(R, Risk.LOW)], Risk.HIGH, 3),
        ([], Risk.HIGH, 3),
    ],
)
def test_the_highest_risk_of_what_would_run_counts(commands, risk, people):
    assert approvals.needed(judged(*commands), Mode.LIVE, SETTINGS) == (risk, people)
    assert approvals.needed(judged(*commands), Mode.DRY_RUN, SETTINGS) == (risk, 1)


@pytest.mark.parametrize(
    ("text", "risk"),
    [
        ("sync", Risk.MEDIUM),
        ("renice 1", Risk.LOW),
        ("sync && truncate x", Risk.HIGH),
        ("renice 1 ; sync", Risk.MEDIUM),
        ("renice 1 | nothing", Risk.HIGH),
        ("$(x)", Risk.HIGH),
    ],
)
def test_a_commands_risk_is_the_highest_of_the_rules_that_took_it(text, risk):
    assert validate.judge(POLICY, text).risk is risk


def test_of_the_shipped_rules_what_only_reads_is_low_and_what_changes_is_not():
    shipped = rules.load(examples=False)
    for group in shipped.rules.values():
        for rule in group:
            assert rule.changes or rule.risk is Risk.LOW
            assert rule.allow.risk or not rule.changes or rule.risk is Risk.MEDIUM
