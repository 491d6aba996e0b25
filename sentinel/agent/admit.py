"""The node's gate: whether a bundle that came from the hub may run here.

The hub is an untrusted courier. `admit` is the whole argument: its calls, in this order, are all that
stands between a hub that was taken over and this host, so read them top to bottom. Each check refuses
with a name of its own, which reaches the operator's screen and the record. The challenge is spent last
and durably, so that whatever happens next, the same bundle never runs twice.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from sentinel import canonical, merkle
from sentinel.agent import witness
from sentinel.agent.store import Store, Use
from sentinel.config import ApprovalSettings
from sentinel.domain import (
    Bundle,
    Choice,
    Digest,
    Judgement,
    Limit,
    LogRecord,
    Mode,
    Plan,
    PlanJudgement,
    Report,
    Signature,
    Statement,
    Verdict,
)
from sentinel.errors import ConfigError, SignatureError, WireError, in_one_line, printable
from sentinel.policy import approvals, limits, validate
from sentinel.policy.rules import Policy
from sentinel.policy.validate import Facts
from sentinel.protocol import DECISION_LIFE_MS, SKEW_MS
from sentinel.trust import checkpoint

PLAN_BYTES = 131072
STATEMENT_BYTES = 8192
SIGNATURE_BYTES = 8192
SIGNATURES = 8
RECORD_BYTES = 16384
REASON_CHARS = 800
LIFE_MS = DECISION_LIFE_MS

# Returns the distinct people who signed these exact bytes, at this time (ms since the epoch). Raises
# SignatureError where one signature does not count, ConfigError where it is unknown who may sign.
Verifier = Callable[[bytes, tuple[Signature, ...], int], frozenset[str]]


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """What the gate knows of the node it guards. None of it comes from the hub."""

    host: str
    mode: Mode
    policy: Policy
    store: Store
    own_pids: frozenset[int]  # Sentinel's own processes: never a target
    verifier: Verifier
    approvals: ApprovalSettings  # how many people must have signed
    groups: frozenset[str] = frozenset()  # what the host is, for rules that are only for some
    role: str = ""
    log_key: checkpoint.Key | None  # whose signature the hub's log bears; None: nothing may run


class Admitted(msgspec.Struct, frozen=True, kw_only=True):
    """A bundle that passed every check, as the values that were checked."""

    bundle: Bundle
    plan: Plan
    statement: Statement
    judgement: PlanJudgement
    facts: Facts  # what it was judged by
    report: Report
    mode: Mode


class Refused(msgspec.Struct, frozen=True, kw_only=True):
    """The first check that a bundle failed."""

    check: str
    reason: str


class _Stop(Exception):
    """A check has failed; only `admit` catches it."""

    def __init__(self, check: str, reason: str) -> None:
        super().__init__(reason)
        self.check = check


def admit(bundle: Bundle, node: Node, now_ms: int) -> Admitted | Refused:
    """Return the admitted plan, its challenge spent; or the check that it failed, nothing spent."""
    try:
        within_size(bundle)
        statement = decode_statement(bundle)
        plan = decode_plan(bundle)
        addressed_to_me(statement, plan, node)
        people = who_signed(bundle, node, now_ms)
        by_who_decided(statement, people)
        approves(statement)
        about_one_incident(bundle, statement, plan)
        report = my_report(statement, node)
        as_people_saw_it(statement, report)
        digest = over_this_plan(bundle, statement)
        under_my_challenge(statement, node)
        within_its_life(statement, now_ms)
        mode = mode_of_both(statement, node)
        in_the_log(bundle, node)
        under_my_policy(statement, node)
        facts = validate.facts_of(report.context, own_pids=node.own_pids)
        about_this_host(facts, node)
        judgement = allowed_by_me(plan, digest, facts, node)
        enough_people(people, judgement, mode, node)
        nothing_under_way(bundle, node)
        within_limits(judgement, statement, mode, node, now_ms)
        spend(statement, bundle, uses_of(judgement, statement, mode, now_ms), node, now_ms)
    except _Stop as stop:
        return Refused(check=stop.check, reason=printable(str(stop), REASON_CHARS))
    return Admitted(
        bundle=bundle,
        plan=plan,
        statement=statement,
        judgement=judgement,
        facts=facts,
        report=report,
        mode=mode,
    )


def within_size(bundle: Bundle) -> None:
    """Refuse what is too large before any of it is parsed or verified."""
    for name, text, limit in (
        ("plan", bundle.plan, PLAN_BYTES),
        ("statement", bundle.statement, STATEMENT_BYTES),
        *(("signature", each.sshsig, SIGNATURE_BYTES) for each in bundle.signatures),
    ):
        if len(text) > limit:
            raise _Stop("size", f"the {name} has {len(text)} characters, the limit is {limit}")
    if len(bundle.signatures) > SIGNATURES:
        raise _Stop("size", f"{len(bundle.signatures)} signatures, the limit is {SIGNATURES}")


def decode_statement(bundle: Bundle) -> Statement:
    """Return the statement in its exact, canonical bytes."""
    try:
        data = bundle.statement.encode()
        return canonical.decode(Statement, data, limit=STATEMENT_BYTES)
    except (WireError, UnicodeEncodeError) as error:
        raise _Stop("statement.form", str(error)) from None


def decode_plan(bundle: Bundle) -> Plan:
    """Return the plan in its exact, canonical bytes."""
    try:
        return canonical.decode(Plan, bundle.plan.encode(), limit=PLAN_BYTES)
    except (WireError, UnicodeEncodeError) as error:
        raise _Stop("plan.form", str(error)) from None


def addressed_to_me(statement: Statement, plan: Plan, node: Node) -> None:
    """Refuse what was decided for another host."""
    for host in (statement.host, plan.host):
        if host != node.host:
            raise _Stop("host.mismatch", f"it is for {host}, this is {node.host}")


def who_signed(bundle: Bundle, node: Node, now_ms: int) -> frozenset[str]:
    """Return the distinct people who signed the statement's exact bytes; every signature must count."""
    try:
        people = node.verifier(bundle.statement.encode(), bundle.signatures, now_ms)
    except SignatureError as error:
        raise _Stop(error.check, in_one_line(error)) from None
    except ConfigError as error:
        raise _Stop("signatures.nobody", in_one_line(error)) from None
    if len(people) < len(bundle.signatures):
        raise _Stop(
            "signature.person-twice", f"{len(bundle.signatures)} signatures by {len(people)} people"
        )
    return people


