"""`sentinel-agent`: enrols this host and watches it."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

from sentinel import __version__, config, errors, process
from sentinel.agent import enrol, exec_main, gate
from sentinel.agent.node import Agent, Places
from sentinel.agent.store import Store
from sentinel.config import AgentSettings
from sentinel.policy import rules

STATE = Path("/var/lib/sentinel-agent")
SETTINGS = "agent.toml"
ROOTS = "roots"
STORE = "node.db"


def roots_of(args: argparse.Namespace) -> Path:
    """Return where this host's roots of trust are: root's own folder, where the packages are in use."""
    if args.roots is not None:
        return Path(args.roots)
    return gate.ROOTS if args.state == STATE else Path(args.state) / ROOTS


def run_join(args: argparse.Namespace) -> int:
    """Spend an invite."""
    text = sys.stdin.read() if str(args.file) == "-" else config.read(args.file)
    credentials = asyncio.run(enrol.join(text, args.state, roots_of(args)))
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
    wanted = args.config is not None or config.there(path)
    settings = config.load(AgentSettings, path) if wanted else AgentSettings()
    policy = rules.load(site=[Path(each) for each in settings.policy])
    if not args.state.is_dir():
        raise errors.ConfigError(
            f"{args.state} does not exist: this machine is not enrolled",
            hint="on the hub: sentinel-hub invite HOST > FILE; here: sentinel-agent join FILE",
        )
    with Store(args.state / STORE, letters=settings.spool_letters) as store:
        places = Places(
            state=args.state,
            roots=roots_of(args),
            config=path if wanted else None,
            exec_socket=args.exec_socket,
        )
        agent = Agent(settings, places, store, policy)
        process.serve(agent.run)
    return 0


def run_witness(args: argparse.Namespace) -> int:
    """Print what this host has seen of the hub's log; exit status 1 where that raised an alarm."""
    # sentinel-exec keeps its own, which only root reads where the packages are in use.
    places = [args.state / STORE, args.state / exec_main.STORE]
    if args.state == STATE:
        places.append(exec_main.STATE / exec_main.STORE)
    alarmed = False
    for path in places:
        if config.there(path):
            with Store(path) as store:
                if args.forget:
                    store.forget_checkpoints()
                alarm = store.alarm()
                seen = store.last_checkpoint()
            alarmed = alarmed or alarm is not None
            said = f"ALARM {': '.join(alarm)}\n" if alarm else ""
            sys.stdout.write(f"{path}\n{said}{seen or 'nothing seen yet'}\n")
    return 1 if alarmed else 0


def parser() -> argparse.ArgumentParser:
    """Return the command line of `sentinel-agent`."""
    top = argparse.ArgumentParser(prog="sentinel-agent", description=__doc__)
    top.add_argument("--version", action="version", version=f"sentinel-agent {__version__}")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--state", type=Path, default=STATE, metavar="DIR", help=f"state directory ({STATE})"
    )
    common.add_argument(
        "--roots",
        type=Path,
        metavar="DIR",
        help=f"what this host believes ({gate.ROOTS}; with --state, roots in it)",
    )
    commands = top.add_subparsers(required=True, metavar="COMMAND")

    join = commands.add_parser("join", parents=[common], help="enrol this host with an invite")
    join.add_argument("file", type=Path, help="the invite; - reads standard input")
    join.set_defaults(run=run_join)

    run = commands.add_parser("run", parents=[common], help="watch this host")
    run.add_argument(
        "--config", type=Path, metavar="FILE", help="settings (agent.toml in the state directory)"
    )
    run.add_argument(
        "--exec-socket",
        type=Path,
        metavar="PATH",
        help="socket of sentinel-exec under systemd (none: it is started as a child)",
    )
    run.add_argument("--verbose", action="store_true", help="log more")
    run.set_defaults(run=run_run)

    seen = commands.add_parser(
        "witness",
        parents=[common],
        help="what this host has seen of the hub's log (stop the agent first)",
        epilog="exit status: 0 nothing is wrong, 1 the hub has shown two histories",
    )
    seen.add_argument(
        "--forget",
        action="store_true",
        help="forget it, and the alarm: whatever log the hub shows next is believed",
    )
    seen.set_defaults(run=run_witness)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `sentinel-agent`."""
    given = list(arguments) if arguments is not None else None
    return process.main("sentinel-agent", parser(), given)


if __name__ == "__main__":
    sys.exit(main())
