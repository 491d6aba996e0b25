"""Who this program is, on disk: one folder with a key, its certificate, the CA and where the hub is.

An agent's state directory and an operator's identity folder have the same files:
  identity.pem   private key and certificate, one file so that a renewal swaps both at once (mode 0600)
  ca.pem         the only CA this program believes
  hub.json       where the hub is
An invite is one text file that carries what a machine needs to get them; it rides on the operator's own
ssh, so that nobody types fingerprints and nothing is trusted on first use.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from sentinel.domain import HostName, Name, Text
from sentinel.errors import ConfigError, NodeError
from sentinel.trust import x509

IDENTITY = "identity.pem"
AUTHORITY = "ca.pem"
HUB = "hub.json"
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


class Credentials(msgspec.Struct, frozen=True, kw_only=True):
    """A loaded identity folder."""

    pair: x509.Pair
    authority: bytes
    details: x509.Details
    address: HubAddress


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
        write(folder / AUTHORITY, authority, 0o644)
        write(folder / HUB, msgspec.json.encode(address), 0o644)
        write(folder / IDENTITY, pair.key + pair.certificate, 0o600)
    except OSError as error:
        raise NodeError(f"cannot write {error.filename or folder}: {error.strerror}") from None


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
    try:
        where = msgspec.json.decode(address, type=HubAddress)
    except msgspec.DecodeError as error:
        raise ConfigError(f"{folder / HUB} is damaged: {error}") from None
    return Credentials(
        pair=x509.Pair(key=key, certificate=certificate),
        authority=authority,
        details=x509.check(certificate, authority, now_ms),
        address=where,
    )


def write(path: Path, data: bytes, mode: int) -> None:
    """Replace the file at `path` by `data`, durably and at once: a reader sees the old or the new."""
    draft = path.with_name(f".{path.name}.new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise ConfigError(
            f"{path} does not exist: this machine is not enrolled",
            hint="on the hub: sentinel-hub invite HOST > FILE; here: sentinel-agent join FILE",
        ) from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from None
