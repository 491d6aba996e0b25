"""How both programs of a node ask the gate: built from the same files, each with a store of its own.

`sentinel-agent` asks first, so that what a hub may send in any number costs no privileged process;
`sentinel-exec` asks again, and only its answer lets anything run. The roots of trust are a folder of
files that root writes when the host is enrolled, and that nothing the hub says ever changes:
  host              the name that decisions for this node must bear
  allowed_signers   the people whose signatures count, and their keys (`trust.signers`)
  checkpoint.pub    whose signature stands under the checkpoints of the hub's log (`witness`)
"""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

from sentinel import config, errors, protocol
from sentinel.agent import admit, procfs
from sentinel.agent.detect import comm_of
from sentinel.agent.store import Store
from sentinel.config import AgentSettings
from sentinel.domain import Bundle, Process, Report, Signature
from sentinel.policy.rules import Policy
from sentinel.trust import checkpoint, identity, signers

ROOTS = Path("/etc/sentinel")  # where the packages keep them

SIGNERS = "allowed_signers"


class _Undo(Exception):
    """Takes a transaction back, with the answer that was found in it."""

    def __init__(self, answer: admit.Admitted | admit.Refused) -> None:
        super().__init__()
        self.answer = answer


def node(
    settings: AgentSettings,
    roots: Path,
    host: str,
    policy: Policy,
    store: Store,
    own_pids: frozenset[int],
) -> admit.Node:
    """Return the gate of this node. Raises ConfigError where a root of trust is not as it must be."""
    return admit.Node(
        host=host,
        mode=settings.mode,
        policy=policy,
        store=store,
        own_pids=own_pids,
        groups=frozenset(settings.groups),
        role=settings.role,
        verifier=verifier(roots / SIGNERS),
        approvals=settings.approvals,
        log_key=_log_key(roots / identity.CHECKPOINT),
    )


def _log_key(path: Path) -> checkpoint.Key | None:
    """Return whose signature the hub's log bears; None where this host was never told."""
    return checkpoint.parse_key(config.read(path), str(path)) if config.there(path) else None


def verifier(path: Path) -> admit.Verifier:
    """Return who says whose signatures count: the people in the file at `path`, as it is at the time."""
    file = signers.watched(path)

    def people(data: bytes, signed: tuple[Signature, ...], now_ms: int) -> frozenset[str]:
        known = file.now()
        if not known.may(protocol.DECISION):
            raise errors.ConfigError(
                f"{path} names nobody who may decide, so nothing may run here",
                hint=f'NAME namespaces="{protocol.DECISION}" KEY-TYPE KEY, one line per key',
            )
        return signers.people(data, signed, known, protocol.DECISION, now_ms)

    return people


def host_of(roots: Path) -> str:
    """Return the name of this host, as it was enrolled."""
    return config.read(roots / identity.HOST).strip()


def ask(bundle: Bundle, gate: admit.Node, now_ms: int) -> admit.Admitted | admit.Refused:
    """Return what the gate would answer. Nothing is spent."""
    try:
        with gate.store.transaction():
            raise _Undo(admit.admit(bundle, gate, now_ms))
    except _Undo as undo:
        return undo.answer


def admit_handed(
    bundle: Bundle, report: Report, gate: admit.Node, now_ms: int
) -> admit.Admitted | admit.Refused:
    """Return the gate's answer on a bundle that was handed over with its report.

    The report is kept only together with the spent challenge: nobody without a fresh approval can fill
    the store, and so push an approval that was used out of its memory.
    """
    try:
        with gate.store.transaction():
            fault = _not_as_reported(bundle, report) or _keep(report, gate.store)
            answer = fault or admit.admit(bundle, gate, now_ms)
            if isinstance(answer, admit.Refused):
                raise _Undo(answer)
            return answer
    except _Undo as undo:
        return undo.answer


def _keep(report: Report, store: Store) -> admit.Refused | None:
    """Keep a report that was handed over; refuse one that an earlier plan knew otherwise."""
    known = store.report(report.event)
    if known is None:
        store.open_fault(report)
        store.close_fault(report.event)  # whether it is open is the agent's to know
        return None
    if msgspec.structs.replace(known, challenge=report.challenge) != report:
        return admit.Refused(check="report.changed", reason="the report is not the one of before")
    if store.challenge(report.challenge) is None:
        store.issue(report.challenge, report.event)
    return None


def _not_as_reported(bundle: Bundle, report: Report) -> admit.Refused | None:
    """Refuse where a process that the plan names is not what the report says it is.

    Whoever reports could give any process a harmless name, and people decide by names. A process that
    is gone, or whose pid is another's by now, is stopped where the command starts.
    """
    named = {int(digits) for digits in re.findall(r"[0-9]{1,10}", bundle.plan)}
    for each in report.context.processes:
        name = _name_of(each) if each.pid in named else each.name
        if name != each.name:
            return admit.Refused(
                check="report.process",
                reason=f"pid {each.pid} is {errors.printable(name, 80)},"
                f" the report says {errors.printable(each.name, 80)}",
            )
    return None


def _name_of(reported: Process) -> str:
    """Return what the kernel calls that process; the reported name where it is gone."""
    try:
        stat = procfs.parse_stat(procfs.read(f"/proc/{reported.pid}/stat"))
    except (OSError, ValueError, IndexError):
        return reported.name
    return comm_of(stat.comm) if stat.start == reported.start_ticks else reported.name
