"""The keys' way in, over a real pseudo-terminal."""

from __future__ import annotations

import asyncio
import os
import pty
import signal
import sys
import threading
import tty
from pathlib import Path

import pytest
from textual import events

from sentinel.tui.driver import Driver, Wake


class Heard(Driver):
    """Keeps what it reads."""

    def __init__(self):
        super().__init__(None)
        self.heard = []
        self.some = threading.Semaphore(0)

    def process_message(self, message):
        self.heard.append(message)
        self.some.release()


async def heard():
    return Heard()  # Textual's driver wants to be made within a loop


class Reading:
    """A driver that reads from the far end of a pseudo-terminal."""

    def __init__(self, monkeypatch):
        self.near, self.far = pty.openpty()
        tty.setraw(self.far)
        monkeypatch.setattr(sys, "__stdin__", os.fdopen(self.far, closefd=False))
        self.driver = asyncio.run(heard())
        self.thread = threading.Thread(target=self.driver.run_input_thread)
        self.thread.start()

    def wakes(self):
        """Return how often the thread has gone to sleep of itself."""
        status = Path(f"/proc/self/task/{self.thread.native_id}/status").read_text()
        return int(status.partition("\nvoluntary_ctxt_switches:")[2].split()[0])

    def end(self):
        self.driver.exit_event.set()
        self.thread.join(10)
        assert not self.thread.is_alive()

    def keys(self, count):
        for _ in range(count):
            assert self.driver.some.acquire(timeout=10), self.driver.heard
        return [message.key for message in self.driver.heard if isinstance(message, events.Key)]


@pytest.fixture
def reading(monkeypatch):
    before = {number: signal.getsignal(number) for number in (signal.SIGTSTP, signal.SIGCONT)}
    made = Reading(monkeypatch)
    yield made
    made.end()
    for number, handler in before.items():
        signal.signal(number, handler)


def test_keys_come_through(reading):
    os.write(reading.near, b"j\x1b[Bk")
    assert reading.keys(3) == ["j", "down", "k"]


def test_an_escape_alone_is_a_key_once_nothing_follows(reading):
    os.write(reading.near, b"\x1b")
    assert reading.keys(1) == ["escape"]


def test_bytes_that_are_not_utf8_end_nothing(reading):
    os.write(reading.near, b"\xff\xfej")
    assert reading.keys(3)[-1] == "j"


def test_it_sleeps_while_nothing_comes(reading):
    os.write(reading.near, b"j")
    reading.keys(1)
    before = reading.wakes()
    reading.thread.join(1.0)  # Textual's own would have woken ten times
    assert reading.wakes() - before < 3


def test_a_terminal_that_is_gone_is_read_no_more(reading):
    os.close(reading.near)
    reading.thread.join(10)
    assert not reading.thread.is_alive()


def test_a_wake_can_be_used_again():
    wake = Wake()
    wake.clear()
    wake.set()
    wake.clear()
    with pytest.raises(BlockingIOError):
        os.eventfd_read(wake.descriptor)
