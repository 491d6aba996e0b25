"""A decision counts only if it is the person's own, about what there is now, and the first."""

from __future__ import annotations

import asyncio
import json

import msgspec
import pytest

from sentinel import canonical, errors
from sentinel.config import ApprovalSettings
from sentinel.domain import (
    Choice,
    Command,
    Judgement,
    Mode,
    Outcome,
    PlanJudgement,
    Risk,
    Stage,
    State,
    Statement,
    Verdict,
)
from sentinel.hub import acts, approve, audit
from sentinel.hub.cases import PlanRecord
from sentinel.hub.persist import Store
from sentinel.protocol import (
    Action,
    ActRequest,
    DecideRequest,
    Finish,
    ListRequest,
    ReviseRequest,
)
from sentinel.trust.signers import NOBODY
from tests.unit.hub import builders as b
from tests.unit.hub import databases

OTHER = "sha256:" + "0" * 64


async def send(store, said, operator="alice", now_ms=b.NOW, **rules):
    request = b.request(said, operator)
    return await approve.decide(store, operator, request, now_ms, changed(b.RULES, **rules))


def changed(noun, **fields):
    return msgspec.structs.replace(noun, **fields)


# ---------------------------------------------------------------- the order of the checks


@pytest.mark.parametrize(
    ("changes", "error", "says"),
    [
        ({"operator": "bob"}, errors.OperatorError, "bob's, and it is alice who signs"),
        ({"plan": OTHER}, errors.ConflictError, "statement's plan"),
        ({"policy": OTHER}, errors.ConflictError, "statement's policy"),
        ({"challenge": "0" * 32}, errors.ConflictError, "statement's challenge"),
        ({"host": "web2"}, errors.ConflictError, "statement's host"),
        ({"event": "other"}, errors.ConflictError, "statement's event"),
        ({"issued_ms": b.NOW + 60_001}, errors.OperatorError, "in the future"),
        ({"expires_ms": b.NOW}, errors.OperatorError, "expired 0 ms ago"),
        ({"expires_ms": b.NOW + 3_600_001}, errors.OperatorError, "lives longer"),
        ({"choice": Choice.REJECT, "reason": "  "}, errors.OperatorError, "without a reason"),
    ],
)
async def test_a_statement_that_is_wrong_in_one_field_decides_nothing(store, changes, error, says):
    incident = await b.awaiting(store)
    before = await store.revision()
    with pytest.raises(error, match=says) as caught:
        await send(store, b.statement(incident, **changes))
    assert type(caught.value) is error
    assert caught.value.hint
    assert await store.incident(incident.summary.id) == incident
    assert await store.revision() == before
    assert (await send(store, b.statement(incident))).summary.state is State.APPROVED


async def test_a_statement_about_another_incident_than_the_request_is_refused(store):
    one = await b.awaiting(store, b.report(rule="r1"))
    two = await b.awaiting(store, b.report(rule="r2"))
    request = b.request(b.statement(one))
    request = msgspec.structs.replace(request, incident=two.summary.id)
    with pytest.raises(errors.OperatorError, match="another incident"):
        await approve.decide(store, "alice", request, b.NOW, b.RULES)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text + " ",
        lambda text: text.replace('"reason"', '"extra":1,"reason"'),
        lambda text: text.replace('{"challenge"', '{"choice":"reject","challenge"'),
        lambda text: text[:-1],
        lambda text: "",
        lambda text: text.replace("because", "b" * 5000),
    ],
)
async def test_a_statement_that_is_not_canonical_decides_nothing(store, spoil):
    incident = await b.awaiting(store)
    said = b.request(b.statement(incident))
    text = spoil(said.statement)
    request = DecideRequest(incident=said.incident, statement=text, signatures=(b.signed(text),))
    with pytest.raises(errors.WireError):
        await approve.decide(store, "alice", request, b.NOW, b.RULES)
    assert await store.incident(incident.summary.id) == incident


