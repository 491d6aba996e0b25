"""Stage 2: an anomaly in, the frozen picture around it out.

Every source is asked in turn, the most telling first, in a thread of its own: a host in trouble can
block any reading for ever (a process stuck in its memory, a dead disk), and then the picture is taken
at its deadline with what there is. What could not be read stands in `incomplete` with the reason;
nothing here raises. Command lines and log lines are redacted.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping

import msgspec
import psutil

from sentinel import canonical
from sentinel.agent import files, history, procfs
from sentinel.agent.files import Budget
from sentinel.agent.processes import Census, is_unit
from sentinel.agent.sample import Seen, stalled
from sentinel.domain import Anomaly, Context, Filesystem, Kind, Pressure, Unit

MAX_BYTES = 160 * 1024  # of the encoded picture: it shares a message of 256 KiB with the rest
MAX_ITEMS = 32  # processes, filesystems, units, files: the bound of each in `domain`
MAX_STUCK = 4  # captures that may hang at once before nothing more is asked
FOLDERS = 5  # fullest directories that are named
_NOT_READ = (OSError, ValueError, IndexError, KeyError, psutil.Error)

_slots = threading.BoundedSemaphore(MAX_STUCK)


def capture(
    anomaly: Anomaly,
    now_ms: int,
    *,
    deadline_ns: int,
    seen: dict[int, Seen] | None = None,
    labels: Mapping[str, str] | None = None,
) -> Context:
    """Return what can be seen around `anomaly` by `deadline_ns` (of time.monotonic_ns). Never raises.

    `seen` is `ProcessSampler.seen`: with it, CPU is the share since that reading, and nothing waits.
    The call blocks until the deadline at the most, so an event loop makes it in a thread:

        context = await asyncio.to_thread(
            capture, anomaly, now, deadline_ns=time.monotonic_ns() + 2 * 10**9, seen=table.seen
        )
    """
    picture = _Picture(anomaly, now_ms, deadline_ns, seen)
    picture.add(labels=dict(labels or {}))
    if not _slots.acquire(blocking=False):
        return _noting(picture.context, f"everything: {MAX_STUCK} earlier captures still hang")
    thread = threading.Thread(target=picture.fill, name="capture", daemon=True)
    try:
        thread.start()
    except RuntimeError:
        # The host has run out of threads: that is a fault worth a picture, even an unguarded one.
        picture.fill()
        return _fit(picture.context)
    thread.join(max(0.0, (deadline_ns - time.monotonic_ns()) / 1e9))
    taken = picture.context  # the thread may still be at work: what comes later is not in it
    if thread.is_alive():
        taken = _noting(
            taken, f"{picture.asking}: no answer by the deadline; the rest was not asked"
        )
    return _fit(taken)


class _Picture:
    """A context that fills. Each addition replaces it whole, so it can be taken at any moment."""

    def __init__(
        self, anomaly: Anomaly, now_ms: int, deadline_ns: int, seen: dict[int, Seen] | None
    ) -> None:
        self.context = Context(captured_ms=now_ms)
        self.asking = ""
        self._anomaly = anomaly
        self._seen = seen
        # Bounded work ends a little before the deadline, so that what it found is in the picture.
        now_ns = time.monotonic_ns()
        self._deadline_ns = deadline_ns - max(0, deadline_ns - now_ns) // 8
        self._mounts: tuple[procfs.Mount, ...] = ()
        self._census: Census | None = None
        self._holders: dict[int, int] = {}  # inode -> pid

    def add(self, **parts: object) -> None:
        """Set fields of the context."""
        self.context = msgspec.structs.replace(self.context, **parts)

    def miss(self, what: str) -> None:
        """Note what could not be read, and why."""
        self.context = _noting(self.context, what)

    def fill(self) -> None:
        """Ask every source that this kind of incident needs."""
        disk = self._anomaly.kind in (Kind.DISK_SPACE, Kind.DISK_INODES)
        sources: list[tuple[str, Callable[[], None]]] = [
            ("host", self._host),
            ("filesystems", self._filesystems),
            *([("open files", self._open_files)] if disk else []),
            ("processes", self._processes),
            ("pressure", self._pressure),
            ("kernel messages", self._logs),
            ("packages", self._packages),
            ("configuration", self._configuration),
            *([("largest files", self._largest)] if disk else []),
        ]
        try:
            for name, source in sources:
                self.asking = name
                if time.monotonic_ns() >= self._deadline_ns:
                    self.miss(f"{name}: not asked, the time was up")
                    continue
                try:
                    source()
                except _NOT_READ as error:
                    self.miss(f"{name}: {type(error).__name__}: {error}")
        finally:
            _slots.release()

    def _host(self) -> None:
        memory, swap = psutil.virtual_memory(), psutil.swap_memory()
        boot_ms = int(psutil.boot_time()) * 1000
        self.add(
            boot_ms=boot_ms,
            cpus=psutil.cpu_count() or 0,
            memory_total_bytes=memory.total,
            memory_available_bytes=memory.available,
            swap_total_bytes=swap.total,
            swap_free_bytes=swap.free,
            load1_milli=round(psutil.getloadavg()[0] * 1000),
            changes=tuple(history.boot(boot_ms, self.context.captured_ms)),
            labels={**self.context.labels, "kernel": os.uname().release},
        )

    def _filesystems(self) -> None:
        self._mounts = procfs.parse_mounts(procfs.read("/proc/self/mountinfo", 1 << 20))
        found = []
        for mount in procfs.local(self._mounts):
            try:
                space = os.statvfs(mount.point)
            except OSError:
                continue
            found.append(
                Filesystem(
                    mountpoint=procfs.text_of(mount.point),
                    device=procfs.text_of(mount.source),
                    fstype=mount.fstype,
                    size_bytes=space.f_blocks * space.f_frsize,
                    used_bytes=(space.f_blocks - space.f_bfree) * space.f_frsize,
                    free_bytes=space.f_bavail * space.f_frsize,
                    inodes=space.f_files,
                    inodes_used=space.f_files - space.f_ffree,
                )
            )
        subject = self._anomaly.subject
        found.sort(key=lambda f: (f.mountpoint != subject, -f.used_bytes, f.mountpoint))
        self.add(filesystems=tuple(found[:MAX_ITEMS]))

    def _processes(self) -> None:
        self._census = self._census or Census(self._seen)
        held = [entry.held_by for entry in self.context.files if entry.held_by]
        chosen = self._census.chosen(self._anomaly, held)[:MAX_ITEMS]
        found = [p for p in (self._census.describe(stat) for stat in chosen) if p is not None]
        units = dict.fromkeys(p.unit for p in found if is_unit(p.unit))
        self.add(processes=tuple(found), units=tuple(Unit(name=name) for name in units))

    def _pressure(self) -> None:
        found = []
        for resource in ("cpu", "memory", "io"):
            data = procfs.read(f"/proc/pressure/{resource}")
            full = stalled(data, b"full")[1] if b"full" in data else 0
            some = stalled(data, b"some")[1]
            found.append(Pressure(resource=resource, some_permille=some, full_permille=full))
        self.add(pressure=tuple(found))

    def _logs(self) -> None:
        budget = Budget(history.MAX_RECORDS, self._deadline_ns)
        self.add(logs=history.kernel(self.context.captured_ms, budget, history.KMSG))

    def _packages(self) -> None:
        found = history.packages(self.context.captured_ms)
        self.add(changes=history.newest([*self.context.changes, *found]))

    def _configuration(self) -> None:
        budget = Budget(history.MAX_CONFIGURATION, self._deadline_ns)
        top = history.CONFIGURATION
        found = history.configuration(self.context.captured_ms, self._mounts, budget, top)
        self.add(changes=history.newest([*self.context.changes, *found]))
        if budget.spent:
            self.miss(f"configuration: more than could be looked at below {top}")

    def _open_files(self) -> None:
        mount = self._mount()
        budget = Budget(files.MAX_DESCRIPTORS, self._deadline_ns)
        opened = files.held_open(os.stat(mount.point).st_dev, self._mounts, budget)
        self._holders = opened.holders
        self.add(files=opened.deleted)
        if opened.unreadable:
            self.miss(f"open files: {opened.unreadable} processes do not let us look (permission)")
        if budget.spent:
            self.miss("open files: more than could be looked at")

    def _largest(self) -> None:
        mount = self._mount()
        budget = Budget(files.MAX_ENTRIES, self._deadline_ns)
        large, folders = files.largest(mount.point, self._mounts, self._holders, budget)
        named = {
            f"directory.{index}": f"{count} entries in {path}"
            for index, (count, path) in enumerate(folders[:FOLDERS], 1)
        }
        before = self.context.files
        self.add(files=(*before, *large)[:MAX_ITEMS], labels={**named, **self.context.labels})
        if budget.spent:
            self.miss(f"largest files: more than could be looked at below {self._anomaly.subject}")
        if budget.refused:
            self.miss(f"largest files: {budget.refused} directories could not be read")
        if any(entry.held_by for entry in large):
            self._processes()  # who holds them belongs in the picture too

    def _mount(self) -> procfs.Mount:
        for mount in procfs.local(self._mounts):
            if procfs.text_of(mount.point) == self._anomaly.subject:
                return mount
        raise KeyError(f"{self._anomaly.subject} is not mounted, or not a local filesystem")


def _noting(context: Context, what: str) -> Context:
    """Return `context` with one more line of what is missing in it."""
    line = procfs.text_of(what.encode("utf-8", "replace"), 512)
    return msgspec.structs.replace(context, incomplete=(*context.incomplete, line)[:16])


def _own(labels: dict[str, str]) -> dict[str, str]:
    return {name: text for name, text in labels.items() if name.startswith("sentinel.")}


def _fit(context: Context) -> Context:
    """Return `context` cut to MAX_BYTES: the end of each list goes first, and that is said."""
    fitted = context
    for field in ("logs", "changes", "files", "filesystems", "processes", "labels"):
        while len(canonical.encode(fitted)) > MAX_BYTES and getattr(fitted, field):
            kept = getattr(fitted, field)
            # Which rules are for this host stands in its labels: those stay.
            half = _own(kept) if field == "labels" else kept[: len(kept) // 2]
            if half == kept:
                break
            fitted = msgspec.structs.replace(fitted, **{field: half})
    if fitted is not context:
        note = f"the end of some lists: the picture was over {MAX_BYTES} bytes"
        fitted = msgspec.structs.replace(fitted, incomplete=(*fitted.incomplete[:15], note))
    return fitted
