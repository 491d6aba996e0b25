"""Checkpoints: what the audit log was at one moment, signed, so that nobody can take it back.

A checkpoint is a signed note (C2SP signed-note and tlog-checkpoint) of one Ed25519 signature:

    sentinel/prod-a
    4711
    CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

    — sentinel/prod-a Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=

Whoever keeps one can tell later whether the log has only grown since (`merkle.extends`). Read strictly:
one spelling, one signature, no extension lines; what others would add or accept is refused here.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
from pathlib import Path

import msgspec
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from sentinel import config, files
from sentinel.domain import Signature
from sentinel.errors import ConfigError, SignatureError, printable
from sentinel.merkle import HASH_BYTES
from sentinel.trust import sshsig

NOTE_CHARS = 1024
KEY_FILE = "checkpoint.key"  # the hub's private key, PKCS #8 in PEM, mode 0600
PUBLIC_FILE = "checkpoint.pub"  # the verifier key: what nodes pin and auditors keep
EXPORT = "export@sentinel"  # namespace of the hub's signature over an export

_ED25519 = b"\x01"  # the signature type's identifier in signed-note
_DASH = "\u2014"
_SIGNATURE_BYTES = 64
_NAME = r"[A-Za-z0-9][A-Za-z0-9./_-]{0,127}"
_BODY = re.compile(rf"({_NAME})\n(0|[1-9][0-9]{{0,15}})\n([A-Za-z0-9+/]{{43}}=)\n")
_LINE = re.compile(rf"{_DASH} ({_NAME}) ([A-Za-z0-9+/]+={{0,2}})\n")


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True):
    """The log's name, how many records it had, and the root of the tree over them."""

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        """The text that is signed."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


class Key(msgspec.Struct, frozen=True, kw_only=True):
    """Whose signature a checkpoint must bear: the log's name and its Ed25519 public key."""

    name: str
    public: bytes

    @property
    def id(self) -> bytes:
        """The four bytes by which a signature line says which key it is by."""
        return hashlib.sha256(self.name.encode() + b"\n" + _ED25519 + self.public).digest()[:4]

    @property
    def text(self) -> str:
        """The key in C2SP's form of a verifier key: NAME+ID+BASE64."""
        key = base64.b64encode(_ED25519 + self.public).decode()
        return f"{self.name}+{self.id.hex()}+{key}"

    @property
    def ssh(self) -> bytes:
        """The same public key as SSH writes it."""
        return sshsig.string(sshsig.Kind.ED25519.value.encode()) + sshsig.string(self.public)


class Signer:
    """The private half: signs checkpoints, and the folders that auditors take away."""

    def __init__(self, name: str, private: ed25519.Ed25519PrivateKey) -> None:
        """Sign as `name`."""
        self._private = private
        self.key = Key(name=name, public=private.public_key().public_bytes_raw())

    def sign(self, size: int, root: bytes) -> str:
        """Return the signed checkpoint of a log of `size` records under `root`."""
        text = Checkpoint(origin=self.key.name, size=size, root=root).text
        signature = self.key.id + self._private.sign(text.encode())
        return f"{text}\n{_DASH} {self.key.name} {base64.b64encode(signature).decode()}\n"

    def sign_export(self, data: bytes) -> Signature:
        """Return an SSH signature over `data` that `ssh-keygen -Y verify` checks."""
        raw = self._private.sign(sshsig.to_sign(data, EXPORT))
        kind = sshsig.Kind.ED25519.value.encode()
        blob = sshsig.string(kind) + sshsig.string(raw)
        return Signature(signer=self.key.name, sshsig=sshsig.wrap(self.key.ssh, EXPORT, blob))


def name_of(site: str) -> str:
    """Return the name of a site's log."""
    return f"sentinel/{site}"


def make(folder: Path, site: str) -> Key:
    """Make the key of a site's log in `folder`, which must exist; OSError where the disk refuses."""
    private = ed25519.Ed25519PrivateKey.generate()
    pem = private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    key = Signer(name_of(site), private).key
    files.write(folder / PUBLIC_FILE, f"{key.text}\n".encode(), 0o644)
    files.write(folder / KEY_FILE, pem, 0o600)
    return key


