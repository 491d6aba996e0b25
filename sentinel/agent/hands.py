"""A plan's commands, one after the other, from an admitted bundle: what runs, and what is said of it."""

from __future__ import annotations

import logging
from collections.abc import Callable

from sentinel import canonical, errors
from sentinel.agent import execute, fill, pipes, redact
from sentinel.agent.admit import PLAN_BYTES, Admitted
from sentinel.agent.store import Interrupted
from sentinel.domain import (
    Bundle,
    Command,
    CommandResult,
    Judgement,
    Mode,
    Outcome,
    Plan,
    Recovery,
    Report,
    Verdict,
)
from sentinel.policy import grammar, validate
from sentinel.policy.grammar import CommandTree
from sentinel.policy.rules import Policy
from sentinel.protocol import Finish

log = logging.getLogger(__name__)

MAX_WORDS = 256  # bound of CommandResult.argv

Tell = Callable[[CommandResult], str]


def recovery_of(bundle: Bundle) -> Recovery:
    """Return how recovery is told, from a bundle that was admitted."""
    return canonical.decode(Plan, bundle.plan.encode(), limit=PLAN_BYTES).recovery


def cut_short(cut: Interrupted, now_ms: int) -> tuple[CommandResult, ...]:
    """Return the results of what a crash left open: the begun command is not known to have ended."""
    if cut.begun is None:
        return ()
    return (
        CommandResult(
            index=cut.begun,
            outcome=Outcome.INTERRUPTED,
            reason="the agent went down while it ran; it is not repeated",
            ended_ms=now_ms,
        ),
    )


async def run_plan(
    admitted: Admitted,
    policy: Policy,
    tell: Tell,
    *,
    clock: Callable[[], int],
    stopped: str = "",
) -> Finish:
    """Run what may run, in order, and `tell` of each command; return how it ended.

    `tell` must be durable when it returns: a command starts only after its start is on record. It
    returns why nothing more is to start, or "". The first command that fails stops the rest, and so
    does `stopped`, which a person wants. A rehearsal starts nothing.
    """
    failed, left = "", False
    for index, command in enumerate(admitted.plan.commands):
        judgement = admitted.judgement.commands[index]
        allowed = judgement.verdict is Verdict.ALLOW
        if failed or stopped or not allowed:
            left = left or (allowed and not failed)
            reason = failed or stopped or _why(judgement)
            stopped = tell(_skipped(index, reason)) or stopped
            continue
        result = await _run_one(index, command, judgement, admitted, policy, tell, clock)
        if result.outcome is Outcome.SKIPPED:
            left, stopped = True, result.reason
        elif result.outcome in (Outcome.FAILED, Outcome.TIMED_OUT):
            failed = f"command {index + 1} {result.outcome.value}"
        stopped = tell(result) or stopped
    if admitted.mode is Mode.DRY_RUN:
        return Finish.REHEARSED
    if left:
        return Finish.STOPPED
    return Finish.ONE_FAILED if failed else Finish.ALL_RAN


def _skipped(index: int, reason: str) -> CommandResult:
    return CommandResult(index=index, outcome=Outcome.SKIPPED, reason=reason)


async def _run_one(  # noqa: PLR0913  (what to run, under which judgement, and whom to tell)
    index: int,
    command: Command,
    judgement: Judgement,
    admitted: Admitted,
    policy: Policy,
    tell: Tell,
    clock: Callable[[], int],
) -> CommandResult:
    tree = grammar.parse(command.text)
    words = _words(tree)
    if admitted.mode is Mode.DRY_RUN:
        return CommandResult(index=index, outcome=Outcome.REHEARSED, argv=words)
    started_ms = clock()
    starts = CommandResult(index=index, outcome=Outcome.RUNNING, argv=words, started_ms=started_ms)
    if stopped := tell(starts):
        return _skipped(index, stopped)
    try:
        if judgement.argv_digest != grammar.argv_digest(tree):
            raise errors.NodeError("the tree to run is not the tree that was judged")
        filled = await fill.fill(
            tree,
            refusal=lambda literal: validate.refusal(policy, literal, admitted.facts),
            trusted=policy.trusted_dirs,
        )
        words = _words(filled.tree)
        run = await execute.run(
            filled.tree,
            timeout_s=command.timeout_s,
            trusted=policy.trusted_dirs,
            captured=_identities(admitted.report) if judgement.changes else {},
        )
    except (errors.NodeError, OSError) as error:
        return CommandResult(
            index=index,
            outcome=Outcome.FAILED,
            reason=errors.printable(str(error), 900),
            argv=words,
            started_ms=started_ms,
            ended_ms=clock(),
        )
    return CommandResult(
        index=index,
        outcome=_outcome(run),
        reason=errors.printable(run.reason or filled.note, 900),
        argv=words,
        exit_status=run.exit_status,
        stdout=redact.redact(run.stdout, pipes.OUTPUT_BYTES),
        stderr=redact.redact(run.stderr, pipes.OUTPUT_BYTES),
        truncated_bytes=run.truncated_bytes,
        started_ms=started_ms,
        ended_ms=clock(),
    )


def _identities(report: Report) -> dict[int, int]:
    """Return start_ticks by pid of the processes that the node captured."""
    return {each.pid: each.start_ticks for each in report.context.processes}


def _outcome(run: execute.Run) -> Outcome:
    if run.timed_out:
        return Outcome.TIMED_OUT
    return Outcome.RAN if run.exit_status == 0 else Outcome.FAILED


def _why(judgement: Judgement) -> str:
    """Return the reason of the finding that decided the verdict."""
    worst = [each for each in judgement.findings if each.verdict is judgement.verdict]
    return (
        f"{judgement.verdict.value}: {worst[0].reason}"[:1024] if worst else judgement.verdict.value
    )


def _words(tree: CommandTree) -> tuple[str, ...]:
    """Return the argv vectors in one row, for people; what runs is the tree."""
    row: list[str] = []
    for command in tree.commands:
        row += ["|", *execute.argv(command)] if row else execute.argv(command)
    return tuple(row[:MAX_WORDS])
