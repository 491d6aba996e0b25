"""Words and signs that stand for values: verdicts, states, severities. Never a colour alone."""

from __future__ import annotations

from enum import StrEnum, unique

from sentinel.domain import Halt, Kind, Outcome, Severity, Stage, State, Verdict
from sentinel.lifecycle import SERVED_BY, Server
from sentinel.tui.line import Line, Piece, Tone, line, pad, text


@unique
class Skin(StrEnum):
    """The colours there are to choose from; `widgets/paint` knows what they look like."""

    ANSI = "ansi"  # the operator's own 16
    MONO = "mono"  # none
    DEUT = "deut"  # blue and yellow, for eyes that confuse red with green
    TRUECOLOR = "truecolor"


# What rises with danger rises in case too, so that it is legible without colour.
VERDICT_WORD = {Verdict.ALLOW: "allow", Verdict.REVIEW: "REVIEW", Verdict.BLOCK: "BLOCK"}
VERDICT_SIGN = {Verdict.ALLOW: "✓", Verdict.REVIEW: "?", Verdict.BLOCK: "✗"}
VERDICT_MARK = {Verdict.ALLOW: " ", Verdict.REVIEW: "~", Verdict.BLOCK: "^"}
VERDICT_TONE = {
    Verdict.ALLOW: Tone.ALLOW,
    Verdict.REVIEW: Tone.REVIEW,
    Verdict.BLOCK: Tone.BLOCK,
}
VERDICT_MEANING = {
    Verdict.ALLOW: "the node runs it when the plan is approved",
    Verdict.REVIEW: "shown to a person; the node skips it, whoever approves",
    Verdict.BLOCK: "never runs, and the plan cannot be approved as it is",
}
_RANK = {Verdict.ALLOW: 0, Verdict.REVIEW: 1, Verdict.BLOCK: 2}

SEVERITY_WORD = {Severity.INFO: "info", Severity.WARNING: "WARN", Severity.CRITICAL: "CRIT"}
SEVERITY_TONE = {Severity.INFO: Tone.DIM, Severity.WARNING: Tone.WARN, Severity.CRITICAL: Tone.BAD}

# The longest word is ten cells; those that wait for a person are in capitals.
STATE_WORD = {
    State.REPORTED: "reasoning",
    State.PLANNED: "judging",
    State.AWAITING: "AWAITING",
    State.REFUSED: "REFUSED",
    State.APPROVED: "approved",
    State.EXECUTING: "executing",
    State.EXECUTED: "verifying",
    State.FAILED: "FAILED",
    State.UNRESOLVED: "UNRESOLVED",
    State.MANUAL: "MANUAL",
    State.RESOLVED: "resolved",
    State.CLOSED: "closed",
}
STATE_MEANING = {
    State.REPORTED: "waiting for a plan",
    State.PLANNED: "the plan is being judged",
    State.AWAITING: "waiting for your decision",
    State.REFUSED: "nothing in the plan may run: ask again, or take over",
    State.APPROVED: "waiting for the node to collect the plan",
    State.EXECUTING: "the node is running the plan",
    State.EXECUTED: "all ran; watching whether the signal recovers",
    State.FAILED: "a command failed; watching whether the signal recovers",
    State.UNRESOLVED: "the plan ran and the signal did not recover: ask again, or take over",
    State.MANUAL: "in a person's hands",
    State.RESOLVED: "the signal recovered",
    State.CLOSED: "closed by hand",
}
_STATE_TONE = {State.RESOLVED: Tone.GOOD, State.CLOSED: Tone.DIM, State.FAILED: Tone.BAD}

KIND_WORD = {Kind.FD_EXHAUSTION: "open_files"}  # the others are their own names, within 11 cells

