"""What the hub remembers, as lines. (Against a real hub: tests/e2e/test_drill.py.)"""

from __future__ import annotations

import argparse
import json

import msgspec
import pytest

from sentinel import errors, protocol
from sentinel.domain import Kind
from sentinel.tui.twin import drills, memory


def given(**more):
    return argparse.Namespace(**{"runbook": None, "json": False, **more})


async def test_runbooks_are_listed_with_what_became_of_them(hub, capsys):
    assert await memory.run_runbooks(given(), hub) == 0
    titles, *rows = capsys.readouterr().out.splitlines()
    known = (await hub.call(protocol.RunbooksRequest())).runbooks
    assert titles.split()[:2] == ["RUNBOOK", "COUNT"]
    assert [row.split()[0] for row in rows] == [each.id for each in known]
    (hog,) = (row for row in rows if row.startswith("memory-hog"))
    assert hog.split()[1:5] == ["1", "0", "0", "1"]


async def test_one_runbook_is_told_whole_with_verdicts_and_nothing_drawn(hub, capsys):
    assert await memory.run_runbooks(given(runbook="memory-hog"), hub) == 0
    told = capsys.readouterr().out
    assert "== memory-hog ==" in told
    assert "allow" in told
    assert "kill -TERM {pid}" in told
    assert "─" not in told


async def test_a_runbook_that_does_not_exist_is_answered_with_the_nearest(hub):
    with pytest.raises(errors.OperatorError) as caught:
        await memory.run_runbooks(given(runbook="memory-hgo"), hub)
    assert caught.value.hint == "did you mean memory-hog?"


async def test_services_are_listed_and_those_that_are_not_named_are_counted(hub, capsys):
    assert await memory.run_services(given(), hub) == 0
    titles, *rows = capsys.readouterr().out.splitlines()
    assert titles.split()[-1] == "HOSTS"
    (worker,) = (row for row in rows if row.startswith("report-worker.service"))
    assert worker.split()[1:5] == ["1", "0", "0", "1"]
    assert worker.endswith("db-01")

    class More:
        async def call(self, request):
            return msgspec.structs.replace(await hub.call(request), more=7)

    await memory.run_services(given(), More())
    assert capsys.readouterr().out.endswith("and 7 more\n")


@pytest.mark.parametrize(
    ("run", "kind"),
    [(memory.run_runbooks, protocol.Runbook), (memory.run_services, protocol.Service)],
)
async def test_json_is_one_value_on_each_line(hub, capsys, run, kind):
    await run(given(json=True), hub)
    values = [msgspec.json.decode(line, type=kind) for line in capsys.readouterr().out.splitlines()]
    assert values
    if kind is protocol.Runbook:
        assert any(Kind.MEMORY in value.kinds for value in values)
        await memory.run_runbooks(given(json=True, runbook="memory-hog"), hub)
        assert json.loads(capsys.readouterr().out)["id"] == "memory-hog"


async def test_without_a_drill_in_the_record_that_is_said(hub, capsys):
    assert await drills.run_results(given(), hub) == 0
    assert capsys.readouterr().out == "the hub has no incident of a drill\n"
