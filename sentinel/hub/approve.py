"""Stage 7: what a person decides, and the only way in which a plan becomes approved.

`decide` is the security argument of the hub, in the order of its calls. The node does not believe it
and asks everything again; what is checked here is that a person decided what they saw, as it is now.
"""

from __future__ import annotations

import msgspec

from sentinel import canonical, errors, protocol
from sentinel.config import ApprovalSettings
from sentinel.domain import (
    Bundle,
    Choice,
    Incident,
    Mode,
    Pending,
    Plan,
    Signature,
    Stage,
    State,
    Statement,
    Verdict,
)
from sentinel.hub.cases import Case, DecisionRecord, PlanRecord, pending_of
from sentinel.hub.moves import Entry, move
from sentinel.hub.persist import Store
from sentinel.hub.persist_writes import UnitOfWork
from sentinel.lifecycle import Event
from sentinel.policy.approvals import needed
from sentinel.protocol import (
    DECISION_LIFE_MS,
    DecideRequest,
    Stop,
)
from sentinel.trust import signers
from sentinel.trust.signers import Signers

STATEMENT_BYTES = 4096
PLAN_BYTES = 131072  # the bound of domain.Bundle.plan
AHEAD_MS = 60_000  # how far an operator's clock may be ahead of the hub's
LIFE_MS = DECISION_LIFE_MS


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """What this hub asks of a decision. A node asks for its own."""

    hub_mode: Mode
    signers: Signers
    approvals: ApprovalSettings


async def decide(
    store: Store, operator: str, request: DecideRequest, now_ms: int, rules: Rules
) -> Incident:
    """Approve or reject the plan that awaits it, as `operator`, who has logged in.

    An approval that needs several people is begun by the first, with a statement that the others sign
    as it is; until enough have, the incident still awaits. Raises WireError where the statement is
    malformed, OperatorError where it is not `operator`'s to make or sign or not about what there is
    now, and ConflictError where somebody else decided first. Nothing has changed then.
    """
    statement = canonical.decode(Statement, request.statement.encode(), limit=STATEMENT_BYTES)
    signature = _check_signed(request, operator, rules, now_ms)
    _check_matter(statement, request.incident)

    async def operation(work: UnitOfWork) -> None:
        case = await existing(work, statement.incident)
        await _check_awaiting(work, case)
        plan = await work.plan(case)
        _check_subject(statement, case, plan)
        _check_times(statement, now_ms)
        if statement.choice is Choice.APPROVE:
            _check_runnable(plan)
            _check_mode(statement, rules.hub_mode)
        begun = pending_of(case, plan, now_ms)
        signed = _check_speaker(statement, request, signature, begun)
        await _record(work, case, plan, statement, signed, rules, now_ms)

    await store.write(operation)
    return await store.incident(statement.incident)


def _check_signed(request: DecideRequest, operator: str, rules: Rules, now_ms: int) -> Signature:
    """Return the one signature in `request`, which must be `operator`'s over the statement's bytes."""
    if len(request.signatures) != 1:
        raise errors.OperatorError(
            f"the decision has {len(request.signatures)} signatures, and needs the caller's own",
            hint="sign it with ssh-agent, as sentinel-tui and sentinel approve do",
        )
    (signature,) = request.signatures
    if signature.signer != operator:
        raise errors.OperatorError(
            f"the signature is {errors.printable(signature.signer, 64)}'s,"
            f" and the connection is {operator}'s",
            hint="everybody decides in their own name",
        )
    data = request.statement.encode()
    try:
        signers.person(data, signature, rules.signers, protocol.DECISION, now_ms)
    except errors.SignatureError as error:
        raise errors.OperatorError(f"{error.what} [{error.check}]", hint=error.hint) from None
    return signature


def _check_matter(statement: Statement, incident: str) -> None:
    if statement.incident != incident:
        raise errors.OperatorError("the statement is about another incident than the request")
    if statement.choice is Choice.REJECT and not statement.reason.strip():
        raise errors.OperatorError(
            "a rejection without a reason", hint="say why: whoever comes next will read it"
        )


