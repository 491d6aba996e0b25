"""Firing a drill: one process of our own on this very host, which ends with whoever fired it.

Nothing here reaches another host. The hub cannot make a node do anything but approved plans, and so
nobody can fire a drill on a node without being on it.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from sentinel.drill import worker
from sentinel.drill.scenarios import Scenario
from sentinel.errors import OperatorError

ROOM = 4  # times what a drill takes must be free


def command(fault: str, process: str, amount: int, life_s: int) -> list[str]:
    """Return the command line of a fault; its standard input must be a pipe that stays open."""
    program = [sys.executable, "-I", "-S", str(Path(worker.__file__).resolve())]
    return [*program, fault, process, str(amount), str(life_s)]


class Fired:
    """A drill that was fired. It ends by `end`, by itself, and with this process."""

    def __init__(self, child: subprocess.Popen[bytes]) -> None:
        """Hold the process."""
        self._child = child
        self.pid = child.pid

    @property
    def over(self) -> bool:
        """Whether it has ended."""
        return self._child.poll() is not None

    def end(self) -> None:
        """End it, and wait for that."""
        if self._child.stdin is not None:
            self._child.stdin.close()
        try:
            self._child.wait(5)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()


def fire(scenario: Scenario) -> Fired:
    """Start the drill.

    Raises OperatorError where it runs already, or where the host has no room for it.
    """
    if pid := running(scenario):
        raise OperatorError(
            f"the drill {scenario.name} runs already, as pid {pid}",
            hint=f"it ends by itself within {scenario.life_s} s",
        )
    if scenario.name == "leak":
        _room(scenario.amount)
    child = subprocess.Popen(
        command(scenario.name, scenario.process, scenario.amount, scenario.life_s),
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    return Fired(child)


def running(scenario: Scenario, proc: Path = Path("/proc")) -> int:
    """Return the pid of a process of this drill on this host, or 0."""
    for comm in proc.glob("[0-9]*/comm"):
        try:
            if comm.read_text().rstrip("\n") == scenario.process:
                return int(comm.parent.name)
        except (OSError, UnicodeDecodeError):
            continue  # gone meanwhile, or no name of ours
    return 0


def _room(mib: int, proc: Path = Path("/proc")) -> None:
    """Refuse to take memory that the host has not plenty of."""
    for line in (proc / "meminfo").read_text().splitlines():
        name, _, value = line.partition(":")
        free = int(value.split()[0]) >> 10
        if name == "MemAvailable" and free < ROOM * mib:
            raise OperatorError(
                f"{free} MiB of memory are available, and the drill takes {mib} MiB",
                hint=f"it wants {ROOM * mib} MiB available, so that it harms nobody",
            )
