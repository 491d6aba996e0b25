"""Between the two programs of a node: a plan goes over a Unix socket, and what became of it comes back.

    sentinel-agent                                  sentinel-exec
      Order(bundle, report)        ->
                                   <-               Word(admission)    refused: that was all
      (on record)  go on           ->
                                   <-               Word(result)       a command starts, or has ended
      (on record)  go on, or Enough ->                                 ... and so on for each
                                   <-               Word(finish)
      (on record)  go on           ->

Rules of this file:
  - A frame is four bytes of length and the canonical JSON of one value; "go on" is an empty frame.
  - Where a person has stopped the plan, the agent answers Enough instead: what has started has ended by
    then, and nothing more is started. So sentinel-exec is told in its turn, and never unasked.
  - Nothing goes on before the agent has said so, and the agent says so only when what it heard is on its
    disk. So a command starts only after its start is on record, whichever of the two is killed when.
  - The end of the connection is the end of the plan: sentinel-exec ends what runs.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct
import sys
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from sentinel import canonical, errors
from sentinel.domain import Admission, Bundle, CommandResult, Line, Report, Value
from sentinel.protocol import AGENT_MESSAGE_BYTES, Finish

FRAME_BYTES = (
    8 * AGENT_MESSAGE_BYTES
)  # canonical JSON inside of canonical JSON, every quote escaped
ENOUGH_BYTES = 8192
LEAVE_S = 5.0  # for sentinel-exec to end what runs, once the connection is closed
_LENGTH = struct.Struct(">I")
GO_ON = _LENGTH.pack(0)

_GONE = "sentinel-exec ended before it had answered"
_LOG = "its log says why: journalctl -u 'sentinel-exec@*', or the agent's own log"

V = TypeVar("V", bound=Value)


class Order(Value, frozen=True, kw_only=True):
    """What the agent hands over: the bundle as the hub carried it, and what this node had reported."""

    bundle: Bundle
    report: Report


class Word(Value, frozen=True, kw_only=True):
    """What sentinel-exec says: exactly one field is set."""

    admission: Admission | None = None
    result: CommandResult | None = None
    finish: Finish | None = None


class Enough(Value, frozen=True, kw_only=True):
    """What the agent says instead of "go on": nothing more is to start, and why."""

    reason: Line


def frame(value: Value) -> bytes:
    """Return `value` as it goes over the socket; WireError where it is too large."""
    data = canonical.encode(value)
    if len(data) > FRAME_BYTES:
        raise errors.WireError(f"{type(value).__name__} of {len(data)} bytes is too large")
    return _LENGTH.pack(len(data)) + data


def length(head: bytes) -> int:
    """Return the length that a frame's first four bytes say; WireError where it is over the limit."""
    size: int = _LENGTH.unpack(head)[0]
    if size > FRAME_BYTES:
        raise errors.WireError(f"a frame of {size} bytes is over the limit of {FRAME_BYTES}")
    return size


class Peer:
    """The end of sentinel-exec: blocking, for it does one thing at a time."""

    def __init__(self, sock: socket.socket) -> None:
        """Speak over `sock`."""
        self._sock = sock

    def fileno(self) -> int:
        """Return the descriptor, to be watched: the agent says nothing unasked, so it is its end."""
        return self._sock.fileno()

    def asked(self) -> bool:
        """Wait for the first byte; False where the agent has closed the connection without a word."""
        try:
            return bool(self._sock.recv(1, socket.MSG_PEEK))
        except OSError:
            return False

    def receive(self, kind: type[V]) -> V:
        """Return the next value. PeerError where the agent has gone, WireError where it is none."""
        return canonical.decode(kind, self._take(length(self._take(4))), limit=FRAME_BYTES)

    def tell(self, word: Word) -> str:
        """Say `word` and wait until it is on record; return why nothing more is to start, or "".

        PeerError where the agent does not want us to say anything more either.
        """
        try:
            self._sock.sendall(frame(word))
        except OSError as error:
            raise errors.PeerError(f"the agent has gone: {error.strerror}") from None
        size = length(self._take(4))
        if size > ENOUGH_BYTES:
            raise errors.WireError("the agent said something else than to go on")
        return canonical.decode(Enough, self._take(size), limit=ENOUGH_BYTES).reason if size else ""

    def _take(self, size: int) -> bytes:
        parts = bytearray()
        while len(parts) < size:
            try:
                part = self._sock.recv(min(size - len(parts), 65536))
            except OSError as error:
                raise errors.PeerError(f"the agent has gone: {error.strerror}") from None
            if not part:
                raise errors.PeerError("the agent has closed the connection")
            parts += part
        return bytes(parts)


