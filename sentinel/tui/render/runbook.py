"""One runbook as a document: when it matches, what it says, each step with its verdict, and its text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sentinel import human
from sentinel.domain import Verdict
from sentinel.protocol import Past, Runbook, RunbookStep
from sentinel.tui import look
from sentinel.tui.line import EMPTY, Line, Tone, clip, line, pad, rule, text, wrap

Verdicts = Mapping[str, Verdict]
LABEL = 13
# What stands in a template's places while it is judged here: the node has captured the real ones.
EXAMPLES = {
    "pid": "4242",
    "unit": "app.service",
    "mount": "/tmp",  # noqa: S108  (no file of ours)
    "file": "/var/log/app/app.log",
}


def document(runbook: Runbook, verdicts: Verdicts, now_ms: int, cells: int) -> list[Line]:
    """Return the whole runbook; `verdicts` are by the commands' templates."""
    kinds = ", ".join(map(look.kind, runbook.kinds)) or "every kind, where no other matches"
    facts = [
        ("kinds", kinds),
        *(("and", words) for words in runbook.when),
        ("priority", f"{runbook.priority}: of those that match, the highest is tried first"),
        ("says", runbook.summary),
        ("confidence", f"{runbook.confidence_pct}%"),
        ("used", past(runbook.past, now_ms)),
    ]
    rows = [rule(runbook.id, cells), *wrap(runbook.title, cells, Tone.STRONG)]
    for name, words in facts:
        rows += wrap(words, cells, first=line(text(f"{name:<{LABEL}}", Tone.DIM)))
    rows += _steps("STEPS", runbook.steps, verdicts, cells)
    rows += wrap(_judged(runbook), cells, Tone.DIM) if verdicts else []
    if runbook.escalation:
        title = "ESCALATION, from the second plan on"
        rows += _steps(title, runbook.escalation, verdicts, cells)
    rows += [rule("ABOUT IT", cells), *prose(runbook.body, cells)]
    return [clip(row, cells) for row in rows]


def past(of: Past, now_ms: int) -> str:
    """Return in words how often it was used, and how that ended."""
    if not of.count:
        return "never"
    closed = of.count - of.resolved - of.open
    times = "once" if of.count == 1 else f"{of.count} times"
    return (
        f"{times}, last {human.age(now_ms - of.last_ms)} ago: {of.resolved} resolved,"
        f" {closed} closed by hand, {of.open} open"
    )


def filled(template: str) -> str:
    """Return the template with an example in every place that is filled in."""
    for name, value in EXAMPLES.items():
        template = template.replace(f"{{{name}}}", value)
    return template


def _judged(runbook: Runbook) -> str:
    """Return by what the verdicts are."""
    steps = (*runbook.steps, *runbook.escalation)
    used = [n for n in EXAMPLES if any(f"{{{n}}}" in step.run for step in steps)]
    given = "".join(f", {{{name}}} being {EXAMPLES[name]}" for name in used)
    return f"judged by the packs of this program{given}; the node says last"


def _steps(title: str, steps: Sequence[RunbookStep], verdicts: Verdicts, cells: int) -> list[Line]:
    rows = [rule(title, cells)]
    for number, step in enumerate(steps, 1):
        verdict = pad(look.verdict(verdicts.get(step.run)), 9)
        rows += wrap(step.run, cells, Tone.STRONG, first=line(f"{number:>2} ", *verdict))
        notes = [step.purpose, *(["changes the host"] if step.changes else [])]
        notes += ["left out where nothing was captured for it"] if step.optional else []
        notes += [f"undo: {step.undo}"] if step.undo else []
        rows += wrap("; ".join(notes), cells, first=line(" " * 12))
    return rows


def prose(body: str, cells: int) -> list[Line]:
    """Return Markdown as paragraphs of the width, its headings in strong letters."""
    rows: list[Line] = []
    for paragraph in body.split("\n\n"):
        words = " ".join(paragraph.split())
        heading = words.startswith("#")
        tone = Tone.STRONG if heading else Tone.PLAIN
        rows += [*wrap(words.lstrip("# ") if heading else words, cells, tone), EMPTY]
    return rows[:-1]
