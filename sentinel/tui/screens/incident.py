"""One incident: what, why, plan, run, timeline; and what can be done about it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from textual.widget import Widget

from sentinel import human
from sentinel.domain import Choice, Incident, Mode, State, Summary, Verdict
from sentinel.lifecycle import OPEN, TRANSITIONS, Event
from sentinel.protocol import Action, ListRequest
from sentinel.protocol import Page as Summaries
from sentinel.tui import decide, look
from sentinel.tui.client import Answered, Refused
from sentinel.tui.desk import Desk
from sentinel.tui.line import Line, Row, line, text
from sentinel.tui.render import incident as render
from sentinel.tui.render import similar
from sentinel.tui.screens.act import ActPage
from sentinel.tui.screens.audit import AuditScreen
from sentinel.tui.screens.command import CommandPage, may_revise, open_revision
from sentinel.tui.screens.decide import DecidePage
from sentinel.tui.screens.page import WRITTEN_CELLS, Page
from sentinel.tui.screens.pager import Pager
from sentinel.tui.trail import Visit
from sentinel.tui.widgets.lines import Browser, Lines

_MOVES = {
    "again": Event.ASKED_AGAIN,
    "take": Event.TAKEN_OVER,
    "close": Event.CLOSED_BY_HAND,
}
_WAY_TO_PLAN = {-1: "the plan is above: PgUp", 0: "", 1: "the plan is on the next page: PgDn"}
_UNDER_WAY = (State.APPROVED, State.EXECUTING)
# What is no move of the state table: what the incident must be like.
_MAY: dict[str, Callable[[Incident], bool]] = {
    "reject": lambda i: i.summary.state is State.AWAITING,
    "revise": may_revise,
    "halt": lambda i: i.summary.state in _UNDER_WAY and i.stopping is None,
    "acknowledge": lambda i: i.summary.state in OPEN,
    "release": lambda i: i.summary.state in OPEN and bool(i.summary.owner),
}


class IncidentPage(Page):
    """Everything about one incident."""

    NAME = "incident"

    def __init__(self, desk: Desk, incident: str) -> None:
        """Show the incident of that id."""
        super().__init__(desk)
        self._subject = incident
        self._top = Lines(desk.paint, id="top")
        self._doc = Browser(desk.paint, id="doc")
        self._offered: decide.Offer | None = None
        self._shown_running = False  # as it was shown last
        self._others: Sequence[Summary] | None = None  # earlier ones, once they are asked for

    @property
    def incident(self) -> Incident | None:
        """The incident as it was last fetched."""
        return self.desk.store.incidents.get(self._subject)

    def path(self) -> Sequence[str]:
        """Return where one is."""
        incident = self.incident
        what = f"{incident.summary.host} {look.kind(incident.summary.kind)}" if incident else ""
        return ("sentinel", f"{human.short_id(self._subject)} {what}".strip())

    def visit(self) -> Visit:
        """Return how it is opened again."""
        return Visit("incident", (self._subject,))

    def subject(self) -> tuple[str, str]:
        """Return the command or the output under the cursor, or else the incident's id."""
        incident, (kind, _, number) = self.incident, self._doc.stop.partition(":")
        if incident is None or kind in ("", similar.STOP):
            return "id", number or self._subject
        if kind == "command" and incident.plan:
            return "command", incident.plan.commands[int(number)].text
        output = (r.stdout or r.stderr for r in incident.results if str(r.index) == number)
        return "output", next(output, "")

    def whole(self) -> list[Line]:
        """Return the whole document, wide."""
        if self.incident is None:
            return []
        now_ms, cells = self.desk.clock(), WRITTEN_CELLS
        rows = [Row(of) for of in render.top(self.incident, now_ms, cells)]
        rows += render.document(self.incident, now_ms, cells, self._others or ())
        return [row.line for row in rows]

    def body(self) -> Iterable[Widget]:
        """Return the widgets."""
        self._top.styles.height = 2
        return (self._top, self._doc)

    def draw(self) -> None:
        """Show the incident, and ask for it where the list knows a newer form."""
        self.fetch(self._subject)
        incident = self.incident
        if incident is None:
            self._doc.show([Row(line(text("asking the hub for this incident")))])
            return
        now_ms = self.desk.clock()
        top = render.top(incident, now_ms, self.size.width - 1)
        self._top.show([line(" ", *of) for of in top])
        if self._others is None:
            self._others = ()
            self.ask(similar.request(incident.summary))
        self._doc.show(render.document(incident, now_ms, self._doc.room, self._others))
        if self._shown_running is not render.running(incident):
            # What the plan does has just become, or stopped being, the first thing to see.
            self._shown_running = not self._shown_running
            self._doc.action_edge(-1)

    def answered(self, message: Answered) -> None:
        """Take those that may be like it; the program shows what has come."""
        if isinstance(message.reply, Summaries):
            self._others = message.reply.summaries

    def refused(self, message: Refused) -> None:
        """Say why; but nobody asked for those that may be like it, and a lost hub has its banner."""
        if not isinstance(message.request, ListRequest):
            super().refused(message)

    def hint(self) -> str:
        """Return why there is no approve key where one would look for it, or where the plan is."""
        incident = self.incident
        if incident is None or incident.summary.state is not State.AWAITING:
            return ""
        refusal = self._refusal(incident)
        if refusal:
            return f"cannot be approved: {refusal}"
        return _WAY_TO_PLAN[self._doc.lies("command:0")]

    def on_browser_opened(self, message: Browser.Opened) -> None:
        """Open the command, or what it printed."""
        incident = self.incident
        kind, _, number = message.row.partition(":")
        if incident is None:
            return
        if kind == similar.STOP:
            self.want("incident", number)
            return
        if kind == "command":
            self.app.push_screen(CommandPage(self.desk, self._subject, int(number)))
            return
        result = next((r for r in incident.results if r.index == int(number)), None)
        if result is None:  # the incident has changed under the key
            return
        plan = incident.plan
        name = (
            plan.commands[result.index].text if plan and result.index < len(plan.commands) else ""
        )
        desk = self.desk
        self.app.push_screen(
            Pager(
                desk,
                (*self.path(), f"output of {result.index + 1}"),
                lambda cells: render.output_document(result, name, desk.clock(), cells),
            )
        )

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer what the incident's state and the plan permit, and nothing while read-only."""
        incident = self.incident
        if action == "next":
            return bool(incident and _findings(incident))
        if action in ("approve", *_MAY, *_MOVES):
            if incident is None or self.desk.read_only:
                return False
            return self._may(action, incident)
        return super().check_action(action, parameters)

    def _may(self, action: str, incident: Incident) -> bool:
        if action == "approve":
            return not self._refusal(incident)
        if action in _MOVES:
            return _MOVES[action] in TRANSITIONS[incident.summary.state]
        return _MAY[action](incident)

    def _refusal(self, incident: Incident) -> str:
        """Return why the plan cannot be approved; worked out once for each form of the incident."""
        if self._offered is None or self._offered.incident is not incident:
            self._offered = decide.offer(incident, Mode.DRY_RUN)
        return self._offered.refusal

    def action_log(self) -> None:
        """Open the audit records of this incident."""
        self.app.push_screen(AuditScreen(self.desk, self._subject))

    def action_approve(self) -> None:
        """Open the statement; nothing is decided by this key."""
        self.app.push_screen(DecidePage(self.desk, self._subject, Choice.APPROVE))

    def action_reject(self) -> None:
        """Open the rejection; nothing is decided by this key."""
        self.app.push_screen(DecidePage(self.desk, self._subject, Choice.REJECT))

    def action_revise(self) -> None:
        """Open the plan's commands to strike and to change; nothing changes by this key."""
        if self.incident is not None:
            kind, _, number = self._doc.stop.partition(":")
            open_revision(self, self.incident, int(number) if kind == "command" else 0)

    def action_again(self) -> None:
        """Open the question whether another plan is wanted."""
        self._act(Action.ASK_AGAIN)

    def action_take(self) -> None:
        """Open the question whether to take it over."""
        self._act(Action.TAKE_OVER)

    def action_close(self) -> None:
        """Open the note that closes it."""
        self._act(Action.CLOSE)

    def action_halt(self) -> None:
        """Open the question whether the plan is to stop; nothing stops by this key."""
        self._act(Action.STOP)

    def action_acknowledge(self) -> None:
        """Open the question whether to be on it."""
        self._act(Action.ACKNOWLEDGE)

    def action_release(self) -> None:
        """Open the question whether to give it back."""
        self._act(Action.RELEASE)

    def _act(self, action: Action) -> None:
        if self.incident is not None:
            self.app.push_screen(ActPage(self.desk, (self.incident.summary,), action))

    def action_next(self) -> None:
        """Go to the next command that is not allowed."""
        found = _findings(self.incident) if self.incident else []
        here = found.index(self._doc.stop) if self._doc.stop in found else -1
        self._doc.go(found[(here + 1) % len(found)])


def _findings(incident: Incident) -> list[str]:
    """Return the commands that are not allowed, as stops."""
    judged = incident.judgement.commands if incident.judgement else ()
    return [f"command:{n}" for n, each in enumerate(judged) if each.verdict is not Verdict.ALLOW]
