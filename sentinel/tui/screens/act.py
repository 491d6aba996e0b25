"""What else may be done to an incident: ask again, take over, close. None of it runs anything."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from textual.widget import Widget

from sentinel import human
from sentinel.protocol import Action, ActRequest
from sentinel.tui.client import Answered, Refused
from sentinel.tui.desk import Desk
from sentinel.tui.line import EMPTY, Row, line, wrap
from sentinel.tui.screens.page import Page
from sentinel.tui.widgets.entry import Entry
from sentinel.tui.widgets.lines import Browser

MEANING = {
    Action.ASK_AGAIN: "Ask the engine for another plan. The present plan is put aside; nothing runs.",
    Action.TAKE_OVER: "Take the incident over. No plan will run; what is done, a person does.",
    Action.CLOSE: "Close the incident by hand. The note says what was done; it is final.",
}


class ActPage(Page):
    """One question with a note."""

    AUTO_FOCUS = "Entry"
    NAME = "act"
    DIALOG = True

    def __init__(self, desk: Desk, incident: str, action: Action) -> None:
        """Ask about `action` on the incident of that id."""
        super().__init__(desk)
        self._subject = incident
        self._action = action
        known = desk.store.incidents.get(incident)
        self._revision = known.summary.revision if known else 0
        self._sent: ActRequest | None = None
        self._doc = Browser(desk.paint, id="doc")
        self._doc.can_focus = False
        self._note_entry = Entry(desk.paint, "note", id="note-entry")

    def path(self) -> Sequence[str]:
        """Return where one is."""
        return ("sentinel", human.short_id(self._subject), self._action.value.upper())

    def body(self) -> Iterable[Widget]:
        """Return the widgets."""
        return (self._doc, self._note_entry)

    def draw(self) -> None:
        """Show what it means."""
        cells = self._doc.room
        needed = self._action is Action.CLOSE
        wanted = "A note is needed" if needed else "A note is welcome"
        words = f"{wanted}: whoever comes next reads it. Enter does it, Esc leaves."
        rows = [*wrap(MEANING[self._action], cells), EMPTY, *wrap(words, cells)]
        self._doc.show([Row(of) for of in [line(""), *rows]])

    def on_entry_submitted(self, message: Entry.Submitted) -> None:
        """Do it, or say why not."""
        message.stop()
        note = self._note_entry.value.strip()
        if reason := self.desk.read_only:
            self.say(f"read only: {reason}", bad=True)
        elif self._action is Action.CLOSE and not note:
            self.say("closing needs a note: say what was done", bad=True)
        elif self._sent is None:
            self._sent = ActRequest(
                incident=self._subject, revision=self._revision, action=self._action, note=note
            )
            self.ask(self._sent)

    def answered(self, _: Answered) -> None:
        """Leave: it is done."""
        self.app.pop_screen()
        below = self.app.screen
        if isinstance(below, Page):
            below.say(f"{self._action.value}: the hub has recorded it")

    def refused(self, message: Refused) -> None:
        """Say why; the incident has to be read again before it is tried again."""
        self._sent = None
        super().refused(message)
