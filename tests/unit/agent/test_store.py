"""The node's durable state: what comes back after the file was opened again."""

from __future__ import annotations

import os
import sqlite3
import stat

import msgspec
import pytest

from sentinel import canonical
from sentinel.agent.store import (
    CLEARED_KEPT,
    REFUSED_KEPT,
    USES_KEPT_MS,
    Interrupted,
    Store,
    Use,
)
from sentinel.agent.store_file import VERSION
from sentinel.domain import Bundle, CommandResult, Outcome
from sentinel.errors import StoreError
from sentinel.protocol import Cleared, Letter, Ran
from tests.unit.agent.gate import NOW, ident, nonce, plan, report


@pytest.fixture
def path(tmp_path):
    return tmp_path / "node.db"


@pytest.fixture
def store(path):
    with Store(path) as opened:
        yield opened


def cleared():
    return Letter(id=ident(), cleared=Cleared(event=ident(), observed=1, at_ms=NOW))


def ran(outcome, stdout=""):
    result = CommandResult(index=0, outcome=outcome, stdout=stdout)
    return Letter(id=ident(), ran=Ran(incident="i", result=result))


def letters(store):
    return [letter for _, letter in store.pending(after=0, limit=1000)]


def reopened(store, path):
    store.__exit__(None, None, None)
    return Store(path)


def raw(path, statement, *values):
    """One statement on the closed file, as an operator with sqlite3 would."""
    with sqlite3.connect(path) as db:
        rows = db.execute(statement, values).fetchall()
    db.close()
    return rows


def bundle(about, incident="incident-1"):
    over = plan(about, incident=incident)
    return Bundle(incident=incident, plan=canonical.encode(over).decode(), statement="{}")


# ---------------------------------------------------------------- outbox


def test_letters_come_back_in_order_and_whole_after_the_file_was_opened_again(store, path):
    put = [Letter(id=ident(), report=report()), cleared(), ran(Outcome.RAN, "out\x1b\u202e")]
    for letter in put:
        assert store.put(letter)
    with reopened(store, path) as again:
        assert letters(again) == put
        assert again.waiting() == 3


def test_pending_goes_on_after_what_was_sent(store):
    put = [cleared() for _ in range(5)]
    for letter in put:
        store.put(letter)
    first = store.pending(after=0, limit=2)
    rest = store.pending(after=first[-1][0], limit=10)
    assert [letter for _, letter in (*first, *rest)] == put


def test_a_number_is_never_given_out_again_so_that_a_new_letter_is_always_sent(store):
    store.put(cleared())
    ((first, letter),) = store.pending(after=0, limit=9)
    store.settle(letter.id)
    store.put(cleared())
    assert len(store.pending(after=first, limit=9)) == 1


def test_a_settled_letter_is_gone_and_settling_again_is_nothing(store, path):
    one, two = cleared(), cleared()
    store.put(one)
    store.put(two)
    store.settle(one.id)
    store.settle(one.id)
    with reopened(store, path) as again:
        assert letters(again) == [two]


def test_a_refused_letter_is_put_aside_with_its_reason_and_counted(store, path):
    letter = cleared()
    store.put(letter)
    store.refuse(letter.id, "unknown event")
    store.refuse(letter.id, "said twice")
    assert store.refused() == 1
    assert store.waiting() == 0
    store.__exit__(None, None, None)
    assert raw(path, "SELECT id, reason, letter FROM refused") == [
        (letter.id, "unknown event", canonical.encode(letter))
    ]


def test_a_hub_that_refuses_everything_does_not_fill_the_disk(store, path):
    put = [cleared() for _ in range(REFUSED_KEPT + 5)]
    with store.transaction():
        for letter in put:
            store.put(letter)
            store.refuse(letter.id, "no")
    assert store.refused() == len(put)
    store.__exit__(None, None, None)
    kept = [row[0] for row in raw(path, "SELECT id FROM refused ORDER BY seq")]
    assert kept == [letter.id for letter in put[5:]]


def test_a_full_outbox_takes_no_mere_start_but_everything_that_ends_something(path, caplog):
    with Store(path, letters=2) as store:
        store.put(cleared())
        assert store.put(ran(Outcome.RUNNING))
        assert not store.put(ran(Outcome.RUNNING))
        assert store.dropped == 1
        assert "outbox is full" in caplog.text
        kept = [Letter(id=ident(), report=report()), cleared()]
        kept += [ran(outcome) for outcome in Outcome if outcome is not Outcome.RUNNING]
        assert all(store.put(letter) for letter in kept)
        assert letters(store)[2:] == kept


def test_an_outbox_is_full_by_its_bytes_too(path):
    with Store(path, letter_bytes=50_000) as store:
        assert store.put(ran(Outcome.RUNNING))
        store.put(ran(Outcome.RAN, "x" * 49_900))
        assert not store.put(ran(Outcome.RUNNING))
        store.settle(letters(store)[1].id)
        assert store.put(ran(Outcome.RUNNING))


# ---------------------------------------------------------------- transactions


