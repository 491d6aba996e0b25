"""The store: 'need you' first, frozen snapshots, bounded, and never older than it was."""

from __future__ import annotations

import msgspec

from sentinel.domain import Kind, Severity, State, Summary
from sentinel.protocol import Order, Page, Update
from sentinel.tui.filters import parse
from sentinel.tui.store import RECENT, STALE_MS, WHOLE, Link, Phase, Store, stale


def summary(number: int, state: State = State.AWAITING, **more: object) -> Summary:
    fields = {
        "id": f"i{number:06d}",
        "revision": number,
        "host": "web-1",
        "kind": Kind.MEMORY,
        "severity": Severity.WARNING,
        "state": state,
        "evidence": "e",
        "opened_ms": 1000 + number,
        "updated_ms": 1000 + number,
        **more,
    }
    return Summary(**fields)


def listed(*summaries: Summary, revision: int = 10) -> Store:
    store = Store()
    store.paged(store.wanted(0), Page(summaries=summaries, revision=revision))
    return store


def ids(store: Store) -> list[str]:
    return [s.id for s in store.snapshot().summaries]


def test_whose_turn_it_is_comes_before_severity_and_that_before_age():
    store = listed(
        summary(1, State.REPORTED),
        summary(2, State.EXECUTING, severity=Severity.CRITICAL),
        summary(3, State.MANUAL, severity=Severity.CRITICAL),
        summary(4, State.UNRESOLVED),
        summary(5, severity=Severity.INFO),
        summary(6),
        summary(7),
        summary(8, severity=Severity.CRITICAL),
    )
    order = [8, 7, 6, 5, 4, 3, 2, 1]
    assert ids(store) == [f"i{n:06d}" for n in order]


def test_a_snapshot_is_the_same_object_until_something_changes():
    store = listed(summary(1))
    first = store.snapshot()
    assert store.snapshot() is first
    store.updated(Update(revision=11, summary=summary(2, revision=11)), 5)
    assert store.snapshot() is not first
    assert len(first.summaries) == 1


def test_an_older_form_of_an_incident_does_not_come_back():
    store = listed(summary(1, revision=5, state=State.EXECUTING))
    store.updated(Update(revision=12, summary=summary(1, revision=4)), 5)
    assert store.snapshot().summaries[0].state is State.EXECUTING
    assert store.revision == 12


def test_what_ends_leaves_the_list_and_is_remembered_as_ended():
    store = listed(summary(1), summary(2))
    store.updated(Update(revision=11, summary=summary(2, State.RESOLVED, revision=11)), 5)
    assert ids(store) == ["i000001"]
    assert store.known_revision("i000002") == 11


def test_what_is_all_here_is_not_asked_for_again():
    store = listed(summary(1), summary(2))
    store.look_for(parse("host=web"), ended=False)
    assert store.wanted(0) is None
    assert ids(store) == ["i000002", "i000001"]


def test_a_filter_on_a_part_of_the_list_is_the_hubs_work():
    store = Store()
    part = Page(summaries=(summary(2), summary(1)), revision=10, more=True)
    store.paged(store.wanted(0), part)
    assert not store.snapshot().whole
    store.look_for(parse("id=2"), ended=False)
    assert ids(store) == ["i000002"]
    request = store.wanted(0)
    assert request.terms == parse("id=2")
    store.paged(request, Page(summaries=(summary(32), summary(2)), revision=10))
    assert ids(store) == ["i000032", "i000002"]
    assert not store.snapshot().below
    store.look_for((), ended=False)
    assert store.wanted(0).terms == ()


def test_a_part_of_the_list_is_sorted_by_the_hub_and_the_whole_of_it_here():
    store = Store()
    one, other = summary(1, host="a"), summary(2, host="b")
    store.paged(store.wanted(0), Page(summaries=(other,), revision=10, more=True))
    store.look_for((), ended=False, order=Order.HOST)
    request = store.wanted(0)
    assert (request.order, request.place) == (Order.HOST, None)
    store.paged(request, Page(summaries=(one, other), revision=10))
    assert ids(store) == ["i000001", "i000002"]
    store.look_for((), ended=False, order=Order.AGE)
    assert store.wanted(0) is None
    assert ids(store) == ["i000002", "i000001"]


def test_those_that_ended_are_asked_for_and_let_go_again():
    store = listed(summary(1))
    store.look_for((), ended=True)
    request = store.wanted(0)
    assert not request.open_only
    store.paged(request, Page(summaries=(summary(1), summary(2, State.CLOSED)), revision=10))
    assert ids(store) == ["i000001", "i000002"]


def test_memory_is_bounded(recording):
    store, whole = listed(), recording.incidents[0].incident
    for number in range(RECENT + 10):
        store.updated(Update(revision=number, summary=summary(number, State.CLOSED)), 5)
    assert store.known_revision("i000001") == 0
    for number in range(WHOLE + 1):
        renamed = msgspec.structs.replace(whole.summary, id=f"x{number}")
        store.fetched(msgspec.structs.replace(whole, summary=renamed))
    assert len(store.incidents) == WHOLE
    assert "x0" not in store.incidents


def test_silence_makes_the_hub_stale():
    up = Link(phase=Phase.UP, heard_ms=1000)
    assert not stale(up, 1000 + STALE_MS)
    assert stale(up, 1001 + STALE_MS)
    assert stale(Link(phase=Phase.LOST, heard_ms=1000), 1000)
    assert stale(Link(), 0)


def test_a_loss_remembers_when_the_hub_was_last_heard():
    store = listed(summary(1))
    store.updated(Update(revision=11), 700)
    store.lost("gone", retry_ms=900, attempt=2)
    link = store.snapshot().link
    assert (link.phase, link.heard_ms, link.retry_ms, link.why) == (Phase.LOST, 700, 900, "gone")
    store.updated(Update(revision=12), 950)
    assert store.snapshot().link.phase is Phase.UP


def test_a_fetched_incident_is_outdated_when_the_list_knows_better(recording):
    whole = recording.incidents[0].incident
    store = Store()
    assert store.outdated(whole.summary.id)
    store.fetched(whole)
    assert not store.outdated(whole.summary.id)
    newer = msgspec.structs.replace(whole.summary, revision=whole.summary.revision + 1)
    store.updated(Update(revision=99_999, summary=newer), 5)
    assert store.outdated(whole.summary.id)
    store.fetched(msgspec.structs.replace(whole, evidence=()))
    assert store.incidents[whole.summary.id].evidence == ()


def test_an_older_whole_incident_does_not_replace_a_newer_one(recording):
    whole = recording.incidents[0].incident
    store = Store()
    store.fetched(whole)
    older = msgspec.structs.replace(whole.summary, revision=whole.summary.revision - 1)
    store.fetched(msgspec.structs.replace(whole, summary=older, evidence=()))
    assert store.incidents[whole.summary.id] == whole
