"""The decision dialog: no careless key decides, and nothing is signed that was not on the screen."""

from __future__ import annotations

import contextlib

import msgspec
import pytest
from textual import events

from sentinel import canonical, errors, protocol
from sentinel.domain import Choice, Mode, State, Statement
from sentinel.tui import decide
from sentinel.tui.client import Answered
from sentinel.tui.screens.decide import DecidePage
from sentinel.tui.screens.incident import IncidentPage
from tests.unit.tui.conftest import press, screen_text, sees, until


class Spy:
    """The recording as a hub, with every decision that reached it."""

    def __init__(self, hub) -> None:
        self.hub = hub
        self.decisions: list[Statement] = []
        self.conflict = False

    async def call(self, request):
        if isinstance(request, protocol.DecideRequest):
            said = canonical.decode(Statement, request.statement.encode(), limit=4096)
            self.decisions.append(said)
            if self.conflict:
                raise errors.ConflictError("somebody was first", hint="read it again")
        return await self.hub.call(request)

    def watch(self, since):
        return self.hub.watch(since)

    async def close(self):
        pass


@pytest.fixture
def spy(hub):
    return Spy(hub)


def case(recording, host):
    return next(r.incident for r in recording.incidents if r.incident.summary.host == host)


def identity(spy, host):
    return next(i for i, each in spy.hub._now.items() if each.summary.host == host)


@contextlib.asynccontextmanager
async def deciding(build, spy, host="db-01", key="a", size=(80, 24), hook=None, **options):
    """Open the dialog on the incident of `host`."""
    app = build(port=spy, **options)
    async with app.run_test(size=size, message_hook=hook) as pilot:
        await sees(pilot, host)
        app.push_screen(IncidentPage(app.desk, identity(spy, host)))
        await sees(pilot, "WHAT")
        await press(pilot, key)
        await until(pilot, lambda: isinstance(app.screen, DecidePage))
        await sees(pilot, "Approving lets" if key == "a" else "Rejecting the plan")
        await pilot.pause(0.05)
        yield pilot


def digits(recording, host="db-01"):
    return decide.digits(decide.offer(case(recording, host), Mode.LIVE))


async def test_the_digits_and_enter_approve_a_rehearsal(build, spy, recording, clock):
    seen = []
    async with deciding(build, spy, hook=seen.append) as pilot:
        await press(pilot, *digits(recording), "enter")
        await sees(pilot, "approved, dry-run: the hub has recorded it")
        assert isinstance(pilot.app.screen, IncidentPage)
    (said,) = spy.decisions
    incident = case(recording, "db-01")
    assert said.choice is Choice.APPROVE
    assert said.mode is Mode.DRY_RUN
    assert said.plan == incident.plan_digest
    assert said.challenge == incident.report.challenge
    assert said.operator == "you"
    assert said.issued_ms == clock()
    answered = [m for m in seen if isinstance(m, Answered)]
    assert any(isinstance(m.request, protocol.DecideRequest) for m in answered)


async def test_t_asks_for_live_and_the_digits_have_to_be_typed_for_that(build, spy, recording):
    async with deciding(build, spy) as pilot:
        await press(pilot, *digits(recording), "t")
        await sees(pilot, "LIVE: the node does it", "RUN   kill -TERM 2217")
        await press(pilot, "enter")
        await sees(pilot, "these are not the first 4 digits")
        assert spy.decisions == []
        await press(pilot, *digits(recording), "enter")
        await sees(pilot, "approved, live")
    assert [said.mode for said in spy.decisions] == [Mode.LIVE]


@pytest.mark.parametrize(
    "keys",
    [["enter"], [*"0000", "enter"], [*"83e", "enter"], ["y"], ["a"], ["enter"] * 5],
)
async def test_no_other_key_decides_anything(build, spy, keys):
    async with deciding(build, spy) as pilot:
        await press(pilot, *keys)
        await pilot.pause(0.05)
        assert isinstance(pilot.app.screen, DecidePage)
    assert spy.decisions == []


async def test_keys_that_were_typed_before_the_dialog_was_drawn_are_dropped(build, spy, recording):
    app = build(port=spy)
    async with app.run_test(size=(80, 24)) as pilot:
        await sees(pilot, "db-01")
        await press(pilot, "enter")
        await sees(pilot, "kill -TERM 2217")
        page = DecidePage(app.desk, case(recording, "db-01").summary.id, Choice.APPROVE)
        app.push_screen(page)
        for char in (*digits(recording), "\r"):
            app.simulate_key("enter" if char == "\r" else char)
        await sees(pilot, "Approving lets")
        await pilot.pause(0.1)
        assert spy.decisions == []
        assert page._digest.value == ""
        await press(pilot, *digits(recording), "enter")
        await until(pilot, lambda: len(spy.decisions) == 1)