def test_a_change_and_its_letter_are_one(store, path):
    about = report()

    def cut_short():
        with store.transaction():
            store.open_fault(about)
            store.put(Letter(id=ident(), report=about))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        cut_short()
    with reopened(store, path) as again:
        assert again.open_faults() == ()
        assert again.waiting() == 0
        with again.transaction():
            again.open_fault(about)
            with again.transaction():
                again.put(Letter(id=ident(), report=about))
        assert again.open_faults() == (about,)
        assert again.waiting() == 1


def test_a_letter_with_an_id_that_is_there_undoes_the_whole_change(store):
    letter = cleared()
    store.put(letter)
    about = report()

    def twice():
        with store.transaction():
            store.open_fault(about)
            store.put(letter)

    with pytest.raises(StoreError, match="UNIQUE"):
        twice()
    assert store.report(about.event) is None


# ---------------------------------------------------------------- faults and challenges


def test_an_open_fault_survives_with_its_frozen_context_until_it_clears(store, path):
    one, two = report(), report()
    store.open_fault(one)
    store.open_fault(two)
    store.close_fault(one.event)
    with reopened(store, path) as again:
        assert again.open_faults() == (two,)
        assert again.report(one.event) == one
        assert again.report("no-such-event") is None


def test_a_challenge_is_spent_once_in_its_life(store, path):
    about = report()
    store.open_fault(about)
    assert store.challenge(about.challenge) == (about.event, False)
    assert store.spend(about.challenge, NOW)
    assert not store.spend(about.challenge, NOW)
    with reopened(store, path) as again:
        assert not again.spend(about.challenge, NOW)
        assert again.challenge(about.challenge) == (about.event, True)


def test_a_challenge_that_was_not_issued_cannot_be_spent(store):
    assert not store.spend("f" * 32, NOW)
    assert store.challenge("f" * 32) is None


def test_a_new_challenge_voids_the_unspent_one_and_leaves_the_spent_one_spent(store):
    about = report()
    store.open_fault(about)
    store.spend(about.challenge, NOW)
    second, third = nonce(), nonce()
    store.issue(second, about.event)
    store.issue(third, about.event)
    assert store.challenge(second) is None
    assert not store.spend(second, NOW)
    assert store.challenge(about.challenge) == (about.event, True)
    assert store.spend(third, NOW)


def test_a_spent_challenge_is_not_issued_again(store):
    about = report()
    store.open_fault(about)
    store.spend(about.challenge, NOW)
    with pytest.raises(StoreError, match="UNIQUE"):
        store.issue(about.challenge, about.event)


def test_of_the_faults_that_are_over_only_the_newest_are_kept(store):
    running, old = report(), report()
    for about in (running, old):
        store.open_fault(about)
        store.spend(about.challenge, NOW)
    store.begin_execution(running.challenge, running.event, bundle(running, "running"))
    store.begin_execution(old.challenge, old.event, bundle(old, "old"))
    store.end_execution("old")
    still = report()
    store.open_fault(still)
    with store.transaction():
        store.close_fault(running.event)
        store.close_fault(old.event)
        for _ in range(CLEARED_KEPT + 1):
            about = report()
            store.open_fault(about)
            store.close_fault(about.event)
    assert store.report(old.event) is None
    assert store.challenge(old.challenge) is None
    assert not store.spend(old.challenge, NOW)
    assert store.report(still.event) == still
    assert store.report(running.event) == running
    assert [cut.bundle.incident for cut in store.interrupted()] == ["running"]


# ---------------------------------------------------------------- executions and verifications


@pytest.fixture
def admitted(store):
    """A bundle that was admitted: its challenge is spent, nothing has run."""
    about = report()
    store.open_fault(about)
    with store.transaction():
        assert store.spend(about.challenge, NOW)
        store.begin_execution(about.challenge, about.event, bundle(about))
    return about


def test_what_was_spent_and_not_finished_is_interrupted(store, path, admitted):
    assert store.executing("incident-1")
    with reopened(store, path) as again:
        cut = Interrupted(bundle=bundle(admitted), event=admitted.event, begun=None)
        assert again.interrupted() == (cut,)
        again.end_execution("incident-1")
        assert again.interrupted() == ()
        assert not again.executing("incident-1")


def test_an_interrupted_plan_names_the_command_that_had_started_and_not_ended(
    store, path, admitted
):
    store.begin_command("incident-1", 0)
    store.end_command("incident-1")
    store.begin_command("incident-1", 1)
    with reopened(store, path) as again:
        assert [cut.begun for cut in again.interrupted()] == [1]
        again.end_command("incident-1")
        assert [cut.begun for cut in again.interrupted()] == [None]


def test_no_second_execution_of_an_incident_begins_before_the_first_has_ended(store, admitted):
    store.issue(second := nonce(), admitted.event)
    other = bundle(admitted)
    with pytest.raises(StoreError, match="UNIQUE"):
        store.begin_execution(second, admitted.event, other)
    store.end_execution("incident-1")
    store.begin_execution(second, admitted.event, other)
    assert store.executing("incident-1")


