"""`sentinel drill list`, `fire` and `rules`: what there is, and one real fault on this very host."""

from __future__ import annotations

import argparse
import platform
import signal
import sys
import threading
from collections.abc import Iterator

import msgspec

from sentinel.drill import fire, scenarios
from sentinel.drill.scenarios import SCENARIOS, Scenario

FIRE = """Start a real fault on THIS host, in a process of its own, and wait for its end. It cannot reach
another host, and a hub cannot start one: to drill a node, be on it. It ends by itself, with this
command, on Ctrl-C, and with this terminal."""


def add_commands(subcommands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the commands that need no hub."""
    made = subcommands.add_parser("list", help="the scenarios", description="The scenarios.")
    made.add_argument("--json", action="store_true", help="values as JSON, one on each line")
    made.set_defaults(run=run_list)
    made = subcommands.add_parser("fire", help="fire one on this host", description=FIRE)
    made.add_argument("name", metavar="NAME", help="sentinel drill list has them")
    made.set_defaults(run=run_fire)
    words = "print the rules that a node needs to see every drill, for its agent.toml"
    made = subcommands.add_parser("rules", help=words, description=words)
    made.set_defaults(run=run_rules)


def run_list(args: argparse.Namespace) -> int:
    """Print the scenarios."""
    for each in SCENARIOS:
        if args.json:
            sys.stdout.write(msgspec.json.encode(each).decode() + "\n")
        else:
            sys.stdout.write("".join(f"{line}\n" for line in told(each)))
    return 0


def told(of: Scenario) -> Iterator[str]:
    """Yield what a person wants to know before firing it."""
    yield f"{of.name:<8} {of.does}; over within {of.life_s} s"
    seen = "a rule in the node's agent.toml: sentinel drill rules" if of.rule else "a shipped rule"
    yield f"{'':8} expected: {of.kind.value}, planned for by {of.runbook}; seen by {seen}"


def run_rules(_: argparse.Namespace) -> int:
    """Print the rules."""
    sys.stdout.write(scenarios.rules())
    return 0


def run_fire(args: argparse.Namespace) -> int:
    """Fire a drill and wait for its end; TERM and HUP end it too."""
    scenario = scenarios.named(args.name)
    over = threading.Event()
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, lambda *_: over.set())
    fired = fire.fire(scenario)
    words = f"{scenario.name} runs as pid {fired.pid} on {platform.node()}: {scenario.does};"
    sys.stdout.write(f"{words} over within {scenario.life_s} s, Ctrl-C ends it\n")
    sys.stdout.flush()
    try:
        while not fired.over and not over.wait(0.1):
            pass
    finally:
        fired.end()
    sys.stdout.write(f"{scenario.name} is over; sentinel drill results says what came of it\n")
    return 0
