"""The hub, seen from the terminal: it is watched, asked and answered through messages only.

No widget calls gRPC. `Client.run` follows the hub for as long as the program lives: it lists, watches,
and after a loss dials again with growing patience and takes up from the revision it has. Requests go in
through `ask`, and every one of them comes back as exactly one `Answered` or `Refused`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from textual.message import Message

from sentinel import errors, protocol
from sentinel.domain import Value
from sentinel.tui.port import Connect, Port
from sentinel.tui.window import Window

WAITING = 64  # requests that may wait
SILENCE_S = 20.0  # the hub gives a sign of life every 5 s; then the connection is only a pretence
BACKOFF_S = (0.3, 0.6, 1.2, 2.5, 5.0, 10.0)


@dataclass
class Listed(Message):
    """The first page of the hub's list."""

    request: protocol.ListRequest
    page: protocol.Page


@dataclass
class Updated(Message):
    """One update of the watch."""

    update: protocol.Update


@dataclass
class Lost(Message):
    """The hub is away; it is tried again in `retry_s`."""

    error: errors.SentinelError
    retry_s: float
    attempt: int


@dataclass
class Unusable(Message):
    """What the operator has set up cannot lead to any hub: it is no use to go on."""

    error: errors.ConfigError


@dataclass
class Answered(Message):
    """The hub's reply to a request."""

    request: Value
    reply: Value


@dataclass
class Refused(Message):
    """A request that the hub refused, or that never reached it."""

    request: Value
    error: errors.SentinelError


class Client:
    """Follows one hub and posts what it says."""

    def __init__(
        self,
        connect: Connect,
        post: Callable[[Message], object],
        revision: Callable[[], int],
    ) -> None:
        """`connect` is called for every attempt; `revision` says from where to watch after a loss."""
        self._connect = connect
        self._post = post
        self._revision = revision
        self._port: Port | None = None
        self._requests: asyncio.Queue[Value] = asyncio.Queue(WAITING)

    def ask(self, request: Value) -> None:
        """Send `request`; its answer comes as a message."""
        try:
            self._requests.put_nowait(request)
        except asyncio.QueueFull:
            error = errors.PeerError("too many requests are waiting for the hub", hint="try again")
            self._post(Refused(request, error))

    async def run(self) -> None:
        """Follow the hub and serve requests until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow())
            while True:
                request = await self._requests.get()
                group.create_task(self._answer(request))

    async def _answer(self, request: Value) -> None:
        if self._port is None:
            error = errors.PeerError("the hub is away", hint="it is being dialled again")
            self._post(Refused(request, error))
            return
        try:
            reply = await self._port.call(request)
        except errors.SentinelError as failure:
            self._post(Refused(request, failure))
        except asyncio.CancelledError:
            # Closing a channel cancels its calls. The hub may or may not have acted on this one.
            lost = errors.PeerError(
                "the connection ended before the hub answered",
                hint="read the incident again before you decide again",
            )
            self._post(Refused(request, lost))
            raise
        else:
            self._post(Answered(request, reply))

    async def _follow(self) -> None:
        attempt = 0
        while True:
            error, heard = await self._session()
            if isinstance(error, errors.ConfigError):
                self._post(Unusable(error))
                return
            attempt = 0 if heard else min(attempt + 1, len(BACKOFF_S) - 1)
            retry_s = BACKOFF_S[attempt]
            self._post(Lost(error, retry_s, attempt))
            await asyncio.sleep(retry_s)

    async def _session(self) -> tuple[errors.SentinelError, bool]:
        """Follow the hub over one connection; return why that ended and whether the hub ever spoke."""
        heard = False
        try:
            async with contextlib.AsyncExitStack() as stack:
                port = await self._connect()
                stack.push_async_callback(port.close)
                since = await self._list(port)
                self._port = port
                updates = aiter(port.watch(since))
                while True:
                    async with asyncio.timeout(SILENCE_S):
                        update = await anext(updates)
                    heard = True
                    self._post(Updated(update))
        except errors.SentinelError as failure:
            return failure, heard
        except TimeoutError:
            return errors.PeerError(f"the hub has been silent for {SILENCE_S:.0f} s"), heard
        except StopAsyncIteration:
            return errors.PeerError("the hub closed the watch"), heard
        finally:
            self._port = None

    async def _list(self, port: Port) -> int:
        """Post the head of the list and return the revision to watch from.

        After a loss there is nothing to list: the watch itself brings what was missed. A first call is
        made all the same: it may log in, and a token may wait for its touch longer than SILENCE_S.
        """
        since = self._revision()
        if since:
            await port.call(protocol.StatusRequest())
            return since
        request = Window().edge(-1)
        page = cast("protocol.Page", await port.call(request))
        self._post(Listed(request, page))
        return page.revision
