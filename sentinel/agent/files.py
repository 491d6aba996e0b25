"""Which files fill a filesystem: the largest, the fullest directories, and the deleted still held open.

Every walk is bounded by entries and by a deadline, goes breadth first (what is large rarely lies deep),
follows no symbolic link, never leaves the filesystem it began in, and touches no mount point on its
way: asking a hung network mount for anything would hang the asker.
"""

from __future__ import annotations

import heapq
import os
import stat
import time
from collections import deque
from collections.abc import Generator, Iterator
from typing import NamedTuple, TypeVar

from sentinel.agent import procfs
from sentinel.agent.procfs import Mount
from sentinel.domain import FileEntry

_File = tuple[int, int, bytes, os.stat_result]  # bytes, inode, path, status
_Folder = tuple[int, bytes]  # entries, path
T = TypeVar("T", _File, _Folder)

MOST_FILES = 16
MAX_ENTRIES = 100_000  # of one walk
MAX_DESCRIPTORS = 50_000  # looked at, of all processes
# What packages installed is rarely what fills a disk: looked at last.
_LAST = frozenset({b"usr", b"lib", b"lib64", b"bin", b"sbin", b"boot", b"snap"})
_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Budget:
    """How much work may still be done: `entries`, and until `deadline_ns` of the monotonic clock."""

    def __init__(self, entries: int, deadline_ns: int) -> None:
        """Both bounds hold; whichever is met first ends the work."""
        self.refused = 0  # directories that could not be read
        self._entries = entries
        self._deadline_ns = deadline_ns

    def spend(self) -> bool:
        """Take one entry; tell whether there was one left to take."""
        self._entries -= 1
        return not self.spent

    @property
    def spent(self) -> bool:
        """Tell whether the work must end."""
        return self._entries < 0 or time.monotonic_ns() >= self._deadline_ns


class Found(NamedTuple):
    """A regular file or a directory that a walk came by. A directory says how many entries it has."""

    path: bytes
    status: os.stat_result
    entries: int = 0


class Open(NamedTuple):
    """Which processes hold files of one filesystem, and which of those files have no name any more."""

    holders: dict[int, int]  # inode -> pid
    deleted: tuple[FileEntry, ...]  # largest first
    unreadable: int  # processes whose descriptors we may not see


def walk(top: bytes, mounts: tuple[Mount, ...], budget: Budget) -> Iterator[Found]:
    """Yield what lies below the directory `top` on its own filesystem, until the budget is spent.

    OSError where `top` itself cannot be opened; what cannot be read further down is counted.
    """
    barred = {m.point for m in mounts if m.point != top}
    top_fd = os.open(top, _OPEN)
    try:
        device = os.fstat(top_fd).st_dev
        queue: deque[bytes] = deque([b""])
        while queue and not budget.spent:
            below = queue.popleft()
            try:
                folders = yield from _folder(top_fd, (top, below), device, budget)
            except OSError:
                budget.refused += 1
                continue
            for name in folders:
                path = os.path.join(below, name)
                if os.path.join(top, path) not in barred:
                    queue.append(path)
    finally:
        os.close(top_fd)