async def test_a_hub_in_dry_run_takes_no_live_approval(store):
    incident = await b.awaiting(store)
    with pytest.raises(errors.OperatorError, match="rehearsals only"):
        await send(store, b.statement(incident, mode=Mode.LIVE), hub_mode=Mode.DRY_RUN)
    rehearsal = b.statement(incident, mode=Mode.DRY_RUN)
    incident = await send(store, rehearsal, hub_mode=Mode.DRY_RUN)
    assert incident.summary.state is State.APPROVED


async def test_a_plan_with_a_blocked_command_cannot_be_approved_but_rejected(store):
    incident = await b.reported(store)
    proposal = b.Proposal(commands=(Command(text="kill 4242"), Command(text="rm -rf /")))
    await b.drive(b.pipeline(store, b.Reasoner(proposal)))
    incident = await store.incident(incident.summary.id)
    assert incident.summary.state is State.AWAITING
    with pytest.raises(errors.OperatorError, match="command 2 of the plan is blocked"):
        await send(store, b.statement(incident))
    incident = await send(store, b.statement(incident, Choice.REJECT))
    assert incident.summary.state is State.MANUAL


@pytest.mark.parametrize("verdicts", [(), ("review",), ("review", "review")])
def test_a_plan_in_which_nothing_may_run_is_not_approved_even_if_it_awaits(verdicts):
    judgement = PlanJudgement(
        plan=OTHER,
        policy=OTHER,
        verdict=Verdict.REVIEW,
        commands=tuple(Judgement(verdict=Verdict(v), findings=()) for v in verdicts),
    )
    plan = PlanRecord(revision=1, digest=OTHER, body=b"", judgement=judgement)
    for record in (plan, None, msgspec.structs.replace(plan, judgement=None)):
        with pytest.raises(errors.OperatorError, match="nothing in the plan may run"):
            approve._check_runnable(record)


async def test_nothing_is_decided_about_an_incident_without_a_judged_plan(store):
    incident = await b.awaiting(store)
    await intake_again(store)
    with pytest.raises(errors.ConflictError, match="awaits no decision: it is planned"):
        await send(store, b.statement(incident))
    with pytest.raises(errors.OperatorError, match="no incident"):
        await send(store, msgspec.structs.replace(b.statement(incident), incident="none"))


async def intake_again(store):
    await b.say(store, (await b.reported(store)), report=b.report())


# ---------------------------------------------------------------- who signs


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda r: changed(r, signatures=()), "has 0 signatures"),
        (lambda r: changed(r, signatures=r.signatures * 2), "has 2 signatures"),
        (lambda r: changed(r, signatures=(b.signed(r.statement, "bob"),)), "signature is bob's"),
        (
            lambda r: changed(
                r, signatures=(changed(b.signed(r.statement, "bob"), signer="alice"),)
            ),
            r"made by bob's key \[signature.person\]",
        ),
        (
            lambda r: changed(r, signatures=(b.signed(r.statement, namespace="git"),)),
            r"not for 'decision@sentinel' \[signature.namespace\]",
        ),
        (
            lambda r: changed(r, signatures=(b.signed(r.statement + " "),)),
            r"does not hold over these bytes \[signature.bad\]",
        ),
    ],
)
@pytest.mark.parametrize("choice", Choice)
async def test_a_decision_that_its_person_has_not_signed_decides_nothing(
    store, choice, spoil, says
):
    incident = await b.awaiting(store)
    request = spoil(b.request(b.statement(incident, choice)))
    with pytest.raises(errors.OperatorError, match=says) as caught:
        await approve.decide(store, "alice", request, b.NOW, b.RULES)
    assert caught.value.what
    assert await store.incident(incident.summary.id) == incident


async def test_somebody_whom_the_hub_does_not_know_decides_nothing(store):
    incident = await b.awaiting(store)
    with pytest.raises(errors.OperatorError, match=r"signature\.unknown-key") as caught:
        await send(store, b.statement(incident), signers=NOBODY)
    assert "allowed_signers" in caught.value.hint


