"""The filter's grammar."""

from __future__ import annotations

import pytest

from sentinel.errors import OperatorError
from sentinel.tui.filters import accepts, parse


def hosts(recording, text):
    terms = parse(text)
    found = [r.incident.summary for r in recording.incidents]
    return sorted(summary.host for summary in found if accepts(terms, summary))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("host=db", ["db-01", "db-02"]),
        ("host=db kind=swap", ["db-02"]),
        ("verdict=block", ["node-017"]),
        ("state=executing", ["edge-2"]),
        ("state=verifying", []),
        ("sev=crit", ["db-01", "node-017"]),
        ("!sev=crit !sev=warn", ["db-02", "edge-1"]),
        ("nginx", ["node-009"]),
        ("NGINX", ["node-009"]),
        ("n017", ["node-017"]),
        ("awaiting !blocked-nothing", ["db-01", "node-009", "node-017"]),
        ("5f02", ["db-01"]),
        ("who=alice", ["web-3"]),
        ("who=LI", ["web-3"]),
        ("alice", ["web-3"]),
        ("!who=", ["web-3"]),
        ("who= sev=crit", ["db-01", "node-017"]),
        ("!who=alice sev=crit", ["db-01", "node-017"]),
        ("who=bob", []),
        ("no-such-thing-anywhere", []),
    ],
)
def test_terms_must_all_hold(recording, text, found):
    assert hosts(recording, text) == found


def test_the_empty_filter_takes_everything(recording):
    assert len(hosts(recording, "  ")) == len(recording.incidents)


def test_an_unknown_field_is_named_with_the_nearest():
    with pytest.raises(OperatorError, match="hots") as caught:
        parse("hots=x")
    assert "host" in caught.value.hint


def test_terms_are_no_more_than_the_wire_takes():
    with pytest.raises(OperatorError, match="17 terms"):
        parse(" ".join(["x"] * 17))
