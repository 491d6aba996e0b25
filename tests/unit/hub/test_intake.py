"""Letters: stored exactly once, folded together where they are about one fault, and only one's own."""

from __future__ import annotations

import asyncio
import uuid

import msgspec
import pytest

from sentinel import errors
from sentinel.domain import Halt, Metric, Mode, Outcome, State
from sentinel.hub import acts, approve, audit, intake
from sentinel.protocol import Action, ActRequest, Finish, Letter, Stopped
from tests.unit.hub import builders as b


async def summaries(store):
    return (await store.page(open_only=False, before=None, limit=500)).summaries


async def executing(store, mode=Mode.LIVE):
    incident = await b.decide(store, await b.awaiting(store), mode=mode)
    return await b.say(store, incident, admission=b.admission(incident, mode=mode))


# ---------------------------------------------------------------- once


async def test_one_letter_a_thousand_times_at_once_is_stored_once(store):
    letter = b.letter(report=b.report())
    await asyncio.gather(*(intake.take(store, b.HOST, letter, b.NOW) for _ in range(1000)))
    (summary,) = await summaries(store)
    assert summary.count == 1
    assert await store.revision() == 1


async def test_a_letter_of_any_kind_that_comes_twice_changes_nothing_the_second_time(store):
    incident = await b.decide(store, await b.awaiting(store), mode=Mode.LIVE)
    for letter in (
        b.letter(admission=b.admission(incident)),
        b.letter(ran=b.ran(incident)),
        b.letter(finished=b.finished(incident)),
        b.letter(verification=b.verification(incident)),
        b.letter(cleared=b.cleared(incident)),
    ):
        before = await store.revision()
        await intake.take(store, b.HOST, letter, b.NOW)
        assert await store.revision() == before + 1
        await intake.take(store, b.HOST, letter, b.NOW)
        assert await store.revision() == before + 1


async def test_the_same_event_in_another_letter_is_the_same_report(store):
    report = b.report()
    for _ in range(3):
        await intake.take(store, b.HOST, b.letter(report=report), b.NOW)
    (summary,) = await summaries(store)
    assert summary.count == 1


async def test_the_letter_of_one_host_is_not_the_letter_of_another(store):
    same = b.ident()
    for host in ("web1", "web2"):
        letter = Letter(id=same, report=b.report(host=host))
        await intake.take(store, host, letter, b.NOW)
    assert {s.host for s in await summaries(store)} == {"web1", "web2"}


async def test_one_host_cannot_take_the_event_of_another(store):
    mine = await b.reported(store, b.report(host="web1"))
    theirs = msgspec.structs.replace(b.report(host="web2"), event=mine.report.event)
    await intake.take(store, "web2", b.letter(report=theirs), b.NOW)
    assert len(await summaries(store)) == 2
    assert await store.incident(mine.summary.id) == mine
    with pytest.raises(errors.WireError, match="never reported by web3"):
        await intake.take(store, "web3", b.letter(cleared=b.cleared(mine)), b.NOW)


# ---------------------------------------------------------------- folding


async def test_a_storm_of_reports_of_one_fault_is_one_incident_before_any_model_is_asked(store):
    reports = [b.report(value=n) for n in range(300)]
    await asyncio.gather(*(intake.take(store, b.HOST, b.letter(report=r), b.NOW) for r in reports))
    (summary,) = await summaries(store)
    assert summary.count == 300
    reasoner = b.Reasoner()
    await b.drive(b.pipeline(store, reasoner))
    assert len(reasoner.asked) == 1


@pytest.mark.parametrize("other", [{"rule": "r2"}, {"subject": "9:9"}])
async def test_another_fault_is_another_incident(store, other):
    await b.reported(store)
    await b.reported(store, b.report(**other))
    assert len(await summaries(store)) == 2


async def test_a_new_report_of_a_fault_that_awaits_a_decision_is_judged_afresh(store):
    old = await b.awaiting(store)
    report = b.report(value=400 << 20)
    await intake.take(store, b.HOST, b.letter(report=report), b.NOW)
    new = await store.incident(old.summary.id)
    assert new.summary.state is State.PLANNED
    assert "400 MiB" in new.summary.evidence
    with pytest.raises(errors.ConflictError):
        await b.decide(store, old)
    await b.drive(b.pipeline(store))
    new = await store.incident(old.summary.id)
    assert new.summary.state is State.AWAITING
    assert (new.plan.event, new.plan.revision) == (report.event, 2)
    assert new.plan.commands == old.plan.commands
    with pytest.raises(errors.ConflictError, match="plan"):
        await b.decide(store, old)
    assert (await b.decide(store, new)).summary.state is State.APPROVED


