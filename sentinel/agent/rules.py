"""Which limits a node watches: those that are shipped, and those that its configuration adds."""

from __future__ import annotations

from sentinel import config
from sentinel.agent.detect import Rule
from sentinel.domain import Kind, Metric, Severity
from sentinel.errors import ConfigError

KIND_OF: dict[Metric, Kind] = {
    Metric.MEMORY_USED: Kind.MEMORY,
    Metric.SWAP_USED: Kind.SWAP,
    Metric.CPU_USED: Kind.CPU,
    Metric.LOAD_PER_CPU: Kind.CPU,
    Metric.PSI_CPU: Kind.PRESSURE,
    Metric.PSI_MEMORY: Kind.PRESSURE,
    Metric.PSI_MEMORY_FULL: Kind.PRESSURE,
    Metric.PSI_IO: Kind.PRESSURE,
    Metric.PSI_IO_FULL: Kind.PRESSURE,
    Metric.FS_USED: Kind.DISK_SPACE,
    Metric.FS_INODES_USED: Kind.DISK_INODES,
    Metric.ZOMBIES: Kind.ZOMBIES,
    Metric.BLOCKED: Kind.BLOCKED,
    Metric.PROCESS_RSS: Kind.MEMORY,
    Metric.PROCESS_CPU: Kind.CPU,
    Metric.PROCESS_FDS: Kind.FD_EXHAUSTION,
}


def _rule(metric: Metric, name: str, limit: tuple[int, int], seconds: tuple[int, int]) -> Rule:
    return Rule(
        id=name,
        metric=metric,
        kind=KIND_OF[metric],
        severity=Severity.CRITICAL if name in _CRITICAL else Severity.WARNING,
        above=limit[0],
        clear_below=limit[1],
        for_ms=seconds[0] * 1000,
        clear_for_ms=seconds[1] * 1000,
    )


_CRITICAL = {"memory-used", "memory-stalled"}

# One rule per signal, so that one fault is one anomaly: none on load or CPU pressure, which CPU use
# says too, and none per process, whose limits only the site knows.
DEFAULT_RULES: tuple[Rule, ...] = (
    _rule(Metric.MEMORY_USED, "memory-used", (920, 870), (2, 10)),
    _rule(Metric.PSI_MEMORY_FULL, "memory-stalled", (200, 50), (2, 10)),
    _rule(Metric.SWAP_USED, "swap-used", (800, 700), (60, 30)),
    _rule(Metric.CPU_USED, "cpu-used", (950, 850), (60, 30)),
    _rule(Metric.PSI_IO_FULL, "io-stalled", (600, 300), (30, 30)),
    _rule(Metric.FS_USED, "filesystem-full", (900, 880), (2, 10)),
    _rule(Metric.FS_INODES_USED, "inodes-full", (900, 880), (2, 10)),
    _rule(Metric.ZOMBIES, "zombies", (50, 25), (30, 30)),
    _rule(Metric.BLOCKED, "blocked", (10, 3), (30, 30)),
)


def rule_from(settings: config.RuleSettings) -> Rule:
    """Return the rule that a configuration file describes; ConfigError names rule and field."""
    unit = config.unit_of(settings.metric)
    where = f"rule {settings.id}"
    above = config.quantity(settings.above, unit, f"{where}: above")
    clear, slope = settings.clear_below, settings.slope_above_per_min
    return Rule(
        id=settings.id,
        metric=settings.metric,
        kind=settings.kind or KIND_OF[settings.metric],
        severity=settings.severity,
        above=above,
        for_ms=config.quantity(settings.hold, "duration", f"{where}: for"),
        clear_below=max(1, above * 9 // 10)
        if clear is None
        else config.quantity(clear, unit, f"{where}: clear_below"),
        clear_for_ms=config.quantity(settings.clear_for, "duration", f"{where}: clear_for"),
        slope_per_min_above=None
        if slope is None
        else config.quantity(slope, unit, f"{where}: slope_above_per_min"),
        process=settings.process,
        subject=settings.subject,
    )


def rules(settings: config.AgentSettings) -> tuple[Rule, ...]:
    """Return the rules of a node: the shipped ones, replaced by id, and the site's own."""
    own = [rule_from(each) for each in settings.rules]
    ids = [rule.id for rule in own]
    twice = sorted({each for each in ids if ids.count(each) > 1})
    if twice:
        raise ConfigError(f"rule {twice[0]} is there twice", hint="give each rule its own id")
    shipped = [rule for rule in DEFAULT_RULES if settings.shipped_rules and rule.id not in ids]
    return (*shipped, *own)
