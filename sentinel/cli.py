"""`sentinel`: everything that is not the hub, the agent or the terminal UI."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from typing import TypeAlias

from sentinel import __version__, process

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def parser() -> argparse.ArgumentParser:
    """Return the command line of `sentinel`."""
    top = argparse.ArgumentParser(prog="sentinel", description=__doc__)
    top.add_argument("--version", action="version", version=f"sentinel {__version__}")
    return top


# The rooms are imported only when their command is asked for: `sentinel check` must answer before a
# person notices, and the imports of the others alone take longer than that.


def _policy(commands: Commands) -> None:
    from sentinel.policy import cli as policy  # noqa: PLC0415

    policy.add_commands(commands)


def _rules(commands: Commands) -> None:
    from sentinel.tui.twin import rules  # noqa: PLC0415

    rules.add_command(commands)


def _author(commands: Commands) -> None:
    from sentinel.policy import author  # noqa: PLC0415

    author.add_commands(commands)


def _demo(commands: Commands) -> None:
    from sentinel import demo  # noqa: PLC0415

    demo.add_command(commands)


def _hub(commands: Commands) -> None:
    """What the terminal shows and decides, as plain lines."""
    from sentinel.tui.twin import cli as twin  # noqa: PLC0415

    twin.add_commands(commands)


def _audit(commands: Commands) -> None:
    from sentinel.hub import audit_cli  # noqa: PLC0415
    from sentinel.tui.twin import cli as twin  # noqa: PLC0415

    group = commands.add_parser("audit", help="the audit log")
    subcommands = group.add_subparsers(required=True, metavar="COMMAND")
    audit_cli.add_audit(subcommands)
    twin.add_audit(subcommands)


def _replay(commands: Commands) -> None:
    from sentinel.hub import audit_cli  # noqa: PLC0415

    audit_cli.add_replay(commands)


def _drill(commands: Commands) -> None:
    from sentinel.drill import cli as drill  # noqa: PLC0415
    from sentinel.tui.twin import cli as twin  # noqa: PLC0415

    words = "real faults on this host, and what came of them"
    group = commands.add_parser("drill", help=words, description=words)
    subcommands = group.add_subparsers(required=True, metavar="COMMAND")
    drill.add_commands(subcommands)
    twin.add_drill(subcommands)


ROOMS: tuple[tuple[Callable[[Commands], None], tuple[str, ...]], ...] = (
    (_policy, ("check", "explain")),
    (_rules, ("rules",)),
    (_author, ("policy",)),
    (
        _hub,
        (
            *("status", "incidents", "show", "watch", "nodes", "runbooks", "services"),
            *("approve", "reject", "revise", "again", "take", "close", "ack", "stop"),
        ),
    ),
    (_audit, ("audit",)),
    (_replay, ("replay",)),
    (_drill, ("drill",)),
    (_demo, ("demo",)),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `sentinel`."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    top = parser()
    commands = top.add_subparsers(required=True, metavar="COMMAND")
    wanted = next((word for word in given if not word.startswith("-")), "")
    asked = [register for register, names in ROOMS if wanted in names]
    for register in asked or [register for register, _ in ROOMS]:
        register(commands)
    return process.main("sentinel", top, given)


if __name__ == "__main__":
    sys.exit(main())