async def test_a_new_report_does_not_unbind_a_plan_that_is_under_way(store):
    incident = await executing(store)
    report = b.report()
    await intake.take(store, b.HOST, b.letter(report=report), b.NOW)
    now = await store.incident(incident.summary.id)
    assert now.summary.state is State.EXECUTING
    assert now.report == incident.report
    assert now.summary.count == 2
    # Back with a person, it is that report which has to clear, not the one before it.
    now = await b.say(store, now, finished=b.finished(now, Finish.REHEARSED))
    late = await b.say(store, now, cleared=b.cleared(incident))
    assert late.summary.state is State.AWAITING
    done = await b.say(store, now, cleared=b.cleared(incident, event=report.event))
    assert done.summary.state is State.RESOLVED


async def test_a_recurrence_is_a_new_incident_linked_to_the_old(store):
    first = await b.reported(store)
    await b.say(store, first, cleared=b.cleared(first))
    # The same program under another pid.
    report = b.report(subject="5151:888")
    process = msgspec.structs.replace(report.context.processes[0], pid=5151, start_ticks=888)
    context = msgspec.structs.replace(report.context, processes=(process,))
    second = await b.reported(store, msgspec.structs.replace(report, context=context))
    assert second.summary.id != first.summary.id
    assert second.previous == first.summary.id
    other = await b.reported(store, b.report(rule="r2"))
    assert other.previous is None


# ---------------------------------------------------------------- whose


async def test_a_report_about_another_host_is_refused(store):
    letter = b.letter(report=b.report(host="web2"))
    with pytest.raises(errors.WireError, match="a report about web2 came from web1"):
        await intake.take(store, "web1", letter, b.NOW)
    assert await summaries(store) == ()


@pytest.mark.parametrize("what", ["admission", "ran", "finished", "verification", "cleared"])
async def test_no_letter_of_another_host_touches_an_incident(store, what):
    incident = await executing(store)
    said = {what: getattr(b, what)(incident)}
    letter = b.letter(**said)
    before = await store.revision()
    with pytest.raises(errors.WireError) as theirs:
        await intake.take(store, "web2", letter, b.NOW)
    assert await store.incident(incident.summary.id) == incident
    assert await store.revision() == before
    # Nor does the refusal tell whether there is such an incident.
    if what != "cleared":
        nowhere = msgspec.structs.replace(said[what], incident="nowhere")
        with pytest.raises(errors.WireError) as unknown:
            await intake.take(store, "web2", b.letter(**{what: nowhere}), b.NOW)
        assert unknown.value.what == theirs.value.what.replace(incident.summary.id, "nowhere")


async def test_a_refused_letter_is_not_remembered_as_stored(store):
    incident = await b.reported(store)
    letter = b.letter(ran=b.ran(incident))
    for _ in range(2):
        with pytest.raises(errors.WireError, match="ever approved"):
            await intake.take(store, b.HOST, letter, b.NOW)


async def test_a_letter_that_says_nothing_is_refused(store):
    with pytest.raises(errors.WireError, match="says nothing"):
        await intake.take(store, b.HOST, b.letter(), b.NOW)


# ---------------------------------------------------------------- what a node says of a plan


async def test_a_node_that_refuses_leaves_the_incident_to_a_person_with_its_reason(store):
    incident = await b.decide(store, await b.awaiting(store))
    refusal = b.admission(incident, admitted=False, check="challenge.spent", reason="twice")
    incident = await b.say(store, incident, admission=refusal)
    assert incident.summary.state is State.MANUAL
    assert incident.admission == refusal
    assert incident.moves[-1].text == "refused by the node at challenge.spent: twice"


async def test_a_refusal_of_a_second_copy_says_nothing_about_the_first(store):
    incident = await executing(store)
    second = b.admission(incident, admitted=False, check="challenge.spent")
    after = await b.say(store, incident, admission=second)
    assert after.summary.state is State.EXECUTING
    assert after.admission == incident.admission


async def test_results_are_kept_by_index_and_a_final_one_is_final(store):
    incident = await executing(store)
    for outcome in (Outcome.RUNNING, Outcome.RAN, Outcome.RAN, Outcome.RUNNING, Outcome.FAILED):
        incident = await b.say(store, incident, ran=b.ran(incident, 0, outcome))
    incident = await b.say(store, incident, ran=b.ran(incident, 1, Outcome.SKIPPED))
    assert [r.outcome for r in incident.results] == [Outcome.RAN, Outcome.SKIPPED]
    started = [m.text for m in incident.moves if m.action in {"started", "ended"}]
    assert started == ["command 1 running", "command 1 ran", "command 2 skipped"]


