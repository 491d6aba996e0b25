from __future__ import annotations

from sentinel.hub.reason import budget
from sentinel.hub.reason.budget import HOUR_MS, Budget, Ledger

NOW = 1_800_000_000_000


def test_one_incident_has_its_own_share():
    ledger = Ledger(Budget(per_incident=2))
    assert [ledger.spend("i", "h", NOW) for _ in range(2)] == ["", ""]
    assert ledger.spend("i", "h", NOW) == "the model was asked 2 times about this incident"
    assert ledger.spend("other", "h", NOW) == ""


def test_one_host_cannot_take_the_hour_of_the_others():
    ledger = Ledger(Budget(per_host_hour=3))
    assert [ledger.spend(f"i{n}", "h", NOW) for n in range(3)] == ["", "", ""]
    assert "about this host" in ledger.spend("i9", "h", NOW)
    assert ledger.spend("i9", "other", NOW) == ""


def test_an_hour_has_its_bound_and_ends():
    ledger = Ledger(Budget(per_hour=2))
    assert [ledger.spend(f"i{n}", f"h{n}", NOW) for n in range(2)] == ["", ""]
    assert "within the hour" in ledger.spend("i9", "h9", NOW + HOUR_MS - 1)
    assert ledger.spend("i9", "h9", NOW + HOUR_MS) == ""


def test_a_refusal_costs_nothing():
    ledger = Ledger(Budget(per_incident=1, per_hour=2))
    assert ledger.spend("i", "h", NOW) == ""
    assert ledger.spend("i", "h", NOW)
    assert ledger.spend("j", "h", NOW) == ""


def test_what_is_remembered_is_bounded(monkeypatch):
    monkeypatch.setattr(budget, "MAX_INCIDENTS", 2)
    ledger = Ledger(Budget(per_incident=1))
    for name in ("a", "b", "c"):
        assert ledger.spend(name, "h", NOW) == ""
    assert ledger.spend("c", "h", NOW)
    assert ledger.spend("a", "h", NOW) == ""
