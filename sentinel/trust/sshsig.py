"""SSH signatures (SSHSIG), verified strictly: people are their SSH keys.

Source: OpenSSH, PROTOCOL.sshsig, PROTOCOL.u2f and RFC 4251. What is accepted here `ssh-keygen -Y verify`
accepts too; these rules are ours and stricter:
  - The namespace is named by who verifies and compared: a signature over a git commit decides nothing.
  - Ed25519, ECDSA on P-256, and both on a FIDO2 token. No RSA, no certificates.
  - One signature has one spelling: exact armour, exact base64, nothing after the last field.
  - A signature by a token says whether it was touched and whether the person was verified (PIN or
    fingerprint); `ssh-keygen` never looks at it, `signers` demands it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import struct
from enum import StrEnum, unique

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from sentinel.errors import SignatureError, printable

MAGIC = b"SSHSIG"
VERSION = 1
HEADER = "-----BEGIN SSH SIGNATURE-----\n"
FOOTER = "\n-----END SSH SIGNATURE-----\n"
LINE_CHARS = 70  # of base64, as ssh-keygen writes it
ARMOUR_CHARS = 8192
HASHES = {"sha512": hashlib.sha512, "sha256": hashlib.sha256}
POINT_BYTES = 65  # an uncompressed point of P-256
ED25519_BYTES = 32
TOUCHED, VERIFIED = 0x01, 0x04  # bits of a token's flags (WebAuthn section 6.1)


@unique
class Kind(StrEnum):
    """The key types that may sign."""

    ED25519 = "ssh-ed25519"
    ECDSA = "ecdsa-sha2-nistp256"
    SK_ED25519 = "sk-ssh-ed25519@openssh.com"
    SK_ECDSA = "sk-ecdsa-sha2-nistp256@openssh.com"


class Key(msgspec.Struct, frozen=True, kw_only=True):
    """A public key; `blob` is how SSH writes it, and what two keys are compared by."""

    kind: Kind
    blob: bytes
    point: bytes
    application: bytes = b""  # of a token's key: "ssh:" and what follows

    @property
    def on_token(self) -> bool:
        """Whether the private half is on a FIDO2 token."""
        return bool(self.application)

    @property
    def public(self) -> str:
        """Return type and key as a .pub file has them."""
        return f"{self.kind.value} {base64.b64encode(self.blob).decode()}"

    @property
    def fingerprint(self) -> str:
        """Return what `ssh-keygen -l` shows."""
        return fingerprint(self.blob)


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """A signature as it was written; nothing of it is proved yet."""

    key: bytes
    namespace: str
    hash: str
    signature: bytes


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """A signature that holds. Of a key without a token, `touched` and `verified` are False."""

    key: Key
    touched: bool = False
    verified: bool = False
    counter: int = 0  # the token's own count of signatures


class Reader:
    """Takes fields off bytes in SSH's encoding (RFC 4251 section 5); SignatureError where they end."""

    def __init__(self, data: bytes, what: str) -> None:
        """Read `data`; `what` names it in errors."""
        self._data = data
        self._at = 0
        self._what = what

    def take(self, count: int) -> bytes:
        """Return the next `count` bytes."""
        end = self._at + count
        if end > len(self._data):
            raise malformed(f"the {self._what} ends in the middle of a field")
        taken = self._data[self._at : end]
        self._at = end
        return taken

    def number(self) -> int:
        """Return the next uint32."""
        return int.from_bytes(self.take(4), "big")

    def string(self) -> bytes:
        """Return the next string."""
        return self.take(self.number())

    def positive(self) -> int:
        """Return the next mpint, which must be above zero and in its one shortest spelling."""
        data = self.string()
        if not data or data[0] & 0x80 or (data[0] == 0 and not data[1:2] >= b"\x80"):
            raise malformed(f"the {self._what} holds a number that is not a positive, shortest one")
        return int.from_bytes(data, "big")

    def end(self) -> None:
        """Raise unless everything was taken."""
        if self._at != len(self._data):
            raise malformed(f"{len(self._data) - self._at} bytes follow the {self._what}")


def string(data: bytes) -> bytes:
    """Return `data` as an SSH string."""
    return struct.pack(">I", len(data)) + data


def exact_base64(text: str) -> bytes | None:
    """Return the bytes that `text` is the one spelling of, or None."""
    try:
        data = binascii.a2b_base64(text.encode("ascii"), strict_mode=True)
    except (binascii.Error, UnicodeEncodeError):
        return None
    return data if base64.b64encode(data).decode() == text else None


def malformed(what: str) -> SignatureError:
    """Return the error for a signature that is not one."""
    return SignatureError(what, check="signature.form", hint="sign again with ssh-agent")


