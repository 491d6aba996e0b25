"""What the hub remembers, as lines: the runbooks, and the services."""

from __future__ import annotations

import argparse
import difflib

from sentinel import errors, process, protocol, rpc
from sentinel.protocol import Runbook
from sentinel.tui.render import memory as render
from sentinel.tui.render import runbook as render_runbook
from sentinel.tui.render import tables
from sentinel.tui.twin import edge, plain


async def run_runbooks(args: argparse.Namespace, client: rpc.OperatorsClient) -> int:
    """Print the runbooks in the order in which they are tried, or one of them whole."""
    reply = await edge.call(client, protocol.RunbooksRequest(), protocol.Runbooks)
    if args.runbook is not None:
        return _tell(args, _named(reply.runbooks, args.runbook))
    if args.json:
        edge.say("".join(plain.json_line(each) + "\n" for each in reply.runbooks))
        return 0
    cells, now_ms = max(edge.cells(), tables.WIDE), process.now_ms()
    rows = [render.runbook(each, now_ms, cells) for each in reply.runbooks]
    edge.lines([render.titles(render.RUNBOOK, cells), *rows])
    return 0


def _named(runbooks: tuple[Runbook, ...], name: str) -> Runbook:
    known = {each.id: each for each in runbooks}
    if name not in known:
        near = difflib.get_close_matches(name, known, 1)
        hint = f"did you mean {near[0]}?" if near else "sentinel runbooks lists them"
        raise errors.OperatorError(f"there is no runbook {errors.printable(name, 64)}", hint=hint)
    return known[name]


def _tell(args: argparse.Namespace, runbook: Runbook) -> int:
    if args.json:
        edge.say(plain.json_line(runbook) + "\n")
        return 0
    # The engine and its rules are needed for nothing else here.
    from sentinel.tui.runbooks import verdicts  # noqa: PLC0415

    said = verdicts(runbook)
    edge.lines(render_runbook.document(runbook, said, process.now_ms(), edge.cells()))
    return 0


async def run_services(args: argparse.Namespace, client: rpc.OperatorsClient) -> int:
    """Print the services, those with most incidents first."""
    reply = await edge.call(client, protocol.ServicesRequest(), protocol.Services)
    if args.json:
        edge.say("".join(plain.json_line(each) + "\n" for each in reply.services))
        return 0
    cells, now_ms = max(edge.cells(), tables.WIDE), process.now_ms()
    rows = [render.service(each, now_ms, cells) for each in reply.services]
    edge.lines([render.titles(render.SERVICE, cells), *rows])
    if reply.more:
        edge.say(f"and {reply.more} more\n")
    return 0