def by_who_decided(statement: Statement, people: frozenset[str]) -> None:
    """Refuse where the person in whose name it was decided is not among those who signed."""
    if statement.operator not in people:
        raise _Stop(
            "signature.operator",
            f"it is {statement.operator}'s decision, signed by {', '.join(sorted(people))} only",
        )


def approves(statement: Statement) -> None:
    """Refuse anything that is not an approval."""
    if statement.choice is not Choice.APPROVE:
        raise _Stop("choice", f"the decision is to {statement.choice.value}")


def about_one_incident(bundle: Bundle, statement: Statement, plan: Plan) -> None:
    """Refuse where bundle, plan and statement differ on what they are about."""
    if not bundle.incident == statement.incident == plan.incident:
        raise _Stop(
            "incident.mismatch",
            f"the bundle is for {bundle.incident}, the decision for {statement.incident},"
            f" the plan for {plan.incident}",
        )
    if statement.event != plan.event:
        raise _Stop(
            "event.mismatch", f"the decision is on {statement.event}, the plan on {plan.event}"
        )


def my_report(statement: Statement, node: Node) -> Report:
    """Return what this node itself reported, with the context as it was frozen."""
    report = node.store.report(statement.event)
    if report is None:
        raise _Stop("event.unknown", f"this node has no event {statement.event}")
    return report


def as_people_saw_it(statement: Statement, report: Report) -> None:
    """Refuse where those who signed were shown another report: other processes, names or readings."""
    mine = canonical.report_digest(report)
    if statement.report != mine:
        raise _Stop("report.digest", f"it was decided on {statement.report}, this node said {mine}")


def over_this_plan(bundle: Bundle, statement: Statement) -> Digest:
    """Return the digest of the plan's exact bytes, which the statement must name."""
    digest = canonical.digest(bundle.plan.encode())
    if statement.plan != digest:
        raise _Stop("plan.digest", f"the decision is over {statement.plan}, the plan is {digest}")
    return digest