async def test_output_with_any_character_is_kept_as_it_is(store):
    incident = await executing(store)
    wild = "\x00\x1b[2J\u202e" + "é" * 100
    incident = await b.say(store, incident, ran=b.ran(incident, 0, Outcome.FAILED, stdout=wild))
    assert incident.results[0].stdout == wild


async def test_a_rehearsal_ends_where_it_began_under_a_fresh_challenge(store):
    incident = await executing(store, Mode.DRY_RUN)
    incident = await b.say(store, incident, ran=b.ran(incident, 0, Outcome.REHEARSED))
    end = b.finished(incident, Finish.REHEARSED)
    after = await b.say(store, incident, finished=end)
    assert after.summary.state is State.AWAITING
    assert after.report.challenge == end.challenge != incident.report.challenge
    assert [r.outcome for r in after.results] == [Outcome.REHEARSED]
    with pytest.raises(errors.ConflictError, match="challenge"):
        await b.decide(store, incident, mode=Mode.LIVE)
    live = await b.decide(store, after, mode=Mode.LIVE)
    assert live.summary.state is State.APPROVED
    assert live.results == ()


async def stopping(store, incident):
    """`incident`, which an operator stops, and the challenge of what is to be stopped."""
    request = ActRequest(
        incident=incident.summary.id, revision=incident.summary.revision, action=Action.STOP
    )
    return await acts.act(store, "bob", request, b.NOW), incident.decision.challenge


def answer(incident, challenge, said=Halt.STOPPING):
    return Stopped(incident=incident.summary.id, challenge=challenge, answer=said, at_ms=b.NOW)


async def test_a_plan_that_was_stopped_awaits_a_decision_under_a_fresh_challenge(store):
    incident, challenge = await stopping(store, await executing(store))
    incident = await b.say(store, incident, stopped=answer(incident, challenge))
    assert incident.stopping.answer is Halt.STOPPING
    assert (await approve.carried_to(store, b.HOST)).stops == ()
    told = len(incident.moves)
    incident = await b.say(store, incident, stopped=answer(incident, challenge, Halt.TOO_LATE))
    assert (incident.stopping.answer, len(incident.moves)) == (Halt.STOPPING, told)

    incident = await b.say(store, incident, ran=b.ran(incident, 0))
    skipped = b.ran(incident, 1, Outcome.SKIPPED, reason="stopped by bob")
    incident = await b.say(store, incident, ran=skipped)
    end = b.finished(incident, Finish.STOPPED)
    incident = await b.say(store, incident, finished=end)
    assert incident.summary.state is State.AWAITING
    assert incident.report.challenge == end.challenge
    assert [r.outcome for r in incident.results] == [Outcome.RAN, Outcome.SKIPPED]
    again = await b.decide(store, incident)
    assert (again.summary.state, again.results) == (State.APPROVED, ())


@pytest.mark.parametrize("recovered", [True, False])
async def test_what_had_run_of_a_stopped_plan_is_verified(store, recovered):
    incident = await executing(store)
    incident = await b.say(store, incident, finished=b.finished(incident, Finish.STOPPED))
    verified = b.verification(incident, recovered=recovered)
    incident = await b.say(store, incident, verification=verified)
    assert incident.summary.state is (State.RESOLVED if recovered else State.AWAITING)
    assert incident.verification.recovered is recovered


async def test_an_answer_to_another_stop_is_no_answer(store):
    incident, _ = await stopping(store, await executing(store))
    before = incident.summary.revision
    incident = await b.say(store, incident, stopped=answer(incident, b.nonce()))
    assert (incident.stopping.answer, incident.summary.revision) == (None, before)


async def test_an_approval_that_is_void_can_be_given_again(store):
    incident, challenge = await stopping(store, await b.decide(store, await b.awaiting(store)))
    fresh = b.nonce()
    voided = b.admission(incident, False, check="stopped", reason="stopped by bob", challenge=fresh)
    incident = await b.say(store, incident, admission=voided)
    assert incident.summary.state is State.AWAITING
    assert (incident.report.challenge, incident.stopping.answer) == (fresh, Halt.NOT_BEGUN)
    assert incident.admission.reason == "stopped by bob"
    assert incident.decision.challenge == challenge


