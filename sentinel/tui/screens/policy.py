"""The policy playground: type a command, see its verdict and its tree as you type. No hub is asked."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from textual.widget import Widget

from sentinel import human
from sentinel.domain import MAX_COMMAND_CHARS
from sentinel.policy import rules, validate
from sentinel.tui import look
from sentinel.tui.desk import Desk
from sentinel.tui.line import Piece, Tone, clip, line, text
from sentinel.tui.screens.command import TreeKeys
from sentinel.tui.trail import Visit
from sentinel.tui.widgets.entry import Entry
from sentinel.tui.widgets.lines import Lines


class PolicyPage(TreeKeys):
    """One line to type in, and what the policy says of it."""

    AUTO_FOCUS = "Entry"
    NAME = "playground"

    def __init__(self, desk: Desk) -> None:
        """Build over `desk`, with the packs that are part of this program."""
        super().__init__(desk)
        # The packs' own examples were judged when this release was tested.
        self._policy = rules.load(examples=False)
        self._typed = Entry(desk.paint, "command", id="typed", limit=MAX_COMMAND_CHARS)
        self._verdict = Lines(desk.paint, id="verdict")

    def path(self) -> Sequence[str]:
        """Return where one is."""
        return ("sentinel", "policy playground")

    def visit(self) -> Visit:
        """Return how it is opened again, with nothing typed."""
        return Visit("policy")

    def body(self) -> Iterable[Widget]:
        """Return the widgets."""
        return (self._verdict, self._typed, self._tree, self._why)

    def draw(self) -> None:
        """Show the verdict on what is typed."""
        words = self._typed.value
        if words:
            judgement = validate.judge(self._policy, words)
            self.set_subject(words, judgement)
            head = line(" ", *look.verdict(judgement.verdict), text("  "), self._digest())
        else:
            self._judged = None
            head = line(" type a command: nothing is run  ", self._digest())
        self._verdict.show([clip(head, self.size.width)])
        self.draw_tree()

    def _digest(self) -> Piece:
        return text(f"shipped packs, {human.digest(self._policy.digest)}", Tone.DIM)

    def hint(self) -> str:
        """Return where the hub may say something else, or where the rules themselves are."""
        status = self.desk.snapshot.status
        same = status is None or status.policy == self._policy.digest
        other = "the hub has another policy (its site's rules): its verdict may differ"
        words = ("" if self._typed.value else "every rule: Tab, then 7", "" if same else other)
        return "; ".join(filter(None, words))

    def on_entry_changed(self, _: Entry.Changed) -> None:
        """Judge as it is typed."""
        self.update_view()

    def on_entry_submitted(self, _: Entry.Submitted) -> None:
        """Go to the tree."""
        self.set_focus(self._tree)

    def action_field(self) -> None:
        """Go to the other half of the screen."""
        self.set_focus(self._tree if self._typed.has_focus else self._typed)
