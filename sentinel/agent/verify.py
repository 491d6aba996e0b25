"""Stage 9: did the very signal that raised the incident recover, by the deadline? Pure.

Only readings count: the signal must have been below its clear level in every reading for the whole
clear time. No readings, too few of them, or readings from before the plan ended: not recovered.
A process that is gone, as a successful reading of the process table says, reads as 0.
"""

from __future__ import annotations

from collections.abc import Iterable

from sentinel import human
from sentinel.agent.detect import GAP_MS, RING, Run, Table
from sentinel.domain import Recovery, Sample, Verification


class Verifier:
    """One verification under way. Feed it every round until it answers; then it is spent.

    verifier = Verifier(incident, plan.recovery, ended_ms)
    table = processes.read(now, detector.watching(plan.recovery))
    if (answer := verifier.step(host.sample(now), now, table)) is not None: send(answer)
    """

    def __init__(
        self, incident: str, recovery: Recovery, started_ms: int, *, gap_ms: int = GAP_MS
    ) -> None:
        """`started_ms` is when execution ended: the deadline counts from it."""
        self.incident = incident
        self.recovery = recovery
        self._started_ms = started_ms
        self._run = Run(gap_ms)
        self._seen: list[int] = []
        self._held_ms = 0

    def step(
        self, samples: Iterable[Sample], now_ms: int, table: Table | None = None
    ) -> Verification | None:
        """Take one round of readings; return the answer once there is one. Never raises."""
        table = table or Table()
        wanted = self.recovery
        self._started_ms = min(self._started_ms, now_ms)  # where the clock was set back
        for sample in (*samples, *table.samples):
            if sample.metric is wanted.metric and sample.subject == wanted.subject:
                self._take(sample.value, sample.at_ms)
        if wanted.subject and wanted.subject in table.gone:
            self._take(0, now_ms)
        below = self._run.since_ms is not None
        if below and self._held_ms >= wanted.clear_for_ms:
            reason = f"below {self._level} for {human.duration(self._held_ms)}"
            gone = ", the process is gone" if wanted.subject in table.gone else ""
            return self._answer(True, reason + gone, now_ms)
        if now_ms - self._started_ms >= wanted.deadline_ms:
            return self._answer(False, self._fault(), now_ms)
        return None

    def _take(self, value: int, at_ms: int) -> None:
        if at_ms < self._started_ms:
            return  # from before the plan had ended
        self._seen = [*self._seen[1 - RING :], value]
        self._held_ms = self._run.feed(value < self.recovery.clear_below, at_ms) or 0

    def _fault(self) -> str:
        """Return why the deadline has passed without recovery."""
        wanted = self.recovery
        within = f"within {human.duration(wanted.deadline_ms)}"
        if not self._seen:
            return f"no readings of the signal {within}: silence is not recovery"
        if self._seen[-1] < wanted.clear_below:
            held = f"{human.duration(self._held_ms)} of {human.duration(wanted.clear_for_ms)}"
            return f"below {self._level} for {held}, {within}"
        still = human.reading(wanted.metric, self._seen[-1])
        return f"still {still}, not below {self._level}, {within}"

    @property
    def _level(self) -> str:
        return human.reading(self.recovery.metric, self.recovery.clear_below)

    def _answer(self, recovered: bool, reason: str, now_ms: int) -> Verification:
        return Verification(
            incident=self.incident,
            recovered=recovered,
            observed=self._seen[-1] if self._seen else None,
            samples=tuple(self._seen),
            reason=reason,
            at_ms=now_ms,
        )
