"""Text of others, through every string field, on every screen: shown escaped, and nothing happens."""

from __future__ import annotations

import re
from functools import partial

import msgspec
import pytest

from sentinel import protocol
from sentinel.domain import (
    AgentStatus,
    AuditRecord,
    Choice,
    Digest,
    Incident,
    Outcome,
    State,
    Stopping,
    Value,
)
from sentinel.protocol import Action
from sentinel.tui.client import Answered
from sentinel.tui.line import Row
from sentinel.tui.recorded import RecordedHub
from sentinel.tui.recording import Recorded
from sentinel.tui.render import runbook as render_runbook
from sentinel.tui.screens.act import ActPage
from sentinel.tui.screens.audit import AuditScreen
from sentinel.tui.screens.command import CommandPage
from sentinel.tui.screens.decide import DecidePage
from sentinel.tui.screens.drills import DrillsPage
from sentinel.tui.screens.help import help_page
from sentinel.tui.screens.incident import IncidentPage
from sentinel.tui.screens.memory import MemoryPage
from sentinel.tui.screens.nodes import NodesPage
from sentinel.tui.screens.pager import Pager
from sentinel.tui.screens.policy import PolicyPage
from sentinel.tui.screens.revise import RevisePage
from sentinel.tui.setup import Setup
from tests.unit.tui.conftest import press, screen_text, sees, until

PAYLOADS = {
    "clipboard": ("\x1b]52;c;cm0gLXJm\x07", "\\x1b]52"),
    "title": ("\x1b]0;PWNED\x07", "\\x1b]0;"),
    "clear": ("\x1b[2J\x1b[HALLOW", "\\x1b[2J"),
    "report": ("\x1b[6n\x1b[c", "\\x1b[6n"),
    "c1": ("\x9b2J\x9d52;c;x\x9c", "\\x9b2J"),
    "link": ("\x1b]8;;http://evil\x1b\\x", "\\x1b]8"),
    "returns": ("evil\rALLOW\b\b\x07\x00\x7f", "evil\\rALLOW"),
    "bidi": ("a\u202etxt.exe\u2066\u200f", "a\\u202etxt"),
    "zero width": ("r\u200bm\u2060\ufeff\u00ad", "r\\u200bm"),
    "tags": ("x\U000e0041\U000e007f", "\\U000e0041"),
    "combining": ("e" + "\u0301" * 40, "\\u0301"),
    "action": ("[@click=app.quit]x[/]", "[@click"),
    "style": ("[bold red]x[/bold red]", "[bold"),
    "open markup": ("[/nothing", "[/noth"),
    "ten megabytes": ("A" * 10 * 2**20, "AAAA"),
    "lines": ("\n" * 500 + "end\u2028\u2029\x0c\x85", "\\n"),
    "surrogates": ("\ud800\udcff", "\\ud800"),
    "wide": ("日" * 300, "日"),
}

# Every screen takes the short ones in one text, and alone those that could hide or break the others.
ALONE = ("action", "open markup", "ten megabytes", "lines", "surrogates", "wide")
SHORT = "".join(payload for name, (payload, _) in PAYLOADS.items() if name not in ALONE)
SCREENED = {name: PAYLOADS[name] for name in ALONE} | {"short": (SHORT, "\\x1b]52")}

# All that may reach a terminal from a frame: cursor moves, styles, and what is printable.
GRAMMAR = re.compile(r"(?:\x1b\[\d+(?:;\d+)?H|\x1b\[[\d;]*m|\n|[^\x00-\x1f\x7f-\x9f])*\Z")
FORBIDDEN = re.compile(
    "[\u200b-\u200f\u202a-\u202e\u2028\u2029\u2060-\u2069\ufeff\U000e0000-\U000e007f\ud800-\udfff]"
)


def poison(value, payload):
    """Return `value` with `payload` in every text of it, at every depth."""
    match value:
        case Value():
            fields = {n: poison(getattr(value, n), payload) for n in value.__struct_fields__}
            return msgspec.structs.replace(value, **fields)
        case tuple():
            return tuple(poison(item, payload) for item in value)
        case dict():
            return dict.fromkeys([payload][: len(value)], payload)
        case str() if type(value) is str:
            return payload
        case _:
            return value


