"""Reports of every kind of fault, as a node would send them, for tests of the reasoning."""

from __future__ import annotations

import msgspec

from sentinel.domain import (
    Anomaly,
    Change,
    Context,
    FileEntry,
    Filesystem,
    Incident,
    Kind,
    LogLine,
    Metric,
    Mode,
    Pressure,
    Process,
    Report,
    Severity,
    State,
    Summary,
    Unit,
)
from sentinel.hub.reason.engine import Deadlines, Limits

PATIENT = Deadlines(first_token_s=20, stall_s=20, total_s=30)
# The modes of the fake server that never end, and the deadline that is to end each.
TIGHT = {
    "hang": Deadlines(first_token_s=0.2, stall_s=20, total_s=30),
    "hang-after-head": Deadlines(first_token_s=0.2, stall_s=20, total_s=30),
    "trickle": Deadlines(first_token_s=0.2, stall_s=20, total_s=30),
    "stall": Deadlines(first_token_s=20, stall_s=0.2, total_s=30),
    "slow": Deadlines(first_token_s=20, stall_s=20, total_s=0.5),
    "mute": Deadlines(first_token_s=20, stall_s=20, total_s=0.2),
}

NOW = 1_800_000_000_000
HOST = "web1"
GIB = 1 << 30
MIB = 1 << 20

HOG = Process(
    pid=4121,
    start_ticks=777,
    ppid=1,
    name="leaky-worker",
    cmdline="/usr/bin/leaky-worker --queue mail",
    user="app",
    unit="app.service",
    state="S",
    rss_bytes=4 * GIB,
    cpu_permille=950,
    fds=900,
    age_s=3725,
)
SMALL = Process(
    pid=50, start_ticks=5, ppid=1, name="cron", unit="cron.service", rss_bytes=8 * MIB, age_s=9999
)
ROOT = Filesystem(
    mountpoint="/", device="/dev/vda1", fstype="ext4", size_bytes=40 * GIB, used_bytes=10 * GIB,
    free_bytes=30 * GIB, inodes=1000, inodes_used=100,
)  # fmt: skip
VAR = Filesystem(
    mountpoint="/var", device="/dev/vdb", fstype="ext4", size_bytes=10 * GIB, used_bytes=9 * GIB + 512 * MIB,
    free_bytes=512 * MIB, inodes=1000, inodes_used=120,
)  # fmt: skip

CONTEXT = Context(
    captured_ms=NOW,
    boot_ms=NOW - 86_400_000,
    cpus=4,
    memory_total_bytes=8 * GIB,
    memory_available_bytes=1 * GIB,
    swap_total_bytes=2 * GIB,
    swap_free_bytes=2 * GIB,
    load1_milli=1500,
    processes=(SMALL, HOG),
    filesystems=(ROOT, VAR),
    units=(Unit(name="app.service", active="active", sub="running"),),
    pressure=(Pressure(resource="memory", some_permille=320, full_permille=80),),
    logs=(LogLine(at_ms=NOW - 9000, source="kernel", text="Out of memory: Killed process 77 (java)"),),
    changes=(Change(at_ms=NOW - 240_000, what="package", text="upgrade app 1.0 -> 1.1"),),
)  # fmt: skip

# What is typical of each metric: kind, subject, value, threshold.
FAULTS = {
    Metric.MEMORY_USED: (Kind.MEMORY, "", 940, 920),
    Metric.SWAP_USED: (Kind.SWAP, "", 900, 800),
    Metric.CPU_USED: (Kind.CPU, "", 990, 950),
    Metric.LOAD_PER_CPU: (Kind.CPU, "", 9000, 4000),
    Metric.PSI_CPU: (Kind.PRESSURE, "", 700, 500),
    Metric.PSI_MEMORY: (Kind.PRESSURE, "", 400, 200),
    Metric.PSI_MEMORY_FULL: (Kind.PRESSURE, "", 300, 200),
    Metric.PSI_IO: (Kind.PRESSURE, "", 700, 600),
    Metric.PSI_IO_FULL: (Kind.PRESSURE, "", 700, 600),
    Metric.FS_USED: (Kind.DISK_SPACE, "/var", 950, 900),
    Metric.FS_INODES_USED: (Kind.DISK_INODES, "/var", 950, 900),
    Metric.ZOMBIES: (Kind.ZOMBIES, "", 80, 50),
    Metric.BLOCKED: (Kind.BLOCKED, "", 12, 10),
    Metric.PROCESS_RSS: (Kind.MEMORY, "4121:777", 4 * GIB, 2 * GIB),
    Metric.PROCESS_CPU: (Kind.CPU, "4121:777", 950, 900),
    Metric.PROCESS_FDS: (Kind.FD_EXHAUSTION, "4121:777", 900, 800),
}


