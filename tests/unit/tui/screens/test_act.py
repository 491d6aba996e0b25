"""Being on it: one key on the list or on an incident, a note if one likes, and each is told by name."""

from __future__ import annotations

import pytest

from sentinel import protocol
from sentinel.domain import State
from sentinel.protocol import Action
from sentinel.tui.screens import act
from sentinel.tui.screens.incident import IncidentPage
from sentinel.tui.screens.incidents import IncidentsPage
from tests.unit.tui.conftest import press, screen_text, sees, until


class Spy:
    """The recording as a hub, with the acts that reached it."""

    def __init__(self, hub) -> None:
        self.hub = hub
        self.acts: list[protocol.ActRequest] = []

    async def call(self, request):
        if isinstance(request, protocol.ActRequest):
            self.acts.append(request)
        return await self.hub.call(request)

    def watch(self, since):
        return self.hub.watch(since)

    async def close(self):
        pass


def summary(hub, host):
    return next(i.summary for i in hub._now.values() if i.summary.host == host)


def row(app, host):
    return next(line for line in screen_text(app).splitlines() if f" {host} " in line)


async def elsewhere(hub, host, action=Action.ACKNOWLEDGE):
    """Let something happen to an incident that this terminal did not do."""
    seen = summary(hub, host)
    await hub.call(protocol.ActRequest(incident=seen.id, revision=seen.revision, action=action))


async def test_one_key_a_note_and_enter_put_ones_name_into_the_list(build, hub):
    spy = Spy(hub)
    app = build(port=spy)
    async with app.run_test(size=(80, 24)) as pilot:
        await sees(pilot, "db-01", "i on it")
        assert "@you" not in screen_text(app)
        await press(pilot, "i")
        await sees(pilot, "> 5f02 > ACKNOWLEDGE", "Say that you are on it", "A note is welcome")
        assert spy.acts == []
        await press(pilot, *"since 3", "enter")
        await sees(pilot, "acknowledge: the hub has recorded it")
        await until(pilot, lambda: "@you 97.1%" in row(app, "db-01"))
        await press(pilot, "j", "k")
        await sees(pilot, "on it: you; 97.1% used, +2.1%/min, report-worker 8.10 GiB")
        await press(pilot, "enter")
        await sees(pilot, "AWAITING  on it: you  2m old: waiting for your decision")
    (sent,) = spy.acts
    assert (sent.action, sent.note) == (Action.ACKNOWLEDGE, "since 3")
    assert hub._now[sent.incident].moves[-1].text == "acknowledged by you: since 3"


async def test_what_is_marked_is_acknowledged_one_by_one(build, hub):
    spy = Spy(hub)
    app = build(port=spy)
    async with app.run_test(size=(80, 24)) as pilot:
        await sees(pilot, "db-01")
        await press(pilot, "space", "j", "space", "space")
        await sees(pilot, "3 marked")
        await press(pilot, "i")
        await sees(pilot, "> 3 incidents > ACKNOWLEDGE", "5f02 db-01 memory")
        await sees(pilot, "2d04 web-3 pressure  on it: alice")
        await press(pilot, "enter")
        await sees(pilot, "acknowledge: the hub has recorded 3 incidents")
        hosts = ("db-01", "node-009", "web-3")
        await until(pilot, lambda: all("@you" in row(app, host) for host in hosts))
        assert "@you" not in row(app, "node-017")
    assert [a.incident for a in spy.acts] == [summary(hub, host).id for host in hosts]


async def test_of_several_the_one_that_is_refused_is_named_and_the_others_are_done(build, hub):
    spy = Spy(hub)
    app = build(port=spy)
    async with app.run_test(size=(80, 24)) as pilot:
        await sees(pilot, "db-01")
        await press(pilot, "space", "space", "i")
        await sees(pilot, "> 2 incidents > ACKNOWLEDGE")
        await elsewhere(hub, "db-01", Action.ACKNOWLEDGE)
        await press(pilot, "enter")
        await sees(
            pilot,
            "1 recorded, 1 refused: read those again",
            "5f02 db-01 memory  the incident has changed since you read it",
            "9caf node-017 disk_space  recorded",
        )
        await press(pilot, "enter")
        await until(pilot, lambda: len(spy.acts) == 3)
        assert spy.acts[2].incident == summary(hub, "db-01").id  # what is done is not done twice
        await press(pilot, "escape")
        await until(pilot, lambda: isinstance(app.screen, IncidentsPage))


async def test_all_that_are_marked_can_be_read_before_it_is_done(build, hub):
    app = build(port=Spy(hub))
    async with app.run_test(size=(80, 14)) as pilot:
        await sees(pilot, "db-01")
        await press(pilot, *(["space"] * 7), "i")
        await sees(pilot, "> 7 incidents > ACKNOWLEDGE", "5f02 db-01")
        assert "edge-2" not in screen_text(app)
        await press(pilot, "pagedown")
        await sees(pilot, "4ed9 edge-2 disk_space")
        app._tick()
        await pilot.pause(0.05)
        assert "4ed9 edge-2 disk_space" in screen_text(app)
        await press(pilot, "pageup", "up")
        await sees(pilot, "Say that you are on it")


