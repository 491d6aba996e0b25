"""What a node reads of itself, in numbers. Host signals are cheap and read each time; the process
table is read when a rule asks for it, and never costs more than a thousandth of a processor by itself.

A source that cannot be read gives no sample, and its reason stands in `failures`: silence is for the
detector to judge. psutil would cost two to seven times as much (see bench/agent.py).
"""

from __future__ import annotations

import os
import re
import select
import time
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from sentinel.agent import procfs
from sentinel.agent.detect import PROCESS_METRICS, Table, Watch, comm_of
from sentinel.agent.procfs import Mount, Stat
from sentinel.domain import Metric, Sample

Reading = tuple[Metric, str, int]  # metric, subject, value

SHORTEST_NS = 50_000_000  # a rate over less than this is noise
MAX_FILESYSTEMS = 64
_NOT_READ = (OSError, ValueError, IndexError, KeyError, ZeroDivisionError)

_PRESSURES: tuple[tuple[str, bytes, Metric], ...] = (
    ("cpu", b"some", Metric.PSI_CPU),
    ("memory", b"some", Metric.PSI_MEMORY),
    ("memory", b"full", Metric.PSI_MEMORY_FULL),
    ("io", b"some", Metric.PSI_IO),
    ("io", b"full", Metric.PSI_IO_FULL),
)


class Kept:
    """A file of /proc that stays open: reading it anew costs one call."""

    def __init__(self, path: str) -> None:
        """The file is opened at the first reading, and again after one that failed."""
        self._path = path
        self._fd = -1

    def read(self) -> bytes:
        """Return the whole content; OSError where it cannot be read."""
        fd = self.fileno()
        try:
            data = part = os.pread(fd, procfs.CHUNK, 0)
            while len(part) == procfs.CHUNK:
                part = os.pread(fd, procfs.CHUNK, len(data))
                data += part
        except OSError:
            self.close()
            raise
        return data

    def fileno(self) -> int:
        """Return the descriptor, opened now if need be."""
        if self._fd < 0:
            self._fd = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        return self._fd

    def close(self) -> None:
        """Close the file until it is read again."""
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = -1


