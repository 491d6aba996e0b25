"""One incident as a document: what, why, the plan, what ran, whether it recovered, and when."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sentinel import human
from sentinel.domain import (
    Choice,
    Claim,
    CommandResult,
    Halt,
    Incident,
    Mode,
    Move,
    Outcome,
    Plan,
    PlanJudgement,
    Process,
    Report,
    Stage,
    State,
    Summary,
    Verification,
)
from sentinel.tui import look
from sentinel.tui.line import (
    EMPTY,
    Line,
    Row,
    Tone,
    clip,
    joined,
    line,
    rule,
    text,
    width,
    wrap,
)
from sentinel.tui.render import command as render_command
from sentinel.tui.render import similar

OUTPUT_LINES = 5  # of one command's output on the incident screen; the rest is one key away
NARROW = 84
_SHORT = {Stage.TRANSPORT: "send", Stage.VALIDATE: "judge"}
_AT = {
    State.REPORTED: Stage.REASON,
    State.PLANNED: Stage.VALIDATE,
    State.AWAITING: Stage.APPROVE,
    State.REFUSED: Stage.APPROVE,
    State.APPROVED: Stage.EXECUTE,
    State.EXECUTING: Stage.EXECUTE,
    State.EXECUTED: Stage.VERIFY,
    State.FAILED: Stage.VERIFY,
}
# Once a plan has been approved, what it does is what one wants to see first.
_RUNNING = (State.APPROVED, State.EXECUTING, State.EXECUTED, State.FAILED, State.UNRESOLVED)
_OVER = (State.RESOLVED, State.MANUAL, State.CLOSED, State.AWAITING)


def top(incident: Incident, now_ms: int, cells: int) -> list[Line]:
    """Return what stays in sight: state, age, whose turn it is, and the nine stages."""
    summary = incident.summary
    age = human.age(now_ms - summary.opened_ms)
    meaning = look.STATE_MEANING[summary.state]
    if summary.state is State.AWAITING and _rehearsal(incident):
        meaning = f"rehearsed, nothing changed; {meaning}"
    elif summary.state is State.AWAITING and incident.stopping is not None:
        meaning = f"stopped by {incident.stopping.by}; {meaning}"
    parts = [line(look.severity(summary.severity)), line(look.state(summary.state))]
    if summary.owner:
        parts.append(line(text(look.on_it(summary.owner, summary.state), Tone.STRONG)))
    head = joined([*parts, line(f"{age} old: {meaning}")], line("  "))
    return [clip(head, cells), stages(incident, cells)]


def running(incident: Incident) -> bool:
    """Say whether the plan is under way, so that what it does stands first."""
    over = bool(incident.results) and not _rehearsal(incident)
    return incident.summary.state in _RUNNING or (over and incident.summary.state in _OVER)


def _rehearsal(incident: Incident) -> bool:
    """Say whether nothing but a dry-run has happened."""
    tried = (Outcome.REHEARSED, Outcome.SKIPPED)
    return bool(incident.results) and all(r.outcome in tried for r in incident.results)


def document(
    incident: Incident, now_ms: int, cells: int, others: Sequence[Summary] = ()
) -> list[Row]:
    """Return the whole incident, and which of `others` are like it.

    The rows that stop are `command:N`, `output:N` and `incident:ID`.
    """
    rows = _plain(_history(incident, cells))
    what, why = _what(incident, cells), _why(incident, cells)
    plan, run = _plan(incident, cells), _run(incident, now_ms, cells)
    first = [run, plan, what, why] if running(incident) else [what, why, plan, run]
    alike = similar.rows(incident.summary, others, now_ms, cells)
    for section in [*first, _beside(incident, cells), alike, _timeline(incident, cells)]:
        rows += section
    return _fitting(rows, cells)


def _fitting(rows: list[Row], cells: int) -> list[Row]:
    return [Row(clip(row.line, cells), row.stop) for row in rows]


def _plain(lines: Iterable[Line]) -> list[Row]:
    return [Row(of) for of in lines]


def _history(incident: Incident, cells: int) -> list[Line]:
    """Return who decided, what the node said to that, and what came before."""
    lines: list[Line] = []
    stopped = incident.stopping is not None and incident.stopping.answer is Halt.NOT_BEGUN
    if incident.admission is not None and not incident.admission.admitted and not stopped:
        refused = f"the node refused it at {incident.admission.check}: {incident.admission.reason}"
        lines += wrap(refused, cells, Tone.BAD)
    if incident.decision is not None:
        lines += wrap(_decision(incident), cells)
    if incident.previous is not None:
        lines.append(line(f"a recurrence of {human.short_id(incident.previous)}"))
    return lines


def _decision(incident: Incident) -> str:
    statement = incident.decision
    assert statement is not None
    said = "approved" if statement.choice.value == "approve" else "rejected"
    mode = f", {statement.mode.value}" if said == "approved" else ""
    reason = f": {statement.reason}" if statement.reason else ""
    return f"{said} by {incident.decider}{mode}, {human.clock(statement.issued_ms)}{reason}"


def stages(incident: Incident, cells: int) -> Line:
    """Return the nine stages in a line: done ✓, now in capitals, not yet ·, rejected ✗."""
    reached = {move.stage for move in incident.moves} | {Stage.PERSIST}
    now = _AT.get(incident.summary.state)
    order = look.STAGES
    parts = []
    for stage in order:
        name = _SHORT.get(stage, stage.value) if cells < NARROW else stage.value
        if stage is now:
            parts.append(line(text(f">{name.upper()}", Tone.STRONG)))
        elif stage is Stage.APPROVE and _rejected(incident):
            parts.append(line(text(f"✗{name}", Tone.WARN)))
        elif stage in reached and (now is None or order.index(stage) < order.index(now)):
            parts.append(line(text(f"✓{name}", Tone.GOOD)))
        else:
            parts.append(line(text(f"·{name}", Tone.DIM)))
    return clip(joined(parts, line(" ")), cells)


def _rejected(incident: Incident) -> bool:
    return incident.decision is not None and incident.decision.choice is Choice.REJECT


def _what(incident: Incident, cells: int) -> list[Row]:
    anomaly, context = incident.report.anomaly, incident.report.context
    words = human.METRIC_WORDS[anomaly.metric]
    subject = subject_of(incident.report, anomaly.subject)
    facts = [
        f"{subject} {words}".strip() + f" {human.reading(anomaly.metric, anomaly.value)}",
        f"limit {human.reading(anomaly.metric, anomaly.threshold)}",
        human.slope(anomaly.metric, anomaly.slope_per_min),
        f"clear below {human.reading(anomaly.metric, anomaly.clear_below)}",
    ]
    mode = "permits LIVE" if incident.report.mode is Mode.LIVE else "permits dry-run only"
    lines = [rule(f"WHAT  rule {anomaly.rule}, the node {mode}", cells)]
    lines += wrap(", ".join(fact for fact in facts if fact), cells)
    bars = human.spark(anomaly.samples, max(0, cells - 34))
    times = f", reported {incident.summary.count}×" if incident.summary.count > 1 else ""
    span = human.duration(max(0, anomaly.detected_ms - anomaly.since_ms))
    lines.append(line(text(bars), text(f"  above for {span}{times}", Tone.DIM)))
    shown = context.processes[: 2 if cells < NARROW else 5]
    lines += [clip(_process(process), cells) for process in shown]
    for note in context.incomplete[:3]:
        lines += wrap(f"not read: {note}", cells, Tone.WARN)
    return _plain(lines)


def subject_of(report: Report, subject: str) -> str:
    """Return what a signal is about, as people call it: a process by its name and pid."""
    for process in report.context.processes:
        if subject == f"{process.pid}:{process.start_ticks}":
            return f"{process.name}[{process.pid}]"
    return subject


def _process(process: Process) -> Line:
    used = f"{human.size(process.rss_bytes):>9}  cpu {human.share(process.cpu_permille):>6}"
    files = f"  {process.fds} files" if process.fds is not None else ""
    name = f"  {process.name}[{process.pid}]"
    where = f"  {process.user} {process.unit}".rstrip()
    return line(text(used + files), text(name, Tone.STRONG), text(where, Tone.DIM))


def _why(incident: Incident, cells: int) -> list[Row]:
    plan = incident.plan
    if plan is None:
        waiting = "no diagnosis yet"
        return _plain([rule("WHY", cells), *wrap(waiting, cells, Tone.DIM)])
    diagnosis = plan.diagnosis
    by = f"WHY by {plan.engine}, confidence {diagnosis.confidence_pct}%"
    lines = [rule(by, cells)]
    if plan.stand_in:
        lines += wrap(f"stands in for the model: {plan.stand_in}", cells, Tone.WARN)
    lines += wrap(diagnosis.summary, cells, Tone.STRONG)
    facts = {evidence.id: evidence.text for evidence in incident.evidence}
    for claim in diagnosis.claims:
        lines += _claim(claim, facts, cells)
    return _plain(lines)


def _claim(claim: Claim, facts: dict[str, str], cells: int) -> list[Line]:
    lines = wrap(claim.text, cells, first=line("- "))
    for name in claim.evidence:
        fact = facts.get(name, "no such evidence in the record")
        lines += wrap(fact, cells, Tone.DIM, first=line(text(f"    {name} ", Tone.DIM)))
    if not claim.evidence:
        lines.append(line(text("    no evidence given", Tone.WARN)))
    return lines


def _beside(incident: Incident, cells: int) -> list[Row]:
    """Return what no claim stands on: facts that were seen all the same, and what was ruled out."""
    diagnosis = incident.plan.diagnosis if incident.plan else None
    claims = diagnosis.claims if diagnosis else ()
    used = {name for claim in claims for name in claim.evidence}
    ruled_out = diagnosis.ruled_out if diagnosis else ()
    lines: list[Line] = []
    for fact in incident.evidence:
        if fact.id not in used and fact.text not in ruled_out:
            lines += wrap(fact.text, cells, first=line(text(f"seen {fact.id}  ", Tone.DIM)))
    for each in ruled_out:
        lines += wrap(each, cells, first=line(text("ruled out  ", Tone.DIM)))
    return _plain([rule("BESIDE", cells), *lines]) if lines else []


def changer(plan: Plan) -> str:
    """Return who changed what the engine had made; nobody where it is the engine's own."""
    return "" if plan.engine.partition(":")[0] == plan.author else plan.author


