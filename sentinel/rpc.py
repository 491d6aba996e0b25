"""The door to gRPC: channels, servers, their options, and errors on their way across.

The options are not gRPC's defaults; each was measured to matter: with the default
`max_pending_requests` 1.5-18 % of 5,000 agents that reconnect at once are lost, `keepalive_timeout_ms`
alone notices a hung peer after 61 s instead of 2 s, `so_reuseport` lets a second hub share the port
unnoticed, and `bdp_probe` costs 41 % of the hub's processor time.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeAlias, TypeVar, cast

import grpc
import grpc.aio
import msgspec

from sentinel import canonical, errors, protocol, wire
from sentinel.domain import Signature, Value

if TYPE_CHECKING:
    from sentinel.trust import x509
    from sentinel.trust.hand import Papers

T = TypeVar("T")
V = TypeVar("V", bound=Value)
Context: TypeAlias = "grpc.aio.ServicerContext[bytes, bytes]"
Handler: TypeAlias = "grpc.GenericRpcHandler[bytes, bytes]"

LOGIN_S = 10.0

# What gRPC itself lets in. Our own limits are lower; in between, a message is refused by name and the
# stream lives on, beyond it gRPC ends the stream.
HARD_LIMIT_BYTES = 4 * protocol.AGENT_MESSAGE_BYTES

SERVER_OPTIONS: list[tuple[str, int]] = [
    ("grpc.so_reuseport", 0),
    ("grpc.server.max_pending_requests", 200_000),
    ("grpc.server.max_pending_requests_hard_limit", 200_000),
    ("grpc.http2.bdp_probe", 0),
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.http2.ping_timeout_ms", 20_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_ping_interval_without_data_ms", 30_000),
    ("grpc.max_receive_message_length", HARD_LIMIT_BYTES),
    ("grpc.max_connection_age_ms", 86_400_000),
    ("grpc.max_connection_age_grace_ms", 30_000),
    ("grpc.max_concurrent_streams", 8),
]

CHANNEL_OPTIONS: list[tuple[str, int]] = [
    ("grpc.enable_http_proxy", 0),  # nothing from the environment decides where we connect
    ("grpc.http2.bdp_probe", 0),
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.max_receive_message_length", protocol.OPERATOR_MESSAGE_BYTES),
    ("grpc.initial_reconnect_backoff_ms", 500),
    ("grpc.max_reconnect_backoff_ms", 5_000),
]


def channel(
    address: str, authority: bytes, hub: str, pair: x509.Pair | Papers | None
) -> grpc.aio.Channel:
    """Return a TLS channel to the hub at `address`; without a `pair` only enrolment will answer.

    Who answers must be the `hub` of this CA's site (`x509.hub_name`), whatever its address.
    """
    credentials = grpc.ssl_channel_credentials(
        authority, pair.key if pair else None, pair.certificate if pair else None
    )
    name = [("grpc.ssl_target_name_override", hub)]
    return grpc.aio.secure_channel(address, credentials, options=[*CHANNEL_OPTIONS, *name])


def server() -> grpc.aio.Server:
    """Return a server with the options above; the caller adds its port and handlers."""
    return grpc.aio.server(options=SERVER_OPTIONS)


def listen(
    target: grpc.aio.Server, address: str, pair: Callable[[], x509.Pair], authority: bytes | None
) -> int:
    """Bind `target` to `address` and return the port.

    `pair` is asked at every handshake, so that the hub's own certificate is renewed without a restart.
    With an `authority` every client must show a certificate of it (mutual TLS); None is for enrolment.
    Raises PeerError where the address cannot be bound.
    """

    def configuration() -> grpc.ServerCertificateConfiguration:
        current = pair()
        return grpc.ssl_server_certificate_configuration(
            [(current.key, current.certificate)], authority
        )

    credentials = grpc.dynamic_ssl_server_credentials(
        configuration(), configuration, require_client_authentication=authority is not None
    )
    try:
        return target.add_secure_port(address, credentials)
    except RuntimeError:
        raise errors.PeerError(
            f"cannot listen on {address}: the port is in use or the address is not of this machine",
            hint="stop the other program (ss -ltnp shows it), or set another host or port in hub.toml",
        ) from None


def listen_unix(
    target: grpc.aio.Server, path: Path, pair: Callable[[], x509.Pair], authority: bytes
) -> None:
    """Bind `target` to the Unix socket at `path` too, for the owner's group: the same TLS, no port.

    Raises PeerError where it cannot be bound.
    """
    if not path.parent.is_dir():
        raise errors.PeerError(f"cannot listen on {path}: {path.parent} is not a directory")
    listen(target, f"unix:{path}", pair, authority)
    path.chmod(0o660)


SESSION_KEY = "sentinel-session"  # of the metadata


def session_token(context: Context) -> str:
    """Return the token of the session that the caller says it has, or an empty text."""
    found = [value for key, value in context.invocation_metadata() or () if key == SESSION_KEY]
    return found[0] if len(found) == 1 and isinstance(found[0], str) else ""


_STATUS: list[tuple[type[errors.SentinelError], grpc.StatusCode]] = [
    (errors.ConflictError, grpc.StatusCode.ABORTED),
    (errors.OperatorError, grpc.StatusCode.FAILED_PRECONDITION),
    (errors.WireError, grpc.StatusCode.INVALID_ARGUMENT),
    (errors.LoginError, grpc.StatusCode.UNAUTHENTICATED),
    (errors.PeerError, grpc.StatusCode.PERMISSION_DENIED),
    (errors.SentinelError, grpc.StatusCode.UNAVAILABLE),
]

Unary = Callable[[bytes, Context], Awaitable[bytes]]


async def abort(context: Context, error: errors.SentinelError) -> None:
    """End the call with the status that `error` maps to; what and hint cross as the details."""
    status = next(code for kind, code in _STATUS if isinstance(error, kind))
    await context.abort(status, f"{error.what}\n{error.hint}".strip())


def rejected(error: grpc.aio.AioRpcError, address: str) -> errors.SentinelError:
    """Return the error tree's leaf for a call that the other end refused or never received."""
    what, _, hint = (error.details() or "").partition("\n")
    match error.code():
        case grpc.StatusCode.ABORTED:
            return errors.ConflictError(what, hint=hint)
        case grpc.StatusCode.FAILED_PRECONDITION | grpc.StatusCode.INVALID_ARGUMENT:
            return errors.OperatorError(what, hint=hint)
        case grpc.StatusCode.UNAUTHENTICATED:
            return errors.LoginError(what, hint=hint)
        case grpc.StatusCode.PERMISSION_DENIED:
            return errors.PeerError(what, hint=hint)
        case grpc.StatusCode.UNAVAILABLE | grpc.StatusCode.DEADLINE_EXCEEDED:
            return errors.PeerError(
                f"no answer from the hub at {address}: {what or 'timed out'}",
                hint=hint
                or "is sentinel-hub running there, and was this certificate issued by its CA?",
            )
        case code:
            return errors.PeerError(f"the hub at {address} answered {code.name}: {what}", hint=hint)


