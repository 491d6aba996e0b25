"""What there is in a report, under ids, and which of it is the likeliest culprit. Pure, deterministic.

A thing gets an id (P1 processes, F1 filesystems, U1 units, L1 files) so that a model and a runbook can
name it without repeating its text, and so that what does not exist cannot be named at all. The order
is the ranking: P1 is the process with the largest share of what the incident is about.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from enum import StrEnum, unique
from typing import TypeVar

import msgspec

from sentinel.domain import (
    Context,
    FileEntry,
    Filesystem,
    Id,
    Kind,
    Metric,
    Process,
    Report,
    Unit,
)
from sentinel.errors import printable

_T = TypeVar("_T")

MAX_EACH = 12  # entities of one sort: as many as a prompt can show
SHOWN_NAME = 64
JOURNAL = "/var/log/journal"

_BY_MEMORY = frozenset(
    {
        Metric.MEMORY_USED,
        Metric.SWAP_USED,
        Metric.PSI_MEMORY,
        Metric.PSI_MEMORY_FULL,
        Metric.PROCESS_RSS,
    }
)
_BY_CPU = frozenset({Metric.CPU_USED, Metric.LOAD_PER_CPU, Metric.PSI_CPU, Metric.PROCESS_CPU})


@unique
class Sort(StrEnum):
    """What an entity is."""

    PROCESS = "process"
    FILESYSTEM = "filesystem"
    UNIT = "unit"
    FILE = "file"


class Entity(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was captured. `name` is escaped and bounded; exactly one of the last four is set."""

    id: Id
    sort: Sort
    name: str
    process: Process | None = None
    filesystem: Filesystem | None = None
    unit: Unit | None = None
    file: FileEntry | None = None


class Picture(msgspec.Struct, frozen=True, kw_only=True):
    """A report with its entities and the likeliest culprit.

    `share` is the culprit's permille of what the incident is about and `share_of` names that whole;
    both are empty where nothing can be measured. `actor` is the process behind the culprit: itself,
    or the one that holds the culprit file open.
    """

    report: Report
    entities: tuple[Entity, ...]
    culprit: Entity | None = None
    share: int = 0
    share_of: str = ""
    actor: Entity | None = None
    filesystem: Entity | None = None  # the one that the incident is about


def entities(report: Report) -> tuple[Entity, ...]:
    """Return what there is in `report`, ranked within each sort, at most MAX_EACH of each."""
    context = report.context
    weight = weigher(report)
    holders = {entry.held_by for entry in context.files if entry.held_by}

    def rank(process: Process) -> tuple[bool, bool, int, int]:
        holds = process.pid in holders and report.anomaly.kind is Kind.DISK_SPACE
        return (not is_subject(report, process), not holds, -weight(process), process.pid)

    processes = sorted(_unique(context.processes, lambda p: p.pid), key=rank)
    mount = report.anomaly.subject
    filesystems = sorted(
        _unique(context.filesystems, lambda f: f.mountpoint),
        key=lambda f: (f.mountpoint != mount, -_used(f), f.mountpoint),
    )
    units = _unique(context.units, lambda u: u.name)
    files = sorted(
        context.files, key=lambda f: (not _on(context, f, mount), -f.bytes, f.path, f.held_by)
    )
    return (
        *(
            Entity(id=f"P{n}", sort=Sort.PROCESS, name=_short(p.name), process=p)
            for n, p in enumerate(processes[:MAX_EACH], 1)
        ),
        *(
            Entity(id=f"F{n}", sort=Sort.FILESYSTEM, name=_short(f.mountpoint), filesystem=f)
            for n, f in enumerate(filesystems[:MAX_EACH], 1)
        ),
        *(
            Entity(id=f"U{n}", sort=Sort.UNIT, name=_short(u.name), unit=u)
            for n, u in enumerate(units[:MAX_EACH], 1)
        ),
        *(
            Entity(id=f"L{n}", sort=Sort.FILE, name=printable(e.path, 256), file=e)
            for n, e in enumerate(files[:MAX_EACH], 1)
        ),
    )


def picture(report: Report) -> Picture:
    """Return `report` with its entities and its likeliest culprit."""
    found = entities(report)
    subject = report.anomaly.subject
    filesystem = next(
        (e for e in found if e.filesystem is not None and e.filesystem.mountpoint == subject), None
    )
    culprit, share, share_of = _culprit(report, found, filesystem)
    return Picture(
        report=report,
        entities=found,
        culprit=culprit,
        share=share,
        share_of=share_of,
        actor=_actor(found, culprit),
        filesystem=filesystem,
    )


def weigher(report: Report) -> Callable[[Process], int]:
    """Return the measure of a process that this incident is about."""
    anomaly = report.anomaly
    if anomaly.metric in _BY_MEMORY:
        return lambda process: process.rss_bytes
    if anomaly.metric in _BY_CPU:
        return lambda process: process.cpu_permille
    if anomaly.metric is Metric.PROCESS_FDS:
        return lambda process: process.fds or 0
    if anomaly.metric is Metric.ZOMBIES:
        children = zombie_children(report.context)
        return lambda process: children[process.pid]
    if anomaly.metric is Metric.BLOCKED:
        return lambda process: int(process.state == "D")
    held: Counter[int] = Counter()
    for entry in report.context.files:
        held[entry.held_by] += entry.bytes
    return lambda process: held[process.pid]


