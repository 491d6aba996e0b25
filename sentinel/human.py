"""How numbers are said to a person, in evidence, sentences, prompts and screens. Pure.

One fact is said in one way wherever it is said: a node's reason, a model's prompt and the terminal agree.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from sentinel.domain import Metric

SECOND = 1000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

_BARS = "▁▂▃▄▅▆▇█"
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


def age(ms: int) -> str:
    """Return how long `ms` is in one short word: `now`, `42s`, `7m`, `3h`, `12d`."""
    if ms < SECOND:
        return "now"
    if ms < MINUTE:
        return f"{ms // SECOND}s"
    if ms < HOUR:
        return f"{ms // MINUTE}m"
    return f"{ms // HOUR}h" if ms < 2 * DAY else f"{ms // DAY}d"


def span(ms: int) -> str:
    """Return how long something took in one short word, as `age` has it: `<1s`, `42s`, `7m`."""
    return "<1s" if ms < SECOND else age(ms)


def duration(ms: int) -> str:
    """Return `ms` with the precision a person wants of it: `21 ms`, `4.1 s`, `2 min 5 s`, `2 d 3 h`."""
    if ms < SECOND:
        return f"{max(0, ms)} ms"
    if ms < 10 * SECOND:
        return f"{ms / SECOND:.1f} s"
    if ms < MINUTE:
        return f"{ms // SECOND} s"
    if ms < HOUR:
        return _two(ms // MINUTE, "min", ms % MINUTE // SECOND, "s")
    if ms < DAY:
        return _two(ms // HOUR, "h", ms % HOUR // MINUTE, "min")
    return _two(ms // DAY, "d", ms % DAY // HOUR, "h")


def _two(large: int, large_unit: str, small: int, small_unit: str) -> str:
    head = f"{large} {large_unit}"
    return f"{head} {small} {small_unit}" if small else head


def size(count: int) -> str:
    """Return bytes in binary units: `412 B`, `1.2 GiB`, `128 MiB`."""
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
    name = metric.value
    if name.endswith("_bytes"):
        return size(value)
    if name.endswith("_permille"):
        return share(value)
    if name.endswith("_milli"):
        return f"{value / 1000:.2f}"
    return str(value)


def slope(metric: Metric, per_minute: int | None) -> str:
    """Return the change per minute with its sign, or nothing where none is known."""
    if per_minute is None:
        return ""
    sign = "+" if per_minute >= 0 else "-"
    return f"{sign}{reading(metric, abs(per_minute))}/min"


def spark(samples: Sequence[int], cells: int) -> str:
    """Return `samples` as a line of bars, oldest first; the last `cells` of them if there are more."""
    shown = list(samples[-cells:]) if cells > 0 else []
    if not shown:
        return ""
    low, span = min(shown), max(shown) - min(shown)
    if span == 0:
        return _BARS[3] * len(shown)
    return "".join(_BARS[(value - low) * (len(_BARS) - 1) // span] for value in shown)


def digest(value: str) -> str:
    """Return the beginning of a digest, in fours: `9f3c a1b2 77de`. The first four are what is typed."""
    digits = value.removeprefix("sha256:")[:12]
    return " ".join(digits[at : at + 4] for at in range(0, len(digits), 4))


def clock(ms: int) -> str:
    """Return the time of day of `ms`, UTC, as `03:12:07`."""
    return _date(ms).strftime("%H:%M:%S")


def date(ms: int) -> str:
    """Return the date and time of `ms`, UTC, as `2025-11-21 03:12:07Z`."""
    return _date(ms).strftime("%Y-%m-%d %H:%M:%SZ")


def _date(ms: int) -> dt.datetime:
    # 2**53 ms, which the domain allows, is beyond the year that datetime knows.
    return dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(
        milliseconds=min(max(ms, 0), 253_402_300_799_000)
    )


def short_id(incident: str) -> str:
    """Return the end of an incident's id: the beginning of a UUIDv7 is only the time."""
    return incident[-4:]
