"""Stage 1: readings and limits in, anomalies out. Pure: time is what the readings say it is.

One fault makes one anomaly, until it clears:
  - a rule raises once its metric was above `above` in every reading for `for_ms`;
  - it clears once the metric was below `clear_below` in every reading for `clear_for_ms`, or when the
    process it is about is gone (a pid with that start time never comes back);
  - silence is neither: no readings, nothing changes; and a silence longer than `gap_ms`, or a clock
    that steps back, breaks both runs, for nobody knows what happened meanwhile.

The whole loop of a node's senses, every clock reading handed in:

    host, table, detector = HostSampler(), ProcessSampler(), Detector(rules(settings))
    for anomaly in still_open_in_the_spool:
        detector.resume(anomaly)                       # a restart does not raise a fault twice
    with PressureTrigger() as trigger:
        while True:
            now = clock_ms()
            processes = table.read(now, detector.watching())   # None where nothing asks for it
            for found in detector.step(host.sample(now), now, processes):
                match found:
                    case Anomaly(): report(found, capture(found, now, deadline_ns=...))
                    case Clear(): say_cleared(found.anomaly, found.observed)
            await trigger.wait(0.25 if detector.near else 1.0)  # sooner where something stalls
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence

import msgspec

from sentinel.domain import (
    Anomaly,
    Id,
    Kind,
    Line,
    Metric,
    Millis,
    Name,
    Number,
    Recovery,
    Sample,
    Severity,
    Value,
)
from sentinel.errors import ConfigError

RING = 120  # readings kept of one signal: what an anomaly carries for its sparkline
MAX_WATCHED = 1024  # signals below their limit that are remembered
MAX_RAISED = 256  # open at once about processes and filesystems; a further one waits for a place
MAX_PER_STEP = 8  # a storm is reported over several steps, the furthest over its limit first
GAP_MS = 30_000
SLOPE_MS = 60_000  # a slope is taken over the readings of the last minute
LARGEST = 2**53

PROCESS_METRICS = frozenset({Metric.PROCESS_RSS, Metric.PROCESS_CPU, Metric.PROCESS_FDS})
TABLE_METRICS = PROCESS_METRICS | {Metric.ZOMBIES}  # what only the process table can tell


class Rule(Value, frozen=True, kw_only=True):
    """One limit. Values are in the metric's unit; `process` and `subject` narrow it where not empty."""

    id: Id
    metric: Metric
    kind: Kind
    severity: Severity = Severity.WARNING
    above: Number
    for_ms: Millis = 10_000
    clear_below: Number
    clear_for_ms: Millis = 10_000
    slope_per_min_above: Number | None = None  # and rising faster than this
    process: Name = ""  # the kernel's name of the process: its first 15 bytes count
    subject: Name = ""

    def __post_init__(self) -> None:
        """Refuse a rule that could flap, never clear, or never match."""
        if not 1 <= self.clear_below <= self.above:
            raise ConfigError(
                f"rule {self.id}: above {self.above} with clear_below {self.clear_below}",
                hint="a fault clears at or under the limit that raised it, and 0 cannot be undercut: "
                "1 <= clear_below <= above",
            )
        if self.process and self.metric not in PROCESS_METRICS:
            raise ConfigError(
                f"rule {self.id}: process {self.process!r} has no meaning for {self.metric.value}",
                hint=f"metrics of a process: {', '.join(sorted(m.value for m in PROCESS_METRICS))}",
            )


class Clear(Value, frozen=True, kw_only=True):
    """A raised anomaly is over; `observed` is the reading that settled it, `reason` says how."""

    anomaly: Anomaly
    observed: Number
    at_ms: Millis
    reason: Line


class Watch(Value, frozen=True, kw_only=True):
    """What the process table has to be read for. No metrics: it need not be read."""

    metrics: frozenset[Metric] = frozenset()
    names: frozenset[str] = frozenset()  # processes of these names (as `comm_of` gives them)
    everyone: frozenset[Metric] = frozenset()  # of those, what is wanted of every process there is
    subjects: frozenset[str] = frozenset()  # these in any case, and say when they are gone


class Table(Value, frozen=True, kw_only=True):
    """One reading of the process table. What it does not mention was not read: that is silence."""

    samples: tuple[Sample, ...] = ()
    names: dict[str, str] = msgspec.field(default_factory=dict)  # subject -> kernel's name of it
    gone: frozenset[str] = frozenset()  # of the subjects asked for: these certainly exist no more


def comm_of(name: str | bytes) -> str:
    """Return what the kernel keeps of a process name: 15 bytes, those that are not UTF-8 escaped."""
    raw = name.encode("utf-8", "surrogatepass") if isinstance(name, str) else name
    return raw[:15].decode("utf-8", "backslashreplace")


