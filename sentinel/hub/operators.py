"""The operators' service: reads, decisions and the live watch, for people's programs.

Every handler takes a decoded request and the caller that TLS proved, and returns a value. Who may call
is in `access.py`; what a decision must say is in `approve.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import grpc

from sentinel import errors, protocol, rpc, wire
from sentinel.domain import Host, Value
from sentinel.hub import access, approve
from sentinel.hub.persist import Store
from sentinel.rpc import Caller

log = logging.getLogger(__name__)

WATCH_PAGE = 500
SIGN_OF_LIFE_S = 5.0  # between two statuses when nothing changes
STATUS_S = 0.5  # between two statuses when something does

Answer = Callable[[Any, Caller], Awaitable[Value]]


class OperatorDoor:
    """The operators' service over a store."""

    def __init__(
        self,
        store: Store,
        status: Callable[[str], Awaitable[protocol.HubStatus]],
        clock: Callable[[], int],
        decided: Callable[[Host], Awaitable[None]],
    ) -> None:
        """`status(operator)` describes the hub; `decided(host)` nudges the node's stream."""
        self._store = store
        self._status = status
        self._clock = clock
        self._decided = decided
        self._answers: dict[str, Answer] = {
            "Status": self._get_status,
            "List": self._list,
            "Get": self._get,
            "Decide": self._decide,
            "Act": self._act,
            "Revise": self._revise,
            "Agents": self._agents,
            "Audit": self._audit,
        }

    def handler(self, permit: Callable[[str, Caller], Awaitable[None]]) -> rpc.Handler:
        """Return the handler to add to the server; `permit` is asked before anything is decoded."""
        methods = {
            name: grpc.unary_unary_rpc_method_handler(self._unary(name, answer, permit))
            for name, answer in self._answers.items()
        }
        methods["Watch"] = grpc.unary_stream_rpc_method_handler(self._watcher(permit))
        return grpc.method_handlers_generic_handler(protocol.OPERATORS_SERVICE, methods)

    def _unary(
        self, name: str, answer: Answer, permit: Callable[[str, Caller], Awaitable[None]]
    ) -> rpc.Unary:
        request_type = protocol.OPERATORS[name][0]

        async def serve(data: bytes, context: rpc.Context) -> bytes:
            try:
                caller = rpc.caller(context)
                await permit(f"/{protocol.OPERATORS_SERVICE}/{name}", caller)
                request = wire.decode(request_type, data, limit=protocol.AGENT_MESSAGE_BYTES)
                return wire.encode(await answer(request, caller))
            except errors.SentinelError as error:
                log.info(
                    "%s refused: %s", name, errors.printable(error.what), extra={"action": name}
                )
                await rpc.abort(context, error)
                raise AssertionError("abort raises") from error

        return serve

    async def _get_status(self, _: protocol.StatusRequest, caller: Caller) -> Value:
        return await self._status(caller.name)

    async def _list(self, request: protocol.ListRequest, _: Caller) -> Value:
        return await self._store.page(
            open_only=request.open_only, before=request.before, limit=request.limit
        )

    async def _get(self, request: protocol.GetRequest, _: Caller) -> Value:
        return await self._store.incident(request.incident)

    async def _decide(self, request: protocol.DecideRequest, caller: Caller) -> Value:
        status = await self._status(caller.name)
        incident = await approve.decide(
            self._store, caller.name, request, self._clock(), hub_mode=status.mode
        )
        await self._decided(Host(incident.summary.host))
        return incident

    async def _act(self, request: protocol.ActRequest, caller: Caller) -> Value:
        return await approve.act(self._store, caller.name, request, self._clock())

    async def _revise(self, request: protocol.ReviseRequest, caller: Caller) -> Value:
        return await approve.revise(self._store, caller.name, request, self._clock())

    async def _agents(self, _: protocol.AgentsRequest, __: Caller) -> Value:
        return protocol.Agents(agents=await self._store.agents())

    async def _audit(self, request: protocol.AuditRequest, _: Caller) -> Value:
        records = await self._store.audit_page(
            after=request.after, limit=request.limit, incident=request.incident
        )
        return protocol.AuditPage(records=records)

    def _watcher(
        self, permit: Callable[[str, Caller], Awaitable[None]]
    ) -> Callable[[bytes, rpc.Context], Awaitable[None]]:
        async def watch(data: bytes, context: rpc.Context) -> None:
            try:
                caller = rpc.caller(context)
                await permit(f"/{protocol.OPERATORS_SERVICE}/Watch", caller)
                request = wire.decode(
                    protocol.WatchRequest, data, limit=protocol.AGENT_MESSAGE_BYTES
                )
                await self._stream(request.since, caller, context)
            except errors.SentinelError as error:
                await rpc.abort(context, error)

        return watch

    async def _stream(self, since: int, caller: Caller, context: rpc.Context) -> None:
        """Write what changed after `since`, then each change; the status after changes and now and then.

        A watcher that does not read blocks only itself: gRPC's flow control holds this coroutine in
        `write`, and what it misses meanwhile is read from the store when it comes back.
        """
        loop = asyncio.get_running_loop()
        told, stale = loop.time() - SIGN_OF_LIFE_S, True
        while True:
            changed = await self._store.changes(since=since, limit=WATCH_PAGE)
            for summary in changed:
                since = max(since, summary.revision)
                await context.write(wire.encode(protocol.Update(revision=since, summary=summary)))
            stale = stale or bool(changed)
            due = told + (STATUS_S if stale else SIGN_OF_LIFE_S) - loop.time()
            if due <= 0:
                status = await self._status(caller.name)
                await context.write(wire.encode(protocol.Update(revision=since, status=status)))
                told, stale, due = loop.time(), False, SIGN_OF_LIFE_S
            if len(changed) < WATCH_PAGE:
                await self._wait(since, due)

    async def _wait(self, since: int, seconds: float) -> None:
        """Wait for something newer than `since`, for `seconds` at the most."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._store.bus.wait(since)


async def permit(store: Store, site: str, path: str, caller: Caller) -> None:
    """Raise PeerError unless the access table lets `caller` call `path`."""
    access.permit(path, caller, site, await store.revoked())
