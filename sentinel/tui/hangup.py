"""A terminal that is gone ends the program, whatever it is doing.

Textual cannot be relied on for that: its input thread reads an ended terminal over and over, and an output
thread that has died leaves the event loop waiting, which then hears no signal either.
"""

from __future__ import annotations

import os
import select
import threading
import time

GRACE_S = 2.0  # for the way out that SIGHUP takes
STATUS = 129  # 128 + SIGHUP, as a shell has it


def watch(descriptor: int = 0, grace_s: float = GRACE_S) -> None:
    """End the process soon after the terminal at `descriptor` has gone."""
    threading.Thread(
        target=_until_gone, args=(descriptor, grace_s), name="hangup", daemon=True
    ).start()


def _until_gone(descriptor: int, grace_s: float) -> None:
    poll = select.poll()
    poll.register(descriptor, 0)  # nothing is asked for, so only a hang-up or an error is told
    while not poll.poll():
        pass
    time.sleep(grace_s)
    os._exit(STATUS)
