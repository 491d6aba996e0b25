"""A plan from the gate to its last result, on real processes: in order, at most what is allowed, on record first."""

from __future__ import annotations

import asyncio
import itertools
import subprocess

import msgspec
import pytest

from sentinel.agent import admit, execute, hands
from sentinel.agent.store import Store
from sentinel.domain import Mode, Outcome, Process
from sentinel.protocol import Finish
from tests.unit.agent.gate import NOW, POLICY, World, plan, report


@pytest.fixture
def store(tmp_path):
    with Store(tmp_path / "node.db") as opened:
        yield opened


@pytest.fixture
def victim():
    """A process that TERM ends, and what the node captured of it."""
    child = subprocess.Popen(["sleep", "86380"])
    yield child
    child.kill()
    child.wait()


def about(child, drift=0):
    ticks = execute.start_ticks(child.pid) + drift
    captured = Process(pid=child.pid, start_ticks=ticks, name="sleep")
    whole = report()
    return msgspec.structs.replace(
        whole, context=msgspec.structs.replace(whole.context, processes=(captured,))
    )


def admitted(store, commands, mode=Mode.LIVE, captured=None):
    world = World(store, about=captured)
    outcome = admit.admit(world.of(plan(world.report, commands), mode=mode), world.node, NOW)
    assert isinstance(outcome, admit.Admitted), outcome
    return outcome


async def results(outcome, tell=lambda _: ""):
    """How the plan ended, and everything that was said of its commands."""
    said = []

    def both(result):
        said.append(result)
        return tell(result)

    clock = itertools.count(NOW).__next__
    finish = await hands.run_plan(outcome, POLICY, both, clock=clock)
    return finish, said


def brief(said):
    return [(result.index, result.outcome.value) for result in said]


async def test_the_commands_run_in_order_and_each_start_is_told_before_it(store):
    finish, said = await results(admitted(store, ["echo one", "echo two"]))
    assert finish is Finish.ALL_RAN
    assert brief(said) == [(0, "running"), (0, "ran"), (1, "running"), (1, "ran")]
    assert [result.stdout for result in said] == ["", "one\n", "", "two\n"]
    assert said[1].argv == ("echo", "one")
    assert said[0].started_ms == said[1].started_ms < said[1].ended_ms


async def test_a_secret_that_a_command_prints_does_not_leave_the_node(store):
    _, said = await results(admitted(store, ["echo requirepass hunter2 password=hunter3 port=80"]))
    assert said[-1].stdout == "requirepass [redacted] password=[redacted] port=80\n"


async def test_a_captured_process_is_signalled_live(store, victim):
    captured = about(victim)
    finish, _ = await results(admitted(store, [f"kill -TERM {victim.pid}"], captured=captured))
    assert finish is Finish.ALL_RAN
    assert victim.wait() == -15


async def test_a_rehearsal_starts_nothing_and_shows_what_would_run(store, victim):
    captured = about(victim)
    commands = [f"kill -TERM {victim.pid}", "echo x | echo y"]
    finish, said = await results(admitted(store, commands, Mode.DRY_RUN, captured))
    assert finish is Finish.REHEARSED
    assert brief(said) == [(0, "rehearsed"), (1, "rehearsed")]
    assert said[0].argv == ("kill", "-TERM", str(victim.pid))
    assert said[1].argv == ("echo", "x", "|", "echo", "y")
    assert victim.poll() is None


async def test_what_is_not_allowed_is_skipped_with_its_reason_and_the_rest_runs(store):
    finish, said = await results(admitted(store, ["shutdown now", "echo on"]))
    assert finish is Finish.ALL_RAN
    assert brief(said) == [(0, "skipped"), (1, "running"), (1, "ran")]
    assert said[0].reason == "review: no rule is about shutdown"


async def test_the_first_failure_stops_the_rest(store):
    finish, said = await results(admitted(store, ["echo one", "false", "echo three"]))
    assert finish is Finish.ONE_FAILED
    assert brief(said)[2:] == [(1, "running"), (1, "failed"), (2, "skipped")]
    assert said[3].exit_status == 1
    assert said[4].reason == "command 2 failed"


def stop_at(*moment):
    """Tell as an agent does that is told to stop while the command of `moment` is told."""
    return lambda result: "enough" if (result.index, result.outcome.value) == moment else ""


async def test_what_had_started_when_a_plan_was_stopped_ends_and_nothing_starts_after_it(store):
    outcome = admitted(store, ["echo one", "shutdown now", "echo three"])
    finish, said = await results(outcome, stop_at(0, "ran"))
    assert finish is Finish.STOPPED
    assert brief(said) == [(0, "running"), (0, "ran"), (1, "skipped"), (2, "skipped")]
    assert said[1].stdout == "one\n"
    assert said[3].reason == "enough"