def load(folder: Path, site: str) -> Signer:
    """Return the signer whose key is in `folder`; ConfigError where there is none that is private."""
    path = folder / KEY_FILE
    text = config.read(path)
    mode = os.stat(path).st_mode & 0o777
    if mode & 0o077:
        raise ConfigError(
            f"{path} can be read by others than its owner (mode {mode:04o})",
            hint=f"chmod 0600 {path}; if others may have read it, make a new site",
        )
    try:
        private = serialization.load_pem_private_key(text.encode(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        private = None
    if not isinstance(private, ed25519.Ed25519PrivateKey):
        raise ConfigError(f"{path} is not an Ed25519 private key", hint="restore it from a backup")
    return Signer(name_of(site), private)


def parse_key(text: str, source: str = PUBLIC_FILE) -> Key:
    """Return the verifier key in `text`; ConfigError names `source` where it is none."""
    parts = text.removesuffix("\n").split("+", 2)
    public = sshsig.exact_base64(parts[2]) if len(parts) == 3 else None
    if public is not None and len(public) == 1 + 32 and public[:1] == _ED25519:
        key = Key(name=parts[0], public=public[1:])
        if re.fullmatch(_NAME, key.name) and key.text == text.removesuffix("\n"):
            return key
    raise ConfigError(
        f"{source}: {printable(text.strip(), 80)!r} is not a log's public key",
        hint=f"NAME+ID+BASE64, as it stands in {PUBLIC_FILE} in the hub's state directory",
    )


def parse(note: str) -> Checkpoint:
    """Return what the signed checkpoint `note` says, its signature not looked at yet."""
    return _read(note)[0]


def verify(note: str, key: Key) -> Checkpoint:
    """Return the checkpoint in `note`, signed by `key` and by nobody else.

    Raises SignatureError with the check that failed: `checkpoint.form`, `.origin`, `.key` or
    `.signature`.
    """
    checkpoint, name, signature = _read(note)
    if checkpoint.origin != key.name or name != key.name:
        raise SignatureError(
            f"the checkpoint is of the log {printable(checkpoint.origin)}, not of {key.name}",
            check="checkpoint.origin",
        )
    if signature[:4] != key.id:
        raise SignatureError(
            f"the checkpoint is signed by the key {signature[:4].hex()}, not by {key.id.hex()}",
            check="checkpoint.key",
            hint="the hub's key was replaced, or this is another hub of the same name",
        )
    try:
        public = ed25519.Ed25519PublicKey.from_public_bytes(key.public)
        public.verify(signature[4:], checkpoint.text.encode())
    except InvalidSignature:
        raise SignatureError(
            "the checkpoint's signature does not hold", check="checkpoint.signature"
        ) from None
    return checkpoint


def _read(note: str) -> tuple[Checkpoint, str, bytes]:
    """Return the checkpoint, and the name and bytes of its one signature."""
    body, mark, rest = note[:NOTE_CHARS].partition("\n\n")
    said = _BODY.fullmatch(body + "\n")
    line = _LINE.fullmatch(rest)
    root = sshsig.exact_base64(said[3]) if said else None
    signature = sshsig.exact_base64(line[2]) if line else None
    if not mark or len(note) > NOTE_CHARS or not (said and root and line and signature):
        raise _malformed("this is not a signed checkpoint")
    if len(root) != HASH_BYTES or len(signature) != 4 + _SIGNATURE_BYTES:
        raise _malformed("a hash or a signature in the checkpoint has another length")
    if (size := int(said[2])) > 2**53:
        raise _malformed(f"the checkpoint is of {size} records")
    return Checkpoint(origin=said[1], size=size, root=root), line[1], signature


def _malformed(what: str) -> SignatureError:
    return SignatureError(
        what,
        check="checkpoint.form",
        hint="three lines (name, size, root), an empty line, and one line with the signature",
    )
