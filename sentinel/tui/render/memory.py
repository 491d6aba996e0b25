"""Past incidents: how often what happened where, how it ended, and how long it took."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence

from sentinel import human
from sentinel.domain import State, Summary, Value
from sentinel.lifecycle import TERMINAL
from sentinel.tui import look
from sentinel.tui.line import EMPTY, Line, Row, Tone, cell, clip, joined, line, rule, text
from sentinel.tui.render import incidents

TALLIES = 5  # lines for kinds and for hosts, the most frequent
KIND, HOST = "kind", "host"
_NAME: dict[str, Callable[[Summary], str]] = {
    KIND: lambda s: look.kind(s.kind),
    HOST: lambda s: s.host,
}


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
    """Return what a row stands for: `kind` or `host` and its name, or nothing and an incident's id."""
    by, _, name = stop.partition(":")
    return (by, name) if by in _NAME else ("", stop)


def only(summaries: Iterable[Summary], chosen: str) -> list[Summary]:
    """Return those of the kind or host that `chosen` names as `kind:cpu`; all where it is empty."""
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


def document(summaries: Sequence[Summary], chosen: str, now_ms: int, cells: int) -> list[Row]:
    """Return the whole screen; rows stop at `kind:NAME`, `host:NAME` and incidents' ids."""
    rows: list[Row] = []
    for by in (KIND, HOST):
        rows.append(Row(rule(f"BY {by.upper()}", cells)))
        rows.append(Row(_titles(by, cells)))
        tallies = tally(summaries, by)[:TALLIES]
        rows += [Row(_line(each, now_ms, cells), f"{by}:{each.name}") for each in tallies]
    past = [s for s in only(summaries, chosen) if s.state in TERMINAL]
    of = f" of {chosen.replace(':', ' ')}   (Enter there again: all)" if chosen else ""
    rows += [Row(rule(f"PAST INCIDENTS{of}", cells)), Row(incidents.titles(cells))]
    rows += [Row(incidents.row(s, now_ms, cells), s.id) for s in past]
    return rows if past else [*rows, Row(line("none has ended yet")), Row(EMPTY)]


def _titles(by: str, cells: int) -> Line:
    names = [(by.upper(), 16), ("COUNT", 6), ("RESOLVED", 8), ("CLOSED", 6), ("OPEN", 5)]
    names += [("TOOK", 6), ("LAST", 8)]
    return clip(joined([cell(n, width, Tone.STRONG) for n, width in names], line(" ")), cells)


def _line(of: Tally, now_ms: int, cells: int) -> Line:
    took = "-" if of.took_ms is None else human.age(of.took_ms)
    columns = [
        cell(of.name, 16),
        cell(f"{of.count:>5}", 6),
        cell(f"{of.resolved:>8}", 8),
        cell(f"{of.closed:>6}", 6),
        cell(f"{of.open:>4}", 5, Tone.STRONG if of.open else Tone.PLAIN),
        cell(f"{took:>5}", 6),
        cell(f"{human.age(now_ms - of.last_ms)} ago", 8),
    ]
    return clip(joined(columns, line(" ")), cells)
