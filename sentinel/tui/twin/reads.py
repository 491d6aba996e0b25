"""Every read of the terminal, as lines."""

from __future__ import annotations

import argparse
import sys

from sentinel import errors, human, process, protocol, rpc
from sentinel.domain import Command, Incident, Judgement, Outcome, State
from sentinel.lifecycle import TERMINAL
from sentinel.tui import filters
from sentinel.tui.line import line
from sentinel.tui.line import plain as words_of
from sentinel.tui.render import incident as render_incident
from sentinel.tui.render import similar, tables
from sentinel.tui.render.search import has
from sentinel.tui.safe import safe
from sentinel.tui.twin import edge, plain
from sentinel.tui.window import PAGE, place_of

SETTLED = (*TERMINAL, State.AWAITING, State.MANUAL, State.UNRESOLVED, State.REFUSED)


async def run_status(args: argparse.Namespace, client: rpc.OperatorsClient) -> int:
    """Print how the hub is."""
    status = await edge.call(client, protocol.StatusRequest(), protocol.HubStatus)
    edge.say(plain.json_line(status) + "\n" if args.json else plain.status(status))
    return 0


async def run_incidents(args: argparse.Namespace, client: rpc.OperatorsClient) -> int:
    """Print the incidents, page by page."""
    terms = filters.parse(" ".join(args.filter))
    order, place = protocol.Order(args.sort), None
    left: int = args.limit
    while left > 0:
        request = protocol.ListRequest(
            open_only=not args.all, limit=min(left, PAGE), order=order, place=place, terms=terms
        )
        page = await edge.call(client, request, protocol.Page)
        now_ms = process.now_ms()
        for each in page.summaries:
            edge.say(plain.json_line(each) + "\n" if args.json else plain.summary(each, now_ms))
        left -= len(page.summaries)
        if not page.more or not page.summaries:
            return 0
        place = place_of(page.summaries[-1])
    sys.stderr.write(f"sentinel: there are more than {args.limit}; --limit shows them\n")
    return 0


async def run_show(args: argparse.Namespace, client: rpc.OperatorsClient) -> int:
    """Print one incident, or one command of its plan, or what that printed."""
    incident = await edge.get(client, args.incident)
    if args.command is not None:
        command, judgement = _judged(incident, args.command)
        edge.say(
            plain.json_line(judgement) + "\n"
            if args.json
            else plain.tree(command.text, judgement, edge.cells())
        )
    elif args.output is not None:
        result = next((r for r in incident.results if r.index == args.output - 1), None)
        if result is None:
            raise errors.OperatorError(f"command {args.output} has not run")
        rows = render_incident.output_document(
            result, " ".join(result.argv), process.now_ms(), edge.cells()
        )
        edge.say(plain.json_line(result) + "\n") if args.json else edge.lines(
            [row.line for row in rows]
        )
    elif args.json:
        edge.say(plain.json_line(incident) + "\n")
    else:
        page = await edge.call(client, similar.request(incident.summary), protocol.Page)
        edge.say(plain.incident(incident, process.now_ms(), edge.cells(), page.summaries))
    return 0


def _judged(incident: Incident, number: int) -> tuple[Command, Judgement]:
    plan, judgement = incident.plan, incident.judgement
    if plan is None or judgement is None:
        raise errors.OperatorError(
            "there is no judged plan yet", hint="sentinel watch waits for it"
        )
    if number > min(len(plan.commands), len(judgement.commands)):
        raise errors.OperatorError(f"the plan has {len(plan.commands)} commands, not {number}")
    return plan.commands[number - 1], judgement.commands[number - 1]


async def run_watch(args: argparse.Namespace, client: rpc.OperatorsClient) -> int:
    """Print what changes: of everything until interrupted, of one incident until it is over."""
    if args.incident is not None:
        return await _follow(args, client)
    page = await edge.call(client, protocol.ListRequest(limit=1), protocol.Page)
    # Not on stdout, which is for the changes; whoever starts this knows from here on that none is missed.
    sys.stderr.write(f"watching from revision {page.revision} on; Ctrl-C ends it\n")
    sys.stderr.flush()
    async for update in client.watch(page.revision):
        if update.summary is not None:
            of = update.summary
            edge.say(plain.json_line(of) + "\n" if args.json else plain.change(of))
    return 1


