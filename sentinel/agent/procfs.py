"""How /proc is read: bytes in, plain tuples out. Every text here can be hostile.

A process chooses its own name: it may hold parentheses, newlines and bytes that are no UTF-8, so
`stat` is cut at its LAST parenthesis, and text is decoded with what is invalid shown escaped.
"""

from __future__ import annotations

import os
import re
from typing import NamedTuple

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGESIZE")
CHUNK = 65536

# Filesystems that live on this host: asking one how full it is never waits for another machine.
# fmt: off
LOCAL_TYPES = frozenset({
    "bcachefs", "btrfs", "exfat", "ext2", "ext3", "ext4", "f2fs", "jfs", "nilfs2", "ntfs3",
    "overlay", "reiserfs", "tmpfs", "ubifs", "vfat", "xfs", "zfs",
})
# Pseudo filesystems keep nobody waiting either, whatever is mounted below them.
_HARMLESS_TYPES = LOCAL_TYPES | frozenset({
    "autofs", "binfmt_misc", "bpf", "cgroup", "cgroup2", "configfs", "debugfs", "devpts",
    "devtmpfs", "efivarfs", "erofs", "fusectl", "hugetlbfs", "iso9660", "mqueue", "nsfs",
    "proc", "pstore", "ramfs", "rpc_pipefs", "securityfs", "selinuxfs", "squashfs", "sysfs",
    "tracefs", "udf",
})
# fmt: on
_SYSTEM = (b"/proc", b"/sys", b"/dev/", b"/run/credentials")


class Stat(NamedTuple):
    """What /proc/PID/stat says of a process. (pid, start) is its identity."""

    pid: int
    comm: bytes
    state: str
    ppid: int
    cpu_ticks: int  # user and system
    start: int  # clock ticks since boot
    rss_bytes: int

    @property
    def subject(self) -> str:
        """Return the identity as samples and anomalies carry it."""
        return f"{self.pid}:{self.start}"


class Mount(NamedTuple):
    """One line of /proc/PID/mountinfo."""

    device: str  # major:minor
    root: bytes  # what of the filesystem is mounted
    point: bytes
    options: bytes
    fstype: str
    source: bytes


def text_of(data: bytes, limit: int = 256) -> str:
    """Return `data` as text of at most `limit` characters that any store can hold.

    What is not UTF-8 is shown as `\\xNN`, and so is NUL, which PostgreSQL has no place for.
    """
    text = data[: limit * 4].decode("utf-8", "backslashreplace").replace("\0", "\\x00")
    return text if len(text) <= limit else text[: limit - 1] + "…"


def read(path: str, limit: int = CHUNK, dir_fd: int | None = None) -> bytes:
    """Return at most the first `limit` bytes of a file; OSError where it cannot be read."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK, dir_fd=dir_fd)
    try:
        return os.read(fd, limit)
    finally:
        os.close(fd)


def parse_stat(data: bytes) -> Stat:
    """Return the fields of a /proc/PID/stat; ValueError or IndexError where it is cut short."""
    opening, closing = data.index(b"("), data.rindex(b")")
    rest = data[closing + 2 :].split(b" ", 22)
    return Stat(
        int(data[:opening]),
        data[opening + 1 : closing],
        rest[0].decode("ascii", "replace"),
        int(rest[1]),
        int(rest[11]) + int(rest[12]),
        int(rest[19]),
        int(rest[21]) * PAGE_BYTES,
    )


def pids(proc: str = "/proc") -> list[int]:
    """Return the ids of the processes that are there now."""
    return [int(name) for name in os.listdir(proc) if name.isdecimal() and name.isascii()]


def open_files(pid: int, proc: str = "/proc") -> int | None:
    """Return how many descriptors a process holds, None where we may not know."""
    try:
        # Since Linux 6.2 the directory's size is the count; before, and for none, it says 0.
        path = f"{proc}/{pid}/fd"
        return os.stat(path).st_size or len(os.listdir(path))
    except OSError:
        return None


def parse_mounts(data: bytes) -> tuple[Mount, ...]:
    """Return the mounts of a mountinfo, in its order; lines that are none are left out."""
    mounts = []
    for line in data.splitlines():
        head, found, tail = line.partition(b" - ")
        left, right = head.split(b" "), tail.split(b" ")
        if found and len(left) >= 6 and len(right) >= 2:
            mounts.append(
                Mount(
                    left[2].decode("ascii", "replace"),
                    _plain(left[3]),
                    _plain(left[4]),
                    right[2] if len(right) > 2 else left[5],
                    right[0].decode("ascii", "replace"),
                    _plain(right[1]),
                )
            )
    return tuple(mounts)


def local(mounts: tuple[Mount, ...]) -> tuple[Mount, ...]:
    """Return the mounts that can fill up and never wait for another machine, one per filesystem.

    Left out: read-only ones (full by nature), containers' overlays (they fill their host's), bind
    mounts of what is there already, and all that lies below a mount which may hang.
    """
    slow = waiting(mounts)
    topmost = {m.point: m for m in mounts}  # what is mounted later hides what was there
    chosen: dict[str, Mount] = {}
    for mount in sorted(topmost.values(), key=lambda m: (len(m.point), m.point)):
        if (
            mount.fstype in LOCAL_TYPES
            and b"ro" not in mount.options.split(b",")
            and (mount.fstype != "overlay" or mount.point == b"/")
            and (not mount.point.startswith(_SYSTEM) or mount.point == b"/dev/shm")
            and not (mount.point + b"/").startswith(slow)
        ):
            chosen.setdefault(mount.device, mount)
    return tuple(chosen.values())


def waiting(mounts: tuple[Mount, ...]) -> tuple[bytes, ...]:
    """Return what a path begins with whose way leads over a mount that may hang."""
    points = [m.point.rstrip(b"/") + b"/" for m in mounts if m.fstype not in _HARMLESS_TYPES]
    return tuple(points)


def _plain(field: bytes) -> bytes:
    """Undo the octal escapes of mountinfo (blank, tab, newline, backslash)."""
    return re.sub(rb"\\([0-7]{3})", lambda found: bytes([int(found[1], 8) & 0xFF]), field)
