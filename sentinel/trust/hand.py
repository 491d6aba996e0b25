"""A person's hand: a small program that reads who they are and has ssh-agent sign.

What it needs for that (X.509, elliptic curves) takes a sixth of the terminal's memory and is wanted for
a moment at a time: when the hub is dialled, and when something is decided. So `tui/hand` has it done by
this program, a child process, and lets it go afterwards.

It reads requests from its standard input and writes answers to its standard output, a line of JSON each.
It ends when its input does, whatever it waits for: nobody is asked to touch a token for a terminal that
has gone.
"""

from __future__ import annotations

import os
import sys
import threading
import traceback
from pathlib import Path

import msgspec

from sentinel import errors, process


class Papers(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Who a person's program says it is, and which hub it knows; nothing in it is the hub's word."""

    name: str
    site: str
    serial: str  # of the certificate
    key: bytes  # PEM, as the next two
    certificate: bytes
    authority: bytes
    hub: str  # the name that its certificate bears
    address: str


class Read(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Read the identity in a folder; the answer is its Papers."""

    folder: bytes  # a path need not be UTF-8, and a text in JSON is


class Sign(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Have the agent behind `socket` sign with one of the keys; the answer is Signed."""

    socket: bytes
    keys: tuple[str, ...]
    data: bytes
    namespace: str


class Signed(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A signature, armoured."""

    armoured: str


class Failed(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """An error of the tree; `check` is set where a signature did not hold."""

    kind: str
    what: str
    hint: str
    check: str = ""


def main() -> None:
    """Answer every line of standard input, until it ends."""
    for line in sys.stdin.buffer:
        request = msgspec.json.decode(line, type=Read | Sign)
        # In a thread: the end of the input has to be noticed while a person is waited for.
        threading.Thread(target=_serve, args=(request,), daemon=True).start()


def _serve(request: Read | Sign) -> None:
    try:
        answer = _answer(request)
        sys.stdout.buffer.write(msgspec.json.encode(answer) + b"\n")
        sys.stdout.buffer.flush()
    except Exception:  # noqa: BLE001  (a fault of ours: who waits for an answer is not to wait for ever)
        traceback.print_exc()
        os._exit(1)


def _answer(request: Read | Sign) -> Papers | Signed | Failed:
    try:
        return _papers(request.folder) if isinstance(request, Read) else _signed(request)
    except errors.SentinelError as error:
        return Failed(
            kind=type(error).__name__,
            what=errors.printable(error.what),  # a path in it need not be UTF-8
            hint=errors.printable(error.hint),
            check=error.check if isinstance(error, errors.SignatureError) else "",
        )


def _papers(folder: bytes) -> Papers:
    # Imported here: the terminal, which knows this file for its words, is to stay without cryptography.
    from sentinel.trust import identity  # noqa: PLC0415

    found = identity.load(Path(os.fsdecode(folder)), process.now_ms())
    leaf = found.details
    return Papers(
        name=leaf.identity.name,
        site=leaf.identity.site,
        serial=leaf.serial,
        key=found.pair.key,
        certificate=found.pair.certificate,
        authority=found.authority,
        hub=found.hub,
        address=found.address.hub,
    )


def _signed(request: Sign) -> Signed:
    from sentinel.trust import sshagent  # noqa: PLC0415

    agent = sshagent.Agent(os.fsdecode(request.socket))
    return Signed(armoured=agent.sign_with(request.keys, request.data, request.namespace))


if __name__ == "__main__":
    main()
