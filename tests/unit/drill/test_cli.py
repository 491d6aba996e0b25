"""`sentinel drill` as a person types it. (Against a hub: tests/e2e/test_drill.py.)"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

from sentinel.drill import scenarios
from sentinel.drill.scenarios import SCENARIOS
from tests.unit.drill.test_worker import until
from tests.unit.test_doors import modules_after

SENTINEL = [sys.executable, "-m", "sentinel.cli", "drill"]


def said(*words, status=0):
    done = subprocess.run([*SENTINEL, *words], capture_output=True, text=True, check=False)
    assert done.returncode == status, done.stderr
    return done.stdout + done.stderr


def test_the_scenarios_are_told_with_what_is_expected_of_them():
    told = said("list")
    for each in SCENARIOS:
        assert each.does in told
        assert f"over within {each.life_s} s" in told
        assert f"expected: {each.kind.value}, planned for by {each.runbook}" in told
    values = [json.loads(line) for line in said("list", "--json").splitlines()]
    assert [value["name"] for value in values] == [each.name for each in SCENARIOS]


def test_the_rules_are_printed_as_agent_toml():
    assert said("rules") == scenarios.rules()


# `fire` under a process name of the test's own: another test's drill must not stand in its way.
RENAMED = """
import os, sys, msgspec
from sentinel import cli
from sentinel.drill import scenarios
scenarios.SCENARIOS = tuple(
    msgspec.structs.replace(each, process=f"drill-{os.getpid()}") for each in scenarios.SCENARIOS
)
sys.exit(cli.main(["drill", *sys.argv[1:]]))
"""


def test_what_is_fired_says_where_and_ends_on_a_signal():
    command = [sys.executable, "-c", RENAMED, "fire", "spin"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as run:
        first = run.stdout.readline()
        assert first.startswith("spin runs as pid ")
        pid = int(first.split()[4])
        # The kernel has a command line for it a moment after it has started it.
        until(lambda: b"drill/worker.py" in Path(f"/proc/{pid}/cmdline").read_bytes())
        run.send_signal(signal.SIGTERM)
        assert "spin is over" in run.stdout.read()
        assert run.wait(30) == 0
    assert not Path(f"/proc/{pid}").exists()


def test_a_drill_that_does_not_exist_is_refused_and_the_help_says_where_it_runs():
    assert "did you mean zombies?" in said("fire", "zombie", status=2)
    told = " ".join(said("fire", "--help").split())
    assert "on THIS host" in told
    assert "a hub cannot start one" in told


def test_neither_agent_nor_hub_loads_it_and_it_loads_neither():
    for room in ("agent", "hub"):
        loaded = modules_after(f"import sentinel.{room}.main")
        assert not {name for name in loaded if name.startswith("sentinel.drill")}
    loaded = modules_after("import sentinel.drill.cli")
    assert not loaded & {"sentinel.agent", "sentinel.hub", "sentinel.tui", "grpc", "textual"}
