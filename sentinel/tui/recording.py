"""What a recording is made of: incidents with what follows them, read from a file of the package."""

from __future__ import annotations

import importlib.resources
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from sentinel import canonical, merkle, protocol
from sentinel.domain import (
    Admission,
    AgentStatus,
    AuditRecord,
    CommandResult,
    Incident,
    LogRecord,
    Move,
    Outcome,
    Stage,
    State,
    Summary,
    Value,
    Verdict,
    Verification,
)
from sentinel.lifecycle import TERMINAL


class Step(Value, frozen=True, kw_only=True):
    """What happens to an incident `after_ms` after the step before."""

    after_ms: int
    state: State
    stage: Stage
    action: str
    actor: str
    text: str
    admission: Admission | None = None
    result: CommandResult | None = None
    verification: Verification | None = None
    challenge: str | None = None  # the node's fresh one, after a rehearsal


class Recorded(Value, frozen=True, kw_only=True):
    """An incident and what follows, by itself or upon a live approval of the recorded plan."""

    incident: Incident
    alone: tuple[Step, ...] = ()
    live: tuple[Step, ...] = ()


class Recording(Value, frozen=True, kw_only=True):
    """A whole recorded hub. `at_ms` is when the recording begins: the demo's clock starts there."""

    at_ms: int
    status: protocol.HubStatus
    incidents: tuple[Recorded, ...]
    agents: tuple[AgentStatus, ...]
    audit: tuple[AuditRecord, ...]
    runbooks: tuple[protocol.Runbook, ...] = ()


def logged(seq: int, move: Move, incident: str) -> AuditRecord:
    """Return the audit record that a hub would have written of `move`."""
    of = LogRecord(
        seq=seq,
        at_ms=move.at_ms,
        action=move.action,
        actor=move.actor,
        incident=incident,
        state=move.state.value,
        text=move.text,
    )
    body = canonical.encode(of)
    return AuditRecord(
        seq=seq,
        at_ms=move.at_ms,
        action=move.action,
        actor=move.actor,
        incident=incident,
        body=body.decode(),
        hash=canonical.digest_text(merkle.leaf_hash(body)),
    )


def load() -> Recording:
    """Return the recording that is part of the package."""
    data = importlib.resources.files("sentinel.tui").joinpath("recorded.json").read_bytes()
    return msgspec.json.decode(data, type=Recording)


def runbooks(
    recorded: Iterable[protocol.Runbook], incidents: Iterable[Incident]
) -> tuple[protocol.Runbook, ...]:
    """Return the runbooks with what has become of the incidents that they made the plan of."""
    used: dict[str, list[Summary]] = defaultdict(list)
    for incident in incidents:
        if incident.plan is not None and incident.plan.author == "playbook":
            used[incident.plan.engine.removeprefix("playbook:")].append(incident.summary)
    return tuple(msgspec.structs.replace(each, past=_past(used[each.id])) for each in recorded)


def services(incidents: Iterable[Incident]) -> protocol.Services:
    """Return what runs where, as the reports have shown it, and what has been failing."""
    hosts: dict[str, set[str]] = defaultdict(set)
    failed: dict[str, list[Summary]] = defaultdict(list)
    for incident in incidents:
        summary = incident.summary
        shown = {process.unit for process in incident.report.context.processes}
        for name in {unit for unit in shown if unit.endswith(".service")} | {summary.service}:
            hosts[name].add(summary.host)
        failed[summary.service].append(summary)
    hosts.pop("", None)
    order = sorted(hosts, key=lambda name: (-len(failed[name]), -len(hosts[name]), name))
    return protocol.Services(
        services=tuple(
            protocol.Service(
                name=name,
                hosts=tuple(sorted(hosts[name])[: protocol.MAX_SERVICE_HOSTS]),
                host_count=len(hosts[name]),
                past=_past(failed[name]),
            )
            for name in order[: protocol.MAX_SERVICES]
        )
    )


def _past(of: Sequence[Summary]) -> protocol.Past:
    return protocol.Past(
        count=len(of),
        open=sum(summary.state not in TERMINAL for summary in of),
        resolved=sum(summary.state is State.RESOLVED for summary in of),
        last_ms=max((summary.opened_ms for summary in of), default=0),
    )


def rehearsal(incident: Incident) -> Iterator[Step]:
    """Yield what a node does with an approved dry-run: each command, and a fresh challenge."""
    node = f"node:{incident.summary.host}"
    commands = incident.judgement.commands if incident.judgement else ()

    def step(after_ms: int, state: State, action: str, words: str, **more: object) -> Step:
        fields = {"after_ms": after_ms, "state": state, "action": action, "text": words, **more}
        return msgspec.convert({"stage": Stage.EXECUTE, "actor": node, **fields}, Step)

    yield step(400, State.EXECUTING, "admitted", "admitted, dry-run")
    for index, judged in enumerate(commands):
        runs = judged.verdict is Verdict.ALLOW
        outcome = Outcome.REHEARSED if runs else Outcome.SKIPPED
        reason = "" if runs else f"the node's policy says {judged.verdict.value}"
        result = CommandResult(index=index, outcome=outcome, reason=reason)
        words = f"command {index + 1} {'would run' if runs else 'skipped'}"
        yield step(300, State.EXECUTING, "rehearsed", words, result=result)
    fresh = canonical.digest(f"{incident.report.challenge} rehearsed".encode())
    words = "rehearsal ended; nothing was changed"
    challenge = fresh.removeprefix("sha256:")[:32]
    yield step(200, State.AWAITING, "rehearsed", words, challenge=challenge)
