"""The way to the hub for a person's programs: the identity folder, the address, a connection."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING

from sentinel.tui.hand import Child

if TYPE_CHECKING:
    from sentinel import rpc
    from sentinel.trust.hand import Papers


SSH = "ssh://"  # before what --ssh says


def config_folder() -> Path:
    """Return the folder for what a person has set up: identity, keys.toml, tui.toml."""
    return Path(os.environ.get("XDG_CONFIG_HOME", "~/.config")).expanduser() / "sentinel"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Let the command line say who one is and where the hub is."""
    default = config_folder()
    parser.add_argument(
        "--identity",
        type=Path,
        default=default,
        metavar="DIR",
        help="folder with your key and certificate (default: %(default)s)",
    )
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--hub", metavar="HOST:PORT", help="another address of the hub than your identity names"
    )
    where.add_argument(
        "--ssh",
        dest="hub",
        type=lambda place: SSH + place,
        metavar="[USER@]HOST",
        help="reach the hub through ssh to its host; no agent is forwarded",
    )


def connector(folder: Path, address: str | None) -> Callable[[], Awaitable[rpc.OperatorsClient]]:
    """Return how to reach the hub that the identity in `folder` belongs to.

    The folder is read at every connection, so that a renewed certificate is used without a restart;
    ConfigError where it cannot be used. A way through ssh is tried here, before a screen is drawn.
    """
    if address is not None and address.startswith(SSH):
        address = _through_ssh(folder, address.removeprefix(SSH))

    async def connect() -> rpc.OperatorsClient:
        hand = Child(folder, os.environ.get("SSH_AUTH_SOCK", ""))
        reading = asyncio.create_task(asyncio.to_thread(hand.papers))
        await asyncio.sleep(0)
        # gRPC costs 0.1 s, in which the child reads. The terminal's first frame does not wait for it.
        from sentinel import rpc  # noqa: PLC0415

        return rpc.operators(await reading, hand, address or "")

    if not os.path.isfile(folder / "identity.pem"):  # Path.is_file() raises where it may not look
        _papers(folder)  # raises, with what to do about it
    return connect


def _papers(folder: Path) -> Papers:
    with contextlib.closing(Child(folder, "")) as hand:
        return hand.papers()


def _through_ssh(folder: Path, place: str) -> str:
    """Return the address at which ssh to `place` leads to the hub; PeerError where it does not."""
    # Whoever does not come through ssh does not pay for it.
    from sentinel.tui import tunnel  # noqa: PLC0415

    papers = _papers(folder)
    way = tunnel.Tunnel(place)
    way.start(papers.authority, papers.hub)
    return way.address
