"""The door to gRPC: channels, servers, their options, and errors on their way across.

The options are not gRPC's defaults; each was measured to matter: with the default
`max_pending_requests` 1.5-18 % of 5,000 agents that reconnect at once are lost, `keepalive_timeout_ms`
alone notices a hung peer after 61 s instead of 2 s, `so_reuseport` lets a second hub share the port
unnoticed, and `bdp_probe` costs 41 % of the hub's processor time.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeAlias, TypeVar

import grpc
import grpc.aio

from sentinel import errors, protocol, wire
from sentinel.domain import Value
from sentinel.trust import x509

V = TypeVar("V", bound=Value)
Context: TypeAlias = "grpc.aio.ServicerContext[bytes, bytes]"
Handler: TypeAlias = "grpc.GenericRpcHandler[bytes, bytes]"

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


def channel(address: str, authority: bytes, pair: x509.Pair | None) -> grpc.aio.Channel:
    """Return a TLS channel to the hub at `address`; without a `pair` only enrolment will answer."""
    credentials = grpc.ssl_channel_credentials(
        authority, pair.key if pair else None, pair.certificate if pair else None
    )
    return grpc.aio.secure_channel(address, credentials, options=CHANNEL_OPTIONS)


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


class Caller(Value, frozen=True, kw_only=True):
    """Who TLS says is calling: the identity in the certificate and the certificate's serial."""

    role: x509.Role
    name: str
    site: str
    serial: str
    expires_ms: int


def caller(context: Context) -> Caller:
    """Return who is calling, from the verified certificate's single URI; never from the common name.

    Raises PeerError where there is no certificate of ours.
    """
    found = list(context.auth_context().get("x509_pem_cert", []))
    if len(found) != 1:
        raise errors.PeerError("no client certificate", hint="enrol with `sentinel-hub invite`")
    leaf = x509.details(bytes(found[0]))
    return Caller(
        role=leaf.identity.role,
        name=leaf.identity.name,
        site=leaf.identity.site,
        serial=leaf.serial,
        expires_ms=leaf.not_after_ms,
    )


_STATUS: list[tuple[type[errors.SentinelError], grpc.StatusCode]] = [
    (errors.ConflictError, grpc.StatusCode.ABORTED),
    (errors.OperatorError, grpc.StatusCode.FAILED_PRECONDITION),
    (errors.WireError, grpc.StatusCode.INVALID_ARGUMENT),
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
        case grpc.StatusCode.PERMISSION_DENIED | grpc.StatusCode.UNAUTHENTICATED:
            return errors.PeerError(what, hint=hint)
        case grpc.StatusCode.UNAVAILABLE | grpc.StatusCode.DEADLINE_EXCEEDED:
            return errors.PeerError(
                f"no answer from the hub at {address}: {what or 'timed out'}",
                hint=hint
                or "is sentinel-hub running there, and was this certificate issued by its CA?",
            )
        case code:
            return errors.PeerError(f"the hub at {address} answered {code.name}: {what}", hint=hint)


class OperatorsClient:
    """The operators' service, seen from the terminal and from scripts: values in, values out."""

    def __init__(self, connection: grpc.aio.Channel, address: str) -> None:
        """Speak over `connection`; `address` is only for messages to people."""
        self._channel = connection
        self._address = address
        self._by_request = {
            request: (f"/{protocol.OPERATORS_SERVICE}/{name}", reply)
            for name, (request, reply, _) in protocol.OPERATORS.items()
        }

    async def call(self, request: Value, *, timeout_s: float = 10) -> Value:
        """Return the reply to `request`; the RPC is the one that takes a request of its type.

        Raises OperatorError (with ConflictError) where the hub refuses, PeerError where it is away.
        """
        path, reply = self._by_request[type(request)]
        try:
            data = await self._channel.unary_unary(path, None, None)(
                wire.encode(request), timeout=timeout_s
            )
        except grpc.aio.AioRpcError as error:
            raise rejected(error, self._address) from None
        return wire.decode(reply, data, limit=protocol.OPERATOR_MESSAGE_BYTES)

    async def watch(self, since: int) -> AsyncIterator[protocol.Update]:
        """Yield every update after revision `since`, until the connection ends (PeerError)."""
        path, _ = self._by_request[protocol.WatchRequest]
        stream = self._channel.unary_stream(path, None, None)(
            wire.encode(protocol.WatchRequest(since=since))
        )
        try:
            async for data in stream:
                yield wire.decode(protocol.Update, data, limit=protocol.OPERATOR_MESSAGE_BYTES)
        except grpc.aio.AioRpcError as error:
            raise rejected(error, self._address) from None
        finally:
            stream.cancel()
        raise errors.PeerError(f"the hub at {self._address} closed the stream")

    async def close(self) -> None:
        """Close the connection."""
        await self._channel.close(None)


async def enrol(
    address: str, authority: bytes, request: protocol.JoinRequest
) -> protocol.Certificate:
    """Return the first certificate from the hub's enrolment door."""
    async with channel(address, authority, None) as connection:
        call = connection.unary_unary(f"/{protocol.ENROL_SERVICE}/{protocol.JOIN_RPC}", None, None)
        try:
            data = await call(wire.encode(request), timeout=10)
        except grpc.aio.AioRpcError as error:
            raise rejected(error, address) from None
    return wire.decode(protocol.Certificate, data, limit=protocol.HUB_MESSAGE_BYTES)
