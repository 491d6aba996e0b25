"""The store: 'need you' first, frozen snapshots, bounded, and never older than it was."""

from __future__ import annotations

import msgspec

from sentinel.domain import Kind, Severity, State, Summary
from sentinel.protocol import Page, Update
from sentinel.tui.store import LIMIT, STALE_MS, Link, Phase, Store, select, stale


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
    store.listed([Page(summaries=summaries, revision=revision)])
    return store


def ids(store: Store) -> list[str]:
    return [s.id for s in store.snapshot().summaries]


def test_whose_turn_it_is_comes_before_severity_and_that_before_age():
    store = listed(
        summary(1, State.RESOLVED, severity=Severity.CRITICAL),
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


def test_it_keeps_the_most_urgent_and_says_that_there_are_more():
    store = listed(*(summary(n, State.MANUAL) for n in range(1, LIMIT + 1)))
    assert not store.snapshot().more
    urgent = summary(LIMIT + 5, State.AWAITING, severity=Severity.CRITICAL)
    store.updated(Update(revision=LIMIT + 5, summary=urgent), 5)
    shown = store.snapshot()
    assert len(shown.summaries) == LIMIT
    assert shown.summaries[0] == urgent
    assert shown.more


def test_a_new_list_drops_what_is_no_longer_open_but_keeps_what_was_seen_to_end():
    store = listed(summary(1), summary(2))
    store.updated(Update(revision=11, summary=summary(2, State.RESOLVED, revision=11)), 5)
    store.listed([Page(summaries=(summary(3),), revision=20)])
    assert ids(store) == ["i000003", "i000002"]


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


def test_those_that_ended_are_shown_when_asked_for():
    both = (summary(1), summary(2, State.CLOSED))
    assert [s.id for s in select(both, lambda _: True, ended=False)] == ["i000001"]
    assert len(select(both, lambda _: True, ended=True)) == 2
    assert select(both, lambda _: False, ended=True) == ()
