"""`sentinel demo --synthetic N`: a hub's record with N made-up incidents in it, written through its own door.

The incidents are those of the terminal's recording over and over, on hosts that do not exist, each with
its own id, report, plan, digest, audit record and timeline. What they are for: a list of a hundred
thousand has to be as quick as one of ten.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

import msgspec

from sentinel import canonical, process
from sentinel.domain import Incident, Mode, Report, Stage, State
from sentinel.hub import recall
from sentinel.hub.cases import Case, Papers, PlanRecord
from sentinel.hub.moves import Entry, begin_all
from sentinel.hub.persist import Store
from sentinel.hub.persist_writes import UnitOfWork
from sentinel.human import DAY, HOUR
from sentinel.ids import uuid7
from sentinel.policy import rules
from sentinel.tui.recording import load

BATCH = 500
HOSTS = 200
SPREAD_MS = 9 * DAY  # since when the oldest is open
# Only states that wait for a person or are over: the hub leaves those alone.
STATES = (*(State.AWAITING,) * 6, *(State.MANUAL,) * 2, State.REFUSED, State.UNRESOLVED)
ENDED = (State.RESOLVED, State.CLOSED)
ENDED_SHARE = 10  # one in so many has ended


class Made(NamedTuple):
    """One incident before it is written."""

    case: Case
    report: Report
    plan: PlanRecord


async def fill(url: str, count: int) -> None:
    """Write `count` incidents into the hub's database at `url`, and the nodes they are of."""
    templates = [r.incident for r in load().incidents if r.incident.plan is not None]
    policy = rules.load(examples=False).digest
    now_ms, chance = process.now_ms(), random.Random(count)  # noqa: S311  (the same every time)
    async with await Store.open(url) as store:

        async def nodes(work: UnitOfWork) -> None:
            for number in range(min(HOSTS, count)):
                values = {"last_seen_ms": now_ms, "version": "synthetic", "policy": policy}
                await work.put_agent(_host(number), values)

        await store.write(nodes)
        numbers = ((number, number * SPREAD_MS // count) for number in range(count))
        for part in _batches(numbers):
            made = [
                _make(chance, templates, policy, number, now_ms, now_ms - SPREAD_MS + passed)
                for number, passed in part
            ]

            async def write(work: UnitOfWork, made: list[Made] = made) -> None:
                await _write(work, made)

            await store.write(write)


def _batches(numbers: Iterator[tuple[int, int]]) -> Iterator[list[tuple[int, int]]]:
    while part := list(islice(numbers, BATCH)):
        yield part


def _host(number: int) -> str:
    return f"synthetic-{number:03d}"


def _make(
    chance: random.Random,
    templates: list[Incident],
    policy: str,
    number: int,
    now_ms: int,
    opened_ms: int,
) -> Made:
    template, host = chance.choice(templates), _host(number % HOSTS)
    state = chance.choice(ENDED if chance.randrange(ENDED_SHARE) == 0 else STATES)
    name, event = uuid7(opened_ms), uuid7(opened_ms)
    anomaly = msgspec.structs.replace(template.report.anomaly, rule=f"synthetic.{number}")
    report = msgspec.structs.replace(
        template.report,
        event=event,
        host=host,
        anomaly=anomaly,
        challenge=f"{number:032x}",
        mode=Mode.DRY_RUN,
        policy=policy,
    )
    assert template.plan is not None
    assert template.judgement is not None
    plan = msgspec.structs.replace(template.plan, incident=name, event=event, host=host)
    body = canonical.encode(plan)
    digest = canonical.digest(body)
    judgement = msgspec.structs.replace(template.judgement, plan=digest, policy=policy)
    case = Case(
        id=name,
        host=host,
        kind=anomaly.kind,
        severity=template.summary.severity,
        state=state,
        revision=0,
        rule=anomaly.rule,
        subject=anomaly.subject,
        culprit=anomaly.subject,
        event=event,
        challenge=report.challenge,
        verdict=judgement.verdict,
        evidence=template.summary.evidence,
        opened_ms=opened_ms,
        updated_ms=now_ms - HOUR,
        entered_ms=now_ms - HOUR,
        escalated=True,
        plan_revision=plan.revision,
        service=recall.service_of(report),
        runbook=recall.runbook_of(plan.author, plan.engine),
        papers=Papers(evidence=template.evidence),
    )
    record = PlanRecord(revision=plan.revision, digest=digest, body=body, judgement=judgement)
    return Made(case, report, record)


async def _write(work: UnitOfWork, made: list[Made]) -> None:
    opened = await begin_all(work, [(each.case, _entry(each), ()) for each in made])
    revisions = [case.revision for case in opened]
    await work.add_reports(
        (each.report, canonical.encode(each.report), each.case.id, revision)
        for each, revision in zip(made, revisions, strict=True)
    )
    for each in made:
        shown = recall.services_in(each.report, each.case.service)
        work.note_services(each.case.host, shown, each.case.opened_ms)
    await work.add_plans(
        (each.case.id, revision, each.plan) for each, revision in zip(made, revisions, strict=True)
    )


def _entry(made: Made) -> Entry:
    return Entry(
        at_ms=made.case.opened_ms,
        stage=Stage.PERSIST,
        actor=f"node:{made.case.host}",
        action="reported",
        text="a made-up incident of sentinel demo --synthetic",
        facts={"plan": made.plan.digest},
    )
