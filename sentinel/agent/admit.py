"""The node's gate: whether a bundle that came from the hub may run here.

The hub is an untrusted courier. `admit` is the whole argument: its calls, in this order, are all that
stands between a hub that was taken over and this host, so read them top to bottom. Each check refuses
with a name of its own, which reaches the operator's screen and the record. The challenge is spent last
and durably, so that whatever happens next, the same bundle never runs twice.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from sentinel import canonical
from sentinel.agent.store import Store
from sentinel.domain import (
    Bundle,
    Choice,
    Digest,
    Mode,
    Plan,
    PlanJudgement,
    Report,
    Signature,
    Statement,
    Verdict,
)
from sentinel.errors import WireError, printable
from sentinel.policy import validate
from sentinel.policy.rules import Policy
from sentinel.policy.validate import Facts
from sentinel.protocol import DECISION_LIFE_MS

PLAN_BYTES = 131072
STATEMENT_BYTES = 8192
SIGNATURE_BYTES = 8192
SIGNATURES = 8
REASON_CHARS = 800
LIFE_MS = DECISION_LIFE_MS
SKEW_MS = 60_000  # clocks differ; a statement from further in the future is not believed

# Returns the names of the distinct people whose signatures over the statement's exact bytes hold.
Verifier = Callable[[bytes, tuple[Signature, ...]], frozenset[str]]


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """What the gate knows of the node it guards. None of it comes from the hub."""

    host: str
    mode: Mode
    policy: Policy
    store: Store
    own_pids: frozenset[int]  # Sentinel's own processes: never a target
    required_signatures: int = 0
    verifier: Verifier


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
        people = who_signed(bundle, node)
        enough_people(people, node)
        approves(statement)
        about_one_incident(bundle, statement, plan)
        report = my_report(statement, node)
        digest = over_this_plan(bundle, statement)
        under_my_challenge(statement, node)
        within_its_life(statement, now_ms)
        mode = mode_of_both(statement, node)
        under_my_policy(statement, node)
        facts = validate.facts_of(report.context, own_pids=node.own_pids)
        judgement = allowed_by_me(plan, digest, facts, node)
        nothing_under_way(bundle, node)
        spend(statement, bundle, node, now_ms)
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


def who_signed(bundle: Bundle, node: Node) -> frozenset[str]:
    """Return the distinct people whose signatures over the statement's exact bytes hold here."""
    return node.verifier(bundle.statement.encode(), bundle.signatures)


def enough_people(people: frozenset[str], node: Node) -> None:
    """Refuse with fewer distinct people than this node's own configuration wants."""
    if len(people) < node.required_signatures:
        raise _Stop(
            "signatures.missing",
            f"{len(people)} of {node.required_signatures} signatures hold",
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


def under_my_policy(statement: Statement, node: Node) -> None:
    """Refuse what was judged by another policy than this node's, and name both."""
    if statement.policy != node.policy.digest:
        raise _Stop(
            "policy.digest", f"judged by {statement.policy}, this node has {node.policy.digest}"
        )


def allowed_by_me(plan: Plan, digest: Digest, facts: Facts, node: Node) -> PlanJudgement:
    """Return this node's own judgement, against its own frozen context; something must be allow."""
    judgement = validate.judge_plan(node.policy, plan, digest, facts)
    if judgement.verdict is Verdict.BLOCK:
        raise _Stop("policy.block", "this node's policy blocks a command of the plan")
    if all(command.verdict is not Verdict.ALLOW for command in judgement.commands):
        raise _Stop("policy.nothing", "this node's policy allows no command of the plan")
    return judgement


def nothing_under_way(bundle: Bundle, node: Node) -> None:
    """Refuse while an earlier plan of the same incident has not ended."""
    if node.store.executing(bundle.incident):
        raise _Stop("execution.running", f"a plan of {bundle.incident} has not ended yet")


def spend(statement: Statement, bundle: Bundle, node: Node, now_ms: int) -> None:
    """Spend the challenge and keep the bundle, in one durable step, before anything runs."""
    with node.store.transaction():
        if not node.store.spend(statement.challenge, now_ms):
            raise _Stop("challenge.spent", "this decision was used already")
        node.store.begin_execution(statement.challenge, statement.event, bundle)
