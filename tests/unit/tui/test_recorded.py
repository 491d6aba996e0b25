"""The recording: what its source makes of it, and a hub that refuses what a hub refuses."""

from __future__ import annotations

import msgspec
import pytest

from sentinel import errors, protocol
from sentinel.domain import Choice, Mode, Outcome, State
from sentinel.tui import decide, recorded
from tests.unit.tui import record


def request(hub, clock, incident, **more):
    fields = {
        "choice": Choice.APPROVE,
        "mode": Mode.DRY_RUN,
        "operator": "you",
        "reason": "",
        "now_ms": clock(),
    }
    return decide.request(incident, **{**fields, **more})


async def first(hub, host):
    page = await hub.call(protocol.ListRequest(open_only=False))
    chosen = next(s for s in page.summaries if s.host == host)
    return await hub.call(protocol.GetRequest(incident=chosen.id))


async def play(hub, clock, seconds):
    """Let the recording go on: time passes, and the watch is read to its present end."""
    seen = []
    for _ in range(seconds * 10):
        clock.now_ms += 100
        hub._advance()
    stream = hub.watch(0)
    while not seen or seen[-1].summary is not None or len(seen) == 1:
        try:
            update = await anext(stream)
        except StopAsyncIteration:
            break
        seen.append(update)
        if len(seen) > len(hub._now):
            break
    await stream.aclose()
    return seen


def judgements(recording):
    """The recorded judgement of every recorded command."""
    found = {}
    for each in recording.incidents:
        plan, judged = each.incident.plan, each.incident.judgement
        if plan is not None:
            found |= zip((c.text for c in plan.commands), judged.commands, strict=True)
    return found


def test_the_file_is_what_its_source_makes(recording, monkeypatch):
    monkeypatch.setattr(record, "judged", judgements(recording).__getitem__)
    same = record.TARGET.read_text() == record.text()
    assert same, "make it anew: python -m tests.unit.tui.record"


def test_the_policy_still_says_of_every_recorded_command_what_it_said_then(recording):
    for text, then in judgements(recording).items():
        now = record.judged(text)
        assert (text, now.verdict) == (text, then.verdict)


def test_every_recorded_plan_has_the_digest_that_it_says(recording):
    for each in recording.incidents:
        offered = decide.offer(each.incident, Mode.LIVE)
        if each.incident.plan is not None:
            assert offered.digest == each.incident.plan_digest


def test_the_recording_shows_every_situation(recording):
    states = {each.incident.summary.state for each in recording.incidents}
    assert {
        State.REPORTED,
        State.AWAITING,
        State.EXECUTING,
        State.UNRESOLVED,
        State.MANUAL,
        State.RESOLVED,
    } <= states


async def test_a_rehearsal_ends_where_it_began_under_a_fresh_challenge(hub, clock):
    incident = await first(hub, "db-01")
    await hub.call(request(hub, clock, incident))
    await play(hub, clock, 5)
    after = await first(hub, "db-01")
    assert after.summary.state is State.AWAITING
    assert after.report.challenge != incident.report.challenge
    assert {r.outcome for r in after.results} == {Outcome.REHEARSED}


async def test_a_live_approval_ends_resolved(hub, clock):
    incident = await first(hub, "db-01")
    await hub.call(request(hub, clock, incident, mode=Mode.LIVE))
    await play(hub, clock, 20)
    after = await first(hub, "db-01")
    assert after.summary.state is State.RESOLVED
    assert after.verification.recovered
    assert [r.outcome for r in after.results] == [Outcome.RAN] * 3


async def test_a_rejection_leaves_it_to_a_person_and_runs_nothing(hub, clock):
    incident = await first(hub, "db-01")
    rejection = request(hub, clock, incident, choice=Choice.REJECT, reason="no")
    after = await hub.call(rejection)
    await play(hub, clock, 5)
    assert after.summary.state is State.MANUAL
    assert (await first(hub, "db-01")).results == ()


async def test_a_decision_is_taken_once(hub, clock):
    incident = await first(hub, "db-01")
    decision = request(hub, clock, incident)
    await hub.call(decision)
    with pytest.raises(errors.OperatorError):
        await hub.call(decision)


