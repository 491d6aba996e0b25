"""From a report to the end, through every state the hub serves."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from sentinel import errors
from sentinel.domain import (
    Command,
    Diagnosis,
    Evidence,
    Finding,
    Judgement,
    Mode,
    Reasoning,
    Severity,
    State,
    Verdict,
)
from sentinel.hub import acts, approve, audit
from sentinel.hub.persist import Store
from sentinel.policy.validate import QUORUM
from sentinel.protocol import Action, ActRequest
from tests.unit.hub import builders as b
from tests.unit.hub import databases


async def test_a_fault_goes_from_its_report_to_its_resolution(store):
    incident = await b.awaiting(store)
    assert incident.plan.recovery.deadline_ms == 120_000
    assert incident.plan.recovery.clear_below == incident.report.anomaly.clear_below
    incident = await b.decide(store, incident, mode=Mode.LIVE)
    assert incident.summary.state is State.APPROVED
    (bundle,) = await approve.bundles_for(store, "web1")
    assert bundle.incident == incident.summary.id
    incident = await b.say(store, incident, admission=b.admission(incident))
    assert await approve.bundles_for(store, "web1") == ()
    incident = await b.say(store, incident, ran=b.ran(incident))
    incident = await b.say(store, incident, finished=b.finished(incident))
    incident = await b.say(store, incident, verification=b.verification(incident))
    assert incident.summary.state is State.RESOLVED
    stages = [move.stage.value for move in incident.moves]
    assert stages == [
        "detect",
        "capture",
        "transport",
        "persist",
        "reason",
        "validate",
        "approve",
        "execute",
        "execute",
        "execute",
        "verify",
    ]
    assert (await audit.verify(store)).broken is None


async def test_a_plan_in_which_nothing_may_run_is_refused(store):
    for texts in ((), ("odd thing",), ("rm -rf /",)):
        incident = await b.reported(store, b.report(rule=b.ident()))
        proposal = b.Proposal(commands=tuple(Command(text=text) for text in texts))
        await b.drive(b.pipeline(store, b.Reasoner(proposal)))
        incident = await store.incident(incident.summary.id)
        assert incident.summary.state is State.REFUSED
        assert incident.summary.verdict is incident.judgement.verdict


async def test_everything_to_replay_the_reasoning_is_kept_and_its_digest_logged(
    store, database_url
):
    incident = await b.awaiting(store)
    ((body, digest),) = databases.run(database_url, "SELECT body, digest FROM reasoning")
    record = msgspec.json.decode(bytes(body), type=Reasoning)
    assert (record.prompt, record.reply) == ("p", "r")
    records = await store.audit_page(after=0, limit=9, incident=incident.summary.id)
    facts = [msgspec.json.decode(r.body)["facts"] for r in records]
    assert facts[1] == {"plan": incident.plan_digest, "reasoning": digest}
    assert facts[2] == {"plan": incident.plan_digest, "policy": b.POLICY}


@pytest.mark.parametrize(
    "proposal",
    [
        b.Proposal(commands=(Command(text="k" * 1025),)),
        b.Proposal(commands=(Command(text="kill 1"),) * 17),
        b.Proposal(diagnosis=Diagnosis(summary="\ud800", confidence_pct=1)),
        b.Proposal(diagnosis=Diagnosis(summary="sure", confidence_pct=101)),
        b.Proposal(
            records=(Reasoning(engine="e", prompt="\udfff", started_ms=0, ended_ms=0),),
        ),
        b.Proposal(author="a" * 300, engine="e" * 300),
    ],
)
async def test_a_proposal_out_of_bounds_is_put_before_a_person_and_not_asked_for_again(
    store, proposal
):
    incident = await b.reported(store)
    reasoner = b.Reasoner(proposal)
    await b.drive(b.pipeline(store, reasoner))
    incident = await store.incident(incident.summary.id)
    assert incident.summary.state is State.REFUSED
    assert incident.plan.commands == ()
    assert incident.plan.diagnosis.confidence_pct == 0
    assert len(reasoner.asked) == 1


async def test_a_plan_is_for_the_report_in_force_when_it_is_ready(store):
    incident = await b.reported(store)
    newer = b.report()

    class Slow(b.Reasoner):
        async def propose(self, incident, attempt, now_ms):
            await b.say(store, incident, report=newer)
            return await super().propose(incident, attempt, now_ms)

    reasoner = Slow()
    await b.drive(b.pipeline(store, reasoner))
    incident = await store.incident(incident.summary.id)
    assert incident.summary.state is State.AWAITING
    assert incident.plan.event == newer.event
    assert len(reasoner.asked) == 1


async def test_a_plan_for_an_incident_that_recovered_meanwhile_is_forgotten(store):
    incident = await b.reported(store)

    class Slow(b.Reasoner):
        async def propose(self, incident, attempt, now_ms):
            await b.say(store, incident, cleared=b.cleared(incident))
            return await super().propose(incident, attempt, now_ms)

    await b.drive(b.pipeline(store, Slow()))
    incident = await store.incident(incident.summary.id)
    assert incident.summary.state is State.RESOLVED
    assert incident.plan is None


async def test_a_plan_that_nobody_decides_on_in_time_is_the_operators(store):
    incident, clock = await b.awaiting(store), b.Clock()
    pipe = b.pipeline(store, clock=clock)
    clock.now_ms = b.NOW + 86_400_000
    await b.drive(pipe)
    assert (await store.incident(incident.summary.id)).summary.state is State.AWAITING
    clock.now_ms += 1
    await b.drive(pipe)
    incident = await store.incident(incident.summary.id)
    assert incident.summary.state is State.MANUAL
    assert incident.moves[-1].text == "nobody decided in time"


async def test_a_plan_that_is_not_fetched_in_time_is_never_handed_out_again(store):
    incident, clock = await b.decide(store, await b.awaiting(store)), b.Clock()
    clock.now_ms = b.NOW + 60_001
    await b.drive(b.pipeline(store, clock=clock, collect_s=60))
    incident = await store.incident(incident.summary.id)
    assert incident.summary.state is State.MANUAL
    assert await approve.bundles_for(store, b.HOST) == ()


@pytest.mark.parametrize("ended", [False, True])
async def test_what_a_silent_node_leaves_open_is_handed_to_a_person(store, ended):
    incident, clock = await b.decide(store, await b.awaiting(store)), b.Clock()
    incident = await b.say(store, incident, admission=b.admission(incident))
    if ended:
        incident = await b.say(store, incident, finished=b.finished(incident))
    pipe = b.pipeline(store, clock=clock, silent_s=60)
    plan = incident.plan
    longest_ms = sum(c.timeout_s for c in plan.commands) * 1000 + plan.recovery.deadline_ms
    clock.now_ms = b.NOW + longest_ms + 60_000
    await b.drive(pipe)
    assert (await store.incident(incident.summary.id)).summary.state is incident.summary.state
    clock.now_ms += 1
    await b.drive(pipe)
    incident = await store.incident(incident.summary.id)
    assert incident.summary.state is State.MANUAL
    assert incident.moves[-1].text == "web1 has not said how it ended: look at it before you act"
    assert await approve.bundles_for(store, b.HOST) == ()
    # What the node says when it is back still counts.
    incident = await b.say(store, incident, verification=b.verification(incident))
    assert incident.summary.state is State.RESOLVED


async def run_and_fail(store, incident):
    """Approve, run, and find the signal still there."""
    incident = await b.decide(store, incident)
    incident = await b.say(store, incident, admission=b.admission(incident))
    incident = await b.say(store, incident, finished=b.finished(incident))
    return await b.say(store, incident, verification=b.verification(incident, recovered=False))


async def test_an_unresolved_incident_is_asked_about_once_more_and_then_left_to_a_person(store):
    reasoner = b.Reasoner()
    incident = await run_and_fail(store, await b.awaiting(store))
    assert incident.summary.state is State.UNRESOLVED
    await b.drive(b.pipeline(store, reasoner))
    incident = await store.incident(incident.summary.id)
    assert incident.summary.state is State.AWAITING
    assert reasoner.asked == [(incident.summary.id, 2)]
    incident = await run_and_fail(store, incident)
    await b.drive(b.pipeline(store, reasoner))
    incident = await store.incident(incident.summary.id)
    assert incident.summary.state is State.UNRESOLVED
    assert len(reasoner.asked) == 1


# ---------------------------------------------------------------- running, restarts, two hubs


async def until(store, incident, state):
    async with asyncio.timeout(20):
        seen = 0
        while (await store.incident(incident.summary.id)).summary.state is not state:
            seen = await store.bus.wait(seen)


async def test_a_running_pipeline_is_woken_by_a_report(store):
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(b.pipeline(store).run())
        incident = await b.reported(store)
        await until(store, incident, State.AWAITING)
        running.cancel()


async def test_a_hub_that_died_while_it_reasoned_takes_its_work_up_at_its_next_start(store):
    class Dies(b.Reasoner):
        async def propose(self, incident, attempt, now_ms):
            raise asyncio.CancelledError

    incident = await b.reported(store)
    with pytest.raises(asyncio.CancelledError):
        await b.pipeline(store, Dies()).reason_one()
    assert not await b.pipeline(store).reason_one()
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(b.pipeline(store).run())
        await until(store, incident, State.AWAITING)
        running.cancel()


async def test_another_hub_takes_over_when_the_lease_has_run_out(store):
    await b.reported(store)
    (case,) = await store.write(
        lambda work: work.claim(State.REPORTED, "dead", b.NOW, b.NOW + 60_000, 5)
    )
    assert case.lease_owner == "dead"
    clock = b.Clock(b.NOW + 59_999)
    assert not await b.pipeline(store, clock=clock).reason_one()
    clock.now_ms += 1
    assert await b.pipeline(store, clock=clock).reason_one()


async def test_a_proposal_that_comes_after_the_next_round_has_begun_is_forgotten(store):
    incident = await b.reported(store)

    class VerySlow(b.Reasoner):
        async def propose(self, asked, attempt, now_ms):
            # Its lease runs out, another hub makes a plan, and an operator asks for a better one.
            await b.drive(b.pipeline(store, clock=b.Clock(b.NOW + 60_000)))
            now = await store.incident(incident.summary.id)
            request = ActRequest(
                incident=now.summary.id, revision=now.summary.revision, action=Action.ASK_AGAIN
            )
            await acts.act(store, "alice", request, b.NOW)
            return await super().propose(asked, attempt, now_ms)

    assert await b.pipeline(store, VerySlow()).reason_one()
    now = await store.incident(incident.summary.id)
    assert (now.summary.state, now.plan.revision) == (State.REPORTED, 1)


async def test_a_lease_is_extended_by_its_owner_only(store):
    incident = await b.reported(store)
    await store.write(lambda work: work.claim(State.REPORTED, "one", b.NOW, b.NOW + 60_000, 1))
    name = incident.summary.id
    assert await store.write(lambda work: work.extend_lease(name, "one", b.NOW + 90_000))
    assert not await store.write(lambda work: work.extend_lease(name, "two", b.NOW + 99_000))
    assert (await b.case(store, name)).lease_until_ms == b.NOW + 90_000


async def test_a_lease_is_renewed_while_the_engine_thinks(store, monkeypatch):
    monkeypatch.setattr("sentinel.hub.pipeline.RENEW_S", 0.01)
    incident, clock = await b.reported(store), b.Clock()

    class Slow(b.Reasoner):
        async def propose(self, incident, attempt, now_ms):
            clock.now_ms += 50_000
            async with asyncio.timeout(10):
                # Nothing is published when a lease is extended.
                while (await b.case(store, incident.summary.id)).lease_until_ms < b.NOW + 110_000:
                    await asyncio.sleep(0.01)
            return await super().propose(incident, attempt, now_ms)

    await b.drive(b.pipeline(store, Slow(), clock=clock))
    assert (await store.incident(incident.summary.id)).summary.state is State.AWAITING


async def test_two_hubs_on_one_database_ask_about_each_incident_once(database_url):
    class Slow(b.Reasoner):
        async def propose(self, incident, attempt, now_ms):
            await asyncio.sleep(0.01)
            return await super().propose(incident, attempt, now_ms)

    reasoner = Slow()
    async with await Store.open(database_url) as one, await Store.open(database_url) as two:
        incidents = [await b.reported(one, b.report(rule=f"r{n}")) for n in range(20)]
        async with asyncio.TaskGroup() as tasks:
            running = [
                tasks.create_task(b.pipeline(store, reasoner, port=port).run())
                for port, store in ((1, one), (2, two))
            ]
            for incident in incidents:
                await until(one, incident, State.AWAITING)
            for task in running:
                task.cancel()
    assert sorted(name for name, _ in reasoner.asked) == sorted(i.summary.id for i in incidents)


async def test_no_more_engines_are_called_at_once_than_allowed(store):
    calls, most = 0, 0

    class Counts(b.Reasoner):
        async def propose(self, incident, attempt, now_ms):
            nonlocal calls, most
            calls += 1
            most = max(most, calls)
            await asyncio.sleep(0.02)
            calls -= 1
            return await super().propose(incident, attempt, now_ms)

    incidents = [await b.reported(store, b.report(rule=f"r{n}")) for n in range(8)]
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(b.pipeline(store, Counts()).run())
        for incident in incidents:
            await until(store, incident, State.AWAITING)
        running.cancel()
    assert most == 2


async def test_a_log_that_was_unsealed_is_recorded_in_it_when_the_hub_starts(database_url):
    async with await Store.open(database_url):
        pass
    databases.unseal(database_url)
    async with await Store.open(database_url) as store, asyncio.TaskGroup() as tasks:
        running = tasks.create_task(b.pipeline(store).run())
        async with asyncio.timeout(10):
            await store.bus.wait(0)
        running.cancel()
        (record,) = await store.audit_page(after=-1, limit=9, incident=None)
        assert record.action == "audit-resealed"
        assert "audit_no_gap" in record.body


async def test_the_most_severe_incident_is_reasoned_about_first(store):
    reasoner = b.Reasoner()
    for n, severity in enumerate(("info", "warning", "critical", "warning")):
        report = b.report(rule=f"r{n}", severity=Severity(severity))
        await b.reported(store, report, b.NOW + n)
    pipe = b.pipeline(store, reasoner, b.Clock(b.NOW + 10))
    while await pipe.reason_one():
        pass
    asked = [(await store.incident(name)).summary for name, _ in reasoner.asked]
    assert [(s.severity.value, s.opened_ms - b.NOW) for s in asked] == [
        ("critical", 2),
        ("warning", 1),
        ("warning", 3),
        ("info", 0),
    ]


async def test_what_was_judged_by_other_rules_is_judged_again_when_the_hub_starts(store):
    old = await b.awaiting(store)
    digest = "sha256:" + "b" * 64

    class Newer(b.Policy):
        def judge(self, plan, context):
            said = super().judge(plan, context)
            return msgspec.structs.replace(said, policy=digest)

    Newer.digest = digest
    pipe = b.pipeline(store)
    pipe._policy = Newer()
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(pipe.run())
        async with asyncio.timeout(20):
            seen = 0
            while (await store.incident(old.summary.id)).judgement.policy != digest:
                seen = await store.bus.wait(seen)
        running.cancel()
    new = await store.incident(old.summary.id)
    assert (new.summary.state, new.plan_digest) == (State.AWAITING, old.plan_digest)
    with pytest.raises(errors.ConflictError, match="policy"):
        await b.decide(store, old)


async def test_nul_in_what_an_engine_says_upsets_no_database(store):
    proposal = b.Proposal(
        diagnosis=Diagnosis(summary="a\x00b", confidence_pct=1),
        commands=(Command(text="kill \x00"),),
        evidence=(Evidence(id="E1", text="c\x00d"),),
        engine="e\x00",
        stand_in="s\x00",
        records=(Reasoning(engine="e", prompt="\x00", started_ms=0, ended_ms=0),),
    )
    incident = await b.reported(store)
    await b.drive(b.pipeline(store, b.Reasoner(proposal)))
    incident = await store.incident(incident.summary.id)
    assert incident.plan.diagnosis.summary == "a\x00b"
    assert incident.evidence[0].text == "c\ufffdd"


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_a_pipeline_outlives_the_loss_of_its_connections(store, database_url):
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(b.pipeline(store).run())
        for n in range(3):
            databases.end_sessions(database_url)
            incident = await reported_at_last(store, b.report(rule=f"r{n}"))
            await until(store, incident, State.AWAITING)
        running.cancel()


async def reported_at_last(store, report):
    while True:
        try:
            return await b.reported(store, report)
        except errors.StoreError:
            await asyncio.sleep(0.05)


class Doubting(b.Policy):
    """As the engine says it where its second parser reads a command differently."""

    def judge(self, plan, context):
        judged = super().judge(plan, context)
        doubt = Finding(verdict=Verdict.REVIEW, span=(0, 1), rule=QUORUM, reason="differently")
        first = Judgement(verdict=Verdict.REVIEW, findings=(doubt,))
        return msgspec.structs.replace(judged, commands=(first, *judged.commands[1:]))


async def test_a_command_that_two_parsers_read_differently_is_on_the_security_record(store):
    incident = await b.reported(store, b.report(rule=b.ident()))
    texts = ("echo 'a\x1b[2J'", "kill 1")
    proposal = b.Proposal(commands=tuple(Command(text=text) for text in texts))
    await b.drive(b.pipeline(store, b.Reasoner(proposal), policy=Doubting()))
    bodies = [
        msgspec.json.decode(row[2]) async for page in store.log.pages(0, 1000) for row in page
    ]
    (record,) = [body for body in bodies if body["action"] == "security.quorum"]
    assert record["incident"] == incident.summary.id
    assert record["text"] == "two parsers read command 1 of revision 1 differently"
    assert record["facts"]["command"] == "echo 'a\\x1b[2J'"
    assert (await audit.verify(store)).broken is None