# ---------------------------------------------------------------- several people


async def grave(store):
    """An incident with a plan of high risk, which two people must approve."""
    incident = await b.reported(store)
    await b.drive(b.pipeline(store, policy=b.Policy(Risk.HIGH)))
    return await store.incident(incident.summary.id)


def live(incident, operator="alice", **fields):
    return b.statement(incident, operator=operator, mode=Mode.LIVE, **fields)


async def test_two_people_sign_the_same_statement_and_then_it_is_approved(store):
    incident = await grave(store)
    said = live(incident)
    begun = await send(store, said)
    assert begun.summary.state is State.AWAITING
    assert begun.summary.revision > incident.summary.revision
    assert begun.moves[-1].text == ("approval signed by alice, live; 1 more must sign: because")
    assert [each.signer for each in begun.pending.signatures] == ["alice"]
    assert await approve.bundles_for(store, b.HOST) == ()
    done = await send(store, said, "bob")
    assert done.summary.state is State.APPROVED
    assert done.pending is None
    assert (done.decision, done.decider) == (said, "alice")
    assert done.moves[-1].text == "approved by alice and bob, live: because"
    assert done.moves[-1].actor == "operator:bob"
    (bundle,) = await approve.bundles_for(store, b.HOST)
    assert bundle.statement == begun.pending.statement
    assert [each.signer for each in bundle.signatures] == ["alice", "bob"]


async def test_nobody_signs_twice_and_nobody_begins_beside_another(store):
    incident = await grave(store)
    begun = await send(store, live(incident))
    with pytest.raises(errors.ConflictError, match="alice has signed this approval already"):
        await send(store, live(incident))
    with pytest.raises(errors.ConflictError, match="alice has begun to approve this plan"):
        await send(store, live(incident, "bob"), "bob")
    assert await store.incident(incident.summary.id) == begun


async def test_one_person_rejects_what_another_has_begun_to_approve(store):
    incident = await grave(store)
    await send(store, live(incident))
    said = b.statement(incident, Choice.REJECT, "bob")
    done = await send(store, said, "bob")
    assert (done.summary.state, done.pending, done.decider) == (State.MANUAL, None, "bob")


async def test_a_rehearsal_of_a_plan_of_high_risk_needs_one_person(store):
    incident = await grave(store)
    done = await send(store, b.statement(incident, mode=Mode.DRY_RUN))
    assert done.summary.state is State.APPROVED


async def test_an_approval_that_was_begun_is_forgotten_when_it_is_over(store):
    incident = await grave(store)
    await send(store, live(incident, expires_ms=b.NOW + 1000))
    said = live(incident, "bob", issued_ms=b.NOW + 1000)
    begun = await send(store, said, "bob", now_ms=b.NOW + 1000)
    assert [each.signer for each in begun.pending.signatures] == ["bob"]


async def test_an_approval_that_was_begun_ends_with_the_plan_that_it_was_about(store):
    incident = await grave(store)
    begun = await send(store, live(incident))
    await acts.revise(store, "carol", revision(begun, "kill 4242"), b.NOW)
    await b.drive(b.pipeline(store, policy=b.Policy(Risk.HIGH)))
    now = await store.incident(incident.summary.id)
    assert (now.summary.state, now.pending) == (State.AWAITING, None)
    with pytest.raises(errors.ConflictError, match="statement's plan"):
        await send(store, live(incident), "bob")
    again = await send(store, live(now, "bob"), "bob")
    assert [each.signer for each in again.pending.signatures] == ["bob"]


async def test_how_many_must_sign_is_the_hubs_configuration(store):
    incident = await grave(store)
    said = live(incident)
    three = ApprovalSettings(high=3)
    for name in ("alice", "bob"):
        begun = await send(store, said, name, approvals=three)
        assert begun.summary.state is State.AWAITING
    done = await send(store, said, "carol", approvals=three)
    assert done.summary.state is State.APPROVED


