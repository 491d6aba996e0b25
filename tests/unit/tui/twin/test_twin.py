"""The twin as text: no textual, nothing drawn, nothing that acts. (Against a hub: tests/e2e/test_twin.py.)"""

from __future__ import annotations

import argparse
import json

import msgspec
import pytest

from sentinel import cli, errors, protocol
from sentinel.domain import Mode
from sentinel.tui import decide
from sentinel.tui.recorded import RecordedHub
from sentinel.tui.recording import load
from sentinel.tui.twin import acts, edge, plain, reads
from tests.unit.test_doors import modules_after

HOSTILE = "\x1b]52;c;eA==\x07\x9b2J\u202e\x7f"


@pytest.fixture
def awaiting():
    return next(r.incident for r in load().incidents if r.live)


def test_textual_is_not_imported():
    known = modules_after("from sentinel.tui.twin import cli")
    assert "textual" not in known
    assert "sqlmodel" not in known
    assert "sentinel.hub" not in known


def test_every_incident_is_said_in_words_and_in_ascii_json():
    recording = load()
    for each in recording.incidents:
        shown = plain.incident(each.incident, recording.at_ms, 100)
        assert each.incident.summary.id in shown
        assert not set("─│├└") & set(shown)
        said = plain.json_line(each.incident)
        assert said.isascii()
        assert msgspec.json.decode(said, type=type(each.incident)) == each.incident


def test_the_limits_of_the_rules_are_said(awaiting):
    said = "limit fix.kill.term  at most 4 in a plan, at most 20 an hour"
    assert f" 2 {said}" in plain.incident(awaiting, 0, 100)
    assert said in plain.tree("kill -TERM 2217", awaiting.judgement.commands[1], 100)
    assert "limit" not in plain.tree("free -m", awaiting.judgement.commands[0], 100)


def test_what_is_hostile_is_said_escaped(awaiting):
    renamed = msgspec.structs.replace(awaiting.summary, evidence=HOSTILE, host=HOSTILE)
    hostile = msgspec.structs.replace(awaiting, summary=renamed)
    for said in (
        plain.summary(renamed, 0),
        plain.change(renamed),
        plain.incident(hostile, 0, 100),
        plain.json_line(hostile),
    ):
        assert all(char == "\n" or char.isprintable() for char in said)
    assert json.loads(plain.json_line(renamed))["evidence"] == HOSTILE


def test_who_is_on_it_is_said_in_lists_changes_and_heads(awaiting):
    owned = msgspec.structs.replace(awaiting.summary, owner="ann")
    assert " @ann 97.1% used" in plain.summary(owned, 0)
    assert "AWAITING, plan allow, on it: ann, 97.1% used" in plain.change(owned)
    assert "@" not in plain.summary(awaiting.summary, 0)
    assert "on it" not in plain.change(awaiting.summary)


class Hub:
    """A hub of which only the refusals matter."""

    def __init__(self, recorded):
        self.recorded, self.away = recorded, False
        self.acts = []

    async def call(self, request):
        if self.away:
            raise errors.PeerError("no answer from the hub")
        if isinstance(request, protocol.ActRequest):
            self.acts.append(request)
            if request.incident == self.out_of_scope:
                raise errors.PeerError("you may not decide for web-3")
        return await self.recorded.call(request)


async def test_each_is_acknowledged_by_itself_and_a_hub_that_is_away_ends_it(capsys):
    hub = Hub(RecordedHub(load(), lambda: load().at_ms, alone=False))
    page = await hub.call(protocol.ListRequest(open_only=False))
    ids = {summary.host: summary.id for summary in page.summaries}
    hub.out_of_scope = ids["web-3"]
    names = [ids["edge-1"], ids["web-3"], "no-such", ids["db-01"][-8:], ids["db-01"][-8:]]
    args = argparse.Namespace(incident=names, release=False, note="", json=False)
    assert await acts.run_ack(args, hub) == 2
    out, err = capsys.readouterr()
    assert out == f"{names[3]} db-01: acknowledged by you\n"
    refused = [row for row in err.splitlines() if row.startswith("sentinel: ")]
    assert [row.split(": ")[1] for row in refused] == names[:3]
    assert len(hub.acts) == 3
    args = argparse.Namespace(incident=names[3:], release=True, note="", json=True)
    assert await acts.run_ack(args, hub) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["summary"]["owner"] == ""
    hub.away = True
    with pytest.raises(errors.PeerError):
        await acts.run_ack(args, hub)


def test_each_part_of_a_command_is_said_with_its_verdict(awaiting):
    judgement = awaiting.judgement.commands[-1]
    said = plain.tree(awaiting.plan.commands[-1].text, judgement, 100)
    assert "== PARTS ==" in said
    assert len(said.splitlines()) >= len(judgement.tree)


def given(**more):
    return argparse.Namespace(**{"incident": "x", "digest": None, "accept_skips": False, **more})


def test_the_digest_of_this_very_plan_is_wanted(awaiting, monkeypatch):
    offered = decide.offer(awaiting, Mode.LIVE)
    monkeypatch.setattr("sys.stdin.isatty", lambda: False)
    whole = offered.digest
    for good in (decide.digits(offered), whole, whole.removeprefix("sha256:").upper()):
        acts._confirm(given(digest=good), offered, Mode.LIVE)
    for bad in (None, "", whole[7:10], "sha256:", "f" * 64, f"{whole}0"):
        with pytest.raises(errors.OperatorError):
            acts._confirm(given(digest=bad), offered, Mode.LIVE)


def test_a_skip_before_a_change_has_to_be_accepted(awaiting, monkeypatch):
    offered = msgspec.structs.replace(decide.offer(awaiting, Mode.LIVE), caution="1 is skipped")
    digits = decide.digits(offered)
    with pytest.raises(errors.OperatorError, match="1 is skipped"):
        acts._confirm(given(digest=digits), offered, Mode.LIVE)
    acts._confirm(given(digest=digits, accept_skips=True), offered, Mode.LIVE)
    answers = iter((digits, digits, digits, "no"))
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr(edge, "ask", lambda _: next(answers))
    acts._confirm(given(), offered, Mode.LIVE)
    with pytest.raises(errors.OperatorError, match="1 is skipped"):
        acts._confirm(given(), offered, Mode.LIVE)


@pytest.mark.parametrize("name", ["", "a b", "\x1b[2J", "é", "x" * 65])
def test_what_can_be_no_id_is_refused_before_the_hub_is_asked(name):
    with pytest.raises(errors.OperatorError, match="not an incident"):
        edge.named(name)


def test_a_command_that_has_no_verdict_is_named(awaiting):
    with pytest.raises(errors.OperatorError, match="commands, not 99"):
        reads._judged(awaiting, 99)


@pytest.mark.parametrize(
    "words",
    [
        ("show",),
        ("approve",),
        ("ack",),
        ("reject", "x"),
        ("close", "x"),
        ("revise", "x", "--change", "1"),
    ],
)
def test_a_wrong_command_line_is_refused(words, capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main(words)
    assert caught.value.code == 2
    assert "usage" in capsys.readouterr().err
