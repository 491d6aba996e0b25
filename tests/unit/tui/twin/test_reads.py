"""`sentinel audit tail`, `nodes`, `show`: all that their screens have; a record that does not hold is never silent."""

from __future__ import annotations

import argparse

import msgspec

from sentinel.domain import AuditRecord, State
from sentinel.tui.recorded import RecordedHub
from sentinel.tui.recording import Recorded
from sentinel.tui.twin import reads


def given(**words):
    base = {"incident": None, "record": None, "limit": 20, "search": "", "follow": False}
    return argparse.Namespace(**{**base, "json": False, **words})


async def test_a_search_is_over_more_than_is_printed(hub, recording, capsys):
    assert await reads.run_audit(given(limit=2), hub) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2
    wanted = [r for r in recording.audit if r.action == "rejected"]
    assert wanted
    assert wanted[0] not in recording.audit[-2:]
    assert await reads.run_audit(given(limit=2, search="REJECTED operator", json=True), hub) == 0
    rows = capsys.readouterr().out.splitlines()
    assert [msgspec.json.decode(row, type=AuditRecord) for row in rows] == wanted


async def test_a_record_that_does_not_hold_is_said_and_the_status_is_1(recording, clock, capsys):
    odd = msgspec.structs.replace(recording.audit[-1], actor="operator:eve")
    lying = msgspec.structs.replace(recording, audit=(*recording.audit[:-1], odd))
    hub = RecordedHub(lying, clock, alone=False)
    assert await reads.run_audit(given(), hub) == 1
    said = capsys.readouterr()
    assert f"1 of these records, the first {odd.seq}, do not fit their hash" in said.err
    assert " ! " in said.out.splitlines()[-1]


async def test_nodes_say_their_gauges(hub, capsys):
    assert await reads.run_nodes(given(), hub) == 0
    said = capsys.readouterr().out.splitlines()
    assert [row for row in said if row.startswith("db-01: ")] == [
        "db-01: CPU used 41.2%   memory used 97.1%   /var 88.0%"
    ]
    assert not any(row.startswith("node-051: ") for row in said)


async def test_an_incident_is_shown_with_those_like_it(recording, clock, capsys):
    first = recording.incidents[0]
    summary = msgspec.structs.replace(
        first.incident.summary, id="019aa000-0000-7000-8000-000000000001", state=State.RESOLVED
    )
    earlier = msgspec.structs.replace(first.incident, summary=summary)
    both = (*recording.incidents, Recorded(incident=earlier))
    hub = RecordedHub(msgspec.structs.replace(recording, incidents=both), clock, alone=False)
    words = {"command": None, "output": None, "incident": first.incident.summary.id}
    assert await reads.run_show(given(**words), hub) == 0
    shown = capsys.readouterr().out
    assert "== SIMILAR: memory of report-worker.service, before ==" in shown
    assert "resolved" in shown.split("== SIMILAR")[1]