async def test_more_than_may_be_on_their_way_wait_for_an_answer(build, hub, monkeypatch):
    monkeypatch.setattr(act, "AT_ONCE", 1)
    spy = Spy(hub)
    app = build(port=spy)
    async with app.run_test(size=(80, 24)) as pilot:
        await sees(pilot, "db-01")
        await press(pilot, *(["space"] * 7), "i", "enter")
        await sees(pilot, "the hub has recorded 7 incidents")
    assert len({a.incident for a in spy.acts}) == 7


async def test_a_single_refusal_stays_on_the_dialog_with_its_remedy(build, hub):
    app = build(port=Spy(hub))
    async with app.run_test(size=(80, 24)) as pilot:
        await sees(pilot, "db-01")
        await press(pilot, "enter")
        await sees(pilot, "kill -TERM 2217")
        await press(pilot, "i")
        await sees(pilot, "ACKNOWLEDGE")
        await elsewhere(hub, "db-01")
        await press(pilot, "enter")
        await sees(pilot, "the incident has changed since you read it (read it again)")
        await press(pilot, "escape", "i", "enter")
        await sees(pilot, "acknowledge: the hub has recorded it")


async def test_it_is_given_back_where_somebody_is_on_it(build, hub):
    spy = Spy(hub)
    app = build(port=spy)
    async with app.run_test(size=(80, 24)) as pilot:
        await sees(pilot, "@alice")
        await press(pilot, "b")
        await sees(pilot, "nobody is on it")
        assert isinstance(app.screen, IncidentsPage)
        await press(pilot, "j", "j", "j", "enter")
        await sees(pilot, "UNRESOLVED  on it: alice")
        await press(pilot, "b")
        await sees(pilot, "RELEASE", "Give it back: nobody is on it any more", "on it: alice")
        await press(pilot, "enter")
        await sees(pilot, "release: the hub has recorded it")
        await until(pilot, lambda: "on it: alice" not in screen_text(app).splitlines()[1])
        assert not any(c.name == "release" for c in app.screen.offered())
    assert summary(hub, "web-3").owner == ""


async def test_what_has_ended_is_nobodys(build, hub):
    spy = Spy(hub)
    app = build(port=spy)
    async with app.run_test(size=(80, 24)) as pilot:
        await sees(pilot, "db-01")
        await press(pilot, "o")
        await sees(pilot, "edge-1")
        await press(pilot, "G", "i")
        await sees(pilot, "it has ended: nobody has to be on it")
        await press(pilot, "enter")
        await sees(pilot, "resolved")
        await press(pilot, "i")
        await pilot.pause(0.05)
        assert isinstance(app.screen, IncidentPage)
    assert spy.acts == []


@pytest.mark.parametrize("why", ["--read-only", "a viewer", "stale"])
async def test_who_may_not_act_is_offered_nothing(build, hub, clock, monkeypatch, why):
    spy = Spy(hub)
    if why == "a viewer":
        status = hub._recording.status
        monkeypatch.setattr(
            hub, "_status", lambda: type(status)(**{**fields(status), "role": "viewer"})
        )
    app = build(port=spy, read_only=why == "--read-only")
    async with app.run_test(size=(80, 24)) as pilot:
        await sees(pilot, "db-01", "@alice", "hub ok")
        if why == "stale":
            await press(pilot, "i")
            await sees(pilot, "ACKNOWLEDGE")
            clock.now_ms += 13_000
            await press(pilot, "enter")
            await sees(pilot, "read only: the hub is stale")
            await press(pilot, "escape")
        for keys in (("i",), ("b",), ("j", "j", "j", "enter"), ("i",), ("b",)):
            await press(pilot, *keys)
            await pilot.pause(0.05)
            assert isinstance(app.screen, IncidentsPage | IncidentPage)
            assert not {"acknowledge", "release"} & {c.name for c in app.screen.offered()}
    assert spy.acts == []


def fields(status):
    return {name: getattr(status, name) for name in status.__struct_fields__}


async def test_a_decision_that_is_being_typed_goes_on_when_somebody_else_is_on_it(build, hub):
    app = build(port=Spy(hub))
    async with app.run_test(size=(80, 24)) as pilot:
        await sees(pilot, "db-01")
        await press(pilot, "enter")
        await sees(pilot, "a approve")
        await press(pilot, "a")
        await sees(pilot, "Approving lets")
        await pilot.pause(0.1)
        digits = summary_digits(hub)
        await press(pilot, *digits[:2])
        await elsewhere(hub, "db-01")
        known = summary(hub, "db-01").revision
        await until(pilot, lambda: not app.desk.store.outdated(summary(hub, "db-01").id))
        assert app.desk.store.known_revision(summary(hub, "db-01").id) == known
        await press(pilot, *digits[2:], "enter")
        await sees(pilot, "approved, dry-run: the hub has recorded it")
    assert summary(hub, "db-01").state is not State.MANUAL


def summary_digits(hub):
    incident = hub._now[summary(hub, "db-01").id]
    return incident.plan_digest.removeprefix("sha256:")[:4]
