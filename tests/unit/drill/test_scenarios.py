"""The answer keys fit the detectors, the rules and the runbooks that there really are."""

from __future__ import annotations

import pytest

from sentinel import config, errors
from sentinel.agent import rules
from sentinel.config import AgentSettings
from sentinel.domain import Metric
from sentinel.drill import scenarios, worker
from sentinel.drill.scenarios import SCENARIOS
from sentinel.hub.reason import playbook

WATCHED = {
    rule.id: rule
    for rule in rules.rules(config.parse(AgentSettings, scenarios.rules(), "agent.toml"))
}
BOOK = {runbook.id: runbook for runbook in playbook.shipped().runbooks}
SCALE = {Metric.PROCESS_RSS: 1 << 20, Metric.PROCESS_FDS: 1, Metric.ZOMBIES: 1}


def rule_of(scenario):
    """The rule that is meant to see the drill."""
    if scenario.rule:
        return WATCHED[f"drill.{scenario.name}"]
    (rule,) = (each for each in rules.DEFAULT_RULES if each.kind is scenario.kind)
    return rule


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda s: s.name)
def test_a_rule_sees_it_and_a_runbook_is_for_it(scenario):
    rule = rule_of(scenario)
    assert rule.kind is scenario.kind
    assert rule.process == (scenario.process if scenario.rule else "")
    if rule.metric in SCALE:
        assert scenario.amount * SCALE[rule.metric] > rule.above * 5 // 4
    assert scenario.kind in BOOK[scenario.runbook].kinds
    assert scenario.life_s * 1000 > rule.for_ms + 60_000


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda s: s.name)
def test_it_is_bounded_and_has_a_name_of_its_own(scenario):
    assert scenario.name in worker.FAULTS
    assert scenario.process.startswith("drill-")
    assert len(scenario.process.encode()) <= 15  # all that the kernel keeps
    assert scenario.life_s <= 180
    limit = {"leak": 256, "files": 1000, "zombies": 100}
    assert scenario.amount <= limit.get(scenario.name, scenario.amount)
    assert playbook._SPARED.fullmatch(scenario.process) is None


def test_a_name_that_is_wrong_is_answered_with_the_nearest():
    assert scenarios.named("leak") is SCENARIOS[0]
    with pytest.raises(errors.OperatorError) as caught:
        scenarios.named("flies")
    assert caught.value.hint == "did you mean files?"
    with pytest.raises(errors.OperatorError, match="no drill") as caught:
        scenarios.named("\x1b[2J")
    assert "leak, spin, files, zombies" in caught.value.hint
    assert "\x1b" not in caught.value.what
