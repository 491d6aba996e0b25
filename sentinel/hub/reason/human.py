"""How numbers are said in evidence, in sentences and in a prompt. Pure, deterministic."""

from __future__ import annotations

from sentinel.domain import Metric

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")

METRIC_WORDS: dict[Metric, str] = {
    Metric.MEMORY_USED: "memory used",
    Metric.SWAP_USED: "swap used",
    Metric.CPU_USED: "CPU used",
    Metric.LOAD_PER_CPU: "load per CPU",
    Metric.PSI_CPU: "CPU pressure",
    Metric.PSI_MEMORY: "memory pressure",
    Metric.PSI_MEMORY_FULL: "memory pressure (full)",
    Metric.PSI_IO: "I/O pressure",
    Metric.PSI_IO_FULL: "I/O pressure (full)",
    Metric.FS_USED: "space used",
    Metric.FS_INODES_USED: "inodes used",
    Metric.ZOMBIES: "zombie processes",
    Metric.BLOCKED: "blocked processes",
    Metric.PROCESS_RSS: "resident memory",
    Metric.PROCESS_CPU: "CPU",
    Metric.PROCESS_FDS: "open files",
}


def size(count: int) -> str:
    """Return a number of bytes in binary units: `412 B`, `1.2 GiB`, `128 MiB`."""
    value, unit = float(abs(count)), 0
    while value >= 1024 and unit < len(_UNITS) - 1:
        value, unit = value / 1024, unit + 1
    digits = 1 if unit and value < 10 else 0
    return f"{'-' if count < 0 else ''}{value:.{digits}f} {_UNITS[unit]}"


def share(permille: int) -> str:
    """Return permille as a percentage: `97.2%`."""
    return f"{permille / 10:.1f}%"


def reading(metric: Metric, value: int) -> str:
    """Return a value of `metric` in the unit that its name ends in."""
    match metric.value.rsplit("_", 1)[1]:
        case "bytes":
            return size(value)
        case "permille":
            return share(value)
        case "milli":
            return f"{value / 1000:.2f}"
        case _:
            return str(value)


def duration(ms: int) -> str:
    """Return a length of time in its one or two largest units: `4 s`, `2 min 5 s`, `3 h 4 min`."""
    seconds = max(0, ms) // 1000
    for unit, length, below, small in (("d", 86400, "h", 3600), ("h", 3600, "min", 60)):
        if seconds >= length:
            return _two(seconds // length, unit, seconds % length // small, below)
    if seconds >= 60:
        return _two(seconds // 60, "min", seconds % 60, "s")
    return f"{max(0, ms) / 1000:.1f} s" if seconds < 10 else f"{seconds} s"


def _two(large: int, unit: str, small: int, below: str) -> str:
    return f"{large} {unit} {small} {below}" if small else f"{large} {unit}"
