"""Drills: real faults on this host, fired by hand, and what came of them in the hub's record."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Sequence

from textual.widget import Widget

from sentinel import errors
from sentinel.domain import Incident
from sentinel.drill import fire, results
from sentinel.drill.results import Result
from sentinel.drill.scenarios import SCENARIOS, Scenario, named
from sentinel.protocol import GetRequest, ListRequest
from sentinel.protocol import Page as Summaries
from sentinel.tui.client import Answered
from sentinel.tui.desk import Desk
from sentinel.tui.line import Line
from sentinel.tui.render import drills as render
from sentinel.tui.screens.page import WRITTEN_CELLS, Page
from sentinel.tui.trail import Visit
from sentinel.tui.widgets.entry import Entry
from sentinel.tui.widgets.lines import Browser

REFRESH_MS = 10_000
DRILL = "drill:"


class DrillsPage(Page):
    """The scenarios, and their results."""

    NAME = "drills"

    def __init__(self, desk: Desk) -> None:
        """Build over `desk`."""
        super().__init__(desk)
        self._found: dict[str, Result] = {}
        self._of: dict[str, Scenario] = {}  # incidents that are asked for, by id
        self._scored: dict[str, int] = {}  # and at which revision they have been looked at
        self._asked_ms = 0
        self._doc = Browser(desk.paint, id="doc")

    def path(self) -> Sequence[str]:
        """Return where one is."""
        return ("sentinel", "drills")

    def visit(self) -> Visit:
        """Return how it is opened again."""
        return Visit("drills")

    def subject(self) -> tuple[str, str]:
        """Return the incident, or the drill, under the cursor."""
        stop = self._doc.stop
        return ("drill", stop[len(DRILL) :]) if stop.startswith(DRILL) else ("id", stop)

    def whole(self) -> list[Line]:
        """Return the whole screen, wide."""
        now_ms = self.desk.clock()
        rows = render.document(self._found.values(), self._alive(), now_ms, WRITTEN_CELLS)
        return [row.line for row in rows]

    def body(self) -> Iterable[Widget]:
        """Return the widgets."""
        return (self._doc,)

    def choices(self, name: str) -> Sequence[str]:
        """Return the drills there are."""
        return [each.name for each in SCENARIOS] if name == "fire" else super().choices(name)

    def _alive(self) -> dict[str, int]:
        return {name: fired.pid for name, fired in self.desk.drills.items() if not fired.over}

    def draw(self) -> None:
        """Show the scenarios, and ask for results from time to time."""
        now_ms, room = self.desk.clock(), self._doc.room
        if now_ms - self._asked_ms >= REFRESH_MS and self.is_current:
            self._asked_ms = now_ms
            for scenario in SCENARIOS:
                self.ask(results.search(scenario))
        self._doc.show(render.document(self._found.values(), self._alive(), now_ms, room))

    def answered(self, message: Answered) -> None:
        """Ask for each incident that may be a drill's, and score those that are."""
        match message.reply:
            case Summaries() as page if isinstance(message.request, ListRequest):
                scenario = next(s for s in SCENARIOS if results.search(s) == message.request)
                self._look_at(scenario, page)
            case Incident() as incident:
                self._scored[incident.summary.id] = incident.summary.revision
                result = results.result(self._of[incident.summary.id], incident)
                if result is not None:
                    self._found[result.incident] = result
                self.update_view()
            case _:
                pass

    def _look_at(self, scenario: Scenario, page: Summaries) -> None:
        for summary in page.summaries:
            self._of[summary.id] = scenario
            if self._scored.get(summary.id, -1) < summary.revision:
                self.ask(GetRequest(incident=summary.id))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer to fire only what is a drill."""
        if action == "fire":
            return self._doc.stop.startswith(DRILL) or bool(parameters)
        return super().check_action(action, parameters)

    def on_browser_moved(self, _: Browser.Moved) -> None:
        """Offer what works there."""
        self.update_view()

    def on_browser_opened(self, message: Browser.Opened) -> None:
        """Open the incident; or ask before a drill is fired."""
        if message.row.startswith(DRILL):
            self.action_fire(message.row[len(DRILL) :])
        else:
            self.want("incident", message.row)

    def action_fire(self, name: str = "") -> None:
        """Ask before the drill is fired; or say why it cannot be."""
        if reason := self._refusal():
            self.say(reason, bad=True)
            return
        try:
            scenario = named(name or self._doc.stop[len(DRILL) :])
        except errors.OperatorError as error:
            self.say(f"{error.what}: {error.hint}", bad=True)
        else:
            self.app.push_screen(FirePage(self.desk, scenario))

    def _refusal(self) -> str:
        if self.desk.options.demo:
            return "recorded incidents: a drill is real, and no hub would see it"
        if self.desk.options.read_only:
            return "read only: --read-only"
        return ""


class FirePage(Page):
    """One question: whether to fire it, on this host."""

    AUTO_FOCUS = "Entry"
    NAME = "act"
    DIALOG = True

    def __init__(self, desk: Desk, scenario: Scenario) -> None:
        """Ask about `scenario`."""
        super().__init__(desk)
        self._scenario = scenario
        self._doc = Browser(desk.paint, id="doc")
        self._doc.can_focus = False
        self._typed = Entry(desk.paint, "drill", id="drill-entry")

    def path(self) -> Sequence[str]:
        """Return where one is."""
        return ("sentinel", "drills", "FIRE", self._scenario.name)

    def body(self) -> Iterable[Widget]:
        """Return the widgets."""
        return (self._doc, self._typed)

    def draw(self) -> None:
        """Show what it means."""
        self._doc.show(render.asked(self._scenario, platform.node(), self._doc.room))

    def on_entry_submitted(self, message: Entry.Submitted) -> None:
        """Fire it, or say why not."""
        message.stop()
        of = self._scenario
        # A key too many, or one that a bad link sends twice, is no name.
        if self._typed.value.strip() != of.name:
            self.say(f"type {of.name} to fire it", bad=True)
            return
        try:
            fired = fire.fire(of)
        except errors.OperatorError as error:
            self.say(f"{error.what}: {error.hint}", bad=True)
            return
        self.desk.drills[of.name] = fired
        self.leave(f"{of.name} runs as pid {fired.pid} here, for {of.life_s} s at the most")
