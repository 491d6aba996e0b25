"""Stop after this command: offered while a plan is under way, and done by a dialog, never by its key."""

from __future__ import annotations

import msgspec

from sentinel import protocol
from sentinel.domain import Halt, State, Stopping
from sentinel.protocol import Action
from sentinel.tui.screens.incident import IncidentPage
from tests.unit.tui.conftest import press, sees


class Hub:
    """The recording as a hub that can stop plans."""

    def __init__(self, hub) -> None:
        self.hub = hub
        self.stops: list[protocol.ActRequest] = []

    async def call(self, request):
        if not isinstance(request, protocol.ActRequest):
            return await self.hub.call(request)
        assert request.action is Action.STOP
        self.stops.append(request)
        asked = Stopping(
            challenge="0" * 32, by="you", reason=request.note, asked_ms=1, answer=Halt.STOPPING
        )
        now = self.hub._now[request.incident]
        self.hub._now[request.incident] = msgspec.structs.replace(now, stopping=asked)
        return self.hub._now[request.incident]

    def watch(self, since):
        return self.hub.watch(since)

    async def close(self):
        pass


def incident_of(hub, host):
    return next(i for i in hub._now.values() if i.summary.host == host)


async def test_x_stops_a_plan_that_runs_with_a_reason(build, hub):
    spy = Hub(hub)
    app = build(port=spy)
    incident = incident_of(hub, "edge-2")
    assert incident.summary.state is State.EXECUTING
    async with app.run_test(size=(100, 30)) as pilot:
        await sees(pilot, "edge-2")
        app.push_screen(IncidentPage(app.desk, incident.summary.id))
        await sees(pilot, "RUN", "x stop")
        await press(pilot, "x")
        await sees(pilot, "> STOP", "nothing starts after it", "A note is welcome")
        assert spy.stops == []
        await press(pilot, *"wrong host", "enter")
        await sees(pilot, "STOPPING after this command: you", "wrong host")
        # It is asked for once.
        await press(pilot, "x")
        await sees(pilot, "STOPPING after this command: you")
    (sent,) = spy.stops
    assert (sent.incident, sent.note) == (incident.summary.id, "wrong host")
    assert sent.revision == incident.summary.revision


async def test_escape_leaves_and_the_plan_goes_on(build, hub):
    spy = Hub(hub)
    app = build(port=spy)
    async with app.run_test(size=(80, 24)) as pilot:
        await sees(pilot, "edge-2")
        app.push_screen(IncidentPage(app.desk, incident_of(hub, "edge-2").summary.id))
        await sees(pilot, "x stop")
        await press(pilot, "x")
        await sees(pilot, "> STOP")
        await press(pilot, *"no", "escape")
        await sees(pilot, "x stop")
    assert spy.stops == []


async def test_what_does_not_run_is_not_offered_to_be_stopped(build, hub):
    app = build(port=Hub(hub))
    async with app.run_test(size=(100, 30)) as pilot:
        await sees(pilot, "db-01")
        app.push_screen(IncidentPage(app.desk, incident_of(hub, "db-01").summary.id))
        await sees(pilot, "a approve")
        assert not app.screen.check_action("halt", ())
        await press(pilot, "x")
        await sees(pilot, "a approve")
