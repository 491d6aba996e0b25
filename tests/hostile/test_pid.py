"""A pid that is another process's by now: the kernel gives it away for real, and the node notices."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sentinel.agent import execute
from sentinel.domain import Outcome
from tests.hostile.cheat import AGENT, ANSWER_S, battle

NAME = "pid-canary"
LAST_PID = Path("/proc/sys/kernel/ns_last_pid")  # the next process gets the number after it
WATCHING = f"""
process_interval = "100ms"
[[rules]]
id = "canary"
metric = "process_resident_memory_bytes"
process = "{NAME}"
above = "24MiB"
for = "100ms"
"""
# Holds memory; each TERM that it gets is one more line in its log.
CANARY = f"""
import ctypes, os, signal, sys, time
log = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
signal.signal(signal.SIGTERM, lambda *_: os.write(log, b"TERM\\n"))
ctypes.CDLL(None).prctl(15, b"{NAME}", 0, 0, 0)
held = bytearray(b"x") * (40 << 20)
os.write(log, b"up\\n")
while os.getppid() == int(sys.argv[2]):
    time.sleep(0.05)
"""


@contextlib.contextmanager
def canary(log):
    """A process that runs and has said so; its end is the block's."""
    words = [sys.executable, "-I", "-c", CANARY, str(log), str(os.getpid())]
    child = subprocess.Popen(words)
    try:
        wait_until(lambda: log.exists() and log.read_text())
        yield child
    finally:
        child.kill()
        child.wait()


@contextlib.contextmanager
def canary_with(pid, log):
    """A canary that has been given this pid, which is free."""
    deadline = time.monotonic() + ANSWER_S
    while time.monotonic() < deadline:
        try:
            LAST_PID.write_text(str(pid - 1))
        except OSError as error:
            pytest.skip(f"only root may choose a pid: {error.strerror}")
        with canary(log) as child:  # unless somebody else was quicker
            if child.pid == pid:
                yield child
                return
        log.unlink()
    pytest.fail(f"pid {pid} was never free")


def wait_until(holds):
    deadline = time.monotonic() + ANSWER_S
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_pid_reused_since_capture(tmp_path):
    """What was approved is about a process that is gone; its number is another's, of the same name."""
    first_log, second_log = tmp_path / "first", tmp_path / "second"
    with contextlib.ExitStack() as stack:
        first = stack.enter_context(canary(first_log))
        settings = AGENT.partition("[[rules]]")[0] + WATCHING
        node = stack.enter_context(battle(tmp_path, agent=settings))
        stop = f"kill -TERM {first.pid}"
        # Without this, that nothing ran would prove nothing.
        assert outcome(node, node.bundle(node.plan(stop))).outcome is Outcome.RAN
        wait_until(lambda: first_log.read_text() == "up\nTERM\n")

        approved = node.bundle(node.plan(stop))
        ticks = execute.start_ticks(first.pid)
        first.kill()
        first.wait()
        second = stack.enter_context(canary_with(first.pid, second_log))
        assert execute.start_ticks(second.pid) != ticks
        result = outcome(node, approved)
        assert result.outcome is Outcome.FAILED
        assert result.reason == f"pid {first.pid} is another process now"
        assert second_log.read_text() == "up\n"


def outcome(node, bundle):
    """Send a bundle of one command; return what became of that."""
    said = node.answer(bundle)
    assert said.admitted, said
    while node.hub.finished.get(timeout=ANSWER_S).incident != bundle.incident:
        pass
    return node.hub.results.queue[-1]
