"""Stage 3, the hub's end: the agents' streams.

One stream per node. A letter is answered only after its commit; a letter that cannot be taken is
answered with the reason and the stream lives on. Each node has one bounded queue and one writer: a node
that does not read is cut, and comes back.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

import grpc
import msgspec

from sentinel import errors, protocol, rpc, wire
from sentinel.domain import Bundle, Host
from sentinel.hub import access, approve, callers, intake
from sentinel.hub.enrol import EnrolDoor
from sentinel.hub.notary import Notary
from sentinel.hub.persist import Store
from sentinel.trust import checkpoint

log = logging.getLogger(__name__)

QUEUE = 64
POLL_S = 5.0
REVOKED_S = 0.5  # a revoked node is cut within
FORGET_EVERY = 512  # letters of a stream: so often, and with its first, old ones are forgotten


class Site(msgspec.Struct, frozen=True, kw_only=True):
    """What the hub says of itself to every node."""

    name: str
    version: str
    policy: str
    heartbeat_s: int


class Session:
    """One attached node: its stream's context and what waits to be written."""

    def __init__(self, host: Host, serial: str, context: rpc.Context) -> None:
        """A new session; it replaces an older one of the same host."""
        self.host = host
        self.context = context
        self.serial = serial
        self.queue: asyncio.Queue[protocol.HubMessage] = asyncio.Queue(QUEUE)
        self.sent: set[str] = set()  # statements pushed on this stream, and challenges of stops
        self.seen: set[int] = set()  # sizes at which the node has seen the log
        # Those that went with plans. One that waits there still may be the last that sentinel-exec has
        # seen when it comes to the next, so the next is proved from there too.
        self.bundled: set[int] = set()
        self.shown = ""  # the last checkpoint pushed on this stream
        self.lock = asyncio.Lock()  # checkpoints are pushed in the order in which they were made
        self.refused = 0
        self.letters = 0
        self.ended = asyncio.Event()
        self.why = ""

    def push(self, message: protocol.HubMessage) -> None:
        """Queue a message; a node that does not read is cut rather than waited for."""
        try:
            self.queue.put_nowait(message)
        except asyncio.QueueFull:
            self.cut(f"{self.host} does not read what it is sent")

    def cut(self, why: str) -> None:
        """End the stream soon, and tell the node why."""
        log.info("node %s cut: %s", self.host, why, extra={"action": "node_cut"})
        self.why = self.why or why
        self.ended.set()