async def test_a_void_approval_that_was_given_up_meanwhile_is_a_persons(store):
    clock = b.Clock()
    incident, _ = await stopping(store, await b.decide(store, await b.awaiting(store)))
    clock.now_ms += 901_000
    await b.drive(b.pipeline(store, clock=clock))
    voided = b.admission(incident, False, check="stopped", challenge=b.nonce())
    incident = await b.say(store, incident, admission=voided)
    assert (incident.summary.state, incident.stopping.answer) == (State.MANUAL, Halt.NOT_BEGUN)
    assert (await approve.carried_to(store, b.HOST)).stops == ()


async def test_a_failed_plan_is_verified_like_one_that_ran(store):
    incident = await executing(store)
    incident = await b.say(store, incident, finished=b.finished(incident, Finish.ONE_FAILED))
    assert incident.summary.state is State.FAILED
    incident = await b.say(store, incident, verification=b.verification(incident, recovered=False))
    assert incident.summary.state is State.UNRESOLVED
    assert incident.verification.recovered is False


async def test_what_comes_too_late_is_kept_without_effect(store):
    clock = b.Clock()
    incident = await b.decide(store, await b.awaiting(store))
    clock.now_ms += 901_000
    await b.drive(b.pipeline(store, clock=clock))
    incident = await store.incident(incident.summary.id)
    assert incident.summary.state is State.MANUAL
    # The node had it all the same, and was only slow to say so.
    for said in (
        {"admission": b.admission(incident)},
        {"ran": b.ran(incident)},
        {"finished": b.finished(incident)},
    ):
        incident = await b.say(store, incident, **said)
        assert incident.summary.state is State.MANUAL
    assert incident.admission.admitted
    assert [r.outcome for r in incident.results] == [Outcome.RAN]
    texts = [m.text for m in incident.moves if m.action == "noted"]
    assert texts == [
        "noted while manual, which it stays: admitted, live",
        "noted while manual, which it stays: the plan ended: all-ran",
    ]
    incident = await b.say(store, incident, verification=b.verification(incident))
    assert incident.summary.state is State.RESOLVED


async def test_a_fault_that_clears_by_itself_is_resolved_from_every_state_that_can_be(store):
    for prepare in (b.reported, b.awaiting):
        incident = await prepare(store, b.report(rule=b.ident()))
        incident = await b.say(store, incident, cleared=b.cleared(incident))
        assert incident.summary.state is State.RESOLVED
        assert incident.moves[-1].text == "the signal cleared by itself at 7"


@pytest.mark.parametrize("finish", [Finish.ALL_RAN, Finish.ONE_FAILED])
async def test_whether_a_plan_helped_is_said_by_the_verification_alone(store, finish):
    incident = await executing(store)
    incident = await b.say(store, incident, finished=b.finished(incident, finish))
    state = incident.summary.state
    incident = await b.say(store, incident, cleared=b.cleared(incident))
    assert incident.summary.state is state
    incident = await b.say(store, incident, verification=b.verification(incident))
    assert incident.summary.state is State.RESOLVED
    assert incident.verification.recovered


async def test_nothing_moves_an_incident_that_has_ended(store):
    incident = await executing(store)
    incident = await b.say(store, incident, finished=b.finished(incident))
    incident = await b.say(store, incident, verification=b.verification(incident))
    for said in (
        {"cleared": b.cleared(incident)},
        {"admission": b.admission(incident)},
        {"finished": b.finished(incident, Finish.ONE_FAILED)},
        {"verification": b.verification(incident, recovered=False)},
    ):
        incident = await b.say(store, incident, **said)
        assert incident.summary.state is State.RESOLVED
    assert (await audit.verify(store)).broken is None


# ---------------------------------------------------------------- words


def test_ids_are_uuid7_and_sort_by_time():
    ids = [intake.new_id(b.NOW + n) for n in range(100)]
    assert ids == sorted(ids)
    assert {uuid.UUID(i).version for i in ids} == {7}
    assert len({intake.new_id(b.NOW) for _ in range(1000)}) == 1000


def test_the_evidence_names_the_process_its_reading_and_the_threshold():
    said = intake.evidence(b.report())
    assert said == "process resident memory 300 MiB, over 200 MiB · hog (pid 4242)"
    host = b.report(metric=Metric.MEMORY_USED, subject="", value=950, threshold=900)
    assert intake.evidence(host) == "memory used 95.0%, over 90.0%"
