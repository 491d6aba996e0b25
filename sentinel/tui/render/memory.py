"""What the hub remembers: how often what happened where, how it ended, and what deals with it."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from sentinel import human
from sentinel.domain import State, Summary, Value
from sentinel.lifecycle import TERMINAL
from sentinel.protocol import Past, Runbook, Service
from sentinel.tui import look
from sentinel.tui.line import EMPTY, Line, Row, Tone, cell, clip, joined, line, rule, text
from sentinel.tui.render import incidents

FEW = 3  # lines of a section, the most frequent, until more are asked for
KIND, HOST, SERVICE, RUNBOOK, MORE = "kind", "host", "service", "runbook", "more"
_NAME: dict[str, Callable[[Summary], str]] = {
    KIND: lambda s: look.kind(s.kind),
    HOST: lambda s: s.host,
    SERVICE: lambda s: s.service,
}
NARROWS = frozenset(_NAME)
_SORTS = NARROWS | {RUNBOOK, MORE}


class Known(NamedTuple):
    """What the screen has to show. None: the hub has not answered yet."""

    summaries: Sequence[Summary]  # the newest
    found: Sequence[Summary] = ()  # older ones that were looked for
    services: Sequence[Service] | None = None
    more_services: int = 0  # that the hub did not name
    runbooks: Sequence[Runbook] | None = None


class Tally(Value, frozen=True, kw_only=True):
    """What became of the incidents of one kind, or of one host."""

    name: str
    count: int
    resolved: int
    closed: int  # by hand
    took_ms: int | None  # the median of those that have ended, from first sight to end
    last_ms: int

    @property
    def open(self) -> int:
        """How many have not ended."""
        return self.count - self.resolved - self.closed


def tally(summaries: Iterable[Summary], by: str) -> list[Tally]:
    """Return one tally for each kind or host, the most frequent first."""
    groups: dict[str, list[Summary]] = {}
    for summary in summaries:
        groups.setdefault(_NAME[by](summary), []).append(summary)
    made = [_tally(name, group) for name, group in groups.items()]
    return sorted(made, key=lambda each: (-each.count, each.name))


def _tally(name: str, group: Sequence[Summary]) -> Tally:
    took = [s.updated_ms - s.opened_ms for s in group if s.state in TERMINAL]
    return Tally(
        name=name,
        count=len(group),
        resolved=sum(s.state is State.RESOLVED for s in group),
        closed=sum(s.state is State.CLOSED for s in group),
        took_ms=int(statistics.median(took)) if took else None,
        last_ms=max(s.opened_ms for s in group),
    )


def group(stop: str) -> tuple[str, str]:
    """Return what a row stands for: its sort and its name, or nothing and an incident's id."""
    by, _, name = stop.partition(":")
    return (by, name) if by in _SORTS else ("", stop)


def only(summaries: Iterable[Summary], chosen: str) -> list[Summary]:
    """Return those of the kind, host or service that `chosen` names as `kind:cpu`; all without it."""
    by, name = group(chosen)
    return [s for s in summaries if not by or _NAME[by](s) == name]


def counts(summaries: Sequence[Summary], *, more: bool) -> Line:
    """Return what stands above: how many there are, and how they ended."""
    ended = [s for s in summaries if s.state in TERMINAL]
    by_hand = sum(s.state is State.CLOSED for s in ended)
    words = [f"of the newest {len(summaries)}:"] if more else []
    words += [
        f"{len(ended)} ended",
        f"{len(ended) - by_hand} resolved",
        f"{by_hand} closed by hand",
    ]
    words.append(f"{len(summaries) - len(ended)} open")
    return line(text(f" {'  '.join(words)}", Tone.STRONG))


def document(
    known: Known, chosen: str, unfolded: frozenset[str], now_ms: int, cells: int
) -> list[Row]:
    """Return the whole screen; rows stop at `kind:NAME` and the like, and at incidents' ids.

    `unfolded` are the sections that are shown with all their lines.
    """
    rows: list[Row] = []
    for by in (KIND, HOST):
        lines = [_tallied(by, each, now_ms, cells) for each in tally(known.summaries, by)]
        rows += _section(by, f"BY {by.upper()}", lines, unfolded, cells)
    if known.services is not None:
        lines = [_served(each, now_ms, cells) for each in known.services]
        rows += _section(SERVICE, "SERVICES", lines, unfolded, cells)
        if known.more_services and SERVICE in unfolded:
            rows.append(Row(line(text(f"and {known.more_services} that are not named", Tone.DIM))))
    if known.runbooks is not None:
        most = sorted(known.runbooks, key=lambda each: -each.past.count)
        lines = [_booked(each, now_ms, cells) for each in most]
        rows += _section(RUNBOOK, "RUNBOOKS", lines, unfolded, cells)
    return rows + _ended(known, chosen, now_ms, cells)