def poisoned(recording, state, payload) -> Incident:
    """Return the recorded incident of `state`, with the results of another, all of it poisoned."""
    by_state = {r.incident.summary.state: r.incident for r in recording.incidents}
    whole = msgspec.structs.replace(
        by_state[state],
        results=by_state[State.EXECUTING].results,
        verification=by_state[State.UNRESOLVED].verification,
        decision=by_state[State.EXECUTING].decision,
        admission=by_state[State.EXECUTING].admission,
        stopping=Stopping(challenge="0" * 32, by="x", reason="x", asked_ms=1),
    )
    return poison(whole, payload)


def drilled(incident, payload) -> Incident:
    """Return an earlier incident like `incident`, as poisoned, which the drills' screen takes for a drill."""
    summary = msgspec.structs.replace(
        incident.summary, id=f"\0{payload}", state=State.RESOLVED, evidence="· drill-leak (pid 1)"
    )
    report, process = incident.report, incident.report.context.processes[0]
    hog = msgspec.structs.replace(process, name="drill-leak", age_s=9)
    context = msgspec.structs.replace(report.context, processes=(hog,))
    report = msgspec.structs.replace(report, context=context)
    return msgspec.structs.replace(incident, summary=summary, report=report)


def frame(app) -> str:
    """Return the bytes that the present screen would send to a terminal."""
    return app.screen._compositor.render_full_update().render_segments(app.console)


def check(app) -> None:
    sent = frame(app)
    assert GRAMMAR.match(sent), repr(sent[:400])
    assert not FORBIDDEN.search(sent)


class Poisoned(RecordedHub):
    """The recording, with one incident, one node and one record in which everything is hostile."""

    def __init__(self, recording, clock, payload) -> None:
        incident = poisoned(recording, State.AWAITING, payload)
        earlier = drilled(incident, payload)
        status = poison(recording.status, payload)
        fields = {
            "status": msgspec.structs.replace(status, role="operator"),
            "incidents": (Recorded(incident=incident), Recorded(incident=earlier)),
            "agents": (poison(recording.agents[0], payload),),
            "audit": (poison(recording.audit[0], payload),),
            "runbooks": (poison(recording.runbooks[0], payload),),
        }
        super().__init__(msgspec.structs.replace(recording, **fields), clock, alone=False)

    def _get(self, incident):
        """Ids are the payload too: the beginning of one names both."""
        return self._now[incident]


@pytest.mark.parametrize("name", SCREENED)
async def test_no_screen_lets_it_through(build, recording, clock, name):
    payload, shown = SCREENED[name]
    hub = Poisoned(recording, clock, payload)
    app = build(port=hub)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: len(app.desk.snapshot.summaries) == 1)
        desk = app.desk
        (runbook,) = (await hub.call(protocol.RunbooksRequest())).runbooks

        def about(cells):
            return [Row(of) for of in render_runbook.document(runbook, {}, clock(), cells)]

        screens = [
            lambda: IncidentPage(desk, payload),
            lambda: CommandPage(desk, payload, 0),
            lambda: DecidePage(desk, payload, Choice.APPROVE),
            lambda: DecidePage(desk, payload, Choice.REJECT),
            *(partial(ActPage, desk, desk.snapshot.summaries * 2, action) for action in Action),
            lambda: RevisePage(desk, desk.store.incidents[payload]),
            lambda: help_page(IncidentPage(desk, payload)),
            lambda: NodesPage(desk),
            lambda: AuditScreen(desk),
            lambda: AuditScreen(desk, payload),
            lambda: MemoryPage(desk),
            lambda: DrillsPage(desk),
            lambda: Pager(desk, ("runbook",), about),
        ]
        await press(pilot, "j")
        check(app)
        assert shown in screen_text(app)
        for make in screens:
            app.push_screen(make())
            await pilot.pause(0.02)
            await until(pilot, lambda: shown in screen_text(app))
            for key in ("down", "pagedown", "G"):
                await press(pilot, key)
                check(app)
            await press(pilot, "enter")  # an output, a record: or nothing
            check(app)
            while len(app.screen_stack) > 1:
                app.pop_screen()
        assert app.is_running


