"""Who this program is, on disk: one folder with a key, its certificate, the CA and where the hub is.

An agent's state directory and an operator's identity folder have the same files:
  identity.pem   private key and certificate, one file so that a renewal swaps both at once (mode 0600)
  ca.pem         the only CA this program believes
  hub.json       where the hub is
An invite is one line of text that carries what a machine needs to get them; it rides on the operator's own
ssh, so that nobody types fingerprints and nothing is trusted on first use.

A node keeps its roots of trust in a folder of their own, which only root writes:
  host              its name: decisions for it must bear it
  allowed_signers   whose signatures count
  checkpoint.pub    whose signature stands under the checkpoints of the hub's log
They come with the first invite. No later invite and nothing the hub says changes them: root does, by hand.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from sentinel import files
from sentinel.domain import HostName, Name, Text
from sentinel.errors import ConfigError, NodeError
from sentinel.trust import x509

IDENTITY = "identity.pem"
AUTHORITY = "ca.pem"
HUB = "hub.json"
HOST = "host"
SIGNERS = "allowed_signers"
CHECKPOINT = "checkpoint.pub"
_SPLIT = b"-----BEGIN CERTIFICATE-----"


class HubAddress(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the hub is: `host:port` of its main and its enrolment listener."""

    site: Name
    hub: Name
    enrol: Name


class Invite(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What `sentinel-hub invite` writes and `sentinel-agent join` reads."""

    sentinel_invite: int
    host: HostName
    token: Name
    ca: Text
    address: HubAddress
    allowed_signers: Annotated[str, Meta(max_length=1 << 20)] = ""
    checkpoint_key: Text = ""

    @property
    def roots(self) -> dict[str, str]:
        """Return the roots of trust that the invite carries: text by the name of its file."""
        carried = {
            HOST: f"{self.host}\n",
            SIGNERS: self.allowed_signers,
            CHECKPOINT: self.checkpoint_key,
        }
        return {name: text for name, text in carried.items() if text}


class Credentials(msgspec.Struct, frozen=True, kw_only=True):
    """A loaded identity folder."""

    pair: x509.Pair
    authority: bytes
    details: x509.Details
    address: HubAddress

    @property
    def hub(self) -> str:
        """The name that the hub's certificate bears."""
        return x509.hub_name(self.authority)


def read_invite(text: str) -> Invite:
    """Return the invite in `text`; ConfigError names what is wrong with it."""
    try:
        invite = msgspec.json.decode(text.encode(), type=Invite)
    except (msgspec.DecodeError, UnicodeEncodeError) as error:
        raise ConfigError(
            f"this is not an invite: {error}", hint="make one on the hub: sentinel-hub invite HOST"
        ) from None
    if invite.sentinel_invite != 1:
        raise ConfigError(
            f"the invite is of version {invite.sentinel_invite}, this program reads version 1",
            hint="install the agent of the hub's own release",
        )
    return invite


def save(folder: Path, pair: x509.Pair, authority: bytes, address: HubAddress) -> None:
    """Write the folder's files, each whole or not at all; NodeError where the disk refuses."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        files.write(folder / AUTHORITY, authority, 0o644)
        files.write(folder / HUB, msgspec.json.encode(address), 0o644)
        files.write(folder / IDENTITY, pair.key + pair.certificate, 0o600)
    except OSError as error:
        raise NodeError(f"cannot write {error.filename or folder}: {error.strerror}") from None


def check_roots(folder: Path, invite: Invite) -> None:
    """Raise ConfigError where the node believes otherwise already: an invite adds, it changes nothing."""
    for name, text in invite.roots.items():
        path = folder / name
        if path.exists() and _read(path) != text.encode():
            raise ConfigError(
                f"{path} says otherwise than the invite, and nothing from the hub may change it",
                hint="ask the people it names; if the invite is right, remove the file as root and join again",
            )


def save_roots(folder: Path, invite: Invite) -> None:
    """Write the roots of trust that are not there yet; NodeError where the disk refuses."""
    # Root joins and the agent reads, which is nobody special: the umask of root's shell has no say.
    before = os.umask(0o022)
    try:
        folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        for name, text in invite.roots.items():
            if not (folder / name).exists():
                files.write(folder / name, text.encode(), 0o644)
    except OSError as error:
        raise NodeError(f"cannot write {error.filename or folder}: {error.strerror}") from None
    finally:
        os.umask(before)


def load(folder: Path, now_ms: int) -> Credentials:
    """Return the credentials in `folder`.

    Raises ConfigError where a file is missing or damaged, PeerError where the certificate cannot be
    used now (TLS itself would only say "socket closed").
    """
    secret, authority, address = (_read(folder / name) for name in (IDENTITY, AUTHORITY, HUB))
    key, mark, rest = secret.partition(_SPLIT)
    if not key.strip() or not mark:
        raise ConfigError(f"{folder / IDENTITY} is damaged", hint="enrol again with a fresh invite")
    certificate = mark + rest
    pair = x509.Pair(key=key, certificate=certificate)
    try:
        where = msgspec.json.decode(address, type=HubAddress)
    except msgspec.DecodeError as error:
        raise ConfigError(f"{folder / HUB} is damaged: {error}") from None
    return Credentials(
        pair=pair,
        authority=authority,
        details=x509.check(pair, authority, now_ms),
        address=where,
    )


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise ConfigError(
            f"{path} does not exist: not enrolled",
            hint="a person: sentinel-hub operator NAME --out DIR on the hub, --identity DIR here; "
            "a host: sentinel-hub invite HOST > FILE on the hub, sentinel-agent join FILE here",
        ) from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from None
