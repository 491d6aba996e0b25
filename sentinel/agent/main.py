"""`sentinel-agent`: enrols this host and watches it."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

from sentinel import __version__, config, errors, process
from sentinel.agent import enrol
from sentinel.agent.node import Agent
from sentinel.agent.store import Store
from sentinel.config import AgentSettings
from sentinel.policy import rules

STATE = Path("/var/lib/sentinel-agent")
SETTINGS = "agent.toml"
STORE = "node.db"


def run_join(args: argparse.Namespace) -> int:
    """Spend an invite."""
    text = sys.stdin.read() if str(args.file) == "-" else config.read(args.file)
    credentials = asyncio.run(enrol.join(text, args.state))
    sys.stdout.write(
        f"{credentials.details.identity.name} is enrolled at {credentials.address.hub};"
        f" start it: sentinel-agent run --state {args.state}\n"
    )
    return 0


def run_run(args: argparse.Namespace) -> int:
    """Watch this host until SIGTERM."""
    process.log_to_stderr(verbose=args.verbose)
    path = args.config or args.state / SETTINGS
    # An agent needs no settings: without a file of that name every default holds.
    wanted = args.config is not None or path.exists()
    settings = config.load(AgentSettings, path) if wanted else AgentSettings()
    policy = rules.load(site=[Path(each) for each in settings.policy])
    if not args.state.is_dir():
        raise errors.ConfigError(
            f"{args.state} does not exist: this machine is not enrolled",
            hint="on the hub: sentinel-hub invite HOST > FILE; here: sentinel-agent join FILE",
        )
    with Store(args.state / STORE, letters=settings.spool_letters) as store:
        agent = Agent(settings, args.state, store, policy)
        process.serve(agent.run)
    return 0


def parser() -> argparse.ArgumentParser:
    """Return the command line of `sentinel-agent`."""
    top = argparse.ArgumentParser(prog="sentinel-agent", description=__doc__)
    top.add_argument("--version", action="version", version=f"sentinel-agent {__version__}")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--state", type=Path, default=STATE, metavar="DIR", help=f"state directory ({STATE})"
    )
    commands = top.add_subparsers(required=True, metavar="COMMAND")

    join = commands.add_parser("join", parents=[common], help="enrol this host with an invite")
    join.add_argument("file", type=Path, help="the invite; - reads standard input")
    join.set_defaults(run=run_join)

    run = commands.add_parser("run", parents=[common], help="watch this host")
    run.add_argument(
        "--config", type=Path, metavar="FILE", help="settings (agent.toml in the state directory)"
    )
    run.add_argument("--verbose", action="store_true", help="log more")
    run.set_defaults(run=run_run)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `sentinel-agent`."""
    given = list(arguments) if arguments is not None else None
    return process.main("sentinel-agent", parser(), given)


if __name__ == "__main__":
    sys.exit(main())
