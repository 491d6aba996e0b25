"""The home screen: every open incident, 'need you' first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import overload

from textual.widget import Widget

from sentinel import errors, human
from sentinel.domain import Incident, Summary
from sentinel.lifecycle import OPEN, TERMINAL
from sentinel.protocol import Action, GetRequest, ListRequest, Order
from sentinel.tui import commands, filters, look, setup
from sentinel.tui.client import Answered, Refused
from sentinel.tui.clip import short as clip_short
from sentinel.tui.desk import Desk
from sentinel.tui.line import EMPTY, Line, Row, Tone, clip, line, text
from sentinel.tui.render import incidents as render
from sentinel.tui.screens.act import ActPage
from sentinel.tui.screens.search import Searched
from sentinel.tui.widgets.lines import MARGIN, Browser, Lines

UNCUT_CELLS = 400  # more than the longest row has


class Rows(Sequence[Row]):
    """The incidents as rows, made when they are looked at: twenty on the screen, not a thousand."""

    def __init__(self, summaries: Sequence[Summary], now_ms: int, cells: int) -> None:
        """Render for `now_ms`, `cells` wide."""
        self._summaries = summaries
        self._now_ms = now_ms
        self._cells = cells

    def __len__(self) -> int:
        return len(self._summaries)

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Row]: ...
    def __getitem__(self, index: int | slice) -> Row | Sequence[Row]:
        """Return one row, rendered now."""
        if isinstance(index, slice):
            return Rows(self._summaries[index], self._now_ms, self._cells)
        summary = self._summaries[index]
        return Row(render.row(summary, self._now_ms, self._cells), summary.id)


class IncidentsPage(Searched):
    """The live list."""

    NAME = "incidents"
    KEEP, CLEAR = "keep the filter", "clear it"
    BANNER_ROWS = 1  # evidence stands there: a cursor that moves must not move the list

    def __init__(self, desk: Desk) -> None:
        """Build over `desk`."""
        super().__init__(desk)
        self._counts = Lines(desk.paint, id="counts")
        self._titles = Lines(desk.paint, id="titles")
        self._list = Browser(desk.paint, id="list")
        self._terms: filters.Terms = ()
        self._ended = False
        self._known: tuple[Summary, ...] = ()  # what `_shown` was chosen from, and by what
        self._chosen_by: tuple[filters.Terms, bool] = ((), False)
        self._sort = Order.URGENCY
        self._marked: frozenset[str] = frozenset()
        self._shown: tuple[Summary, ...] = ()
        self._asked: ListRequest | None = None  # a page that is on its way
        self._jump = 0  # to the first (-1) or last (1) row, once its page is here

    def path(self) -> Sequence[str]:
        """Return where one is."""
        status = self.desk.snapshot.status
        return ("sentinel", status.site) if status else ("sentinel",)

    def subject(self) -> tuple[str, str]:
        """Return the ids of the marked incidents, or the one under the cursor."""
        marked = [s.id for s in self._shown if s.id in self._marked]
        if marked:
            return f"{len(marked)} ids", " ".join(marked)
        return "id", self._list.stop

    def whole(self) -> list[Line]:
        """Return the marked rows, or every one that is here, unshortened."""
        marked = [s for s in self._shown if s.id in self._marked]
        rows = Rows(marked or self._shown, self.desk.clock(), UNCUT_CELLS)
        return [render.titles(UNCUT_CELLS), *(row.line for row in rows)]

    def body(self) -> Iterable[Widget]:
        """Return the widgets."""
        return (self._counts, self._titles, self._list, self._search)

    def draw(self) -> None:
        """Show the incidents that the filter takes."""
        found = self.desk.store.look_for(self._terms, ended=self._ended, order=self._sort)
        snapshot, cells = self.desk.snapshot, self._list.room
        if found:
            self._known, self._shown = (), snapshot.summaries
        else:
            self._choose(snapshot.summaries)
        counts = render.counts(
            snapshot, shown=len(self._shown), filtered=self._search.value, ended=self._ended
        )
        self._counts.show([clip((*self._own_words(), *counts), self.size.width)])
        self._titles.show([line(" " * MARGIN, *render.titles(cells))])
        if not self._shown:
            self._list.show([Row(EMPTY), Row(line(render.empty(snapshot, self._search.value)))])
        else:
            stop = self._list.stop
            at = next((i for i, s in enumerate(self._shown) if s.id == stop), -1)
            self._list.show(Rows(self._shown, self.desk.clock(), cells), at=at)
        self._ask_for_more()

    def lasts_s(self) -> float:
        """Return for how many seconds the ages of what is on the screen, and the header, stay true."""
        shown = self._shown[self._list.on_screen]
        return render.lasts_ms(shown, self.desk.snapshot, self.desk.clock()) / 1000

    def _choose(self, summaries: tuple[Summary, ...]) -> None:
        """Work out what is shown, if anything has changed."""
        chosen_by = (self._terms, self._ended)
        if summaries is self._known and chosen_by == self._chosen_by:
            return
        self._known, self._chosen_by = summaries, chosen_by
        self._shown = tuple(
            summary
            for summary in summaries
            if (self._ended or summary.state not in TERMINAL)
            and filters.accepts(self._terms, summary)
        )

    def _ask_for_more(self) -> None:
        """Ask the hub for the page that the cursor comes near to, one at a time."""
        if self._asked is None and self.desk.snapshot.revision:
            request = self.desk.store.wanted(max(0, self._list.at))
            if request is not None:
                self._asked = request
                self.ask(request)

    def answered(self, message: Answered) -> None:
        """Show the page, or the incident, that came."""
        if isinstance(message.reply, Incident):
            self.want("incident", message.reply.summary.id)
            return
        self._asked = None
        self.update_view()
        asked = message.request
        if self._jump and isinstance(asked, ListRequest) and asked.order is self._sort:
            self._list.move_to(0 if self._jump < 0 else len(self._shown) - 1)
            self._jump = 0

    def refused(self, message: Refused) -> None:
        """Say why there is no page, and ask again upon the next move."""
        self._asked, self._jump = None, 0
        super().refused(message)

    def on_browser_edge(self, message: Browser.Edge) -> None:
        """Go to an end of the list that is not here yet."""
        request = self.desk.store.edge(message.direction)
        if request is not None:
            self._jump = message.direction
            self._asked = request
            self.ask(request)

    def hint(self) -> str:
        """Return who is on the incident under the cursor, its host where the column cuts it, and its evidence.

        While a filter is typed: what it may say.
        """
        if self._search.has_focus:
            return next(c.more for c in commands.TABLE[self.NAME] if c.name == "filter")
        at = self._list.at
        if not 0 <= at < len(self._shown):
            return ""
        summary = self._shown[at]
        who = look.on_it(summary.owner, summary.state)
        host = summary.host if render.cuts(summary, self._list.room) else ""
        return "; ".join(word for word in (who, host, summary.evidence) if word)

    def on_browser_moved(self, _: Browser.Moved) -> None:
        """Show the evidence of the row under the cursor, and see to the rows beyond it."""
        self.say("")
        self._ask_for_more()

    def on_browser_opened(self, message: Browser.Opened) -> None:
        """Open an incident."""
        self.want("incident", message.row)

    def searched(self) -> None:
        """Filter as it is typed."""
        try:
            self._terms = filters.parse(self._search.value)
        except errors.OperatorError as error:
            self.say(f"{error.what}: {error.hint}", bad=True)
            return
        self.say("")
        self.update_view()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer what the present situation has."""
        if action == "back":
            return False
        if action in ("acknowledge", "release"):
            return bool(self._shown) and not self.desk.read_only
        return super().check_action(action, parameters)

    def action_open(self, incident: str = "") -> None:
        """Open the incident under the cursor, or the one named."""
        if not incident:
            self._list.action_open()
            return
        known = [s.id for s in self._shown if s.id.startswith(incident) or s.id.endswith(incident)]
        if len(known) == 1:
            self.want("incident", known[0])
        else:
            self.ask(GetRequest(incident=incident))

    def action_filter(self, terms: str = "") -> None:
        """Type a filter, or apply the one that was typed."""
        self.action_search(terms)

    def action_clear(self) -> None:
        """Show everything again."""
        self._search.clear()
        self._terms = ()
        self._mark(frozenset())
        self.close_search()

    def _own_words(self) -> Line:
        """Return what differs from the list as it comes: another order, marks."""
        words = []
        if self._sort is not Order.URGENCY:
            words.append(f"by {self._sort}")
        if self._marked:
            words.append(f"{len(self._marked)} marked")
        return line(text(f" {'  '.join(words)} ", Tone.WARN)) if words else EMPTY

    def choices(self, name: str) -> Sequence[str]:
        """Return the columns, the views and the ids that may be typed."""
        match name:
            case "sort":
                return tuple(Order)
            case "view" | "save":
                return tuple(self.desk.views)
            case "open":
                return tuple(human.short_id(s.id) for s in self._shown)
            case "filter":
                return tuple(f"{field}=" for field in filters.FIELDS)
            case _:
                return super().choices(name)

    def action_sort(self, column: str = "") -> None:
        """Order by a column, or by the next one."""
        names = list(Order)
        if column and column not in names:
            self.say(f"there is no column {column}: {' '.join(names)}", bad=True)
            return
        self._sort = Order(column or names[(names.index(self._sort) + 1) % len(names)])
        # Where the hub sorts, the row under the cursor may be far away: its list begins at the top.
        self._jump = 0 if self.desk.snapshot.whole else -1
        self.update_view()

    def action_mark(self) -> None:
        """Mark the incident under the cursor, or take the mark off, and go on to the next."""
        if self._list.stop:
            self._mark(self._marked ^ {self._list.stop})
            self._list.action_step(1)
            self.update_view()

    def action_acknowledge(self) -> None:
        """Open the question whether to be on the marked incidents, or the one under the cursor."""
        chosen = [s for s in self._chosen() if s.state in OPEN]
        self._act(chosen, Action.ACKNOWLEDGE, "it has ended: nobody has to be on it")

    def action_release(self) -> None:
        """Open the question whether to give the marked incidents back, or the one under the cursor."""
        chosen = [s for s in self._chosen() if s.state in OPEN and s.owner]
        self._act(chosen, Action.RELEASE, "nobody is on it")

    def _chosen(self) -> list[Summary]:
        """Return the marked incidents, or the one under the cursor."""
        marked = [s for s in self._shown if s.id in self._marked]
        return marked or [s for s in self._shown if s.id == self._list.stop]

    def _act(self, chosen: Sequence[Summary], action: Action, otherwise: str) -> None:
        if chosen:
            self.app.push_screen(ActPage(self.desk, chosen, action))
        else:
            self.say(otherwise)

    def _mark(self, marked: frozenset[str]) -> None:
        self._marked = marked
        self._list.mark(marked)

    def action_view(self, name: str) -> None:
        """Apply a filter that was saved."""
        terms = self.desk.views.get(name)
        if terms is None:
            known = " ".join(self.desk.views) or "none yet, :save NAME makes one"
            self.say(f"there is no view {name}: {known}", bad=True)
        else:
            self.search_for(terms)

    def action_save(self, name: str) -> None:
        """Save the present filter as a view in tui.toml."""
        folder, terms = self.desk.setup.folder, self._search.value.strip()
        if folder is None or not terms:
            why = (
                "there is no filter to save: / makes one" if folder else "there is no folder for it"
            )
            self.say(why, bad=True)
            return
        try:
            self.desk.views = dict(setup.save_view(folder, name, terms).views)
        except errors.ConfigError as error:
            self.say(f"{error.what}. {error.hint}", bad=True)
        else:
            self.say(f":view {name} applies it; saved in {clip_short(folder / setup.TUI_FILE)}")

    def action_next(self) -> None:
        """Go to the next incident that needs a person."""
        ids = [s.id for s in self._shown if look.needs_you(s.state)]
        if not ids:
            self.say("nothing here needs you")
            return
        here = ids.index(self._list.stop) if self._list.stop in ids else -1
        at = next(i for i, s in enumerate(self._shown) if s.id == ids[(here + 1) % len(ids)])
        self._list.move_to(at)

    def action_ended(self) -> None:
        """Show those that have ended as well, or not."""
        self._ended = not self._ended
        self.update_view()

    def action_leave(self) -> None:
        """Leave the program."""
        self.app.exit()
