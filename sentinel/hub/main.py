"""`sentinel-hub`: sets a site up, enrols machines and people, and runs the hub.

The database, the engines and the rules cost a second to import: only the commands that need them do.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import msgspec

from sentinel import __version__, config, errors, files, human, process, protocol
from sentinel.config import HubSettings
from sentinel.domain import AgentStatus
from sentinel.hub import enrol, people
from sentinel.hub.access import Rank
from sentinel.hub.place import SETTINGS, arguments, database_url, settings_of
from sentinel.trust import identity

if TYPE_CHECKING:
    from sentinel.hub.persist import Store

T = TypeVar("T")


def run_init(args: argparse.Namespace) -> int:
    """Set a site up: the CA and a hub.toml that says nothing but the site's name."""
    text = f'# Every other setting has a prudent default; see README.md.\nsite = "{args.site}"\n'
    settings = config.parse(HubSettings, text, "--site")
    enrol.init(args.state, settings.site, process.now_ms())
    target = args.state / SETTINGS
    if not target.exists():
        files.write(target, text.encode(), 0o644)
    sys.stdout.write(f"site {settings.site} is set up in {args.state}; settings in {target}\n")
    return 0


def run_invite(args: argparse.Namespace) -> int:
    """Print an invite for each host, a line each: it makes that host an agent within the hour."""
    hosts = [*args.host, *(hosts_in(args.file) if args.file else ())]
    if not hosts:
        raise errors.OperatorError("no host is named", hint="sentinel-hub invite HOST, or -f FILE")

    async def make(store: Store, settings: HubSettings) -> list[identity.Invite]:
        return await enrol.invites(store, settings, args.state, hosts, process.now_ms())

    for invite in asyncio.run(_with_store(args, make)):
        sys.stdout.write(msgspec.json.encode(invite).decode() + "\n")
    return 0


def hosts_in(path: Path) -> list[str]:
    """Return the host names in a file: one a line, `#` begins a comment, - is standard input."""
    text = sys.stdin.read() if str(path) == "-" else config.read(path)
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    return [line for line in lines if line]


def run_operator(args: argparse.Namespace) -> int:
    """Write an identity folder for an operator, and let their SSH key log in and decide."""
    settings = settings_of(args)
    ca = enrol.authority(args.state)
    if args.key is not None:
        people.add(settings, args.state, args.name, config.read(args.key), Rank(args.role))
    enrol.operator(settings, ca, args.name, args.out, process.now_ms())
    sys.stdout.write(f"identity of {args.name} in {args.out}: sentinel-tui --identity {args.out}\n")
    if args.name not in people.known(settings, args.state):
        sys.stdout.write(f"{args.name} cannot log in before --key names their SSH key\n")
    return 0


def run_revoke(args: argparse.Namespace) -> int:
    """Revoke every certificate of a host; its stream is cut within seconds."""

    async def revoke(store: Store, _: HubSettings) -> int:
        return await store.revoke(args.host, process.now_ms())

    count = asyncio.run(_with_store(args, revoke))
    if count == 0:
        raise errors.OperatorError(
            f"no valid certificate of {args.host} is known", hint="sentinel-hub agents lists them"
        )
    sys.stdout.write(f"{count} certificate(s) of {args.host} revoked\n")
    return 0


def run_agents(args: argparse.Namespace) -> int:
    """List the nodes the hub knows, a line each."""

    async def agents(store: Store, _: HubSettings) -> None:
        now_ms = process.now_ms()
        for agent in await store.agents():
            sys.stdout.write("\t".join(_of(agent, now_ms)) + "\n")

    asyncio.run(_with_store(args, agents))
    return 0


def _of(agent: AgentStatus, now_ms: int) -> tuple[str, ...]:
    """Return the columns of one node; what needs a person is in capitals."""
    left = agent.certificate_expires_ms - now_ms
    skew = human.duration(abs(agent.clock_skew_ms))
    skew += " ahead" if agent.clock_skew_ms >= 0 else " behind"
    return (
        agent.host,
        "attached" if agent.connected else "away",
        f"seen {human.duration(now_ms - agent.last_seen_ms)} ago",
        errors.printable(agent.version),
        agent.mode.value,
        f"certificate {human.duration(left)} left"
        if left > 0
        else f"CERTIFICATE EXPIRED {human.duration(-left)} ago",
        f"clock {skew}" if abs(agent.clock_skew_ms) <= protocol.SKEW_MS else f"CLOCK {skew}",
    )


def run_run(args: argparse.Namespace) -> int:
    """Run the hub until SIGTERM."""
    process.log_to_stderr(verbose=args.verbose)
    settings = settings_of(args)
    if args.socket is not None:
        settings = msgspec.structs.replace(settings, socket=str(args.socket))
    from sentinel.hub import server  # noqa: PLC0415

    process.serve(lambda stop: server.serve(args.state, settings, stop))
    return 0


async def _with_store(
    args: argparse.Namespace, work: Callable[[Store, HubSettings], Awaitable[T]]
) -> T:
    from sentinel.hub.persist import Store  # noqa: PLC0415

    settings = settings_of(args)
    async with await Store.open(database_url(settings, args.state)) as store:
        return await work(store, settings)


def parser() -> argparse.ArgumentParser:
    """Return the command line of `sentinel-hub`."""
    top = argparse.ArgumentParser(prog="sentinel-hub", description=__doc__)
    top.add_argument("--version", action="version", version=f"sentinel-hub {__version__}")
    common = arguments()
    commands = top.add_subparsers(required=True, metavar="COMMAND")

    init = commands.add_parser("init", parents=[common], help="set up a site: its CA and hub.toml")
    init.add_argument("--site", default="site", help="name of the site, part of every identity")
    init.set_defaults(run=run_init)

    run = commands.add_parser("run", parents=[common], help="run the hub")
    run.add_argument("--verbose", action="store_true", help="log more")
    run.add_argument(
        "--socket",
        type=Path,
        metavar="PATH",
        help="serve on this Unix socket too, for people who come through ssh",
    )
    run.set_defaults(run=run_run)

    invite = commands.add_parser("invite", parents=[common], help="print an invite for each host")
    invite.add_argument("host", nargs="*")
    invite.add_argument(
        "-f", "--file", type=Path, metavar="FILE", help="hosts, one a line; - is standard input"
    )
    invite.set_defaults(run=run_invite)

    operator = commands.add_parser(
        "operator", parents=[common], help="write an operator's identity"
    )
    operator.add_argument("name")
    operator.add_argument("--out", type=Path, required=True, metavar="DIR", help="identity folder")
    operator.add_argument("--key", type=Path, metavar="FILE", help="their SSH public key (.pub)")
    operator.add_argument(
        "--role", choices=list(Rank), default=Rank.APPROVER, help="what they may do (%(default)s)"
    )
    operator.set_defaults(run=run_operator)

    agents = commands.add_parser("agents", parents=[common], help="list the nodes")
    agents.set_defaults(run=run_agents)

    revoke = commands.add_parser("revoke", parents=[common], help="revoke a host's certificates")
    revoke.add_argument("host")
    revoke.set_defaults(run=run_revoke)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `sentinel-hub`."""
    return process.main(
        "sentinel-hub", parser(), list(arguments) if arguments is not None else None
    )


if __name__ == "__main__":
    sys.exit(main())
