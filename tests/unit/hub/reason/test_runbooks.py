"""Every command that a shipped runbook can produce, judged by the shipped policy."""

from __future__ import annotations

import pytest

from sentinel.domain import Verdict
from sentinel.hub.reason import evidence, playbook
from sentinel.hub.reason.picture import picture
from sentinel.policy import rules, validate

from .builders import CASES

BOOK = playbook.shipped()
POLICY = rules.load(examples=False)


def steps(name):
    """Return the filled commands of a runbook's case, with what the runbook expects of each."""
    scene = picture(CASES[name])
    runbook = next(r for r in BOOK.runbooks if r.id == name)
    for step in (*runbook.steps, *runbook.escalation):
        text, note = playbook._fill(step, playbook.targets(scene), scene)
        assert text or step.optional, note
        if text:
            yield text, step


def judged(text, told):
    return validate.judge(POLICY, text, validate.facts_of(told.context))


@pytest.mark.parametrize("name", sorted(CASES))
def test_the_policy_says_of_every_command_what_its_runbook_expects(name):
    found = {
        text: (judged(text, CASES[name]).verdict.value, step.expect) for text, step in steps(name)
    }
    assert {text: pair for text, pair in found.items() if pair[0] != pair[1]} == {}


@pytest.mark.parametrize("name", sorted(CASES))
def test_a_runbook_says_itself_which_steps_change_something(name):
    for text, step in steps(name):
        judgement = judged(text, CASES[name])
        if judgement.verdict is Verdict.ALLOW:
            assert judgement.changes is step.changes, text


@pytest.mark.parametrize("name", sorted(CASES))
@pytest.mark.parametrize("attempt", [1, 2])
def test_something_of_every_plan_may_run(name, attempt):
    scene = picture(CASES[name])
    draft = BOOK.draft(scene, evidence.facts(scene), attempt)
    verdicts = [judged(c.text, CASES[name]).verdict for c in draft.commands]
    assert Verdict.ALLOW in verdicts
    assert Verdict.BLOCK not in verdicts
