"""What a stop makes of a plan under way: of this one only, from the next command on, and who asked."""

from __future__ import annotations

import msgspec
import pytest

from sentinel.agent import admit, halt
from sentinel.agent.store import Store
from sentinel.domain import CommandResult, Halt, Outcome
from sentinel.protocol import Stop
from tests.unit.agent.gate import NOW, World, nonce, plan


@pytest.fixture
def admitted(tmp_path):
    with Store(tmp_path / "node.db") as store:
        world = World(store)
        commands = ["echo one", "echo two", "shutdown now"]
        outcome = admit.admit(world.of(plan(world.report, commands)), world.node, NOW)
        assert isinstance(outcome, admit.Admitted), outcome
        yield outcome


def stop(of, **fields):
    made = Stop(
        incident=of.plan.incident, challenge=of.statement.challenge, by="alice", reason="wrong host"
    )
    return msgspec.structs.replace(made, **fields)


def word(index, outcome):
    return CommandResult(index=index, outcome=outcome)


def test_a_stop_is_of_one_run_of_one_plan(admitted):
    run = halt.UnderWay(admitted)
    assert run.is_meant(stop(admitted))
    assert not run.is_meant(stop(admitted, challenge=nonce()))
    assert not run.is_meant(stop(admitted, incident="another"))


def test_what_runs_is_on_record_and_the_start_after_it_is_none(admitted):
    run = halt.UnderWay(admitted)
    assert run.records(word(0, Outcome.RUNNING))
    assert run.stop(stop(admitted)) is Halt.STOPPING
    assert run.reason == "stopped by alice: wrong host"
    assert run.records(word(0, Outcome.RAN))
    assert not run.records(word(1, Outcome.RUNNING))
    assert run.records(word(1, Outcome.SKIPPED))
    assert run.ran


def test_before_the_first_command_nothing_ran(admitted):
    run = halt.UnderWay(admitted)
    assert run.stop(stop(admitted)) is Halt.STOPPING
    assert not run.records(word(0, Outcome.RUNNING))
    assert run.records(word(0, Outcome.SKIPPED))
    assert not run.ran


@pytest.mark.parametrize("begun", [Outcome.RUNNING, Outcome.REHEARSED])
def test_once_the_last_command_that_may_run_has_begun_it_is_too_late(admitted, begun):
    run = halt.UnderWay(admitted)
    assert run.records(word(0, begun))
    assert run.records(word(1, begun))
    assert run.stop(stop(admitted)) is Halt.TOO_LATE
    assert run.reason == ""


def test_who_stopped_it_first_is_who_stopped_it(admitted):
    run = halt.UnderWay(admitted)
    run.records(word(0, Outcome.RUNNING))
    assert run.stop(stop(admitted)) is Halt.STOPPING
    assert run.stop(stop(admitted, by="bob")) is Halt.STOPPING
    assert run.reason == "stopped by alice: wrong host"


def test_what_a_hub_says_of_a_stop_is_escaped_and_bounded(admitted):
    said = halt.words(stop(admitted, by="\x1b[2J\u202e" + "x" * 200, reason="\x1b" * 1000))
    assert said.isprintable()
    assert len(said) <= 900
    assert halt.words(stop(admitted, reason=" ")) == "stopped by alice"