async def test_a_start_that_is_answered_by_a_stop_is_none(store, victim):
    captured = about(victim)
    commands = ["echo one", f"kill -TERM {victim.pid}", "echo three"]
    outcome = admitted(store, commands, captured=captured)
    finish, said = await results(outcome, stop_at(1, "running"))
    assert finish is Finish.STOPPED
    assert brief(said)[2:] == [(1, "running"), (1, "skipped"), (2, "skipped")]
    assert victim.poll() is None


async def test_a_plan_that_was_stopped_before_its_first_command_runs_none(store):
    clock = itertools.count(NOW).__next__
    outcome, said = admitted(store, ["echo one", "echo two"]), []

    def tell(result):
        said.append(result)
        return ""

    finish = await hands.run_plan(outcome, POLICY, tell, clock=clock, stopped="enough")
    assert finish is Finish.STOPPED
    assert brief(said) == [(0, "skipped"), (1, "skipped")]


@pytest.mark.parametrize(
    ("last", "finish"),
    [("echo two", Finish.ALL_RAN), ("shutdown now", Finish.ALL_RAN), ("false", Finish.ONE_FAILED)],
)
async def test_a_stop_after_the_last_command_that_may_run_changes_nothing(store, last, finish):
    outcome = admitted(store, ["echo one", last])
    when = (0, "ran") if last == "shutdown now" else (1, "failed" if last == "false" else "ran")
    ended, said = await results(outcome, stop_at(*when))
    assert ended is finish
    assert said[0].outcome is Outcome.RUNNING


async def test_the_failure_of_what_ran_when_the_plan_was_stopped_is_what_ends_it(store):
    finish, said = await results(admitted(store, ["false", "echo two"]), stop_at(0, "failed"))
    assert finish is Finish.ONE_FAILED
    assert said[-1].reason == "command 1 failed"


async def test_a_rehearsal_that_was_stopped_is_a_rehearsal(store):
    outcome = admitted(store, ["echo one", "echo two"], Mode.DRY_RUN)
    finish, said = await results(outcome, stop_at(0, "rehearsed"))
    assert finish is Finish.REHEARSED
    assert brief(said) == [(0, "rehearsed"), (1, "skipped")]


async def test_a_command_that_takes_too_long_stops_the_rest(store):
    outcome = admitted(store, ["sleep 86381", "echo on"])
    slow, after = outcome.plan.commands
    hurried = msgspec.structs.replace(slow, timeout_s=1)
    shorter = msgspec.structs.replace(outcome.plan, commands=(hurried, after))
    finish, said = await results(msgspec.structs.replace(outcome, plan=shorter))
    assert finish is Finish.ONE_FAILED
    assert brief(said) == [(0, "running"), (0, "timed-out"), (1, "skipped")]


async def test_a_pid_that_was_given_to_another_process_is_not_signalled(store, victim):
    captured = about(victim, drift=-1)
    finish, said = await results(admitted(store, [f"kill -TERM {victim.pid}"], captured=captured))
    assert finish is Finish.ONE_FAILED
    assert said[-1].outcome is Outcome.FAILED
    assert said[-1].reason == f"pid {victim.pid} is another process now"
    assert victim.poll() is None


async def test_nothing_starts_whose_start_is_not_on_record(store, victim):
    captured = about(victim)
    outcome = admitted(store, [f"kill -TERM {victim.pid}"], captured=captured)

    def full(_):
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        await results(outcome, full)
    assert victim.poll() is None


async def test_a_tree_that_was_not_the_one_judged_does_not_run(store):
    outcome = admitted(store, ["echo one"])
    forged = plan(outcome.report, ["echo two"])
    finish, said = await results(msgspec.structs.replace(outcome, plan=forged))
    assert finish is Finish.ONE_FAILED
    assert said[-1].reason == "the tree to run is not the tree that was judged"
    assert said[-1].stdout == ""


async def test_a_plan_that_is_cancelled_is_found_interrupted_and_not_repeated(store):
    outcome = admitted(store, ["sleep 86382"])
    incident = outcome.bundle.incident
    task = asyncio.ensure_future(
        results(outcome, lambda result: store.begin_command(incident, result.index))
    )
    await asyncio.sleep(0.1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    (cut,) = store.interrupted()
    assert (cut.bundle, cut.begun) == (outcome.bundle, 0)
    (result,) = hands.cut_short(cut, NOW)
    assert (result.index, result.outcome) == (0, Outcome.INTERRUPTED)
