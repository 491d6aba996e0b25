"""`sentinel audit tail`: searched, and never silent about a record that does not hold."""

from __future__ import annotations

import argparse

import msgspec

from sentinel.domain import AuditRecord
from sentinel.tui.recorded import RecordedHub
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
