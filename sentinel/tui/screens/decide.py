"""The decision: what you see is what you sign.

No key of any other screen decides anything. Here a decision needs the first four digits of the digest
of the plan on the screen and then Enter; what was typed before this screen was drawn is dropped; and
whatever would be signed having changed meanwhile, it is shown again and typed again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial

from textual.message import Message
from textual.widget import Widget

from sentinel import errors, human
from sentinel.domain import Choice, Incident, Mode
from sentinel.protocol import DecideRequest, GetRequest
from sentinel.tui import decide
from sentinel.tui.client import Answered, Refused
from sentinel.tui.commands import Command
from sentinel.tui.decide import Offer
from sentinel.tui.desk import Desk
from sentinel.tui.line import Line, Row, Tone, line, rule, text, wrap
from sentinel.tui.render import decision as render
from sentinel.tui.screens.page import Page
from sentinel.tui.widgets.entry import NEVER_S, Entry
from sentinel.tui.widgets.lines import Browser, Lines

_HEX = frozenset("0123456789abcdef")


class DecidePage(Page):
    """Approve or reject one plan."""

    AUTO_FOCUS = "Entry"
    NAME = "decide"
    DIALOG = True

    def __init__(self, desk: Desk, incident: str, choice: Choice) -> None:
        """Show what `choice` means for the incident of that id."""
        super().__init__(desk)
        self._subject = incident
        self._choice = choice
        self._offer: Offer | None = None
        self._mode = Mode.DRY_RUN
        self._cautioned = False
        self._sent: DecideRequest | None = None
        self._frame = 0  # which frame must have been drawn before a key counts
        self._doc = Browser(desk.paint, id="doc")
        self._doc.can_focus = False
        self._ask = Lines(desk.paint, id="ask")
        self._digest = Entry(
            desk.paint, "digest", id="digest", accepts=_HEX.__contains__, limit=decide.DIGITS
        )
        self._reason = Entry(desk.paint, "reason", id="reason")

    def path(self) -> Sequence[str]:
        """Return where one is."""
        return ("sentinel", human.short_id(self._subject), self._choice.value.upper())

    def subject(self) -> tuple[str, str]:
        """Return the digest of the plan that this is about."""
        return "digest", (self._offer.incident.plan_digest or "") if self._offer else ""

    def body(self) -> Iterable[Widget]:
        """Return the widgets."""
        if self._choice is Choice.REJECT:
            return (self._doc, self._ask, self._reason)
        return (self._doc, self._ask, self._digest, self._reason)

    def on_mount(self) -> None:
        """Take no key yet, and ask for the incident as it is now."""
        self._disarm()
        self.ask(GetRequest(incident=self._subject))
        super().on_mount()

    # ---- what is shown

    def draw(self) -> None:
        """Show the statement; where what would be signed has changed, say so and begin again."""
        self.fetch(self._subject)
        incident = self.desk.store.incidents.get(self._subject)
        if incident is None:
            return
        if self._offer is None or not decide.same_matter(self._offer.incident, incident):
            self._begin(incident, changed=self._offer is not None)
        self._doc.show([Row(of) for of in self._document(self._doc.room)])
        asked = wrap(self._prompt(), self.size.width, first=line(" "))
        if not self._doc.read and not self._offer_refused:
            asked = [line(text(" read on: ↓ or PgDn shows the rest", Tone.WARN))]
        self._ask.styles.height = len(asked)
        self._ask.show(asked)

    def _begin(self, incident: Incident, *, changed: bool) -> None:
        status = self.desk.snapshot.status
        self._offer = decide.offer(incident, status.mode if status else Mode.DRY_RUN)
        self._cautioned = False
        self._digest.clear()
        if self._mode not in self._offer.modes:
            self._mode = Mode.DRY_RUN
        if changed and self._sent is None:
            self._notice, self._bad = "what you read has changed: read it again", True
        self._disarm()

    def _document(self, cells: int) -> list[Line]:
        assert self._offer is not None
        status = self.desk.snapshot.status
        operator = status.operator if status else "?"
        if self._choice is Choice.REJECT:
            return [*render.rejection(self._offer, operator, cells), rule("", cells)]
        return [*render.document(self._offer, self._mode, operator, cells), rule("", cells)]

    def _prompt(self) -> str:
        assert self._offer is not None
        if self._sent is not None:
            return "sent; waiting for the hub"
        if self._choice is Choice.REJECT:
            return "type a reason, then Enter, to reject the plan"
        if self._offer.refusal:
            return f"cannot be approved: {self._offer.refusal}"
        return render.prompt(self._offer, self._mode, again=self._cautioned)

    # ---- keys count only from when this very frame is on the screen

    def _disarm(self) -> None:
        for entry in (self._digest, self._reason):
            entry.arm(NEVER_S)
        self._frame += 1
        self.post_message(self.Drawn(partial(self._arm, self._frame)))

    def _arm(self, frame: int) -> None:
        if frame != self._frame:
            return  # it is about an older frame: what has been drawn is not what is to be decided
        now_s = Message().time
        for entry in (self._digest, self._reason):
            entry.arm(now_s)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer only what there is to choose."""
        if action == "mode":
            return self._offer is not None and len(self._offer.modes) > 1 and self._approving
        return super().check_action(action, parameters)

    @property
    def _offer_refused(self) -> bool:
        """Whether this plan cannot be approved however well it is read."""
        return self._approving and self._offer is not None and bool(self._offer.refusal)

    @property
    def _approving(self) -> bool:
        return self._choice is Choice.APPROVE

    def at_foot(self) -> list[Command]:
        """Return what the keys do where the cursor is: from the reason both lead back to the digits."""
        offered = super().at_foot()
        if self._choice is Choice.REJECT:
            return [command for command in offered if command.name != "field"]
        if not self._reason.has_focus:
            return offered
        return [
            Command("", "enter,tab", "to the digits"),
            *(c for c in offered if c.name == "back"),
        ]

    def action_mode(self) -> None:
        """Change between rehearsing and doing it; what was typed was typed for the other."""
        self._mode = Mode.LIVE if self._mode is Mode.DRY_RUN else Mode.DRY_RUN
        self._cautioned = False
        self._digest.clear()
        self._disarm()
        self.say("")
        self.update_view()

    def action_field(self) -> None:
        """Go to the other field."""
        if self._approving:
            self.set_focus(self._reason if self._digest.has_focus else self._digest)

    def action_scroll(self, rows: int) -> None:
        """Read on; at the end it may be decided."""
        super().action_scroll(rows)
        self.update_view()

    def action_page(self, pages: int) -> None:
        """Read on by a page; at the end it may be decided."""
        super().action_page(pages)
        self.update_view()

    def on_entry_changed(self, _: Entry.Changed) -> None:
        """Forget what was said about the digits before."""
        if self._bad:
            self.say("")

    # ---- the decision itself

    def on_entry_submitted(self, message: Entry.Submitted) -> None:
        """Decide, or say why not."""
        message.stop()
        if self._approving and message.entry is self._reason:
            self.set_focus(self._digest)
            return
        if complaint := self._complaint():
            self.say(complaint, bad=True)
        else:
            self._send()
        self.update_view()

    def _complaint(self) -> str:
        """Return why this cannot be decided now, the most fundamental reason first."""
        offered, reason = self._offer, self.desk.read_only
        if reason:
            return f"read only: {reason}"
        if self._sent is not None or offered is None:
            return "wait for the hub"
        if self.desk.store.outdated(self._subject):
            return "the incident has just changed: wait, and read it again"
        if not self._doc.read:
            return "read it to the end first: PgDn"
        if not self._approving:
            return "" if self._reason.value.strip() else "a rejection needs a reason"
        return offered.refusal or self._typed_wrong(offered)

    def _typed_wrong(self, offered: Offer) -> str:
        """Return what is wrong with the digits; a plan with a caution wants them twice."""
        if self._digest.value != decide.digits(offered):
            return f"these are not the first {decide.DIGITS} digits of the plan's digest"
        if offered.caution and not self._cautioned:
            self._cautioned = True
            self._digest.clear()
            return f"CAUTION: {offered.caution}"
        return ""

    def _send(self) -> None:
        status = self.desk.snapshot.status
        assert self._offer is not None
        assert status is not None
        try:
            self._sent = decide.request(
                self._offer.incident,
                choice=self._choice,
                mode=self._mode,
                operator=status.operator,
                reason=self._reason.value.strip(),
                now_ms=self.desk.clock(),
            )
        except errors.SentinelError as error:
            self.say(f"{error.what}: {error.hint}", bad=True)
            return
        self.ask(self._sent)
        self.say("")

    def answered(self, message: Answered) -> None:
        """Leave, once the hub has taken the decision."""
        if message.request is self._sent:
            said = "approved" if self._approving else "rejected"
            mode = f", {self._mode.value}" if self._approving else ""
            self.leave(f"{said}{mode}: the hub has recorded it")
        else:
            self.update_view()

    def refused(self, message: Refused) -> None:
        """Say why, and show again what there is now."""
        self._sent = None
        self._cautioned = False
        self._digest.clear()
        if isinstance(message.error, errors.ConflictError):
            self.ask(GetRequest(incident=self._subject))
        super().refused(message)
        self.update_view()
