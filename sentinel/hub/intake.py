"""Stages 1 to 3 as they reach the hub, and what a node says of stages 8 and 9: letters, each once.

`take` stores one letter and everything that follows from it in one transaction, under the letter's id:
a letter that comes twice is stored once, and a letter that is answered is on disk. Letters of one node
are to be taken in the order it wrote them, which is what its outbox and one stream give.

A letter speaks for the host whose certificate brought it, and for nothing else: an incident of another
host is as unknown as one that does not exist. What arrives too late to move its incident is kept in its
record without effect; what makes no sense is refused, and the caller says so in the receipt.
"""

from __future__ import annotations

import logging
from functools import partial

import msgspec

from sentinel import canonical, errors, human
from sentinel.domain import (
    Admission,
    CommandResult,
    Halt,
    IncidentId,
    Move,
    Outcome,
    Report,
    Stage,
    State,
    Verification,
)
from sentinel.hub import audit, recall
from sentinel.hub.cases import Case, line
from sentinel.hub.moves import Entry, begin, move
from sentinel.hub.persist import Store
from sentinel.hub.persist_writes import UnitOfWork
from sentinel.ids import uuid7
from sentinel.lifecycle import TRANSITIONS, Event
from sentinel.protocol import Alarm, Cleared, Finish, Finished, Letter, Stopped

log = logging.getLogger(__name__)

# A plan that was made for an earlier report is bound to the new one and judged again.
_REJUDGED = frozenset({State.AWAITING, State.REFUSED})
# A plan is under way against the report in force: a newer one is noted, and binds nothing.
_UNDER_WAY = frozenset({State.APPROVED, State.EXECUTING, State.EXECUTED, State.FAILED})

# Whether a plan helped is said by the node's verification, whose readings are all from after its end.
_VERIFIED = frozenset({State.EXECUTED, State.FAILED})

_FINISH = {
    Finish.ALL_RAN: Event.ALL_RAN,
    Finish.ONE_FAILED: Event.ONE_FAILED,
    Finish.REHEARSED: Event.REHEARSED,
    Finish.STOPPED: Event.STOPPED,
}


async def take(store: Store, host: str, letter: Letter, now_ms: int) -> None:
    """Store one letter of `host` exactly once; a repetition is answered like the first.

    Raises WireError where the letter is not one of `host`'s to write: nothing is stored then.
    """
    await store.write(partial(_take, host=host, letter=letter, now_ms=now_ms))


async def forget(store: Store, host: str) -> None:
    """Forget which letters of `host` were stored long ago: it cannot send those again."""
    await store.write(partial(UnitOfWork.forget_letters, host=host))


async def _take(work: UnitOfWork, host: str, letter: Letter, now_ms: int) -> None:
    if not await work.first_sight(host, letter.id, now_ms):
        return
    match letter:
        case Letter(alarm=Alarm() as alarm):
            await _alarmed(work, host, alarm, now_ms)
        case Letter(report=Report() as report):
            await _reported(work, host, report, now_ms)
        case Letter(cleared=Cleared() as cleared):
            await _cleared(work, host, cleared, now_ms)
        case Letter(admission=Admission() as admission):
            case = await _case(work, host, admission.incident)
            await _admitted(work, case, admission, now_ms)
        case Letter(ran=ran) if ran is not None:
            case = await _case(work, host, ran.incident)
            await _ran(work, case, ran.result, now_ms)
        case Letter(finished=Finished() as finished):
            case = await _case(work, host, finished.incident)
            await _finished(work, case, finished, now_ms)
        case Letter(stopped=Stopped() as stopped):
            case = await _case(work, host, stopped.incident)
            await _stopped(work, case, stopped, now_ms)
        case Letter(verification=Verification() as verification):
            case = await _case(work, host, verification.incident)
            await _verified(work, case, verification, now_ms)
        case _:
            raise errors.WireError(f"letter {letter.id} says nothing")


