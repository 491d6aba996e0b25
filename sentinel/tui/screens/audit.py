"""The audit log's end, as it grows, with whether it holds; searched further back; in full behind Enter."""

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
from sentinel.tui.line import EMPTY, Line, Row, Tone, clip, line, text
from sentinel.tui.render import tables
from sentinel.tui.screens.page import WRITTEN_CELLS
from sentinel.tui.screens.pager import Pager
from sentinel.tui.screens.search import Searched
from sentinel.tui.trail import Visit
from sentinel.tui.widgets.lines import MARGIN, Browser, Lines

KEPT = 2000  # records: what a search looks back on
PAGE = 1000


class AuditScreen(Searched):
    """Records, newest first; of one incident, or all."""

    NAME = "audit"

    def __init__(self, desk: Desk, incident: str | None = None) -> None:
        """Show the records of `incident`, or of everything."""
        super().__init__(desk)
        self._subject = incident
        self._records: list[AuditRecord] = []
        self._asked_at = -1  # the store's revision when records were asked for
        self._older: AuditRequest | None = None  # on its way
        self._first = False  # there are none before the first that is here
        self._rows: dict[tuple[int, int], Row] = {}  # by number and cells: a record stays as it is
        self._state: tuple[tuple[int, int], Line] | None = None
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
        records = (tables.record(each, WRITTEN_CELLS) for each in reversed(self._shown()))
        return [row.line for rows in records for row in rows]

    def body(self) -> Iterable[Widget]:
        """Return the widgets."""
        return (self._counts, self._titles, self._list, self._search)

    def draw(self) -> None:
        """Show the records, and ask for more where something has changed."""
        revision, cells = self.desk.snapshot.revision, self._list.room
        if revision != self._asked_at and self.is_current:
            self._asked_at = revision
            after = self._records[-1].seq if self._records else -1
            self.ask(AuditRequest(after=after, incident=self._subject))
        shown, of = self._shown(), ""
        if self._search.value:
            self._look_back()
            of = f" of {len(self._records)} have it"
        words = f"{len(shown)} records{of}, newest first  "
        counts = line(text(f" {words}", Tone.STRONG), *self._holds())
        self._counts.show([clip(counts, self.size.width)])
        self._titles.show([line(" " * MARGIN, *tables.audit_titles(cells))])
        self._list.show([self._row(each, cells) for each in reversed(shown)])

    def _shown(self) -> list[AuditRecord]:
        return [r for r in self._records if self.found(str(r.seq), r.actor, r.action, r.body)]

    def _row(self, of: AuditRecord, cells: int) -> Row:
        row = self._rows.get((of.seq, cells))
        if row is None:
            if len(self._rows) > 2 * KEPT:
                self._rows.clear()
            row = self._rows[of.seq, cells] = Row(tables.audit(of, cells), str(of.seq))
        return row

    def _holds(self) -> Line:
        """Return whether the records that are here hold; worked out once for those."""
        if not self._records:
            return EMPTY
        ends = (self._records[0].seq, self._records[-1].seq)
        if self._state is None or self._state[0] != ends:
            state = tables.audit_state(self._records, gapless=self._subject is None)
            self._state = (ends, state)
        return self._state[1]

    def hint(self) -> str:
        """Return what is not looked at here: the log's beginning, and what it is signed with."""
        return "the whole log and its signatures: sentinel audit verify, where the hub runs"

    def _look_back(self) -> None:
        """Ask for the records before the first, a page at a time, as far as a search goes."""
        done = self._first or self._older is not None or len(self._records) >= KEPT
        if done or self._subject is not None or not self._records:
            return
        first = self._records[0].seq
        self._older = AuditRequest(after=max(0, first - 1 - PAGE), limit=PAGE)
        self.ask(self._older)

    def answered(self, message: Answered) -> None:
        """Append what is new; put in front what is older."""
        known = self._records[-1].seq if self._records else -1
        page = cast("Records", message.reply)
        if message.request is self._older:
            self._older = None
            earlier = [r for r in page.records if self._records and r.seq < self._records[0].seq]
            self._first = not earlier
            self._records = earlier + self._records
            self.update_view()
            return
        self._records += [record for record in page.records if record.seq > known]
        self._records = self._records[-KEPT:]
        self.update_view()

    def refused(self, message: Refused) -> None:
        """Say why, and ask again upon the next change."""
        self._asked_at, self._older = -1, None
        super().refused(message)

    def on_browser_opened(self, message: Browser.Opened) -> None:
        """Show one record in full."""
        chosen = next((r for r in self._records if str(r.seq) == message.row), None)
        if chosen is None:  # it was pushed out meanwhile
            return
        path = (*self.path(), message.row)
        self.app.push_screen(Pager(self.desk, path, lambda cells: tables.record(chosen, cells)))