async def test_of_two_who_begin_at_once_one_is_told_to_sign_the_others(store):
    incident = await grave(store)
    outcomes = await asyncio.gather(
        *(send(store, live(incident, name), name) for name in ("alice", "bob", "carol")),
        return_exceptions=True,
    )
    lost = [each.what for each in outcomes if isinstance(each, errors.ConflictError)]
    assert len(lost) == 2
    first = (await store.incident(incident.summary.id)).pending.signatures[0].signer
    assert all(f"{first} has begun" in what for what in lost)


# ---------------------------------------------------------------- what is kept


async def test_the_exact_bytes_of_the_statement_are_kept_and_logged(store):
    incident = await b.awaiting(store)
    said = b.statement(incident, reason='quotes " and é')
    request = b.request(said)
    await approve.decide(store, "alice", request, b.NOW, b.RULES)
    (bundle,) = await approve.bundles_for(store, b.HOST)
    assert bundle.statement == request.statement
    assert bundle.signatures == request.signatures
    assert canonical.digest(bundle.plan.encode()) == incident.plan_digest
    (record,) = await store.audit_page(after=-1, limit=1, incident=incident.summary.id)
    facts = msgspec.json.decode(record.body)["facts"]
    assert canonical.decode(Statement, facts["statement"].encode(), limit=4096) == said
    now = await store.incident(incident.summary.id)
    assert (now.decision, now.decider) == (said, "alice")


async def test_a_rejection_carries_its_reason_to_the_record(store):
    incident = await b.awaiting(store)
    incident = await b.decide(store, incident, Choice.REJECT, reason="wrong process")
    assert incident.summary.state is State.MANUAL
    assert incident.moves[-1].actor == "operator:alice"
    assert incident.moves[-1].text == "rejected by alice, dry-run: wrong process"
    assert await approve.bundles_for(store, b.HOST) == ()


async def test_a_reason_as_long_as_may_be_fits_the_record(store):
    incident = await b.awaiting(store)
    said = b.statement(incident, Choice.REJECT, reason="\\" * 1000)
    assert (await send(store, said)).summary.state is State.MANUAL


async def test_bundles_are_of_approved_plans_of_that_host_only(store):
    for host in ("web1", "web2"):
        await b.decide(store, await b.awaiting(store, b.report(host=host)))
    await b.awaiting(store, b.report(rule="undecided"))
    bundles = await approve.bundles_for(store, "web1")
    assert [msgspec.json.decode(x.plan)["host"] for x in bundles] == ["web1"]
    assert await approve.bundles_for(store, "web3") == ()


# ---------------------------------------------------------------- races


async def test_of_two_hundred_races_each_has_exactly_one_winner(database_url):
    async with await Store.open(database_url) as one, await Store.open(database_url) as two:
        incidents = await b.many_awaiting(one, 200)
        races = [
            asyncio.gather(
                *(
                    b.decide(one, i, Choice.APPROVE, "alice"),
                    b.decide(two, i, Choice.REJECT, "bob"),
                )[:: 1 if n % 2 else -1],
                return_exceptions=True,
            )
            for n, i in enumerate(incidents)
        ]
        outcomes = await asyncio.gather(*races)
        states = [await one.incident(i.summary.id) for i in incidents]
    assert len(outcomes) == 200
    for (first, second), now in zip(outcomes, states, strict=True):
        lost = [x for x in (first, second) if isinstance(x, errors.ConflictError)]
        assert len(lost) == 1, (first, second)
        assert f"{now.decider} decided last" in lost[0].what
    rows = databases.run(database_url, "SELECT incident, count(*) FROM decision GROUP BY incident")
    assert sorted(count for _, count in rows) == [1] * 200


# ---------------------------------------------------------------- what else an operator may do


