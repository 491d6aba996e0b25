"""A hub at work: what one process is made of, how it begins and how it ends."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

from sentinel import __version__, canonical, process, protocol, rpc
from sentinel.config import HubSettings
from sentinel.domain import Context, Plan, PlanJudgement
from sentinel.hub import enrol, notary, operators, people
from sentinel.hub.callers import Caller
from sentinel.hub.notary import Notary
from sentinel.hub.persist import Store
from sentinel.hub.pipeline import Pipeline
from sentinel.hub.place import database_url
from sentinel.hub.reason import reasoner
from sentinel.hub.sessions import Sessions
from sentinel.hub.transport import AgentDoor, Site
from sentinel.policy import rules, validate
from sentinel.trust import x509

log = logging.getLogger(__name__)

GRACE_S = 2.0


async def serve(state: Path, settings: HubSettings, stop: asyncio.Event) -> None:
    """Open the record, bind both listeners, say ready, and serve until `stop`.

    Everything that can be wrong with the set-up is found before the first port is bound.
    """
    ca = enrol.authority(state)
    sessions = people.sessions(settings, state, ca.certificate)
    policy = rules.load(site=[Path(path) for path in settings.policy])
    thinker = reasoner.from_settings(settings.engine)
    signer = notary.signer(state, settings.site)
    async with await Store.open(database_url(settings, state)) as store:
        witness = Notary(store, signer, state)
        await witness.compare()
        await store.disconnect_agents()
        hub = Hub(store, settings, ca, policy, thinker, sessions, witness)
        await hub.run(stop)
        await witness.keep()


class Judge:
    """Stage 5, for the pipeline: the policy's word on a plan against what its node captured."""

    def __init__(self, policy: rules.Policy) -> None:
        """Judge by `policy`."""
        self._policy = policy

    @property
    def digest(self) -> str:
        """The digest of the rules."""
        return self._policy.digest

    def judge(self, plan: Plan, context: Context) -> PlanJudgement:
        """Return the verdict on every command of `plan`. Never raises."""
        facts = validate.facts_of(context)
        return validate.judge_plan(self._policy, plan, canonical.digest_of(plan), facts)


class Hub:
    """The wiring of one hub process."""

    def __init__(  # noqa: PLR0913  (everything that a hub is made of)
        self,
        store: Store,
        settings: HubSettings,
        ca: x509.Pair,
        policy: rules.Policy,
        thinker: reasoner.Reasoner,
        sessions: Sessions,
        witness: Notary,
    ) -> None:
        """Wire the doors and the pipeline to the store."""
        self._store = store
        self._settings = settings
        self._ca = ca
        self._policy = policy
        self._thinker = thinker
        self._witness = witness
        self._own = enrol.server_pair(settings, ca, process.now_ms())
        site = Site(
            name=settings.site,
            version=__version__,
            policy=policy.digest,
            heartbeat_s=settings.heartbeat_s,
        )
        self._enrol = enrol.EnrolDoor(store, settings, ca, process.now_ms)
        self._agents = AgentDoor(store, site, process.now_ms, self._enrol, witness)
        self._operators = operators.OperatorDoor(
            store,
            sessions,
            self._status,
            process.now_ms,
            self._agents.dispatch,
            settings,
            thinker.runbooks,
        )
        self._pipeline = Pipeline(
            store,
            thinker,
            Judge(policy),
            settings=settings,
            clock=process.now_ms,
        )

    def _pair(self) -> x509.Pair:
        """Return the hub's own certificate, made anew at half life."""
        now_ms = process.now_ms()
        if x509.renewal_due(x509.details(self._own.certificate), now_ms):
            self._own = enrol.server_pair(self._settings, self._ca, now_ms)
        return self._own

    async def _permit(self, path: str, caller: Caller) -> None:
        await operators.permit(self._store, self._settings.site, path, caller)

    async def _status(self, operator: str) -> protocol.HubStatus:
        counts = await self._store.counts()
        engine = self._thinker.status()
        return protocol.HubStatus(
            version=__version__,
            site=self._settings.site,
            now_ms=process.now_ms(),
            policy=self._policy.digest,
            mode=self._settings.mode,
            engine=engine.name,
            engine_ready=engine.ready,
            engine_note=engine.note,
            database=self._store.database,
            nodes_connected=len(self._agents.sessions),
            nodes=counts.nodes,
            open_incidents=counts.open_incidents,
            need_decision=counts.need_decision,
            operator=operator,
        )

    async def run(self, stop: asyncio.Event) -> None:
        """Bind, say ready, serve until `stop`, then end the streams with grace."""
        settings = self._settings
        main, door = rpc.server(), rpc.server()
        main.add_generic_rpc_handlers(
            (self._agents.handler(), self._operators.handler(self._permit))
        )
        door.add_generic_rpc_handlers((self._enrol.join_handler(),))
        rpc.listen(main, f"{settings.host}:{settings.port}", self._pair, self._ca.certificate)
        if settings.socket:
            rpc.listen_unix(main, Path(settings.socket), self._pair, self._ca.certificate)
        rpc.listen(door, f"{settings.host}:{settings.enrol_port}", self._pair, None)
        await main.start()
        await door.start()
        try:
            async with asyncio.TaskGroup() as tasks:
                workers = [
                    tasks.create_task(self._pipeline.run()),
                    tasks.create_task(self._thinker.run()),
                    tasks.create_task(self._witness.run()),
                    tasks.create_task(self._agents.watch_revocations()),
                ]
                log.info(
                    "hub of site %s serves on %s:%d, engine %s, %s, mode %s",
                    settings.site,
                    settings.host,
                    settings.port,
                    self._thinker.status().name,
                    self._store.database,
                    settings.mode.value,
                    extra={"action": "hub_ready"},
                )
                process.notify("READY=1")
                await stop.wait()
                process.notify("STOPPING=1")
                for worker in workers:
                    worker.cancel()
        finally:
            await self._agents.close()
            await door.stop(GRACE_S)
            await main.stop(GRACE_S)
