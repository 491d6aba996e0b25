"""The pictures use the same terminal as the tests of the room."""

from __future__ import annotations

from tests.unit.tui.conftest import build, clock, hub, plain_environment, recording

__all__ = ["build", "clock", "hub", "plain_environment", "recording"]