async def _follow(args: argparse.Namespace, client: rpc.OperatorsClient) -> int:
    incident, told = await edge.get(client, args.incident), 0
    updates = client.watch(max(0, incident.summary.revision - 1))
    async for update in updates:
        if update.summary is None or update.summary.id != incident.summary.id:
            continue
        incident = await edge.get(client, incident.summary.id)
        for move in incident.moves[told:]:
            row = f"{human.clock(move.at_ms)} {move.stage.value} {move.text} ({move.actor})"
            edge.say(plain.json_line(move) + "\n" if args.json else f"{safe(row)}\n")
        told = len(incident.moves)
        if incident.summary.state in SETTLED:  # nothing more happens by itself
            return 0 if _went_well(incident) else 1
    return 1


def _went_well(incident: Incident) -> bool:
    if incident.summary.state is not State.AWAITING:
        return incident.summary.state in TERMINAL
    return all(r.outcome in (Outcome.REHEARSED, Outcome.SKIPPED) for r in incident.results)


async def run_nodes(args: argparse.Namespace, client: rpc.OperatorsClient) -> int:
    """Print the nodes, those that are lost first."""
    status = await edge.call(client, protocol.StatusRequest(), protocol.HubStatus)
    agents = (await edge.call(client, protocol.AgentsRequest(), protocol.Agents)).agents
    agents = tuple(sorted(agents, key=lambda agent: (agent.connected, agent.host)))
    if args.json:
        edge.say("".join(plain.json_line(agent) + "\n" for agent in agents))
        return 0
    cells, now_ms = max(edge.cells(), tables.WIDE), process.now_ms()
    rows = [tables.node(agent, now_ms, status.policy, cells) for agent in agents]
    edge.say(tables.node_counts(agents, status.policy) + "\n")
    edge.lines([tables.node_titles(cells), *rows])
    told = [(agent.host, words) for agent in agents if (words := tables.gauges(agent))]
    edge.lines([line(f"{host}: {words}") for host, words in told])
    return 0


async def run_audit(args: argparse.Namespace, client: rpc.OperatorsClient) -> int:
    """Print audit records, oldest first."""
    incident = None
    if args.incident is not None:
        incident = (await edge.get(client, args.incident)).summary.id
    if args.record is not None:
        request = protocol.AuditRequest(after=args.record - 1, limit=1)
        page = await edge.call(client, request, protocol.AuditPage)
        if not page.records:
            raise errors.OperatorError(f"there is no record {args.record} yet")
        return _tell_records(args, page, whole=True)
    limit = 1000 if args.search else min(args.limit, 1000)
    request = protocol.AuditRequest(after=-1, limit=limit, incident=incident)
    page = await edge.call(client, request, protocol.AuditPage)
    held = _tell_records(args, page, most=args.limit)
    if not args.follow:
        return held
    seen = page.records[-1].seq if page.records else 0
    async for _ in client.watch(seen):
        request = protocol.AuditRequest(after=seen, incident=incident)
        page = await edge.call(client, request, protocol.AuditPage)
        _tell_records(args, page)
        seen = page.records[-1].seq if page.records else seen
    return 1


def _tell_records(
    args: argparse.Namespace, page: protocol.AuditPage, *, whole: bool = False, most: int = 0
) -> int:
    """Print those that are searched for, at most the `most` newest; 1 where one does not hold."""
    odd = [record.seq for record in page.records if not tables.fits(record)]
    if odd:
        sys.stderr.write(
            f"sentinel: {len(odd)} of these records, the first {odd[0]}, do not fit their hash:"
            " sentinel audit verify says where\n"
        )
    found = [r for r in page.records if has(args.search, str(r.seq), r.actor, r.action, r.body)]
    for record in found[-most:]:
        if args.json:
            edge.say(plain.json_line(record) + "\n")
        elif whole:
            edge.lines([row.line for row in tables.record(record, edge.cells())])
        else:
            row = tables.audit(record, 10_000)
            edge.say(words_of(row).rstrip() + "\n")
    return 1 if odd else 0
