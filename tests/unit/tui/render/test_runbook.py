"""A runbook as a person reads it."""

from __future__ import annotations

import pytest

from sentinel.domain import Verdict
from sentinel.hub import recall
from sentinel.hub.reason import playbook
from sentinel.protocol import Past
from sentinel.tui import runbooks
from sentinel.tui.line import plain, width
from sentinel.tui.render import runbook as render

NOW = 1_763_694_780_000
BOOK = {each.id: each for each in recall.runbooks(playbook.shipped().runbooks, {})}
EXPECTED = {
    step.run: step.expect
    for each in playbook.shipped().runbooks
    for step in (*each.steps, *each.escalation)
}


def words(name, cells=80):
    made = render.document(BOOK[name], runbooks.verdicts(BOOK[name]), NOW, cells)
    return [plain(row).rstrip() for row in made]


@pytest.mark.parametrize("name", sorted(BOOK))
def test_every_runbook_fits_and_says_all_of_itself(name):
    for cells in (60, 80, 160):
        made = render.document(BOOK[name], {}, NOW, cells)
        assert all(width(row) <= cells for row in made)
    told = " ".join(" ".join(words(name, 400)).split())
    of = BOOK[name]
    for step in (*of.steps, *of.escalation):
        assert step.run in told
        assert step.purpose in told
    for part in (of.title, of.summary, *of.when, of.body.rpartition("\n\n")[2]):
        assert " ".join(part.split()) in told


@pytest.mark.parametrize("name", sorted(BOOK))
def test_the_policy_says_of_every_step_what_its_runbook_expects(name):
    said = runbooks.verdicts(BOOK[name])
    assert {run: verdict.value for run, verdict in said.items()} == {
        run: EXPECTED[run] for run in said
    }
    assert said


def test_each_step_has_its_verdict_and_what_it_is_for():
    rows = words("memory-hog")
    (kill,) = (n for n, row in enumerate(rows) if "kill -TERM {pid}" in row)
    assert rows[kill] == " 3 ✓ allow  kill -TERM {pid}"
    told = " ".join(" ".join(rows[kill:]).split())
    assert "changes the host; undo: start the program again" in told
    assert any(row.endswith("? REVIEW kill -KILL {pid}") for row in rows)
    told = " ".join(" ".join(rows).split())
    assert "judged by the packs of this program, {pid} being 4242, {unit} being app.s" in told


def test_a_verdict_that_is_not_known_is_a_dash():
    rows = [plain(row) for row in render.document(BOOK["observe"], {}, NOW, 80)]
    assert any(row.startswith(" 1 -  ") for row in rows)
    assert "every kind, where no other matches" in " ".join(rows)


def test_what_became_of_it_is_said():
    assert render.past(Past(), NOW) == "never"
    once = Past(count=1, resolved=1, last_ms=NOW - 60_000)
    assert render.past(once, NOW) == "once, last 1m ago: 1 resolved, 0 closed by hand, 0 open"
    more = Past(count=9, resolved=4, open=2, last_ms=NOW)
    assert render.past(more, NOW).startswith("9 times, last now ago: 4 resolved, 3 closed")


def test_an_example_stands_in_every_place():
    assert render.filled("df -h {mount} {pid}") == "df -h /tmp 4242"
    assert not any("{" in render.filled(run) for run in EXPECTED)


def test_a_verdict_is_the_policys_and_not_the_runbooks():
    hog = BOOK["memory-hog"]
    assert runbooks.verdicts(hog)["kill -KILL {pid}"] is Verdict.REVIEW