async def _alarmed(work: UnitOfWork, host: str, alarm: Alarm, now_ms: int) -> None:
    """Put on record that a node has seen another log than it is shown now, with what proves it."""
    log.error(
        "node %s runs nothing any more: %s",
        host,
        errors.printable(alarm.reason),
        extra={"action": alarm.check},
    )
    body = audit.Body(
        seq=0,
        at_ms=now_ms,
        action=alarm.check,
        actor=f"node:{host}",
        text=line(alarm.reason),
        facts={"kept": alarm.kept, "shown": alarm.shown},
    )
    audit.append(work, body)


async def _case(work: UnitOfWork, host: str, incident: str) -> Case:
    case = await work.case(incident)
    if case is None or case.host != host:
        raise errors.WireError(f"incident {incident} is not one of {host}'s")
    return case


# ---------------------------------------------------------------- stages 1 to 3


async def _reported(work: UnitOfWork, host: str, report: Report, now_ms: int) -> None:
    if report.host != host:
        raise errors.WireError(f"a report about {report.host} came from {host}")
    if await work.case_of_event(host, report.event) is not None:
        return
    anomaly = report.anomaly
    subject = line(anomaly.subject)
    known = await work.open_case(host, anomaly.kind, anomaly.rule, subject)
    if known is not None:
        await _reported_again(work, known, report, now_ms)
        return
    culprit, service = _culprit(report), recall.service_of(report)
    case = Case(
        id=new_id(now_ms),
        host=host,
        kind=anomaly.kind,
        severity=anomaly.severity,
        state=State.REPORTED,
        revision=0,
        rule=anomaly.rule,
        subject=subject,
        culprit=culprit,
        event=report.event,
        challenge=report.challenge,
        evidence=evidence(report),
        previous=await work.previous(host, anomaly.kind, anomaly.rule, culprit),
        opened_ms=now_ms,
        updated_ms=now_ms,
        entered_ms=now_ms,
        service=service,
    )
    body = canonical.encode(report)
    entry = Entry(
        at_ms=now_ms,
        stage=Stage.PERSIST,
        actor=f"node:{host}",
        action="reported",
        text="incident opened, report stored",
        facts={"report": canonical.digest(body), "rule": anomaly.rule},
    )
    case = await begin(work, case, entry, _on_the_node(report, case))
    await work.add_report(report, body, case.id, case.revision)
    work.note_services(host, recall.services_in(report, service), now_ms)


async def _reported_again(work: UnitOfWork, case: Case, report: Report, now_ms: int) -> None:
    """Fold a report into the open incident about the same fault."""
    body, service = canonical.encode(report), recall.service_of(report)
    after = msgspec.structs.replace(
        case,
        count=case.count + 1,
        service=service,
        severity=report.anomaly.severity,
        evidence=evidence(report),
        papers=msgspec.structs.replace(case.papers, cleared=False),
    )
    if case.state not in _UNDER_WAY:
        after = msgspec.structs.replace(after, event=report.event, challenge=report.challenge)
    entry = Entry(
        at_ms=now_ms,
        stage=Stage.TRANSPORT,
        actor=f"node:{case.host}",
        action="reported-again",
        text=f"report {report.event} of the same fault, number {after.count}",
        facts={"report": canonical.digest(body)},
    )
    event = Event.REVISED if case.state in _REJUDGED else None
    moved = await move(work, case, event, after, entry)
    await work.add_report(report, body, case.id, moved.revision)
    work.note_services(case.host, recall.services_in(report, service), now_ms)


async def _cleared(work: UnitOfWork, host: str, cleared: Cleared, now_ms: int) -> None:
    case = await work.case_of_event(host, cleared.event)
    if case is None:
        raise errors.WireError(f"event {cleared.event} was never reported by {host}")
    entry = Entry(
        at_ms=now_ms,
        stage=Stage.VERIFY,
        actor=f"node:{host}",
        action=Event.RECOVERED.value,
        text=f"the signal cleared by itself at {cleared.observed}",
    )
    # The same fault may have been reported again since: then it is that report's clearing that counts.
    if await work.newest_event(case.id) != cleared.event:
        await _note_late(work, case, case, entry)
        return
    if Event.RECOVERED in TRANSITIONS[case.state] and case.state not in _VERIFIED:
        await move(work, case, Event.RECOVERED, case, entry)
        return
    papers = msgspec.structs.replace(case.papers, cleared=True)
    await _note_late(work, case, msgspec.structs.replace(case, papers=papers), entry)


