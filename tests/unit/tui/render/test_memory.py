"""What the record of past incidents adds up to."""

from __future__ import annotations

import pytest

from sentinel.domain import Kind, Severity, State, Summary
from sentinel.tui.line import plain, width
from sentinel.tui.render import memory

NOW = 1_763_694_780_000
M = 60_000


def past(number, host, kind, state, ago_m=10, took_m=4):
    opened = NOW - ago_m * M
    return Summary(
        id=f"019aa40f-0000-7000-8000-{number:012d}",
        revision=number,
        host=host,
        kind=kind,
        severity=Severity.WARNING,
        state=state,
        evidence=f"evidence {number}",
        opened_ms=opened,
        updated_ms=opened + took_m * M,
    )


PAST = [
    past(1, "db-01", Kind.MEMORY, State.RESOLVED, took_m=2),
    past(2, "db-01", Kind.MEMORY, State.CLOSED, ago_m=60, took_m=8),
    past(3, "db-02", Kind.MEMORY, State.AWAITING, ago_m=1),
    past(4, "db-02", Kind.CPU, State.RESOLVED, ago_m=300, took_m=30),
]


def test_kinds_are_counted_with_how_they_ended_and_how_long_that_took():
    most, other = memory.tally(PAST, memory.KIND)
    assert (most.name, most.count, most.resolved, most.closed, most.open) == ("memory", 3, 1, 1, 1)
    assert most.took_ms == 5 * M
    assert most.last_ms == NOW - M
    assert (other.name, other.count, other.open) == ("cpu", 1, 0)


def test_what_has_not_ended_has_taken_no_time_yet():
    (only,) = memory.tally([PAST[2]], memory.HOST)
    assert (only.name, only.took_ms) == ("db-02", None)


@pytest.mark.parametrize("cells", [40, 80, 160])
def test_the_document_fits_and_stops_where_one_can_go_on(cells):
    rows = memory.document(PAST, "", NOW, cells)
    assert all(width(row.line) <= cells for row in rows)
    ids = [s.id for s in PAST if s.state is not State.AWAITING]
    stops = [row.stop for row in rows if row.stop]
    assert stops == ["kind:memory", "kind:cpu", "host:db-01", "host:db-02", *ids]


def test_a_kind_or_host_narrows_the_list_and_not_the_counts():
    rows = memory.document(PAST, "host:db-02", NOW, 80)
    assert [row.stop for row in rows if row.stop][4:] == [PAST[3].id]
    assert any("PAST INCIDENTS of host db-02" in plain(row.line) for row in rows)


def test_nothing_in_the_record_is_said():
    assert "none has ended yet" in [plain(row.line) for row in memory.document([], "", NOW, 80)]


def test_the_head_adds_up_and_says_where_it_is_only_a_part():
    assert (
        plain(memory.counts(PAST, more=False)) == " 3 ended  2 resolved  1 closed by hand  1 open"
    )
    assert " of the newest 4:  3 ended" in plain(memory.counts(PAST, more=True))
