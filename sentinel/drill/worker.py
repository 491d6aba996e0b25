"""The faults, each made by a process of its own: `python -I worker.py FAULT NAME AMOUNT SECONDS`.

Whatever a fault does, it ends: the kernel ends it by an alarm, by its CPU time and at its address space,
and it ends itself as soon as its standard input does, which is when the process that fired it is gone.
It writes no file, opens no socket, runs nothing, and is the last to get a processor.
"""

from __future__ import annotations

import os
import resource
import select
import signal
import sys
from collections.abc import Callable
from pathlib import Path

STEP_MIB = 16
SPARE_MIB = 512  # of address space, for the interpreter and its libraries
SPARE_FILES = 64


def bound(mib: int, files: int, life_s: int) -> None:
    """Let the kernel end this process after `life_s`, and let it have no more than that."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(life_s)
    os.nice(19)
    limits = {
        resource.RLIMIT_CPU: life_s,
        resource.RLIMIT_AS: (mib + SPARE_MIB) << 20,
        resource.RLIMIT_NOFILE: files + SPARE_FILES,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_CORE: 0,
    }
    for limit, value in limits.items():
        _, most = resource.getrlimit(limit)
        value = value if most == resource.RLIM_INFINITY else min(value, most)
        resource.setrlimit(limit, (value, value))


def alive(seconds: float) -> bool:
    """Wait for `seconds`; say whether whoever fired this is still there."""
    return not select.select([0], [], [], seconds)[0]


def leak(mib: int) -> None:
    """Grow to `mib` by 160 MiB a second, touching every page, and keep it."""
    held: list[bytearray] = []
    while alive(0.1):
        if len(held) * STEP_MIB < mib:
            held.append(bytearray(b"x") * (STEP_MIB << 20))


def spin(chunk: int) -> None:
    """Keep one processor busy, looking up after every `chunk` rounds."""
    while alive(0):
        for _ in range(chunk):
            pass


def files(count: int) -> None:
    """Open `count` descriptors, a hundred every tenth of a second, and close none."""
    held: list[int] = []
    while alive(0.1):
        more = min(100, count - len(held))
        held += [os.open(os.devnull, os.O_RDONLY) for _ in range(more)]


def zombies(count: int) -> None:
    """Start `count` children that end at once, and wait for none of them."""
    for _ in range(count):
        if os.fork() == 0:
            os._exit(0)
    while alive(0.1):
        pass


FAULTS: dict[str, Callable[[int], None]] = {
    "leak": leak,
    "spin": spin,
    "files": files,
    "zombies": zombies,
}


def main(words: list[str]) -> None:
    """Make one fault until its time or its parent is over."""
    fault, name, amount, life_s = words
    # The kernel's name of this process, by which a rule watches it.
    Path("/proc/self/comm").write_text(name)
    count = int(amount)
    sizes = (count if fault == "leak" else 0, count if fault == "files" else 0)
    bound(*sizes, int(life_s))
    FAULTS[fault](count)


if __name__ == "__main__":
    main(sys.argv[1:])
