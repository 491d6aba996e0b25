"""What came of drills, from the hub's record alone: which incidents were theirs, scored by the answer key.

Pure: what to ask the hub for, and what its answers mean.
"""

from __future__ import annotations

from sentinel.domain import Incident, Process, State, Value, Verdict
from sentinel.drill.scenarios import Scenario
from sentinel.protocol import Field, ListRequest, Match, Term

LOOKED_AT = 5  # newest incidents that may be a drill's, of each scenario


class Result(Value, frozen=True, kw_only=True):
    """What came of one drill."""

    scenario: str
    incident: str
    host: str
    at_ms: int  # when it was reported
    detected_s: int  # from the start of its process to the report
    state: State
    verdict: Verdict | None
    runbook: str  # that made the plan, or the engine
    kind_right: bool
    culprit_right: bool  # the incident or its plan names the drill's process
    runbook_right: bool

    @property
    def points(self) -> int:
        """How many of the three things of the answer key are right."""
        return self.kind_right + self.culprit_right + self.runbook_right


POINTS = 3


def search(scenario: Scenario) -> ListRequest:
    """Return what asks for the newest incidents that may be of this drill.

    A rule on the process names it in the evidence; a rule on the host does not, and any incident of
    its kind may be one.
    """
    if scenario.rule:
        match = Match(field=Field.EVIDENCE, parts=(scenario.process,))
    else:
        match = Match(field=Field.KIND, parts=(scenario.kind.value,))
    return ListRequest(open_only=False, limit=LOOKED_AT, terms=(Term(any_of=(match,)),))


def result(scenario: Scenario, incident: Incident) -> Result | None:
    """Return what came of the drill; None where the incident is of something else."""
    process = culprit(scenario, incident)
    if process is None:
        return None
    report, plan = incident.report, incident.plan
    begun_ms = report.context.captured_ms - process.age_s * 1000
    engine = plan.engine.removeprefix("playbook:") if plan is not None else ""
    about = report.anomaly.subject.partition(":")[0] == str(process.pid)
    named = plan is not None and any(
        str(process.pid) in command.text.split() for command in plan.commands
    )
    return Result(
        scenario=scenario.name,
        incident=incident.summary.id,
        host=incident.summary.host,
        at_ms=report.anomaly.detected_ms,
        detected_s=max(0, report.anomaly.detected_ms - begun_ms) // 1000,
        state=incident.summary.state,
        verdict=incident.summary.verdict,
        runbook=engine,
        kind_right=report.anomaly.kind is scenario.kind,
        culprit_right=about or named,
        runbook_right=engine == scenario.runbook,
    )


def culprit(scenario: Scenario, incident: Incident) -> Process | None:
    """Return the drill's process among those that were captured."""
    return next((p for p in incident.report.context.processes if p.name == scenario.process), None)