# ---------------------------------------------------------------- stages 8 and 9


async def _admitted(work: UnitOfWork, case: Case, admission: Admission, now_ms: int) -> None:
    event = Event.ADMITTED if admission.admitted else Event.NODE_REFUSED
    after = case
    if admission.challenge is not None and not admission.admitted:
        event = Event.APPROVAL_VOID
        after = _voided(case, admission.challenge)
    # A refusal that comes late is of a second copy of the plan: it says nothing about the first.
    if admission.admitted or event in TRANSITIONS[case.state]:
        papers = msgspec.structs.replace(after.papers, admission=admission)
        after = msgspec.structs.replace(after, papers=papers)
    text = (
        f"admitted, {admission.mode.value}"
        if admission.admitted
        else f"refused by the node at {admission.check}: {admission.reason}"
    )
    entry = Entry(
        at_ms=now_ms,
        stage=Stage.EXECUTE,
        actor=f"node:{case.host}",
        action=event.value,
        text=text,
        facts={"admission": canonical.digest_of(admission)},
    )
    await _apply(work, case, event, after, entry)


def _voided(case: Case, challenge: str) -> Case:
    """Return the case where the approval is void of which nothing has begun: it may be given again."""
    asked = case.papers.stopping
    if asked is not None and asked.answer is None:
        asked = msgspec.structs.replace(asked, answer=Halt.NOT_BEGUN)
    papers = msgspec.structs.replace(case.papers, stopping=asked)
    if case.state is State.APPROVED:
        return msgspec.structs.replace(case, challenge=challenge, papers=papers)
    return msgspec.structs.replace(case, papers=papers)


_HALTS = {
    Halt.STOPPING: "the node starts nothing more: what runs is left to end",
    Halt.NOT_BEGUN: "nothing of the plan had begun, and nothing will",
    Halt.TOO_LATE: "the stop came too late: the last command had started, or the plan had ended",
    Halt.UNKNOWN: "the node knows no such approval, so it can run nothing of it",
}


async def _stopped(work: UnitOfWork, case: Case, stopped: Stopped, now_ms: int) -> None:
    """Keep the node's answer to a stop; one that was asked for twice is answered twice."""
    asked = case.papers.stopping
    if asked is None or asked.challenge != stopped.challenge or asked.answer is not None:
        return
    asked = msgspec.structs.replace(asked, answer=stopped.answer)
    papers = msgspec.structs.replace(case.papers, stopping=asked)
    entry = Entry(
        at_ms=now_ms,
        stage=Stage.EXECUTE,
        actor=f"node:{case.host}",
        action="stop-answered",
        text=_HALTS[stopped.answer],
        facts={"answer": stopped.answer.value, "challenge": stopped.challenge},
    )
    await move(work, case, None, msgspec.structs.replace(case, papers=papers), entry)


async def _ran(work: UnitOfWork, case: Case, result: CommandResult, now_ms: int) -> None:
    if case.decision_seq == 0:
        raise errors.WireError(f"nothing of incident {case.id} was ever approved")
    if not await work.put_result(case, result):
        return
    exit_status = "" if result.exit_status is None else f", exit status {result.exit_status}"
    reason = f": {result.reason}" if result.reason else ""
    entry = Entry(
        at_ms=now_ms,
        stage=Stage.EXECUTE,
        actor=f"node:{case.host}",
        action="started" if result.outcome is Outcome.RUNNING else "ended",
        text=f"command {result.index + 1} {result.outcome.value}{exit_status}{reason}",
        facts={"result": canonical.digest_of(result), "command": str(result.index)},
    )
    await move(work, case, None, case, entry)


