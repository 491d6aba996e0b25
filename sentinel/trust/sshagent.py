"""ssh-agent, asked to list its keys and to sign: the one way in which Sentinel makes a signature.

Source: draft-ietf-sshm-ssh-agent (SSH Agent Protocol). Sentinel never reads a private key: `ssh-add` is
the person's door, and a key that is forwarded, confirmed (`ssh-add -c`) or on a token works unseen.
Calls block, so a program with an event loop asks in a thread.
"""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager

import msgspec

from sentinel.errors import OperatorError, SignatureError, printable
from sentinel.trust import sshsig
from sentinel.trust.sshsig import Key, Reader

LIST, LISTED, SIGN, SIGNED = b"\x0b", b"\x0c", b"\x0d", b"\x0e"
ANSWER_BYTES = 256 * 1024  # OpenSSH's own limit
KEYS = 2048
LIST_S = 5.0
SIGN_S = 60.0  # a person touches a token, or answers what `ssh-add -c` asks

NO_AGENT = (
    "start one with `eval $(ssh-agent)`, add your key with `ssh-add`, or log in with `ssh -A`"
)


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """A key that the agent holds and that may sign, with its comment."""

    key: Key
    comment: str


class Agent:
    """The agent behind one socket (`SSH_AUTH_SOCK`)."""

    def __init__(self, path: str) -> None:
        """Ask the agent at `path`; empty where the person has none."""
        self._path = path

    def held(self) -> tuple[Held, ...]:
        """Return the keys that may sign, in the agent's order; others (RSA, certificates) are left out.

        Raises OperatorError where there is no agent or it does not answer as one.
        """
        answer = self._ask(LIST, LIST_S)
        try:
            fields = Reader(answer, "agent's answer")
            if fields.take(1) != LISTED:
                raise OperatorError("ssh-agent will not list its keys", hint="is it locked?")
            count = fields.number()
            if count > KEYS:
                raise OperatorError(f"ssh-agent says that it has {count} keys")
            listed = [(fields.string(), fields.string()) for _ in range(count)]
            fields.end()
        except SignatureError as error:
            raise OperatorError(f"{self._path} is no ssh-agent: {error.what}") from None
        return tuple(_usable(listed))

    def sign(self, key: Key, data: bytes, namespace: str) -> str:
        """Return the armoured signature of `key` over `data` for `namespace`.

        Raises OperatorError where the agent refuses, SignatureError where what it made does not hold.
        """
        message = sshsig.to_sign(data, namespace)
        request = SIGN + sshsig.string(key.blob) + sshsig.string(message) + struct.pack(">I", 0)
        answer = self._ask(request, SIGN_S)
        try:
            fields = Reader(answer, "agent's answer")
            if fields.take(1) != SIGNED:
                raise OperatorError(
                    f"ssh-agent did not sign with {key.fingerprint}",
                    hint="touch the token, confirm the question, or unlock the agent (ssh-add -X)",
                )
            signature = fields.string()
            fields.end()
        except SignatureError as error:
            raise OperatorError(f"{self._path} is no ssh-agent: {error.what}") from None
        armoured = sshsig.wrap(key.blob, namespace, signature)
        # A signature that nobody would take is told here, where the person is.
        sshsig.check(sshsig.parse(armoured), data, namespace)
        return armoured

    def sign_with(self, fingerprints: Collection[str], data: bytes, namespace: str) -> str:
        """Return the signature by the first of the agent's keys that is among `fingerprints`.

        Raises as `held`, `choose` and `sign`.
        """
        return self.sign(choose(self.held(), fingerprints), data, namespace)

    def _ask(self, request: bytes, timeout_s: float) -> bytes:
        if not self._path:
            raise OperatorError("SSH_AUTH_SOCK is not set: there is no ssh-agent", hint=NO_AGENT)
        end_s = time.monotonic() + timeout_s
        try:
            with _connected(self._path, timeout_s) as connection:
                connection.sendall(sshsig.string(request))
                size = int.from_bytes(_exactly(connection, 4, end_s), "big")
                if not 0 < size <= ANSWER_BYTES:
                    raise OperatorError(f"{self._path} is no ssh-agent: it answers {size} bytes")
                return _exactly(connection, size, end_s)
        except TimeoutError:
            raise OperatorError(
                f"ssh-agent did not answer within {timeout_s:.0f} s",
                hint="it may wait for a touch or for a confirmation",
            ) from None
        except OSError as error:
            raise OperatorError(
                f"ssh-agent at {printable(self._path, 200)}: {error.strerror or error}",
                hint=NO_AGENT,
            ) from None


def choose(held: tuple[Held, ...], fingerprints: Collection[str]) -> Key:
    """Return the first key of the agent that is among `fingerprints`, which are the person's own.

    Raises OperatorError that names what the agent holds and what would count.
    """
    for each in held:
        if each.key.fingerprint in fingerprints:
            return each.key
    if not held:
        raise OperatorError(
            "ssh-agent holds no key that may sign", hint="ssh-add your ed25519 or ecdsa key"
        )
    names = ", ".join(
        f"{each.key.fingerprint} ({printable(each.comment, 40)})" for each in held[:8]
    )
    raise OperatorError(
        f"ssh-agent holds none of your keys, but {names}",
        hint=f"ssh-add the key {' or '.join(sorted(fingerprints))}"
        if fingerprints
        else "allowed_signers on the hub has no key in your name",
    )


def _usable(listed: list[tuple[bytes, bytes]]) -> Iterator[Held]:
    for blob, comment in listed:
        try:
            key = sshsig.parse_key(blob)
        except SignatureError:
            continue
        yield Held(key=key, comment=comment.decode(errors="replace"))


@contextmanager
def _connected(path: str, timeout_s: float) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(timeout_s)
        connection.connect(path)
        yield connection


def _exactly(connection: socket.socket, count: int, end_s: float) -> bytes:
    """Return `count` bytes; TimeoutError at `end_s`, however steadily they trickle in."""
    data = b""
    while len(data) < count:
        left_s = end_s - time.monotonic()
        if left_s <= 0:
            raise TimeoutError
        connection.settimeout(left_s)
        part = connection.recv(count - len(data))
        if not part:
            raise OperatorError("ssh-agent closed the connection in the middle of its answer")
        data += part
    return data