def _plan(incident: Incident, cells: int) -> list[Row]:
    plan, judgement = incident.plan, incident.judgement
    if plan is None:
        return []
    digest = human.digest(incident.plan_digest or "")
    by = f" by {changer(plan)}" if changer(plan) else ""
    title = f"PLAN {plan.revision}{by}  digest {digest}"
    rows = _plain([rule(title, cells)])
    if judgement is None:
        rows += _plain([line(text("being judged", Tone.DIM))])
        return rows + _unjudged(plan, cells)
    if judgement.policy != incident.report.policy:
        drift = "the node judges with another policy than the hub: it will refuse this plan"
        rows += _plain(wrap(drift, cells, Tone.WARN))
    for number in range(len(plan.commands)):
        rows += _command(plan, judgement, number, cells)
    return rows


def _unjudged(plan: Plan, cells: int) -> list[Row]:
    return [
        Row(clip(line(f"{number:>2} - {command.text}"), cells))
        for number, command in enumerate(plan.commands, 1)
    ]


def _command(plan: Plan, judgement: PlanJudgement, number: int, cells: int) -> list[Row]:
    command = plan.commands[number]
    if number >= len(judgement.commands):
        return [Row(clip(line(f"{number + 1:>2} - {command.text}"), cells), f"command:{number}")]
    verdict = judgement.commands[number]
    word = look.verdict(verdict.verdict)
    gap = " " * (9 - len("".join(piece.text for piece in word)))
    head = line(f"{number + 1:>2} ", *word, gap)
    lines = render_command.source(command.text, verdict, cells, first=head)
    indent = 12
    for finding in render_command.worst_findings(verdict)[:3]:
        lines += render_command.finding_line(finding, indent, cells)
    purpose = line(text(f"   {command.purpose}", Tone.DIM)) if command.purpose else EMPTY
    if len(lines) == 1 and width(lines[0]) + width(purpose) <= cells:
        lines = [(*lines[0], *purpose)]
    elif purpose:
        lines += wrap(command.purpose, cells, Tone.DIM, first=line(" " * indent))
    first, *rest = lines
    return [Row(first, f"command:{number}"), *_plain(rest)]


