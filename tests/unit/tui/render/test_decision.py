"""The decision dialog's text: every field of the statement is in it."""

from __future__ import annotations

import msgspec
import pytest

from sentinel.domain import Mode
from sentinel.tui import decide
from sentinel.tui.line import Tone, plain
from sentinel.tui.render import decision as render


def offer(recording, host, hub=Mode.LIVE):
    incident = next(r.incident for r in recording.incidents if r.incident.summary.host == host)
    return decide.offer(incident, hub)


def text(offered, mode=Mode.DRY_RUN, cells=120):
    return "\n".join(plain(of) for of in render.document(offered, mode, "alice", cells))


@pytest.mark.parametrize("mode", list(Mode))
def test_all_that_is_signed_is_shown(recording, mode):
    offered = offer(recording, "db-01")
    shown = text(offered, mode)
    incident = offered.incident
    for command in incident.plan.commands:
        assert command.text in shown
    assert "db-01" in shown
    assert incident.summary.id in shown
    assert offered.digest.removeprefix("sha256:") in shown
    assert incident.judgement.policy.removeprefix("sha256:") in shown
    assert "alice" in shown
    assert "memory used below 85.0% for 10 s, within 2 min" in shown
    assert "2: systemctl start report-worker" in shown
    assert ("LIVE: the node does it" in shown) is (mode is Mode.LIVE)


def test_what_runs_what_is_tried_and_what_is_skipped_are_told_apart(recording):
    offered = offer(recording, "node-009")
    shown = text(offered)
    assert " 1 ✓ allow  TRY   ss -s" in shown
    assert " 2 ? REVIEW SKIP  ulimit -n 131072" in shown
    assert "skipped: unmatched: " in shown
    assert " 3 ✓ allow  RUN   systemctl reload nginx" in text(offered, Mode.LIVE)


def test_the_digits_to_type_are_underlined(recording):
    offered = offer(recording, "db-01")
    lines = render.document(offered, Mode.DRY_RUN, "alice", 120)
    here = [piece.text for of in lines for piece in of if piece.tone is Tone.HERE]
    assert here == [decide.digits(offered)]


def test_the_mode_says_why_there_is_no_choice(recording):
    assert "permits nothing else" in text(offer(recording, "node-009"))
    assert "t changes it" in text(offer(recording, "db-01"))


def test_another_policy_on_the_node_is_told(recording):
    assert "it will refuse" in text(offer(recording, "node-009"))


def test_the_prompt_asks_once_more_where_care_is_needed(recording):
    offered = offer(recording, "node-009")
    assert "CAUTION: command 2 is skipped" in render.prompt(offered, Mode.DRY_RUN, again=True)
    assert "to rehearse it" in render.prompt(offered, Mode.DRY_RUN, again=False)
    assert "to DO IT" in render.prompt(offered, Mode.LIVE, again=False)


def test_a_rejection_says_what_happens_then(recording):
    lines = render.rejection(offer(recording, "db-01"), "alice", 100)
    shown = "\n".join(plain(of) for of in lines)
    assert "kill -TERM 2217" in shown
    assert "Nothing runs." in shown


def test_the_limits_that_the_nodes_gate_holds_are_told(recording):
    shown = text(offer(recording, "db-01"), cells=79)
    assert shown.count(" limit ") == 1
    assert "limit fix.kill.term  at most 4 in a plan, at most 20 an hour" in shown


def test_who_changed_the_plan_is_told_and_what_engine_it_was_of(recording):
    offered = offer(recording, "db-01")
    assert "revision 1 by playbook:memory-hog, SHA-256" in text(offered)
    plan = msgspec.structs.replace(offered.incident.plan, revision=2, author="ann")
    changed = msgspec.structs.replace(offered.incident, plan=plan)
    shown = text(decide.offer(changed, Mode.LIVE))
    assert "revision 2 by ann, after playbook:memory-hog, SHA-256" in shown