OUTCOME_WORD = {
    Outcome.RUNNING: "running",
    Outcome.RAN: "done",
    Outcome.FAILED: "FAILED",
    Outcome.TIMED_OUT: "TIMED OUT",
    Outcome.SKIPPED: "skipped",
    Outcome.REHEARSED: "rehearsed",
    Outcome.INTERRUPTED: "INTERRUPTED",
}
OUTCOME_TONE = {
    Outcome.RAN: Tone.GOOD,
    Outcome.REHEARSED: Tone.GOOD,
    Outcome.RUNNING: Tone.STRONG,
    Outcome.SKIPPED: Tone.DIM,
    Outcome.FAILED: Tone.BAD,
    Outcome.TIMED_OUT: Tone.BAD,
    Outcome.INTERRUPTED: Tone.BAD,
}

HALT_WORD: dict[Halt | None, str] = {
    None: "STOP asked for, the node has not answered yet",
    Halt.STOPPING: "STOPPING after this command",
    Halt.NOT_BEGUN: "STOPPED before anything had begun",
    Halt.TOO_LATE: "the stop came too late: the last command had started",
    Halt.UNKNOWN: "the node knows no such approval, so nothing of it can run",
}

STAGES = tuple(Stage)


def worse(one: Verdict, other: Verdict) -> bool:
    """Say whether `one` is worse than `other`."""
    return _RANK[one] > _RANK[other]


def needs_you(state: State) -> bool:
    """Say whether it is a person's turn."""
    return SERVED_BY[state] is Server.OPERATOR


def verdict(value: Verdict | None) -> Line:
    """Return sign and word of a verdict: `✗ BLOCK`; a dash where nothing was judged yet."""
    if value is None:
        return line(text("-", Tone.DIM))
    return line(text(f"{VERDICT_SIGN[value]} {VERDICT_WORD[value]}", VERDICT_TONE[value]))


def severity(value: Severity) -> Piece:
    """Return the word of a severity in its tone."""
    return text(SEVERITY_WORD[value], SEVERITY_TONE[value])


def state(value: State) -> Piece:
    """Return the word of a state in its tone."""
    tone = Tone.STRONG if needs_you(value) else _STATE_TONE.get(value, Tone.PLAIN)
    return text(STATE_WORD[value], tone)


def who(owner: str) -> str:
    """Return who is on an incident, as it stands in a line: `@ann`; empty where nobody is."""
    return f"@{owner}" if owner else ""


def on_it(owner: str, state: State) -> str:
    """Return who is on an incident in words, or who was; empty where nobody was."""
    when = "was on it" if SERVED_BY[state] is Server.NOBODY else "on it"
    return f"{when}: {owner}" if owner else ""


def kind(value: Kind) -> str:
    """Return the word of a failure class."""
    return KIND_WORD.get(value, value.value)


def legend() -> list[Line]:
    """Return what signs, words and colours mean, for the help. Each says the same three times."""
    rows = [line(text("WHAT IT MEANS", Tone.STRONG))]
    rows += [line("  ", *pad(verdict(v), 13), VERDICT_MEANING[v]) for v in Verdict]
    marks = (
        f"{VERDICT_MARK[Verdict.REVIEW]} needs a person, {VERDICT_MARK[Verdict.BLOCK]} is blocked"
    )
    rows.append(line(text(f"  {'under text':<13}"), text(marks)))
    rows.append(
        line(
            "  ", *_spaced([severity(value) for value in reversed(Severity)]), "  how severe it is"
        )
    )
    rows.append(line("  ", text("AWAITING", Tone.STRONG), "     in capitals: a person's turn"))
    for shown, tone, meaning in _SIGNS:
        rows.append(line(text(f"  {shown:<13}", tone), text(meaning)))
    return rows


_SIGNS = (
    (">", Tone.STRONG, "the cursor; on the stage bar the stage it is in"),
    ("*", Tone.STRONG, "marked with Space: copy, write, on it"),
    ("@ann", Tone.STRONG, "ann is on it"),
    ("✓ · ✗", Tone.PLAIN, "on the stage bar: done, not yet, rejected"),
    ("!", Tone.WARN, "worth a look: drift, clock, certificate"),
)


def _spaced(pieces: list[Piece]) -> Line:
    return tuple(part for piece in pieces for part in (piece, text(" ")))[:-1]