class Run:
    """For how long something has held in every reading."""

    def __init__(self, gap_ms: int) -> None:
        """A silence longer than `gap_ms` breaks the run."""
        self._gap_ms = gap_ms
        self.since_ms: int | None = None
        self._last_ms = 0

    def feed(self, holds: bool, at_ms: int) -> int | None:
        """Take one reading; return the run's length in ms, or None where it does not hold."""
        if not holds:
            self.since_ms = None
            return None
        if self.since_ms is None or not 0 <= at_ms - self._last_ms <= self._gap_ms:
            self.since_ms = at_ms
        self._last_ms = at_ms
        return at_ms - self.since_ms


def slope_per_min(times: Sequence[int], values: Sequence[int]) -> int | None:
    """Return the least-squares change per minute, rounded down; None without two points in time."""
    n = len(times)
    if n < 2:
        return None
    # Relative to the first, so that the sums stay small and exact.
    ts = [t - times[0] for t in times]
    vs = [v - values[0] for v in values]
    sum_t = sum(ts)
    spread = n * sum(t * t for t in ts) - sum_t * sum_t
    if spread == 0:
        return None
    rise = n * sum(t * v for t, v in zip(ts, vs, strict=True)) - sum_t * sum(vs)
    return max(-LARGEST, min(LARGEST, rise * 60_000 // spread))


class _Signal:
    """What is remembered of one rule on one subject."""

    def __init__(self, rule: Rule, gap_ms: int) -> None:
        self.rule = rule
        self.above = Run(gap_ms)
        self.below = Run(gap_ms)
        self.times = array("q")
        self.values = array("q")

    def remember(self, value: int, at_ms: int) -> None:
        """Put a reading into the ring. Times that run backwards cannot be compared: start anew."""
        if self.times and at_ms < self.times[-1]:
            del self.times[:], self.values[:]
        self.times.append(at_ms)
        self.values.append(value)
        if len(self.times) > RING:
            del self.times[0], self.values[0]

    def slope(self) -> int | None:
        """Return the slope over the last minute; None with fewer than three readings in it."""
        first = sum(1 for t in self.times if t < self.times[-1] - SLOPE_MS)
        if len(self.times) - first < 3:
            return None
        return slope_per_min(self.times[first:], self.values[first:])

    def held_ms(self, value: int, at_ms: int) -> int | None:
        """Return for how long the rule's condition has held, None where it does not."""
        holds = value > self.rule.above
        if holds and self.rule.slope_per_min_above is not None:
            slope = self.slope()
            holds = slope is not None and slope > self.rule.slope_per_min_above
        return self.above.feed(holds, at_ms)

    def anomaly(self, subject: str, now_ms: int) -> Anomaly:
        return Anomaly(
            rule=self.rule.id,
            kind=self.rule.kind,
            severity=self.rule.severity,
            metric=self.rule.metric,
            subject=subject,
            value=self.values[-1],
            threshold=self.rule.above,
            clear_below=self.rule.clear_below,
            clear_for_ms=self.rule.clear_for_ms,
            slope_per_min=self.slope(),
            since_ms=now_ms if self.above.since_ms is None else self.above.since_ms,
            detected_ms=now_ms,
            samples=tuple(self.values),
        )


Key = tuple[str, Metric, str]  # rule id, metric, subject


class Detector:
    """The rules and what they remember. `near`: something is within a tenth of its limit or over it."""

    def __init__(self, rules: Iterable[Rule], *, gap_ms: int = GAP_MS) -> None:
        """`gap_ms` must be well over the longest interval between two readings of one signal."""
        self._gap_ms = gap_ms
        self._rules: dict[str, Rule] = {}
        self._by_metric: dict[Metric, list[Rule]] = {}
        for rule in rules:
            if rule.id in self._rules:
                raise ConfigError(f"rule {rule.id} is there twice", hint="give each its own id")
            self._rules[rule.id] = rule
            self._by_metric.setdefault(rule.metric, []).append(rule)
        self._comms = {r.id: comm_of(r.process) for r in self._rules.values() if r.process}
        self._watched: dict[Key, _Signal] = {}
        self._raised: dict[Key, tuple[_Signal, Anomaly]] = {}
        self.near = False

    def step(
        self, samples: Iterable[Sample], now_ms: int, table: Table | None = None
    ) -> tuple[Anomaly | Clear, ...]:
        """Take one round of readings; return what cleared and what was raised, in that order.

        `table` is the process table where it was read in this round. Never raises.
        """
        self.near = False
        table = table or Table()
        cleared = self._drop(table.gone, now_ms)
        due: dict[Key, int | None] = {}  # the last word of this round
        for sample in (*samples, *table.samples):
            value = max(-LARGEST, min(LARGEST, sample.value))
            for rule in self._by_metric.get(sample.metric, ()):
                if rule.subject and rule.subject != sample.subject:
                    continue
                key = (rule.id, sample.metric, sample.subject)
                if key in self._raised:
                    cleared += self._relax(key, value, sample.at_ms)
                elif not rule.process or self._comms[rule.id] == table.names.get(sample.subject):
                    due[key] = self._press(rule, key, value, sample.at_ms)
                else:
                    self._watched.pop(key, None)  # it runs another program by now
        certain = {key: over for key, over in due.items() if over is not None}
        return (*cleared, *self._raise(certain, now_ms))

    def resume(self, anomaly: Anomaly) -> None:
        """Take up an anomaly that was raised before a restart: it will clear, but not raise again.

        It keeps the levels it was raised with, even where its rule has changed or is gone since.
        """
        rule = self._rules.get(anomaly.rule)
        if rule is None or rule.metric is not anomaly.metric:
            rule = _rule_of(anomaly)
            self._by_metric.setdefault(anomaly.metric, []).append(rule)
        key = (anomaly.rule, anomaly.metric, anomaly.subject)
        self._raised[key] = (_Signal(rule, self._gap_ms), anomaly)

    def watching(self, *recoveries: Recovery) -> Watch:
        """Return what the process table must be read for, `recoveries` under verification included."""
        rules = [r for r in self._rules.values() if r.metric in TABLE_METRICS]
        keys = [(metric, subject) for _, metric, subject in (*self._raised, *self._watched)]
        keys += [(r.metric, r.subject) for r in recoveries]
        held = [(metric, subject) for metric, subject in keys if metric in TABLE_METRICS]
        return Watch(
            metrics=frozenset([r.metric for r in rules] + [metric for metric, _ in held]),
            names=frozenset(self._comms.values()),
            everyone=frozenset(r.metric for r in rules if not r.process and not r.subject)
            | frozenset(metric for metric, _ in held if metric is Metric.ZOMBIES),
            subjects=frozenset(subject for _, subject in held if subject)
            | frozenset(r.subject for r in rules if r.subject),
        )

    def _press(self, rule: Rule, key: Key, value: int, at_ms: int) -> int | None:
        """Take a reading of a signal that is not raised; return its permille of the limit once due."""
        signal = self._watched.get(key) or self._begin(rule, key, value)
        if signal is None:
            return None
        signal.remember(value, at_ms)
        self.near = self.near or value * 10 >= rule.above * 9
        held = signal.held_ms(value, at_ms)
        if held is None or held < rule.for_ms:
            return None
        return value * 1000 // rule.above

    def _begin(self, rule: Rule, key: Key, value: int) -> _Signal | None:
        """Start to remember a signal. Of the many processes, only those that are half way there."""
        crowd = rule.metric in PROCESS_METRICS and not rule.process and not rule.subject
        if self._rules.get(rule.id) is not rule or (crowd and value * 2 <= rule.above):
            return None
        if len(self._watched) >= MAX_WATCHED:
            # The host's own signals stay: a churn of processes must not push them out.
            oldest = next((k for k in self._watched if k[2]), None)
            if oldest is None:
                return None
            del self._watched[oldest]
        signal = self._watched[key] = _Signal(rule, self._gap_ms)
        return signal

    def _raise(self, due: dict[Key, int], now_ms: int) -> list[Anomaly]:
        """Raise what is due, the furthest over its limit first, within both bounds.

        The host's own signals are bounded by the rules there are, and wait for nothing.
        """
        room = max(0, min(MAX_PER_STEP, MAX_RAISED - sum(1 for key in self._raised if key[2])))
        ranked = sorted(due, key=lambda key: (-due[key], key))
        found = []
        for key in [k for k in ranked if not k[2]] + [k for k in ranked if k[2]][:room]:
            # It may be gone: a later reading of the same round can have pushed it out.
            if (signal := self._watched.pop(key, None)) is not None:
                anomaly = signal.anomaly(key[2], now_ms)
                self._raised[key] = (signal, anomaly)
                found.append(anomaly)
        return found

    def _relax(self, key: Key, value: int, at_ms: int) -> list[Clear]:
        """Take a reading of a raised signal; it clears after its whole time below the clear level."""
        signal, anomaly = self._raised[key]
        signal.remember(value, at_ms)
        held = signal.below.feed(value < anomaly.clear_below, at_ms)
        if held is None or held < anomaly.clear_for_ms:
            return []
        del self._raised[key]
        reason = f"below {anomaly.clear_below} for {held} ms"
        return [Clear(anomaly=anomaly, observed=value, at_ms=at_ms, reason=reason)]

    def _drop(self, gone: frozenset[str], now_ms: int) -> list[Clear]:
        """Forget processes that exist no more; what was raised about one of them is over."""
        for key in [k for k in self._watched if k[2] in gone]:
            del self._watched[key]
        return [
            Clear(
                anomaly=self._raised.pop(key)[1],
                observed=0,
                at_ms=now_ms,
                reason=f"process {key[2]} is gone",
            )
            for key in [k for k in self._raised if k[2] in gone]
        ]


def _rule_of(anomaly: Anomaly) -> Rule:
    """Return a rule that can only clear, for an anomaly whose own rule is no more."""
    return Rule(
        id=anomaly.rule,
        metric=anomaly.metric,
        kind=anomaly.kind,
        severity=anomaly.severity,
        above=max(1, anomaly.threshold),
        clear_below=1,  # unused: a raised anomaly clears at the level it carries
        subject=anomaly.subject,
    )
