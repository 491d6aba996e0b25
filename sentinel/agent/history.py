"""What happened on the host lately: kernel messages and changes. Bounded, redacted, newest first.

Nothing here starts a process or waits: logs are read from their end, the kernel's without blocking.
"""

from __future__ import annotations

import datetime as dt
import os
import re
import stat
import time
from collections import deque
from collections.abc import Iterator

from sentinel.agent import files, procfs, redact
from sentinel.agent.files import Budget
from sentinel.agent.procfs import Mount
from sentinel.domain import Change, LogLine

KMSG = "/dev/kmsg"
KERNEL_LOGS = ("/var/log/kern.log", "/var/log/messages", "/var/log/syslog")
PACKAGE_LOGS = ("/var/log/dpkg.log", "/var/log/dnf.rpm.log", "/var/log/yum.log")
CONFIGURATION = "/etc"

MAX_LINES = 32
MAX_CHANGES = 24
MAX_RECORDS = 50_000  # of the kernel's buffer
MAX_CONFIGURATION = 10_000  # entries below /etc
TAIL_BYTES = 65536
LINE_CHARS = 512
RECENT_MS = 15 * 60_000  # every kernel message; older ones only from `warning` up
LOOKBACK_MS = 48 * 3_600_000
WARNING = 4
_RESTLESS = ("/etc/ld.so.cache", "/etc/mtab")  # changed by the system itself, all the time


def kernel(now_ms: int, budget: Budget, path: str) -> tuple[LogLine, ...]:
    """Return the kernel's recent messages, newest first; OSError where no source can be read."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        lines = _kernel_log()
        if lines is None:
            raise OSError(
                error.errno, f"{path}: {error.strerror}; no kernel log file either"
            ) from None
        return lines
    try:
        return _newest(_records(fd, now_ms, budget))
    finally:
        os.close(fd)


def packages(now_ms: int, logs: tuple[str, ...] = PACKAGE_LOGS) -> Iterator[Change]:
    """Yield what the package manager installed, replaced or removed within LOOKBACK_MS."""
    for path in logs:
        for line in _tail(path):
            change = _package(line)
            if change is not None and now_ms - LOOKBACK_MS <= change.at_ms <= now_ms:
                yield change


def configuration(
    now_ms: int, mounts: tuple[Mount, ...], budget: Budget, top: str
) -> Iterator[Change]:
    """Yield the files below `top` that were written within LOOKBACK_MS; OSError where it cannot be."""
    for path, status, _ in files.walk(top.encode(), mounts, budget):
        at_ms = status.st_mtime_ns // 1_000_000
        plain = procfs.text_of(path, 1000)
        fresh = now_ms - LOOKBACK_MS <= at_ms <= now_ms
        if fresh and stat.S_ISREG(status.st_mode) and plain not in _RESTLESS:
            yield Change(at_ms=at_ms, what="file", text=f"{plain} was written")


def boot(boot_ms: int, now_ms: int) -> Iterator[Change]:
    """Yield the host's start, where it lies within LOOKBACK_MS."""
    if now_ms - LOOKBACK_MS <= boot_ms <= now_ms:
        yield Change(at_ms=boot_ms, what="boot", text="the host was started")


def newest(changes: list[Change]) -> tuple[Change, ...]:
    """Return the newest of `changes`, newest first, each once."""
    return tuple(sorted(set(changes), key=lambda c: (c.at_ms, c.text), reverse=True)[:MAX_CHANGES])


def _records(fd: int, now_ms: int, budget: Budget) -> Iterator[tuple[int, bytes]]:
    """Yield (time in ms, text) of the kernel's buffer, oldest first: `priority,sequence,microseconds,flags;text`."""
    up_us = time.monotonic_ns() // 1000
    while budget.spend():
        try:
            record = os.read(fd, 8192)
        except BlockingIOError:
            return
        except BrokenPipeError:
            continue  # overwritten while we read: the next read goes on with what is left
        if not record:
            return
        head, _, text = record.partition(b"\n")[0].partition(b";")
        fields = head.split(b",")
        if len(fields) < 3 or not (fields[0].isdigit() and fields[2].isdigit()):
            continue
        age_ms = max(0, up_us - int(fields[2])) // 1000
        if age_ms <= RECENT_MS or (int(fields[0]) & 7 <= WARNING and age_ms <= LOOKBACK_MS):
            yield max(0, now_ms - age_ms), text


def _kernel_log() -> tuple[LogLine, ...] | None:
    """Return the end of the first kernel log file that can be read, None where there is none."""
    for path in KERNEL_LOGS:
        try:
            lines = [line for line in _tail(path, missing_ok=False) if " kernel: " in line]
        except OSError:
            continue
        return _newest(
            (_stamp(line) or 0, line.partition(" kernel: ")[2].encode()) for line in lines
        )
    return None


def _newest(lines: Iterator[tuple[int, bytes]]) -> tuple[LogLine, ...]:
    return tuple(_line(at_ms, text) for at_ms, text in reversed(deque(lines, maxlen=MAX_LINES)))


def _line(at_ms: int, text: bytes) -> LogLine:
    shown = redact.redact(procfs.text_of(text, redact.MAX_CHARS))
    return LogLine(at_ms=at_ms, source="kernel", text=procfs.text_of(shown.encode(), LINE_CHARS))


def _tail(path: str, *, missing_ok: bool = True) -> list[str]:
    """Return the whole lines in the last TAIL_BYTES of a regular file."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        if missing_ok:
            return []
        raise
    try:
        size = os.fstat(fd).st_size
        data = os.pread(fd, TAIL_BYTES, max(0, size - TAIL_BYTES))
    finally:
        os.close(fd)
    lines = data.split(b"\n")
    return [procfs.text_of(line, 2048) for line in lines[1 if size > TAIL_BYTES else 0 :] if line]


def _package(line: str) -> Change | None:
    """Return what a line of a package manager's log says, None where it says nothing of interest."""
    at_ms = _stamp(line)
    dpkg = re.match(
        r"\S+ \S+ (install|upgrade|remove|purge) (\S{1,200}) (\S{1,200}) (\S{1,200})$", line
    )
    rpm = re.match(r"\S+ SUBDEBUG (Installed|Upgrade|Upgraded|Erase|Removed): (\S{1,400})$", line)
    if at_ms is None or not (dpkg or rpm):
        return None
    if dpkg:
        verb, name, old, new = dpkg.groups()
        text = f"{verb} {name} {old} -> {new}"
    else:
        assert rpm is not None
        text = f"{rpm[1].lower()} {rpm[2]}"
    return Change(at_ms=at_ms, what="package", text=text)


def _stamp(line: str) -> int | None:
    """Return the time that a line begins with, in ms; a time without a zone is the host's own."""
    found = re.match(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d{1,6})?(?:Z|[+-]\d\d:?\d\d)?", line)
    if not found:
        return None
    try:
        moment = dt.datetime.fromisoformat(found[0])
        return max(0, int(moment.timestamp() * 1000))
    except (ValueError, OverflowError):
        return None