def report(metric=Metric.PROCESS_RSS, *, anomaly=None, **context):
    """Return a report of a fault of `metric`; `context` replaces fields of CONTEXT."""
    kind, subject, value, threshold = FAULTS[metric]
    fault = Anomaly(
        rule="rule",
        kind=kind,
        severity=Severity.CRITICAL,
        metric=metric,
        subject=subject,
        value=value,
        threshold=threshold,
        clear_below=threshold,
        clear_for_ms=1000,
        since_ms=NOW - 6000,
        detected_ms=NOW - 1000,
    )
    return Report(
        event="event-1",
        host=HOST,
        anomaly=msgspec.structs.replace(fault, **(anomaly or {})),
        context=msgspec.structs.replace(CONTEXT, **context),
        challenge="0" * 32,
        mode=Mode.LIVE,
        policy="sha256:" + "a" * 64,
    )


def incident(said=None, ident="incident-1", **fields):
    """Return an incident about the report `said`."""
    said = said or report()
    summary = Summary(
        id=ident,
        revision=1,
        host=said.host,
        kind=said.anomaly.kind,
        severity=said.anomaly.severity,
        state=State.REPORTED,
        evidence="x",
        opened_ms=NOW,
        updated_ms=NOW,
    )
    return Incident(summary=summary, report=said, **fields)


def deleted(path="/var/log/app.log", size=3 * GIB, held_by=4121):
    return FileEntry(path=path, bytes=size, deleted=True, held_by=held_by)


def log_file(path="/var/log/app/app.log", size=3 * GIB, held_by=4121):
    return FileEntry(path=path, bytes=size, held_by=held_by)


# One report for every runbook there is, by the runbook's id.
CASES = {
    "memory-hog": report(),
    "memory-crowd": report(Metric.MEMORY_USED, processes=(SMALL,)),
    "swap-hog": report(Metric.SWAP_USED),
    "swap-crowd": report(Metric.SWAP_USED, processes=(SMALL,)),
    "cpu-hog": report(Metric.CPU_USED),
    "cpu-crowd": report(
        Metric.CPU_USED,
        processes=tuple(
            msgspec.structs.replace(HOG, pid=100 + n, name=f"w{n}", cpu_permille=200) for n in range(8)
        ),
    ),
    "pressure-memory": report(Metric.PSI_MEMORY_FULL),
    "pressure-cpu": report(Metric.PSI_CPU),
    "pressure-stall": report(Metric.PSI_IO_FULL),
    "disk-deleted": report(Metric.FS_USED, files=(deleted(),)),
    "disk-log": report(Metric.FS_USED, files=(log_file(),)),
    "disk-journal": report(
        Metric.FS_USED,
        files=tuple(
            FileEntry(path=f"/var/log/journal/abc/system@{n}.journal", bytes=128 * MIB)
            for n in range(16)
        ),
    ),
    "disk-tmp": report(
        Metric.FS_USED,
        anomaly={"subject": "/tmp"},
        filesystems=(msgspec.structs.replace(VAR, mountpoint="/tmp"),),
    ),
    "disk-space": report(Metric.FS_USED, files=(log_file("/var/lib/db/data.bin"),)),
    "inodes-tmp": report(
        Metric.FS_INODES_USED,
        anomaly={"subject": "/tmp"},
        filesystems=(msgspec.structs.replace(VAR, mountpoint="/tmp"),),
    ),
    "inodes": report(Metric.FS_INODES_USED),
    "fd-exhaustion": report(Metric.PROCESS_FDS),
    "zombies": report(
        Metric.ZOMBIES,
        processes=(
            HOG,
            *(Process(pid=9000 + n, start_ticks=9, ppid=4121, name="job", state="Z") for n in range(5)),
        ),
    ),
    "zombies-orphaned": report(Metric.ZOMBIES, processes=(SMALL,)),
    "blocked": report(
        Metric.BLOCKED, processes=(msgspec.structs.replace(SMALL, state="D"),), logs=()
    ),
    "agent-lost": report(Metric.BLOCKED, anomaly={"kind": Kind.AGENT_LOST}, processes=()),
    "observe": report(Metric.PROCESS_FDS, processes=()),
}  # fmt: skip


def limits(mode="good", **changes):
    """Return limits under which only what `mode` is about can end a call."""
    return Limits(deadlines=TIGHT.get(mode, PATIENT), **changes)
