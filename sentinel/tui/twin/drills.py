"""`sentinel drill results`: what came of drills, from the hub's record."""

from __future__ import annotations

import argparse

from sentinel import process, protocol, rpc
from sentinel.drill import results
from sentinel.drill.results import Result
from sentinel.drill.scenarios import SCENARIOS
from sentinel.tui.render import drills as render
from sentinel.tui.twin import edge, plain


async def run_results(args: argparse.Namespace, client: rpc.OperatorsClient) -> int:
    """Print what came of the newest drills of each scenario; status 1 where one was not seen right."""
    found: list[Result] = []
    for scenario in SCENARIOS:
        page = await edge.call(client, results.search(scenario), protocol.Page)
        for summary in page.summaries:
            incident = await edge.get(client, summary.id)
            result = results.result(scenario, incident)
            if result is not None:
                found.append(result)
    if args.json:
        edge.say("".join(plain.json_line(each) + "\n" for each in found))
    else:
        now_ms = process.now_ms()
        rows = [render.result(each, now_ms, edge.cells()) for each in found]
        edge.lines([render.titles(edge.cells()), *rows] if found else [render.NOTHING])
    return 0 if all(each.points == results.POINTS for each in found) else 1
