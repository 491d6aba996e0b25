"""Textual's way to a Linux terminal, with an input thread that sleeps until there is something to read.

Textual's own wakes ten times a second, which is what an idle terminal's processor time is spent on; it
reads an ended terminal over and over; and a byte that is not UTF-8 ends the program.
"""

from __future__ import annotations

import contextlib
import contextvars
import os
import select
import threading
from codecs import getincrementaldecoder
from collections.abc import Callable

from textual import events
from textual.app import App
from textual.drivers.linux_driver import LinuxDriver
from textual.message import Message

from sentinel.tui.output import ASK
from sentinel.tui.paste import Parser

READ_BYTES = 4096
LAST_ANSWER_S = 1.0  # an answer that comes when the program has left would be typed into the shell


class Wake(threading.Event):
    """An event that a poll can wait for as well."""

    def __init__(self) -> None:
        """Not set."""
        super().__init__()
        self.descriptor = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)

    def set(self) -> None:
        """Wake who waits."""
        super().set()
        os.eventfd_write(self.descriptor, 1)

    def clear(self) -> None:
        """Let who waits sleep again."""
        super().clear()
        with contextlib.suppress(BlockingIOError):  # it was not set
            os.eventfd_read(self.descriptor)


class Driver(LinuxDriver):
    """Reads keys through `paste.Parser`."""

    def __init__(
        self,
        app: App[object],
        *,
        debug: bool = False,
        mouse: bool = True,
        size: tuple[int, int] | None = None,
    ) -> None:
        """As Textual makes it."""
        super().__init__(app, debug=debug, mouse=mouse, size=size)
        self._wake = self.exit_event = Wake()
        self._asked = self._answered = 0
        self._answer = threading.Condition()
        self._hear: Callable[[], object] = lambda: None
        self._context = contextvars.copy_context()

    def write(self, data: str) -> None:
        """Send `data`, and count the questions in it."""
        self._asked += data.count(ASK)
        super().write(data)

    def hear_answers(self, hear: Callable[[], object]) -> None:
        """Have `hear` called for every answer, in the program's loop and the caller's context."""
        self._hear, self._context = hear, contextvars.copy_context()

    def process_message(self, message: Message) -> None:
        """Hand a key on; an answer goes by itself, for every frame has one."""
        if not isinstance(message, events.CursorPosition):
            super().process_message(message)
            return
        with self._answer:
            self._answered += 1
            self._answer.notify_all()
        self._loop.call_soon_threadsafe(self._hear, context=self._context)

    def send_message(self, message: Message) -> None:
        """Put a message into the program's queue, without a task and a future for each."""
        self._loop.call_soon_threadsafe(self._app.post_message, message)

    def disable_input(self) -> None:
        """Read no more, once a terminal that answers has answered."""
        with self._answer:
            if self._answered and not self.exit_event.is_set():
                self._answer.wait_for(lambda: self._answered >= self._asked, LAST_ANSWER_S)
        super().disable_input()

    def run_input_thread(self) -> None:
        """Read keys until the program leaves the terminal, or the terminal has gone."""
        poll = select.poll()
        poll.register(self.fileno, select.POLLIN)
        poll.register(self._wake.descriptor, select.POLLIN)
        parser = Parser(self._debug)
        decode = getincrementaldecoder("utf-8")(errors="replace").decode
        while not self.exit_event.is_set():
            ready = dict(poll.poll(parser.patience_ms()))
            if self.fileno in ready:
                data = _read(self.fileno)
                if not data:
                    return  # `hangup` ends the program
                for event in parser.feed(decode(data)):
                    self.process_message(event)
            for event in parser.tick():
                self.process_message(event)


def _read(descriptor: int) -> bytes:
    """Return what has come; nothing where nothing ever will."""
    try:
        return os.read(descriptor, READ_BYTES)
    except OSError:
        return b""
