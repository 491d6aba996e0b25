"""What may be decided, and what a decision says: what is shown is what is signed."""

from __future__ import annotations

import msgspec
import pytest

from sentinel import canonical
from sentinel.domain import (
    Choice,
    CommandResult,
    Mode,
    Outcome,
    Pending,
    Signature,
    State,
    Statement,
    Verdict,
)
from sentinel.errors import OperatorError
from sentinel.tui import decide
from tests.unit.tui.conftest import incidents

NOW = 1_763_694_780_000


def case(recording, host):
    return next(r.incident for r in recording.incidents if r.incident.summary.host == host)


def changed(incident, **fields):
    return msgspec.structs.replace(incident, **fields)


def judged_as(incident, number, verdict):
    commands = list(incident.judgement.commands)
    commands[number] = msgspec.structs.replace(commands[number], verdict=verdict)
    judgement = msgspec.structs.replace(incident.judgement, commands=tuple(commands))
    return changed(incident, judgement=judgement)


def statement(incident, **more):
    arguments = {
        "choice": Choice.APPROVE,
        "mode": Mode.DRY_RUN,
        "operator": "alice",
        "reason": "",
        "now_ms": NOW,
    }
    request = decide.request(incident, **{**arguments, **more})
    return request, canonical.decode(Statement, request.statement.encode(), limit=4096)


def test_only_what_is_allowed_would_run(recording):
    offered = decide.offer(case(recording, "node-009"), Mode.LIVE)
    assert [step.runs for step in offered.steps] == [True, False, True]
    assert offered.steps[1].reason == "unmatched: argument '131072' is not expected"
    assert offered.refusal == ""


def test_a_skipped_command_before_one_that_changes_something_wants_care(recording):
    offered = decide.offer(case(recording, "node-009"), Mode.LIVE)
    assert offered.caution == ("command 2 is skipped, and command 3 after it changes something")
    assert decide.offer(case(recording, "db-01"), Mode.LIVE).caution == ""


def test_skipped_last_wants_no_care(recording):
    last = judged_as(case(recording, "db-01"), 2, Verdict.REVIEW)
    assert decide.offer(last, Mode.LIVE).caution == ""


@pytest.mark.parametrize(
    ("outcome", "cautious"),
    [
        (Outcome.RAN, True),
        (Outcome.FAILED, True),
        (Outcome.REHEARSED, False),
        (Outcome.SKIPPED, False),
    ],
)
def test_a_change_that_was_made_before_the_plan_was_stopped_has_to_be_confirmed(
    recording, outcome, cautious
):
    incident = case(recording, "db-01")
    offered = decide.offer(incident, Mode.LIVE)
    changes = next(n for n, s in enumerate(offered.steps) if s.runs and s.judgement.changes)
    for index, expected in ((changes, cautious), (0, cautious and changes == 0)):
        results = (CommandResult(index=index, outcome=outcome),)
        after = decide.offer(msgspec.structs.replace(incident, results=results), Mode.LIVE)
        words = f"command {index + 1} has run, before the plan was stopped"
        assert after.caution.startswith(words) is expected


def test_a_blocked_command_takes_the_approval_away(recording):
    assert "BLOCKED" in decide.offer(case(recording, "node-017"), Mode.LIVE).refusal


def test_a_block_counts_even_where_the_plan_as_a_whole_says_allow(recording):
    incident = judged_as(case(recording, "db-01"), 1, Verdict.BLOCK)
    assert incident.judgement.verdict is Verdict.ALLOW
    assert "BLOCKED" in decide.offer(incident, Mode.LIVE).refusal


def test_a_block_of_the_whole_counts_even_where_every_command_says_allow(recording):
    incident = case(recording, "db-01")
    judgement = msgspec.structs.replace(incident.judgement, verdict=Verdict.BLOCK)
    assert "BLOCKED" in decide.offer(changed(incident, judgement=judgement), Mode.LIVE).refusal


def test_nothing_that_may_run_is_nothing_to_approve(recording):
    incident = case(recording, "db-01")
    for number in range(3):
        incident = judged_as(incident, number, Verdict.REVIEW)
    assert decide.offer(incident, Mode.LIVE).refusal == "no command in it may run"


