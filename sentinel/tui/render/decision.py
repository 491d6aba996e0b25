"""The decision dialog's text: what you see is what you sign, every word of it."""

from __future__ import annotations

from sentinel import human
from sentinel.domain import Mode, Plan
from sentinel.tui import look
from sentinel.tui.decide import DIGITS, LIFE_MS, Offer, Step, rehearsed
from sentinel.tui.line import EMPTY, Line, Tone, line, text, wrap
from sentinel.tui.render import command as render_command
from sentinel.tui.render import incident as render_incident

MODE_WORD = {
    Mode.DRY_RUN: "DRY-RUN: the node rehearses it and changes nothing",
    Mode.LIVE: "LIVE: the node does it",
}
_LABEL = 9


def document(offered: Offer, mode: Mode, operator: str, cells: int) -> list[Line]:
    """Return what an approval says, in full."""
    host = offered.incident.summary.host
    lines = wrap(f"Approving lets {host} do this, in this order, as decided by {operator}:", cells)
    lines.append(EMPTY)
    for number, step in enumerate(offered.steps, 1):
        lines += _step(number, step, mode, cells)
    lines.append(EMPTY)
    for name, value, tone in _facts(offered, mode):
        lines += wrap(value, cells, tone, first=line(text(f"{name:<{_LABEL}}", Tone.STRONG)))
        if name == "plan":
            lines += _digest(offered, cells)
    return lines


def _step(number: int, step: Step, mode: Mode, cells: int) -> list[Line]:
    word = look.verdict(step.judgement.verdict)
    gap = " " * (9 - len("".join(piece.text for piece in word)))
    runs = "RUN " if mode is Mode.LIVE else "TRY "
    will = text(runs if step.runs else "SKIP", Tone.STRONG if step.runs else Tone.DIM)
    head = line(f"{number:>2} ", *word, gap, will, "  ")
    lines = render_command.source(step.command.text, step.judgement, cells, first=head)
    lines += render_command.strange(step.command.text, cells, first=line(" " * 18))
    lines += render_command.limits(step.judgement, cells, first=line(" " * 18))
    if step.reason:
        lines += wrap(f"skipped: {step.reason}", cells, Tone.REVIEW, first=line(" " * 18))
    return lines


def _facts(offered: Offer, mode: Mode) -> list[tuple[str, str, Tone]]:
    plan, judgement = offered.incident.plan, offered.incident.judgement
    if plan is None or judgement is None:
        return []
    recovery = plan.recovery
    below = human.reading(recovery.metric, recovery.clear_below)
    named = render_incident.subject_of(offered.incident.report, recovery.subject)
    subject = f" of {named}" if named else ""
    verify = (
        f"{human.METRIC_WORDS[recovery.metric]}{subject} below {below} for"
        f" {human.duration(recovery.clear_for_ms)}, within {human.duration(recovery.deadline_ms)}"
    )
    facts = [
        ("mode", MODE_WORD[mode] + _mode_note(offered), Tone.STRONG),
        ("node", f"{plan.host} only, for incident {offered.incident.summary.id}", Tone.PLAIN),
        ("plan", f"revision {plan.revision} by {_author(plan)}, SHA-256:", Tone.PLAIN),
        ("policy", judgement.policy.removeprefix("sha256:"), Tone.PLAIN),
        ("verify", verify, Tone.PLAIN),
        ("undo", _undo(offered), Tone.PLAIN),
        ("life", _life(offered), Tone.PLAIN),
        ("people", _people(offered, mode), Tone.PLAIN),
    ]
    if judgement.policy != offered.incident.report.policy:
        drift = "the node judges with another policy than the hub: it will refuse"
        facts.append(("drift", drift, Tone.WARN))
    return facts


def _digest(offered: Offer, cells: int) -> list[Line]:
    """Return the digest of the plan with the digits to type underlined."""
    digits = offered.digest.removeprefix("sha256:")
    head = line(" " * _LABEL, text(digits[:DIGITS], Tone.HERE))
    rest = wrap(digits[DIGITS:], cells, first=head)
    return rest


def _author(plan: Plan) -> str:
    changer = render_incident.changer(plan)
    return f"{changer}, after {plan.engine}" if changer else plan.engine


def _mode_note(offered: Offer) -> str:
    if Mode.LIVE not in offered.modes:
        return " (this node or the hub permits nothing else)"
    return " (rehearsed once)" if rehearsed(offered.incident) else " (t changes it)"


def _life(offered: Offer) -> str:
    if offered.begun:
        return (
            f"until {human.clock(offered.begun.expires_ms)}, as {offered.begun.operator} began it"
        )
    return f"{human.duration(LIFE_MS)} from the moment you decide"


def _people(offered: Offer, mode: Mode) -> str:
    """Return how many must sign, who has, and why they say so."""
    incident = offered.incident
    many = incident.people_needed if mode is Mode.LIVE else 1
    needed = f"{many} must sign" if many > 1 else "your signature is enough, if the node agrees"
    if not offered.begun or incident.pending is None:
        return needed
    names = ", ".join(each.signer for each in incident.pending.signatures)
    reason = f": {offered.begun.reason}" if offered.begun.reason else ""
    return f"{needed}; signed by {names}{reason}. You sign the very same statement"


def _undo(offered: Offer) -> str:
    known = [
        f"{number}: {step.command.undo}"
        for number, step in enumerate(offered.steps, 1)
        if step.runs and step.judgement.changes and step.command.undo
    ]
    if known:
        return "; ".join(known)
    changing = any(step.runs and step.judgement.changes for step in offered.steps)
    return "nothing is recorded" if changing else "not needed: nothing in it changes anything"


def rejection(offered: Offer, operator: str, cells: int) -> list[Line]:
    """Return what a rejection says."""
    summary = offered.incident.summary
    lines = wrap(f"Rejecting the plan for {summary.host}, as {operator}:", cells)
    lines.append(EMPTY)
    for number, step in enumerate(offered.steps, 1):
        head = line(f"{number:>2} ", *look.verdict(step.judgement.verdict), "  ")
        lines += wrap(step.command.text, cells, first=head)
    lines.append(EMPTY)
    words = "Nothing runs. The incident stays open, in a person's hands, with your reason on it."
    return [*lines, *wrap(words, cells)]


def prompt(offered: Offer, mode: Mode, *, again: bool) -> str:
    """Return what has to be typed to approve."""
    if again:
        return f"CAUTION: {offered.caution}. Type the {DIGITS} digits once more to accept that."
    what = "rehearse it" if mode is Mode.DRY_RUN else "DO IT"
    return f"type the first {DIGITS} digits of the plan's digest, then Enter, to {what}"
