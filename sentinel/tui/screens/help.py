"""The help of a screen, made from the table of commands, with what the signs and colours mean."""

from __future__ import annotations

from sentinel.tui import commands, look
from sentinel.tui.commands import APP, LIST, Command
from sentinel.tui.line import EMPTY, Row
from sentinel.tui.render import frame
from sentinel.tui.screens.page import Page
from sentinel.tui.screens.pager import Pager


def help_page(page: Page) -> Pager:
    """Return the help of `page`: what works there now."""
    overrides = page.desk.setup.keys

    def of(place: str) -> list[Command]:
        bound = commands.bound(place, overrides)
        return [command._replace(keys=",".join(keys)) for command, keys in bound]

    here = [("HERE", page.offered())]
    beside = [("MOVE", of(LIST))] if page.browser else []
    beside.append(("EVERYWHERE", of(APP)))

    def document(cells: int) -> list[Row]:
        first = frame.help_rows(here, cells, typed=not page.DIALOG)
        rest = frame.help_rows(beside, cells)
        return [Row(row) for row in (*first, *look.legend(), EMPTY, *rest)]

    return Pager(page.desk, (*page.path(), "help"), document)