async def test_a_statement_with_an_old_challenge_is_refused(hub, clock):
    incident = await first(hub, "db-01")
    report = msgspec.structs.replace(incident.report, challenge="0" * 32)
    stale = msgspec.structs.replace(incident, report=report)
    with pytest.raises(errors.ConflictError):
        await hub.call(request(hub, clock, stale))


async def test_a_statement_that_has_expired_is_refused(hub, clock):
    incident = await first(hub, "db-01")
    decision = request(hub, clock, incident)
    clock.now_ms += decide.LIFE_MS
    with pytest.raises(errors.ConflictError):
        await hub.call(decision)


async def test_an_act_on_what_has_changed_is_refused(hub, clock):
    incident = await first(hub, "db-02")
    act = protocol.ActRequest(
        incident=incident.summary.id,
        revision=incident.summary.revision - 1,
        action=protocol.Action.CLOSE,
        note="done",
    )
    with pytest.raises(errors.ConflictError):
        await hub.call(act)
    closed = await hub.call(msgspec.structs.replace(act, revision=incident.summary.revision))
    assert closed.summary.state is State.CLOSED


async def test_who_is_on_it_is_kept_as_a_hub_would(hub):
    async def act(action, host="db-01"):
        seen = await first(hub, host)
        name, revision = seen.summary.id, seen.summary.revision
        return await hub.call(protocol.ActRequest(incident=name, revision=revision, action=action))

    with pytest.raises(errors.OperatorError, match="nobody is on it"):
        await act(protocol.Action.RELEASE)
    after = await act(protocol.Action.ACKNOWLEDGE)
    assert (after.summary.owner, after.summary.state) == ("you", State.AWAITING)
    assert after.moves[-1].text == "acknowledged by you"
    assert (await act(protocol.Action.RELEASE)).summary.owner == ""
    assert (await act(protocol.Action.TAKE_OVER, "web-3")).summary.owner == "you"
    with pytest.raises(errors.OperatorError, match="has ended"):
        await act(protocol.Action.ACKNOWLEDGE, "edge-1")


async def test_a_recording_cannot_be_stopped_and_says_so(hub):
    incident = await first(hub, "edge-2")
    stop = protocol.ActRequest(
        incident=incident.summary.id,
        revision=incident.summary.revision,
        action=protocol.Action.STOP,
    )
    with pytest.raises(errors.OperatorError, match="goes on to its end"):
        await hub.call(stop)


async def test_pages_follow_one_another(hub):
    whole = await hub.call(protocol.ListRequest(open_only=False))
    seen, before = [], None
    while True:
        page = await hub.call(protocol.ListRequest(open_only=False, before=before, limit=3))
        seen += page.summaries
        before = page.summaries[-1].id
        if not page.more:
            break
    assert tuple(seen) == whole.summaries


async def test_the_audit_log_grows_with_every_move(hub, clock):
    before = await hub.call(protocol.AuditRequest())
    incident = await first(hub, "db-01")
    await hub.call(request(hub, clock, incident))
    after = await hub.call(protocol.AuditRequest(after=before.records[-1].seq))
    assert [r.action for r in after.records] == ["approved"]
    own = await hub.call(protocol.AuditRequest(incident=incident.summary.id))
    assert {r.incident for r in own.records} == {incident.summary.id}


async def test_incidents_go_on_by_themselves(recording, clock):
    alive = recorded.RecordedHub(recording, clock)
    await play(alive, clock, 60)
    assert (await first(alive, "edge-2")).summary.state is State.RESOLVED


async def test_the_watch_brings_what_changed_after_a_revision(hub, clock):
    incident = await first(hub, "db-01")
    since = (await hub.call(protocol.ListRequest())).revision
    await hub.call(request(hub, clock, incident))
    stream = hub.watch(since)
    status, change = await anext(stream), await anext(stream)
    await stream.aclose()
    assert status.status.operator == "you"
    assert change.summary.id == incident.summary.id
    assert change.summary.state is State.APPROVED
