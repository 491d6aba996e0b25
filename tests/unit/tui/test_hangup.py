from __future__ import annotations

import os
import pty
import subprocess
import sys

from sentinel.tui import hangup

BUSY = """
import signal, threading
from sentinel.tui import hangup
signal.signal(signal.SIGHUP, signal.SIG_IGN)
hangup.watch(grace_s=0.05)
print("watching", flush=True)
threading.Event().wait(60)
"""


def start(descriptor):
    child = subprocess.Popen(
        [sys.executable, "-c", BUSY], stdin=descriptor, stdout=subprocess.PIPE, text=True
    )
    assert child.stdout.readline() == "watching\n"
    return child


def test_a_terminal_that_is_gone_ends_the_program():
    master, slave = pty.openpty()
    with start(slave) as child:
        os.close(slave)
        os.write(master, b"a key is no hang-up\n")
        assert child.poll() is None
        os.close(master)
        assert child.wait(20) == hangup.STATUS


def test_a_terminal_that_is_there_ends_nothing():
    master, slave = pty.openpty()
    with start(slave) as child:
        os.close(slave)
        try:
            child.wait(0.5)
        except subprocess.TimeoutExpired:
            ended = False
        else:
            ended = True
        child.kill()
        os.close(master)
    assert not ended
