"""What every document promises, for any value that the domain lets in: safe, within its cells, no crash."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sentinel.domain import AgentStatus, AuditRecord, CommandResult, Incident, Mode, Summary
from sentinel.tui import decide
from sentinel.tui.line import Line, plain, width
from sentinel.tui.render import decision, incidents, tables
from sentinel.tui.render import incident as incident_render
from tests.unit.strategies import values

NOW = 1_763_694_780_000
CELLS = st.integers(min_value=20, max_value=160)
SLOW = settings(deadline=None, max_examples=30, suppress_health_check=list(HealthCheck))


def check(lines: list[Line], cells: int) -> None:
    for of in lines:
        assert plain(of).isprintable()
        assert width(of) <= cells, plain(of)


@SLOW
@given(values(Incident), CELLS)
def test_an_incident(incident, cells):
    rows = incident_render.document(incident, NOW, cells)
    check([row.line for row in rows], cells)
    check(incident_render.top(incident, NOW, cells), cells)


@SLOW
@given(values(Incident), CELLS, st.sampled_from(Mode))
def test_a_decision(incident, cells, mode):
    offered = decide.offer(incident, Mode.LIVE)
    check(decision.document(offered, mode, "who\x1b[2J", max(cells, 30)), max(cells, 30))
    check(decision.rejection(offered, "who", max(cells, 30)), max(cells, 30))


@SLOW
@given(values(Summary), CELLS)
def test_a_row_of_the_list(summary, cells):
    check([incidents.row(summary, NOW, cells), incidents.titles(cells)], cells)


@SLOW
@given(values(AgentStatus), CELLS)
def test_a_node(agent, cells):
    check([tables.node(agent, NOW, "x", cells), tables.node_titles(cells)], cells)


@SLOW
@given(values(AuditRecord), CELLS)
def test_an_audit_record(record, cells):
    check([tables.audit(record, cells), tables.audit_titles(cells)], cells)
    check([row.line for row in tables.record(record, cells)], cells)


@SLOW
@given(values(CommandResult), CELLS)
def test_an_output(result, cells):
    check([row.line for row in incident_render.output_document(result, "x\x07", NOW, cells)], cells)


def test_the_same_value_gives_the_same_lines(recording):
    for each in recording.incidents:
        once = incident_render.document(each.incident, NOW, 78)
        assert once == incident_render.document(each.incident, NOW, 78)


@pytest.mark.parametrize("cells", [38, 78, 158])
def test_every_recorded_incident_fits(recording, cells):
    for each in recording.incidents:
        rows = incident_render.document(each.incident, recording.at_ms, cells)
        check([row.line for row in rows], cells)
