"""The only way by which an engine's adapter reaches the network, whatever client it uses.

Every request goes to the one configured server, without credentials; every response is refused if it
is a redirect, is compressed, or is larger than WIRE_BYTES. The client library is given this transport
instead of its own, so that none of its defaults can take a prompt anywhere else.
"""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import AsyncIterator
from typing import cast

import httpx

from sentinel.errors import ConfigError
from sentinel.hub.reason.engine import EngineError, Failure

WIRE_BYTES = 8 * 1024 * 1024  # of one response: 64 KiB of answer streamed a token at a time
CONNECT_S = 5.0


class Guard(httpx.AsyncBaseTransport):
    """A transport that speaks to `server` only."""

    def __init__(self, server: httpx.URL) -> None:
        """Make it for the server at `server`; nothing is connected yet."""
        self._server = server
        # The host's own trust store: a site's CA is installed there, or nowhere. Without TLS there is
        # nothing to verify, and reading the store would cost more than the whole exchange.
        secure = server.scheme == "https"
        self._inner = httpx.AsyncHTTPTransport(
            verify=ssl.create_default_context()
            if secure
            else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
            trust_env=False,
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send `request`; EngineError where it or its response is not what we do."""
        url = request.url
        if (url.scheme, url.host, url.port) != (
            self._server.scheme,
            self._server.host,
            self._server.port,
        ):
            raise EngineError(f"{url.host} is not the engine's server", kind=Failure.REDIRECTED)
        for secret in ("authorization", "cookie", "proxy-authorization"):
            request.headers.pop(secret, None)
        request.headers["accept-encoding"] = "identity"
        response = await self._inner.handle_async_request(request)
        try:
            return _checked(response)
        except EngineError:
            await response.aclose()
            raise

    async def aclose(self) -> None:
        """Close every connection."""
        await self._inner.aclose()


def _checked(response: httpx.Response) -> httpx.Response:
    """Return `response` with its body capped."""
    if 300 <= response.status_code < 400:
        raise EngineError(
            f"the server answers {response.status_code}: go elsewhere",
            kind=Failure.REDIRECTED,
            hint="name the engine's own address in [engine] url",
        )
    if response.headers.get("content-encoding", "identity").lower() != "identity":
        raise EngineError("the server compresses although asked not to", kind=Failure.BAD_REPLY)
    stream = cast("httpx.AsyncByteStream", response.stream)
    response.stream = _Capped(stream)
    return response


class _Capped(httpx.AsyncByteStream):
    """A body that ends in an error once it is larger than it may be."""

    def __init__(self, inner: httpx.AsyncByteStream) -> None:
        self._inner = inner

    async def __aiter__(self) -> AsyncIterator[bytes]:
        left = WIRE_BYTES
        async for part in self._inner:
            left -= len(part)
            if left < 0:
                raise EngineError(
                    f"the response is over {WIRE_BYTES} bytes", kind=Failure.TOO_LARGE
                )
            yield part

    async def aclose(self) -> None:
        await self._inner.aclose()


def server_of(url: str) -> httpx.URL:
    """Return the address of an engine's server; ConfigError that names what is wrong with `url`."""
    hint = 'for example url = "http://127.0.0.1:11434"'
    try:
        server = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise ConfigError(f"engine.url {url!r}: {error}", hint=hint) from None
    if server.scheme not in ("http", "https") or not server.host:
        raise ConfigError(f"engine.url {url!r} is not http:// or https:// and a host", hint=hint)
    if server.userinfo or server.query or server.fragment:
        raise ConfigError(f"engine.url {url!r} has more than a host, port and path", hint=hint)
    if _unspecified(server.host):
        raise ConfigError(f"engine.url {url!r} names no host", hint=hint)
    return server.copy_with(path=server.path.rstrip("/").removesuffix("/v1") or "/")


def _unspecified(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False


def timeout(read_s: float) -> httpx.Timeout:
    """Return the client's own timeouts, behind the deadlines of `engine.collect`."""
    return httpx.Timeout(connect=CONNECT_S, read=read_s, write=CONNECT_S * 2, pool=CONNECT_S)


def lost(error: httpx.HTTPError | OSError) -> EngineError:
    """Return the error for a connection that was not made, or was lost."""
    if isinstance(error, httpx.ReadTimeout | httpx.WriteTimeout | httpx.PoolTimeout):
        return EngineError(type(error).__name__, kind=Failure.STALL)
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | ConnectionError):
        return EngineError(
            f"cannot connect: {type(error).__name__}",
            kind=Failure.UNREACHABLE,
            hint="is the server running, and does [engine] url name it?",
        )
    return EngineError(
        f"connection lost: {type(error).__name__}: {error}", kind=Failure.UNREACHABLE
    )


def failure_of(status: int, text: str) -> Failure:
    """Return what an HTTP status and the text that came with it mean."""
    if status == 404:
        return Failure.MODEL_MISSING
    if status in (429, 503):
        return Failure.BUSY
    if status in (400, 413) and "context" in text:
        return Failure.CONTEXT_OVERFLOW
    return Failure.SERVER_ERROR