def under_my_challenge(statement: Statement, node: Node) -> None:
    """Refuse a challenge that is not this event's present, unspent one."""
    found = node.store.challenge(statement.challenge)
    if found is None:
        raise _Stop("challenge.unknown", "the challenge is not one that this node has open")
    event, spent = found
    if event != statement.event:
        raise _Stop("challenge.event", "the challenge belongs to another event")
    if spent:
        raise _Stop("challenge.spent", "this decision was used already")


def within_its_life(statement: Statement, now_ms: int) -> None:
    """Refuse a decision from the future, an expired one, and one made to last."""
    if statement.issued_ms > now_ms + SKEW_MS:
        ahead = (statement.issued_ms - now_ms) // 1000
        raise _Stop("time.future", f"it was issued {ahead} s ahead of this node's clock")
    if now_ms >= statement.expires_ms:
        late = (now_ms - statement.expires_ms) // 1000
        raise _Stop("time.expired", f"it expired {late} s ago")
    if statement.expires_ms - statement.issued_ms > LIFE_MS:
        raise _Stop("time.life", f"it would live longer than {LIFE_MS // 60_000} minutes")


def mode_of_both(statement: Statement, node: Node) -> Mode:
    """Return live only where the decision and this node's own configuration both say so."""
    both = statement.mode is Mode.LIVE and node.mode is Mode.LIVE
    return Mode.LIVE if both else Mode.DRY_RUN


def in_the_log(bundle: Bundle, node: Node) -> None:
    """Refuse an approval that is not on record, in a log that has only grown since this node saw it.

    The record must hold the very statement, so that what ran here is what the log says was approved.
    """
    if node.log_key is None:
        raise _Stop(
            "checkpoint.nobody", "this node has no checkpoint.pub: it does not know whose log it is"
        )
    if alarm := node.store.alarm():
        raise _Stop("checkpoint.alarm", ": ".join(alarm))
    if bundle.log is None:
        raise _Stop("checkpoint.missing", "nothing shows that the approval is in the hub's log")
    log = bundle.log
    try:
        seen = witness.follow(log.checkpoint, log.growth, node.log_key, node.store, now=False)
    except SignatureError as error:
        raise _Stop(error.check, in_one_line(error)) from None
    try:
        data = log.record.encode()
        record = canonical.decode(LogRecord, data, limit=RECORD_BYTES)
    except (WireError, UnicodeEncodeError) as error:
        raise _Stop("checkpoint.record", str(error)) from None
    if (record.seq, record.facts.get("statement")) != (log.seq, bundle.statement):
        raise _Stop("checkpoint.record", f"record {log.seq} of the log is not of this approval")
    proof = [bytes.fromhex(each) for each in log.inclusion]
    leaf = merkle.leaf_hash(data)
    if not merkle.includes(leaf, log.seq - 1, seen.size, proof, seen.root):
        raise _Stop(
            "checkpoint.inclusion", f"nothing proves that record {log.seq} is in the hub's log"
        )


def under_my_policy(statement: Statement, node: Node) -> None:
    """Refuse what was judged by another policy than this node's, and name both."""
    if statement.policy != node.policy.digest:
        raise _Stop(
            "policy.digest", f"judged by {statement.policy}, this node has {node.policy.digest}"
        )


def about_this_host(facts: Facts, node: Node) -> None:
    """Refuse what was judged for a host of other groups or another role, and so by other rules."""
    if (facts.groups, facts.role) != (node.groups, node.role):
        then, now = (" ".join((*sorted(x.groups), x.role or "no role")) for x in (facts, node))
        raise _Stop(
            "host.groups",
            f"it was reported from a host of ({then}), this is one of ({now});"
            " the next report is judged anew",
        )


def allowed_by_me(plan: Plan, digest: Digest, facts: Facts, node: Node) -> PlanJudgement:
    """Return this node's own judgement, against its own frozen context; something must be allow."""
    judgement = validate.judge_plan(node.policy, plan, digest, facts)
    if judgement.verdict is Verdict.BLOCK:
        raise _Stop("policy.block", "this node's policy blocks a command of the plan")
    if all(command.verdict is not Verdict.ALLOW for command in judgement.commands):
        raise _Stop("policy.nothing", "this node's policy allows no command of the plan")
    return judgement


def enough_people(people: frozenset[str], judgement: PlanJudgement, mode: Mode, node: Node) -> None:
    """Refuse with fewer distinct people than this node's configuration wants for the risk."""
    risk, needed = approvals.needed(judgement, mode, node.approvals)
    if len(people) < needed:
        raise _Stop(
            "signatures.missing",
            f"signed by {', '.join(sorted(people))} only: a plan of {risk.value} risk needs"
            f" {needed} people here",
        )


