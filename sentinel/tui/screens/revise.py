"""Strike or change commands: a new revision of the plan, judged as you type and then afresh by the hub."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec
from textual import events
from textual.widget import Widget

from sentinel import human
from sentinel.domain import MAX_COMMAND_CHARS, Command, Incident
from sentinel.policy import rules, validate
from sentinel.protocol import ReviseRequest
from sentinel.tui import decide, look
from sentinel.tui.client import Answered, Refused
from sentinel.tui.commands import Command as KeyCommand
from sentinel.tui.desk import Desk
from sentinel.tui.line import EMPTY, Row, Tone, line, text, wrap
from sentinel.tui.render import command as render
from sentinel.tui.screens.page import Page
from sentinel.tui.widgets.entry import Entry
from sentinel.tui.widgets.lines import Browser

HINT_LINES = 3  # a rule's list of options can be long; the command screen has all of it


class RevisePage(Page):
    """The commands of a plan, to strike and to change. Nothing here runs anything."""

    NAME = "revise"
    DIALOG = True

    def __init__(self, desk: Desk, incident: Incident, number: int = 0) -> None:
        """Begin with the commands of `incident`'s plan as it is now, at the one of index `number`."""
        super().__init__(desk)
        plan = incident.plan
        self._subject = incident.summary.id
        self._incident = incident
        self._commands: list[Command] = list(plan.commands) if plan else []
        self._before = tuple(self._commands)
        self._struck: set[int] = set()
        self._changing: int | None = None
        self._begin_at: int | None = number
        self._sent: ReviseRequest | None = None
        # The hub's own policy may have more rules of its site: what it says is what counts.
        self._policy = rules.load(examples=False)
        self._facts = validate.facts_of(incident.report.context)
        self._list = Browser(desk.paint, id="list")
        self._typed = Entry(desk.paint, "command", id="typed", limit=MAX_COMMAND_CHARS)

    def path(self) -> Sequence[str]:
        """Return where one is."""
        return ("sentinel", human.short_id(self._subject), "REVISE")

    def subject(self) -> tuple[str, str]:
        """Return the command under the cursor."""
        return ("command", self._commands[self._at].text) if self._at >= 0 else ("", "")

    def body(self) -> Iterable[Widget]:
        """Return the widgets."""
        self._typed.add_class("gone")
        return (self._list, self._typed)

    def hint(self) -> str:
        """Return what this is for, and that it is not sent yet once there is something to send."""
        if self._sent is None and self._kept() not in ((), self._before):
            return "not sent yet: s sends the new plan, and the hub judges it afresh"
        return "judged here by the shipped rules; the hub judges the new revision afresh"

    def draw(self) -> None:
        """Show every command with its verdict, and which are struck.

        Where the incident has changed and what is revised has not, it is the newer form that is revised:
        who is on it, or how often it was reported, is no reason to begin again.
        """
        self.fetch(self._subject)
        now = self.desk.store.incidents.get(self._subject)
        if now is not None and decide.same_matter(self._incident, now):
            self._incident = now
        rows: list[Row] = []
        for number, command in enumerate(self._commands):
            rows += self._rows(number, command, self._list.room)
            rows.append(Row(EMPTY))
        self._list.show(rows)
        if self._begin_at is not None:
            self._list.go(str(self._begin_at))
            self._begin_at = None

    def _rows(self, number: int, command: Command, cells: int) -> list[Row]:
        words = self._typed.value if number == self._changing else command.text
        if number in self._struck and number != self._changing:
            head = line(f"{number + 1:>2} ", text("STRUCK   ", Tone.DIM))
            rows = wrap(words, cells, Tone.DIM, first=head)
        else:
            judged = validate.judge(self._policy, words, self._facts)
            verdict = look.verdict(judged.verdict)
            gap = " " * (9 - len("".join(piece.text for piece in verdict)))
            head = line(f"{number + 1:>2} ", *verdict, gap)
            rows = render.source(words, judged, cells, first=head)
            for finding in render.worst_findings(judged)[:2]:
                rows += render.finding_line(finding, 12, cells)
                if finding.allow_if:
                    hint = line(" " * 14, text("allowed if: ", Tone.DIM))
                    rows += wrap(finding.allow_if, cells, first=hint)[:HINT_LINES]
        first, *rest = rows or [line(f"{number + 1:>2}")]
        return [Row(first, str(number)), *(Row(of) for of in rest)]

    @property
    def _at(self) -> int:
        return int(self._list.stop) if self._list.stop else -1

    def at_foot(self) -> list[KeyCommand]:
        """Return what Enter and Escape do to a command while it is changed."""
        if self._changing is not None:
            keep, leave = ("enter", "keep it"), ("escape", "leave it as it was")
            return [KeyCommand("", *keep), KeyCommand("", *leave)]
        return super().at_foot()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keep the list's keys from a line that is being typed."""
        if action == "strike":
            return self._changing is None
        return super().check_action(action, parameters)

    def action_strike(self) -> None:
        """Strike the command, or take it back; the plan changes only when this is sent."""
        if self._at >= 0:
            self._struck ^= {self._at}
            self.update_view()

    def action_back(self) -> None:
        """Leave the line that is being typed, or the screen."""
        if self._changing is None:
            super().action_back()
        else:
            self._stop_changing()

    def on_browser_opened(self, message: Browser.Opened) -> None:
        """Change a command."""
        self._changing = int(message.row)
        self._typed.clear()
        self._typed.type(self._commands[self._changing].text)
        self._typed.remove_class("gone")
        self.set_focus(self._typed)
        self.call_after_refresh(self.update_view)

    def on_entry_changed(self, _: Entry.Changed) -> None:
        """Judge as it is typed."""
        self.update_view()

    def on_entry_submitted(self, message: Entry.Submitted) -> None:
        """Keep the changed command."""
        message.stop()
        words = self._typed.value.strip()
        if self._changing is not None and words:
            changed = msgspec.structs.replace(self._commands[self._changing], text=words)
            self._commands[self._changing] = changed
            self._struck.discard(self._changing)
        self._stop_changing()

    def _stop_changing(self) -> None:
        self._changing = None
        self._typed.clear()
        self._typed.add_class("gone")
        self.set_focus(self._list)
        self.call_after_refresh(self.update_view)

    def on_key(self, event: events.Key) -> None:
        """Send the revision: a key of this screen, and no action that anything else could call."""
        if event.key == "s" and self._changing is None:
            event.stop()
            if complaint := self._complaint():
                self.say(complaint, bad=True)
            else:
                self._send()

    def _complaint(self) -> str:
        if reason := self.desk.read_only:
            return f"read only: {reason}"
        if self._sent is not None:
            return "sent; waiting for the hub"
        kept = self._kept()
        if not kept:
            return "nothing would be left: reject the plan instead"
        return "" if kept != self._before else "nothing is struck or changed"

    def _kept(self) -> tuple[Command, ...]:
        return tuple(c for number, c in enumerate(self._commands) if number not in self._struck)

    def _send(self) -> None:
        self._sent = ReviseRequest(
            incident=self._subject,
            revision=self._incident.summary.revision,
            commands=self._kept(),
        )
        self.ask(self._sent)

    def answered(self, message: Answered) -> None:
        """Leave, once the hub has the new revision."""
        if message.request is not self._sent:
            return  # the incident was read again
        self.leave("revised: the verdicts here are the hub's own")

    def refused(self, message: Refused) -> None:
        """Say why; nothing has changed."""
        if message.request is self._sent:
            self._sent = None
        super().refused(message)
