"""`sentinel replay`: everything about an incident that can be derived again is, from its papers alone.

The steps go the way the incident went: its records are in the tree, what was reported and planned has
the digests that the records name, the policy gives the same judgement again, the people who decided
signed those very bytes, and nothing but what was allowed ran. It ends at the first difference.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import msgspec

from sentinel import canonical, errors, merkle, protocol
from sentinel.domain import (
    CommandResult,
    Outcome,
    Plan,
    PlanJudgement,
    Report,
    Signature,
    Statement,
    Verdict,
)
from sentinel.hub import approve, audit
from sentinel.hub.persist import Store
from sentinel.hub.persist_record import DecisionPaper, Dossier, PlanPaper
from sentinel.hub.pipeline import Policy
from sentinel.trust import signers
from sentinel.trust.signers import Signers


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was derived again, and whether it is what the record says."""

    same: bool
    text: str


async def steps(store: Store, dossier: Dossier, judge: Policy, known: Signers) -> list[Step]:
    """Return what was derived again, up to the first difference; at least one step."""
    done: list[Step] = []
    bodies: dict[int, audit.Body] = {}
    async for step in _records(store, dossier.incident, bodies):
        done.append(step)
        if not step.same:
            return done
    for step in _papers(dossier, bodies, judge, known):
        done.append(step)
        if not step.same:
            return done
    return done


async def _records(
    store: Store, incident: str, bodies: dict[int, audit.Body]
) -> AsyncIterator[Step]:
    """Prove each record of the incident in the tree, and put what it says into `bodies`."""
    end = await store.log.end()
    root = end.root()
    rows = [row for row in await store.log.of_incident(incident) if row.seq <= end.size]
    for row in rows:
        proof = await audit.inclusion(store.log, row.seq, end.size)
        leaf = merkle.leaf_hash(row.body)
        held = merkle.includes(leaf, row.seq - 1, end.size, proof, root)
        if not held:
            yield Step(same=False, text=f"record {row.seq} is not in the log's tree")
            return
        bodies[row.seq] = msgspec.json.decode(row.body, type=audit.Body)
    text = f"{len(rows)} records of {incident} are in the tree of {end.size} under its root"
    yield Step(same=bool(rows), text=text if rows else f"the log has no record of {incident}")


def _papers(
    dossier: Dossier, bodies: dict[int, audit.Body], judge: Policy, known: Signers
) -> Iterator[Step]:
    for event, (digest, body) in dossier.reports.items():
        yield _is(f"report of {event}", digest, canonical.digest(body))
        yield _logged(f"report of {event}", digest, "report", bodies)
    for digest, body in dossier.reasoning:
        yield _is("reasoning", digest, canonical.digest(body))
        yield _logged("reasoning", digest, "reasoning", bodies)
    for paper in dossier.plans:
        yield from _plan(paper, dossier, bodies, judge)
    for decision in dossier.decisions:
        yield from _decision(decision, dossier, bodies, known)
    yield from _results(dossier, bodies)


def _is(what: str, said: str, derived: str) -> Step:
    if said == derived:
        return Step(same=True, text=f"{what}: {derived}")
    return Step(same=False, text=f"{what}: the record says {said}, and it is {derived}")


def _logged(what: str, digest: str, fact: str, bodies: dict[int, audit.Body]) -> Step:
    """Return whether some record of the incident names that digest."""
    for seq, body in bodies.items():
        if digest in body.facts.get(fact, "").split():
            return Step(same=True, text=f"{what}: record {seq} names it")
    return Step(same=False, text=f"{what}: no record names {digest}")


def _plan(
    paper: PlanPaper, dossier: Dossier, bodies: dict[int, audit.Body], judge: Policy
) -> Iterator[Step]:
    what = f"plan revision {paper.revision}"
    yield _is(what, paper.digest, canonical.digest(paper.body))
    named = bodies[paper.seq].facts.get("plan", "") if paper.seq in bodies else ""
    yield _is(f"{what}, as record {paper.seq} names it", named, paper.digest)
    if paper.judgement is None:
        yield Step(same=True, text=f"{what} was never judged")
        return
    try:
        said = msgspec.json.decode(paper.judgement, type=PlanJudgement)
        plan = msgspec.json.decode(paper.body, type=Plan)
    except msgspec.DecodeError as error:
        yield Step(same=False, text=f"{what} or its judgement does not read: {error}")
        return
    if said.policy != judge.digest:
        yield Step(
            same=False,
            text=f"{what} was judged by the policy {said.policy}, and here is {judge.digest}:"
            " install those rules to replay it",
        )
        return
    if plan.event not in dossier.reports:
        yield Step(
            same=False, text=f"{what} is on the event {plan.event}, of which no report is kept"
        )
        return
    # Its digest was held above, so this is what the hub once took.
    report = msgspec.json.decode(dossier.reports[plan.event][1], type=Report)
    yield _verdicts(what, paper.judgement, said, judge.judge(plan, report.context))


