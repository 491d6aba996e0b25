"""Each fault is real, is what it says, and ends: by itself, with its parent, and within its bounds."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sentinel.agent.procfs import parse_stat
from sentinel.drill import fire, worker

PATIENCE_S = 30


@contextlib.contextmanager
def made(fault, amount, life_s=60, name="drill-test"):
    """A fault as `fire` starts it."""
    child = subprocess.Popen(fire.command(fault, name, amount, life_s), stdin=subprocess.PIPE)
    try:
        yield child
    finally:
        child.kill()
        child.stdin.close()
        child.wait()


def until(holds):
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def stat(child):
    return parse_stat(Path(f"/proc/{child.pid}/stat").read_bytes())


def named(child):
    return Path(f"/proc/{child.pid}/comm").read_text() == "drill-test\n"


def children(child, state):
    def is_one(path):
        try:
            found = parse_stat(path.read_bytes())
        except OSError:
            return False
        return (found.ppid, found.state) == (child.pid, state)

    return sum(is_one(path) for path in Path("/proc").glob("[0-9]*/stat"))


def test_a_leak_holds_real_memory_and_no_more_than_it_says():
    with made("leak", 48) as child:
        until(lambda: stat(child).rss_bytes > 48 << 20)
        time.sleep(0.3)  # three more of its steps
        assert stat(child).rss_bytes < 80 << 20


def test_a_spin_uses_its_processor():
    with made("spin", 1000) as child:
        until(lambda: named(child) and stat(child).cpu_ticks > 10)


def test_descriptors_are_open():
    with made("files", 150) as child:
        until(lambda: len(os.listdir(f"/proc/{child.pid}/fd")) >= 150)


def test_zombies_are_its_children():
    with made("zombies", 20) as child:
        until(lambda: children(child, "Z") == 20)


@pytest.mark.parametrize(
    ("fault", "amount"), [("leak", 16), ("spin", 1000), ("files", 9), ("zombies", 3)]
)
def test_it_ends_with_the_standard_input_that_its_parent_holds(fault, amount):
    with made(fault, amount) as child:
        until(lambda: named(child))
        child.stdin.close()
        assert child.wait(PATIENCE_S) == 0


def test_it_ends_when_its_parent_is_killed():
    command = fire.command("spin", "drill-orphan", 1000, 60)
    program = (
        "import subprocess, sys\n"
        f"child = subprocess.Popen({command!r}, stdin=subprocess.PIPE, start_new_session=True)\n"
        "print(child.pid, flush=True)\n"
        "sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as parent:
        pid = int(parent.stdout.readline())
        parent.kill()
    until(lambda: not Path(f"/proc/{pid}").exists())


@pytest.mark.parametrize(("fault", "amount"), [("leak", 16), ("spin", 10**12)])
def test_the_kernel_ends_it_in_time_whatever_it_does(fault, amount):
    with made(fault, amount, life_s=1) as child:
        # A spin that never looks up is ended by the alarm, or by its CPU time.
        assert child.wait(PATIENCE_S) in (-signal.SIGALRM, -signal.SIGXCPU, -signal.SIGKILL)


def test_its_limits_are_the_kernels():
    with made("files", 100, life_s=33) as child:
        until(
            lambda: soft(child, "file size") == 0
        )  # the others that are looked at are set by then
        assert soft(child, "open files") == 100 + worker.SPARE_FILES
        assert soft(child, "cpu time") == 33
        assert soft(child, "address space") == worker.SPARE_MIB << 20
        assert os.getpriority(os.PRIO_PROCESS, child.pid) == 19


def limits(child):
    return Path(f"/proc/{child.pid}/limits").read_text()


def soft(child, what):
    (line,) = (each for each in limits(child).splitlines() if each.startswith(f"Max {what} "))
    word = line.removeprefix(f"Max {what} ").split()[0]
    return resource.RLIM_INFINITY if word == "unlimited" else int(word)


def test_a_leak_that_would_be_larger_than_its_address_space_ends(tmp_path):
    wild = tmp_path / "worker.py"
    source = Path(worker.__file__).read_text()
    wild.write_text(source.replace("if len(held) * STEP_MIB < mib:", "if True:"))
    command = [sys.executable, "-I", "-S", str(wild), "leak", "drill-test", "16", "60"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        assert child.wait(PATIENCE_S) == 1
        assert b"MemoryError" in child.stderr.read()


def test_without_anybody_at_its_standard_input_it_does_nothing():
    command = fire.command("leak", "drill-test", 512, 60)
    done = subprocess.run(command, stdin=subprocess.DEVNULL, timeout=PATIENCE_S, check=False)
    assert done.returncode == 0