async def refused(store):
    incident = await b.reported(store)
    await b.drive(b.pipeline(store, b.Reasoner(b.Proposal(commands=(Command(text="odd"),)))))
    return await store.incident(incident.summary.id)


def act(incident, action, note="", **changes):
    revision = changes.get("revision", incident.summary.revision)
    return ActRequest(incident=incident.summary.id, revision=revision, action=action, note=note)


async def test_asking_again_is_another_round_of_reasoning(store):
    incident = await refused(store)
    assert incident.summary.state is State.REFUSED
    incident = await acts.act(store, "bob", act(incident, Action.ASK_AGAIN), b.NOW)
    assert incident.summary.state is State.REPORTED
    reasoner = b.Reasoner()
    await b.drive(b.pipeline(store, reasoner))
    assert reasoner.asked == [(incident.summary.id, 2)]
    incident = await store.incident(incident.summary.id)
    assert (incident.summary.state, incident.plan.revision) == (State.AWAITING, 2)


async def test_taking_over_and_closing_end_an_incident_by_hand(store):
    incident = await refused(store)
    incident = await acts.act(store, "bob", act(incident, Action.TAKE_OVER), b.NOW)
    assert incident.summary.state is State.MANUAL
    with pytest.raises(errors.OperatorError, match="without a note"):
        await acts.act(store, "bob", act(incident, Action.CLOSE, " "), b.NOW)
    closing = act(incident, Action.CLOSE, "replaced the disk")
    incident = await acts.act(store, "bob", closing, b.NOW)
    assert incident.summary.state is State.CLOSED
    assert incident.moves[-1].text == "closed-by-hand by bob: replaced the disk"


async def test_acting_on_what_has_changed_since_names_who_changed_it(store):
    incident = await refused(store)
    stale = act(incident, Action.ASK_AGAIN)
    await acts.act(store, "bob", act(incident, Action.TAKE_OVER), b.NOW)
    with pytest.raises(errors.ConflictError, match="last by operator:bob: taken-over by bob"):
        await acts.act(store, "alice", stale, b.NOW)


async def test_of_many_who_act_at_once_one_wins_and_the_others_are_told_who(store):
    incident = await refused(store)
    names = ["ann", "bob", "cyd"]
    outcomes = await asyncio.gather(
        *(acts.act(store, name, act(incident, Action.TAKE_OVER), b.NOW) for name in names),
        return_exceptions=True,
    )
    winner = (await store.incident(incident.summary.id)).moves[-1].actor
    lost = [x.what for x in outcomes if isinstance(x, errors.ConflictError)]
    assert len(lost) == 2
    assert all(f"last by {winner}" in what for what in lost)


async def test_an_act_that_the_table_does_not_have_says_what_it_has(store):
    incident = await b.reported(store)
    with pytest.raises(errors.LifecycleError) as caught:
        await acts.act(store, "bob", act(incident, Action.TAKE_OVER), b.NOW)
    assert "plan-made" in caught.value.hint


# ---------------------------------------------------------------- who is on it


async def test_whoever_acknowledges_is_on_it_until_somebody_else_is_or_nobody(store):
    incident = await b.awaiting(store)
    assert incident.summary.owner == ""
    told = []
    for name, action, note in (
        ("alice", Action.ACKNOWLEDGE, ""),
        ("alice", Action.ACKNOWLEDGE, "waiting for the vendor"),
        ("bob", Action.ACKNOWLEDGE, ""),
        ("alice", Action.RELEASE, "bob has gone home"),
        ("alice", Action.ACKNOWLEDGE, ""),
        ("alice", Action.RELEASE, ""),
    ):
        before = incident.summary
        incident = await acts.act(store, name, act(incident, action, note), b.NOW)
        assert incident.summary.revision > before.revision
        assert incident.summary.state is before.state
        assert incident.moves[-1].stage is Stage.PERSIST  # nothing was approved by it
        told.append((incident.summary.owner, incident.moves[-1].actor, incident.moves[-1].text))
    assert told == [
        ("alice", "operator:alice", "acknowledged by alice"),
        ("alice", "operator:alice", "acknowledged again by alice: waiting for the vendor"),
        ("bob", "operator:bob", "acknowledged by bob instead of alice"),
        ("", "operator:alice", "released by alice for bob: bob has gone home"),
        ("alice", "operator:alice", "acknowledged by alice"),
        ("", "operator:alice", "released by alice"),
    ]


