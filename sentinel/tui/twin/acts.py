"""Every decision of the terminal, as commands: what is refused there is refused here, with the same words."""

from __future__ import annotations

import argparse
import sys
from typing import cast

import msgspec

from sentinel import errors, process, protocol, rpc
from sentinel.domain import Choice, Incident, Mode, Value
from sentinel.protocol import Action
from sentinel.tui import decide
from sentinel.tui.render import decision as render_decision
from sentinel.tui.safe import safe
from sentinel.tui.twin import edge, plain


async def run_approve(args: argparse.Namespace, client: rpc.OperatorsClient) -> int:
    """Show the statement, and approve it where the digest is the one that was read."""
    incident = await edge.get(client, args.incident)
    status = await edge.call(client, protocol.StatusRequest(), protocol.HubStatus)
    offered = decide.offer(incident, status.mode)
    mode = Mode.LIVE if args.live else Mode.DRY_RUN
    if offered.refusal:
        raise errors.OperatorError(
            f"it cannot be approved: {offered.refusal}", hint=f"sentinel show {args.incident}"
        )
    if mode not in offered.modes:
        raise errors.OperatorError(
            "the node or the hub permits a dry-run only", hint="leave out --live"
        )
    if not args.json:
        edge.lines(render_decision.document(offered, mode, status.operator, edge.cells()))
    _confirm(args, offered, mode)
    request = decide.request(
        incident,
        choice=Choice.APPROVE,
        mode=mode,
        operator=status.operator,
        reason=args.reason,
        now_ms=process.now_ms(),
    )
    return await _decided(args, client, request, f"approved, {mode.value}")


def _confirm(args: argparse.Namespace, offered: decide.Offer, mode: Mode) -> None:
    """Raise OperatorError unless the person has shown which plan is meant, and knows of the caution."""
    asked = args.digest is None
    if asked and not sys.stdin.isatty():
        raise errors.OperatorError(
            "the beginning of the plan's digest is needed",
            hint=f"read sentinel show {args.incident}, then give at least {decide.DIGITS} digits",
        )
    digest = edge.ask(render_decision.prompt(offered, mode, again=False)) if asked else args.digest
    given = digest.removeprefix("sha256:").lower()
    if len(given) < decide.DIGITS or not offered.digest.removeprefix("sha256:").startswith(given):
        raise errors.OperatorError(
            f"{errors.printable(digest, 80)!r} is not the beginning of this plan's digest",
            hint=f"the plan may have changed: sentinel show {args.incident}",
        )
    if not offered.caution or args.accept_skips:
        return
    again = edge.ask(render_decision.prompt(offered, mode, again=True)) if asked else ""
    if again != decide.digits(offered):
        raise errors.OperatorError(offered.caution, hint="--accept-skips approves it all the same")


async def run_reject(args: argparse.Namespace, client: rpc.OperatorsClient) -> int:
    """Reject the plan."""
    incident = await edge.get(client, args.incident)
    status = await edge.call(client, protocol.StatusRequest(), protocol.HubStatus)
    request = decide.request(
        incident,
        choice=Choice.REJECT,
        mode=Mode.DRY_RUN,
        operator=status.operator,
        reason=args.reason,
        now_ms=process.now_ms(),
    )
    return await _decided(args, client, request, "rejected")


async def run_revise(args: argparse.Namespace, client: rpc.OperatorsClient) -> int:
    """Send the plan's commands as they are to be."""
    incident = await edge.get(client, args.incident)
    if incident.plan is None:
        raise errors.OperatorError("there is no plan to revise", hint="sentinel watch waits for it")
    commands = dict(enumerate(incident.plan.commands, 1))
    changes: dict[int, str] = dict(args.change)
    unknown = [number for number in (*args.strike, *changes) if number not in commands]
    if unknown:
        raise errors.OperatorError(f"the plan has {len(commands)} commands, not {unknown[0]}")
    if not (args.strike or changes):
        raise errors.OperatorError(
            "nothing is struck or changed", hint="--strike N, --change N=COMMAND"
        )
    kept = tuple(
        msgspec.structs.replace(command, text=changes.get(number, command.text))
        for number, command in commands.items()
        if number not in args.strike
    )
    request = protocol.ReviseRequest(
        incident=incident.summary.id, revision=incident.summary.revision, commands=kept
    )
    return await _decided(args, client, request, "revised")


async def run_act(action: Action, args: argparse.Namespace, client: rpc.OperatorsClient) -> int:
    """Ask again, take over, close, or stop the plan after this command."""
    incident = await edge.get(client, args.incident)
    return await _decided(args, client, _act(action, incident, args.note), action.value)


async def run_ack(args: argparse.Namespace, client: rpc.OperatorsClient) -> int:
    """Be on incidents, or give them back; one that is refused is named, and the others go on."""
    status = 0
    for name in dict.fromkeys(args.incident):
        error = await _acknowledged(args, client, name)
        if error is not None:
            shown = errors.printable(name, 64)
            sys.stderr.write(errors.render(error, f"sentinel: {shown}") + "\n")
            status = process.EXIT_WRONG
    return status


async def _acknowledged(
    args: argparse.Namespace, client: rpc.OperatorsClient, name: str
) -> errors.SentinelError | None:
    """Do it for one incident; return why it was refused, or raise where no hub answers."""
    action = Action.RELEASE if args.release else Action.ACKNOWLEDGE
    try:
        incident = await edge.get(client, name)
    except errors.OperatorError as error:
        return error
    try:
        after = cast("Incident", await client.call(_act(action, incident, args.note)))
    except (errors.OperatorError, errors.PeerError) as error:
        return error
    told = f"{after.summary.id[-plain.TAIL :]} {after.summary.host}: {after.moves[-1].text}"
    edge.say(plain.json_line(after) + "\n" if args.json else f"{safe(told)}\n")
    return None


def _act(action: Action, incident: Incident, note: str) -> protocol.ActRequest:
    """Return the request for `action` on an incident as it was just read."""
    return protocol.ActRequest(
        incident=incident.summary.id, revision=incident.summary.revision, action=action, note=note
    )


async def _decided(
    args: argparse.Namespace, client: rpc.OperatorsClient, request: Value, words: str
) -> int:
    after = cast("Incident", await client.call(request))
    if args.json:
        edge.say(plain.json_line(after) + "\n")
        return 0
    tail = after.summary.id[-plain.TAIL :]
    edge.say(
        f"{words}: {tail} is now {after.summary.state.value} (sentinel watch {tail} follows it)\n"
    )
    return 0
