"""What a decision would do and what it says: pure, so that every word of it can be tested.

The terminal shows a plan, and this file says whether that plan may be approved at all, what would run
and what would be skipped, and makes the statement. The digest in the statement is computed here from
the plan that is shown: what you see is what you sign, whatever the hub says its digest is.
"""

from __future__ import annotations

from sentinel import canonical
from sentinel.domain import (
    Choice,
    Command,
    Digest,
    Incident,
    Judgement,
    Mode,
    Outcome,
    Plan,
    PlanJudgement,
    State,
    Statement,
    Value,
    Verdict,
)
from sentinel.errors import OperatorError, WireError
from sentinel.protocol import DECISION_LIFE_MS, DecideRequest

LIFE_MS = DECISION_LIFE_MS
STATEMENT_BYTES = 8192
DIGITS = 4  # of the digest, which a person types


class Step(Value, frozen=True, kw_only=True):
    """What an approval makes of one command."""

    command: Command
    judgement: Judgement
    runs: bool
    reason: str  # why it is skipped; empty where it runs


class Offer(Value, frozen=True, kw_only=True):
    """A plan as it can be decided on: everything that the statement will stand for."""

    incident: Incident
    digest: Digest
    steps: tuple[Step, ...]
    modes: tuple[Mode, ...]  # what may be asked for, the prudent one first
    refusal: str  # why it cannot be approved; empty where it can
    caution: str  # what has to be confirmed once more; empty where nothing has
    begun: Statement | None = None  # an approval that others have signed, to be signed as it is


def offer(incident: Incident, hub_mode: Mode) -> Offer:
    """Return what may be decided on `incident` at a hub that permits `hub_mode`."""
    plan, judgement = incident.plan, incident.judgement
    digest = _digest(plan)
    steps = _steps(plan, judgement)
    both_live = incident.report.mode is Mode.LIVE and hub_mode is Mode.LIVE
    modes = (Mode.DRY_RUN, Mode.LIVE) if both_live else (Mode.DRY_RUN,)
    begun, fault = _begun(incident, digest)
    return Offer(
        incident=incident,
        digest=digest,
        steps=steps,
        modes=(begun.mode,) if begun else modes,
        refusal=_refusal(incident, digest, steps) or fault,
        caution=_caution(steps) or _once_more(incident, steps),
        begun=begun,
    )


def _begun(incident: Incident, digest: Digest) -> tuple[Statement | None, str]:
    """Return the approval that others have begun, or why it is not about what is shown.

    Its bytes come from the hub and are signed as they are, so each of its fields is compared with what
    stands on the screen.
    """
    if incident.pending is None:
        return None, ""
    try:
        said = canonical.decode(
            Statement, incident.pending.statement.encode(), limit=STATEMENT_BYTES
        )
    except (WireError, UnicodeEncodeError):
        return None, "the approval that others have begun cannot be read"
    policy = incident.judgement.policy if incident.judgement else ""
    for what, there, here in (
        ("choice", said.choice, Choice.APPROVE),
        ("incident", said.incident, incident.summary.id),
        ("event", said.event, incident.report.event),
        ("host", said.host, incident.summary.host),
        ("plan", said.plan, digest),
        ("policy", said.policy, policy),
        ("challenge", said.challenge, incident.report.challenge),
        ("report", said.report, canonical.report_digest(incident.report)),
    ):
        if there != here:
            return None, f"the approval that others have begun is about another {what}"
    return said, ""


def _digest(plan: Plan | None) -> Digest:
    """Return the digest of the plan as it is shown; of what has no canonical bytes, none."""
    try:
        return canonical.digest_of(plan) if plan else Digest("")
    except WireError:
        return Digest("")


def _steps(plan: Plan | None, judgement: PlanJudgement | None) -> tuple[Step, ...]:
    if plan is None or judgement is None:
        return ()
    return tuple(
        Step(
            command=command,
            judgement=verdict,
            runs=verdict.verdict is Verdict.ALLOW,
            reason="" if verdict.verdict is Verdict.ALLOW else _why(verdict),
        )
        for command, verdict in zip(plan.commands, judgement.commands, strict=False)
    )


def _why(judgement: Judgement) -> str:
    """Return rule and reason of the finding that decides the verdict."""
    for finding in judgement.findings:
        if finding.verdict is judgement.verdict:
            return f"{finding.rule}: {finding.reason}"
    return "no rule allows it"