class AgentDoor:
    """The agents' service."""

    def __init__(
        self,
        store: Store,
        site: Site,
        clock: Callable[[], int],
        enrol: EnrolDoor,
        notary: Notary,
    ) -> None:
        """Serve over `store`; `clock` returns ms since the epoch; `enrol` answers renewals."""
        self._store = store
        self._notary = notary
        self._site = site
        self._clock = clock
        self._enrol = enrol
        self.sessions: dict[Host, Session] = {}

    def handler(self) -> rpc.Handler:
        """Return the handler to add to the server; bytes in and out, decoded here."""
        return grpc.method_handlers_generic_handler(
            protocol.AGENT_SERVICE,
            {
                protocol.ATTACH_RPC: grpc.stream_stream_rpc_method_handler(self.attach),
                protocol.RENEW_RPC: grpc.unary_unary_rpc_method_handler(self._enrol.renew),
            },
        )

    async def attach(self, _: object, context: rpc.Context) -> None:
        """Serve one node's stream from Attach to its end."""
        try:
            caller = callers.of(context)
            path = f"/{protocol.AGENT_SERVICE}/{protocol.ATTACH_RPC}"
            access.permit(path, caller, self._site.name, await self._store.revoked())
            first = await _hear(context)
            if first is None or first.attach is None:
                raise errors.WireError("a node's first message must be Attach")
        except errors.SentinelError as error:
            log.warning(
                "node refused: %s", errors.printable(error.what), extra={"action": "refused"}
            )
            await rpc.abort(context, error)
            return
        session = Session(Host(caller.name), caller.serial, context)
        older = self.sessions.get(session.host)
        self.sessions[session.host] = session
        if older is not None:
            older.cut("another stream of this host has taken its place")
        failures: list[errors.SentinelError] = []
        try:
            await self._serve(session, first.attach, caller.expires_ms)
        except* errors.SentinelError as group:
            failures.append(errors.first(group))
        finally:
            if self.sessions.get(session.host) is session:
                del self.sessions[session.host]
                await self._store.note_agent(
                    session.host, connected=False, last_seen_ms=self._clock()
                )
        if failures:
            await rpc.abort(context, failures[0])

    async def _serve(self, session: Session, attach: protocol.Attach, expires_ms: int) -> None:
        now_ms = self._clock()
        await self._store.note_agent(
            session.host,
            connected=True,
            last_seen_ms=now_ms,
            version=attach.version,
            mode=attach.mode,
            policy=attach.policy,
            certificate_expires_ms=expires_ms,
            clock_skew_ms=attach.sent_ms - now_ms,
        )
        session.push(
            protocol.HubMessage(
                hello=protocol.Hello(
                    version=self._site.version,
                    site=self._site.name,
                    policy=self._site.policy,
                    now_ms=now_ms,
                    heartbeat_s=self._site.heartbeat_s,
                )
            )
        )
        log.info("node %s attached", session.host, extra={"action": "node_attached"})
        session.seen = set(attach.seen)
        await self._show(session)
        await self.dispatch(session.host)
        async with asyncio.TaskGroup() as tasks:
            reader = tasks.create_task(self._read(session))
            others = [
                tasks.create_task(self._write(session)),
                tasks.create_task(self._poll(session)),
                tasks.create_task(session.ended.wait()),
            ]
            await asyncio.wait({reader, others[-1]}, return_when=asyncio.FIRST_COMPLETED)
            for task in (reader, *others):
                task.cancel()
        if session.why:
            raise errors.PeerError(f"the hub ended the stream: {session.why}")

    async def dispatch(self, host: Host) -> None:
        """Push what the node has not answered yet, at most once a stream: approved plans, and stops.

        From the reading to the last push it is one at a time, so that no plan can leave after its stop.
        """
        session = self.sessions.get(host)
        if session is None:
            return
        async with session.lock:
            carried = await approve.carried_to(self._store, host)
            for bundle in carried.bundles:
                if bundle.statement not in session.sent:
                    session.sent.add(bundle.statement)
                    session.push(protocol.HubMessage(bundle=await self._on_record(bundle, session)))
            for stop in carried.stops:
                if stop.challenge not in session.sent:
                    session.sent.add(stop.challenge)
                    session.push(protocol.HubMessage(stop=stop))

    async def _on_record(self, bundle: Bundle, session: Session) -> Bundle:
        """Return `bundle` with the proof that its approval is in the log.

        Where there is none it goes as it is: the node refuses it, and the operator reads why.
        """
        try:
            logged = await self._notary.logged(bundle, session.seen)
        except errors.StoreError as error:
            log.error("no proof for a plan: %s", error.what, extra={"action": "no_proof"})
            return bundle
        assert logged.log is not None
        self._pushed(session, logged.log.checkpoint)
        session.bundled.add(checkpoint.parse(logged.log.checkpoint).size)
        return logged

    async def _show(self, session: Session) -> None:
        """Push what the log is now, unless that was the last that was pushed."""
        async with session.lock:
            try:
                shown = await self._notary.witness(session.seen)
            except errors.StoreError as error:
                log.error("no checkpoint to show: %s", error.what, extra={"action": "no_proof"})
                return
            if shown.checkpoint != session.shown:
                session.push(protocol.HubMessage(witness=shown))
                self._pushed(session, shown.checkpoint)

    def _seen(self, session: Session, seen: protocol.Seen) -> None:
        """Keep what the next checkpoint must be proved to have grown from."""
        shown = {checkpoint.parse(session.shown).size} if session.shown else set()
        executed = min(seen, default=0)
        session.bundled = {size for size in session.bundled if size >= executed}
        session.seen = shown | session.bundled | set(seen)

    def _pushed(self, session: Session, note: str) -> None:
        session.shown = note
        session.seen.add(checkpoint.parse(note).size)

    async def watch_revocations(self) -> None:
        """Cut the streams of revoked certificates; new calls are refused by the access table."""
        while True:
            await asyncio.sleep(REVOKED_S)
            try:
                revoked = await self._store.revoked()
            except errors.StoreError as error:
                # The streams end by themselves where the database stays away; the hub does not.
                log.warning("%s", error.what, extra={"action": "store_unreachable"})
                continue
            for session in list(self.sessions.values()):
                if session.serial in revoked:
                    session.cut(f"the certificate of {session.host} was revoked")

    async def close(self) -> None:
        """Cut every stream: the hub stops, and the nodes will come back."""
        for session in list(self.sessions.values()):
            session.cut("the hub stops")

    async def _poll(self, session: Session) -> None:
        """The safety net under the nudges: another hub may have taken the decision."""
        while True:
            await asyncio.sleep(POLL_S)
            await self.dispatch(session.host)

    async def _write(self, session: Session) -> None:
        while True:
            message = await session.queue.get()
            await session.context.write(wire.encode(message))

    async def _read(self, session: Session) -> None:
        """Take messages until the node says goodbye or the stream ends."""
        while True:
            try:
                message = await _hear(session.context)
            except _Unreadable as fault:
                session.refused += 1
                log.warning(
                    "message of node %s refused: %s",
                    session.host,
                    errors.printable(str(fault)),
                    extra={"action": "message_refused"},
                )
                session.push(_receipt(fault.letter, str(fault)))
                continue
            if message is None or message.goodbye is not None:
                return
            await self._take(session, message)

    async def _take(self, session: Session, message: protocol.AgentMessage) -> None:
        now_ms = self._clock()
        if message.heartbeat is not None:
            await self._store.note_agent(
                session.host,
                connected=True,
                last_seen_ms=now_ms,
                clock_skew_ms=message.heartbeat.sent_ms - now_ms,
                gauges=message.heartbeat.gauges,
            )
            self._seen(session, message.heartbeat.seen)
            await self._show(session)
        elif message.letter is not None:
            session.letters += 1
            try:
                if session.letters % FORGET_EVERY == 1:
                    await intake.forget(self._store, session.host)
                await intake.take(self._store, session.host, message.letter, now_ms)
                session.push(_receipt(message.letter.id, ""))
            except errors.StoreError:
                # Not the letter's fault: end the stream, the node keeps the letter and comes back.
                raise
            except errors.SentinelError as error:
                session.refused += 1
                session.push(_receipt(message.letter.id, error.what))


class _Unreadable(Exception):
    """A message within gRPC's limit that breaks ours; `letter` is its id where one can be read."""

    def __init__(self, letter: str, reason: str) -> None:
        super().__init__(reason)
        self.letter = letter


def _receipt(letter: str, reason: str) -> protocol.HubMessage:
    return protocol.HubMessage(receipt=protocol.Receipt(letter=letter, reason=reason[:1024]))


async def _hear(context: rpc.Context) -> protocol.AgentMessage | None:
    """Return the node's next message, None at the end of the stream."""
    data: object = await context.read()
    if not isinstance(data, bytes):
        return None
    try:
        return wire.decode(protocol.AgentMessage, data, limit=protocol.AGENT_MESSAGE_BYTES)
    except errors.WireError as error:
        raise _Unreadable(wire.letter_id(data), error.what) from None
