"""The nodes: who is there, in which mode, with which policy, and for how long its certificate lasts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import cast

from textual.widget import Widget

from sentinel.domain import AgentStatus
from sentinel.protocol import Agents, AgentsRequest
from sentinel.tui.client import Answered
from sentinel.tui.desk import Desk
from sentinel.tui.line import Line, Row, Tone, line, text
from sentinel.tui.render import tables
from sentinel.tui.screens.page import WRITTEN_CELLS, Page
from sentinel.tui.trail import Visit
from sentinel.tui.widgets.lines import MARGIN, Browser, Lines

REFRESH_MS = 5000


class NodesPage(Page):
    """All nodes that the hub knows."""

    NAME = "nodes"

    def __init__(self, desk: Desk) -> None:
        """Build over `desk`."""
        super().__init__(desk)
        self._agents: tuple[AgentStatus, ...] | None = None
        self._asked_ms = 0
        self._counts = Lines(desk.paint, id="counts")
        self._titles = Lines(desk.paint, id="titles")
        self._list = Browser(desk.paint, id="list")

    def path(self) -> Sequence[str]:
        """Return where one is."""
        return ("sentinel", "nodes")

    def visit(self) -> Visit:
        """Return how it is opened again."""
        return Visit("nodes")

    def subject(self) -> tuple[str, str]:
        """Return the host under the cursor."""
        return "host", self._list.stop

    def whole(self) -> list[Line]:
        """Return every node, with the titles."""
        status = self.desk.snapshot.status
        now_ms, policy = self.desk.clock(), status.policy if status else ""
        nodes = [tables.node(a, now_ms, policy, WRITTEN_CELLS) for a in self._agents or ()]
        return [tables.node_titles(WRITTEN_CELLS), *nodes]

    def body(self) -> Iterable[Widget]:
        """Return the widgets."""
        return (self._counts, self._titles, self._list)

    def draw(self) -> None:
        """Show the nodes, and ask for them again from time to time."""
        now_ms, cells = self.desk.clock(), self._list.room
        if now_ms - self._asked_ms >= REFRESH_MS and self.is_current:
            self._asked_ms = now_ms
            self.ask(AgentsRequest())
        self._titles.show([line(" " * MARGIN, *tables.node_titles(cells))])
        status = self.desk.snapshot.status
        policy = status.policy if status else ""
        if self._agents is None:
            self._list.show([Row(line(text("asking the hub for its nodes")))])
            return
        words = tables.node_counts(self._agents, policy)
        self._counts.show([line(text(f" {words}", Tone.STRONG))])
        self._list.show(
            [Row(tables.node(agent, now_ms, policy, cells), agent.host) for agent in self._agents]
        )

    def hint(self) -> str:
        """Return what the node under the cursor said of itself last."""
        here = (agent for agent in self._agents or () if agent.host == self._list.stop)
        return next((tables.gauges(agent) for agent in here), "")

    def on_browser_moved(self, _: Browser.Moved) -> None:
        """Show that node's gauges."""
        self.say("")

    def on_browser_opened(self, message: Browser.Opened) -> None:
        """Go to the list with the open incidents of that node."""
        self.post_message(self.Typed(f"filter host={message.row}"))

    def answered(self, message: Answered) -> None:
        """Show them: those that are lost first."""
        agents = cast("Agents", message.reply).agents
        self._agents = tuple(sorted(agents, key=lambda agent: (agent.connected, agent.host)))
        self.update_view()