class HostSampler:
    """The host's own signals: memory, swap, CPU, load, pressure, blocked processes, filesystems.

    CPU and pressure are shares of the time since the reading before; the first reading of CPU gives
    none, the first of pressure the kernel's average over 10 s. `failures` says what could not be read.
    """

    def __init__(self, proc: str = "/proc") -> None:
        """`proc` is where the host's procfs is mounted."""
        self.failures: dict[str, str] = {}
        self._files = {
            name: Kept(f"{proc}/{name}")
            for name in ("meminfo", "stat", "loadavg", "self/mountinfo")
        }
        self._pressure = {name: Kept(f"{proc}/pressure/{name}") for name in ("cpu", "memory", "io")}
        self._sources: dict[str, Callable[[], Iterable[Reading]]] = {
            "memory": self._memory,
            "cpu": self._cpu,
            "load": self._load,
            "pressure": self._stalls,
            "filesystems": self._filesystems,
        }
        self._cpus = os.cpu_count() or 1
        self._cpu_before: tuple[int, int] | None = None  # busy, all
        self._stalled: dict[Metric, tuple[int, int]] = {}  # microseconds stalled in all, at ns
        self._mounts: tuple[Mount, ...] = ()
        self._changes: select.poll | None = None

    def sample(self, now_ms: int) -> tuple[Sample, ...]:
        """Return one reading of everything that can be read now. Never raises."""
        found = []
        for name, source in self._sources.items():
            try:
                readings = list(source())
            except _NOT_READ as error:
                self.failures[name] = f"{type(error).__name__}: {error}"
            else:
                self.failures.pop(name, None)
                found += readings
        return tuple(
            Sample(metric=metric, subject=subject, value=value, at_ms=now_ms)
            for metric, subject, value in found
        )

    def close(self) -> None:
        """Close what is kept open."""
        for file in (*self._files.values(), *self._pressure.values()):
            file.close()
        self._changes = None

    def _memory(self) -> Iterator[Reading]:
        data = self._files["meminfo"].read()
        total, swap = kib(data, b"MemTotal:"), kib(data, b"SwapTotal:")
        yield Metric.MEMORY_USED, "", (total - kib(data, b"MemAvailable:")) * 1000 // total
        if swap:
            yield Metric.SWAP_USED, "", (swap - kib(data, b"SwapFree:")) * 1000 // swap

    def _cpu(self) -> Iterator[Reading]:
        data = self._files["stat"].read()
        # user nice system idle iowait irq softirq steal; guest time is in user already
        spent = [int(ticks) for ticks in data[: data.index(b"\n")].split()[1:9]]
        everything, idle = sum(spent), spent[3] + spent[4]
        before, now = self._cpu_before, (everything - idle, everything)
        self._cpus = max(1, data.count(b"\ncpu"))
        if before is None or not 0 <= now[1] - before[1] < 5 * self._cpus:
            self._cpu_before = now
            if before is not None and now[1] > before[1]:
                busy = max(0, now[0] - before[0]) * 1000 // (now[1] - before[1])
                yield Metric.CPU_USED, "", min(1000, busy)
        at = data.index(b"procs_blocked ")
        yield Metric.BLOCKED, "", int(data[at + 14 : data.index(b"\n", at)])

    def _load(self) -> Iterator[Reading]:
        load = self._files["loadavg"].read().split(b" ", 1)[0]
        yield Metric.LOAD_PER_CPU, "", int(load.replace(b".", b"")) * 10 // self._cpus

    def _stalls(self) -> Iterator[Reading]:
        read = {name: file.read() for name, file in self._pressure.items()}
        now_ns = time.monotonic_ns()
        for name, line, metric in _PRESSURES:
            total, average = stalled(read[name], line)
            before = self._stalled.get(metric)
            if before is None:
                self._stalled[metric] = (total, now_ns)
                yield metric, "", average
            elif now_ns - before[1] >= SHORTEST_NS:
                self._stalled[metric] = (total, now_ns)
                share = max(0, total - before[0]) * 1_000_000 // (now_ns - before[1])
                yield metric, "", min(1000, share)

    def _filesystems(self) -> Iterator[Reading]:
        for mount in self._mounted():
            try:
                space = os.statvfs(mount.point)
            except OSError:
                continue  # unmounted this instant, or broken: no reading of it
            subject = procfs.text_of(mount.point)
            room = space.f_blocks - space.f_bfree + space.f_bavail
            if room > 0:
                used = (space.f_blocks - space.f_bfree) * 1000
                yield Metric.FS_USED, subject, -(-used // room)  # rounded up, as df does
            if space.f_files > 0:
                used = (space.f_files - space.f_ffree) * 1000
                yield Metric.FS_INODES_USED, subject, -(-used // space.f_files)

    def _mounted(self) -> tuple[Mount, ...]:
        """Return the local filesystems; the kernel says when the list has changed."""
        file = self._files["self/mountinfo"]
        if self._changes is None or self._changes.poll(0):
            self._changes = None
            data = file.read()
            self._mounts = procfs.local(procfs.parse_mounts(data))[:MAX_FILESYSTEMS]
            self._changes = select.poll()
            self._changes.register(file.fileno(), select.POLLPRI)
        return self._mounts


def kib(data: bytes, name: bytes) -> int:
    """Return a field of /proc/meminfo in KiB; ValueError where it is not there."""
    at = data.index(b"\n" + name if name != b"MemTotal:" else name)
    return int(data[data.index(b":", at) + 1 : data.index(b"kB", at)])


def stalled(data: bytes, line: bytes) -> tuple[int, int]:
    """Return (microseconds stalled since boot, permille of the last 10 s) of one pressure line."""
    at = data.index(line + b" ")
    fields = dict(field.split(b"=") for field in data[at:].splitlines()[0].split()[1:])
    return int(fields[b"total"]), int(fields[b"avg10"].replace(b".", b"")) // 10


class Seen(NamedTuple):
    """What the last reading said of a process, and when it was."""

    stat: Stat
    at_ns: int  # time.monotonic_ns
    times: int  # readings so far


class ProcessSampler:
    """The process table, read by hand: sizes, CPU since the last reading, descriptors of the chosen.

    Two ways to read it, each when it is due:
      - whole, where some rule is about every process: as often as costs a thousandth of one
        processor (a quarter of that to count zombies, which are in no hurry), between `interval_ms`
        and LONGEST_MS;
      - narrow, every `interval_ms`: the processes asked for by name or identity, those that are new,
        and an eighth of the rest, whose name may have changed.
    """

    LONGEST_MS = 15_000  # well under the detector's gap
    COST_DIVISOR = 1000
    SLICES = 8
    NEW = 3  # readings after which a process counts as settled: a fork keeps its parent's name at first

    def __init__(self, interval_ms: int = 2000, proc: str = "/proc") -> None:
        """`interval_ms` is the least time between two readings, `proc` where procfs is mounted."""
        self.failure = ""  # why the table could not be read the last time, empty where it could
        self._proc = proc
        self._interval_ns = interval_ms * 1_000_000
        self._seen: dict[int, Seen] = {}
        self._read_ns = self._whole_ns = -(2**62)
        self._cost_ns = 0
        self._turn = 0

    @property
    def seen(self) -> dict[int, Seen]:
        """What the readings so far say of each pid. Each reading makes a new dict: safe to keep."""
        return self._seen

    def read(self, now_ms: int, watch: Watch) -> Table | None:
        """Return a reading of what `watch` asks for; None where nothing is due, or nothing readable."""
        mono, started = time.monotonic_ns(), time.thread_time_ns()
        calm = 1 if watch.everyone & PROCESS_METRICS else 4
        pace = min(self.LONGEST_MS * 1_000_000, self._cost_ns * self.COST_DIVISOR * calm)
        whole = bool(watch.everyone) and mono - self._whole_ns >= max(self._interval_ns, pace)
        narrow = bool(watch.metrics) and mono - self._read_ns >= self._interval_ns
        if not whole and not (narrow and (watch.names or watch.subjects)):
            return None
        try:
            there = procfs.pids(self._proc)
        except OSError as error:
            self.failure = f"{self._proc}: {error.strerror}"
            return None
        self.failure = ""
        before, now = self._seen, self._look(there if whole else self._chosen(there, watch))
        table = self._table(now_ms, watch, now, there, whole=whole)
        self._seen = {pid: s for pid in there if (s := now.get(pid) or before.get(pid)) is not None}
        self._read_ns = mono
        if whole:
            self._whole_ns, self._cost_ns = mono, time.thread_time_ns() - started
        return table

    def _chosen(self, there: list[int], watch: Watch) -> list[int]:
        """Return the pids that a narrow reading looks at."""
        asked = {
            int(subject.partition(":")[0]) for subject in watch.subjects if _is_subject(subject)
        }
        self._turn = (self._turn + 1) % self.SLICES
        return [
            pid
            for pid in there
            if pid % self.SLICES == self._turn
            or pid in asked
            or (seen := self._seen.get(pid)) is None
            or seen.times < self.NEW
            or comm_of(seen.stat.comm) in watch.names
        ]

    def _look(self, pids: Iterable[int]) -> dict[int, Seen | None]:
        """Read each process; None where it is gone by now. One that cannot be read is left out."""
        found: dict[int, Seen | None] = {}
        for pid in pids:
            try:
                stat = procfs.parse_stat(procfs.read(f"{self._proc}/{pid}/stat", 1024))
            except (FileNotFoundError, ProcessLookupError):
                found[pid] = None
            except (OSError, ValueError, IndexError):
                continue
            else:
                before = self._seen.get(pid)
                same = before is not None and before.stat.start == stat.start
                times = before.times + 1 if before is not None and same else 1
                found[pid] = Seen(stat, time.monotonic_ns(), times)
        return found

    def _table(
        self,
        now_ms: int,
        watch: Watch,
        now: dict[int, Seen | None],
        there: list[int],
        *,
        whole: bool,
    ) -> Table:
        samples, names = [], {}
        for seen in now.values():
            if seen is None:
                continue
            name, subject = comm_of(seen.stat.comm), seen.stat.subject
            asked = name in watch.names or subject in watch.subjects
            for metric in (watch.metrics if asked else watch.everyone) & PROCESS_METRICS:
                if (value := self._measure(metric, seen)) is not None:
                    names[subject] = name
                    samples.append(
                        Sample(metric=metric, subject=subject, value=value, at_ms=now_ms)
                    )
        if whole and Metric.ZOMBIES in watch.metrics:
            dead = sum(1 for seen in now.values() if seen is not None and seen.stat.state == "Z")
            samples.append(Sample(metric=Metric.ZOMBIES, value=dead, at_ms=now_ms))
        alive = set(there)
        gone = frozenset(s for s in watch.subjects if _is_gone(s, alive, now))
        return Table(samples=tuple(samples), names=names, gone=gone)

    def _measure(self, metric: Metric, seen: Seen) -> int | None:
        """Return one value of a process, None where it cannot be had (yet)."""
        if metric is Metric.PROCESS_RSS:
            return seen.stat.rss_bytes
        if metric is Metric.PROCESS_FDS:
            return procfs.open_files(seen.stat.pid, self._proc)
        return cpu_permille(self._seen.get(seen.stat.pid), seen)


def cpu_permille(before: Seen | None, now: Seen) -> int | None:
    """Return the share of one processor between two readings; None where they are no pair."""
    if before is None or before.stat.start != now.stat.start:
        return None
    elapsed = now.at_ns - before.at_ns
    if elapsed < SHORTEST_NS:
        return None
    ticks = max(0, now.stat.cpu_ticks - before.stat.cpu_ticks)
    return ticks * 10**12 // (procfs.TICKS_PER_S * elapsed)


def _is_subject(subject: str) -> bool:
    return re.fullmatch(r"[0-9]{1,10}:[0-9]{1,20}", subject) is not None


def _is_gone(subject: str, there: set[int], now: dict[int, Seen | None]) -> bool:
    """Tell whether a process certainly exists no more: a successful reading says so."""
    if not _is_subject(subject):
        return False
    pid, start = (int(part) for part in subject.split(":"))
    if pid not in there:
        return True
    if pid not in now:
        return False  # it could not be read: nobody knows
    seen = now[pid]
    return seen is None or seen.stat.start != start
