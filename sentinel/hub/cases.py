"""The hub's own view of an incident: the row it works with, and what an operator is shown of it.

A `Case` is one row of the table `incident` as a frozen value: enough to decide who may move it and
where to. What is large (report, plans, results, timeline) stays in tables of its own and is put
together with the case only when somebody looks at the whole.
"""

from __future__ import annotations

import msgspec

from sentinel import lifecycle
from sentinel.domain import (
    Admission,
    CommandResult,
    Digest,
    Evidence,
    Incident,
    Kind,
    Move,
    Pending,
    Plan,
    PlanJudgement,
    Report,
    Severity,
    State,
    Statement,
    Stopping,
    Summary,
    Verdict,
    Verification,
)
from sentinel.errors import printable

MAX_LINE = 1024
SHOWN_MOVES = 256  # the newest of a timeline; the audit log has them all


class Papers(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is kept of an incident as a document: nothing in here is searched for."""

    evidence: tuple[Evidence, ...] = ()  # what the plan in force was reasoned from
    admission: Admission | None = None  # of the last approval
    verification: Verification | None = None  # of the last approval
    # The node said that the signal cleared at a moment when that could not end the incident.
    cleared: bool = False
    pending: Pending | None = None  # an approval that is not complete; see `pending_of`
    stopping: Stopping | None = None  # of the last approval


class Case(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One row of the table `incident`; times are ms since the epoch."""

    id: str
    host: str
    kind: Kind
    severity: Severity
    state: State
    revision: int  # audit seq of the last record about it
    rule: str
    subject: str
    culprit: str  # the subject by its lasting name: a process name rather than a pid
    event: str  # of the report in force
    challenge: str  # what an approval must quote now
    verdict: Verdict | None = None
    evidence: str
    count: int = 1
    previous: str | None = None
    opened_ms: int
    updated_ms: int
    entered_ms: int  # when it came to its state
    attempt: int = 1  # which round of reasoning this is
    escalated: bool = False  # the hub has asked again by itself, which it does once
    plan_revision: int = 0
    decision_seq: int = 0
    owner: str = ""  # the person who is on it; empty: nobody
    service: str = ""  # of the likeliest culprit, see `recall.service_of`
    runbook: str = ""  # that made the last plan; empty where no runbook did
    lease_owner: str = ""
    lease_until_ms: int = 0
    papers: Papers = Papers()

    @property
    def is_open(self) -> bool:
        """Whether the incident can still move."""
        return self.state in lifecycle.OPEN


class PlanRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One stored revision of a plan: its exact bytes, their digest, and the judgement if there is one."""

    revision: int
    digest: Digest
    body: bytes
    judgement: PlanJudgement | None

    @property
    def plan(self) -> Plan:
        """The plan in `body`; the store wrote it, so it is not checked for canonical form again."""
        return msgspec.json.decode(self.body, type=Plan)


class DecisionRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One stored decision: who took it, over which plan, and the statement's exact bytes."""

    seq: int
    operator: str
    plan: str
    statement: bytes
    signatures: bytes


class Folder(msgspec.Struct, frozen=True, kw_only=True):
    """Everything stored about one incident."""

    case: Case
    report: Report
    plan: PlanRecord | None
    decision: DecisionRecord | None
    results: tuple[CommandResult, ...]
    moves: tuple[Move, ...]


def summary(case: Case) -> Summary:
    """Return the incident in one line."""
    return Summary(
        id=case.id,
        revision=case.revision,
        host=case.host,
        kind=case.kind,
        severity=case.severity,
        state=case.state,
        verdict=case.verdict,
        evidence=case.evidence,
        count=case.count,
        opened_ms=case.opened_ms,
        updated_ms=case.updated_ms,
        owner=case.owner,
        service=case.service,
    )


def pending_of(case: Case, plan: PlanRecord | None, now_ms: int = 0) -> Pending | None:
    """Return the approval that more people must sign, if it is still about what there is now.

    With another plan or challenge since, or its time over, it is nothing: it would not be admitted.
    """
    begun = case.papers.pending
    if begun is None or plan is None or case.state is not State.AWAITING:
        return None
    statement = msgspec.json.decode(begun.statement, type=Statement)
    if (statement.plan, statement.challenge) != (plan.digest, case.challenge):
        return None
    return in_time(begun, now_ms)


def in_time(begun: Pending | None, now_ms: int) -> Pending | None:
    """Return an approval that was begun, unless its time is over."""
    if begun is None:
        return None
    statement = msgspec.json.decode(begun.statement, type=Statement)
    return begun if now_ms < statement.expires_ms else None


def view(folder: Folder) -> Incident:
    """Return the whole incident as an operator sees it.

    The challenge is the one an approval must quote now, which a node renews after each run. A
    decision and what came of it are shown only beside the plan that they were about.
    """
    case, plan = folder.case, folder.plan
    decision = folder.decision
    if decision is None or plan is None or decision.plan != plan.digest:
        decision = None
    return Incident(
        summary=summary(case),
        report=msgspec.structs.replace(folder.report, challenge=case.challenge),
        plan=plan.plan if plan else None,
        plan_digest=plan.digest if plan else None,
        judgement=plan.judgement if plan else None,
        decision=msgspec.json.decode(decision.statement, type=Statement) if decision else None,
        decider=decision.operator if decision else "",
        admission=case.papers.admission if decision else None,
        results=folder.results if decision else (),
        verification=case.papers.verification if decision else None,
        evidence=case.papers.evidence,
        previous=case.previous,
        moves=folder.moves,
        pending=pending_of(case, plan),
        stopping=case.papers.stopping if decision else None,
    )


def line(text: str) -> str:
    """Return `text` as one line that is safe to show and within the bound of `domain.Line`."""
    return printable(text, MAX_LINE // 2)[:MAX_LINE]