def largest(
    top: bytes, mounts: tuple[Mount, ...], holders: dict[int, int], budget: Budget
) -> tuple[tuple[FileEntry, ...], tuple[tuple[int, str], ...]]:
    """Return the largest files below `top`, and the fullest directories as (entries, path).

    `bytes` is the space that a file takes, not its nominal length. Hard links count once.
    """
    files: list[_File] = []
    folders: list[_Folder] = []
    linked: set[int] = set()
    for path, status, entries in walk(top, mounts, budget):
        if stat.S_ISDIR(status.st_mode):
            _keep(folders, (entries, path))
        elif status.st_nlink == 1 or status.st_ino not in linked:
            if status.st_nlink > 1:
                linked.add(status.st_ino)
            _keep(files, (status.st_blocks * 512, status.st_ino, path, status))
    return tuple(
        FileEntry(
            path=procfs.text_of(path, 1024),
            bytes=size,
            mtime_ms=max(0, status.st_mtime_ns // 1_000_000),
            held_by=holders.get(inode, 0),
        )
        for size, inode, path, status in sorted(files, reverse=True)
        if size
    ), tuple((count, procfs.text_of(path, 512)) for count, path in sorted(folders, reverse=True))


def held_open(device: int, mounts: tuple[Mount, ...], budget: Budget, proc: str = "/proc") -> Open:
    """Return who holds files of the filesystem `device` (st_dev), and which of them are deleted."""
    holders: dict[int, int] = {}
    deleted: dict[int, FileEntry] = {}
    unreadable = 0
    waiting = procfs.waiting(mounts)
    for pid in procfs.pids(proc):
        try:
            for path, status in _descriptors(f"{proc}/{pid}/fd", waiting, budget):
                if status.st_dev != device or not stat.S_ISREG(status.st_mode):
                    continue
                holders[status.st_ino] = pid
                if status.st_nlink == 0 and status.st_blocks:
                    deleted[status.st_ino] = FileEntry(
                        path=procfs.text_of(path.removesuffix(b" (deleted)"), 1024),
                        bytes=status.st_blocks * 512,
                        mtime_ms=max(0, status.st_mtime_ns // 1_000_000),
                        deleted=True,
                        held_by=pid,
                    )
        except (FileNotFoundError, ProcessLookupError):
            continue
        except PermissionError:
            unreadable += 1
    chosen = heapq.nlargest(MOST_FILES, deleted.values(), key=lambda entry: entry.bytes)
    return Open(holders, tuple(chosen), unreadable)


def _folder(
    top_fd: int, where: tuple[bytes, bytes], device: int, budget: Budget
) -> Generator[Found, None, list[bytes]]:
    """Yield one directory's files and then itself; return the names of the directories in it."""
    top, below = where
    folders: list[bytes] = []
    here = os.path.join(top, below)
    prefix = here.rstrip(b"/") + b"/"
    fd = _descend(top_fd, below)
    try:
        status = os.fstat(fd)
        if status.st_dev != device:
            return folders
        count = 0
        with os.scandir(fd) as entries:
            for entry in entries:
                if not budget.spend():
                    break
                count += 1
                name = os.fsencode(entry.name)
                if entry.is_dir(follow_symlinks=False):
                    folders.append(name)
                elif entry.is_file(follow_symlinks=False):
                    try:
                        yield Found(prefix + name, entry.stat(follow_symlinks=False))
                    except FileNotFoundError:
                        continue  # removed this instant
        yield Found(here.rstrip(b"/") or b"/", status, count)
    finally:
        os.close(fd)
    return sorted(folders, key=lambda name: (not below and name in _LAST, name))


def _descend(top_fd: int, below: bytes) -> int:
    """Open a directory below `top_fd`, each step on the way without following a link."""
    fd = os.dup(top_fd)
    for name in below.split(b"/") if below else ():
        try:
            step = os.open(name, _OPEN, dir_fd=fd)
        finally:
            os.close(fd)
        fd = step
    return fd


def _descriptors(
    folder: str, waiting: tuple[bytes, ...], budget: Budget
) -> Iterator[tuple[bytes, os.stat_result]]:
    """Yield (path, status) of the files that a process holds open, those that may hang left out."""
    for name in os.listdir(folder):
        if not budget.spend():
            return
        try:
            path = os.readlink(f"{folder}/{name}".encode())
            if path.startswith(b"/") and not path.startswith(waiting):
                yield path, os.stat(f"{folder}/{name}")
        except PermissionError:
            raise
        except OSError:
            continue  # closed meanwhile, or its filesystem is broken


def _keep(heap: list[T], item: T) -> None:
    """Keep the largest items in a heap."""
    if len(heap) < MOST_FILES:
        heapq.heappush(heap, item)
    else:
        heapq.heappushpop(heap, item)
