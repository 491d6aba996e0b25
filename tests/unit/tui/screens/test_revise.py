"""Strike and change: a new revision, judged as it is typed; and the playground that judges anything."""

from __future__ import annotations

from sentinel import protocol
from sentinel.domain import State, Verdict
from sentinel.tui.screens.incident import IncidentPage
from tests.unit.tui.conftest import press, screen_text, sees, until


class Spy:
    """The recording as a hub, with the revisions that reached it."""

    def __init__(self, hub) -> None:
        self.hub = hub
        self.revisions: list[protocol.ReviseRequest] = []

    async def call(self, request):
        if isinstance(request, protocol.ReviseRequest):
            self.revisions.append(request)
        return await self.hub.call(request)

    def watch(self, since):
        return self.hub.watch(since)

    async def close(self):
        pass


async def revising(pilot, host="node-017"):
    app = pilot.app
    await sees(pilot, host)
    page = await app.desk_hub.call(protocol.ListRequest())
    chosen = next(s for s in page.summaries if s.host == host)
    app.push_screen(IncidentPage(app.desk, chosen.id))
    await sees(pilot, "e strike/edit")
    await press(pilot, "e")
    await sees(pilot, "> REVISE", "judged here by the shipped rules")


def built(build, hub, **options):
    spy = Spy(hub)
    app = build(port=spy, **options)
    app.desk_hub = hub
    return app, spy


async def test_striking_the_blocked_command_gives_a_plan_that_can_be_approved(build, hub):
    app, spy = built(build, hub)
    async with app.run_test(size=(100, 30)) as pilot:
        await revising(pilot)
        await press(pilot, "G", "space")
        await sees(pilot, "STRUCK   find /var/log")
        await press(pilot, "s")
        await sees(pilot, "revised: the verdicts here are the hub", "PLAN 2", "a approve")
    (sent,) = spy.revisions
    assert [c.text for c in sent.commands] == ["df -h /var", "journalctl --vacuum-size=200M"]
    after = next(i for i in hub._now.values() if i.summary.host == "node-017")
    assert after.summary.state is State.AWAITING
    assert after.judgement.verdict is Verdict.ALLOW
    assert after.plan.author == "you"


async def test_the_screen_that_says_why_leads_to_striking_it(build, hub):
    app, spy = built(build, hub)
    async with app.run_test(size=(80, 24)) as pilot:
        await sees(pilot, "node-017")
        await press(pilot, "j", "enter")
        await sees(pilot, "never.audit.logs")
        await press(pilot, "n", "enter")
        await sees(pilot, "command 3/3", "e strike/edit")
        await press(pilot, "e")
        await sees(pilot, "> REVISE", "judged here by the shipped rules")
        await press(pilot, "G", "space")
        await sees(pilot, "not sent yet: s sends the new plan")
        await press(pilot, "q")
        await sees(pilot, "command 3/3")
    assert spy.revisions == []


async def test_a_viewer_is_not_led_to_striking(build, hub):
    app, _ = built(build, hub, read_only=True)
    async with app.run_test(size=(80, 24)) as pilot:
        await sees(pilot, "node-017")
        await press(pilot, "j", "enter")
        await sees(pilot, "never.audit.logs")
        await press(pilot, "n", "enter")
        await sees(pilot, "command 3/3")
        await press(pilot, "e")
        await pilot.pause(0.05)
        assert "strike/edit" not in screen_text(app)
        assert "REVISE" not in screen_text(app)


async def test_a_changed_command_is_judged_as_it_is_typed(build, hub):
    app, spy = built(build, hub)
    async with app.run_test(size=(100, 30)) as pilot:
        await revising(pilot)
        await press(pilot, "enter")
        await sees(pilot, "command > df -h /var")
        await press(pilot, *"/../etc; id")
        await press(pilot, "ctrl+u", *"rm -rf /")
        await sees(pilot, "✗ BLOCK  rm -rf /", "^ never.rm.system")
        await press(pilot, "ctrl+u", *"df -h /", "enter")
        await sees(pilot, "1 ✓ allow  df -h /")
        await press(pilot, "s")
        await sees(pilot, "the recording can only strike commands")
    assert spy.revisions[0].commands[0].text == "df -h /"


async def test_what_was_not_changed_is_not_sent(build, hub):
    app, spy = built(build, hub)
    async with app.run_test(size=(100, 30)) as pilot:
        await revising(pilot)
        await press(pilot, "s")
        await sees(pilot, "nothing is struck or changed")
        for key in ("g", "space", "j", "space", "j", "space", "s"):
            await press(pilot, key)
        await sees(pilot, "nothing would be left: reject the plan instead")
    assert spy.revisions == []


async def test_s_in_a_command_is_a_letter(build, hub):
    app, spy = built(build, hub)
    async with app.run_test(size=(100, 30)) as pilot:
        await revising(pilot)
        await press(pilot, "enter", *"s s")
        await sees(pilot, "command > df -h /vars s")
        await press(pilot, "escape")
        await until(pilot, lambda: "command >" not in screen_text(app))
        assert "df -h /vars" not in screen_text(app)
    assert spy.revisions == []


