"""The program as a whole: what the hub says reaches the screen, and keys do what the footer says."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator
from functools import partial

import msgspec
import pytest

from sentinel import errors, protocol
from sentinel.domain import Severity, State, Value
from sentinel.tui import app as app_module
from sentinel.tui import client as client_module
from sentinel.tui import window
from sentinel.tui.app import SentinelApp
from sentinel.tui.look import Skin
from sentinel.tui.output import PATIENCE_S
from sentinel.tui.recorded import RecordedHub
from sentinel.tui.screens.incident import IncidentPage
from sentinel.tui.screens.incidents import IncidentsPage
from sentinel.tui.screens.page import Page
from sentinel.tui.screens.pager import Pager
from tests.unit.tui.conftest import press, screen_text, sees, until
from tests.unit.tui.test_window import Hub as Rows


class Wire:
    """A hub whose answers come from the recording and whose watch says what a test tells it to."""

    def __init__(self, hub) -> None:
        self._hub = hub
        self._updates: asyncio.Queue[protocol.Update | errors.PeerError] = asyncio.Queue()
        self.requests: list[Value] = []

    def say(self, update: protocol.Update | errors.PeerError) -> None:
        self._updates.put_nowait(update)

    async def call(self, request: Value) -> Value:
        self.requests.append(request)
        return await self._hub.call(request)

    async def watch(self, since: int) -> AsyncIterator[protocol.Update]:
        yield protocol.Update(revision=since, status=self._hub._status())
        while True:
            said = await self._updates.get()
            if isinstance(said, errors.PeerError):
                raise said
            yield said

    async def close(self) -> None:
        pass


@contextlib.asynccontextmanager
async def running(app, size=(80, 24)):
    async with app.run_test(size=size) as pilot:
        await sees(pilot, "hub ok", "db-01")
        yield pilot


def row_of(app, host):
    return next(n for n, line in enumerate(screen_text(app).splitlines()) if host in line)


async def test_the_list_shows_the_hubs_incidents_with_those_that_need_you_first(build):
    async with running(build()) as pilot:
        lines = screen_text(pilot.app).splitlines()
    assert lines[0].startswith(" sentinel > prod-dc1")
    assert lines[1].startswith(" 7 open  3 to decide")

    assert lines[3].startswith("> 5f02   2m CRIT db-01      memory     AWAITING   ✓ allow")
    assert "4ed9" in lines[9]


async def test_a_host_that_its_column_cuts_is_named_below(build, hub):
    wire = Wire(hub)
    async with running(build(port=wire)) as pilot:
        first = pilot.app.desk.snapshot.summaries[0]
        host = "db-01.eu-west.example.com"
        named = msgspec.structs.replace(first, revision=99_999, host=host)
        wire.say(protocol.Update(revision=99_999, summary=named))
        await sees(pilot, f" {host}; {named.evidence}"[:70], "db-01.eu-…")
        await pilot.resize_terminal(160, 50)
        await sees(pilot, host[:23])
        await until(pilot, lambda: f"{host}; " in screen_text(pilot.app))  # 25 of 24 cells


async def test_an_update_repaints_its_row_and_the_cursor_stays_with_its_incident(build, hub):
    wire = Wire(hub)
    async with running(build(port=wire)) as pilot:
        await press(pilot, "j")
        assert screen_text(pilot.app).splitlines()[4].startswith("> 9caf")
        page = await hub.call(protocol.ListRequest())
        swap = next(s for s in page.summaries if s.host == "db-02")
        urgent = msgspec.structs.replace(
            swap, revision=99_999, state=State.AWAITING, severity=Severity.CRITICAL, id="zz-first"
        )
        wire.say(protocol.Update(revision=99_999, summary=urgent))
        await until(pilot, lambda: "db-02" in screen_text(pilot.app).splitlines()[3])
        assert screen_text(pilot.app).splitlines()[5].startswith("> 9caf")


async def test_ages_go_on_while_nothing_else_happens(build, clock):
    async with running(build()) as pilot:
        assert " 2m CRIT db-01" in screen_text(pilot.app)
        clock.now_ms += 60_000
        pilot.app.desk.store.updated(protocol.Update(revision=1), clock())
        pilot.app._tick()
        await sees(pilot, " 3m CRIT db-01")


def paints(app):
    """Return the times at which the screen on top has been brought up to date from now on."""
    times, update = [], app.screen.update_view

    def updated():
        times.append(asyncio.get_running_loop().time())
        update()

    app.screen.update_view = updated
    return times


async def test_what_changes_by_itself_is_painted_a_few_times_a_second(build, hub):
    wire = Wire(hub)
    async with running(build(port=wire)) as pilot:
        times = paints(pilot.app)
        for revision in range(20):
            wire.say(protocol.Update(revision=revision))
            await asyncio.sleep(0.05)
        assert 2 <= len(times) <= 5
        gaps = [b - a for a, b in itertools.pairwise(times)]
        assert min(gaps) > app_module.APART_S - 0.01


async def test_what_a_person_asked_for_does_not_wait_for_its_turn(build, hub):
    wire = Wire(hub)
    async with running(build(port=wire)) as pilot:
        wire.say(protocol.Update(revision=1))
        times = paints(pilot.app)
        await until(pilot, lambda: times)
        asked = asyncio.get_running_loop().time()
        pilot.app.screen.ask(protocol.StatusRequest())
        await until(pilot, lambda: len(times) == 2)
        assert times[1] - asked < app_module.APART_S - app_module.FLUSH_S


async def test_a_screen_that_stays_true_is_not_looked_at(build, hub, monkeypatch):
    wire = Wire(hub)
    async with running(build(port=wire)) as pilot:
        await asyncio.sleep(0.1)
        times = paints(pilot.app)
        for lasts_s in (10.0, 0.1):
            monkeypatch.setattr(pilot.app.screen, "lasts_s", lambda lasts_s=lasts_s: lasts_s)
            pilot.app._tick()
            times.clear()
            await asyncio.sleep(0.5)
            assert (len(times) > 2) == (lasts_s < 0.5)


async def test_a_screen_that_is_opened_does_not_wait_for_the_one_below(build, hub, monkeypatch):
    monkeypatch.setattr(IncidentsPage, "lasts_s", lambda _: 60.0)
    monkeypatch.setattr(Pager, "lasts_s", lambda _: 0.1)
    async with running(build(port=Wire(hub))) as pilot:
        await asyncio.sleep(0.2)
        await press(pilot, "question_mark")  # help: it asks the hub for nothing
        await sees(pilot, "WHAT IT MEANS")
        times = paints(pilot.app)
        await until(pilot, lambda: len(times) > 2)


async def test_a_lost_answer_is_asked_for_again_whatever_the_screen_says(build, hub, monkeypatch):
    wire = Wire(hub)
    async with running(build(port=wire)) as pilot:
        app = pilot.app
        monkeypatch.setattr(app.screen, "lasts_s", lambda: 60.0)
        monkeypatch.setattr(SentinelApp, "is_headless", False)
        app._send_frame()
        app._answered()
        app._on_time()
        assert not app._pacer.waiting
        app._shadow.forget()
        app._send_frame()
        assert app._pacer.waiting
        assert app._ticking.when() - app._now_s() <= PATIENCE_S


def at_a_tick(app):
    app.screen.update_view = lambda: 1 / 0
    app._flush_soon()


def in_a_frame(app):
    app._send_frame = lambda: 1 / 0
    app._frame_soon()


@pytest.mark.parametrize("breaks", [at_a_tick, in_a_frame])
async def test_an_error_where_nobody_waits_ends_the_program_and_says_so(build, breaks):
    async def run():
        async with running(build()) as pilot:
            breaks(pilot.app)
            await asyncio.sleep(0.2)

    with pytest.raises(ZeroDivisionError):
        await run()


async def test_a_lost_hub_is_told_and_makes_everything_read_only(build, hub, clock, monkeypatch):
    monkeypatch.setattr(client_module, "BACKOFF_S", (30.0,))
    wire = Wire(hub)
    async with running(build(port=wire)) as pilot:
        await press(pilot, "enter")
        await sees(pilot, "a approve")
        wire.say(errors.PeerError("no route to host", hint="look at the cable"))
        await sees(
            pilot, "STALE", "READ ONLY", "hub unreachable: no route to host look at the cable"
        )
        assert "a approve" not in screen_text(pilot.app)
        await press(pilot, "a", "r", "p", "m", "c")
        assert isinstance(pilot.app.screen, IncidentPage)


async def test_what_nobody_asked_for_does_not_stand_before_the_hubs_trouble(
    build, hub, monkeypatch
):
    monkeypatch.setattr(client_module, "BACKOFF_S", (30.0,))

    class Half(Wire):
        async def call(self, request):
            if getattr(request, "before", ""):  # earlier incidents like the one that is shown
                self.say(errors.PeerError("no route to host"))
                raise errors.PeerError("no answer from the hub")
            return await super().call(request)

    async with running(build(port=Half(hub))) as pilot:
        await press(pilot, "enter")
        await sees(pilot, "hub unreachable: no route to host")


async def test_a_hub_that_comes_back_is_watched_from_where_it_was_left(build, hub, monkeypatch):
    monkeypatch.setattr(client_module, "BACKOFF_S", (0.01,))
    wire = Wire(hub)
    async with running(build(port=wire)) as pilot:
        wire.say(errors.PeerError("gone"))
        await sees(pilot, "hub ok")
        lists = [r for r in wire.requests if isinstance(r, protocol.ListRequest)]
        assert len(lists) == 1


async def test_a_silent_hub_becomes_stale(build, clock):
    async with running(build()) as pilot:
        clock.now_ms += 13_000
        pilot.app._tick()
        await sees(pilot, "STALE 13s: the hub is silent")


async def test_enter_opens_the_incident_and_q_goes_back(build):
    async with running(build()) as pilot:
        await press(pilot, "enter")
        await sees(pilot, "WHAT", "WHY by playbook:memory-hog", "kill -TERM 2217")
        await press(pilot, "q")
        assert isinstance(pilot.app.screen, IncidentsPage)


async def test_an_incident_is_read_again_when_it_changes(build, hub):
    wire = Wire(hub)
    async with running(build(port=wire)) as pilot:
        await press(pilot, "enter")
        await sees(pilot, "kill -TERM 2217")
        chosen = pilot.app.screen.incident.summary

        def read():  # earlier incidents like it are asked for as well, some time
            return [r for r in wire.requests if isinstance(r, protocol.GetRequest)]

        before = len(read())
        newer = msgspec.structs.replace(chosen, revision=chosen.revision + 1)
        wire.say(protocol.Update(revision=newer.revision, summary=newer))
        await until(pilot, lambda: len(read()) > before)
        await pilot.pause(0.1)
    assert read()[before:] == [protocol.GetRequest(incident=chosen.id)]


async def test_the_filter_narrows_as_it_is_typed_and_escape_clears_it(build):
    async with running(build()) as pilot:
        await press(pilot, "slash", *"host=db")
        await until(pilot, lambda: "node-017" not in screen_text(pilot.app))
        assert "db-02" in screen_text(pilot.app)
        await press(pilot, "enter", "escape")
        await sees(pilot, "node-017")


async def test_a_wrong_filter_says_what_is_wrong(build):
    async with running(build()) as pilot:
        await press(pilot, "slash", *"hots=x")
        await sees(pilot, "there is no field hots: did you mean host?")


async def test_those_that_ended_are_shown_on_demand(build):
    async with running(build()) as pilot:
        assert "edge-1" not in screen_text(pilot.app)
        await press(pilot, "o")
        await sees(pilot, "edge-1", "resolved")
        await press(pilot, "o")
        await until(pilot, lambda: "edge-1" not in screen_text(pilot.app))


async def test_n_goes_round_those_that_need_somebody(build):
    async with running(build()) as pilot:
        seen = []
        for _ in range(6):
            line = next(x for x in screen_text(pilot.app).splitlines() if x.startswith("> "))
            seen.append(line.split()[1])
            await press(pilot, "n")
            await pilot.pause()
        assert seen == ["5f02", "9caf", "459d", "2d04", "d8e2", "5f02"]


async def test_the_help_of_every_screen_lists_what_its_footer_shows(build):
    async with running(build(), size=(120, 50)) as pilot:
        for opening in (("1",), ("1", "enter"), ("1", "enter", "enter"), ("2",), ("3",)):
            await press(pilot, *opening)
            await pilot.pause(0.1)
            page = pilot.app.screen
            assert isinstance(page, Page)
            offered = [k for k in page.offered() if k.shown]
            await press(pilot, "question_mark")
            await sees(pilot, "> help", "WHAT IT MEANS")
            for offer in offered:
                assert (offer.more or offer.what) in screen_text(pilot.app)
            await press(pilot, "q")


async def test_nodes_and_audit_are_one_key_away(build):
    async with running(build()) as pilot:
        await press(pilot, "2")
        await sees(pilot, "9 nodes  8 connected  1 LOST", "! DRIFT")
        await press(pilot, "3")
        await sees(pilot, "records, newest first", "judged-runnable")
        await press(pilot, "enter")
        await sees(pilot, "BODY, exactly as it was hashed")
        await press(pilot, "1")
        await sees(pilot, "to decide")


async def test_a_demo_is_labelled_on_every_screen(build):
    app = build(demo=True)
    async with running(app) as pilot:
        for keys in (("1",), ("enter",), ("enter",), ("q", "a"), ("escape", "r"), ("2",), ("3",)):
            await press(pilot, *keys)
            await pilot.pause(0.1)
            assert screen_text(app).startswith(" DEMO "), keys
        await press(pilot, "1", "2")
        await sees(pilot, "nothing here runs on any host")


async def test_a_viewer_is_offered_nothing_that_changes_anything(build):
    async with running(build(read_only=True)) as pilot:
        await sees(pilot, "READ ONLY (--read-only)")
        await press(pilot, "enter")
        await sees(pilot, "kill -TERM 2217")
        await press(pilot, "a", "r", "p", "m", "c")
        await pilot.pause(0.05)
        assert isinstance(pilot.app.screen, IncidentPage)
        assert not {"approve", "reject"} & {key.what for key in pilot.app.screen.offered()}


@pytest.mark.parametrize("key", ["a", "r", "e", "p", "m", "c", "i", "b"])
async def test_a_viewers_keys_are_refused_with_the_reason(build, recording, clock, key):
    status = msgspec.structs.replace(recording.status, role="viewer")
    seen = RecordedHub(msgspec.structs.replace(recording, status=status), clock, alone=False)
    wire = Wire(seen)
    async with running(build(port=wire)) as pilot:
        await sees(pilot, "READ ONLY (you are a viewer)")
        await press(pilot, "enter")
        await sees(pilot, "kill -TERM 2217")
        await press(pilot, key)
        await sees(pilot, " read only: you are a viewer")
        assert isinstance(pilot.app.screen, IncidentPage)
        assert not any(command.mutates for command in pilot.app.screen.offered())
    assert not any(
        isinstance(r, protocol.ActRequest | protocol.DecideRequest) for r in wire.requests
    )


async def test_ascii_leaves_nothing_else_on_the_screen(build):
    async with running(build(ascii=True)) as pilot:
        for keys in ((), ("enter",), ("enter",), ("2",), ("3",), ("1", "question_mark")):
            await press(pilot, *keys)
            await pilot.pause(0.1)
            assert screen_text(pilot.app).isascii()
        await press(pilot, "q")
        await sees(pilot, "x BLOCK", "+ allow")


async def test_without_colour_there_is_no_colour(build):
    app = build(skin=Skin.MONO)
    async with running(app) as pilot:
        for keys in ((), ("enter",), ("enter",), ("2",)):
            await press(pilot, *keys)
            await pilot.pause(0.1)
            for strip in app.screen._compositor.render_strips():
                for segment in strip:
                    style = segment.style
                    assert style is None or style.color is None or style.color.is_default


async def test_what_does_not_change_is_not_painted_again(build):
    app = build()
    async with running(app) as pilot:
        await press(pilot, "enter")
        await sees(pilot, "kill -TERM 2217")
        painted = []
        browser = app.screen.query_one("Browser")
        draw = browser.render_line
        browser.render_line = lambda y: painted.append(y) or draw(y)
        app._tick()
        await pilot.pause(0.1)
        assert painted == []
        await press(pilot, "j")
        await pilot.pause(0.1)
        assert len(painted) == 2


async def test_it_survives_the_smallest_terminal_and_back(build):
    app = build()
    async with running(app) as pilot:
        for keys in ((), ("enter",), ("enter",), ("q", "a"), ("escape", "2"), ("3",)):
            await press(pilot, *keys)
            await pilot.resize_terminal(40, 10)
            await pilot.pause(0.1)
            lines = screen_text(app).splitlines()
            assert "hub ok" in lines[0]
            assert "help" in lines[-1]
            await pilot.resize_terminal(80, 24)
            await pilot.pause(0.1)
            assert len(screen_text(app).splitlines()) == 24


@pytest.mark.parametrize("key", list("ABCDFHOPQRS~"))
async def test_what_a_split_escape_sequence_leaves_behind_decides_nothing(build, hub, key):
    wire = Wire(hub)
    async with running(build(port=wire)) as pilot:
        await press(pilot, "enter")
        await sees(pilot, "kill -TERM 2217")
        await press(pilot, "escape", "left_square_bracket", key)
        await pilot.pause(0.05)
        assert {type(r) for r in wire.requests} <= {protocol.ListRequest, protocol.GetRequest}


async def test_a_plan_below_the_fold_is_pointed_to(build):
    async with running(build()) as pilot:
        await press(pilot, "enter")
        await sees(pilot, "PLAN 1", "WHAT")
        assert "the plan is on the next page" not in screen_text(pilot.app)
        await pilot.resize_terminal(80, 14)
        await press(pilot, "g")
        pilot.app._tick()
        await sees(pilot, "the plan is on the next page: PgDn")
        await press(pilot, "enter")  # nothing on the screen is under the cursor: it is shown first
        await sees(pilot, ">  1 ✓ allow")
        assert isinstance(pilot.app.screen, IncidentPage)
        await press(pilot, "g", "pagedown")
        await sees(pilot, ">  1 ✓ allow")
        pilot.app._tick()
        await until(pilot, lambda: "the next page" not in screen_text(pilot.app))


class Long:
    """The recording as a hub whose list is longer than a page."""

    def __init__(self, hub):
        self.hub, self.rows = hub, Rows(600)
        self.watch, self.close = hub.watch, hub.close

    async def call(self, request):
        if not isinstance(request, protocol.ListRequest):
            return await self.hub.call(request)
        self.rows.key = partial(window.key, order=request.order)
        return self.rows.answer(request)


async def test_a_part_of_the_list_is_sorted_by_the_hub_and_begins_at_the_top(build, hub):
    long = Long(hub)
    async with build(port=long).run_test(size=(80, 24)) as pilot:
        await sees(pilot, "hub ok", "web-")
        await press(pilot, "j", "j", "s", "s")
        await sees(pilot, "by severity")
        first = long.rows.order()[0].id[-4:]  # in the order that was asked for last
        await until(pilot, lambda: screen_text(pilot.app).splitlines()[3].startswith(f"> {first}"))
    assert long.rows.key.keywords == {"order": protocol.Order.SEVERITY}


async def test_what_no_row_that_is_here_matches_is_asked_of_the_hub(build, hub):
    long = Long(hub)
    far = long.rows.order()[-1]
    long.rows.rows[far.id] = msgspec.structs.replace(far, host="zz-far-away")
    async with build(port=long).run_test(size=(80, 24)) as pilot:
        await sees(pilot, "hub ok", "web-")
        await press(pilot, "slash", *"host=zz-far", "enter")
        await sees(pilot, "zz-far-away", "shows 1")
        await press(pilot, "slash", *"x")
        await sees(pilot, "nothing matches /host=zz-farx")
        await press(pilot, "escape", "escape")
        await sees(pilot, "web-")


async def test_a_plan_that_was_read_past_is_pointed_to_above(build):
    async with running(build()) as pilot:
        await press(pilot, "enter")
        await sees(pilot, "PLAN 1", "WHAT")
        await pilot.resize_terminal(80, 14)
        await press(pilot, "G")
        pilot.app._tick()
        await sees(pilot, "the plan is above: PgUp")


async def test_enter_on_a_node_shows_its_open_incidents_and_one_can_go_back(build):
    async with running(build()) as pilot:
        await press(pilot, "2")
        await sees(pilot, "9 nodes", "↵ its incidents")
        pilot.app.screen.browser.go("web-3")
        await press(pilot, "enter")
        await sees(pilot, "/host=web-3 shows 1", "> 2d04")
        await press(pilot, "left_square_bracket")
        await sees(pilot, "9 nodes")


async def test_what_was_said_is_gone_when_one_comes_back(build):
    async with running(build()) as pilot:
        await press(pilot, "y")
        await sees(pilot, "id copied")
        await press(pilot, "2")
        await sees(pilot, "9 nodes")
        await press(pilot, "1")
        await sees(pilot, "7 open")
        assert "copied" not in screen_text(pilot.app)


async def test_the_way_to_a_finding_is_offered_where_there_is_one(build):
    async with running(build()) as pilot:
        await press(pilot, "enter")
        await sees(pilot, "kill -TERM 2217", "a approve")
        assert "n finding" not in screen_text(pilot.app)
        await press(pilot, "q")
        await sees(pilot, "> 5f02")
        await press(pilot, "j", "enter")
        await sees(pilot, "never.audit.logs", "n finding", "p replan")


@pytest.mark.parametrize("name", ["services", "runbooks"])
async def test_what_memory_holds_is_found_by_its_own_name(build, name):
    async with running(build()) as pilot:
        await press(pilot, "colon", *name, "enter")
        await sees(pilot, "> memory", name.upper())
