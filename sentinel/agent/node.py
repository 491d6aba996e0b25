"""One node at work: the senses, the outbox and the hands, wired together.

    senses   sample -> detect -> capture -> outbox           (and verify what was executed)
    link     outbox -> hub, plans <- hub                     (`transport`)
    hands    plan -> admit -> execute -> outbox

Every step that must not be lost is one transaction of the store together with the letter that reports
it, so that a crash between any two lines leaves either nothing or the step and its letter.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
import time
from pathlib import Path

from sentinel import __version__, config, errors, process, protocol
from sentinel.agent import admit, capture, detect, enrol, hands, rules, transport
from sentinel.agent.detect import Clear, Detector
from sentinel.agent.pressure import PressureTrigger
from sentinel.agent.sample import HostSampler, ProcessSampler
from sentinel.agent.store import Store
from sentinel.agent.verify import Verifier
from sentinel.config import AgentSettings
from sentinel.domain import (
    Admission,
    Anomaly,
    Bundle,
    CommandResult,
    Outcome,
    Report,
    Sample,
    Verification,
)
from sentinel.ids import uuid7
from sentinel.policy.rules import Policy
from sentinel.protocol import Finish, Letter
from sentinel.trust import identity, x509

log = logging.getLogger(__name__)

NEAR_S = 0.25  # between two rounds of readings while something is near its limit
CAPTURE_S = 2
RETRY_S = 1.0  # before a full disk is tried again
RENEWAL_CHECK_S = 3600
BUNDLES = 8  # plans that wait for the hands; the hub sends what did not fit again
GAUGES = 32


def new_challenge() -> str:
    """Return 128 random bits in hex: what an approval of the next plan must quote."""
    return secrets.token_hex(16)


class Agent:
    """The agent of one host."""

    def __init__(self, settings: AgentSettings, state: Path, store: Store, policy: Policy) -> None:
        """Wire everything; nothing runs yet. Raises ConfigError or PeerError where a file is wrong."""
        self._settings = settings
        self._state = state
        self._store = store
        self._policy = policy
        self._credentials = identity.load(state, process.now_ms())
        self._host = self._credentials.details.identity.name
        self._interval_s = config.quantity(settings.interval, "duration", "interval") / 1000
        period_ms = config.quantity(settings.process_interval, "duration", "process_interval")
        self._table = ProcessSampler(period_ms)
        self._samples: tuple[Sample, ...] = ()
        self._boot_ms = process.now_ms() - int(time.clock_gettime(time.CLOCK_BOOTTIME) * 1000)
        # A silence as long as a few readings is no silence yet, however rarely they are taken.
        self._gap_ms = max(detect.GAP_MS, 3 * int(self._interval_s * 1000), 3 * period_ms)
        self._detector = Detector(rules.rules(settings), gap_ms=self._gap_ms)
        self._found: asyncio.Queue[Anomaly | Clear | Verification] = asyncio.Queue()
        self._bundles: asyncio.Queue[Bundle] = asyncio.Queue(BUNDLES)
        self._events: dict[tuple[str, str, str], str] = {}
        self._verifiers: list[Verifier] = []
        self._said: set[str] = set()
        self._link = transport.Link(
            store,
            transport.Node(
                attach=self._attach,
                heartbeat=self._heartbeat,
                bundle=self._take,
                credentials=lambda: identity.load(state, process.now_ms()),
            ),
            settings.hub,
        )
        self._gate = admit.Node(
            host=self._host,
            mode=settings.mode,
            policy=policy,
            store=store,
            own_pids=frozenset({os.getpid()}),
            verifier=lambda _, __: frozenset(),
        )

    async def run(self, stop: asyncio.Event) -> None:
        """Take up what a restart left, say ready, and work until `stop`."""
        self._resume()
        async with asyncio.TaskGroup() as tasks:
            workers = [
                tasks.create_task(work)
                for work in (
                    self._sense(),
                    self._tell(),
                    self._work(),
                    self._link.run(),
                    self._renew(),
                )
            ]
            log.info("agent of %s, mode %s", self._host, self._settings.mode.value)
            process.notify("READY=1")
            await stop.wait()
            process.notify("STOPPING=1")
            for worker in workers:
                worker.cancel()

    # ------------------------------------------------------------ after a restart

    def _resume(self) -> None:
        """Take up open faults and verifications; report plans that a crash cut short as failed."""
        for report in self._store.open_faults():
            self._detector.resume(report.anomaly)
            self._events[_key(report.anomaly)] = report.event
        for incident, recovery, started_ms in self._store.verifications():
            self._verifiers.append(Verifier(incident, recovery, started_ms, gap_ms=self._gap_ms))
        for cut in self._store.interrupted():
            log.warning("plan of %s was cut short: not repeated", cut.bundle.incident)
            with self._store.transaction():
                for result in hands.cut_short(cut, process.now_ms()):
                    self._put(ran=protocol.Ran(incident=cut.bundle.incident, result=result))
                self._finish(cut.bundle, cut.event, Finish.ONE_FAILED)

    # ------------------------------------------------------------ senses

    async def _sense(self) -> None:
        """Stages 1 and 9: read, detect and verify, sooner where something stalls."""
        host = HostSampler()
        with PressureTrigger() as trigger, contextlib.closing(host):
            for resource, reason in trigger.reasons.items():
                log.info("no pressure trigger for %s: %s", resource, errors.printable(reason))
            while True:
                now_ms = process.now_ms()
                recoveries = [verifier.recovery for verifier in self._verifiers]
                table = self._table.read(now_ms, self._detector.watching(*recoveries))
                self._samples = host.sample(now_ms)
                self._say_once(*host.failures.values(), self._table.failure)
                for found in self._detector.step(self._samples, now_ms, table):
                    self._found.put_nowait(found)
                self._verify(now_ms, table)
                pause = min(self._interval_s, NEAR_S) if self._detector.near else self._interval_s
                await trigger.wait(pause)

    def _say_once(self, *failures: str) -> None:
        """Log what cannot be read or written, each reason once: silence is not secret."""
        for reason in failures:
            if reason and reason not in self._said:
                self._said.add(reason)
                log.warning("not available: %s", reason, extra={"action": "not_available"})

    def _verify(self, now_ms: int, table: detect.Table | None) -> None:
        for verifier in list(self._verifiers):
            answer = verifier.step(self._samples, now_ms, table)
            if answer is None:
                continue
            self._verifiers.remove(verifier)
            self._found.put_nowait(answer)

    async def _tell(self) -> None:
        """Put what was found into the outbox, in the order it was found.

        A full disk is a fault to report, not one to die of: what cannot be stored is tried again, with
        the room that was reserved for this first.
        """
        while True:
            found = await self._found.get()
            while not await self._told(found):
                if not self._store.release_reserve():
                    await asyncio.sleep(RETRY_S)
            self._link.nudge()

    async def _told(self, found: Anomaly | Clear | Verification) -> bool:
        """Store one finding with its letter; False where the disk refused."""
        try:
            match found:
                case Anomaly():
                    await self._report(found)
                case Clear():
                    self._clear(found)
                case Verification():
                    with self._store.transaction():
                        self._store.end_verification(found.incident)
                        self._put(verification=found)
        except errors.StoreError as error:
            self._say_once(error.what)
            return False
        return True

    async def _report(self, anomaly: Anomaly) -> None:
        """Stage 2: freeze the picture, and keep it with its letter."""
        now_ms = process.now_ms()
        context = await asyncio.to_thread(
            capture.capture,
            anomaly,
            now_ms,
            deadline_ns=time.monotonic_ns() + CAPTURE_S * 1_000_000_000,
            seen=self._table.seen,
            labels=self._settings.labels,
        )
        report = Report(
            event=uuid7(now_ms),
            host=self._host,
            anomaly=anomaly,
            context=context,
            challenge=new_challenge(),
            mode=self._settings.mode,
            policy=self._policy.digest,
        )
        with self._store.transaction():
            self._store.open_fault(report)
            self._put(report=report)
        self._events[_key(anomaly)] = report.event
        log.warning(
            "%s: %s at %d", anomaly.rule, anomaly.subject or "host", anomaly.value,
            extra={"action": "anomaly"},
        )  # fmt: skip

    def _clear(self, clear: Clear) -> None:
        event = self._events.get(_key(clear.anomaly))
        if event is None:
            return
        with self._store.transaction():
            self._store.close_fault(event)
            self._put(
                cleared=protocol.Cleared(event=event, observed=clear.observed, at_ms=clear.at_ms)
            )
        del self._events[_key(clear.anomaly)]
        log.info("%s cleared: %s", clear.anomaly.rule, clear.reason, extra={"action": "cleared"})

    # ------------------------------------------------------------ hands

    async def _take(self, bundle: Bundle) -> None:
        """Queue a plan. One that does not fit is sent again on the next connection."""
        with contextlib.suppress(asyncio.QueueFull):
            self._bundles.put_nowait(bundle)

    async def _work(self) -> None:
        """Stage 8: one plan at a time."""
        while True:
            bundle = await self._bundles.get()
            if self._store.knows(bundle):
                continue  # sent again because our answer is still on its way
            admitted = self._admit(bundle)
            self._link.nudge()
            if admitted is not None:
                await self._execute(admitted)

    def _admit(self, bundle: Bundle) -> admit.Admitted | None:
        """Ask the gate; its answer and the spent challenge are one step."""
        now_ms = process.now_ms()
        with self._store.transaction():
            outcome = admit.admit(bundle, self._gate, now_ms)
            admitted = outcome if isinstance(outcome, admit.Admitted) else None
            refused = outcome if isinstance(outcome, admit.Refused) else None
            self._put(
                admission=Admission(
                    incident=bundle.incident,
                    admitted=admitted is not None,
                    mode=admitted.mode if admitted else self._settings.mode,
                    check=refused.check if refused else "",
                    reason=errors.printable(refused.reason, 900) if refused else "",
                    at_ms=now_ms,
                )
            )
        if refused:
            log.error(
                "plan refused: %s: %s", refused.check, refused.reason, extra={"action": "refused"}
            )
        return admitted

    async def _execute(self, admitted: admit.Admitted) -> None:
        bundle = admitted.bundle

        def tell(result: CommandResult) -> None:
            with self._store.transaction():
                if result.outcome is Outcome.RUNNING:
                    self._store.begin_command(bundle.incident, result.index)
                else:
                    self._store.end_command(bundle.incident)
                self._put(ran=protocol.Ran(incident=bundle.incident, result=result))
            self._link.nudge()

        finish = await hands.run_plan(admitted, self._policy, tell, clock=process.now_ms)
        with self._store.transaction():
            self._finish(bundle, admitted.statement.event, finish)
        self._link.nudge()

    def _finish(self, bundle: Bundle, event: str, finish: Finish) -> None:
        """End a plan: a fresh challenge, and unless nothing was run, the watch for recovery."""
        now_ms, challenge = process.now_ms(), new_challenge()
        self._store.end_execution(bundle.incident)
        self._store.issue(challenge, event)
        self._put(
            finished=protocol.Finished(
                incident=bundle.incident,
                event=event,
                finish=finish,
                challenge=challenge,
                at_ms=now_ms,
            )
        )
        if finish is not Finish.REHEARSED:
            recovery = hands.recovery_of(bundle)
            self._store.begin_verification(bundle.incident, recovery, now_ms)
            self._verifiers.append(Verifier(bundle.incident, recovery, now_ms, gap_ms=self._gap_ms))

    # ------------------------------------------------------------ the link's questions

    def _attach(self) -> protocol.Attach:
        return protocol.Attach(
            version=__version__,
            policy=self._policy.digest,
            mode=self._settings.mode,
            boot_ms=self._boot_ms,
            sent_ms=process.now_ms(),
        )

    def _heartbeat(self) -> protocol.Heartbeat:
        return protocol.Heartbeat(
            sent_ms=process.now_ms(),
            gauges=self._samples[:GAUGES],
            spooled=self._store.waiting(),
            refused=self._store.refused(),
        )

    async def _renew(self) -> None:
        """Renew the certificate at half life; a hub that is away is asked again an hour later."""
        while True:
            now_ms = process.now_ms()
            try:
                credentials = identity.load(self._state, now_ms)
                if x509.renewal_due(credentials.details, now_ms):
                    address = self._settings.hub or credentials.address.hub
                    await enrol.renew(self._state, credentials, address)
            except errors.SentinelError as error:
                log.warning("certificate not renewed: %s", error.what)
            await asyncio.sleep(RENEWAL_CHECK_S)

    def _put(self, **body: object) -> None:
        self._store.put(Letter(id=uuid7(process.now_ms()), **body))  # type: ignore[arg-type]


def _key(anomaly: Anomaly) -> tuple[str, str, str]:
    return anomaly.rule, anomaly.metric.value, anomaly.subject
