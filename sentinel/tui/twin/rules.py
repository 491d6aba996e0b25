"""The rules' screen, as lines. It asks no hub."""

from __future__ import annotations

import argparse

from sentinel import errors
from sentinel.policy import rules
from sentinel.tui.render import rules as render
from sentinel.tui.render.search import has
from sentinel.tui.twin import edge, plain


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register `sentinel rules`."""
    words = "the policy's shipped rules, by pack"
    made = commands.add_parser("rules", help=words, description=words)
    made.add_argument("words", nargs="*", help="only those that have them; an id: that rule, whole")
    made.add_argument("--json", action="store_true", help="values as JSON, one on each line")
    made.set_defaults(run=run_rules)


def run_rules(args: argparse.Namespace) -> int:
    """Print the shipped rules, all or those that have the words; one that is named, whole."""
    words, every = " ".join(args.words), render.entries(rules.packs())
    named = [each for each in every if each.id == words]
    shown = named or [each for each in every if has(words, *each.texts)]
    if not shown:
        raise errors.OperatorError(f"no shipped rule has {errors.printable(words)}")
    if args.json:
        edge.say("".join(plain.json_line(each) + "\n" for each in shown))
        return 0
    cells = edge.cells()
    rows = render.full(named[0], cells) if named else render.document(shown, cells)
    edge.lines([row.line for row in rows])
    return 0
