"""The facts of an incident, computed by code, one line each, numbered E1, E2 ... Pure, deterministic.

A model ranks and writes; it does not measure. Each fact has a topic, by which a runbook's sentences
find the numbers of the evidence they stand on. Texts of the host are escaped and bounded here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

from sentinel import human
from sentinel.domain import (
    Change,
    Context,
    Evidence,
    FileEntry,
    Filesystem,
    Kind,
    LogLine,
    Metric,
    Process,
    Report,
)
from sentinel.errors import printable
from sentinel.hub.reason.picture import (
    Entity,
    Picture,
    picture,
    weigher,
    zombie_children,
)

MAX_FACTS = 32
CANDIDATES = 3
QUOTED = 200  # characters of one untrusted text
LOOKBACK_MS = 24 * 3_600_000

TOPICS = frozenset(
    {
        "signal", "rising", "falling", "culprit", "candidate", "memory", "cpu", "pressure", "filesystem", "deleted",
        "file", "directory", "oom", "kernel", "zombies", "blocked", "unit", "change", "ruled-out",
        "incomplete",
    }
)  # fmt: skip

_OOM = re.compile(r"out of memory|oom-kill|killed process", re.IGNORECASE)
_KERNEL = re.compile(
    r"i/o error|ext4-fs error|xfs.{0,40}(?:error|corrupt)|remount.{0,20}read-only"
    r"|blocked for more than|soft lockup|hung_task|not responding|medium error|no space left",
    re.IGNORECASE,
)


class Fact(msgspec.Struct, frozen=True, kw_only=True):
    """One line of evidence and what it is about."""

    topic: str
    evidence: Evidence


def gather(report: Report) -> tuple[Evidence, ...]:
    """Return the numbered facts of `report`."""
    return tuple(fact.evidence for fact in facts(picture(report)))


def facts(scene: Picture) -> tuple[Fact, ...]:
    """Return the facts with their topics, the signal itself first, at most MAX_FACTS."""
    found = [
        *_signal(scene),
        *_candidates(scene),
        *_host(scene.report.context),
        *_storage(scene),
        *_stuck(scene),
        *_kernel(scene.report.context),
        *_units(scene),
        *_changes(scene.report),
        *(("ruled-out", text) for text in ruled_out(scene)),
        *(("incomplete", f"not seen: {quote(text)}") for text in scene.report.context.incomplete),
    ]
    return tuple(
        Fact(topic=topic, evidence=Evidence(id=f"E{n}", text=text[:1024]))
        for n, (topic, text) in enumerate(found[:MAX_FACTS], 1)
    )


def ruled_out(scene: Picture) -> tuple[str, ...]:
    """Return what the readings exclude, a sentence each."""
    return (*_not_memory(scene), *_not_storage(scene))


def subject_words(scene: Picture) -> str:
    """Return what the signal is about: `leaky-worker (pid 4121)`, `/var`, or the host's name."""
    report = scene.report
    pid, _, _ = report.anomaly.subject.partition(":")
    first = scene.culprit
    if first is not None and first.process is not None and str(first.process.pid) == pid:
        return f"{first.name} (pid {pid})"
    return quote(report.anomaly.subject) or report.host


Line = tuple[str, str]  # topic, text


def _signal(scene: Picture) -> Iterator[Line]:
    anomaly = scene.report.anomaly
    words = human.METRIC_WORDS[anomaly.metric]
    yield (
        "signal",
        f"{words} of {subject_words(scene)} is {human.reading(anomaly.metric, anomaly.value)},"
        f" over its limit of {human.reading(anomaly.metric, anomaly.threshold)}"
        f" for {human.duration(anomaly.detected_ms - anomaly.since_ms)}",
    )
    slope = anomaly.slope_per_min
    if slope is not None and slope != 0:
        way = "rising" if slope > 0 else "falling"
        rate = human.reading(anomaly.metric, abs(slope))
        left = full_in_ms(scene.report)
        end = f"; at this rate full in {human.duration(left)}" if left is not None else ""
        yield way, f"{words} is {way} by {rate} per minute{end}"


