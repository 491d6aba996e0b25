"""What flows between the stages of a command: descriptors, redirections and bounded output.

Output beyond the cap is read and thrown away: a full pipe must not stop a command half way.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from sentinel.errors import NodeError
from sentinel.policy import grammar
from sentinel.policy.grammar import Simple

OUTPUT_BYTES = 64 * 1024  # kept of each of stdout and stderr


class Sink:
    """Keeps the head of what is read, and counts the rest."""

    def __init__(self) -> None:
        """Start empty."""
        self._kept = b""
        self.lost = 0

    def take(self, data: bytes) -> None:
        """Keep as much of `data` as there is room for."""
        room = OUTPUT_BYTES - len(self._kept)
        self._kept += data[:room]
        self.lost += max(0, len(data) - room)

    def text(self) -> str:
        """Return at most OUTPUT_BYTES of UTF-8; what had to go for that is counted as lost.

        Control characters are data and stay, but NUL, which no database takes, is shown as `\\x00`.
        """
        while (size := len(self._shown().encode())) > OUTPUT_BYTES:
            # A bad byte takes three when it is replaced, a NUL four.
            fits = len(self._kept) * OUTPUT_BYTES // size
            self.lost += len(self._kept) - fits
            self._kept = self._kept[:fits]
        return self._shown()

    def _shown(self) -> str:
        return self._kept.decode("utf-8", "replace").replace("\0", "\\x00")


class Reader:
    """Reads a pipe to its end into a sink, whatever the tasks are doing meanwhile."""

    def __init__(self, descriptor: int, sink: Sink) -> None:
        """Own `descriptor` from now on, and read whenever the loop sees something in it."""
        self._descriptor = descriptor
        self._sink = sink
        self.ended = asyncio.Event()
        os.set_blocking(descriptor, False)
        asyncio.get_running_loop().add_reader(descriptor, self._read)

    def _read(self) -> None:
        try:
            data = os.read(self._descriptor, OUTPUT_BYTES)
        except BlockingIOError:
            return
        self._sink.take(data)
        if not data:
            self.close()

    def close(self) -> None:
        """Stop reading; at the end of the pipe it has happened already."""
        if not self.ended.is_set():
            asyncio.get_running_loop().remove_reader(self._descriptor)
            os.close(self._descriptor)
            self.ended.set()


class Pipes:
    """The descriptors of one pipeline: one pipe between two stages, one for stdout, one for stderr."""

    def __init__(self, stages: int) -> None:
        """Open what `stages` stages need; all of it is closed at the end of `with`."""
        self._open: set[int] = set()
        self._between = [self._pipe() for _ in range(stages - 1)]
        self._stdout = self._pipe()
        self._stderr = self._pipe()

    def __enter__(self) -> Pipes:
        return self

    def __exit__(self, *_: object) -> None:
        self._close(list(self._open))

    def readers(self, stdout: Sink, stderr: Sink) -> tuple[Reader, Reader]:
        """Return who reads the ends; they close them."""
        self._open -= {self._stdout[0], self._stderr[0]}
        return Reader(self._stdout[0], stdout), Reader(self._stderr[0], stderr)

    def of(self, stage: int) -> list[int]:
        """Return [stdin, stdout, stderr] of a stage; -1 is /dev/null."""
        first, last = stage == 0, stage == len(self._between)
        stdin = -1 if first else self._between[stage - 1][0]
        stdout = self._stdout[1] if last else self._between[stage][1]
        return [stdin, stdout, self._stderr[1]]

    def close_children(self) -> None:
        """Close what only the children need, or no reader would ever see the end."""
        self._close(list(self._open))

    def _pipe(self) -> tuple[int, int]:
        ends = os.pipe2(os.O_CLOEXEC)
        self._open.update(ends)
        return ends

    def _close(self, descriptors: Iterable[int]) -> None:
        for descriptor in descriptors:
            self._open.discard(descriptor)
            os.close(descriptor)


@contextmanager
def redirected(command: Simple, fds: list[int]) -> Iterator[list[int]]:
    """Apply the redirections to [stdin, stdout, stderr] in order, as a shell does."""
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    try:
        now = [null if fd == -1 else fd for fd in fds]
        for redirect in command.redirects:
            match redirect.op, redirect.target:
                case "dup", int() as target:
                    now[redirect.fd] = now[target]
                case "&>", grammar.NULL:
                    now[1] = now[2] = null
                case ((">" | ">>" | "<"), grammar.NULL):
                    now[redirect.fd] = null
                case _:
                    raise NodeError(
                        f"redirection {redirect.op} {redirect.target} is never executed"
                    )
        yield now
    finally:
        os.close(null)
