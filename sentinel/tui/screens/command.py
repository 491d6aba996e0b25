"""One command of a plan: its text, its tree, what each part means and what would make it allowed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from textual import events
from textual.widget import Widget

from sentinel import errors, human
from sentinel.domain import Incident, Judgement, Node, Verdict
from sentinel.lifecycle import TRANSITIONS, Event
from sentinel.tui import look
from sentinel.tui.desk import Desk
from sentinel.tui.line import EMPTY, Line, Row, line, rule, text
from sentinel.tui.render import command as render
from sentinel.tui.screens.page import Page
from sentinel.tui.trail import Visit
from sentinel.tui.widgets.lines import Browser, Lines

EXPLAIN_LINES = 5


class TreeKeys(Page):
    """The keys of a tree of verdicts, for the two screens that show one."""

    def __init__(self, desk: Desk) -> None:
        """Build over `desk`."""
        super().__init__(desk)
        self._tree = Browser(desk.paint, id="tree")
        self._why = Lines(desk.paint, id="why")
        self._judged: tuple[str, Judgement] | None = None
        self._folded: set[int] = set()

    def set_subject(self, command: str, judgement: Judgement) -> None:
        """Show another command; a judgement that is the same keeps its folds."""
        if self._judged != (command, judgement):
            self._judged = (command, judgement)
            self._folded = set(render.folded_first(judgement.tree))

    @property
    def _at(self) -> int:
        """The node under the cursor, or -1."""
        return int(self._tree.stop) if self._tree.stop else -1

    def subject(self) -> tuple[str, str]:
        """Return the command."""
        return "command", self._judged[0] if self._judged else ""

    def draw_tree(self) -> None:
        """Show source, tree and explanation."""
        if self._judged is None:
            self._tree.show([])
            self._why.show([])
            return
        command, judgement = self._judged
        cells = self._tree.room
        node = judgement.tree[self._at] if 0 <= self._at < len(judgement.tree) else None
        here = node.span if node else None
        rows = [Row(of) for of in render.source(command, judgement, cells, here=here)]
        rows.append(Row(rule("", cells)))
        rows += [
            Row(render.branch_line(judgement.tree[b.at], b, cells), str(b.at))
            for b in render.branches(judgement.tree, self._folded)
        ]
        if not judgement.tree:
            rows += self._without_tree(judgement, cells)
        self._tree.show(rows)
        self._why.show(self._explained(command, judgement))

    def _without_tree(self, judgement: Judgement, cells: int) -> list[Row]:
        """Return the findings where there is no tree: the text could not be read as a command."""
        rows = [Row(line(text("no tree: this could not be read as a command")))]
        for finding in judgement.findings[:16]:
            rows += [Row(of) for of in render.finding_line(finding, 0, cells)]
        return rows

    def _explained(self, command: str, judgement: Judgement) -> list[Line]:
        cells = self.size.width
        lines = [rule("", cells)]
        if 0 <= self._at < len(judgement.tree):
            node = judgement.tree[self._at]
            lines += [
                line(" ", *of) for of in render.explanation(command, node, judgement, cells - 1)
            ]
        return [*lines, *[EMPTY] * EXPLAIN_LINES][:EXPLAIN_LINES]

    def on_resize(self, event: events.Resize) -> None:
        """Give the explanation less room where there is little."""
        self._why.styles.height = EXPLAIN_LINES if event.size.height >= 16 else 2
        super().on_resize(event)

    def on_browser_moved(self, _: Browser.Moved) -> None:
        """Explain the node under the cursor, and underline it in the source."""
        self.draw_tree()

    def action_find(self, direction: int) -> None:
        """Go to the next part that is not allowed, unfolding what hides it."""
        tree = self._judged[1].tree if self._judged else ()
        found = [
            index
            for index, node in enumerate(tree)
            if node.verdict is not Verdict.ALLOW and node.rule and _innermost(tree, index)
        ]
        found = found or [i for i, node in enumerate(tree) if node.verdict is not Verdict.ALLOW]
        if not found:
            self.say("every part is allowed")
            return
        later = [i for i in found if (i > self._at if direction > 0 else i < self._at)]
        target = (later or found)[0 if direction > 0 else -1]
        self._folded = {f for f in self._folded if target not in render.descendants(tree, f)}
        self.draw_tree()
        self._tree.go(str(target))

    def action_fold(self, hide: bool) -> None:
        """Hide or show what is inside the node under the cursor."""
        if self._at >= 0:
            (self._folded.add if hide else self._folded.discard)(self._at)
            self.draw_tree()

    def on_browser_opened(self, _: Browser.Opened) -> None:
        """Fold or unfold."""
        self.action_fold(self._at not in self._folded)


def _innermost(tree: tuple[Node, ...], index: int) -> bool:
    """Say whether no part inside node `index` is worse than allowed."""
    return all(tree[i].verdict is Verdict.ALLOW for i in render.descendants(tree, index))


def may_revise(incident: Incident) -> bool:
    """Say whether the plan may be changed in the state that the incident is in."""
    return Event.REVISED in TRANSITIONS[incident.summary.state] and incident.plan is not None


def open_revision(page: Page, incident: Incident, number: int) -> None:
    """Open the plan's commands to strike and to change, on top of `page`, at the one of that index."""
    # The policy engine costs 0.1 s and 8 MiB that reading an incident need not pay.
    from sentinel.tui.screens.revise import RevisePage  # noqa: PLC0415

    try:
        page.app.push_screen(RevisePage(page.desk, incident, number))
    except errors.PolicyError as error:
        page.say(f"{error.what}. {error.hint}", bad=True)


