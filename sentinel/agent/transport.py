"""Stage 3, the node's end: the outbox goes to the hub over one stream, and plans come back on it.

The node dials; nothing listens on the host. The outbox on disk is the truth: a letter leaves it only
when the hub's receipt says that it is committed, so a cut, a crash or a restart on either side costs
at most a repetition, which the hub recognises by the letter's id.
"""

from __future__ import annotations

import asyncio
import logging
import math
import random
import time
from collections.abc import Awaitable, Callable

import grpc
import grpc.aio
import msgspec

from sentinel import errors, human, process, protocol, rpc, wire
from sentinel.agent.store import Store
from sentinel.domain import Bundle
from sentinel.trust.identity import Credentials

log = logging.getLogger(__name__)

WINDOW = 64  # letters in flight before the hub has answered the first of them
FIRST_RETRY_S = 0.5
LAST_RETRY_S = 30.0
HELLO_TIMEOUT_S = 15.0

_CLOSED = "the hub closed the stream"

Stream = grpc.aio.StreamStreamCall


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """What the link asks of the rest of the agent."""

    attach: Callable[[], protocol.Attach]
    heartbeat: Callable[[], protocol.Heartbeat]
    bundle: Callable[[Bundle], Awaitable[None]]  # must return at once: it only queues
    witness: Callable[[protocol.Witness], None]
    stop: Callable[[protocol.Stop], None]
    credentials: Callable[[], Credentials]  # read anew for each dial: they are renewed


