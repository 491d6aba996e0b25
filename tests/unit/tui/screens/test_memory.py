"""The memory screen: the hub's own record, page by page."""

from __future__ import annotations

import asyncio

import msgspec

from sentinel import protocol
from sentinel.domain import State
from sentinel.tui.screens import memory
from sentinel.tui.screens.incident import IncidentPage
from tests.unit.tui.conftest import press, screen_text, sees, until


async def test_past_incidents_are_counted_narrowed_and_opened(build):
    async with build().run_test(size=(80, 40)) as pilot:
        await sees(pilot, "hub ok")
        await press(pilot, "5")
        await sees(pilot, "BY KIND", "BY HOST", "PAST INCIDENTS", "edge-1", "resolved")
        await press(pilot, "j", "enter")
        await sees(pilot, "PAST INCIDENTS of kind", "PAST INCIDENTS below: kind ")
        await press(pilot, "enter")
        await until(pilot, lambda: "PAST INCIDENTS of" not in screen_text(pilot.app))
        await sees(pilot, "PAST INCIDENTS below: all")
        await press(pilot, "G", "enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, IncidentPage))
        await press(pilot, "left_square_bracket")
        await sees(pilot, "BY KIND")


async def test_a_runbook_is_read_whole_with_its_verdicts(build):
    async with build().run_test(size=(80, 50)) as pilot:
        await sees(pilot, "hub ok")
        await press(pilot, "5")
        await sees(pilot, "RUNBOOKS", "memory-hog")
        pilot.app.screen.browser.go("more:runbook")
        await press(pilot, "enter")
        await sees(pilot, "zombies-orphaned", "fewer")
        pilot.app.screen.browser.go("runbook:memory-hog")
        await press(pilot, "enter")
        await sees(pilot, "One process holds the memory", "✓ allow  kill -TERM {pid}", "used   ")
        await press(pilot, "q")
        await press(pilot, "y")
        await sees(pilot, "runbook copied")


async def test_a_service_shows_its_incidents_and_older_ones_that_the_hub_finds(build, hub):
    hidden = Hidden(hub, "edge-1")
    async with build(port=hidden).run_test(size=(80, 50)) as pilot:
        await sees(pilot, "hub ok")
        await press(pilot, "5")
        await sees(pilot, "SERVICES", "report-worker.service")
        assert "resolved" not in past_of(pilot)
        pilot.app.screen.browser.go("service:report-worker.service")
        await press(pilot, "enter")
        await sees(pilot, "PAST INCIDENTS of service report-worker.service", "older 1")
        (asked,) = hidden.searched
        assert [m.parts for m in asked.terms[0].any_of] == [("report-worker.service",)]
        await press(pilot, "enter")
        await until(pilot, lambda: "older 1" not in screen_text(pilot.app))


def past_of(pilot):
    return screen_text(pilot.app).partition("PAST INCIDENTS")[2]


class Hidden:
    """A hub whose incidents of one host come only to who searches, and are of the service then."""

    def __init__(self, hub, host) -> None:
        self.hub, self.host, self.searched = hub, host, []

    async def call(self, request):
        if not isinstance(request, protocol.ListRequest) or request.open_only:
            return await self.hub.call(request)
        page = await self.hub.call(msgspec.structs.replace(request, terms=()))
        chosen = [s for s in page.summaries if s.host != self.host]
        if request.terms:
            self.searched.append(request)
            (old,) = (s for s in page.summaries if s.host == self.host)
            chosen = [
                msgspec.structs.replace(old, service="report-worker.service", evidence="older 1")
            ]
        return protocol.Page(summaries=tuple(chosen), revision=page.revision)

    def watch(self, since):
        return self.hub.watch(since)

    async def close(self):
        await asyncio.sleep(0)


class Long:
    """A hub with many more incidents than a page has room for."""

    def __init__(self, hub, count) -> None:
        self.hub, self.count, self.asked = hub, count, []

    async def call(self, request):
        if not isinstance(request, protocol.ListRequest) or request.open_only:
            return await self.hub.call(request)
        self.asked.append(request)
        some = next(iter(self.hub._now.values())).summary
        start = 0 if request.before is None else int(request.before[-12:]) + 1
        numbers = range(start, min(self.count, start + request.limit))
        made = [
            msgspec.structs.replace(
                some, id=f"019aa40f-0000-7000-8000-{n:012d}", state=State.RESOLVED
            )
            for n in numbers
        ]
        return protocol.Page(summaries=tuple(made), revision=1, more=numbers.stop < self.count)

    def watch(self, since):
        return self.hub.watch(since)

    async def close(self):
        await asyncio.sleep(0)


async def test_a_long_record_is_looked_back_on_as_far_as_there_is_room(build, hub, clock):
    long = Long(hub, 5000)
    async with build(port=long).run_test(size=(80, 24)) as pilot:
        await sees(pilot, "hub ok")
        await press(pilot, "5")
        await sees(pilot, f"of the newest {memory.MOST}:")
        assert len(long.asked) == memory.MOST // memory.PAGE
        clock.now_ms += memory.REFRESH_MS
        pilot.app.desk.store.updated(protocol.Update(revision=1), clock())
        pilot.app._tick()
        await until(pilot, lambda: len(long.asked) == memory.MOST // memory.PAGE + 1)
        await pilot.pause(0.05)
        assert (
            len(long.asked) == memory.MOST // memory.PAGE + 1
        )  # nothing new: it is not read again
