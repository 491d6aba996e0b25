"""The operators' service: reads, decisions and the live watch, for people's programs.

Every handler takes a decoded request and who calls, whom TLS and a login have proved, and returns a
value. Who may call is in `access.py`, how a person logs in in `sessions.py`, what a decision must say in
`approve.py`, what else a person may do in `acts.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import grpc
import msgspec

from sentinel import errors, protocol, rpc, wire
from sentinel.config import HubSettings
from sentinel.domain import Host, Incident, Mode, Value
from sentinel.hub import access, acts, approve, callers, recall
from sentinel.hub.callers import Caller
from sentinel.hub.cases import in_time
from sentinel.hub.persist import Store
from sentinel.hub.reason.runbook import Runbook
from sentinel.hub.sessions import Sessions, Who
from sentinel.policy.approvals import needed

log = logging.getLogger(__name__)

WATCH_PAGE = 500
SIGN_OF_LIFE_S = 5.0  # between two statuses when nothing changes
CUT_S = 60.0  # a watcher that takes nothing for so long is cut; it watches again from where it was
STATUS_S = 0.5  # between two statuses when something does

Answer = Callable[[Any, Who], Awaitable[Value]]
Permit = Callable[[str, Caller], Awaitable[None]]


class OperatorDoor:
    """The operators' service over a store."""

    def __init__(  # noqa: PLR0913  (everything that people may ask of)
        self,
        store: Store,
        sessions: Sessions,
        status: Callable[[str], Awaitable[protocol.HubStatus]],
        clock: Callable[[], int],
        decided: Callable[[Host], Awaitable[None]],
        settings: HubSettings,
        runbooks: tuple[Runbook, ...],
    ) -> None:
        """`status(operator)` describes the hub; `decided(host)` nudges the node's stream.

        `runbooks` are those that are loaded.
        """
        self._store = store
        self._sessions = sessions
        self._status = status
        self._clock = clock
        self._decided = decided
        self._settings = settings
        self._loaded = runbooks
        self._answers: dict[str, Answer] = {
            "Status": self._get_status,
            "List": self._list,
            "Get": self._get,
            "Decide": self._decide,
            "Act": self._act,
            "Revise": self._revise,
            "Agents": self._agents,
            "Audit": self._audit,
            "Runbooks": self._runbooks,
            "Services": self._services,
        }

    def handler(self, permit: Permit) -> rpc.Handler:
        """Return the handler to add to the server; `permit` is asked before anything is decoded."""
        methods = {
            name: grpc.unary_unary_rpc_method_handler(self._unary(name, answer, permit))
            for name, answer in self._answers.items()
        }
        methods["Challenge"] = grpc.unary_unary_rpc_method_handler(
            self._before_login("Challenge", permit, self._challenge)
        )
        methods["Login"] = grpc.unary_unary_rpc_method_handler(
            self._before_login("Login", permit, self._login)
        )
        methods["Watch"] = grpc.unary_stream_rpc_method_handler(self._watcher(permit))
        return grpc.method_handlers_generic_handler(protocol.OPERATORS_SERVICE, methods)

    def _unary(self, name: str, answer: Answer, permit: Permit) -> rpc.Unary:
        request_type = protocol.OPERATORS[name][0]

        async def serve(data: bytes, context: rpc.Context) -> bytes:
            try:
                who = await self._who(name, permit, context)
                request = wire.decode(request_type, data, limit=protocol.AGENT_MESSAGE_BYTES)
                return wire.encode(await answer(request, who))
            except errors.SentinelError as error:
                return await _refuse(name, context, error)

        return serve

    def _before_login(
        self, name: str, permit: Permit, answer: Callable[[Any, Caller], Value]
    ) -> rpc.Unary:
        """Serve one of the two RPCs that need no session, for they make one."""
        request_type = protocol.OPERATORS[name][0]

        async def serve(data: bytes, context: rpc.Context) -> bytes:
            try:
                caller = callers.of(context)
                await permit(_path(name), caller)
                request = wire.decode(request_type, data, limit=protocol.AGENT_MESSAGE_BYTES)
                return wire.encode(answer(request, caller))
            except errors.SentinelError as error:
                return await _refuse(name, context, error)

        return serve

    async def _who(self, name: str, permit: Permit, context: rpc.Context) -> Who:
        """Return who calls the RPC `name`, if they may: their certificate, their session, their rank."""
        caller = callers.of(context)
        await permit(_path(name), caller)
        who = self._sessions.who(caller, rpc.session_token(context), self._clock())
        access.permit_person(_path(name), who.name, who.person)
        return who

    def _challenge(self, _: protocol.ChallengeRequest, caller: Caller) -> Value:
        return self._sessions.challenge(caller, self._clock())

    def _login(self, request: protocol.LoginRequest, caller: Caller) -> Value:
        session = self._sessions.login(caller, request, self._clock())
        log.info("%s logged in as %s", caller.name, session.role, extra={"action": "login"})
        return session

    async def _get_status(self, _: protocol.StatusRequest, who: Who) -> protocol.HubStatus:
        status = await self._status(who.name)
        return msgspec.structs.replace(status, role=who.person.role.value)

    async def _list(self, request: protocol.ListRequest, _: Who) -> Value:
        return await self._store.listed(request)

    async def _get(self, request: protocol.GetRequest, _: Who) -> Value:
        return self._shown(await self._store.incident(request.incident))

    async def _decide(self, request: protocol.DecideRequest, who: Who) -> Value:
        await self._in_scope(request.incident, who)
        rules = approve.Rules(
            hub_mode=self._settings.mode,
            signers=self._sessions.signers,
            approvals=self._settings.approvals,
        )
        incident = await approve.decide(self._store, who.name, request, self._clock(), rules)
        await self._decided(Host(incident.summary.host))
        return self._shown(incident)

    async def _act(self, request: protocol.ActRequest, who: Who) -> Value:
        await self._in_scope(request.incident, who)
        incident = await acts.act(self._store, who.name, request, self._clock())
        await self._decided(Host(incident.summary.host))
        return self._shown(incident)

    async def _revise(self, request: protocol.ReviseRequest, who: Who) -> Value:
        await self._in_scope(request.incident, who)
        return self._shown(await acts.revise(self._store, who.name, request, self._clock()))

    async def _in_scope(self, incident: str, who: Who) -> None:
        """Raise PeerError unless `who` may decide for the incident's host, which never changes."""
        who.decides_for((await self._store.case(incident)).host)

    def _shown(self, incident: Incident) -> Incident:
        """Return the incident with how many people must sign a live approval of its plan."""
        if incident.judgement is None:
            return incident
        _, people = needed(incident.judgement, Mode.LIVE, self._settings.approvals)
        begun = in_time(incident.pending, self._clock())
        return msgspec.structs.replace(incident, people_needed=people, pending=begun)

    async def _agents(self, _: protocol.AgentsRequest, __: Who) -> Value:
        return protocol.Agents(agents=await self._store.agents())

    async def _audit(self, request: protocol.AuditRequest, _: Who) -> Value:
        records = await self._store.audit_page(
            after=request.after, limit=request.limit, incident=request.incident
        )
        return protocol.AuditPage(records=records)

    async def _runbooks(self, _: protocol.RunbooksRequest, __: Who) -> Value:
        pasts = await self._store.runbook_pasts()
        return protocol.Runbooks(runbooks=recall.runbooks(self._loaded, pasts))

    async def _services(self, _: protocol.ServicesRequest, __: Who) -> Value:
        return await self._store.services()

    def _watcher(self, permit: Permit) -> Callable[[bytes, rpc.Context], Awaitable[None]]:
        async def watch(data: bytes, context: rpc.Context) -> None:
            try:
                await self._who("Watch", permit, context)
                request = wire.decode(
                    protocol.WatchRequest, data, limit=protocol.AGENT_MESSAGE_BYTES
                )
                who = partial(self._who, "Watch", permit, context)
                await self._stream(request.since, who, context)
            except errors.SentinelError as error:
                await rpc.abort(context, error)

        return watch

    async def _stream(
        self, since: int, who: Callable[[], Awaitable[Who]], context: rpc.Context
    ) -> None:
        """Write what changed after `since`, then each change; the status after changes and now and then.

        `who` is asked again for each status: whoever may no longer watch sees no more from then on.

        A watcher that does not read blocks only itself: gRPC's flow control holds this coroutine in
        `write`, until it is cut, and what it misses meanwhile is read from the store when it comes back.
        """
        loop = asyncio.get_running_loop()
        told, stale = loop.time() - SIGN_OF_LIFE_S, True
        while True:
            changed = await self._store.changes(since=since, limit=WATCH_PAGE)
            for summary in changed:
                since = max(since, summary.revision)
                await _write(context, protocol.Update(revision=since, summary=summary))
            stale = stale or bool(changed)
            due = told + (STATUS_S if stale else SIGN_OF_LIFE_S) - loop.time()
            if due <= 0:
                status = await self._get_status(protocol.StatusRequest(), await who())
                await _write(context, protocol.Update(revision=since, status=status))
                told, stale, due = loop.time(), False, SIGN_OF_LIFE_S
            if len(changed) < WATCH_PAGE:
                await self._wait(since, due)

    async def _wait(self, since: int, seconds: float) -> None:
        """Wait for something newer than `since`, for `seconds` at the most."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._store.bus.wait(since)


async def _write(context: rpc.Context, update: protocol.Update) -> None:
    try:
        async with asyncio.timeout(CUT_S):
            await context.write(wire.encode(update))
    except TimeoutError:
        raise errors.PeerError(
            "this watch was cut: nobody read it", hint="watch again, from the last revision"
        ) from None


def _path(name: str) -> str:
    return f"/{protocol.OPERATORS_SERVICE}/{name}"


async def _refuse(name: str, context: rpc.Context, error: errors.SentinelError) -> bytes:
    log.info("%s refused: %s", name, errors.printable(error.what), extra={"action": name})
    await rpc.abort(context, error)
    raise AssertionError("abort raises") from error


async def permit(store: Store, site: str, path: str, caller: Caller) -> None:
    """Raise PeerError unless the access table lets `caller` call `path`."""
    access.permit(path, caller, site, await store.revoked())
