"""The person's hand at arm's length: `trust.hand` in a child process, started when it is wanted."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Collection
from pathlib import Path

import msgspec

from sentinel import errors
from sentinel.trust.hand import Failed, Papers, Read, Sign, Signed

# What may be imported is what this program may import, and never what lies in the present directory.
_COMMAND = (sys.executable, "-I" if sys.flags.isolated else "-P", "-m", "sentinel.trust.hand")


class Child:
    """The hand of one person. What it is asked blocks."""

    def __init__(self, folder: Path, socket: str) -> None:
        """Be the person whose identity is in `folder` and whose ssh-agent is behind `socket`."""
        self._folder = os.fsencode(folder)
        self._socket = os.fsencode(socket)
        self._turn = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None
        self._closed = False

    def papers(self) -> Papers:
        """Return who the person is; ConfigError or PeerError where that cannot be used.

        The child stays: a login comes next.
        """
        answer = self._ask(Read(folder=self._folder))
        assert isinstance(answer, Papers)
        return answer

    def sign_with(self, fingerprints: Collection[str], data: bytes, namespace: str) -> str:
        """Return the signature by one of the keys, and let the child go. Raises as `sshagent.Agent`."""
        keys = tuple(fingerprints)
        answer = self._ask(Sign(socket=self._socket, keys=keys, data=data, namespace=namespace))
        assert isinstance(answer, Signed)
        return answer.armoured

    def close(self) -> None:
        """Let the child go, whatever it is doing, and start no other: PeerError for whoever asks."""
        self._closed = True
        self._let_go()

    def _let_go(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            child.kill()
            child.wait()
            for pipe in (child.stdin, child.stdout):
                with contextlib.suppress(OSError):  # what it had not read yet is lost
                    if pipe:
                        pipe.close()

    def _ask(self, request: Read | Sign) -> Papers | Signed:
        with self._turn:
            answer = self._answer(request)
            if not isinstance(answer, Papers):
                self._let_go()
        if isinstance(answer, Failed):
            raise _error(answer)
        return answer

    def _answer(self, request: Read | Sign) -> Papers | Signed | Failed:
        if self._closed:
            raise _over()
        child = self._child = self._child or _started()
        assert child.stdin is not None
        assert child.stdout is not None
        line = b""
        # It has ended, or was let go meanwhile: then it says nothing.
        with contextlib.suppress(OSError, ValueError):
            if not self._closed:
                child.stdin.write(msgspec.json.encode(request) + b"\n")
                child.stdin.flush()
                line = child.stdout.readline()
        try:
            return msgspec.json.decode(line, type=Papers | Signed | Failed)
        except msgspec.DecodeError:
            self._let_go()
        if self._closed:
            raise _over()
        raise errors.NodeError(
            "the program that reads your identity and signs has ended",
            hint=f"run it by hand to see why: {' '.join(_COMMAND)}",
        )


def _started() -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(  # noqa: S603
            _COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
    except OSError as error:
        raise errors.NodeError(f"cannot start {sys.executable}: {error.strerror}") from None


def _over() -> errors.SentinelError:
    return errors.PeerError(
        "the connection ended before anything was signed",
        hint="read the incident again before you decide again",
    )


def _error(failed: Failed) -> errors.SentinelError:
    if failed.check:
        return errors.SignatureError(failed.what, check=failed.check, hint=failed.hint)
    kind: Callable[..., errors.SentinelError] = getattr(errors, failed.kind)
    return kind(failed.what, hint=failed.hint)