def _check_speaker(
    statement: Statement, request: DecideRequest, signature: Signature, begun: Pending | None
) -> tuple[Signature, ...]:
    """Return everybody's signatures over `statement`, the caller's last.

    Whoever begins a decision makes it in their own name; the next ones sign the very same bytes.
    """
    if begun is not None and statement.choice is Choice.APPROVE:
        names = [each.signer for each in begun.signatures]
        if begun.statement != request.statement:
            raise errors.ConflictError(
                f"{names[0]} has begun to approve this plan: sign that approval, or reject it",
                hint="read the incident again and decide again",
            )
        if signature.signer in names:
            raise errors.ConflictError(
                f"{signature.signer} has signed this approval already",
                hint="somebody else has to sign it too",
            )
        return (*begun.signatures, signature)
    if statement.operator != signature.signer:
        raise errors.OperatorError(
            f"the statement is {errors.printable(statement.operator, 64)}'s,"
            f" and it is {signature.signer} who signs",
            hint="everybody decides in their own name",
        )
    return (signature,)


def _check_times(statement: Statement, now_ms: int) -> None:
    if statement.issued_ms > now_ms + AHEAD_MS:
        raise errors.OperatorError(
            f"the statement was issued {statement.issued_ms - now_ms} ms in the future",
            hint="set the clocks of the terminal and the hub",
        )
    if statement.expires_ms <= now_ms:
        raise errors.OperatorError(
            f"the statement expired {now_ms - statement.expires_ms} ms ago", hint="decide again"
        )
    if statement.expires_ms - statement.issued_ms > LIFE_MS:
        raise errors.OperatorError(
            f"the statement lives longer than {LIFE_MS} ms", hint="let it expire sooner"
        )


def _check_mode(statement: Statement, hub_mode: Mode) -> None:
    if statement.mode is Mode.LIVE and hub_mode is not Mode.LIVE:
        raise errors.OperatorError(
            "this hub asks for rehearsals only, and the statement says live",
            hint='approve a dry-run, or set `mode = "live"` in hub.toml',
        )


async def existing(work: UnitOfWork, incident: str) -> Case:
    """Return the incident of that id; OperatorError where there is none."""
    case = await work.case(incident)
    if case is None:
        raise errors.OperatorError(f"there is no incident {incident}")
    return case


async def _check_awaiting(work: UnitOfWork, case: Case) -> None:
    if case.state is State.AWAITING:
        return
    decision = await work.decision(case)
    who = f"; {decision.operator} decided last" if decision else ""
    raise errors.ConflictError(
        f"incident {case.id} awaits no decision: it is {case.state.value}{who}",
        hint="read it again",
    )


def _check_subject(statement: Statement, case: Case, plan: PlanRecord | None) -> None:
    """Refuse a statement about anything but the plan, judgement, report and challenge of now."""
    if plan is None or plan.judgement is None:
        raise errors.OperatorError(f"incident {case.id} has no judged plan")
    for name, said, now in (
        ("plan", statement.plan, plan.digest),
        ("policy", statement.policy, plan.judgement.policy),
        ("host", statement.host, case.host),
        ("event", statement.event, case.event),
        ("challenge", statement.challenge, case.challenge),
    ):
        if said != now:
            raise errors.ConflictError(
                f"the statement's {name} is {said}, and now it is {now}",
                hint="the incident has changed since you read it: read it again and decide again",
            )


def _check_runnable(plan: PlanRecord | None) -> None:
    verdicts = [c.verdict for c in plan.judgement.commands] if plan and plan.judgement else []
    if Verdict.BLOCK in verdicts:
        raise errors.OperatorError(
            f"command {verdicts.index(Verdict.BLOCK) + 1} of the plan is blocked",
            hint="strike or edit it; the new revision is judged afresh",
        )
    if Verdict.ALLOW not in verdicts:
        raise errors.OperatorError(
            "nothing in the plan may run", hint="edit it, ask again, or take the incident over"
        )