async def test_a_pasted_text_is_text_and_no_key(build, spy, recording):
    async with deciding(build, spy) as pilot:
        pilot.app.screen.post_message(events.Paste(f"{digits(recording)}\n\n" + "x" * 100_000))
        pilot.app.screen.focused.post_message(events.Paste(f"{digits(recording)}\r\n"))
        await pilot.pause(0.1)
        assert pilot.app.screen._digest.value == digits(recording)
    assert spy.decisions == []


async def test_the_reason_is_kept(build, spy, recording):
    async with deciding(build, spy) as pilot:
        await press(pilot, "tab", *"ticket 8812", "tab", *digits(recording), "enter")
        await sees(pilot, "approved")
    assert spy.decisions[0].reason == "ticket 8812"


async def test_t_in_the_reason_is_a_letter(build, spy):
    async with deciding(build, spy) as pilot:
        await press(pilot, "tab", "t", "q")
        await sees(pilot, "reason > tq", "DRY-RUN: the node rehearses it")


async def test_a_rejection_needs_a_reason_and_says_it(build, spy):
    async with deciding(build, spy, key="r") as pilot:
        await press(pilot, "enter")
        await sees(pilot, "a rejection needs a reason")
        await press(pilot, *"month end", "enter")
        await sees(pilot, "rejected: the hub has recorded it")
    (said,) = spy.decisions
    assert (said.choice, said.reason) == (Choice.REJECT, "month end")


async def test_a_blocked_plan_has_no_approve_key(build, spy):
    app = build(port=spy)
    async with app.run_test(size=(80, 24)) as pilot:
        await sees(pilot, "node-017")
        await press(pilot, "j", "enter")
        await sees(pilot, "r reject", "cannot be approved: a command in it is BLOCKED")
        assert "approve" not in screen_text(app).splitlines()[-1]
        await press(pilot, "a")
        await pilot.pause(0.05)
        assert isinstance(app.screen, IncidentPage)


async def test_even_an_opened_dialog_refuses_a_blocked_plan(build, spy, recording):
    app = build(port=spy)
    async with app.run_test(size=(80, 24)) as pilot:
        await sees(pilot, "node-017")
        incident = case(recording, "node-017")
        app.push_screen(DecidePage(app.desk, incident.summary.id, Choice.APPROVE))
        await sees(pilot, "cannot be approved: a command in it is BLOCKED")
        await press(pilot, "pagedown", *digits(recording, "node-017"), "enter")
        await pilot.pause(0.05)
    assert spy.decisions == []


async def test_a_skipped_command_before_a_change_is_asked_about_once_more(build, spy, recording):
    async with deciding(build, spy, host="node-009") as pilot:
        typed = digits(recording, "node-009")
        await press(pilot, "pagedown", *typed, "enter")
        await sees(pilot, "CAUTION: command 2 is skipped")
        assert spy.decisions == []
        await press(pilot, *typed, "enter")
        await sees(pilot, "approved, dry-run")
    assert len(spy.decisions) == 1


async def test_where_the_node_permits_no_live_there_is_no_key_for_it(build, spy):
    async with deciding(build, spy, host="node-009") as pilot:
        assert "LIVE/dry-run" not in screen_text(pilot.app)
        await press(pilot, "t")
        await pilot.pause(0.05)
        assert pilot.app.screen._mode is Mode.DRY_RUN


def revised(incident):
    """The incident with another revision of its plan."""
    plan = msgspec.structs.replace(incident.plan, revision=incident.plan.revision + 1)
    digest = canonical.digest_of(plan)
    return msgspec.structs.replace(
        incident,
        plan=plan,
        plan_digest=digest,
        judgement=msgspec.structs.replace(incident.judgement, plan=digest),
        summary=msgspec.structs.replace(incident.summary, revision=incident.summary.revision + 500),
    )


async def test_a_plan_that_changes_while_it_is_read_is_shown_again(build, spy, recording):
    async with deciding(build, spy) as pilot:
        await press(pilot, *digits(recording)[:3])
        changed = revised(case(recording, "db-01"))
        spy.hub._now[changed.summary.id] = changed
        pilot.app.on_answered(Answered(protocol.StatusRequest(), changed))
        await sees(pilot, "what you read has changed: read it again", "revision 2 by")
        assert pilot.app.screen._digest.value == ""
        await press(pilot, *digits(recording), "enter")
        await sees(pilot, "these are not the first 4 digits")
    assert spy.decisions == []


