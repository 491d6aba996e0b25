"""What else may be done to incidents: ask again, take over, close, stop, be on it. Nothing runs by it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from textual.widget import Widget

from sentinel import human
from sentinel.domain import Summary
from sentinel.errors import SentinelError
from sentinel.protocol import Action, ActRequest
from sentinel.tui import look
from sentinel.tui.client import Answered, Refused
from sentinel.tui.desk import Desk
from sentinel.tui.line import EMPTY, Line, Row, Tone, clip, line, wrap
from sentinel.tui.screens.page import Page
from sentinel.tui.widgets.entry import Entry
from sentinel.tui.widgets.lines import Browser

MEANING = {
    Action.ASK_AGAIN: "Ask the engine for another plan. The present plan is put aside; nothing runs.",
    Action.TAKE_OVER: "Take the incident over. No plan will run; what is done, a person does.",
    Action.CLOSE: "Close the incident by hand. The note says what was done; it is final.",
    Action.ACKNOWLEDGE: "Say that you are on it, so that the others see it. Who may decide stays the same.",
    Action.RELEASE: "Give it back: nobody is on it any more.",
    Action.STOP: "Stop the plan after this command. What runs now is left to end; nothing starts after it,"
    " and the incident awaits a decision again.",
}
AT_ONCE = 16  # requests on their way to the hub; the next waits for an answer


class ActPage(Page):
    """One question with a note, about one incident or several; each is asked for by itself."""

    AUTO_FOCUS = "Entry"
    NAME = "act"
    DIALOG = True

    def __init__(self, desk: Desk, subjects: Sequence[Summary], action: Action) -> None:
        """Ask about `action` on `subjects`, at least one, as the operator saw them."""
        super().__init__(desk)
        self._subjects = tuple(subjects)
        self._action = action
        self._due: list[ActRequest] = []  # to be sent, once fewer are on their way
        self._done: set[str] = set()
        self._refused: dict[str, SentinelError] = {}
        self._doc = Browser(desk.paint, id="doc")
        self._doc.can_focus = False
        self._note_entry = Entry(desk.paint, "note", id="note-entry")

    def path(self) -> Sequence[str]:
        """Return where one is."""
        several = len(self._subjects) > 1
        what = (
            f"{len(self._subjects)} incidents" if several else human.short_id(self._subjects[0].id)
        )
        return ("sentinel", what, self._action.value.upper())

    def body(self) -> Iterable[Widget]:
        """Return the widgets."""
        return (self._doc, self._note_entry)

    def draw(self) -> None:
        """Show what it means, and for which incidents."""
        cells = self._doc.room
        needed = self._action is Action.CLOSE
        wanted = "A note is needed" if needed else "A note is welcome"
        words = f"{wanted}: whoever comes next reads it. Enter does it, Esc leaves."
        rows = [*wrap(MEANING[self._action], cells), EMPTY, *wrap(words, cells)]
        self._doc.show([Row(of) for of in [line(""), *rows, EMPTY, *self._incidents(cells)]])

    def _incidents(self, cells: int) -> Iterator[Line]:
        """Yield each incident, those that the hub refused first; of a single one only who is on it."""
        for each in sorted(self._subjects, key=lambda s: s.id not in self._refused):
            told, tone = look.on_it(each.owner, each.state), Tone.STRONG
            if error := self._refused.get(each.id):
                told, tone = error.what, Tone.BAD
            elif each.id in self._done:
                told, tone = "recorded", Tone.GOOD
            if told or len(self._subjects) > 1:
                named = line(f"{human.short_id(each.id)} {each.host} {look.kind(each.kind)}  ")
                yield from wrap(told, cells, tone, first=clip(named, cells // 2))

    def on_entry_submitted(self, message: Entry.Submitted) -> None:
        """Do it, or say why not."""
        message.stop()
        note = self._note_entry.value.strip()
        if reason := self.desk.read_only:
            self.say(f"read only: {reason}", bad=True)
        elif self._action is Action.CLOSE and not note:
            self.say("closing needs a note: say what was done", bad=True)
        elif not self._waiting:
            self._refused = {}
            self._due = [
                ActRequest(incident=s.id, revision=s.revision, action=self._action, note=note)
                for s in self._subjects
                if s.id not in self._done
            ]
            self._send()

    def _send(self) -> None:
        while self._due and len(self._waiting) < AT_ONCE:
            self.ask(self._due.pop(0))

    def answered(self, message: Answered) -> None:
        """Note that it is done; once all are, leave."""
        assert isinstance(message.request, ActRequest)
        self._done.add(message.request.incident)
        self._settle()

    def refused(self, message: Refused) -> None:
        """Say why; the incident has to be read again before it is tried again."""
        assert isinstance(message.request, ActRequest)
        self._refused[message.request.incident] = message.error
        super().refused(message)
        self._settle()

    def _settle(self) -> None:
        """Go on with what is due; at the end leave, or show what was refused."""
        self._send()
        several = len(self._subjects) > 1
        if self._waiting or (self._refused and not several):
            return
        if self._refused:
            told = f"{len(self._done)} recorded, {len(self._refused)} refused: read those again"
            self.say(told, bad=True)
            self.update_view()
            return
        what = f"{len(self._done)} incidents" if several else "it"
        self.leave(f"{self._action.value}: the hub has recorded {what}")
