"""`sentinel incidents`, `show`, `approve` and the others: what the terminal shows and decides, as lines.

For scripts, for screen readers, and for when no screen can be drawn. The identity, the hub, what is
refused and what is signed are those of `sentinel-tui`; textual is not imported.
"""

from __future__ import annotations

import argparse
from functools import partial
from typing import TypeAlias

from sentinel.protocol import Action, Order
from sentinel.tui import reach
from sentinel.tui.twin import acts, drills, edge, memory, reads

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def add_commands(commands: Commands) -> None:
    """Register the commands that read and decide."""
    _add(commands, "status", reads.run_status, "how the hub is, and who you are to it")
    made = _add(
        commands, "incidents", reads.run_incidents, "the incidents, those that need you first"
    )
    made.add_argument(
        "filter",
        nargs="*",
        help="host= kind= state= sev= verdict= who= service= id= or text; !term turns round",
    )
    made.add_argument("--all", action="store_true", help="with those that have ended")
    made.add_argument(
        "--sort", choices=list(map(str, Order)), default="urgency", help="by (%(default)s)"
    )
    made.add_argument("--limit", type=_count, default=1000, help="at most so many (%(default)s)")

    made = _add(commands, "show", reads.run_show, "one incident: what, why, plan, run, timeline")
    _one(made)
    part = made.add_mutually_exclusive_group()
    part.add_argument("--command", type=_count, metavar="N", help="the verdict on command N")
    part.add_argument("--output", type=_count, metavar="N", help="all that command N printed")

    made = _add(
        commands, "watch", reads.run_watch, "each change as it happens; with ID until it is over"
    )
    made.add_argument("incident", nargs="?", metavar="ID")

    _decisions(commands)
    made = _add(commands, "runbooks", memory.run_runbooks, "the runbooks, and what became of them")
    made.add_argument("runbook", nargs="?", metavar="ID", help="this one, whole")
    _add(commands, "services", memory.run_services, "what runs where, and what has been failing")
    _add(commands, "nodes", reads.run_nodes, "the nodes: mode, policy, certificate, clock")


def _decisions(commands: Commands) -> None:
    made = _add(commands, "approve", acts.run_approve, "approve the plan: a dry-run, unless --live")
    _one(made)
    made.add_argument(
        "digest", nargs="?", help="beginning of the plan's SHA-256; asked for on a terminal"
    )
    made.add_argument(
        "--live", action="store_true", help="the node does it, and not only rehearses"
    )
    made.add_argument("--reason", default="", help="kept in the audit log")
    made.add_argument(
        "--accept-skips",
        action="store_true",
        help="though a skipped command stands before one that changes something, or one has run before",
    )
    made = _add(commands, "reject", acts.run_reject, "reject the plan: nothing runs")
    _one(made)
    made.add_argument("--reason", required=True, help="the next person reads it")

    made = _add(commands, "revise", acts.run_revise, "strike or change commands: a new revision")
    _one(made)
    made.add_argument("--strike", type=_count, action="append", default=[], metavar="N")
    made.add_argument("--change", type=_change, action="append", default=[], metavar="N=COMMAND")

    for name, action, words in (
        ("again", Action.ASK_AGAIN, "ask the engine for another plan"),
        ("take", Action.TAKE_OVER, "take the incident over: no plan, a person does it"),
        ("close", Action.CLOSE, "close it by hand; the note says what was done"),
    ):
        made = _add(commands, name, partial(acts.run_act, action), words)
        _one(made)
        made.add_argument("--note", default="", required=action is Action.CLOSE)

    words = "say that you are on incidents, for everybody to see; each by itself"
    made = _add(commands, "ack", acts.run_ack, words)
    made.add_argument(
        "incident", nargs="+", metavar="ID", help="an id, or the beginning or end of it"
    )
    made.add_argument("--release", action="store_true", help="give them back: nobody is on them")
    made.add_argument("--note", default="", help="the next person reads it")

    words = "stop the plan: what runs now is left to end, nothing starts after it"
    made = _add(commands, "stop", partial(acts.run_act, Action.STOP), words)
    _one(made)
    made.add_argument("--reason", dest="note", default="", help="the next person reads it")


def add_audit(commands: Commands) -> None:
    """Register what reads the audit log over the hub."""
    made = _add(commands, "tail", reads.run_audit, "the newest records, over the hub")
    made.add_argument("--incident", metavar="ID", help="only those about one incident")
    made.add_argument("--limit", type=_count, default=20, help="so many (%(default)s)")
    made.add_argument(
        "--search", default="", metavar="WORDS", help="those of the last 1000 that have them"
    )
    made.add_argument("--record", type=_count, metavar="SEQ", help="this one, in full")
    made.add_argument("--follow", action="store_true", help="and those that are written then")


def add_drill(commands: Commands) -> None:
    """Register what reads the results of drills over the hub."""
    _add(commands, "results", drills.run_results, "what came of the newest drills, and their score")


def _add(commands: Commands, name: str, run: edge.Run, words: str) -> argparse.ArgumentParser:
    made: argparse.ArgumentParser = commands.add_parser(name, help=words, description=words)
    reach.add_arguments(made)
    made.add_argument("--json", action="store_true", help="values as JSON, one on each line")
    made.set_defaults(run=partial(edge.run, run))
    return made


def _one(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("incident", metavar="ID", help="its id, or the beginning or end of it")


def _count(value: str) -> int:
    if not value.isascii() or not value.isdigit() or not 0 < int(value) < 2**31:
        raise argparse.ArgumentTypeError(f"{value!r} is not a number from 1 on")
    return int(value)


def _change(value: str) -> tuple[int, str]:
    number, equals, command = value.partition("=")
    if not equals or not command.strip():
        raise argparse.ArgumentTypeError(f"{value!r} is not NUMBER=COMMAND")
    return _count(number), command.strip()
