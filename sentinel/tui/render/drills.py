"""Drills: the scenarios with what came of each, and what is said before one is fired."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sentinel import human
from sentinel.drill.results import POINTS, Result
from sentinel.drill.scenarios import SCENARIOS, Scenario
from sentinel.tui import look
from sentinel.tui.line import (
    EMPTY,
    Line,
    Row,
    Tone,
    cell,
    clip,
    joined,
    line,
    pad,
    rule,
    text,
    wrap,
)

NOTHING = line("the hub has no incident of a drill")


def document(
    found: Iterable[Result], running: Mapping[str, int], now_ms: int, cells: int
) -> list[Row]:
    """Return the whole screen: rows stop at `drill:NAME` and at incidents' ids.

    `running` are the pids of the drills that run on this host now, by name.
    """
    rows = [Row(rule("SCENARIOS, on this host", cells))]
    for each in SCENARIOS:
        rows += _scenario(each, running.get(each.name, 0), cells)
    results = sorted(found, key=lambda each: -each.at_ms)
    rows += [Row(rule("RESULTS, from the hub's record", cells)), Row(titles(cells))]
    rows += [Row(result(each, now_ms, cells), each.incident) for each in results]
    return rows if results else [*rows, Row(NOTHING), Row(EMPTY)]


def _scenario(of: Scenario, pid: int, cells: int) -> list[Row]:
    head = [text(f"{of.name:<9}", Tone.STRONG)]
    state = text(f"RUNS as pid {pid}  " if pid else "", Tone.WARN)
    rows = [Row(clip(line(*head, state, of.does), cells), f"drill:{of.name}")]
    seen = "" if of.rule else "; seen by a shipped rule"
    words = f"kind {look.kind(of.kind)}, runbook {of.runbook}; within {of.life_s} s{seen}"
    return [*rows, Row(clip(line(" " * 9, text(words, Tone.DIM)), cells))]


def titles(cells: int) -> Line:
    """Return the column titles of the results."""
    names = (("ID", 4), ("DRILL", 7), ("HOST", 10), (" AGO", 4), ("SEEN", 4), ("SCORE", 6))
    more = (("KIND", 4), ("WHO", 3), ("BOOK", 4), ("PLAN", 8), ("OUTCOME", 10))
    columns = [cell(name, width, Tone.STRONG) for name, width in names + more]
    return clip(joined(columns, line(" ")), cells)


def result(of: Result, now_ms: int, cells: int) -> Line:
    """Return what came of one drill: seen how long after its start, and which answers were right."""
    whole = of.points == POINTS
    columns = [
        cell(human.short_id(of.incident), 4),
        cell(of.scenario, 7),
        cell(of.host, 10),
        cell(f"{human.age(now_ms - of.at_ms):>4}", 4),
        cell(human.age(of.detected_s * human.SECOND), 4),
        cell(f"{of.points} of {POINTS}", 6, Tone.GOOD if whole else Tone.BAD),
        _right(of.kind_right, 4),
        _right(of.culprit_right, 3),
        _right(of.runbook_right, 4),
        pad(look.verdict(of.verdict), 8),
        pad(line(look.state(of.state)), 10),
    ]
    return clip(joined(columns, line(" ")), cells)


def _right(value: bool, cells: int) -> Line:
    return cell("yes" if value else "NO", cells, Tone.GOOD if value else Tone.BAD)


def asked(of: Scenario, host: str, cells: int) -> list[Row]:
    """Return what is said before a drill is fired."""
    needs = (
        "No rule that is shipped sees it: the agent here needs the lines of `sentinel drill rules`."
        if of.rule
        else "A shipped rule sees it, where the agent here has them."
    )
    words = (
        f"Fire {of.name} on {host}, the host that this sentinel-tui runs on: {of.does}.",
        f"It is real. It ends within {of.life_s} s, and with this program; it writes no file, opens no"
        " connection, and gets a processor after everybody else.",
        f"Expected: an incident of kind {look.kind(of.kind)}, and a plan by {of.runbook}. {needs}",
        "No other host is touched, and the hub is not asked: only who is on a host can drill it.",
    )
    rows = [EMPTY]
    for each in words:
        rows += [*wrap(each, cells), EMPTY]
    rows += wrap(f"Type {of.name} and press Enter to fire it, Esc leaves.", cells, Tone.STRONG)
    return [Row(of_line) for of_line in rows]