def _section(
    by: str, title: str, lines: list[Row], unfolded: frozenset[str], cells: int
) -> list[Row]:
    """Return a section with its first lines; the last row tells how many more there are."""
    rows = [Row(rule(title, cells)), Row(titles(by, cells))]
    if by in unfolded:
        return [*rows, *lines, Row(line(text("fewer", Tone.DIM)), f"{MORE}:{by}")]
    left = len(lines) - FEW
    if left > 0:
        rest = line(text(f"{left} more", Tone.DIM))
        return [*rows, *lines[:FEW], Row(rest, f"{MORE}:{by}")]
    return rows + (lines or [Row(line(text("none is known yet", Tone.DIM)))])


def _ended(known: Known, chosen: str, now_ms: int, cells: int) -> list[Row]:
    every = {s.id: s for s in (*known.found, *known.summaries)}.values() if chosen else None
    past = [s for s in only(every or known.summaries, chosen) if s.state in TERMINAL]
    past = sorted(past, key=lambda s: (s.opened_ms, s.id), reverse=True) if chosen else past
    of = f" of {chosen.replace(':', ' ', 1)}   (Enter there again: all)" if chosen else ""
    rows = [Row(rule(f"PAST INCIDENTS{of}", cells)), Row(incidents.titles(cells))]
    rows += [Row(incidents.row(s, now_ms, cells), s.id) for s in past]
    return rows if past else [*rows, Row(line("none has ended yet")), Row(EMPTY)]


_LAST_TITLE = {KIND: "TOOK", HOST: "TOOK", SERVICE: "HOSTS", RUNBOOK: "WHAT IT IS FOR"}


def titles(by: str, cells: int) -> Line:
    """Return the column titles of a section; the table of services also without a screen."""
    names = [(by.upper(), _name_cells(cells)), (" COUNT", 6), ("RESOLVED", 8), ("CLOSED", 6)]
    names += [(" OPEN", 5), ("LAST", 8), (_LAST_TITLE[by], 16)]
    return clip(joined([cell(n, width, Tone.STRONG) for n, width in names], line(" ")), cells)


def _name_cells(cells: int) -> int:
    return 40 if cells >= incidents.WIDE else 22


def _tallied(by: str, of: Tally, now_ms: int, cells: int) -> Row:
    took = "-" if of.took_ms is None else human.span(of.took_ms)
    past = Past(count=of.count, open=of.open, resolved=of.resolved, last_ms=of.last_ms)
    return Row(_line(of.name, past, took, now_ms, cells), f"{by}:{of.name}")


def _served(of: Service, now_ms: int, cells: int) -> Row:
    return Row(service(of, now_ms, cells), f"{SERVICE}:{of.name}")


def _booked(of: Runbook, now_ms: int, cells: int) -> Row:
    return Row(runbook(of, now_ms, cells), f"{RUNBOOK}:{of.id}")


def service(of: Service, now_ms: int, cells: int) -> Line:
    """Return one service: what became of its incidents, and where it runs."""
    others = of.host_count - len(of.hosts)
    words = " ".join(of.hosts) + (f" +{others}" if others else "")
    room = cells - _name_cells(cells) - 39
    # A few of many names say less than how many there are.
    if len(words) > room:
        words = f"{of.host_count} hosts"
    return _line(of.name, of.past, words, now_ms, cells)


def runbook(of: Runbook, now_ms: int, cells: int) -> Line:
    """Return one runbook: how often it made the plan, and what became of that."""
    return _line(of.id, of.past, of.title, now_ms, cells)


def _line(name: str, of: Past, last: str, now_ms: int, cells: int) -> Line:
    closed = of.count - of.open - of.resolved
    columns = [
        cell(name, _name_cells(cells)),
        cell(f"{of.count:>6}", 6),
        cell(f"{of.resolved:>8}", 8),
        cell(f"{closed:>6}", 6),
        cell(f"{of.open:>5}", 5, Tone.STRONG if of.open else Tone.PLAIN),
        cell(f"{human.age(now_ms - of.last_ms)} ago" if of.count else "-", 8),
        line(last),
    ]
    return clip(joined(columns, line(" ")), cells)