def _verdicts(what: str, stored: bytes, said: PlanJudgement, derived: PlanJudgement) -> Step:
    """Return whether the same rules still say the same of every command, to the byte."""
    if canonical.encode(derived) == stored:
        counts = " ".join(command.verdict.value for command in derived.commands)
        return Step(same=True, text=f"{what}: the verdicts are the same again: {counts}")
    for number, (one, other) in enumerate(zip(said.commands, derived.commands, strict=False), 1):
        if one != other:
            return Step(
                same=False,
                text=f"{what}, command {number}: the record says {one.verdict.value}, and the same"
                f" rules now say {other.verdict.value}, or give other findings",
            )
    return Step(same=False, text=f"{what}: the record's judgement is not the one derived again")


def _decision(
    paper: DecisionPaper, dossier: Dossier, bodies: dict[int, audit.Body], known: Signers
) -> Iterator[Step]:
    what = f"decision {paper.seq} ({paper.choice} by {paper.operator})"
    try:
        statement = canonical.decode(Statement, paper.statement, limit=approve.STATEMENT_BYTES)
    except errors.WireError as error:
        yield Step(same=False, text=f"{what}: {error.what}")
        return
    facts = bodies[paper.seq].facts if paper.seq in bodies else {}
    logged = canonical.digest(facts.get("statement", "").encode())
    yield _is(f"{what}: statement", logged, canonical.digest(paper.statement))
    yield _is(
        f"{what}: signatures", facts.get("signatures", ""), canonical.digest(paper.signatures)
    )
    yield _is(f"{what}: its choice", paper.choice, statement.choice.value)
    plans = {plan.digest for plan in dossier.plans}
    known_plan = statement.plan in plans
    yield Step(
        same=known_plan,
        text=f"{what} is over {statement.plan}, "
        + ("a plan of this incident" if known_plan else "which is no plan of this incident"),
    )
    yield from _signed(what, paper, statement, known)


def _signed(
    what: str, paper: DecisionPaper, statement: Statement, known: Signers
) -> Iterator[Step]:
    """Check each signature as it counted when the decision was made."""
    # As above: what does not read has another digest than the record says.
    found = msgspec.json.decode(paper.signatures, type=tuple[Signature, ...])
    if not found:
        yield Step(same=True, text=f"{what} bears no signature")
    for each in found:
        try:
            signer = signers.person(
                paper.statement, each, known, protocol.DECISION, statement.issued_ms
            )
        except errors.SignatureError as error:
            yield Step(same=False, text=f"{what}: {error.what} [{error.check}]")
            return
        yield Step(same=True, text=f"{what}: signed by {signer.person}, {signer.key.fingerprint}")


_UNTOUCHED = frozenset({Outcome.SKIPPED, Outcome.REHEARSED})


def _results(dossier: Dossier, bodies: dict[int, audit.Body]) -> Iterator[Step]:
    """Each result is the one that was logged; only what the judgement allows may have been started."""
    judged = {paper.digest: paper.judgement for paper in dossier.plans}
    over = {paper.seq: paper.plan for paper in dossier.decisions}
    for paper in dossier.results:
        what = f"command {paper.position + 1} of decision {paper.decision}"
        yield _logged(f"{what}: result", canonical.digest(paper.body), "result", bodies)
        result = msgspec.json.decode(paper.body, type=CommandResult)
        judgement = judged.get(over.get(paper.decision, ""))
        verdicts = msgspec.json.decode(judgement, type=PlanJudgement).commands if judgement else ()
        verdict = verdicts[result.index].verdict if result.index < len(verdicts) else None
        said = verdict.value if verdict else "nothing"
        yield Step(
            same=result.outcome in _UNTOUCHED or verdict is Verdict.ALLOW,
            text=f"{what}: {result.outcome.value}, and the policy said {said}",
        )