def full_in_ms(report: Report) -> int | None:
    """Return how long until nothing is left at the present slope, None where that has no meaning."""
    anomaly, context = report.anomaly, report.context
    slope = anomaly.slope_per_min
    if slope is None or slope <= 0:
        return None
    if anomaly.metric is Metric.PROCESS_RSS and context.memory_available_bytes:
        return context.memory_available_bytes * 60_000 // slope
    shares = (Metric.MEMORY_USED, Metric.SWAP_USED, Metric.FS_USED, Metric.FS_INODES_USED)
    if anomaly.metric in shares:
        return max(0, 1000 - anomaly.value) * 60_000 // slope
    return None


def _candidates(scene: Picture) -> Iterator[Line]:
    weight = weigher(scene.report)
    processes = [e for e in scene.entities if e.process is not None]
    shown = 0
    for entity in processes:
        process = entity.process
        assert process is not None
        if shown == CANDIDATES or (weight(process) == 0 and entity is not scene.culprit):
            continue
        shown += 1
        topic = "culprit" if entity is scene.culprit else "candidate"
        named = topic == "culprit" and scene.share > 0
        share = f", {human.share(scene.share)} of {scene.share_of}" if named else ""
        yield topic, f"{entity.id} {_who(entity)}: {_holds(process)}{share}"


def _who(entity: Entity) -> str:
    process = entity.process
    assert process is not None
    details = [f"pid {process.pid}"]
    details += [f"user {quote(process.user)}"] if process.user else []
    details += [f"unit {quote(process.unit)}"] if process.unit else []
    details += [f"running {human.duration(process.age_s * 1000)}"] if process.age_s else []
    return f"{entity.name} ({', '.join(details)})"


def _holds(process: Process) -> str:
    parts = [
        f"{human.size(process.rss_bytes)} resident",
        f"{human.share(process.cpu_permille)} CPU",
    ]
    parts += [f"{process.fds} open files"] if process.fds is not None else []
    return ", ".join(parts)


def _host(context: Context) -> Iterator[Line]:
    if context.memory_total_bytes:
        swap = context.swap_total_bytes
        used = human.size(swap - context.swap_free_bytes) if swap else ""
        yield (
            "memory",
            f"memory: {human.size(context.memory_available_bytes)} of"
            f" {human.size(context.memory_total_bytes)} available; "
            + (f"swap: {used} of {human.size(swap)} used" if swap else "no swap"),
        )
    if context.cpus:
        yield "cpu", f"{context.cpus} processors, load {context.load1_milli / 1000:.2f}"
    if context.pressure:
        stalls = ", ".join(
            f"{quote(p.resource)} {human.share(p.some_permille)} (full {human.share(p.full_permille)})"
            for p in context.pressure
        )
        yield "pressure", f"share of the last 10 s that something stalled: {stalls}"


def _storage(scene: Picture) -> Iterator[Line]:
    if scene.report.anomaly.kind not in (Kind.DISK_SPACE, Kind.DISK_INODES):
        return
    if scene.filesystem is not None and scene.filesystem.filesystem is not None:
        yield "filesystem", _space(scene.filesystem, scene.filesystem.filesystem)
    files = [(e, e.file) for e in scene.entities if e.file is not None]
    deleted = [pair for pair in files if pair[1].deleted]
    if deleted:
        total = human.size(sum(entry.bytes for _, entry in deleted))
        yield "deleted", f"{len(deleted)} deleted files are still held open, {total} in all"
    for entity, entry in [*deleted[:2], *[p for p in files if not p[1].deleted][:3]]:
        yield "deleted" if entry.deleted else "file", _file(scene, entity, entry)
    for key, text in sorted(scene.report.context.labels.items()):
        if key.startswith("directory."):
            yield "directory", f"one of the fullest directories: {quote(text)}"


def _space(entity: Entity, filesystem: Filesystem) -> str:
    inodes = (
        f"; inodes: {filesystem.inodes_used} of {filesystem.inodes} used"
        if filesystem.inodes
        else ""
    )
    return (
        f"{entity.id} {entity.name} ({quote(filesystem.fstype)}):"
        f" {human.size(filesystem.used_bytes)} of {human.size(filesystem.size_bytes)} used,"
        f" {human.size(filesystem.free_bytes)} free{inodes}"
    )