def test_a_bundle_that_was_admitted_is_known_and_another_is_not(store, path, admitted):
    known = bundle(admitted)
    with reopened(store, path) as again:
        assert again.knows(known)
        assert not again.knows(msgspec.structs.replace(known, statement="{ }"))
        assert not again.knows(bundle(admitted, "incident-2"))


def test_a_verification_goes_on_after_a_restart_until_it_is_answered(store, path):
    about = report()
    recovery = plan(about).recovery
    store.begin_verification("incident-1", recovery, NOW)
    with reopened(store, path) as again:
        assert again.verifications() == (("incident-1", recovery, NOW),)
        again.end_verification("incident-1")
        assert again.verifications() == ()


# ---------------------------------------------------------------- uses of rules


def use(**fields):
    whole = Use(rule="r", uses=1, argv="sha256:a", event="e", live=True, at_ms=NOW)
    return msgspec.structs.replace(whole, **fields)


def test_live_uses_are_counted_by_rule_and_time_after_the_file_was_opened_again(store, path):
    store.note([use(uses=2), use(at_ms=NOW + 5), use(rule="other"), use(live=False)])
    with reopened(store, path) as again:
        assert again.used("r", NOW - 1, NOW + 5) == (3, NOW + 5)
        assert again.used("r", NOW, NOW + 5) == (1, NOW + 5)
        assert again.used("r", NOW - 1, NOW + 4) == (2, NOW)
        assert again.used("none", 0, NOW + 5) == (0, None)


def test_a_rehearsal_is_of_one_rule_one_command_and_one_event(store):
    store.note([use(live=False), use(rule="live")])
    assert store.rehearsed("r", "sha256:a", "e")
    for rule, argv, event in [("x", "sha256:a", "e"), ("r", "x", "e"), ("r", "sha256:a", "x")]:
        assert not store.rehearsed(rule, argv, event)
    assert not store.rehearsed("live", "sha256:a", "e")


def test_what_no_limit_looks_back_to_is_forgotten(store):
    store.note([use()])
    store.note([use(rule="later", at_ms=NOW + USES_KEPT_MS)])
    assert store.used("r", 0, NOW) == (1, NOW)
    store.note([use(rule="later", at_ms=NOW + USES_KEPT_MS + 1)])
    assert store.used("r", 0, NOW) == (0, None)
    store.note([])


# ---------------------------------------------------------------- the file


def test_the_file_is_strict_durable_and_only_ours_to_read(store, path, admitted):
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.chmod(0o644)
    with reopened(store, path):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    tables = raw(
        path, "SELECT sql FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'"
    )
    assert len(tables) == 9
    assert all(sql.endswith("STRICT") for (sql,) in tables)
    assert raw(path, "PRAGMA journal_mode") == [("wal",)]
    assert raw(path, "PRAGMA user_version") == [(VERSION,)]


def test_every_commit_waits_for_the_disk(store):
    assert store._db.execute("PRAGMA synchronous").fetchone() == (2,)


def refusal(path):
    with pytest.raises(StoreError) as caught:
        Store(path)
    assert str(path) in caught.value.what
    assert caught.value.hint
    return caught.value


def test_a_file_of_a_newer_version_is_refused_and_left_as_it_is(store, path):
    store.__exit__(None, None, None)
    raw(path, f"PRAGMA user_version = {VERSION + 1}")
    before = path.read_bytes()
    error = refusal(path)
    assert f"version {VERSION + 1}" in error.what
    assert "newer agent" in error.hint
    assert path.read_bytes() == before


def test_a_file_of_the_version_before_gets_what_it_lacks_and_keeps_what_it_has(store, path):
    letter = cleared()
    store.put(letter)
    store.__exit__(None, None, None)
    raw(path, "DROP TABLE rule_use")
    raw(path, "PRAGMA user_version = 1")
    with Store(path) as again:
        assert letters(again) == [letter]
        again.note([use()])
        assert again.used("r", 0, NOW) == (1, NOW)
    assert raw(path, "PRAGMA user_version") == [(VERSION,)]


def test_a_file_that_is_no_database_is_refused(path):
    path.write_bytes(b"no database at all " * 500)
    assert "move it away" in refusal(path).hint


def test_somebody_elses_database_is_refused_and_left_as_it_is(path):
    raw(path, "CREATE TABLE outbox (id)")
    before = path.read_bytes()
    assert "not an agent's" in refusal(path).what
    assert path.read_bytes() == before


def test_a_damaged_file_is_refused(store, path):
    for _ in range(200):
        store.put(cleared())
    store.__exit__(None, None, None)
    data = bytearray(path.read_bytes())
    for page in range(2, len(data) // 4096):
        data[page * 4096 : page * 4096 + 2048] = os.urandom(2048)
    path.write_bytes(data)
    assert "move it away" in refusal(path).hint


def test_a_second_agent_on_the_same_file_is_refused(store, path, monkeypatch):
    monkeypatch.setattr("sentinel.agent.store_file.LOCK_S", 0.1)
    assert "another agent" in refusal(path).hint


def test_a_directory_that_is_not_there_is_refused(tmp_path):
    assert "own the file" in refusal(tmp_path / "none" / "node.db").hint
