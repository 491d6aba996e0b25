"""Those like an incident: of its kind and service, or of its host where no service is known."""

from __future__ import annotations

import msgspec
import pytest

from sentinel.domain import Kind, State, Summary
from sentinel.protocol import Field
from sentinel.tui import filters
from sentinel.tui.line import plain
from sentinel.tui.render import similar
from tests.unit.tui import record


@pytest.fixture
def summary():
    made = record.memory().incident.summary
    return msgspec.structs.replace(made, service="report-worker", kind=Kind.MEMORY, host="db-01")


def other(of: Summary, number: int, **changes: object) -> Summary:
    ident = f"019aa000-0000-7000-8000-00000000000{number}"
    return msgspec.structs.replace(of, id=ident, state=State.RESOLVED, **changes)


def test_its_kind_and_its_service_wherever_that_ran(summary):
    elsewhere = other(summary, 1, host="db-02")
    longer, cpu = other(summary, 2, service="report-worker-2"), other(summary, 3, kind=Kind.CPU)
    assert similar.like(summary, [elsewhere, longer, cpu, summary]) == [elsewhere]


def test_its_host_where_no_service_is_known(summary):
    bare = msgspec.structs.replace(summary, service="")
    here, there = other(bare, 1), other(bare, 2, host="db-010")
    assert similar.like(bare, [here, there]) == [here]
    assert {term.any_of[0].field for term in similar.request(bare).terms} == {
        Field.KIND,
        Field.HOST,
    }


def test_what_the_hub_is_asked_for_has_them_in_it(summary):
    request = similar.request(summary)
    assert filters.accepts(request.terms, other(summary, 1))
    assert not filters.accepts(request.terms, other(summary, 2, kind=Kind.CPU))
    assert (request.before, request.open_only) == (summary.id, False)


def test_the_section_says_how_each_ended_and_leads_there(summary):
    many = [other(summary, number) for number in range(1, 9)]
    head, *rows = similar.rows(summary, many, summary.opened_ms, 100)
    assert "SIMILAR: memory of report-worker" in plain(head.line)
    assert len(rows) == similar.SHOWN
    assert rows[0].stop == f"incident:{many[0].id}"
    assert "resolved" in plain(rows[0].line)


def test_nothing_like_it_has_no_section(summary):
    assert similar.rows(summary, [summary], 0, 100) == []
