"""The score of a drill, from what the hub has of it and nothing else."""

from __future__ import annotations

import msgspec
import pytest

from sentinel.domain import (
    Command,
    Diagnosis,
    Incident,
    Kind,
    Metric,
    Plan,
    Process,
    Recovery,
    Severity,
    State,
    Summary,
    Verdict,
)
from sentinel.drill import results
from sentinel.drill.scenarios import SCENARIOS, named
from sentinel.protocol import Field
from tests.unit.hub import builders as b

LEAK, ZOMBIES = named("leak"), named("zombies")


def incident(scenario, *, pid=4242, engine=None, commands=("kill -TERM 4242",), **anomaly):
    """An incident as the drill ought to make it: captured 7 s after the drill's start."""
    fields = {"kind": scenario.kind, **({} if scenario.rule else {"subject": ""}), **anomaly}
    said = b.report(**fields)
    process = Process(pid=pid, start_ticks=777, name=scenario.process, age_s=7)
    context = msgspec.structs.replace(said.context, processes=(process,))
    said = msgspec.structs.replace(said, context=context)
    plan = Plan(
        incident="i-1",
        event=said.event,
        revision=1,
        host=b.HOST,
        author="playbook",
        engine=engine or f"playbook:{scenario.runbook}",
        created_ms=b.NOW,
        diagnosis=Diagnosis(summary="s", confidence_pct=1),
        commands=tuple(Command(text=text) for text in commands),
        recovery=Recovery(
            metric=Metric.ZOMBIES, subject="", clear_below=1, clear_for_ms=1, deadline_ms=1000
        ),
    )
    summary = Summary(
        id="i-1",
        revision=1,
        host=b.HOST,
        kind=said.anomaly.kind,
        severity=Severity.WARNING,
        state=State.AWAITING,
        verdict=Verdict.ALLOW,
        evidence="e",
        opened_ms=b.NOW,
        updated_ms=b.NOW,
    )
    return Incident(summary=summary, report=said, plan=plan)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda s: s.name)
def test_all_that_the_answer_key_wants_is_three_points(scenario):
    found = results.result(scenario, incident(scenario))
    assert (found.kind_right, found.culprit_right, found.runbook_right) == (True, True, True)
    assert found.points == results.POINTS
    assert (found.scenario, found.host, found.state) == (scenario.name, b.HOST, State.AWAITING)
    assert found.verdict is Verdict.ALLOW


def test_it_was_seen_so_long_after_its_start():
    # Captured at NOW - 900 ms, 7 s old by then, and detected at NOW - 1000 ms.
    assert results.result(LEAK, incident(LEAK)).detected_s == 6


def test_what_is_wrong_costs_its_point():
    kind = results.result(LEAK, incident(LEAK, kind=Kind.CPU))
    assert (kind.kind_right, kind.points) == (False, 2)
    engine = results.result(LEAK, incident(LEAK, engine="ollama:some"))
    assert (engine.runbook, engine.runbook_right, engine.points) == ("ollama:some", False, 2)
    other = results.result(ZOMBIES, incident(ZOMBIES, commands=("kill -TERM 42", "ps -p 14242")))
    assert (other.culprit_right, other.points) == (False, 2)


def test_an_incident_without_a_plan_can_still_name_its_culprit():
    bare = msgspec.structs.replace(incident(LEAK), plan=None)
    assert results.result(LEAK, bare).points == 2
    bare = msgspec.structs.replace(incident(ZOMBIES), plan=None)
    assert results.result(ZOMBIES, bare).points == 1


def test_an_incident_of_something_else_is_no_drill():
    assert results.result(LEAK, incident(ZOMBIES)) is None
    assert results.result(ZOMBIES, incident(LEAK)) is None


def test_the_hub_is_asked_for_what_may_be_a_drill():
    (match,) = results.search(LEAK).terms[0].any_of
    assert (match.field, match.parts) == (Field.EVIDENCE, ("drill-leak",))
    (match,) = results.search(ZOMBIES).terms[0].any_of
    assert (match.field, match.parts) == (Field.KIND, ("zombies",))
    assert not any(results.search(each).open_only for each in SCENARIOS)