def _file(scene: Picture, entity: Entity, entry: FileEntry) -> str:
    what = "deleted but still open" if entry.deleted else "large file"
    text = f"{entity.id} {what}: {quote(entry.path)}, {human.size(entry.bytes)}"
    if entry.held_by:
        holder = next(
            (e for e in scene.entities if e.process and e.process.pid == entry.held_by), None
        )
        name = f"{holder.id} {holder.name}" if holder else "a process"
        text += f", held open by {name} (pid {entry.held_by})"
    return text


def _stuck(scene: Picture) -> Iterator[Line]:
    processes = [(e, e.process) for e in scene.entities if e.process is not None]
    context = scene.report.context
    children = zombie_children(context)
    if children:
        parents = ", ".join(f"pid {pid} has {count}" for pid, count in children.most_common(3))
        yield "zombies", f"of {children.total()} zombies that were captured, parent {parents}"
    blocked = [f"{e.name} (pid {p.pid})" for e, p in processes if p.state == "D"]
    if blocked:
        yield "blocked", f"in uninterruptible sleep: {', '.join(blocked[:6])}"


def _kernel(context: Context) -> Iterator[Line]:
    kills = [line for line in context.logs if _OOM.search(line.text)]
    if kills:
        latest = max(kills, key=lambda line: (line.at_ms, line.text))
        count = f"{len(kills)} lines" if len(kills) > 1 else "one line"
        yield "oom", f"out-of-memory kills in the log ({count}), the latest: {_said(latest)}"
    telling = [line for line in context.logs if _KERNEL.search(line.text)]
    for line in sorted(telling, key=lambda line: (-line.at_ms, line.text))[:2]:
        yield "kernel", f"log of {quote(line.source)}: {_said(line)}"


def _units(scene: Picture) -> Iterator[Line]:
    for entity in scene.entities:
        unit = entity.unit
        if unit is not None and (unit.active == "failed" or unit.restarts):
            state = f"{quote(unit.active)}/{quote(unit.sub)}" if unit.active else "state unknown"
            yield "unit", f"{entity.id} {entity.name}: {state}, restarted {unit.restarts} times"


def _changes(report: Report) -> Iterator[Line]:
    onset = report.anomaly.since_ms
    near = [c for c in report.context.changes if onset - LOOKBACK_MS <= c.at_ms <= onset]
    for change in sorted(near, key=lambda c: (-c.at_ms, c.text))[:3]:
        yield "change", _change(change, onset)


def _change(change: Change, onset_ms: int) -> str:
    before = human.duration(onset_ms - change.at_ms)
    return f"{quote(change.what)} changed {before} before the onset: {quote(change.text)}"


def _not_memory(scene: Picture) -> Iterator[str]:
    context, kind = scene.report.context, scene.report.anomaly.kind
    short = kind in (Kind.MEMORY, Kind.SWAP)
    total, swap = context.memory_total_bytes, context.swap_total_bytes
    if not short and context.memory_available_bytes * 4 > total > 0:
        free = human.share(context.memory_available_bytes * 1000 // total)
        yield f"not a shortage of memory: {free} is available"
    if kind is Kind.MEMORY and (swap - context.swap_free_bytes) * 20 < swap:
        yield "swap is hardly used"
    if short and context.logs and not any(_OOM.search(line.text) for line in context.logs):
        yield "the captured log lines show no out-of-memory kill"
    for pressure in context.pressure:
        if pressure.some_permille < 20:
            share = human.share(pressure.some_permille)
            yield f"nothing stalls on {quote(pressure.resource)} ({share} of the last 10 s)"


def _not_storage(scene: Picture) -> Iterator[str]:
    kind = scene.report.anomaly.kind
    disk = scene.filesystem.filesystem if scene.filesystem is not None else None
    if disk is None:
        return
    if kind is Kind.DISK_SPACE and disk.inodes and disk.inodes_used * 10 < disk.inodes * 8:
        yield "not a shortage of inodes"
    if kind is Kind.DISK_INODES and disk.used_bytes * 10 < disk.size_bytes * 8:
        yield "not a shortage of space: only the inodes are used up"
    files = [e.file for e in scene.entities if e.file is not None]
    if kind is Kind.DISK_SPACE and files and not any(entry.deleted for entry in files):
        yield "no deleted file was found that is still held open"


def _said(line: LogLine) -> str:
    return f'"{quote(line.text)}"'


def quote(text: str) -> str:
    """Return a text of the host, escaped and bounded."""
    return printable(text, QUOTED)