def test_no_judgement_no_approval(recording):
    incident = changed(case(recording, "db-01"), judgement=None)
    assert decide.offer(incident, Mode.LIVE).refusal == "there is no judged plan yet"


def test_a_verdict_is_missing(recording):
    incident = case(recording, "db-01")
    short = msgspec.structs.replace(incident.judgement, commands=incident.judgement.commands[:2])
    assert decide.offer(changed(incident, judgement=short), Mode.LIVE).refusal == (
        "3 commands, 2 verdicts"
    )


@pytest.mark.parametrize("state", [s for s in State if s is not State.AWAITING])
def test_only_what_awaits_a_decision_can_be_decided(recording, state):
    incident = case(recording, "db-01")
    summary = msgspec.structs.replace(incident.summary, state=state)
    assert state.value in decide.offer(changed(incident, summary=summary), Mode.LIVE).refusal


def test_a_plan_that_is_not_the_one_its_digest_names_is_refused(recording):
    incident = case(recording, "db-01")
    commands = (*incident.plan.commands[:2], incident.plan.commands[0])
    swapped = changed(incident, plan=msgspec.structs.replace(incident.plan, commands=commands))
    assert "digest" in decide.offer(swapped, Mode.LIVE).refusal
    with pytest.raises(OperatorError, match="digest"):
        statement(swapped)


def test_a_judgement_of_another_plan_is_refused(recording):
    incident = case(recording, "db-01")
    other = msgspec.structs.replace(incident.judgement, plan=canonical.digest(b"other"))
    assert "digest" in decide.offer(changed(incident, judgement=other), Mode.LIVE).refusal


@pytest.mark.parametrize("field", ["host", "incident", "event"])
def test_a_plan_for_something_else_is_refused(recording, field):
    incident = case(recording, "db-01")
    plan = msgspec.structs.replace(incident.plan, **{field: "elsewhere"})
    digest = canonical.digest_of(plan)
    judgement = msgspec.structs.replace(incident.judgement, plan=digest)
    moved = changed(incident, plan=plan, plan_digest=digest, judgement=judgement)
    assert "another" in decide.offer(moved, Mode.LIVE).refusal


def test_live_is_offered_only_where_both_hub_and_node_permit_it(recording):
    live, dry = case(recording, "db-01"), case(recording, "node-009")
    assert decide.offer(live, Mode.LIVE).modes == (Mode.DRY_RUN, Mode.LIVE)
    assert decide.offer(live, Mode.DRY_RUN).modes == (Mode.DRY_RUN,)
    assert decide.offer(dry, Mode.LIVE).modes == (Mode.DRY_RUN,)


def test_the_statement_says_what_was_on_the_screen(recording):
    incident = case(recording, "db-01")
    request, said = statement(incident, mode=Mode.LIVE, reason="known")
    assert request.incident == incident.summary.id
    assert said == Statement(
        choice=Choice.APPROVE,
        incident=incident.summary.id,
        event=incident.report.event,
        report=canonical.report_digest(incident.report),
        host="db-01",
        plan=canonical.digest_of(incident.plan),
        policy=incident.judgement.policy,
        challenge=incident.report.challenge,
        mode=Mode.LIVE,
        operator="alice",
        reason="known",
        issued_ms=NOW,
        expires_ms=NOW + 15 * 60 * 1000,
    )


def test_a_rejection_needs_a_reason(recording):
    with pytest.raises(OperatorError, match="reason"):
        statement(case(recording, "db-01"), choice=Choice.REJECT, reason="  ")
    _, said = statement(case(recording, "db-01"), choice=Choice.REJECT, reason="not now")
    assert said.choice is Choice.REJECT


def test_there_is_nothing_to_say_about_no_plan(recording):
    with pytest.raises(OperatorError, match="no judged plan"):
        statement(incidents(recording)[State.REPORTED])