class CommandPage(TreeKeys):
    """One command of an incident's plan."""

    NAME = "command"

    def __init__(self, desk: Desk, incident: str, number: int) -> None:
        """Show command `number` (from 0) of the incident's plan."""
        super().__init__(desk)
        self._subject = incident
        self._number = number
        self._facts = Lines(desk.paint, id="facts")

    def path(self) -> Sequence[str]:
        """Return where one is."""
        return (
            "sentinel",
            human.short_id(self._subject),
            f"command {self._number + 1}/{self._count()}",
        )

    def _count(self) -> int:
        incident = self.desk.store.incidents.get(self._subject)
        return len(incident.plan.commands) if incident and incident.plan else 0

    def visit(self) -> Visit:
        """Return how it is opened again."""
        return Visit("command", (self._subject, self._number))

    def body(self) -> Iterable[Widget]:
        """Return the widgets."""
        return (self._facts, self._tree, self._why)

    def draw(self) -> None:
        """Show the command as the plan has it now."""
        incident = self.desk.store.incidents.get(self._subject)
        plan, judgement = (incident.plan, incident.judgement) if incident else (None, None)
        if plan is None or judgement is None or self._number >= len(judgement.commands):
            self._judged = None
            self._facts.show([line(text(" this plan is no longer there"))])
        else:
            command, verdict = plan.commands[self._number], judgement.commands[self._number]
            self.set_subject(command.text, verdict)
            purpose = f"   {command.purpose}" if command.purpose else ""
            self._facts.show([line(" ", *look.verdict(verdict.verdict), text(purpose))])
        self.draw_tree()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer to change the plan where that is possible."""
        if action == "revise":
            incident = self.desk.store.incidents.get(self._subject)
            return incident is not None and not self.desk.read_only and may_revise(incident)
        return super().check_action(action, parameters)

    def action_revise(self) -> None:
        """Open the plan's commands to strike and to change; nothing changes by this key."""
        incident = self.desk.store.incidents.get(self._subject)
        if incident is not None:
            open_revision(self, incident, self._number)

    def action_other(self, step: int) -> None:
        """Go to another command of the plan."""
        count = self._count()
        if count:
            self._number = (self._number + step) % count
            self.update_view()