async def test_who_is_on_it_goes_with_lists_and_changes_and_stands_in_the_log(store):
    incident = await b.awaiting(store)
    since = incident.summary.revision
    incident = await acts.act(store, "alice", act(incident, Action.ACKNOWLEDGE), b.NOW)
    assert [s.owner for s in (await store.listed(ListRequest())).summaries] == ["alice"]
    assert [s.owner for s in await store.changes(since=since, limit=9)] == ["alice"]
    (record,) = await store.audit_page(after=since, limit=9, incident=incident.summary.id)
    body = json.loads(record.body)
    assert (body["action"], body["actor"], body["state"]) == (
        "acknowledged", "operator:alice", "awaiting",
    )  # fmt: skip
    assert body["facts"] == {"owner": "alice"}
    assert (await audit.verify(store)).broken is None


async def test_being_on_it_changes_nothing_about_the_decision(store):
    read = await b.awaiting(store)
    before = await b.case(store, read.summary.id)
    await acts.act(store, "bob", act(read, Action.ACKNOWLEDGE), b.NOW + 5)
    after = await b.case(store, read.summary.id)
    assert after.entered_ms == before.entered_ms  # its time to be decided goes on
    assert after.challenge == before.challenge
    decided = await send(store, b.statement(read))
    assert (decided.summary.state, decided.decider) == (State.APPROVED, "alice")
    assert decided.summary.owner == "bob"


async def test_an_approval_that_was_begun_outlives_an_acknowledgement(store):
    incident = await grave(store)
    begun = await send(store, live(incident))
    seen = await acts.act(store, "bob", act(begun, Action.ACKNOWLEDGE), b.NOW)
    assert seen.pending == begun.pending is not None


async def test_whoever_takes_over_is_on_it(store):
    incident = await refused(store)
    incident = await acts.act(store, "alice", act(incident, Action.ACKNOWLEDGE), b.NOW)
    incident = await acts.act(store, "bob", act(incident, Action.TAKE_OVER), b.NOW)
    assert incident.summary.owner == "bob"


async def test_nobody_has_to_be_on_what_has_ended(store):
    incident = await refused(store)
    incident = await acts.act(store, "bob", act(incident, Action.TAKE_OVER), b.NOW)
    incident = await acts.act(store, "bob", act(incident, Action.CLOSE, "done"), b.NOW)
    assert incident.summary.owner == "bob"
    for action in (Action.ACKNOWLEDGE, Action.RELEASE):
        with pytest.raises(errors.LifecycleError, match="has ended: it is closed") as caught:
            await acts.act(store, "alice", act(incident, action), b.NOW)
        assert "only an open incident" in caught.value.hint
    assert await store.incident(incident.summary.id) == incident


async def test_what_nobody_is_on_cannot_be_released(store):
    incident = await b.awaiting(store)
    with pytest.raises(errors.OperatorError, match="nobody is on incident"):
        await acts.act(store, "alice", act(incident, Action.RELEASE), b.NOW)
    assert await store.incident(incident.summary.id) == incident


async def test_of_many_who_acknowledge_at_once_one_is_on_it(store):
    incident = await b.awaiting(store)
    names = ["ann", "bob", "cyd"]
    outcomes = await asyncio.gather(
        *(acts.act(store, name, act(incident, Action.ACKNOWLEDGE), b.NOW) for name in names),
        return_exceptions=True,
    )
    owner = (await store.incident(incident.summary.id)).summary.owner
    lost = [x.what for x in outcomes if isinstance(x, errors.ConflictError)]
    assert len(lost) == 2
    assert all(f"last by operator:{owner}: acknowledged by {owner}" in what for what in lost)


