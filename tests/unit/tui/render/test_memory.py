"""What the record of past incidents adds up to."""

from __future__ import annotations

import pytest

from sentinel.domain import Kind, Severity, State, Summary
from sentinel.hub import recall
from sentinel.hub.reason import playbook
from sentinel.protocol import Past, Service
from sentinel.tui.line import Row, plain, width
from sentinel.tui.render import memory

NOW = 1_763_694_780_000
M = 60_000


def past(number, host, kind, state, ago_m=10, took_m=4, service="app.service"):
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
        service=service,
    )


PAST = [
    past(1, "db-01", Kind.MEMORY, State.RESOLVED, took_m=2),
    past(2, "db-01", Kind.MEMORY, State.CLOSED, ago_m=60, took_m=8),
    past(3, "db-02", Kind.MEMORY, State.AWAITING, ago_m=1),
    past(4, "db-02", Kind.CPU, State.RESOLVED, ago_m=300, took_m=30, service="db: main.service"),
]
SERVICES = [
    Service(
        name="app.service",
        hosts=("db-01", "db-02"),
        host_count=2,
        past=Past(count=3, open=1, resolved=1, last_ms=NOW - M),
    ),
    Service(
        name="db: main.service",
        hosts=tuple(f"db-{n:02d}" for n in range(8)),
        host_count=200,
        past=Past(count=1, open=0, resolved=1, last_ms=NOW - 300 * M),
    ),
    Service(name="quiet.service", hosts=("db-01",), host_count=1, past=Past()),
]
RUNBOOKS = recall.runbooks(
    playbook.shipped().runbooks, {"memory-hog": Past(count=3, open=1, resolved=1, last_ms=NOW - M)}
)
KNOWN = memory.Known(summaries=PAST, services=SERVICES, runbooks=RUNBOOKS)


def document(known=KNOWN, chosen="", unfolded=(), cells=80):
    return memory.document(known, chosen, frozenset(unfolded), NOW, cells)


def stops(rows):
    return [row.stop for row in rows if row.stop]


def words(rows):
    return [plain(row.line).rstrip() for row in rows]


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
@pytest.mark.parametrize("unfolded", [(), ("service", "runbook")])
def test_the_document_fits_and_stops_where_one_can_go_on(cells, unfolded):
    rows = document(unfolded=unfolded, cells=cells)
    assert all(width(row.line) <= cells for row in rows)
    ids = [s.id for s in PAST if s.state is not State.AWAITING]
    found = stops(rows)
    assert found[:4] == ["kind:memory", "kind:cpu", "host:db-01", "host:db-02"]
    assert found[4:7] == [f"service:{each.name}" for each in SERVICES]
    assert found[-3:] == ids


def test_a_section_shows_its_first_lines_until_all_are_asked_for():
    rows = document()
    order = ["memory-hog", *(r.id for r in RUNBOOKS if r.id != "memory-hog")]
    assert [s for s in stops(rows) if s.startswith(("runbook:", "more:"))] == [
        *(f"runbook:{name}" for name in order[: memory.FEW]),
        "more:runbook",
    ]
    assert f"{len(RUNBOOKS) - memory.FEW} more" in words(rows)
    whole = document(unfolded={"runbook"})
    assert len([s for s in stops(whole) if s.startswith("runbook:")]) == len(RUNBOOKS)
    assert "more:runbook" in stops(whole)


def test_a_service_says_what_became_of_it_and_where_it_runs():
    row, other, quiet = words(Row(memory.service(each, NOW, 80)) for each in SERVICES)
    assert " ".join(row.split()) == "app.service 3 1 1 1 1m ago db-01 db-02"
    assert other.endswith(" 5h ago   200 hosts")  # eight names do not fit
    assert " ".join(quiet.split()) == "quiet.service 0 0 0 0 - db-01"
    wide = plain(memory.service(SERVICES[1], NOW, 160))
    assert wide.rstrip().endswith("db-07 +192")


def test_what_the_hub_has_not_said_yet_is_not_shown_and_nothing_known_is_said():
    rows = words(document(memory.Known(summaries=PAST)))
    assert not any("SERVICES" in row or "RUNBOOKS" in row for row in rows)
    rows = words(document(memory.Known(summaries=(), services=(), runbooks=())))
    assert rows.count("none is known yet") == 4
    assert "none has ended yet" in rows


def test_services_that_the_hub_did_not_name_are_counted():
    many = KNOWN._replace(more_services=7)
    assert not any("not named" in row for row in words(document(many)))
    assert "and 7 that are not named" in words(document(many, unfolded={"service"}))


def test_a_kind_or_host_narrows_the_list_and_not_the_counts():
    rows = document(chosen="host:db-02")
    assert [s for s in stops(rows) if s.startswith("019")] == [PAST[3].id]
    assert any("PAST INCIDENTS of host db-02" in row for row in words(rows))
    assert stops(rows)[:4] == stops(document())[:4]


def test_a_service_narrows_the_list_and_brings_older_ones_in_once():
    older = past(9, "db-07", Kind.CPU, State.CLOSED, ago_m=9000, service="db: main.service")
    known = KNOWN._replace(found=(older, PAST[3], PAST[0]))
    rows = document(known, chosen="service:db: main.service")
    assert [s for s in stops(rows) if s.startswith("019")] == [PAST[3].id, older.id]
    assert any("of service db: main.service" in row for row in words(rows))
    assert older.id not in stops(document(known))


def test_the_head_adds_up_and_says_where_it_is_only_a_part():
    assert (
        plain(memory.counts(PAST, more=False)) == " 3 ended  2 resolved  1 closed by hand  1 open"
    )
    assert " of the newest 4:  3 ended" in plain(memory.counts(PAST, more=True))
