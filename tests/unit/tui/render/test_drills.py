"""Drills as they are shown: what is expected, what came of them, and what is said before one is fired."""

from __future__ import annotations

import msgspec
import pytest

from sentinel.domain import State, Verdict
from sentinel.drill.results import Result
from sentinel.drill.scenarios import SCENARIOS, named
from sentinel.tui.line import plain, width
from sentinel.tui.render import drills

NOW = 1_763_694_780_000
RIGHT = Result(
    scenario="leak",
    incident="019aa40f-0000-7000-8000-00000000abcd",
    host="db-01",
    at_ms=NOW - 120_000,
    detected_s=4,
    state=State.RESOLVED,
    verdict=Verdict.ALLOW,
    runbook="memory-hog",
    kind_right=True,
    culprit_right=True,
    runbook_right=True,
)
WRONG = msgspec.structs.replace(
    RIGHT, incident="019aa40f-0000-7000-8000-00000000dcba", at_ms=NOW, culprit_right=False
)


def words(rows):
    return [plain(row.line).rstrip() for row in rows]


@pytest.mark.parametrize("cells", [40, 78, 160])
def test_the_document_fits_and_stops_at_drills_and_results(cells):
    rows = drills.document([RIGHT, WRONG], {"spin": 77}, NOW, cells)
    assert all(width(row.line) <= cells for row in rows)
    stops = [row.stop for row in rows if row.stop]
    newest_first = [WRONG.incident, RIGHT.incident]
    assert stops == [*(f"drill:{each.name}" for each in SCENARIOS), *newest_first]


def test_everything_of_a_result_is_on_80_columns():
    told = words(drills.document([RIGHT, WRONG], {}, NOW, 78))
    titles = "ID DRILL HOST AGO SEEN SCORE KIND WHO BOOK PLAN OUTCOME"
    assert " ".join(told[-3].split()) == titles
    assert " ".join(told[-1].split()) == (
        "abcd leak db-01 2m 4s 3 of 3 yes yes yes ✓ allow resolved"
    )
    assert "2 of 3" in told[-2]
    assert " NO " in told[-2]


def test_what_runs_here_is_said_at_its_scenario():
    told = words(drills.document([], {"spin": 77}, NOW, 78))
    (spin,) = (row for row in told if row.startswith("spin"))
    assert spin.startswith("spin     RUNS as pid 77  a process keeps one processor busy")
    assert "the hub has no incident of a drill" in told


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda s: s.name)
def test_before_it_is_fired_one_is_told_where_and_what(scenario):
    rows = drills.asked(scenario, "workstation", 78)
    assert len(rows) <= 19  # at 80x24, with the line that one types in
    told = " ".join(" ".join(words(rows)).split())
    assert f"Fire {scenario.name} on workstation, the host that this sentinel-tui runs on" in told
    assert f"within {scenario.life_s} s" in told
    assert ("sentinel drill rules" in told) is bool(scenario.rule)
    assert "No other host is touched" in told


def test_hostile_names_of_hosts_are_escaped():
    hostile = msgspec.structs.replace(RIGHT, host="\x1b]0;x\x07", runbook="\x1b[2J")
    assert all(row.isprintable() for row in words(drills.document([hostile], {}, NOW, 78)))
    assert all(row.isprintable() for row in words(drills.asked(named("leak"), "\x1b[2J", 78)))
