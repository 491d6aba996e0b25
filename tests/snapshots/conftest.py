"""The pictures use the same terminal as the tests of the room, and a policy that stays as it is."""

from __future__ import annotations

import msgspec
import pytest

from sentinel.policy import rules
from tests.unit.tui.conftest import build, clock, hub, plain_environment, recording

__all__ = ["build", "clock", "hub", "plain_environment", "recording"]


@pytest.fixture(autouse=True)
def same_policy(monkeypatch, recording):
    """A new rule in some pack changes neither digest nor counts in a picture."""
    policy, packs = rules.load(examples=False), dict(rules.packs())
    same = msgspec.structs.replace(policy, digest=recording.status.policy)
    few = [(name, packs[name]) for name in ("10-identity", "30-remediation", "90-never")]
    few = [
        (name, msgspec.structs.replace(f, allow=f.allow[:12], block=f.block[:12]))
        for name, f in few
    ]
    monkeypatch.setattr(rules, "load", lambda **_: same)
    monkeypatch.setattr(rules, "packs", lambda: few)