async def _record(  # noqa: PLR0913  (what is decided, by whom, and by which rules)
    work: UnitOfWork,
    case: Case,
    plan: PlanRecord | None,
    statement: Statement,
    signed: tuple[Signature, ...],
    rules: Rules,
    now_ms: int,
) -> None:
    """Keep the signatures; decide, if that is a rejection or enough people have approved."""
    missing = _missing(plan, statement, signed, rules)
    event = Event.REJECTED
    if statement.choice is Choice.APPROVE:
        event = Event.APPROVED
    text = canonical.encode(statement).decode()
    entry = Entry(
        at_ms=now_ms,
        stage=Stage.APPROVE,
        actor=f"operator:{signed[-1].signer}",
        action="signed" if missing else event.value,
        text=_told(statement, signed, missing, event),
        # The exact statement: whoever holds the log can check the people, not only the hub.
        facts={"statement": text, "signatures": canonical.digest(msgspec.json.encode(signed))},
    )
    if missing:
        begun = Pending(statement=text, signatures=signed)
        papers = msgspec.structs.replace(case.papers, pending=begun)
        await move(work, case, None, msgspec.structs.replace(case, papers=papers), entry)
        return
    papers = msgspec.structs.replace(
        case.papers, admission=None, verification=None, pending=None, stopping=None
    )
    # The record's own number is the decision's.
    decision_seq = work.end[0] + 1
    after = msgspec.structs.replace(case, decision_seq=decision_seq, papers=papers)
    await move(work, case, event, after, entry)
    record = DecisionRecord(
        seq=decision_seq,
        operator=statement.operator,
        plan=statement.plan,
        statement=text.encode(),
        signatures=msgspec.json.encode(signed),
    )
    await work.add_decision(case.id, statement.choice, record)


def _missing(
    plan: PlanRecord | None, statement: Statement, signed: tuple[Signature, ...], rules: Rules
) -> int:
    """Return how many more people must sign before `statement` is decided."""
    if statement.choice is not Choice.APPROVE or plan is None or plan.judgement is None:
        return 0
    _, people = needed(plan.judgement, statement.mode, rules.approvals)
    return max(0, people - len(signed))


def _told(statement: Statement, signed: tuple[Signature, ...], missing: int, event: Event) -> str:
    """Return the timeline's line about a signature."""
    reason = f": {statement.reason}" if statement.reason else ""
    if missing:
        names = signed[-1].signer
        return (
            f"approval signed by {names}, {statement.mode.value}; {missing} more must sign{reason}"
        )
    names = " and ".join(each.signer for each in signed)
    return f"{event.value} by {names}, {statement.mode.value}{reason}"


def plan_record(plan: Plan) -> PlanRecord:
    """Return `plan` as it is stored and signed, not judged yet.

    Raises WireError where a field is out of its bounds: no node would take such a plan.
    """
    body = canonical.encode(plan)
    canonical.decode(Plan, body, limit=PLAN_BYTES)
    return PlanRecord(
        revision=plan.revision, digest=canonical.digest(body), body=body, judgement=None
    )


async def bundles_for(store: Store, host: str) -> tuple[Bundle, ...]:
    """Return the approved plans that `host` has not answered yet, as their exact bytes."""
    return await store.bundles(host)


class Carried(msgspec.Struct, frozen=True, kw_only=True):
    """What a node is to be told that it has not answered yet."""

    bundles: tuple[Bundle, ...]  # approved plans, as their exact bytes
    stops: tuple[Stop, ...]


# A node has the plan, or is to have it; and one that has not been heard of may have it still.
_IN_HAND = (State.APPROVED, State.EXECUTING, State.MANUAL)


async def carried_to(store: Store, host: str) -> Carried:
    """Return what `host` is to be told."""
    cases = await store.of_host(host, _IN_HAND)
    waits = any(case.state is State.APPROVED and case.papers.stopping is None for case in cases)
    return Carried(
        bundles=await bundles_for(store, host) if waits else (),
        stops=tuple(
            Stop(incident=case.id, challenge=asked.challenge, by=asked.by, reason=asked.reason)
            for case in cases
            if (asked := case.papers.stopping) is not None and asked.answer is None
        ),
    )
