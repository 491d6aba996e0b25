"""Real faults, made by the tests themselves and gone with them: each is a process or a mount."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sentinel.agent.procfs import parse_stat
from sentinel.domain import Anomaly, Kind, Metric, Severity

# Each says "up" when the fault stands, and lives until its standard input ends.
MEMORY = """
held = bytearray(int(sys.argv[1]) << 20)
held[::4096] = b'x' * len(held[::4096])
"""
FILES = "held = [open('/dev/null') for _ in range(int(sys.argv[1]))]"
SPIN = "import threading; threading.Thread(target=lambda: [None for _ in iter(int, 1)], daemon=True).start()"
ZOMBIES = """
import os
for _ in range(int(sys.argv[1])):
    if os.fork() == 0:
        os._exit(0)
"""
DELETED = """
import os
held = open(sys.argv[1], 'wb', 0)
held.write(b'x' * (1 << 20))
os.unlink(sys.argv[1])
"""
NAMED = "open('/proc/self/comm', 'wb').write(bytes.fromhex(sys.argv[1]))"
RENAMED_BY_SIGNAL = """
import signal
signal.signal(signal.SIGUSR1, lambda *_: open('/proc/self/comm', 'wb').write(b'renamed'))
"""
IDLE = ""


@contextlib.contextmanager
def process(fault, *words):
    """A child that has made its fault, killed and reaped at the end."""
    program = f"import sys\n{fault}\nprint('up', flush=True)\nsys.stdin.read()"
    child = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", program, *(str(word) for word in words)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert child.stdout.readline() == b"up\n"
        yield child
    finally:
        child.kill()
        child.wait()
        child.stdin.close()
        child.stdout.close()


def subject_of(child):
    return parse_stat(Path(f"/proc/{child.pid}/stat").read_bytes()).subject


@contextlib.contextmanager
def mounted(folder, kind, options, **kept):
    """A filesystem of `kind` on `folder`; the test is skipped where we may not mount."""
    done = subprocess.run(
        ["mount", "-i", "-t", kind, "-o", options, kind, str(folder)],
        capture_output=True,
        text=True,
        **kept,
    )
    if done.returncode:
        pytest.skip(f"no mount here: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@contextlib.contextmanager
def hung_mount(folder):
    """A mount whose server never answers: whoever asks it for anything waits."""
    try:
        server = os.open("/dev/fuse", os.O_RDWR)
    except OSError as error:
        pytest.skip(f"no hung mount here: {error}")
    try:
        options = f"fd={server},rootmode=40000,user_id=0,group_id=0"
        with mounted(folder, "fuse", options, pass_fds=[server]):
            yield folder
    finally:
        os.close(server)  # the kernel fails every request that still waits


def anomaly(kind=Kind.MEMORY, metric=Metric.MEMORY_USED, subject="", **changes):
    fields = {
        "rule": "a-rule",
        "kind": kind,
        "severity": Severity.WARNING,
        "metric": metric,
        "subject": subject,
        "value": 950,
        "threshold": 900,
        "clear_below": 800,
        "clear_for_ms": 2000,
        "since_ms": 1000,
        "detected_ms": 2000,
    }
    return Anomaly(**{**fields, **changes})
