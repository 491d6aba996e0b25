"""What the hub remembers: past incidents with how they ended, what runs where, and the runbooks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from textual.widget import Widget

from sentinel import errors
from sentinel.domain import Summary
from sentinel.protocol import (
    Field,
    ListRequest,
    Match,
    Runbook,
    Runbooks,
    RunbooksRequest,
    Services,
    ServicesRequest,
    Term,
)
from sentinel.protocol import Page as Summaries
from sentinel.tui.client import Answered
from sentinel.tui.desk import Desk
from sentinel.tui.line import Line, Row, clip, line, text
from sentinel.tui.render import memory as render
from sentinel.tui.render import runbook as render_runbook
from sentinel.tui.screens.page import WRITTEN_CELLS, Page
from sentinel.tui.screens.pager import Pager
from sentinel.tui.trail import Visit
from sentinel.tui.widgets.lines import Browser, Lines

PAGE = 500
MOST = 2000  # incidents that are looked back on
REFRESH_MS = 10_000
RECALL_MS = 60_000  # the hub adds its whole record up


class MemoryPage(Page):
    """What has happened before."""

    NAME = "memory"

    def __init__(self, desk: Desk) -> None:
        """Build over `desk`."""
        super().__init__(desk)
        self._known: dict[str, Summary] = {}
        self._found: tuple[Summary, ...] = ()  # of the service that was chosen, older ones too
        self._services: Services | None = None
        self._runbooks: tuple[Runbook, ...] | None = None
        self._more = False
        self._loaded = False
        self._asked_ms = 0
        self._recalled_ms = 0
        self._chosen = ""
        self._unfolded: frozenset[str] = frozenset()
        self._version = 0  # of what is known
        self._drawn: tuple[object, ...] | None = None
        self._counts = Lines(desk.paint, id="counts")
        self._doc = Browser(desk.paint, id="doc")

    def path(self) -> Sequence[str]:
        """Return where one is."""
        return ("sentinel", "memory")

    def visit(self) -> Visit:
        """Return how it is opened again."""
        return Visit("memory")

    def subject(self) -> tuple[str, str]:
        """Return the id, or the name, under the cursor."""
        by, name = render.group(self._doc.stop)
        return by or "id", name

    def whole(self) -> list[Line]:
        """Return the whole document, wide and unfolded."""
        every = frozenset({render.KIND, render.HOST, render.SERVICE, render.RUNBOOK})
        rows = self._document(every, WRITTEN_CELLS)
        return [row.line for row in rows if render.group(row.stop)[0] != render.MORE]

    def body(self) -> Iterable[Widget]:
        """Return the widgets."""
        return (self._counts, self._doc)

    def _past(self) -> list[Summary]:
        return sorted(self._known.values(), key=lambda s: (s.opened_ms, s.id), reverse=True)

    def _document(self, unfolded: frozenset[str], cells: int) -> list[Row]:
        services = self._services
        known = render.Known(
            summaries=self._past(),
            found=self._found,
            services=services.services if services else None,
            more_services=services.more if services else 0,
            runbooks=self._runbooks,
        )
        return render.document(known, self._chosen, unfolded, self.desk.clock(), cells)

    def draw(self) -> None:
        """Show what is known, and ask for what is new from time to time."""
        now_ms = self.desk.clock()
        self._ask_again(now_ms)
        if not self._loaded:
            self._doc.show([Row(line(text("asking the hub for past incidents")))])
            return
        # Ages are seldom worth two thousand rows a second.
        when = now_ms // REFRESH_MS
        drawn = (self._version, self._chosen, self._unfolded, self._doc.room, when)
        if drawn != self._drawn:
            self._drawn = drawn
            counts = render.counts(self._past(), more=self._more)
            self._counts.show([clip(counts, self.size.width)])
            self._doc.show(self._document(self._unfolded, self._doc.room))

    def _ask_again(self, now_ms: int) -> None:
        if not self.is_current:
            return
        if now_ms - self._asked_ms >= REFRESH_MS:
            self._asked_ms = now_ms
            self._ask(None)
        if now_ms - self._recalled_ms >= RECALL_MS:
            self._recalled_ms = now_ms
            self.ask(ServicesRequest())
            self.ask(RunbooksRequest())

    def _ask(self, before: str | None) -> None:
        self.ask(ListRequest(open_only=False, before=before, limit=PAGE))

    def answered(self, message: Answered) -> None:
        """Take what the hub says."""
        match message.reply:
            case Services() as services:
                self._services = services
            case Runbooks() as runbooks:
                self._runbooks = runbooks.runbooks
            case Summaries() as page if message.request == self._search():
                self._found = page.summaries
            case Summaries() as page if not page_of_search(message):
                self._take_page(page)
            case _:
                return
        self._version += 1
        self.update_view()

    def _take_page(self, page: Summaries) -> None:
        """Take a page, and ask for the next one where it brought something new."""
        fresh = [s for s in page.summaries if s.id not in self._known]
        self._known |= {summary.id: summary for summary in page.summaries}
        if fresh:
            self._more = page.more
            if page.more and len(self._known) < MOST:
                self._ask(page.summaries[-1].id)
        self._loaded = True

    def _search(self) -> ListRequest | None:
        """Return what asks for the incidents of the chosen service, however long ago they were."""
        by, name = render.group(self._chosen)
        if by != render.SERVICE:
            return None
        match = Match(field=Field.SERVICE, parts=(name.lower(),))
        return ListRequest(open_only=False, limit=PAGE, terms=(Term(any_of=(match,)),))

    def on_browser_opened(self, message: Browser.Opened) -> None:
        """Open the incident or runbook; fold a section; or show only those of a kind, or all again."""
        by, name = render.group(message.row)
        if by in render.NARROWS:
            self._choose(message.row)
        elif by == render.MORE:
            self._unfolded = self._unfolded ^ {name}
        elif by == render.RUNBOOK:
            self._open_runbook(name)
        else:
            self.want("incident", message.row)
        self.update_view()

    def _choose(self, row: str) -> None:
        self._chosen = "" if self._chosen == row else row
        self._found = ()
        if (search := self._search()) is not None:
            self.ask(search)
        self.say(f"PAST INCIDENTS below: {self._chosen.replace(':', ' ', 1) or 'all'}")

    def _open_runbook(self, name: str) -> None:
        runbook = next((each for each in self._runbooks or () if each.id == name), None)
        if runbook is None:
            return
        # The engine and its rules cost 0.1 s and 8 MiB that the other screens need not pay.
        from sentinel.tui.runbooks import verdicts  # noqa: PLC0415

        try:
            said = verdicts(runbook)
        except errors.PolicyError as error:
            self.say(f"{error.what}. {error.hint}", bad=True)
            return

        def document(cells: int) -> list[Row]:
            now_ms = self.desk.clock()
            return [Row(of) for of in render_runbook.document(runbook, said, now_ms, cells)]

        self.app.push_screen(Pager(self.desk, (*self.path(), "runbook", name), document))


def page_of_search(message: Answered) -> bool:
    """Say whether a page answers a search, perhaps one that nobody wants any more."""
    return isinstance(message.request, ListRequest) and bool(message.request.terms)