async def test_a_change_that_the_hub_announces_stops_the_decision(build, spy, recording):
    async with deciding(build, spy) as pilot:
        summary = case(recording, "db-01").summary
        newer = msgspec.structs.replace(summary, revision=summary.revision + 500)
        pilot.app.desk.store.updated(
            protocol.Update(revision=newer.revision, summary=newer), pilot.app.desk.clock()
        )
        await press(pilot, *digits(recording), "enter")
        await sees(pilot, "the incident has just changed: wait, and read it again")
    assert spy.decisions == []


async def test_who_was_second_is_told_so_and_sees_it_again(build, spy, recording):
    spy.conflict = True
    async with deciding(build, spy) as pilot:
        await press(pilot, *digits(recording), "enter")
        await sees(pilot, "somebody was first (read it again)", "digest > _")
        assert isinstance(pilot.app.screen, DecidePage)
    assert len(spy.decisions) == 1


async def test_a_stale_hub_takes_no_decision(build, spy, recording, clock):
    async with deciding(build, spy) as pilot:
        clock.now_ms += 13_000
        await press(pilot, *digits(recording), "enter")
        await sees(pilot, "read only: the hub is stale")
    assert spy.decisions == []


async def test_a_plan_that_does_not_fit_has_to_be_read_to_its_end(build, spy, recording):
    async with deciding(build, spy, size=(60, 14)) as pilot:
        await sees(pilot, "read on")
        await press(pilot, *digits(recording), "enter")
        await sees(pilot, "read it to the end first")
        assert spy.decisions == []
        await press(pilot, "pagedown", "pagedown", "pagedown", "pagedown")
        await press(pilot, "enter")
        await sees(pilot, "approved, dry-run")


async def test_one_decision_is_sent_however_often_enter_is_pressed(build, spy, recording):
    async with deciding(build, spy) as pilot:
        await press(pilot, *digits(recording), "enter", "enter", "enter")
        await until(pilot, lambda: not isinstance(pilot.app.screen, DecidePage))
    assert len(spy.decisions) == 1


async def test_escape_leaves_and_decides_nothing(build, spy, recording):
    async with deciding(build, spy) as pilot:
        await press(pilot, *digits(recording), "escape")
        await until(pilot, lambda: isinstance(pilot.app.screen, IncidentPage))
    assert spy.decisions == []


async def test_what_is_left_to_a_person_is_taken_over_and_closed_with_a_note(build, spy):
    app = build(port=spy)
    async with app.run_test(size=(80, 24)) as pilot:
        await sees(pilot, "web-3")
        await press(pilot, "slash", *"web-3", "enter", "enter")
        await sees(pilot, "m take over")
        await press(pilot, "m")
        await sees(pilot, "Take the incident over")
        await press(pilot, "enter")
        await sees(pilot, "take-over: the hub has recorded it", "c close")
        await press(pilot, "c")
        await sees(pilot, "Close the incident by hand")
        await press(pilot, "enter")
        await sees(pilot, "closing needs a note")
        await press(pilot, *"moved the backup", "enter")
        await sees(pilot, "close: the hub has recorded it")
    closed = next(i for i in spy.hub._now.values() if i.summary.host == "web-3")
    assert closed.summary.state is State.CLOSED


async def test_why_a_plan_cannot_be_approved_is_read_to_its_last_word(build, spy):
    app = build(port=spy)
    async with app.run_test(size=(80, 24)) as pilot:
        await sees(pilot, "node-017")
        app.push_screen(IncidentPage(app.desk, identity(spy, "node-017")))
        await sees(pilot, "WHAT")
        await press(pilot, "a")
        await sees(pilot, "cannot be approved: a command in it is BLOCKED", "another plan")


async def test_the_footer_says_where_enter_leads_from_the_reason(build, spy, recording):
    async with deciding(build, spy) as pilot:
        await sees(pilot, "↵ decide")
        await press(pilot, *digits(recording), "tab", *"why")
        await sees(pilot, "↵ Tab to the digits  Esc back")
        assert "decide" not in screen_text(pilot.app).splitlines()[-1]
        await press(pilot, "enter")
        await sees(pilot, "↵ decide")
        assert spy.decisions == []


async def test_a_rejection_has_one_field_and_offers_no_way_to_another(build, spy):
    async with deciding(build, spy, key="r") as pilot:
        await sees(pilot, "↵ decide  Esc back")
