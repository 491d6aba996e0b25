"""What the screens show, as plain text: for scripts, screen readers and terminals that can do nothing.

Whole sentences and words, no frame, no colour, nothing that is drawn; everything of others is escaped by
the same `safe` as on the screens. `--json` gives the values themselves, in ASCII.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

import msgspec

from sentinel import human
from sentinel.domain import Incident, Judgement, Summary, Value
from sentinel.protocol import HubStatus
from sentinel.tui import look
from sentinel.tui.line import Line, Tone, line, plain, text
from sentinel.tui.render import command as render_command
from sentinel.tui.render import incident as render_incident
from sentinel.tui.safe import safe

TAIL = 8  # characters of an id: enough among many thousands, and `show` takes them


def json_line(value: Value) -> str:
    """Return `value` as one line of JSON that is ASCII, and so acts on no terminal."""
    return json.dumps(msgspec.to_builtins(value)).replace("\x7f", "\\u007f")


def lines(of: Iterable[Line]) -> str:
    """Return lines as text, without what only separates or draws."""
    return "".join(f"{plain(_undrawn(each)).rstrip()}\n" for each in of)


def _undrawn(of: Line) -> Line:
    """Return `of` without rules; a title that stood in one becomes a heading."""
    if any(piece.tone is Tone.RULE for piece in of):
        title = "".join(piece.text for piece in of if piece.tone is not Tone.RULE)
        return (text(f"== {title.strip()} ==" if title.strip() else ""),)
    return of


def status(of: HubStatus) -> str:
    """Return how the hub is, in a few lines."""
    engine = "ready" if of.engine_ready else f"NOT READY: {of.engine_note}".rstrip(": ")
    rows = (
        ("site", f"{of.site}, hub {of.version}, {of.database}"),
        ("you", f"{of.operator or '?'} ({of.role or '?'})"),
        ("mode", f"{of.mode.value} at the most"),
        ("engine", f"{of.engine}, {engine}"),
        ("incidents", f"{of.open_incidents} open, {of.need_decision} to decide"),
        ("nodes", f"{of.nodes_connected} of {of.nodes} connected"),
        ("policy", of.policy),
    )
    return "".join(f"{name:<10} {safe(words)}\n" for name, words in rows)


def summary(of: Summary, now_ms: int) -> str:
    """Return one incident in a line; the first word is what `show` takes."""
    verdict = look.VERDICT_WORD[of.verdict] if of.verdict else "-"
    words = (
        of.id[-TAIL:],
        f"{human.age(now_ms - of.opened_ms):>4}",
        f"{look.SEVERITY_WORD[of.severity]:<4}",
        f"{look.STATE_WORD[of.state]:<10}",
        f"{verdict:<6}",
        f"{of.host:<16}",
        f"{look.kind(of.kind):<11}",
        *([look.who(of.owner)] if of.owner else []),
        (f"{of.count} times: " if of.count > 1 else "") + of.evidence,
    )
    return f"{safe(' '.join(words))}\n"


def change(of: Summary) -> str:
    """Return one change of an incident, as it is told while one watches."""
    verdict = look.VERDICT_WORD[of.verdict] if of.verdict else "-"
    state = look.STATE_WORD[of.state]
    words = f"{human.clock(of.updated_ms)} {of.id[-TAIL:]} {of.host} {look.kind(of.kind)}:"
    who = f", {look.on_it(of.owner, of.state)}" if of.owner else ""
    return f"{safe(f'{words} {state}, plan {verdict}{who}, {of.evidence}')}\n"


def incident(of: Incident, now_ms: int, cells: int, others: Sequence[Summary] = ()) -> str:
    """Return a whole incident, and which of `others` are like it."""
    head, *_ = render_incident.top(of, now_ms, cells)
    named = f"incident {of.summary.id} on {of.summary.host}, {look.kind(of.summary.kind)}"
    document = (row.line for row in render_incident.document(of, now_ms, cells, others))
    judged = of.judgement.commands if of.judgement else ()
    limits = [
        limit
        for number, each in enumerate(judged, 1)
        for limit in render_command.limits(each, cells, first=line(f"{number:>2} "))
    ]
    headed = [line(text("== LIMITS ==")), *limits] if limits else []
    return lines([(text(named),), head, *document, *headed])


def tree(command: str, judgement: Judgement, cells: int) -> str:
    """Return one command with the verdict on every part of it: what, why, what would make it allowed."""
    rows = [*render_command.source(command, judgement, cells)]
    told = [
        f"{'  ' * node.depth}{look.VERDICT_WORD[node.verdict]} {node.kind} {safe(node.text)}"
        + (f" [{node.rule}]" if node.rule else "")
        + (f": {node.reason}" if node.reason else "")
        for node in judgement.tree
    ]
    findings = [
        f"{look.VERDICT_WORD[f.verdict]} characters {f.span[0]}-{f.span[1]} {f.rule}: {f.reason}"
        + (f" (allowed if: {f.allow_if})" if f.allow_if else "")
        for f in render_command.worst_findings(judgement)
    ]
    headed = [*(["== PARTS =="] if told else []), *told, *(["== FINDINGS =="] if findings else [])]
    rows += render_command.limits(judgement, cells)
    return lines(rows) + "".join(f"{safe(row)}\n" for row in [*headed, *findings])
