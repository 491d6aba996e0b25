"""What a node believes of the hub's log: that it grows, and nothing else."""

from __future__ import annotations

import pytest

from sentinel.agent import witness
from sentinel.agent.store import CHECKPOINTS_KEPT, Store
from sentinel.domain import Growth
from sentinel.errors import SignatureError
from tests.unit.agent.gate import Log


@pytest.fixture
def store(tmp_path):
    with Store(tmp_path / "node.db") as opened:
        yield opened


def see(log, store, *, now=True, growth=None):
    note, proofs = log.note()
    shown = proofs if growth is None else growth
    return witness.follow(note, shown, log.signer.key, store, now=now)


def check_of(log, store, **how):
    before = store.seen()
    with pytest.raises(SignatureError) as caught:
        see(log, store, **how)
    assert store.seen() == before
    return caught.value.check


def grow(log, count, word="honest"):
    for n in range(count):
        log.add(f"{word} {n}")


def test_a_log_that_grows_is_followed_through_every_size(store):
    log = Log(store)
    for size in range(70):
        assert see(log, store).size == size
        assert see(log, store).size == size
        grow(log, 1)
    assert store.seen() == (69, 0)


def test_what_was_seen_survives_a_restart(tmp_path):
    with Store(tmp_path / "node.db") as store:
        log = Log(store)
        grow(log, 5)
        see(log, store)
        store.note_handed(5)
        grow(log, 2)
        see(log, store)
    with Store(tmp_path / "node.db") as store:
        assert store.seen() == (7, 5)
        other = Log(store)
        grow(other, 6)
        assert check_of(other, store) == witness.ROLLBACK


@pytest.mark.parametrize("size", [3, 5, 9])
def test_another_history_is_a_fork_or_a_rollback(store, size):
    log, other = Log(store), Log(store)
    grow(log, 5)
    see(log, store)
    grow(other, size, "forged")
    assert check_of(other, store) == (witness.ROLLBACK if size < 5 else witness.FORK)


def test_a_return_to_what_was_seen_before_is_a_rollback_only_if_it_is_now(store):
    log = Log(store)
    grow(log, 3)
    note, _ = log.note()
    witness.follow(note, (), log.signer.key, store, now=True)
    grow(log, 4)
    see(log, store)
    with pytest.raises(SignatureError) as caught:
        witness.follow(note, (), log.signer.key, store, now=True)
    assert caught.value.check == witness.ROLLBACK
    assert "has 3 records, and this node has seen 7" in caught.value.what
    assert witness.follow(note, (), log.signer.key, store, now=False).size == 3


def test_growth_without_its_proof_is_not_believed_and_no_alarm(store):
    log = Log(store)
    grow(log, 3)
    see(log, store)
    grow(log, 3)
    wrong = (Growth(since=2, proof=("0" * 64,)),)
    assert check_of(log, store, growth=()) == "checkpoint.unproved"
    assert check_of(log, store, growth=wrong) == "checkpoint.unproved"
    assert "checkpoint.unproved" not in witness.ALARMS
    forged = (Growth(since=3, proof=("0" * 64,)),)
    assert check_of(log, store, growth=forged) == witness.FORK
    assert see(log, store).size == 6


def test_another_key_is_no_alarm(store):
    log, other = Log(store), Log(store, seed=b"1" * 32)
    grow(log, 3)
    see(log, store)
    grow(other, 4)
    note, growth = other.note()
    with pytest.raises(SignatureError) as caught:
        witness.follow(note, growth, log.signer.key, store, now=True)
    assert caught.value.check == "checkpoint.key"
    assert caught.value.check not in witness.ALARMS


def test_old_checkpoints_are_forgotten_but_what_the_executor_has_seen(store):
    log = Log(store)
    for size in range(1, CHECKPOINTS_KEPT + 40):
        grow(log, 1)
        see(log, store)
        if size == 5:
            store.note_handed(5)
    assert store.seen() == (CHECKPOINTS_KEPT + 39, 5)
    assert store.checkpoint(5) is not None
    store.note_handed(CHECKPOINTS_KEPT + 39)
    for _ in range(3):
        grow(log, 1)
        see(log, store)
    assert store.checkpoint(5) is None
    assert store.checkpoint(CHECKPOINTS_KEPT) is not None


def test_an_alarm_stays_until_somebody_forgets_what_was_seen(tmp_path):
    with Store(tmp_path / "node.db") as store:
        log = Log(store)
        grow(log, 3)
        see(log, store)
        assert store.alarm() is None
        assert store.raise_alarm(witness.FORK, "two logs")
        assert not store.raise_alarm(witness.ROLLBACK, "another")
    with Store(tmp_path / "node.db") as store:
        assert store.alarm() == (witness.FORK, "two logs")
        store.forget_checkpoints()
        assert store.alarm() is None
        assert store.seen() == (0, 0)


def test_the_first_checkpoint_is_taken_on_the_word_of_the_pinned_key_alone(store):
    log = Log(store)
    grow(log, 9)
    assert see(log, store, growth=()).size == 9