class Link:
    """The node's connection to its hub, kept up for as long as `run` runs."""

    def __init__(self, store: Store, node: Node, address: str) -> None:
        """`address` overrides where the invite said the hub is; empty keeps it."""
        self._store = store
        self._node = node
        self._address = address
        self._fresh = asyncio.Event()  # there may be something new in the outbox
        self._attached_s = math.inf  # when the hub said Hello, of time.monotonic()
        self._skewed = False
        self.connected = False

    def nudge(self) -> None:
        """Say that a letter has been put into the outbox."""
        self._fresh.set()

    async def run(self) -> None:
        """Keep the stream up until cancelled. What is wrong is logged once per kind of failure."""
        delay, said = FIRST_RETRY_S, ""
        while True:
            self._attached_s = math.inf
            try:
                await self._connection()
            except errors.SentinelError as error:
                # Before Python 3.13 a task group that ends by an error forgets that its task is to end.
                if (task := asyncio.current_task()) is not None and task.cancelling():
                    raise asyncio.CancelledError from None
                # After a stream that has lasted, this is a new failure, not one more of the same.
                if time.monotonic() - self._attached_s > LAST_RETRY_S:
                    delay, said = FIRST_RETRY_S, ""
                if error.what != said:
                    log.warning(
                        "hub not reached: %s",
                        errors.printable(errors.in_one_line(error)),
                        extra={"action": "hub_unreachable"},
                    )
                said = error.what
            # Full jitter: ten thousand nodes must not come back in the same second.
            await asyncio.sleep(random.uniform(0, delay))  # noqa: S311
            delay = min(delay * 2, LAST_RETRY_S)

    async def _connection(self) -> None:
        """Attach once and serve the stream until it ends, which is always by an error."""
        credentials = self._node.credentials()
        address = self._address or credentials.address.hub
        async with rpc.channel(
            address, credentials.authority, credentials.hub, credentials.pair
        ) as channel:
            path = f"/{protocol.AGENT_SERVICE}/{protocol.ATTACH_RPC}"
            stream: Stream[bytes, bytes] = channel.stream_stream(path, None, None)(None)
            try:
                hello = await self._attach(stream)
                await self._serve(stream, hello)
            except grpc.aio.AioRpcError as error:
                raise rpc.rejected(error, address) from None
            finally:
                self.connected = False
                stream.cancel()

    async def _attach(self, stream: Stream[bytes, bytes]) -> protocol.Hello:
        """Say who we are; the node counts as attached only once the hub has said Hello."""
        await _say(stream, protocol.AgentMessage(attach=self._node.attach()))
        try:
            async with asyncio.timeout(HELLO_TIMEOUT_S):
                answer = await _hear(stream)
        except TimeoutError:
            raise errors.PeerError("the hub took the connection but said no Hello") from None
        if answer is None or answer.hello is None:
            raise errors.PeerError("the hub ended the stream without a Hello")
        self.connected = True
        self._attached_s = time.monotonic()
        self._compare_clocks(process.now_ms() - answer.hello.now_ms)
        log.info(
            "attached to %s (site %s)",
            errors.printable(answer.hello.version),
            errors.printable(answer.hello.site),
            extra={"action": "attached"},
        )
        return answer.hello

    def _compare_clocks(self, ahead_ms: int) -> None:
        """Log that the clocks differ, once until they have agreed again."""
        skewed = abs(ahead_ms) > protocol.SKEW_MS // 2
        if skewed and not self._skewed:
            log.warning(
                "this host's clock is %s %s the hub's: decisions are refused as too early or too late; set it"
                " (timedatectl set-ntp true)",
                human.duration(abs(ahead_ms)),
                "ahead of" if ahead_ms > 0 else "behind",
                extra={"action": "clock_skew"},
            )
        self._skewed = skewed

    async def _serve(self, stream: Stream[bytes, bytes], hello: protocol.Hello) -> None:
        """Run reader, outbox and heartbeat until the first of them ends; one lock, one writer."""
        lock = asyncio.Lock()
        window = asyncio.Semaphore(WINDOW)

        async def say(message: protocol.AgentMessage) -> None:
            async with lock:
                await _say(stream, message)

        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._send_outbox(say, window))
                tasks.create_task(self._send_heartbeats(say, hello.heartbeat_s))
                await self._receive(stream, window)
                # By an error, because a group that ends in peace cancels this task where one of its own
                # fails just then, and before Python 3.13 for good: `run` would take it for its end.
                raise errors.PeerError(_CLOSED)
        except ExceptionGroup as group:
            # What the hub says may be garbage, and the disk may be full: this connection ends for it,
            # the agent does not.
            fault = errors.first(group)
            if isinstance(fault, asyncio.InvalidStateError):
                fault = await _ended(stream)
            raise fault from None

    async def _send_outbox(
        self, say: Callable[[protocol.AgentMessage], Awaitable[None]], window: asyncio.Semaphore
    ) -> None:
        """Send every letter in order, oldest first, and then each as it is put."""
        after = 0
        while True:
            self._fresh.clear()
            for seq, letter in self._store.pending(after=after, limit=WINDOW):
                await window.acquire()
                await say(protocol.AgentMessage(letter=letter))
                after = seq
            if not self._store.pending(after=after, limit=1):
                await self._fresh.wait()

    async def _send_heartbeats(
        self, say: Callable[[protocol.AgentMessage], Awaitable[None]], interval_s: int
    ) -> None:
        while True:
            await say(protocol.AgentMessage(heartbeat=self._node.heartbeat()))
            await asyncio.sleep(interval_s)

    async def _receive(self, stream: Stream[bytes, bytes], window: asyncio.Semaphore) -> None:
        """Take receipts, plans and stops until the hub ends the stream."""
        while (message := await _hear(stream)) is not None:
            if message.receipt is not None:
                self._settle(message.receipt)
                window.release()
            elif message.bundle is not None:
                await self._node.bundle(message.bundle)
            elif message.witness is not None:
                self._node.witness(message.witness)
            elif message.stop is not None:
                self._node.stop(message.stop)

    def _settle(self, receipt: protocol.Receipt) -> None:
        if not receipt.reason:
            self._store.settle(receipt.letter)
            return
        log.error(
            "the hub refused letter %s: %s",
            receipt.letter,
            errors.printable(receipt.reason),
            extra={"action": "letter_refused"},
        )
        self._store.refuse(receipt.letter, receipt.reason)


async def _say(stream: Stream[bytes, bytes], message: protocol.AgentMessage) -> None:
    await stream.write(wire.encode(message))


async def _ended(stream: Stream[bytes, bytes]) -> Exception:
    """Return why a stream has ended to which a task of ours wrote after its end."""
    code = await stream.code()
    if code in (grpc.StatusCode.OK, grpc.StatusCode.CANCELLED):
        return errors.PeerError(_CLOSED)
    none = grpc.aio.Metadata()
    return grpc.aio.AioRpcError(code, none, none, await stream.details(), None)


async def _hear(stream: Stream[bytes, bytes]) -> protocol.HubMessage | None:
    """Return the hub's next message, None at the end of the stream.

    A message that does not decode ends the connection: the hub is of another version, or hostile.
    """
    data = await stream.read()
    if not isinstance(data, bytes):
        return None
    return wire.decode(protocol.HubMessage, data, limit=protocol.HUB_MESSAGE_BYTES)
