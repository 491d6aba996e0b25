"""How the two programs of a node ask the gate: what is kept, what is spent, and what a lying agent wins."""

from __future__ import annotations

import subprocess

import msgspec
import pytest

from sentinel.agent import admit, execute, gate
from sentinel.agent.store import CLEARED_KEPT, Store
from sentinel.domain import Process
from sentinel.trust import identity
from tests.unit.agent.gate import HOG, NOW, World, nonce, plan, report


@pytest.fixture
def world(tmp_path):
    with Store(tmp_path / "node.db") as store:
        yield World(store)


@pytest.fixture
def executor(world, tmp_path):
    """The gate of sentinel-exec: as the agent's, with a store that has heard of nothing yet."""
    with Store(tmp_path / "exec.db") as store:
        yield msgspec.structs.replace(world.node, store=store)


@pytest.fixture
def sleeper():
    child = subprocess.Popen(["sleep", "86370"])
    yield child
    child.kill()
    child.wait()


def changed(noun, **fields):
    return msgspec.structs.replace(noun, **fields)


def about(child, name):
    ticks = execute.start_ticks(child.pid)
    whole = report()
    processes = (Process(pid=child.pid, start_ticks=ticks, name=name),)
    return changed(whole, context=changed(whole.context, processes=processes))


def check(outcome):
    return outcome.check if isinstance(outcome, admit.Refused) else "admitted"


def test_to_ask_spends_nothing(world):
    for _ in range(2):
        assert check(gate.ask(world.bundle(), world.node, NOW)) == "admitted"
    assert check(admit.admit(world.bundle(), world.node, NOW)) == "admitted"
    assert check(gate.ask(world.bundle(), world.node, NOW)) == "challenge.spent"


def test_what_is_handed_over_is_admitted_once(world, executor):
    assert check(gate.admit_handed(world.bundle(), world.report, executor, NOW)) == "admitted"
    executor.store.end_execution(world.plan.incident)
    again = gate.admit_handed(world.bundle(), world.report, executor, NOW)
    assert check(again) == "challenge.spent"


def test_another_challenge_of_the_agents_making_does_not_help(world, executor):
    gate.admit_handed(world.bundle(), world.report, executor, NOW)
    executor.store.end_execution(world.plan.incident)
    renewed = changed(world.report, challenge=nonce())
    assert check(gate.admit_handed(world.bundle(), renewed, executor, NOW)) == "challenge.spent"


def test_a_second_plan_of_the_same_event_is_admitted_under_a_fresh_challenge(world, executor):
    gate.admit_handed(world.bundle(), world.report, executor, NOW)
    executor.store.end_execution(world.plan.incident)
    renewed = changed(world.report, challenge=nonce())
    second = world.of(plan(world.report), challenge=renewed.challenge)
    assert check(gate.admit_handed(second, renewed, executor, NOW)) == "admitted"


def test_a_plan_that_is_refused_leaves_nothing_behind(world, executor):
    unsigned = world.bundle(signers=())
    assert check(gate.admit_handed(unsigned, world.report, executor, NOW)) == "signatures.missing"
    assert executor.store.report(world.report.event) is None
    assert executor.store.challenge(world.report.challenge) is None


def test_no_flood_of_reports_makes_it_forget_what_was_used(world, executor):
    gate.admit_handed(world.bundle(), world.report, executor, NOW)
    executor.store.end_execution(world.plan.incident)
    for _ in range(CLEARED_KEPT + 10):
        junk = report()
        gate.admit_handed(world.of(plan(junk)), junk, executor, NOW + 3_600_000)
    again = gate.admit_handed(world.bundle(), world.report, executor, NOW)
    assert check(again) == "challenge.spent"


def test_a_report_is_not_told_otherwise_later(world, executor):
    gate.admit_handed(world.bundle(), world.report, executor, NOW)
    executor.store.end_execution(world.plan.incident)
    processes = (Process(pid=HOG, start_ticks=777, name="other"),)
    context = changed(world.report.context, processes=processes)
    other = changed(world.report, context=context, challenge=nonce())
    second = world.of(plan(world.report), challenge=other.challenge)
    assert check(gate.admit_handed(second, other, executor, NOW)) == "report.changed"


def approved(tmp_path, executor, about, command):
    """The bundle of a plan about another report, signed by the people whom that gate knows."""
    with Store(tmp_path / "other.db") as store:
        world = World(store, about=about)
        world.people = executor.verifier.__self__
        return world.of(plan(about, (command,)))


def test_a_process_is_not_given_another_name(tmp_path, executor, sleeper):
    lie = about(sleeper, "harmless")
    bundle = approved(tmp_path, executor, lie, f"kill -TERM {sleeper.pid}")
    outcome = gate.admit_handed(bundle, lie, executor, NOW)
    assert check(outcome) == "report.process"
    assert "sleep, the report says harmless" in outcome.reason


def test_the_name_that_the_kernel_knows_is_admitted(tmp_path, executor, sleeper):
    truth = about(sleeper, "sleep")
    bundle = approved(tmp_path, executor, truth, f"kill -TERM {sleeper.pid}")
    assert check(gate.admit_handed(bundle, truth, executor, NOW)) == "admitted"


def test_a_process_that_the_plan_does_not_name_is_not_asked_about(tmp_path, executor, sleeper):
    lie = about(sleeper, "harmless")
    bundle = approved(tmp_path, executor, lie, "echo hello")
    assert check(gate.admit_handed(bundle, lie, executor, NOW)) == "admitted"


def test_the_name_of_the_host_is_a_root_of_trust(tmp_path):
    (tmp_path / identity.HOST).write_text("web1\n")
    assert gate.host_of(tmp_path) == "web1"
