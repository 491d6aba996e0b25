"""A hub, an agent and a real leak under a name of this run's own, so that tests can run side by side."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from sentinel import demo
from sentinel.domain import Mode, Summary


class Place:
    """A running site. `environment` is what a person's programs need to be the operator of it."""

    def __init__(self, folder: Path, name: str) -> None:
        self.site = demo.Site(folder)
        self.name = f"{name}-{os.getpid()}"  # the kernel keeps 15 characters of it
        self.environment = {
            **os.environ,
            "SSH_AUTH_SOCK": str(self.site.agent_socket),
            "COLUMNS": "100",
            "LC_ALL": "C.UTF-8",
        }

    def set_up(self, mode: Mode = Mode.LIVE) -> None:
        hub = demo.HUB_TOML.format(mode=mode.value, engine="playbook", url="", model="")
        agent = demo.AGENT_TOML.format(mode=mode.value, hog=self.name, limit=demo.LIMIT)
        self.site.set_up(hub, agent)
        self.site.start("agent")

    def leak(self) -> subprocess.Popen[bytes]:
        """Start the leak; it ends on TERM, with the test, or by itself."""
        return self.site.leak(self.name)

    def sentinel(
        self, *words: object, stdin: str = "", who: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Run `sentinel WORDS...` as the operator, or as `who`, whom `site.let_in` let in."""
        identity = ("--identity", self.site.folder / who if who else self.site.operator)
        sock = self.site.folder / f"{who}.agent" if who else self.site.agent_socket
        command = [sys.executable, "-m", "sentinel.cli", *words, *identity]
        return subprocess.run(
            [str(word) for word in command],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env={**self.environment, "SSH_AUTH_SOCK": str(sock)},
        )


def said(done: subprocess.CompletedProcess[str]) -> str:
    """Return what a program that ended well has printed."""
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def awaiting(place: Place) -> Summary:
    """Return the incident once its plan awaits a decision."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        found = said(place.sentinel("incidents", "state=awaiting", "--json")).splitlines()
        if found:
            return msgspec.json.decode(found[0], type=Summary)
    raise AssertionError(place.site.logs())


@contextlib.contextmanager
def living(folder: Path, name: str, mode: Mode = Mode.LIVE) -> Iterator[Place]:
    """A site that lives until the end of the block."""
    place = Place(folder, name)
    try:
        place.set_up(mode)
        yield place
    finally:
        place.site.stop()