def test_four_digits_of_the_digest_are_typed(recording):
    offered = decide.offer(case(recording, "db-01"), Mode.LIVE)
    assert (
        offered.incident.plan_digest
        == f"sha256:{decide.digits(offered)}" + (offered.digest.removeprefix("sha256:")[4:])
    )


@pytest.mark.parametrize(
    "field", ["plan_digest", "judgement", "plan", "challenge", "state", "event", "mode"]
)
def test_a_change_of_what_would_be_signed_is_another_matter(recording, field):
    one, other = case(recording, "db-01"), case(recording, "node-009")
    if field in ("challenge", "event", "mode"):
        report = msgspec.structs.replace(one.report, **{field: getattr(other.report, field)})
        assert not decide.same_matter(one, changed(one, report=report))
    elif field == "state":
        summary = msgspec.structs.replace(one.summary, state=State.MANUAL)
        assert not decide.same_matter(one, changed(one, summary=summary))
    else:
        assert not decide.same_matter(one, changed(one, **{field: getattr(other, field)}))


def test_a_report_that_came_once_more_is_the_same_matter(recording):
    one = case(recording, "db-01")
    summary = msgspec.structs.replace(one.summary, count=7, revision=99_999)
    assert decide.same_matter(one, changed(one, summary=summary))


# ---------------------------------------------------------------- an approval that others have begun


def begun(incident, /, **fields):
    """The incident, with an approval of its plan that alice has signed."""
    _, said = statement(incident, mode=Mode.LIVE)
    text = canonical.encode(msgspec.structs.replace(said, **fields)).decode()
    pending = Pending(statement=text, signatures=(Signature(signer="alice", sshsig="x"),))
    return changed(incident, pending=pending)


def test_what_others_have_begun_is_signed_as_it_is(recording):
    incident = begun(case(recording, "db-01"))
    offered = decide.offer(incident, Mode.DRY_RUN)
    assert (offered.refusal, offered.modes, offered.begun.operator) == ("", (Mode.LIVE,), "alice")
    made, _ = statement(incident, mode=Mode.LIVE, operator="bob", reason="mine")
    assert made.statement == incident.pending.statement


def test_the_mode_is_the_one_that_others_signed(recording):
    with pytest.raises(OperatorError, match="have begun is live"):
        statement(begun(case(recording, "db-01")), mode=Mode.DRY_RUN)


def test_a_rejection_is_ones_own_whatever_others_have_begun(recording):
    incident = begun(case(recording, "db-01"))
    made, _ = statement(incident, choice=Choice.REJECT, operator="bob", reason="no")
    assert made.statement != incident.pending.statement
    assert '"operator":"bob"' in made.statement


def test_when_the_time_of_the_others_approval_is_over_one_begins_anew(recording):
    incident = begun(case(recording, "db-01"), expires_ms=NOW)
    assert statement(incident, mode=Mode.LIVE)[0].statement != incident.pending.statement


@pytest.mark.parametrize(
    ("what", "fields"),
    [
        ("choice", {"choice": Choice.REJECT}),
        ("incident", {"incident": "other"}),
        ("event", {"event": "other"}),
        ("host", {"host": "db1"}),
        ("plan", {"plan": "sha256:" + "0" * 64}),
        ("policy", {"policy": "sha256:" + "0" * 64}),
        ("challenge", {"challenge": "0" * 32}),
        ("report", {"report": "sha256:" + "0" * 64}),
    ],
)
def test_a_hub_cannot_have_another_statement_signed_than_the_one_shown(recording, what, fields):
    incident = begun(case(recording, "db-01"), **fields)
    assert f"about another {what}" in decide.offer(incident, Mode.LIVE).refusal
    with pytest.raises(OperatorError, match=f"about another {what}"):
        statement(incident, mode=Mode.LIVE)


@pytest.mark.parametrize("text", ["", "{}", "\udcff", "[" * 5000])
def test_what_others_have_begun_and_nobody_can_read_is_refused(recording, text):
    incident = case(recording, "db-01")
    incident = changed(incident, pending=Pending(statement=text, signatures=()))
    assert "cannot be read" in decide.offer(incident, Mode.LIVE).refusal
