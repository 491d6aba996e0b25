"""Keys of people, for tests: in memory, of every kind that may sign, tokens among them."""

from __future__ import annotations

import base64
import hashlib
import struct

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from sentinel import protocol
from sentinel.trust import sshsig
from sentinel.trust.sshsig import Kind, string


def mpint(number):
    data = number.to_bytes((number.bit_length() + 7) // 8, "big")
    return string((b"\0" if data[0] & 0x80 else b"") + data)


class SoftKey:
    """A private key. A token's flags are what `flags` says: the software has no finger."""

    def __init__(self, kind=Kind.ED25519, application=b"ssh:"):
        self.kind = Kind(kind)
        self.application = application
        self.token = self.kind in (Kind.SK_ED25519, Kind.SK_ECDSA)
        name = string(self.kind.value.encode())
        if self.kind in (Kind.ED25519, Kind.SK_ED25519):
            self.private = ed25519.Ed25519PrivateKey.generate()
            point = string(self.private.public_key().public_bytes_raw())
        else:
            self.private = ec.generate_private_key(ec.SECP256R1())
            raw = self.private.public_key().public_bytes(
                serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
            )
            point = string(b"nistp256") + string(raw)
        self.blob = name + point + (string(application) if self.token else b"")

    @property
    def public(self):
        """Type and key, as in a .pub file."""
        return f"{self.kind.value} {base64.b64encode(self.blob).decode()}"

    def line(self, name, namespaces=(protocol.LOGIN, protocol.DECISION), more="", comment="test"):
        options = f'namespaces="{",".join(namespaces)}"' + (f",{more}" if more else "")
        return f"{name} {options} {self.public} {comment}\n"

    def raw(self, data, flags=sshsig.TOUCHED, counter=7):
        """Return the signature blob over `data`, which is what an agent answers."""
        tail = b""
        if self.token:
            tail = bytes([flags]) + struct.pack(">I", counter)
            hashed = hashlib.sha256(data).digest()
            data = hashlib.sha256(self.application).digest() + tail + hashed
        if isinstance(self.private, ed25519.Ed25519PrivateKey):
            made = self.private.sign(data)
        else:
            r, s = decode_dss_signature(self.private.sign(data, ec.ECDSA(hashes.SHA256())))
            made = mpint(r) + mpint(s)
        return string(self.kind.value.encode()) + string(made) + tail

    def sign(self, data, namespace=protocol.DECISION, **token):
        """Return the armoured signature over `data`."""
        return sshsig.wrap(self.blob, namespace, self.raw(sshsig.to_sign(data, namespace), **token))


def fields(*parts):
    """Return the armour of a signature made of exactly these fields."""
    return sshsig.armour(b"SSHSIG" + struct.pack(">I", 1) + b"".join(string(p) for p in parts))