class Hand(Protocol):
    """What signs for a person: `tui.hand.Child`."""

    def sign_with(self, fingerprints: Collection[str], data: bytes, namespace: str) -> str:
        """Return the armoured signature by one of the keys; it may wait for the person."""

    def close(self) -> None:
        """Sign no more: nobody waits for it."""


class OperatorsClient:
    """The operators' service, seen from the terminal and from scripts: values in, values out.

    It logs in by itself, whenever the hub asks for it, and signs a decision that is not signed yet:
    the very bytes of the statement that it is given.
    """

    def __init__(
        self, connection: grpc.aio.Channel, address: str, person: Papers, hand: Hand
    ) -> None:
        """Speak over `connection` for `person`; `address` is only for messages to people."""
        self._channel = connection
        self._address = address
        self._person = person
        self._hand = hand
        self._session: protocol.Session | None = None
        self._logging_in = asyncio.Lock()
        self._by_request = {
            request: (f"/{protocol.OPERATORS_SERVICE}/{name}", reply)
            for name, (request, reply, _) in protocol.OPERATORS.items()
        }

    async def call(self, request: Value, *, timeout_s: float = 10) -> Value:
        """Return the reply to `request`; the RPC is the one that takes a request of its type.

        Raises OperatorError (with ConflictError) where the hub refuses, PeerError where it is away.
        """
        session = await self._in_session(None)
        if isinstance(request, protocol.DecideRequest) and not request.signatures:
            request = await self._signed(request, session)
        try:
            return await self._ask(request, timeout_s, session)
        except errors.LoginError:
            return await self._ask(request, timeout_s, await self._in_session(session))

    async def watch(self, since: int) -> AsyncIterator[protocol.Update]:
        """Yield every update after revision `since`, until the connection ends (PeerError)."""
        path, _ = self._by_request[protocol.WatchRequest]
        session = await self._in_session(None)
        stream = self._channel.unary_stream(path, None, None)(
            wire.encode(protocol.WatchRequest(since=since)), metadata=_with(session)
        )
        try:
            async for data in stream:
                yield wire.decode(protocol.Update, data, limit=protocol.OPERATOR_MESSAGE_BYTES)
        except grpc.aio.AioRpcError as error:
            failure = rejected(error, self._address)
            # A call may have logged in again meanwhile: each login may ask a person to touch a token.
            if isinstance(failure, errors.LoginError) and self._session is session:
                self._session = None
            raise failure from None
        finally:
            stream.cancel()
        raise errors.PeerError(f"the hub at {self._address} closed the stream")

    async def close(self) -> None:
        """Close the connection, and let the hand go."""
        self._hand.close()
        await self._channel.close(None)

    async def _ask(
        self, request: Value, timeout_s: float, session: protocol.Session | None
    ) -> Value:
        path, reply = self._by_request[type(request)]
        try:
            data = await self._channel.unary_unary(path, None, None)(
                wire.encode(request), timeout=timeout_s, metadata=_with(session)
            )
        except grpc.aio.AioRpcError as error:
            raise rejected(error, self._address) from None
        except grpc.aio.UsageError:
            # It was closed while this call waited: for a login, for a touch.
            raise errors.PeerError(
                "the connection ended before the hub was asked", hint="it is being dialled again"
            ) from None
        return wire.decode(reply, data, limit=protocol.OPERATOR_MESSAGE_BYTES)

    async def _in_session(self, over: protocol.Session | None) -> protocol.Session:
        """Return the session, a new one where there is none or it is the one that is `over`."""
        async with self._logging_in:
            if self._session is None or self._session is over:
                self._session = await self._login()
            return self._session

    async def _login(self) -> protocol.Session:
        asked = await self._ask(protocol.ChallengeRequest(), LOGIN_S, None)
        challenge = cast("protocol.LoginChallenge", asked)
        # What is signed names what this program believes, not what the hub says that it is.
        statement = canonical.encode(
            protocol.LoginStatement(
                challenge=challenge.challenge,
                site=self._person.site,
                authority=canonical.digest(self._person.authority),
                serial=self._person.serial,
                operator=self._person.name,
            )
        )
        signature = await self._sign(challenge.keys, statement, protocol.LOGIN)
        request = protocol.LoginRequest(statement=statement.decode(), signature=signature)
        return cast("protocol.Session", await self._ask(request, LOGIN_S, None))

    async def _signed(
        self, request: protocol.DecideRequest, session: protocol.Session
    ) -> protocol.DecideRequest:
        signature = await self._sign(session.keys, request.statement.encode(), protocol.DECISION)
        return msgspec.structs.replace(request, signatures=(signature,))

    async def _sign(self, keys: tuple[str, ...], data: bytes, namespace: str) -> Signature:
        """Let the person's hand sign: a token may wait for its touch, and the person may leave instead."""
        sshsig = await _unheld(lambda: self._hand.sign_with(keys, data, namespace))
        return Signature(signer=self._person.name, sshsig=sshsig)


