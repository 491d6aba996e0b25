"""An incident changes by compare-and-set along the state table, and never without its audit record."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sentinel import errors
from sentinel.domain import Stage, State
from sentinel.hub import audit
from sentinel.hub.moves import Entry, move
from sentinel.lifecycle import TRANSITIONS, Event
from tests.unit.hub import builders as b


def entry(event, at_ms=b.NOW):
    action = event.value if event else "noted"
    return Entry(at_ms=at_ms, stage=Stage.PERSIST, actor="hub", action=action, text="test")


async def apply(store, case, event, after=None):
    return await store.write(lambda work: move(work, case, event, after or case, entry(event)))


async def fresh(store):
    incident = await b.reported(store, b.report(rule=b.ident()))
    return await b.case(store, incident.summary.id)


@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(events=st.lists(st.sampled_from([*Event, None]), min_size=1, max_size=12))
async def test_any_sequence_of_events_keeps_to_the_table_and_is_recorded(store, events):
    case = await fresh(store)
    path = [case.state]
    for event in events:
        before = await store.revision()
        if event is None or event in TRANSITIONS[case.state]:
            case = await apply(store, case, event)
            path.append(TRANSITIONS[path[-1]][event] if event else path[-1])
        else:
            with pytest.raises(errors.LifecycleError):
                await apply(store, case, event)
            assert await store.revision() == before
        assert await b.case(store, case.id) == case
        assert case.state is path[-1]
    records = await store.audit_page(after=0, limit=1000, incident=case.id)
    said = [msgspec.json.decode(record.body)["state"] for record in records]
    assert said == [state.value for state in path]
    assert records[-1].seq == case.revision
    incident = await store.incident(case.id)
    assert [m.state for m in incident.moves[3:]] == path
    assert (await audit.verify(store)).broken is None


@pytest.mark.parametrize("stale", ["state", "revision"])
async def test_a_move_from_where_the_incident_no_longer_is_changes_nothing(store, stale):
    seen = await fresh(store)
    now = await apply(store, seen, Event.PLAN_MADE if stale == "state" else None)
    if stale == "state":
        seen = msgspec.structs.replace(seen, revision=now.revision)
    before = await store.revision()
    with pytest.raises(errors.ConflictError, match="no longer reported"):
        await apply(store, seen, Event.PLAN_MADE)
    assert await b.case(store, seen.id) == now
    assert await store.revision() == before


async def test_a_move_of_an_incident_that_does_not_exist_changes_nothing(store):
    case = msgspec.structs.replace(await fresh(store), id=b.ident())
    with pytest.raises(errors.ConflictError):
        await apply(store, case, Event.PLAN_MADE)


async def test_a_move_sets_when_the_state_was_entered_and_ends_the_lease(store):
    case = await fresh(store)
    held = msgspec.structs.replace(case, lease_owner="hub", lease_until_ms=b.NOW * 2)
    noted = await store.write(lambda work: move(work, case, None, held, entry(None, b.NOW + 1)))
    assert (noted.entered_ms, noted.updated_ms) == (b.NOW, b.NOW + 1)
    assert noted.lease_owner == "hub"
    moved = await store.write(
        lambda work: move(work, noted, Event.PLAN_MADE, noted, entry(None, b.NOW + 2))
    )
    assert (moved.entered_ms, moved.updated_ms) == (b.NOW + 2, b.NOW + 2)
    assert (moved.lease_owner, moved.lease_until_ms) == ("", 0)


async def test_an_incident_whose_signal_cleared_on_the_way_does_not_wait_for_a_person(store):
    incident = await b.decide(store, await b.awaiting(store))
    incident = await b.say(store, incident, cleared=b.cleared(incident))
    assert incident.summary.state is State.APPROVED
    refused = b.admission(incident, admitted=False, check="policy.digest")
    incident = await b.say(store, incident, admission=refused)
    assert incident.summary.state is State.RESOLVED
    assert [m.state.value for m in incident.moves[-2:]] == ["manual", "resolved"]
