"""The way to the hub for a person's programs: the identity folder, the address, a connection."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from sentinel import process

if TYPE_CHECKING:
    from sentinel import rpc


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


def connector(folder: Path, address: str | None) -> Callable[[], rpc.OperatorsClient]:
    """Return how to reach the hub that the identity in `folder` belongs to.

    The folder is read at every connection, so that a renewed certificate is used without a restart;
    ConfigError where it cannot be used. A way through ssh is tried here, before a screen is drawn.
    """
    if address is not None and address.startswith(SSH):
        address = _through_ssh(folder, address.removeprefix(SSH))

    def connect() -> rpc.OperatorsClient:
        # gRPC and the certificates cost 0.15 s: the terminal's first frame does not wait for them.
        from sentinel import rpc  # noqa: PLC0415
        from sentinel.trust import identity, sshagent  # noqa: PLC0415

        credentials = identity.load(folder, process.now_ms())
        hand = sshagent.Agent(os.environ.get("SSH_AUTH_SOCK", ""))
        return rpc.operators(credentials, hand, address or "")

    if not os.path.isfile(folder / "identity.pem"):  # Path.is_file() raises where it may not look
        connect()  # raises, with what to do about it
    return connect


def _through_ssh(folder: Path, place: str) -> str:
    """Return the address at which ssh to `place` leads to the hub; PeerError where it does not."""
    # Whoever does not come through ssh does not pay for it.
    from sentinel.trust import identity  # noqa: PLC0415
    from sentinel.tui import tunnel  # noqa: PLC0415

    authority = identity.load(folder, process.now_ms()).authority
    way = tunnel.Tunnel(place)
    way.start(authority)
    return way.address