def _refusal(incident: Incident, digest: Digest, steps: tuple[Step, ...]) -> str:
    """Return why the plan cannot be approved, the most fundamental reason first."""
    plan, judgement, state = incident.plan, incident.judgement, incident.summary.state
    if plan is None or judgement is None:
        return "there is no judged plan yet"
    if state is not State.AWAITING:
        return f"the incident is {state.value}, it does not await a decision"
    if digest != incident.plan_digest or digest != judgement.plan:
        return "the plan shown is not the plan that the hub names: its digest differs"
    if len(judgement.commands) != len(plan.commands):
        return f"{len(plan.commands)} commands, {len(judgement.commands)} verdicts"
    if (plan.incident, plan.event, plan.host) != (
        incident.summary.id,
        incident.report.event,
        incident.summary.host,
    ):
        return "the plan is of another incident, event or host"
    verdicts = {judgement.verdict, *(step.judgement.verdict for step in steps)}
    if Verdict.BLOCK in verdicts:
        return "a command in it is BLOCKED: strike or change it, or ask for another plan"
    if not any(step.runs for step in steps):
        return "no command in it may run"
    return ""


def _caution(steps: tuple[Step, ...]) -> str:
    """Return the warning for a skipped command that stands before one which changes something."""
    for number, step in enumerate(steps, 1):
        later = [n for n, s in enumerate(steps, 1) if n > number and s.runs and s.judgement.changes]
        if not step.runs and later:
            return f"command {number} is skipped, and command {later[0]} after it changes something"
    return ""


_RAN = frozenset({Outcome.RAN, Outcome.FAILED, Outcome.TIMED_OUT})


def _once_more(incident: Incident, steps: tuple[Step, ...]) -> str:
    """Return the warning for a command that changes something and ran before the plan was stopped."""
    ran = {result.index + 1 for result in incident.results if result.outcome in _RAN}
    for number, step in enumerate(steps, 1):
        if number in ran and step.runs and step.judgement.changes:
            return f"command {number} has run, before the plan was stopped, and would run once more"
    return ""


def same_matter(one: Incident, other: Incident) -> bool:
    """Say whether what would be signed is the same in both forms of an incident."""
    return _matter(one) == _matter(other)


def _matter(incident: Incident) -> tuple[object, ...]:
    return (
        incident.summary.id,
        incident.summary.state,
        incident.plan,
        incident.plan_digest,
        incident.judgement,
        incident.report.event,
        incident.report.challenge,
        incident.report.mode,
        incident.pending,
    )


def digits(offered: Offer) -> str:
    """Return what a person has to type to approve: the first digits of the plan's digest."""
    return offered.digest.removeprefix("sha256:")[:DIGITS]


def rehearsed(incident: Incident) -> bool:
    """Say whether this very plan has been through a dry-run."""
    return any(result.outcome is Outcome.REHEARSED for result in incident.results)


def request(
    incident: Incident,
    *,
    choice: Choice,
    mode: Mode,
    operator: str,
    reason: str,
    now_ms: int,
) -> DecideRequest:
    """Return the decision on `incident` as it goes to the hub: the statement's exact bytes, unsigned.

    An approval that others have begun is the very statement that they signed. Raises OperatorError where there is no judged plan, where the plan is not the one its digest names,
    or where a rejection has no reason.
    """
    plan, judgement = incident.plan, incident.judgement
    if plan is None or judgement is None:
        raise OperatorError("there is no judged plan to decide on", hint="wait, or take over")
    digest = _digest(plan)
    if digest != incident.plan_digest:
        raise OperatorError("the plan is not the one that its digest names", hint="read it again")
    if choice is Choice.REJECT and not reason.strip():
        raise OperatorError("a rejection needs a reason", hint="the next person reads it")
    begun, fault = _begun(incident, digest)
    if choice is Choice.APPROVE and fault:
        raise OperatorError(fault, hint="reject it, or wait until it is over")
    if choice is Choice.APPROVE and begun and now_ms < begun.expires_ms:
        if begun.mode is not mode:
            raise OperatorError(f"the approval that others have begun is {begun.mode.value}")
        assert incident.pending is not None
        return DecideRequest(incident=incident.summary.id, statement=incident.pending.statement)
    statement = Statement(
        choice=choice,
        incident=incident.summary.id,
        event=incident.report.event,
        report=canonical.report_digest(incident.report),
        host=incident.summary.host,
        plan=digest,
        policy=judgement.policy,
        challenge=incident.report.challenge,
        mode=mode,
        operator=operator,
        reason=reason,
        issued_ms=now_ms,
        expires_ms=now_ms + LIFE_MS,
    )
    return DecideRequest(
        incident=incident.summary.id, statement=canonical.encode(statement).decode()
    )
