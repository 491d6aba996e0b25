"""The audit log's end, as it grows; each record in full behind Enter."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import cast

from textual.widget import Widget

from sentinel import human
from sentinel.domain import AuditRecord
from sentinel.protocol import AuditPage as Records
from sentinel.protocol import AuditRequest
from sentinel.tui.client import Answered, Refused
from sentinel.tui.desk import Desk
from sentinel.tui.line import Line, Row, Tone, line, text
from sentinel.tui.render import tables
from sentinel.tui.screens.page import WRITTEN_CELLS, Page
from sentinel.tui.screens.pager import Pager
from sentinel.tui.trail import Visit
from sentinel.tui.widgets.lines import MARGIN, Browser, Lines

KEPT = 1000


class AuditScreen(Page):
    """Records, newest first; of one incident, or all."""

    NAME = "audit"

    def __init__(self, desk: Desk, incident: str | None = None) -> None:
        """Show the records of `incident`, or of everything."""
        super().__init__(desk)
        self._subject = incident
        self._records: list[AuditRecord] = []
        self._asked_at = -1  # the store's revision when records were asked for
        self._counts = Lines(desk.paint, id="counts")
        self._titles = Lines(desk.paint, id="titles")
        self._list = Browser(desk.paint, id="list")

    def path(self) -> Sequence[str]:
        """Return where one is."""
        own = (human.short_id(self._subject),) if self._subject else ()
        return ("sentinel", *own, "audit")

    def visit(self) -> Visit:
        """Return how it is opened again."""
        return Visit("audit", (self._subject,) if self._subject else ())

    def subject(self) -> tuple[str, str]:
        """Return the hash of the record under the cursor."""
        return "hash", next((r.hash for r in self._records if str(r.seq) == self._list.stop), "")

    def whole(self) -> list[Line]:
        """Return every record that is here, in full."""
        records = (tables.record(each, WRITTEN_CELLS) for each in reversed(self._records))
        return [row.line for rows in records for row in rows]

    def body(self) -> Iterable[Widget]:
        """Return the widgets."""
        return (self._counts, self._titles, self._list)

    def draw(self) -> None:
        """Show the records, and ask for more where something has changed."""
        revision, cells = self.desk.snapshot.revision, self._list.room
        if revision != self._asked_at and self.is_current:
            self._asked_at = revision
            after = self._records[-1].seq if self._records else -1
            self.ask(AuditRequest(after=after, incident=self._subject))
        words = f"{len(self._records)} records, newest first"
        self._counts.show([line(text(f" {words}", Tone.STRONG))])
        self._titles.show([line(" " * MARGIN, *tables.audit_titles(cells))])
        newest = reversed(self._records)
        self._list.show([Row(tables.audit(each, cells), str(each.seq)) for each in newest])

    def answered(self, message: Answered) -> None:
        """Append what is new."""
        known = self._records[-1].seq if self._records else -1
        page = cast("Records", message.reply)
        self._records += [record for record in page.records if record.seq > known]
        self._records = self._records[-KEPT:]
        self.update_view()

    def refused(self, message: Refused) -> None:
        """Say why, and ask again upon the next change."""
        self._asked_at = -1
        super().refused(message)

    def on_browser_opened(self, message: Browser.Opened) -> None:
        """Show one record in full."""
        chosen = next((r for r in self._records if str(r.seq) == message.row), None)
        if chosen is None:  # it was pushed out meanwhile
            return
        path = (*self.path(), message.row)
        self.app.push_screen(Pager(self.desk, path, lambda cells: tables.record(chosen, cells)))