def is_subject(report: Report, process: Process) -> bool:
    """Tell whether the anomaly is about this very process."""
    return report.anomaly.subject == f"{process.pid}:{process.start_ticks}"


def zombie_children(context: Context) -> Counter[int]:
    """Return how many of the captured zombies each parent pid has."""
    return Counter(p.ppid for p in context.processes if p.state == "Z")


def used_memory(context: Context) -> int:
    """Return the bytes of memory that are not available."""
    return max(0, context.memory_total_bytes - context.memory_available_bytes)


def mount_of(context: Context, path: str) -> str:
    """Return the captured mount point that `path` lies on, or nothing."""
    best = ""
    for filesystem in context.filesystems:
        point = filesystem.mountpoint
        inside = path == point or path.startswith(point.rstrip("/") + "/")
        if inside and len(point) > len(best):
            best = point
    return best


def journal_share(scene: Picture) -> int:
    """Return the permille of the filesystem's used space that captured files of the journal take."""
    if scene.filesystem is None or scene.filesystem.filesystem is None:
        return 0
    disk, context = scene.filesystem.filesystem, scene.report.context
    size = sum(
        entry.bytes
        for entry in context.files
        if entry.path.startswith(JOURNAL + "/") and _on(context, entry, disk.mountpoint)
    )
    return _permille(size, disk.used_bytes)


def _culprit(
    report: Report, found: tuple[Entity, ...], filesystem: Entity | None
) -> tuple[Entity | None, int, str]:
    """Return the likeliest culprit, its permille, and what that is a share of."""
    kind = report.anomaly.kind
    if kind is Kind.DISK_SPACE:
        return _disk_culprit(report, found, filesystem)
    if kind is Kind.DISK_INODES:
        return filesystem, 0, ""
    if report.anomaly.metric in (Metric.BLOCKED, Metric.PSI_IO, Metric.PSI_IO_FULL):
        return None, 0, ""  # who waits is not who is guilty
    first = next((e for e in found if e.sort is Sort.PROCESS), None)
    if first is None or first.process is None:
        return None, 0, ""
    weight = weigher(report)(first.process)
    if weight == 0 and not is_subject(report, first.process):
        return None, 0, ""
    whole, share_of = _whole(report)
    return first, _permille(weight, whole), share_of


def _disk_culprit(
    report: Report, found: tuple[Entity, ...], filesystem: Entity | None
) -> tuple[Entity | None, int, str]:
    if filesystem is None or filesystem.filesystem is None:
        return None, 0, ""
    used = filesystem.filesystem.used_bytes
    mount = filesystem.filesystem.mountpoint
    here = [e for e in found if e.file is not None and _on(report.context, e.file, mount)]
    # What is deleted is in nobody's listing and goes when its holder does: it is looked at first.
    for wanted in (True, False):
        for entity in here:
            if entity.file is not None and entity.file.deleted is wanted:
                share = _permille(entity.file.bytes, used)
                if share >= 100:
                    return entity, share, f"what is used of {filesystem.name}"
    return filesystem, 0, ""


def _whole(report: Report) -> tuple[int, str]:
    """Return what the measure of this incident adds up to, and its name."""
    context = report.context
    metric = report.anomaly.metric
    if metric in _BY_MEMORY:
        return used_memory(context), "the memory in use"
    weight = weigher(report)
    total = sum(weight(p) for p in context.processes)
    if metric in _BY_CPU:
        return total, "the CPU time of the busiest processes"
    if metric is Metric.ZOMBIES:
        return total, "the zombies that were captured"
    return total, "the open files of the captured processes"


def _actor(found: Iterable[Entity], culprit: Entity | None) -> Entity | None:
    if culprit is None or culprit.process is not None:
        return culprit
    if culprit.file is None or not culprit.file.held_by:
        return None
    pid = culprit.file.held_by
    return next((e for e in found if e.process is not None and e.process.pid == pid), None)


def _on(context: Context, entry: FileEntry, mount: str) -> bool:
    return mount_of(context, entry.path) == mount


def _used(filesystem: Filesystem) -> int:
    return _permille(filesystem.used_bytes, filesystem.size_bytes)


def _permille(part: int, whole: int) -> int:
    return min(1000, part * 1000 // whole) if whole > 0 else 0


def _short(text: str) -> str:
    return printable(text, SHOWN_NAME)


def _unique(items: Iterable[_T], key: Callable[[_T], object]) -> list[_T]:
    """Return each item once: the first of those with the same key."""
    found: dict[object, _T] = {}
    for item in items:
        found.setdefault(key(item), item)
    return list(found.values())