def operators(papers: Papers, hand: Hand, address: str = "") -> OperatorsClient:
    """Return a client for the person of `papers`, at the hub that they know or at `address`; `hand` signs."""
    where = address or papers.address
    connection = channel(where, papers.authority, papers.hub, papers)
    return OperatorsClient(connection, where, papers, hand)


async def _unheld(work: Callable[[], T]) -> T:
    """Return what `work` returns or raises, in a thread that nobody waits for once this is cancelled.

    `asyncio.to_thread` would hold the program's end until the call is over.
    """
    done: Future[T] = Future()

    def run() -> None:
        if not done.set_running_or_notify_cancel():
            return
        try:
            done.set_result(work())
        except Exception as error:  # noqa: BLE001  (whoever awaits it gets it)
            done.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return await asyncio.wrap_future(done)


def _with(session: protocol.Session | None) -> tuple[tuple[str, str], ...]:
    return ((SESSION_KEY, session.token),) if session else ()


async def enrol(
    address: str, authority: bytes, hub: str, request: protocol.JoinRequest
) -> protocol.Certificate:
    """Return the first certificate from the enrolment door of `hub` (`x509.hub_name`)."""
    async with channel(address, authority, hub, None) as connection:
        call = connection.unary_unary(f"/{protocol.ENROL_SERVICE}/{protocol.JOIN_RPC}", None, None)
        try:
            data = await call(wire.encode(request), timeout=10)
        except grpc.aio.AioRpcError as error:
            raise rejected(error, address) from None
    return wire.decode(protocol.Certificate, data, limit=protocol.HUB_MESSAGE_BYTES)
