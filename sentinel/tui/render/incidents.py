"""The list of incidents: one line each, the columns that fit."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from sentinel import human
from sentinel.domain import State, Summary
from sentinel.lifecycle import TERMINAL
from sentinel.protocol import HubStatus
from sentinel.tui import look
from sentinel.tui.line import EMPTY, Line, Tone, cell, cells_of, clip, line, pad, text
from sentinel.tui.store import STALE_MS, Phase, Snapshot, stale

WIDE = 110
# The hub gives a sign of life every 5 s. Timers stand still while a machine sleeps: when it wakes, and
# no sign comes, this is for how long the list may look as if nothing had happened.
LOOK_MS = 6_000


def _widths(cells: int) -> list[int]:
    """Return the widths of ID AGE SEV HOST KIND STATE PLAN; evidence has the rest."""
    host, kind = (24, 16) if cells >= WIDE else (10, 10)
    return [4, 4, 4, host, kind, 10, 8]


@lru_cache(maxsize=4)
def titles(cells: int) -> Line:
    """Return the column titles."""
    names = ("ID", "AGE", "SEV", "HOST", "KIND", "STATE", "PLAN")
    columns = [
        cell(name, width, Tone.STRONG) for name, width in zip(names, _widths(cells), strict=True)
    ]
    return clip(_row([*columns, line(text("EVIDENCE", Tone.STRONG))]), cells)


def row(summary: Summary, now_ms: int, cells: int) -> Line:
    """Return one incident."""
    return _aged(summary, _age(summary, now_ms), cells)


def _age(summary: Summary, now_ms: int) -> str:
    """Return an age; those of minutes and more all move on the full minute, in one frame."""
    exact = now_ms - summary.opened_ms
    if exact < human.MINUTE:
        return human.age(exact)
    return human.age(max(human.MINUTE, exact - now_ms % human.MINUTE))


def cuts(summary: Summary, cells: int) -> bool:
    """Say whether the name of the host is not whole in its row."""
    return cells_of(summary.host) > _widths(cells)[3]


def lasts_ms(shown: Iterable[Summary], snapshot: Snapshot, now_ms: int) -> int:
    """Return for how many ms the list stays true, if nothing comes."""
    link = snapshot.link
    young = any(now_ms - summary.opened_ms < human.MINUTE for summary in shown)
    if young or link.phase is not Phase.UP or stale(link, now_ms):
        return human.SECOND
    to_minute_ms = human.MINUTE - now_ms % human.MINUTE
    return min(to_minute_ms, link.heard_ms + STALE_MS + 1 - now_ms, LOOK_MS)


@lru_cache(
    maxsize=256
)  # a few screens of them: every second each is looked at, and few have changed
def _aged(summary: Summary, age: str, cells: int) -> Line:
    widths = _widths(cells)
    times = f"{summary.count}× " if summary.count > 1 else ""
    # In front of the evidence: a column of its own would cost every row what few of them have. A long
    # name is cut short: the status line has it in full.
    name = line(text(look.who(summary.owner), Tone.STRONG)) if summary.owner else EMPTY
    who = clip(name, 16 if cells >= WIDE else 8)
    columns = [
        cell(human.short_id(summary.id), widths[0]),
        cell(f"{age:>4}", widths[1]),
        pad(line(look.severity(summary.severity)), widths[2]),
        cell(summary.host, widths[3]),
        cell(look.kind(summary.kind), widths[4]),
        pad(line(look.state(summary.state)), widths[5]),
        pad(look.verdict(summary.verdict), widths[6]),
        (*who, text(f"{' ' if summary.owner else ''}{times}{summary.evidence}")),
    ]
    return clip(_row(columns), cells)


def _row(columns: list[Line]) -> Line:
    pieces = list(columns[0])
    for column in columns[1:]:
        pieces += [text(" "), *column]
    return tuple(pieces)


def counts(snapshot: Snapshot, *, shown: int, filtered: str, ended: bool) -> Line:
    """Return what stands above the list: how much there is, what of it is shown, the engine."""
    status = snapshot.status
    if status is None:
        return line(" nothing is known yet")
    words = [f"{_open(snapshot, status)} open", f"{_to_decide(snapshot, status)} to decide"]
    words.append(f"nodes {status.nodes_connected}/{status.nodes}")
    if filtered:
        more = "+" if snapshot.below or snapshot.above else ""
        words.append(f"/{filtered} shows {shown}{more}")
    if ended:
        words.append("with ended ones")
    if status.engine_ready:
        engine = text(f"engine {status.engine}", Tone.DIM)
    else:
        note = f": {status.engine_note}" if status.engine_note else ""
        engine = text(f"engine NOT READY{note}", Tone.WARN)
    return line(text(f" {'  '.join(words)}  ", Tone.STRONG), engine)


def _open(snapshot: Snapshot, status: HubStatus) -> int:
    """Return how many are open: from the list where it is whole, for the hub's count comes later."""
    known = sum(s.state not in TERMINAL for s in snapshot.summaries)
    return known if snapshot.whole else status.open_incidents


def _to_decide(snapshot: Snapshot, status: HubStatus) -> int:
    known = sum(s.state is State.AWAITING for s in snapshot.summaries)
    return known if snapshot.whole else status.need_decision


def empty(snapshot: Snapshot, filtered: str) -> str:
    """Return what an empty list says."""
    if snapshot.status is None:
        return "waiting for the hub"
    if snapshot.above or snapshot.below:
        return f"asking the hub for /{filtered}" if filtered else "asking the hub for its incidents"
    return f"nothing matches /{filtered}   (Esc clears)" if filtered else "no open incidents"