async def test_a_plan_that_is_being_made_or_judged_is_not_lost_by_an_acknowledgement(store):
    incident = await b.reported(store)

    class Watched(b.Reasoner):
        async def propose(self, asked, attempt, now_ms):
            await acts.act(store, "alice", act(asked, Action.ACKNOWLEDGE), b.NOW)
            return await super().propose(asked, attempt, now_ms)

    class Policy(b.Policy):
        acknowledged = False

        def judge(self, plan, context):
            self.acknowledged or asyncio.run_coroutine_threadsafe(self.again(), loop).result(10)
            return super().judge(plan, context)

        async def again(self):
            self.acknowledged = True
            seen = await store.incident(incident.summary.id)
            await acts.act(store, "bob", act(seen, Action.ACKNOWLEDGE), b.NOW)

    loop, reasoner = asyncio.get_running_loop(), Watched()
    await b.drive(b.pipeline(store, reasoner, policy=Policy()))
    after = await store.incident(incident.summary.id)
    assert (after.summary.state, after.summary.owner) == (State.AWAITING, "bob")
    assert len(reasoner.asked) == 1


async def stops_for(store, host=b.HOST):
    return (await approve.carried_to(store, host)).stops


async def stopped(store, incident, operator="bob", note="wrong host"):
    return await acts.act(store, operator, act(incident, Action.STOP, note), b.NOW)


async def test_a_plan_that_was_stopped_does_not_leave_the_hub_and_the_stop_does(store):
    incident = await b.decide(store, await b.awaiting(store))
    assert len((await approve.carried_to(store, b.HOST)).bundles) == 1
    incident = await stopped(store, incident)
    assert incident.summary.state is State.APPROVED
    carried = await approve.carried_to(store, b.HOST)
    assert carried.bundles == await approve.bundles_for(store, b.HOST) == ()
    (stop,) = carried.stops
    assert (stop.incident, stop.by, stop.reason) == (incident.summary.id, "bob", "wrong host")
    assert stop.challenge == incident.decision.challenge
    assert await stops_for(store, "web3") == ()
    assert (incident.stopping.by, incident.stopping.answer) == ("bob", None)
    (record,) = await store.audit_page(after=-1, limit=1, incident=incident.summary.id)
    assert (record.action, record.actor) == ("stop-asked", "operator:bob")
    assert incident.moves[-1].text == "stop asked for by bob: wrong host"


async def test_how_far_a_plan_has_come_is_no_reason_not_to_stop_it(store):
    seen = await b.decide(store, await b.awaiting(store))
    await b.say(store, seen, admission=b.admission(seen))
    await b.say(store, seen, ran=b.ran(seen, 0, Outcome.RUNNING))
    incident = await stopped(store, seen)
    assert incident.summary.state is State.EXECUTING
    assert incident.summary.revision > seen.summary.revision
    assert len(await stops_for(store)) == 1


async def test_what_was_seen_before_the_approval_is_no_sight_of_the_run(store):
    seen = await b.awaiting(store)
    await b.decide(store, seen)
    with pytest.raises(errors.ConflictError, match="has been approved since"):
        await stopped(store, seen)
    assert await stops_for(store) == ()


async def test_a_plan_is_stopped_once(store):
    incident = await stopped(store, await b.decide(store, await b.awaiting(store)))
    with pytest.raises(errors.ConflictError, match="bob has stopped it already"):
        await stopped(store, incident, "alice")


async def test_what_is_not_under_way_cannot_be_stopped(store):
    incident = await b.awaiting(store)
    with pytest.raises(errors.LifecycleError, match="awaiting cannot be stopped"):
        await stopped(store, incident)


