"""A terminal for tests: the recording as hub, a clock that stands still, and eyes."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest
from textual.pilot import Pilot

from sentinel.domain import Incident, State
from sentinel.tui.app import SentinelApp
from sentinel.tui.look import Skin
from sentinel.tui.port import Connect, Port
from sentinel.tui.recorded import RecordedHub
from sentinel.tui.recording import Recording, load
from sentinel.tui.render.frame import Options
from sentinel.tui.setup import Setup


class Clock:
    """Milliseconds that pass when told to."""

    def __init__(self, now_ms: int) -> None:
        self.now_ms = now_ms

    def __call__(self) -> int:
        return self.now_ms


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch):
    """What the person who runs the tests has set for their own terminal is not ours."""
    for name in list(os.environ):
        of_the_plugin = name.startswith("TEXTUAL_SNAPSHOT")
        theirs = name in ("NO_COLOR", "DISPLAY", "WAYLAND_DISPLAY", "TMUX")
        if theirs or (name.startswith("TEXTUAL_") and not of_the_plugin):
            monkeypatch.delenv(name)


@pytest.fixture
def recording() -> Recording:
    return load()


@pytest.fixture
def clock(recording) -> Clock:
    return Clock(recording.at_ms)


@pytest.fixture
def hub(recording, clock) -> RecordedHub:
    return RecordedHub(recording, clock, alone=False)


def connecting(port: Port) -> Connect:
    """Return what connects to `port`."""

    async def connect() -> Port:
        return port

    return connect


@pytest.fixture
def build(hub, clock) -> Callable[..., SentinelApp]:
    """Return what makes an app: `build(read_only=True, port=...)`."""

    def make(
        *, port: Port | None = None, setup: Setup | None = None, **options: bool | Skin
    ) -> SentinelApp:
        return SentinelApp(connecting(port or hub), clock, Options(**options), setup)

    return make


def incidents(recording: Recording) -> dict[State, Incident]:
    """Return one recorded incident for each state; of those that await, the one that may run."""
    found: dict[State, Incident] = {}
    for each in recording.incidents:
        found.setdefault(each.incident.summary.state, each.incident)
    return found


def screen_text(app: SentinelApp) -> str:
    """Return what is on the screen, line by line."""
    strips = app.screen._compositor.render_strips()
    return "\n".join(strip.text.rstrip() for strip in strips)


async def until(pilot: Pilot[None], holds: Callable[[], bool], tries: int = 200) -> None:
    """Let the app work until `holds`; an AssertionError shows the screen where it never does."""
    for _ in range(tries):
        await pilot.pause(0.01)
        if holds():
            return
    raise AssertionError(screen_text(pilot.app))


async def sees(pilot: Pilot[None], *words: str) -> None:
    """Let the app work until all of `words` are on the screen."""
    await until(pilot, lambda: all(word in screen_text(pilot.app) for word in words))


async def press(pilot: Pilot[None], *keys: str) -> None:
    """Press keys one after the other, as fast as the app takes them (`Pilot.press` waits 0.08 s each)."""
    for key in keys:
        pilot.app.simulate_key(key)
        await pilot.pause(0.002)
    await pilot.pause(0.01)