def _run(incident: Incident, now_ms: int, cells: int) -> list[Row]:
    if not incident.results and incident.verification is None and incident.stopping is None:
        return []
    title = "REHEARSAL: nothing was changed" if _rehearsal(incident) else "RUN"
    rows = _plain([rule(title, cells), *_stopping(incident, cells)])
    for result in sorted(incident.results, key=lambda result: result.index):
        rows += _result(incident, result, now_ms, cells)
    if incident.verification is not None:
        rows += _plain(_verified(incident, incident.verification, cells))
    elif incident.summary.state in (State.EXECUTED, State.FAILED):
        rows += _plain(_verifying(incident, now_ms, cells))
    return rows


def _stopping(incident: Incident, cells: int) -> list[Line]:
    """Return who has stopped the plan, and what the node has said to that."""
    asked = incident.stopping
    if asked is None:
        return []
    reason = f": {asked.reason}" if asked.reason else ""
    over = asked.answer is Halt.STOPPING and incident.summary.state is not State.EXECUTING
    said = "STOPPED" if over else look.HALT_WORD[asked.answer]
    words = f"{said}: {asked.by}, {human.clock(asked.asked_ms)}{reason}"
    return wrap(words, cells, Tone.WARN)


def _result(incident: Incident, result: CommandResult, now_ms: int, cells: int) -> list[Row]:
    plan = incident.plan
    known = plan is not None and result.index < len(plan.commands)
    name = plan.commands[result.index].text if plan and known else " ".join(result.argv)
    left = line(
        f"{result.index + 1:>2} ",
        text(f"{look.OUTCOME_WORD[result.outcome]:<11}", look.OUTCOME_TONE[result.outcome]),
        text(f"{result_figures(result, now_ms):<16}"),
        text(name),
    )
    lines = [clip(left, cells)]
    if result.reason:
        lines += wrap(result.reason, cells, first=line("      "))
    return [Row(lines[0], f"output:{result.index}"), *_plain(lines[1:]), *_output(result, cells)]