@pytest.mark.parametrize("name", SCREENED)
async def test_what_is_copied_or_written_does_not_carry_it_on(
    build, recording, clock, tmp_path, name
):
    payload, shown = SCREENED[name]
    app = build(port=Poisoned(recording, clock, payload), setup=Setup(state=tmp_path / "state"))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: len(app.desk.snapshot.summaries) == 1)
        screens = [IncidentPage(app.desk, payload), CommandPage(app.desk, payload, 0)]
        for number, page in enumerate([*screens, MemoryPage(app.desk)], 1):
            app.push_screen(page)
            await until(pilot, lambda: shown in screen_text(app))
            await press(pilot, "y")
            await sees(pilot, " copied to")
            check(app)
            page.action_write(str(tmp_path))
            await until(pilot, lambda n=number: len(list(tmp_path.glob("*.txt"))) == n)
    for path in [*tmp_path.glob("*.txt"), tmp_path / "state" / "last-copy"]:
        text = path.read_text()
        assert text.replace("\n", "").isprintable()
        assert not FORBIDDEN.search(text)


async def test_a_refusal_and_a_lost_hub_may_say_it_too(build, clock):
    app = build()
    async with app.run_test(size=(80, 24)) as pilot:
        await sees(pilot, "hub ok", "db-01")
        await pilot.pause(0.1)
        for payload, shown in PAYLOADS.values():
            app.screen.say(payload, bad=True)
            await sees(pilot, shown)
            check(app)
            app.screen.say("")
            app.desk.store.lost(payload, retry_ms=clock(), attempt=1)
            app._tick()
            await sees(pilot, shown)
            check(app)


async def test_what_is_typed_or_pasted_is_as_harmless(build):
    app = build()
    async with app.run_test(size=(80, 24)) as pilot:
        await sees(pilot, "hub ok")
        for key in ("slash", "colon"):
            await press(pilot, key)
            for payload, _ in PAYLOADS.values():
                app.screen.focused.clear()
                app.screen.focused.type(payload[:400])
                await pilot.pause(0.01)
                check(app)
            await press(pilot, "enter")
        app.push_screen(PolicyPage(app.desk))
        await sees(pilot, "type a command")
        for payload, shown in PAYLOADS.values():
            app.screen.focused.clear()
            app.screen.focused.type(payload[:400])
            await sees(pilot, shown[:6])
            await press(pilot, "tab", "n", "tab")
            check(app)


async def test_a_click_on_markup_in_the_data_presses_nothing(build, recording, clock):
    payload = "[@click=app.exit]" + "x" * 60 + "[/]"
    app = build(port=Poisoned(recording, clock, payload))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "xxxx" in screen_text(app))
        for y in (1, 3, 22):
            await pilot.click(offset=(40, y))
        assert app.is_running


async def test_a_hub_that_lies_about_outcomes_breaks_nothing(build, hub, recording):
    by_state = {r.incident.summary.state: r.incident for r in recording.incidents}
    odd = by_state[State.EXECUTING]
    results = tuple(
        msgspec.structs.replace(odd.results[0], index=index, outcome=outcome, argv=())
        for index, outcome in zip((0, 0, 7, 2**53), list(Outcome), strict=False)
    )
    strange = msgspec.structs.replace(
        odd,
        results=results,
        plan_digest=Digest("sha256:"),
        judgement=msgspec.structs.replace(odd.judgement, commands=()),
    )
    app = build()
    async with app.run_test(size=(80, 24)) as pilot:
        await sees(pilot, "hub ok")
        app.push_screen(IncidentPage(app.desk, odd.summary.id))
        await sees(pilot, "WHAT")
        app.on_answered(Answered(protocol.StatusRequest(), strange))
        for _ in range(12):
            await press(pilot, "down", "enter")
            check(app)
            while len(app.screen_stack) > 2:
                app.pop_screen()
        assert app.is_running


def test_every_text_of_the_nouns_is_poisoned(recording):
    incident = poisoned(recording, State.AWAITING, "POISON")
    text = msgspec.json.encode(incident).decode()
    for original in ("report-worker", "db-01", "free -m", "playbook", "alice"):
        assert original not in text
    assert isinstance(recording.agents[0], AgentStatus)
    assert isinstance(recording.audit[0], AuditRecord)
