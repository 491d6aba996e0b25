"""The twin of the terminal against a real hub and a real fault: every read, and every decision's door."""

from __future__ import annotations

import json
import subprocess
import sys

import msgspec
import pytest

from sentinel.domain import AuditRecord, Incident, Move, State
from tests.e2e.place import awaiting, living, said


@pytest.fixture
def place(tmp_path):
    with living(tmp_path, "twin") as made:
        made.leak()
        yield made


def whole(place, name):
    return msgspec.json.decode(said(place.sentinel("show", name, "--json")), type=Incident)


def test_a_person_without_a_screen_reads_decides_and_sees_the_end(place):
    summary = awaiting(place)
    tail = summary.id[-8:]

    listed = said(place.sentinel("incidents", "twin", "--sort", "host"))
    assert listed.startswith(tail)
    assert "AWAITING" in listed
    assert "hub 0." in said(place.sentinel("status"))
    assert "1 open, 1 to decide" in said(place.sentinel("status"))

    shown = said(place.sentinel("show", tail))
    assert "== WHAT" in shown
    assert "kill -TERM" in shown
    assert "─" not in shown
    incident = whole(place, tail)
    number = next(n for n, c in enumerate(incident.plan.commands, 1) if c.text.startswith("kill"))
    tree = said(place.sentinel("show", tail, "--command", number))
    assert "== PARTS ==" in tree
    assert "allow" in tree

    digest = incident.plan_digest.removeprefix("sha256:")
    wrong = "0000" if not digest.startswith("0000") else "1111"
    refused = place.sentinel("approve", tail, wrong, "--live")
    assert refused.returncode == 2
    assert "not the beginning of this plan's digest" in refused.stderr
    assert place.sentinel("approve", tail, digest[:3]).returncode == 2
    assert "beginning of the plan's digest is needed" in place.sentinel("approve", tail).stderr
    assert whole(place, tail).summary.state is State.AWAITING

    rehearsed = said(place.sentinel("approve", tail, digest[:4]))
    assert "Approving lets demo-host do this" in rehearsed
    assert "approved, dry-run" in rehearsed
    followed = said(place.sentinel("watch", tail))
    assert "the plan ended: rehearsed" in followed

    approved = place.sentinel("approve", tail, digest[:4], "--live", "--reason", "it leaks")
    assert "approved, live" in said(approved)
    moves = [
        msgspec.json.decode(row, type=Move)
        for row in said(place.sentinel("watch", tail, "--json")).splitlines()
    ]
    assert moves[-1].state is State.RESOLVED
    assert "exit 0" in said(place.sentinel("show", tail, "--output", number))
    assert said(place.sentinel("incidents")) == ""
    assert tail in said(place.sentinel("incidents", "--all"))

    rows = said(place.sentinel("audit", "tail", "--incident", tail, "--json", "--limit", 500))
    records = [msgspec.json.decode(row, type=AuditRecord) for row in rows.splitlines()]
    assert {"approved", "admitted", "recovered"} <= {record.action for record in records}
    one = said(place.sentinel("audit", "tail", "--record", records[-1].seq))
    assert records[-1].body in one.replace("\n", "")
    assert "demo-host" in said(place.sentinel("nodes"))
    assert json.loads(said(place.sentinel("nodes", "--json")))["mode"] == "live"


def test_what_is_decided_otherwise_is_decided_here_too(place):
    tail = awaiting(place).id[-8:]
    before = whole(place, tail)
    struck = place.sentinel("revise", tail, "--strike", 1)
    assert "revised" in said(struck)
    tail = awaiting(place).id[-8:]
    after = whole(place, tail)
    assert after.plan.revision == before.plan.revision + 1
    assert after.plan.commands == before.plan.commands[1:]
    assert place.sentinel("revise", tail).returncode == 2
    assert place.sentinel("revise", tail, "--strike", 9).returncode == 2

    assert place.sentinel("reject", tail).returncode == 2  # no reason
    assert "rejected" in said(place.sentinel("reject", tail, "--reason", "not at noon"))
    assert whole(place, tail).decision.reason == "not at noon"
    assert place.sentinel("watch", tail).returncode == 1
    assert "manual cannot be" in place.sentinel("again", tail).stderr
    assert "closed" in said(place.sentinel("close", tail, "--note", "done by hand"))
    assert place.sentinel("show", "no-such-id").returncode == 2
    assert place.sentinel("show", "\x1b[2J").returncode == 2


def test_what_changes_is_told_as_it_happens(place):
    awaiting(place)
    watch = subprocess.Popen(
        [sys.executable, "-m", "sentinel.cli", "watch", "--identity", str(place.site.operator)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=place.environment,
    )
    try:
        assert "watching from revision" in watch.stderr.readline()
        tail = awaiting(place).id[-8:]
        said(place.sentinel("reject", tail, "--reason", "watched"))
        row = next(row for row in watch.stdout if "MANUAL" in row)
        assert tail in row
    finally:
        watch.terminate()
        watch.communicate()