class Connection:
    """The agent's end, to one sentinel-exec that runs one plan; closing it ends the plan."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        child: Process | None = None,
    ) -> None:
        """Speak over `reader` and `writer`; a `child` of our own is waited for at the end."""
        self._reader = reader
        self._writer = writer
        self._child = child

    @property
    def ended(self) -> bool:
        """Say whether the child has ended already."""
        return self._child is not None and self._child.returncode is not None

    async def __aenter__(self) -> Self:
        """Return itself, connected."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the connection, and see that a child of ours has ended."""
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()
        if self._child is not None:
            await _gone(self._child)

    async def send(self, order: Order) -> None:
        """Hand `order` over. PeerError where sentinel-exec has gone."""
        await self._write(frame(order))

    async def go_on(self, stopped: str = "") -> None:
        """Say that what was heard last is on record; and `stopped`, why nothing more is to start."""
        await self._write(frame(Enough(reason=stopped)) if stopped else GO_ON)

    async def _write(self, data: bytes) -> None:
        try:
            self._writer.write(data)
            await self._writer.drain()
        except OSError:
            raise errors.PeerError(_GONE, hint=_LOG) from None

    async def hear(self, within_s: float) -> Word:
        """Return the next word. PeerError where sentinel-exec has gone, or says nothing in time."""
        try:
            async with asyncio.timeout(within_s):
                size = length(await self._reader.readexactly(_LENGTH.size))
                data = await self._reader.readexactly(size)
        except TimeoutError:
            what = f"sentinel-exec has said nothing for {within_s:.0f} s"
            raise errors.PeerError(what, hint=_LOG) from None
        except (OSError, asyncio.IncompleteReadError):
            raise errors.PeerError(_GONE, hint=_LOG) from None
        return canonical.decode(Word, data, limit=FRAME_BYTES)


async def _gone(child: Process) -> None:
    """Wait for a child whose connection is closed; kill it where it does not go by itself."""
    try:
        async with asyncio.timeout(LEAVE_S):
            await child.wait()
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            child.kill()
        await child.wait()


class Executor:
    """Where the agent gets a sentinel-exec for each plan."""

    def __init__(self, path: Path | None, arguments: Sequence[str]) -> None:
        """`path` is the socket of systemd; None starts children of our own with `arguments`."""
        self._path = path
        self._arguments = arguments
        self._ready: Connection | None = None

    async def prepare(self) -> None:
        """Have a child ready before there is a plan: to start Python and to load the rules takes a while."""
        if self._path is None and (self._ready is None or self._ready.ended):
            await self.close()
            self._ready = await _start(self._arguments)

    async def connect(self) -> Connection:
        """Return a connection for one plan. NodeError where there is no sentinel-exec."""
        if self._path is not None:
            return await _connect(self._path)
        await self.prepare()
        ready, self._ready = self._ready, None
        if ready is None:
            raise errors.NodeError("no sentinel-exec could be started")
        return ready

    async def close(self) -> None:
        """End the child that waits for a plan."""
        if self._ready is not None:
            async with self._ready:
                self._ready = None


async def _connect(path: Path) -> Connection:
    try:
        reader, writer = await asyncio.open_unix_connection(path)
    except OSError as error:
        raise errors.NodeError(
            f"sentinel-exec cannot be reached at {path}: {error.strerror}",
            hint="systemctl status sentinel-exec.socket",
        ) from None
    return Connection(reader, writer)


async def _start(arguments: Sequence[str]) -> Connection:
    """Start a sentinel-exec of our own: the same program, with no more rights than ours."""
    ours, theirs = socket.socketpair()
    try:
        with theirs:
            child = await asyncio.create_subprocess_exec(
                sys.executable, "-P", "-m", "sentinel.agent.exec_main", *arguments,
                stdin=theirs.fileno(),
                stdout=DEVNULL,
                env={k: v for k, v in os.environ.items() if k != "NOTIFY_SOCKET"},
                start_new_session=True,
            )  # fmt: skip
        reader, writer = await asyncio.open_unix_connection(sock=ours)
    except OSError as error:
        ours.close()
        raise errors.NodeError(f"sentinel-exec cannot be started: {error.strerror}") from None
    return Connection(reader, writer, child)