def fingerprint(blob: bytes) -> str:
    """Return the SHA-256 fingerprint of a public key, as `ssh-keygen -l` shows it."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")


def parse_key(blob: bytes) -> Key:
    """Return the public key in `blob`; SignatureError where its type may not sign or it is damaged."""
    fields = Reader(blob, "public key")
    kind = _kind(fields.string())
    if kind in (Kind.ECDSA, Kind.SK_ECDSA) and fields.string() != b"nistp256":
        raise _of_kind("an ECDSA key is on another curve than nistp256")
    point = fields.string()
    _check_point(kind, point)
    application = fields.string() if kind in (Kind.SK_ED25519, Kind.SK_ECDSA) else b""
    fields.end()
    if kind in (Kind.SK_ED25519, Kind.SK_ECDSA) and not application.startswith(b"ssh:"):
        raise _of_kind("the token's key was not made for ssh")
    return Key(kind=kind, blob=blob, point=point, application=application)


def parse(armoured: str) -> Envelope:
    """Return the signature in the text `armoured`; SignatureError where it is not exactly one."""
    fields = Reader(_dearmour(armoured), "signature")
    if fields.take(len(MAGIC)) != MAGIC:
        raise malformed("the signature does not begin with SSHSIG")
    if (version := fields.number()) != VERSION:
        raise malformed(f"the signature is of version {version}, not {VERSION}")
    key, namespace, reserved = fields.string(), fields.string(), fields.string()
    algorithm, signature = fields.string(), fields.string()
    fields.end()
    if reserved:
        raise malformed("the signature uses its reserved field")
    name = algorithm.decode("ascii", "backslashreplace")
    if name not in HASHES:
        raise SignatureError(
            f"the signature is over the hash {printable(name, 40)}",
            check="signature.hash",
            hint="sign with sha512, which is ssh-keygen's own default",
        )
    return Envelope(
        key=key,
        namespace=namespace.decode("ascii", "backslashreplace"),
        hash=name,
        signature=signature,
    )


def check(envelope: Envelope, data: bytes, namespace: str) -> Proof:
    """Return the proof that the key in `envelope` signed `data` for `namespace`.

    It says nothing about whose key that is. Raises SignatureError with the check that failed.
    """
    if not namespace or envelope.namespace != namespace:
        raise SignatureError(
            f"the signature is for {printable(envelope.namespace, 64)!r}, not for {namespace!r}",
            check="signature.namespace",
            hint="a signature made for another purpose decides nothing",
        )
    key = parse_key(envelope.key)
    message = to_sign(data, namespace, envelope.hash)
    fields = Reader(envelope.signature, "signature")
    kind = _kind(fields.string())
    if kind is not key.kind:
        raise _of_kind(f"a {kind.value} signature by a {key.kind.value} key")
    raw = fields.string()
    if not key.on_token:
        fields.end()
        _hold(key, raw, message)
        return Proof(key=key)
    flags, counter = fields.take(1)[0], fields.number()
    fields.end()
    seen = bytes([flags]) + struct.pack(">I", counter)
    _hold(key, raw, _digest(key.application) + seen + _digest(message))
    return Proof(
        key=key,
        touched=bool(flags & TOUCHED),
        verified=bool(flags & VERIFIED),
        counter=counter,
    )


def to_sign(data: bytes, namespace: str, algorithm: str = "sha512") -> bytes:
    """Return the bytes that a key signs to sign `data` for `namespace`."""
    hashed = HASHES[algorithm](data).digest()
    parts = (namespace.encode("ascii"), b"", algorithm.encode("ascii"), hashed)
    return MAGIC + b"".join(string(part) for part in parts)


def wrap(key: bytes, namespace: str, signature: bytes) -> str:
    """Return the armoured text of a key's `signature` over `to_sign(data, namespace)`."""
    fields = (key, namespace.encode("ascii"), b"", b"sha512", signature)
    blob = MAGIC + struct.pack(">I", VERSION) + b"".join(string(field) for field in fields)
    return armour(blob)


def armour(blob: bytes) -> str:
    """Return `blob` as ssh-keygen writes it."""
    text = base64.b64encode(blob).decode()
    lines = (text[at : at + LINE_CHARS] for at in range(0, len(text), LINE_CHARS))
    return HEADER + "\n".join(lines) + FOOTER


def _dearmour(armoured: str) -> bytes:
    """Return the bytes in `armoured`, if it is how exactly those bytes are written."""
    if len(armoured) > ARMOUR_CHARS:
        raise malformed(f"the signature has {len(armoured)} characters")
    body = armoured.removeprefix(HEADER).removesuffix(FOOTER)
    blob = exact_base64(body.replace("\n", ""))
    if blob is None:
        raise malformed("the signature is not base64")
    if armour(blob) != armoured:
        raise malformed("the signature is not armoured as ssh-keygen does it")
    return blob


def _kind(name: bytes) -> Kind:
    text = name.decode("ascii", "backslashreplace")
    try:
        return Kind(text)
    except ValueError:
        raise _of_kind(f"keys of type {printable(text, 64)!r} do not sign here") from None


def _check_point(kind: Kind, point: bytes) -> None:
    length = ED25519_BYTES if kind in (Kind.ED25519, Kind.SK_ED25519) else POINT_BYTES
    if len(point) != length:
        raise malformed(f"a {kind.value} key has {length} bytes, this one {len(point)}")
    if length == POINT_BYTES:
        try:
            ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
        except ValueError:
            raise malformed(f"a {kind.value} key is no point of its curve") from None


def _of_kind(what: str) -> SignatureError:
    return SignatureError(
        what,
        check="signature.key-type",
        hint="use an ed25519 or ecdsa-sha2-nistp256 key, or one of both on a FIDO2 token",
    )


def _digest(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def _hold(key: Key, raw: bytes, message: bytes) -> None:
    """Raise unless `raw` is `key`'s signature over `message`."""
    try:
        if key.kind in (Kind.ED25519, Kind.SK_ED25519):
            ed25519.Ed25519PublicKey.from_public_bytes(key.point).verify(raw, message)
        else:
            numbers = Reader(raw, "ECDSA signature")
            pair = encode_dss_signature(numbers.positive(), numbers.positive())
            numbers.end()
            curve = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), key.point)
            curve.verify(pair, message, ec.ECDSA(hashes.SHA256()))
    except (InvalidSignature, ValueError):
        raise SignatureError(
            f"the signature by {key.fingerprint} does not hold over these bytes",
            check="signature.bad",
            hint="what was signed is not what came here: read it again and sign again",
        ) from None