def result_figures(result: CommandResult, now_ms: int) -> str:
    """Return exit status and duration of a result, as far as there are any."""
    if result.outcome is Outcome.RUNNING:
        return f"for {human.duration(max(0, now_ms - result.started_ms))}"
    words = []
    if result.exit_status is not None:
        words.append(f"exit {result.exit_status}")
    if result.outcome not in (Outcome.SKIPPED, Outcome.REHEARSED) and result.ended_ms:
        words.append(human.duration(max(0, result.ended_ms - result.started_ms)))
    return "  ".join(words)


def _output(result: CommandResult, cells: int) -> list[Row]:
    lines = [clip(of, cells) for of in output_lines(result, OUTPUT_LINES + 1)]
    rows = _plain(line("   ", *of) for of in lines[:OUTPUT_LINES])
    if len(lines) > OUTPUT_LINES:
        rows.append(Row(line(text("   … more: ↵ on the command above shows all of it", Tone.DIM))))
    return rows


def output_lines(result: CommandResult, limit: int) -> list[Line]:
    """Return what a command printed, at most `limit` lines, everything in it escaped."""
    lines: list[Line] = []
    for name, stream in (("|", result.stdout), ("!", result.stderr)):
        # split, not splitlines: a form feed or U+2028 in an output is shown, it makes no line.
        rest = stream.removesuffix("\n").split("\n", limit) if stream else []
        # A tab is layout here and harmless once it is blanks; everything else that acts is escaped.
        lines += [
            line(text(f"{name} ", Tone.DIM), text(part.expandtabs())) for part in rest[:limit]
        ]
    if result.truncated_bytes:
        cut = f"the node cut {human.size(result.truncated_bytes)} of output"
        lines.append(line(text(cut, Tone.WARN)))
    return lines[:limit]