async def test_a_stop_that_a_silent_node_has_not_answered_still_waits_for_it(store):
    clock = b.Clock()
    incident = await stopped(store, await b.decide(store, await b.awaiting(store)))
    clock.now_ms += 901_000
    await b.drive(b.pipeline(store, clock=clock))
    assert (await store.incident(incident.summary.id)).summary.state is State.MANUAL
    assert len(await stops_for(store)) == 1


async def test_the_next_approval_is_of_another_run(store):
    first = await stopped(store, await b.decide(store, await b.awaiting(store)))
    fresh = b.nonce()
    voided = b.admission(first, False, check="stopped", reason="stopped by bob", challenge=fresh)
    again = await b.decide(store, await b.say(store, first, admission=voided))
    assert again.stopping is None
    (bundle,) = await approve.bundles_for(store, b.HOST)
    assert fresh in bundle.statement
    assert await stops_for(store) == ()


def revision(incident, *texts):
    return ReviseRequest(
        incident=incident.summary.id,
        revision=incident.summary.revision,
        commands=tuple(Command(text=text) for text in texts),
    )


async def test_a_revision_is_a_new_plan_in_the_operators_name_judged_afresh(store):
    old = await b.awaiting(store)
    new = await acts.revise(store, "bob", revision(old, "rm x", "kill 4242"), b.NOW + 5)
    assert new.summary.state is State.PLANNED
    assert (new.plan.revision, new.plan.author, new.plan.created_ms) == (2, "bob", b.NOW + 5)
    assert (new.judgement, new.summary.verdict) == (None, None)
    assert new.plan.diagnosis == old.plan.diagnosis
    assert new.plan_digest != old.plan_digest
    await b.drive(b.pipeline(store))
    new = await store.incident(new.summary.id)
    assert new.judgement.plan == new.plan_digest
    with pytest.raises(errors.ConflictError, match="plan"):
        await b.decide(store, old)


async def test_a_revision_of_nothing_or_out_of_bounds_or_of_an_old_one_is_refused(store):
    incident = await b.awaiting(store)
    with pytest.raises(errors.OperatorError, match="without a command"):
        await acts.revise(store, "bob", revision(incident), b.NOW)
    with pytest.raises(errors.WireError, match="1024"):
        await acts.revise(store, "bob", revision(incident, "k" * 1025), b.NOW)
    with pytest.raises(errors.WireError):
        await acts.revise(store, "bob", revision(incident, *["kill 1"] * 17), b.NOW)
    await acts.revise(store, "bob", revision(incident, "kill 1"), b.NOW)
    with pytest.raises(errors.ConflictError, match="last by operator:bob"):
        await acts.revise(store, "alice", revision(incident, "kill 2"), b.NOW)


async def test_only_a_plan_that_waits_for_an_operator_can_be_revised(store):
    incident = await b.decide(store, await b.awaiting(store))
    with pytest.raises(errors.LifecycleError):
        await acts.revise(store, "bob", revision(incident, "kill 1"), b.NOW)
    fresh = await b.reported(store, b.report(rule="r2"))
    with pytest.raises(errors.OperatorError, match="no plan yet"):
        await acts.revise(store, "bob", revision(fresh, "kill 1"), b.NOW)


async def test_an_older_runs_decision_is_not_shown_beside_a_newer_plan(store):
    incident = await b.decide(store, await b.awaiting(store))
    incident = await b.say(store, incident, admission=b.admission(incident))
    incident = await b.say(store, incident, ran=b.ran(incident))
    incident = await b.say(store, incident, finished=b.finished(incident, Finish.REHEARSED))
    assert incident.decision
    assert incident.results
    incident = await acts.revise(store, "bob", revision(incident, "kill 1"), b.NOW)
    assert (incident.decision, incident.decider, incident.results) == (None, "", ())
    assert (incident.admission, incident.verification) == (None, None)
