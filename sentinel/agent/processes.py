"""Which processes belong in an incident, and what is said of each. Read by hand, in two stages: one
short file of every process, and the details of a few.
"""

from __future__ import annotations

import heapq
import os
import re
import time
from collections import Counter
from collections.abc import Callable, Iterable

from sentinel.agent import procfs, redact
from sentinel.agent.detect import comm_of
from sentinel.agent.procfs import Stat
from sentinel.agent.sample import Seen, cpu_permille
from sentinel.domain import Anomaly, Kind, Metric, Process

MOST = 10  # by what the incident is about
OTHERS = 5  # by the other measure: the culprit is not always what it looks like
CMDLINE_BYTES = 4096
USERS_FILE = "/etc/passwd"

_MEMORY = {Metric.PSI_MEMORY, Metric.PSI_MEMORY_FULL}
Rank = Callable[[Stat], int]


class Census:
    """Every process there is at one moment. `failure` says why there is none."""

    def __init__(self, seen: dict[int, Seen] | None = None, proc: str = "/proc") -> None:
        """`seen` is what an earlier reading knows: CPU is the share since then.

        What it does not know counts from its start. Without it, a tenth of a second is waited for.
        OSError where the table cannot be read.
        """
        self._proc = proc
        if not seen:
            seen = self._read()
            time.sleep(0.1)
        now = self._read()
        self.stats = {pid: each.stat for pid, each in now.items()}
        self._uptime_ticks = _uptime_ticks(proc)
        self._cpu = {pid: self._share(seen.get(pid), each) for pid, each in now.items()}
        self._users = _users()

    def chosen(self, anomaly: Anomaly, also: Iterable[int] = ()) -> list[Stat]:
        """Return the processes that the incident needs, the subject first, then `also`, then the top."""
        subject = [stat for stat in self.stats.values() if stat.subject == anomaly.subject]
        held = [self.stats[pid] for pid in also if pid in self.stats]
        first, second = self._ranks(anomaly)
        chosen = [*subject, *held, *self._top(MOST, first), *self._top(OTHERS, second)]
        return list(dict.fromkeys(chosen))

    def describe(self, stat: Stat) -> Process | None:
        """Return what is said of a process; None where it is gone by now."""
        folder = f"{self._proc}/{stat.pid}"
        try:
            uid = os.stat(folder).st_uid
            words = procfs.read(f"{folder}/cmdline", CMDLINE_BYTES)
            unit = unit_of(procfs.read(f"{folder}/cgroup", CMDLINE_BYTES))
            fds = procfs.open_files(stat.pid, self._proc)
            # The pid may have been given to another process while we read.
            if procfs.parse_stat(procfs.read(f"{folder}/stat", 1024)).start != stat.start:
                return None
        except (OSError, ValueError, IndexError):
            return None
        return Process(
            pid=stat.pid,
            start_ticks=stat.start,
            ppid=stat.ppid,
            name=comm_of(stat.comm),
            cmdline=cmdline_of(words),
            user=self._users.get(uid, str(uid))[:256],
            unit=unit,
            state=stat.state[:1],
            rss_bytes=max(0, stat.rss_bytes),
            cpu_permille=self._cpu.get(stat.pid, 0),
            fds=fds,
            age_s=max(0, self._uptime_ticks - stat.start) // procfs.TICKS_PER_S,
        )

    def _read(self) -> dict[int, Seen]:
        found = {}
        for pid in procfs.pids(self._proc):
            try:
                stat = procfs.parse_stat(procfs.read(f"{self._proc}/{pid}/stat", 1024))
            except (OSError, ValueError, IndexError):
                continue
            found[pid] = Seen(stat, time.monotonic_ns(), 1)
        return found

    def _share(self, before: Seen | None, now: Seen) -> int:
        share = cpu_permille(before, now)
        if share is not None:
            return share
        return now.stat.cpu_ticks * 1000 // max(1, self._uptime_ticks - now.stat.start)

    def _ranks(self, anomaly: Anomaly) -> tuple[Rank, Rank]:
        """Return the measure that the incident is about, and another."""
        match anomaly.kind:
            case Kind.FD_EXHAUSTION:
                return self._fds, _rss
            case Kind.ZOMBIES:
                dead = Counter(stat.ppid for stat in self.stats.values() if stat.state == "Z")
                worst = max(dead.values(), default=0)
                return (lambda stat: dead[stat.pid]), (
                    lambda stat: stat.state == "Z" and dead[stat.ppid] == worst
                )
            case Kind.BLOCKED:
                return (lambda stat: stat.state == "D"), self._share_of
            case Kind.MEMORY | Kind.SWAP | Kind.DISK_SPACE | Kind.DISK_INODES | Kind.AGENT_LOST:
                return _rss, self._share_of
            case Kind.CPU:
                return self._share_of, _rss
            case Kind.PRESSURE:
                by_memory = anomaly.metric in _MEMORY
                return (_rss, self._share_of) if by_memory else (self._share_of, _rss)

    def _top(self, count: int, rank: Rank) -> list[Stat]:
        ranked = [(rank(stat), stat) for stat in self.stats.values()]
        best = heapq.nlargest(count, ranked, key=lambda pair: pair[0])
        return [stat for value, stat in best if value > 0]

    def _share_of(self, stat: Stat) -> int:
        return self._cpu.get(stat.pid, 0)

    def _fds(self, stat: Stat) -> int:
        return procfs.open_files(stat.pid, self._proc) or 0


def cmdline_of(data: bytes) -> str:
    """Return a command line as one redacted line of at most 1,024 characters."""
    words = [procfs.text_of(word, CMDLINE_BYTES) for word in data.rstrip(b"\0").split(b"\0")]
    line = " ".join(redact.redact_argv(words))
    return line if len(line) <= 1024 else line[:1023] + "…"


def unit_of(data: bytes) -> str:
    """Return the system unit of a /proc/PID/cgroup, else its control group, else nothing.

    The outermost service is the one that `systemctl` knows: below user@1000.service begin the units
    of a user's own manager.
    """
    paths = {}
    for line in data.splitlines():
        _, names, path = (*line.split(b":", 2), b"", b"")[:3]
        paths[names] = path
    path = paths.get(b"", b"/")
    if path == b"/":
        path = paths.get(b"name=systemd", b"/")
    parts = path.split(b"/")
    for suffix in (b".service", b".scope"):
        for part in parts:
            if part.endswith(suffix):
                return procfs.text_of(part)
    return procfs.text_of(path) if path != b"/" else ""


def is_unit(name: str) -> bool:
    """Tell whether `unit_of` gave a unit's name rather than a control group."""
    return re.fullmatch(r"[\w:.\\@-]+\.(?:service|scope)", name) is not None


def _rss(stat: Stat) -> int:
    return stat.rss_bytes


def _uptime_ticks(proc: str) -> int:
    whole, _, part = procfs.read(f"{proc}/uptime", 128).split()[0].partition(b".")
    return int(whole) * procfs.TICKS_PER_S + int(part) * procfs.TICKS_PER_S // 100


def _users() -> dict[int, str]:
    """Return the local users by id. Not getpwuid: it may ask a directory server, and wait for it."""
    users = {}
    try:
        lines = procfs.read(USERS_FILE, 1 << 20).splitlines()
    except OSError:
        return {}
    for line in lines:
        fields = line.split(b":")
        if len(fields) > 2 and fields[2].isdigit():
            users[int(fields[2])] = fields[0].decode("utf-8", "backslashreplace")
    return users
