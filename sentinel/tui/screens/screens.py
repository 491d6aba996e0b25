"""The screens by their names: what opens one again when one goes back to it."""

from __future__ import annotations

from sentinel.tui.desk import Desk
from sentinel.tui.screens.audit import AuditScreen
from sentinel.tui.screens.command import CommandPage
from sentinel.tui.screens.incident import IncidentPage
from sentinel.tui.screens.memory import MemoryPage
from sentinel.tui.screens.nodes import NodesPage
from sentinel.tui.screens.page import Page
from sentinel.tui.trail import Visit


def made(desk: Desk, visit: Visit) -> Page:
    """Return a new screen that shows what `visit` did. Raises PolicyError."""
    match visit.screen, visit.of:
        case "incident", (str(incident),):
            return IncidentPage(desk, incident)
        case "command", (str(incident), int(number)):
            return CommandPage(desk, incident, number)
        case "nodes", ():
            return NodesPage(desk)
        case "memory", ():
            return MemoryPage(desk)
        case "drills", ():
            # What starts a process is imported by who goes there.
            from sentinel.tui.screens.drills import DrillsPage  # noqa: PLC0415

            return DrillsPage(desk)
        case "audit", ():
            return AuditScreen(desk)
        case "audit", (str(incident),):
            return AuditScreen(desk, incident)
        case "policy", ():
            # The engine and its rules cost 0.1 s and 8 MiB that the other screens need not pay.
            from sentinel.tui.screens.policy import PolicyPage  # noqa: PLC0415

            return PolicyPage(desk)
        case "rules", ():
            from sentinel.tui.screens.rules import RulesPage  # noqa: PLC0415

            return RulesPage(desk)
        case _:
            raise AssertionError(visit)
