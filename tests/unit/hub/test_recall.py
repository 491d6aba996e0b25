"""What the hub remembers of services and runbooks, on both sorts of database."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from sentinel import errors, protocol, wire
from sentinel.domain import Metric, Process, State, Unit
from sentinel.hub import intake, recall
from sentinel.hub.reason import playbook
from tests.unit.hub import builders as b
from tests.unit.hub.reason.builders import CASES

BOOK = playbook.shipped()


def report(host=b.HOST, unit="app.service", units=(), **anomaly):
    """A report of a process of `unit` that holds the memory, with `units` seen beside it."""
    made = b.report(host=host, **anomaly)
    hog = Process(pid=4242, start_ticks=777, name="hog", unit=unit)
    context = msgspec.structs.replace(
        made.context, processes=(hog,), units=tuple(Unit(name=name) for name in units)
    )
    return msgspec.structs.replace(made, context=context)


async def put(store, incident, state):
    async def change(work):
        case = await work.case(incident)
        assert await work.swap(case, msgspec.structs.replace(case, state=state))

    await store.write(change)


# ---------------------------------------------------------------- which service


def test_an_incident_is_of_its_culprits_unit():
    assert recall.service_of(report()) == "app.service"
    assert recall.service_of(report(unit="/docker/77aa")) == "/docker/77aa"


def test_a_process_of_no_unit_goes_by_its_name():
    assert recall.service_of(report(unit="")) == "hog"


def test_what_no_process_is_to_blame_for_is_of_no_service():
    assert recall.service_of(CASES["inodes"]) == ""
    assert recall.service_of(CASES["pressure-stall"]) == ""


def test_a_hostile_unit_is_escaped_and_bounded():
    name = recall.service_of(report(unit="\x1b]0;x\x07" + "a" * 240))
    assert name.isprintable()
    assert len(name) <= 256


def test_a_report_shows_its_services_and_no_sessions():
    seen = report(units=("sshd.service", "session-3.scope", "app.service"))
    assert recall.services_in(seen, "app.service") == {"app.service", "sshd.service"}
    assert recall.services_in(seen, "") == {"app.service", "sshd.service"}
    assert recall.services_in(report(unit=""), "hog") == {"hog"}


# ---------------------------------------------------------------- what ran where


async def test_services_are_added_up_over_the_record(store):
    first = await b.reported(store, report(units=("sshd.service",)))
    await b.reported(store, report(host="web2", rule="other"), b.NOW + 1)
    third = await b.reported(store, report(host="web2", rule="third"), b.NOW + 2)
    await b.reported(store, report(host="db1", unit="db.service"), b.NOW + 3)
    await put(store, first.summary.id, State.RESOLVED)
    await put(store, third.summary.id, State.CLOSED)
    found = await store.services()
    assert [(s.name, s.hosts, s.host_count) for s in found.services] == [
        ("app.service", ("web1", "web2"), 2),
        ("db.service", ("db1",), 1),
        ("sshd.service", ("web1",), 1),
    ]
    app, db, sshd = (s.past for s in found.services)
    assert app == protocol.Past(count=3, open=1, resolved=1, last_ms=b.NOW + 2)
    assert db == protocol.Past(count=1, open=1, resolved=0, last_ms=b.NOW + 3)
    assert sshd == protocol.Past()
    assert found.more == 0


async def test_the_map_is_bounded_and_says_so(store):
    count = protocol.MAX_SERVICES + 3

    async def note(work):
        for number in range(count):
            work.note_services("web1", {f"s{number}.service"}, 1)
        for number in range(protocol.MAX_SERVICE_HOSTS + 2):
            work.note_services(f"host{number}", {"s202.service"}, 10 - number)

    await store.write(note)
    found = await store.services()
    assert (len(found.services), found.more) == (protocol.MAX_SERVICES, 3)
    most = found.services[0]
    assert (most.name, most.host_count) == ("s202.service", protocol.MAX_SERVICE_HOSTS + 3)
    assert most.hosts == tuple(f"host{n}" for n in range(protocol.MAX_SERVICE_HOSTS))
    assert wire.decode(protocol.Services, wire.encode(found), limit=1 << 20) == found


async def test_a_service_that_is_seen_again_is_noted_once(store):
    for at_ms in (1, 9, 5):

        async def note(work, at_ms=at_ms):
            work.note_services("web1", ["a", "a"], at_ms)

        await store.write(note)
    assert [s.host_count for s in (await store.services()).services] == [1]


async def test_what_a_refused_operation_has_seen_is_not_noted(store):
    async def refused(work):
        work.note_services("web1", {"ghost.service"}, 1)
        raise errors.ConflictError("no")

    async def taken(work):
        work.note_services("web1", {"real.service"}, 1)

    results = await asyncio.gather(store.write(refused), store.write(taken), return_exceptions=True)
    assert isinstance(results[0], errors.ConflictError)
    assert [s.name for s in (await store.services()).services] == ["real.service"]


async def test_an_incident_shows_its_service_in_the_list_and_as_a_whole(store):
    incident = await b.reported(store, report())
    assert incident.summary.service == "app.service"
    term = protocol.Term(any_of=(protocol.Match(field=protocol.Field.SERVICE, parts=("app.ser",)),))
    page = await store.listed(protocol.ListRequest(terms=(term,)))
    assert [s.id for s in page.summaries] == [incident.summary.id]
    none = msgspec.structs.replace(term, negated=True)
    assert not (await store.listed(protocol.ListRequest(terms=(none,)))).summaries


async def test_a_report_of_the_same_fault_may_blame_another_service(store):
    await b.reported(store, report())
    again = report(unit="other.service")
    await intake.take(store, b.HOST, b.letter(report=again), b.NOW + 1)
    (summary,) = (await store.page(open_only=True, before=None, limit=9)).summaries
    assert (summary.service, summary.count) == ("other.service", 2)


# ---------------------------------------------------------------- runbooks


def test_runbooks_are_shown_as_they_are_loaded():
    shown = recall.runbooks(BOOK.runbooks, {"memory-hog": protocol.Past(count=7)})
    assert [r.id for r in shown] == [r.id for r in BOOK.runbooks]
    for mine, theirs in zip(shown, BOOK.runbooks, strict=True):
        assert (mine.kinds, mine.summary, mine.body) == (theirs.kinds, theirs.summary, theirs.body)
        assert [s.run for s in mine.steps] == [s.run for s in theirs.steps]
        assert [s.run for s in mine.escalation] == [s.run for s in theirs.escalation]
        assert bool(mine.when) is (theirs.when != type(theirs.when)())
    (hog,) = (r for r in shown if r.id == "memory-hog")
    assert hog.past.count == 7
    assert hog.when == (
        "the likeliest culprit is a process",
        "it has at least 25.0% of what the incident is about",
    )


def test_every_runbook_keeps_within_the_bounds_of_the_wire():
    shown = protocol.Runbooks(runbooks=recall.runbooks(BOOK.runbooks, {}))
    limit = protocol.OPERATOR_MESSAGE_BYTES
    assert wire.decode(protocol.Runbooks, wire.encode(shown), limit=limit) == shown


@pytest.mark.parametrize(
    ("author", "engine", "runbook"),
    [
        ("playbook", "playbook:memory-hog", "memory-hog"),
        ("ollama", "ollama:playbook:x", ""),
        ("alice", "operator:alice", ""),
    ],
)
def test_only_the_playbooks_plans_are_of_a_runbook(author, engine, runbook):
    assert recall.runbook_of(author, engine) == runbook


async def test_what_became_of_a_runbooks_incidents_is_added_up(store):
    ids = [
        (await b.awaiting(store, report(rule=f"r{n}", metric=Metric.PROCESS_RSS))).summary.id
        for n in range(3)
    ]
    await put(store, ids[0], State.RESOLVED)
    await put(store, ids[1], State.CLOSED)
    pasts = await store.runbook_pasts()
    assert {name: (p.count, p.open, p.resolved) for name, p in pasts.items()} == {
        "memory-hog": (3, 1, 1)
    }
