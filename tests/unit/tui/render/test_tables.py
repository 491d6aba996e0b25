"""Nodes and audit records in one line."""

from __future__ import annotations

import msgspec
import pytest

from sentinel.domain import AgentStatus, Metric, Sample
from sentinel.tui.line import plain
from sentinel.tui.render import incidents, tables
from sentinel.tui.store import Snapshot


def node(recording, host, **fields):
    agent = next(a for a in recording.agents if a.host == host)
    changed = msgspec.structs.replace(agent, **fields)
    return plain(tables.node(changed, recording.at_ms, recording.status.policy, 78))


def test_a_node_that_is_well(recording):
    words = node(recording, "db-01").split()
    assert words == ["db-01", "ok", "now", "LIVE", "0.1.0", "5d", "+3ms", "1", "same"]


def test_what_is_wrong_with_a_node_has_a_sign_and_not_only_a_colour(recording):
    assert "LOST" in node(recording, "node-051")
    assert "! DRIFT" in node(recording, "node-009")
    assert "-2400ms !" in node(recording, "node-009")
    assert "11h !" in node(recording, "node-017")
    assert "OVER !" in node(recording, "db-01", certificate_expires_ms=recording.at_ms)


def test_the_nodes_are_counted(recording):
    assert tables.node_counts(recording.agents, recording.status.policy) == (
        "9 nodes  8 connected  1 LOST  1 with another policy"
    )


def test_a_record_in_full_has_its_exact_bytes(recording):
    chosen = recording.audit[0]
    shown = "".join(plain(row.line).strip() for row in tables.record(chosen, 78))
    assert chosen.body.replace(" ", "") in shown.replace(" ", "")
    assert chosen.hash in shown


def test_a_row_of_the_list_has_its_columns(recording):
    summary = next(
        r.incident.summary for r in recording.incidents if r.incident.summary.host == "node-017"
    )
    row = plain(incidents.row(summary, recording.at_ms, 158))
    assert row.split()[:8] == [
        "9caf",
        "3m",
        "CRIT",
        "node-017",
        "disk_space",
        "AWAITING",
        "✗",
        "BLOCK",
    ]
    assert "3× /var 97.2% used" in row


def test_who_is_on_it_stands_before_the_evidence_and_never_in_place_of_it(recording):
    summary = recording.incidents[0].incident.summary

    def evidence(owner, cells):
        owned = msgspec.structs.replace(summary, owner=owner)
        return plain(incidents.row(owned, recording.at_ms, cells)).partition("allow  ")[2]

    assert evidence("", 78) == "97.1% used, +2.1%/mi…"
    assert evidence("alice", 78) == "@alice 97.1% used, +…"
    assert evidence("alexander.the-great", 78) == "@alexan… 97.1% used,…"
    assert evidence("alexander.the-great", 158).startswith("@alexander.the-… 97.1% used, +2.1%/min")


def test_the_counts_are_the_lists_where_it_is_whole(recording):
    shown = tuple(r.incident.summary for r in recording.incidents)
    snapshot = Snapshot(status=recording.status, summaries=shown[:3], whole=True)
    words = plain(incidents.counts(snapshot, shown=3, filtered="", ended=False))
    assert words.startswith(" 3 open  3 to decide  nodes 8/9  engine")


def test_the_counts_are_the_hubs_where_the_list_is_not_whole(recording):
    snapshot = Snapshot(status=recording.status, below=True)
    shown = plain(incidents.counts(snapshot, shown=2, filtered="x", ended=True))
    assert shown.startswith(" 7 open  3 to decide  nodes 8/9  /x shows 2+  with ended ones  engine")
    assert "engine NOT READY: no answer within 120 s" in shown


def test_an_empty_list_says_why(recording):
    assert incidents.empty(Snapshot(), "") == "waiting for the hub"
    known = Snapshot(status=recording.status)
    assert incidents.empty(known, "") == "no open incidents"
    assert "nothing matches /x" in incidents.empty(known, "x")
    asked = Snapshot(status=recording.status, below=True)  # the hub has not answered yet
    assert incidents.empty(asked, "x") == "asking the hub for /x"
    assert incidents.empty(asked, "") == "asking the hub for its incidents"


def test_the_gauges_of_a_node_name_its_fullest_filesystem():
    readings = [(Metric.MEMORY_USED, "", 971), (Metric.CPU_USED, "", 412)]
    readings += [(Metric.FS_USED, "/", 440), (Metric.FS_USED, "/var", 880)]
    samples = tuple(Sample(metric=m, subject=s, value=v, at_ms=1) for m, s, v in readings)
    node = AgentStatus(host="web1", connected=True, gauges=samples)
    assert tables.gauges(node) == "CPU used 41.2%   memory used 97.1%   /var 88.0%"
    assert tables.gauges(AgentStatus(host="web1", connected=False, gauges=samples)) == ""
    assert tables.gauges(AgentStatus(host="web1", connected=True)) == ""


def test_a_record_holds_where_hash_bytes_and_columns_agree(recording):
    whole = recording.audit
    assert all(tables.fits(each) for each in whole)
    assert plain(tables.audit_state(whole, gapless=True)) == "each fits its hash, no gap"
    assert plain(tables.audit_state(whole[::2], gapless=False)) == "each fits its hash"
    gap = plain(tables.audit_state((*whole[:3], *whole[5:]), gapless=True))
    assert "1 GAPS in the numbers" in gap


@pytest.mark.parametrize(
    "lie", [{"actor": "operator:eve"}, {"body": "{}"}, {"hash": "sha256:" + "0" * 64}, {"seq": 1}]
)
def test_a_record_that_was_tampered_with_is_marked_wherever_it_is_shown(recording, lie):
    odd = msgspec.structs.replace(recording.audit[2], **lie)
    assert not tables.fits(odd)
    assert " ! " in plain(tables.audit(odd, 78))
    assert " ! " not in plain(tables.audit(recording.audit[2], 78))
    full = " ".join(plain(row.line).strip() for row in tables.record(odd, 78))
    assert "NO: hash, body and columns do not agree" in full
    said = plain(tables.audit_state((odd,), gapless=True))
    assert said == "1 DO NOT FIT THEIR HASH, no gap; sentinel audit verify says where"


def test_one_node_is_one(recording):
    shown = tables.node_counts(recording.agents[:1], recording.status.policy)
    assert shown.startswith("1 node  1 connected")


def test_a_record_in_a_line_says_what_happened_and_only_where_there_is_room_its_hash(recording):
    body = '{"action":"approved","text":"approved by ann, live\\u001b"}'
    said = msgspec.structs.replace(recording.audit[0], body=body)
    narrow, wide = (plain(tables.audit(said, cells)) for cells in (78, 158))
    assert narrow.endswith(" ! approved by ann, l…")
    assert wide.endswith(f" {said.hash[7:15]} ! approved by ann, live\\x1b")
    assert plain(tables.audit_titles(78)).split()[-2:] == ["ID", "TEXT"]
    assert plain(tables.audit_titles(158)).split()[-2:] == ["HASH", "TEXT"]
    for odd in ('{"text"', "{}", '{"a":' + "[" * 2000):
        torn = msgspec.structs.replace(said, body=odd)
        assert odd[:20] in plain(tables.audit(torn, 10_000))