async def _finished(work: UnitOfWork, case: Case, finished: Finished, now_ms: int) -> None:
    event = _FINISH[finished.finish]
    entry = Entry(
        at_ms=now_ms,
        stage=Stage.EXECUTE,
        actor=f"node:{case.host}",
        action=event.value,
        text=f"the plan ended: {finished.finish.value}",
    )
    after = case
    if finished.event == case.event:
        after = msgspec.structs.replace(case, challenge=finished.challenge)
    await _apply(work, case, event, after, entry)


async def _verified(work: UnitOfWork, case: Case, verification: Verification, now_ms: int) -> None:
    event = Event.RECOVERED if verification.recovered else Event.DEADLINE_PASSED
    papers = msgspec.structs.replace(case.papers, verification=verification)
    after = msgspec.structs.replace(case, papers=papers)
    entry = Entry(
        at_ms=now_ms,
        stage=Stage.VERIFY,
        actor=f"node:{case.host}",
        action=event.value,
        text=verification.reason or event.value,
        facts={"verification": canonical.digest_of(verification)},
    )
    await _apply(work, case, event, after, entry)


async def _apply(work: UnitOfWork, before: Case, event: Event, after: Case, entry: Entry) -> None:
    """Move the incident if its state can take the event, and note the event if it cannot."""
    if event in TRANSITIONS[before.state]:
        await move(work, before, event, after, entry)
    else:
        await _note_late(work, before, after, entry)


async def _note_late(work: UnitOfWork, before: Case, after: Case, entry: Entry) -> None:
    """Keep what the incident's state cannot take any more, or not yet, without moving it."""
    noted = msgspec.structs.replace(
        entry,
        action="noted",
        text=f"noted while {before.state.value}, which it stays: {entry.text}",
        facts=entry.facts | {"event": entry.action},
    )
    await move(work, before, None, after, noted)


# ---------------------------------------------------------------- words


def new_id(now_ms: int) -> IncidentId:
    """Return a new incident's id: ids sort by time, and pages of incidents rest on that."""
    return IncidentId(uuid7(now_ms))


def _culprit(report: Report) -> str:
    """Return the lasting name of what is at fault: a process comes back under another pid."""
    subject = report.anomaly.subject
    for process in report.context.processes:
        if subject == f"{process.pid}:{process.start_ticks}":
            return line(process.name)
    return line(subject)


def evidence(report: Report) -> str:
    """Return the fault in one line: what, of whom, and over which threshold."""
    anomaly = report.anomaly
    value = human.reading(anomaly.metric, anomaly.value)
    threshold = human.reading(anomaly.metric, anomaly.threshold)
    name = anomaly.metric.value.rsplit("_", 1)[0].replace("_", " ")
    culprit, subject = _culprit(report), line(anomaly.subject)
    if culprit != subject:
        culprit = f"{culprit} (pid {subject.partition(':')[0]})"
    return line(f"{name} {value}, over {threshold}" + (f" · {culprit}" if culprit else ""))


def _on_the_node(report: Report, case: Case) -> tuple[Move, ...]:
    """Return the lines of the timeline about what happened before the hub knew."""
    actor = f"node:{case.host}"
    return (
        Move(
            at_ms=report.anomaly.detected_ms,
            stage=Stage.DETECT,
            action="detected",
            actor=actor,
            state=case.state,
            text=case.evidence,
        ),
        Move(
            at_ms=report.context.captured_ms,
            stage=Stage.CAPTURE,
            action="captured",
            actor=actor,
            state=case.state,
            text=f"{len(report.context.processes)} processes, {len(report.context.logs)} log lines",
        ),
        Move(
            at_ms=case.opened_ms,
            stage=Stage.TRANSPORT,
            action="received",
            actor=actor,
            state=case.state,
            text=f"report {report.event} received",
        ),
    )
