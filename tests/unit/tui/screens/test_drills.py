"""The drills' screen: results from the hub, and a dialog that fires one here and nowhere else."""

from __future__ import annotations

import platform

import msgspec
import pytest

from sentinel.drill import fire, scenarios
from sentinel.tui.recorded import RecordedHub
from sentinel.tui.screens import drills
from sentinel.tui.screens.drills import FirePage
from sentinel.tui.screens.incident import IncidentPage
from tests.unit.tui.conftest import press, screen_text, sees, until


@pytest.fixture
def mine(monkeypatch, tmp_path):
    """The drills under process names of the test's own; each is told off when the test ends."""
    renamed = tuple(
        msgspec.structs.replace(each, process=f"d{id(tmp_path) % 10**9}{each.name[:2]}")
        for each in scenarios.SCENARIOS
    )
    monkeypatch.setattr(scenarios, "SCENARIOS", renamed)
    return renamed


@pytest.fixture
def drilled(recording, clock):
    """The recording, its first incident being one of the drill `leak`."""
    of, *others = recording.incidents
    report = of.incident.report
    process = report.context.processes[0]
    hog = msgspec.structs.replace(process, name="drill-leak", age_s=9)
    context = msgspec.structs.replace(report.context, processes=(hog,))
    summary = msgspec.structs.replace(of.incident.summary, evidence="· drill-leak (pid 2217)")
    incident = msgspec.structs.replace(
        of.incident, summary=summary, report=msgspec.structs.replace(report, context=context)
    )
    changed = (msgspec.structs.replace(of, incident=incident), *others)
    return RecordedHub(msgspec.structs.replace(recording, incidents=changed), clock, alone=False)


async def at_drills(pilot):
    await sees(pilot, "hub ok")
    await press(pilot, "6")
    await sees(pilot, "SCENARIOS", "the hub has no incident")


async def test_results_come_from_the_hubs_record(build, drilled):
    async with build(port=drilled).run_test(size=(80, 24)) as pilot:
        await sees(pilot, "hub ok")
        await press(pilot, "6")
        await sees(pilot, "SCENARIOS", "zombies", "3 of 3", "AWAITING")
        await press(pilot, "G", "enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, IncidentPage))
        await press(pilot, "left_square_bracket")
        await sees(pilot, "SCENARIOS")


async def test_without_a_drill_in_the_record_that_is_said(build):
    async with build().run_test(size=(80, 24)) as pilot:
        await sees(pilot, "hub ok")
        await press(pilot, "colon", *"drills", "enter")
        await sees(pilot, "the hub has no incident of a drill")


async def test_a_drill_is_fired_here_after_its_name_is_typed(build, mine):
    app = build()
    async with app.run_test(size=(80, 24)) as pilot:
        await at_drills(pilot)
        await press(pilot, "j", "j", "f")
        await sees(pilot, f"Fire files on {platform.node()}")
        await press(pilot, "enter")
        await sees(pilot, "type files to fire it")
        assert not app.desk.drills
        await press(pilot, *"files", "enter")
        await sees(pilot, "files runs as pid")
        fired = app.desk.drills["files"]
        try:
            await sees(pilot, f"RUNS as pid {fired.pid}")
            await until(pilot, lambda: fire.running(mine[2]) == fired.pid)
            await press(pilot, "enter", *"files", "enter")
            await sees(pilot, f"the drill files runs already, as pid {fired.pid}")
            await press(pilot, "escape")
        finally:
            fired.end()
        pilot.app._tick()
        await until(pilot, lambda: "RUNS as pid" not in screen_text(app))
    assert not fire.running(mine[2])


@pytest.mark.parametrize(
    ("options", "reason"),
    [({"demo": True}, "a drill is real"), ({"read_only": True}, "read only: --read-only")],
)
@pytest.mark.parametrize("keys", [("f",), ("enter",), ("colon", *"fire", " ", *"leak", "enter")])
async def test_where_nothing_may_be_done_no_dialog_opens(build, options, reason, keys):
    app = build(**options)
    async with app.run_test(size=(80, 24)) as pilot:
        await at_drills(pilot)
        await press(pilot, *keys)
        await sees(pilot, reason)
        assert not isinstance(app.screen, FirePage)


async def test_a_name_that_is_wrong_opens_nothing(build):
    app = build()
    async with app.run_test(size=(80, 24)) as pilot:
        await at_drills(pilot)
        await press(pilot, "colon", *"fire", " ", *"leek", "enter")
        await sees(pilot, "there is no drill 'leek': did you mean leak?")


async def test_esc_leaves_the_dialog_and_fires_nothing(build, monkeypatch):
    monkeypatch.setattr(drills.fire, "fire", lambda _: pytest.fail("fired"))
    app = build()
    async with app.run_test(size=(80, 24)) as pilot:
        await at_drills(pilot)
        await press(pilot, "enter")
        await sees(pilot, "Fire leak on")
        await press(pilot, "escape")
        await sees(pilot, "SCENARIOS")
        assert not app.desk.drills
