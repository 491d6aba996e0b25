"""The list of incidents: one line each, the columns that fit."""

from __future__ import annotations

from sentinel.domain import Summary
from sentinel.tui import human, look
from sentinel.tui.line import Line, Tone, cell, clip, line, pad, text
from sentinel.tui.store import Snapshot

WIDE = 110


def _widths(cells: int) -> list[int]:
    """Return the widths of ID AGE SEV HOST KIND STATE PLAN; evidence has the rest."""
    host, kind = (24, 16) if cells >= WIDE else (10, 10)
    return [4, 4, 4, host, kind, 10, 8]


def titles(cells: int) -> Line:
    """Return the column titles."""
    names = ("ID", "AGE", "SEV", "HOST", "KIND", "STATE", "PLAN")
    columns = [
        cell(name, width, Tone.STRONG) for name, width in zip(names, _widths(cells), strict=True)
    ]
    return clip(_row([*columns, line(text("EVIDENCE", Tone.STRONG))]), cells)


def row(summary: Summary, now_ms: int, cells: int) -> Line:
    """Return one incident."""
    widths = _widths(cells)
    times = f"{summary.count}× " if summary.count > 1 else ""
    columns = [
        cell(human.short_id(summary.id), widths[0]),
        cell(f"{human.age(now_ms - summary.opened_ms):>4}", widths[1]),
        pad(line(look.severity(summary.severity)), widths[2]),
        cell(summary.host, widths[3]),
        cell(look.kind(summary.kind), widths[4]),
        pad(line(look.state(summary.state)), widths[5]),
        pad(look.verdict(summary.verdict), widths[6]),
        line(text(times + summary.evidence)),
    ]
    return clip(_row(columns), cells)


def _row(columns: list[Line]) -> Line:
    pieces = list(columns[0])
    for column in columns[1:]:
        pieces += [text(" "), *column]
    return tuple(pieces)


def counts(snapshot: Snapshot, *, shown: int, filtered: str, ended: bool) -> Line:
    """Return what stands above the list: the hub's own counts, what of it is shown, the engine."""
    status = snapshot.status
    if status is None:
        return line(" nothing is known yet")
    words = [f"{status.open_incidents} open", f"{status.need_decision} need you"]
    words.append(f"nodes {status.nodes_connected}/{status.nodes}")
    if filtered:
        words.append(f"/{filtered} shows {shown}")
    if ended:
        words.append("with ended ones")
    if snapshot.more:
        words.append(f"the {len(snapshot.summaries)} most urgent known here")
    if status.engine_ready:
        engine = text(f"engine {status.engine}", Tone.DIM)
    else:
        note = f": {status.engine_note}" if status.engine_note else ""
        engine = text(f"engine NOT READY{note}", Tone.WARN)
    return line(text(f" {'  '.join(words)}  ", Tone.STRONG), engine)


def empty(snapshot: Snapshot, filtered: str) -> str:
    """Return what an empty list says."""
    if snapshot.status is None:
        return "waiting for the hub"
    return f"nothing matches /{filtered}   (Esc clears)" if filtered else "no open incidents"