async def test_who_is_on_it_meanwhile_is_no_reason_to_begin_again(build, hub):
    app, spy = built(build, hub)
    async with app.run_test(size=(100, 30)) as pilot:
        await revising(pilot)
        await press(pilot, "space")
        incident = next(i for i in hub._now.values() if i.summary.host == "node-017")
        noted = await hub.call(
            protocol.ActRequest(
                incident=incident.summary.id,
                revision=incident.summary.revision,
                action=protocol.Action.ACKNOWLEDGE,
            )
        )
        await until(pilot, lambda: app.screen._incident.summary == noted.summary)
        await sees(pilot, "STRUCK   df -h /var")
        await press(pilot, "s")
        await sees(pilot, "revised: the verdicts here are the hub")
    assert spy.revisions[0].revision == noted.summary.revision


async def test_an_incident_that_changed_meanwhile_keeps_its_plan(build, hub):
    app, _ = built(build, hub)
    async with app.run_test(size=(100, 30)) as pilot:
        await revising(pilot)
        incident = next(i for i in hub._now.values() if i.summary.host == "node-017")
        await hub.call(
            protocol.ActRequest(
                incident=incident.summary.id,
                revision=incident.summary.revision,
                action=protocol.Action.ASK_AGAIN,
            )
        )
        known = app.desk.store.incidents
        await until(pilot, lambda: known[incident.summary.id].summary.state is State.REPORTED)
        app._tick()
        await press(pilot, "space", "s")
        await sees(pilot, "the incident has changed since you read it")


async def test_a_stale_hub_takes_no_revision(build, hub, clock):
    app, spy = built(build, hub)
    async with app.run_test(size=(100, 30)) as pilot:
        await revising(pilot)
        clock.now_ms += 13_000
        await press(pilot, "space", "s")
        await sees(pilot, "read only: the hub is stale")
    assert spy.revisions == []


async def test_the_playground_judges_as_one_types(build):
    app = build()
    async with app.run_test(size=(100, 30)) as pilot:
        await sees(pilot, "hub ok")
        await press(pilot, "4")
        await sees(pilot, "type a command: nothing is run")
        await press(pilot, *"df -h | xargs rm")
        await sees(pilot, "? REVIEW", "└─ ? command", "xargs")
        await press(pilot, "ctrl+u", *"df -h")
        await sees(pilot, "✓ allow", "ro.df")
        await press(pilot, "ctrl+u", *"echo $(rm -rf /)")
        await sees(pilot, "✗ BLOCK", "never.rm.system")
        await press(pilot, "tab", "n")
        await sees(pilot, "recursive removal of a system root")
        await press(pilot, "q")
        await until(pilot, lambda: "playground" not in screen_text(app))


async def test_the_playground_takes_whatever_is_pasted(build):
    app = build()
    async with app.run_test(size=(80, 24)) as pilot:
        await sees(pilot, "hub ok")
        await press(pilot, "4")
        await sees(pilot, "type a command")
        for text in ("'", "((((", "\u202e" * 40, "a;" * 500, "日本" * 600, "$(" * 300):
            app.screen.focused.clear()
            app.screen.focused.type(text)
            await pilot.pause(0.02)
            assert "playground" in screen_text(app)


async def test_it_begins_at_the_command_that_one_was_on(build, hub):
    app, _ = built(build, hub)
    async with app.run_test(size=(80, 24)) as pilot:
        await sees(pilot, "node-017")
        await press(pilot, "j", "enter")
        await sees(pilot, "never.audit.logs")
        await press(pilot, "n", "e")
        await sees(pilot, "> REVISE", ">  3 ✗ BLOCK  find /var/log")
        await press(pilot, "y")
        await sees(pilot, "command copied")
        await press(pilot, "q")
        await sees(pilot, "PLAN 1")
        await press(pilot, "enter")
        await sees(pilot, "command 3/3", "e strike/edit")
        await press(pilot, "e")
        await sees(pilot, "> REVISE", ">  3 ✗ BLOCK  find /var/log")


async def test_a_struck_command_whose_change_is_given_up_is_still_struck(build, hub):
    app, _ = built(build, hub)
    async with app.run_test(size=(80, 24)) as pilot:
        await revising(pilot)
        await press(pilot, "g", "space")
        await sees(pilot, "1 STRUCK   df -h /var")
        await press(pilot, "enter")
        await sees(pilot, "1 ✓ allow  df -h /var", "command > df -h /var")
        await press(pilot, "escape")
        await sees(pilot, "1 STRUCK   df -h /var")
        await press(pilot, "enter", "x", "enter")
        await sees(pilot, "df -h /varx")
        assert "STRUCK" not in screen_text(app)


async def test_the_playground_says_in_full_that_the_hub_has_another_policy(build):
    async with build().run_test(size=(80, 24)) as pilot:
        await sees(pilot, "hub ok")
        await press(pilot, "4")
        await sees(
            pilot, "the hub has another policy (its site's rules): its", "verdict may differ"
        )
        await press(pilot, "d", "f")
        await sees(pilot, "the hub has another policy (its site's rules): its verdict may differ")