def _verified(incident: Incident, verification: Verification, cells: int) -> list[Line]:
    metric = incident.report.anomaly.metric
    word, tone = ("recovered", Tone.GOOD) if verification.recovered else ("NOT recovered", Tone.BAD)
    seen = (
        "no reading"
        if verification.observed is None
        else (human.reading(metric, verification.observed))
    )
    lines = [
        line(text("   verify: ", Tone.STRONG), text(word, tone), text(f", last reading {seen}"))
    ]
    lines += wrap(verification.reason, cells, first=line("           "))
    if verification.samples:
        bars = human.spark(verification.samples, max(0, cells - 12))
        lines.append(line("           ", text(bars)))
    return lines


def _verifying(incident: Incident, now_ms: int, cells: int) -> list[Line]:
    if incident.plan is None:
        return []
    recovery = incident.plan.recovery
    ended = next((m.at_ms for m in reversed(incident.moves) if m.stage is Stage.EXECUTE), now_ms)
    left = max(0, ended + recovery.deadline_ms - now_ms)
    below = human.reading(recovery.metric, recovery.clear_below)
    held = human.duration(recovery.clear_for_ms)
    words = f"needs below {below} for {held}; {human.duration(left)} left"
    return wrap(words, cells, first=line(text("   verify: ", Tone.STRONG)))


def _timeline(incident: Incident, cells: int) -> list[Row]:
    moves = incident.moves
    if not moves:
        return []
    rows = _plain([rule("TIMELINE", cells)])
    start = moves[0].at_ms
    for move in moves:
        rows += _plain(_move(move, start, cells))
    return rows


def _move(move: Move, start: int, cells: int) -> list[Line]:
    """Return one move in as many lines as its words need; who made it stands behind them."""
    since = human.duration(max(0, move.at_ms - start))
    head = line(
        text(human.clock(move.at_ms)),
        text(f" +{since:<11}", Tone.DIM),
        text(f"{move.stage.value:<10}", Tone.STRONG),
    )
    rows, actor = wrap(move.text, cells, first=head), text(f"  {move.actor}", Tone.DIM)
    last = (*rows[-1], actor)
    if width(last) <= cells:
        return [*rows[:-1], last]
    return [*rows, line(" " * max(0, min(width(head) - 2, cells - width((actor,)))), actor)]


def output_document(result: CommandResult, command: str, now_ms: int, cells: int) -> list[Row]:
    """Return everything that one command printed, each long line wrapped."""
    figures = result_figures(result, now_ms)
    rows = [Row(clip(line(text(command, Tone.STRONG)), cells))]
    word = text(look.OUTCOME_WORD[result.outcome], look.OUTCOME_TONE[result.outcome])
    rows.append(Row(line(word, text(f"  {figures}"))))
    rows += _plain(wrap(result.reason, cells)) if result.reason else []
    rows.append(Row(EMPTY))
    for of in output_lines(result, 10_000):
        head, *body = of
        rows += _plain(wrap("".join(piece.text for piece in body), cells, first=(head,)))
    return _fitting(rows, cells)
