"""`sentinel`: everything that is not the hub, the agent or the terminal UI."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from sentinel import __version__, process


def parser() -> argparse.ArgumentParser:
    """Return the command line of `sentinel`."""
    top = argparse.ArgumentParser(prog="sentinel", description=__doc__)
    top.add_argument("--version", action="version", version=f"sentinel {__version__}")
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `sentinel`.

    The rooms are imported only when their command is asked for: `sentinel check` must answer before a
    person notices, and the demo's imports alone take longer than that.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    top = parser()
    subparsers = top.add_subparsers(required=True, metavar="COMMAND")
    wanted = next((word for word in given if not word.startswith("-")), "")
    if wanted != "demo":
        from sentinel.policy import cli as policy  # noqa: PLC0415

        policy.add_commands(subparsers)
    if wanted not in ("check", "explain", "policy"):
        from sentinel import demo  # noqa: PLC0415

        demo.add_command(subparsers)
    return process.main("sentinel", top, given)


if __name__ == "__main__":
    sys.exit(main())