def nothing_under_way(bundle: Bundle, node: Node) -> None:
    """Refuse while an earlier plan of the same incident has not ended."""
    if node.store.executing(bundle.incident):
        raise _Stop("execution.running", f"a plan of {bundle.incident} has not ended yet")


def within_limits(
    judgement: PlanJudgement, statement: Statement, mode: Mode, node: Node, now_ms: int
) -> None:
    """Refuse what a rule's limits do not let run now, by this node's clock and its record of runs.

    A rehearsal runs nothing, so no limit holds it.
    """
    wanted: dict[str, int] = {}
    for command in _runnable(judgement):
        for limit in command.limits if mode is Mode.LIVE else ():
            wanted[limit.rule] = wanted.get(limit.rule, 0) + limit.uses
            in_its_hours(limit, now_ms)
            rehearsed_first(limit, command, statement, node)
            cooled_down(limit, node, now_ms)
            not_too_often(limit, wanted[limit.rule], node, now_ms)


def _runnable(judgement: PlanJudgement) -> list[Judgement]:
    return [command for command in judgement.commands if command.verdict is Verdict.ALLOW]


def in_its_hours(limit: Limit, now_ms: int) -> None:
    """Refuse outside of the hours, in UTC, that a rule is for."""
    if limit.hours and not limits.is_open(limit.hours, now_ms):
        raise _Stop(
            "policy.hours",
            f"rule {limit.rule} runs {limit.hours} UTC, and it is {limits.clock(now_ms)} UTC",
        )


def rehearsed_first(limit: Limit, command: Judgement, statement: Statement, node: Node) -> None:
    """Refuse the first live run of a command of which the rule wants a rehearsal."""
    argv = command.argv_digest or ""
    if limit.dry_run_first and not node.store.rehearsed(limit.rule, argv, statement.event):
        raise _Stop(
            "policy.rehearse-first",
            f"rule {limit.rule} wants this command rehearsed first: approve the plan as a dry-run",
        )


def cooled_down(limit: Limit, node: Node, now_ms: int) -> None:
    """Refuse so soon after the last live run of a rule. (Its uses in one plan are one run.)"""
    rest_ms = limit.cool_down_s * 1000
    _, last_ms = node.store.used(limit.rule, now_ms - rest_ms, now_ms + limits.HOUR_MS)
    if limit.cool_down_s and last_ms is not None:
        left_s = (last_ms + rest_ms - now_ms) // 1000 + 1
        raise _Stop(
            "policy.cool-down",
            f"rule {limit.rule} rests {limit.cool_down_s} s after a run: {left_s} s are left",
        )


def not_too_often(limit: Limit, wanted: int, node: Node, now_ms: int) -> None:
    """Refuse more uses of a rule within an hour than it permits on one host."""
    # What the record says of a time up to an hour ahead counts: the clock may have been set back.
    used, _ = node.store.used(limit.rule, now_ms - limits.HOUR_MS, now_ms + limits.HOUR_MS)
    if limit.per_hour and used + wanted > limit.per_hour:
        raise _Stop(
            "policy.limit",
            f"rule {limit.rule} runs at most {limit.per_hour} times an hour on this host:"
            f" {used} of the last hour, {wanted} of this plan",
        )


def uses_of(
    judgement: PlanJudgement, statement: Statement, mode: Mode, now_ms: int
) -> tuple[Use, ...]:
    """Return what an admitted plan adds to the record of runs."""
    return tuple(
        Use(
            rule=limit.rule,
            uses=limit.uses,
            argv=command.argv_digest or "",
            event=statement.event,
            live=mode is Mode.LIVE,
            at_ms=now_ms,
        )
        for command in _runnable(judgement)
        for limit in command.limits
    )


def spend(
    statement: Statement, bundle: Bundle, uses: tuple[Use, ...], node: Node, now_ms: int
) -> None:
    """Spend the challenge, keep the bundle and what it uses, in one durable step, before anything runs."""
    with node.store.transaction():
        if not node.store.spend(statement.challenge, now_ms):
            raise _Stop("challenge.spent", "this decision was used already")
        node.store.begin_execution(statement.challenge, statement.event, bundle)
        node.store.note(uses)
