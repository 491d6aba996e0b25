"""A drill fired on a host with an agent: seen, planned for, and scored from the hub's record."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

import pytest

from sentinel import demo
from sentinel.drill import scenarios
from tests.e2e.place import Place

# `sentinel` with every drill under a process name of the test's own: tests run side by side.
RENAMED = """
import os, sys, msgspec
from sentinel import cli
from sentinel.drill import scenarios
mark = os.environ["DRILL_MARK"]
def renamed(of):
    process = f"d{mark}-{of.name[:4]}"
    return msgspec.structs.replace(of, process=process, rule=of.rule.replace(of.process, process))
scenarios.SCENARIOS = tuple(map(renamed, scenarios.SCENARIOS))
sys.exit(cli.main(sys.argv[1:]))
"""


@pytest.fixture
def place(tmp_path):
    made = Place(tmp_path, "nothing")
    made.environment["DRILL_MARK"] = str(os.getpid() % 100_000)
    try:
        rules = said(run(made, "drill", "rules"))
        agent = 'interval = "250ms"\nprocess_interval = "250ms"\nshipped_rules = false\n'
        made.site.set_up(
            demo.HUB_TOML.format(mode="live", engine="playbook", url="", model=""), agent + rules
        )
        made.site.start("agent")
        yield made
    finally:
        made.site.stop()


def run(place, *words):
    command = [sys.executable, "-c", RENAMED, *map(str, words)]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=False, env=place.environment
    )


def said(done, status=0):
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout


def results(place):
    done = run(place, "drill", "results", "--json", "--identity", place.site.operator)
    assert done.returncode in (0, 1), done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_a_drill_is_seen_planned_for_and_scored(place):
    command = [sys.executable, "-c", RENAMED, "drill", "fire", "files"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=place.environment
    ) as fired:
        try:
            assert "files runs as pid" in fired.stdout.readline()
            deadline = time.monotonic() + 60
            while not (found := results(place)) or found[0]["verdict"] is None:
                assert time.monotonic() < deadline, place.site.logs()
        finally:
            fired.terminate()
        assert "files is over" in fired.stdout.read()
    (result,) = found
    expected = scenarios.named("files")
    assert (result["scenario"], result["host"]) == ("files", demo.HOST)
    assert result["runbook"] == expected.runbook
    assert (result["kind_right"], result["culprit_right"], result["runbook_right"]) == (True,) * 3
    assert result["detected_s"] < 60
    told = said(run(place, "drill", "results", "--identity", place.site.operator))
    assert "3 of 3" in told
    services = said(run(place, "services", "--json", "--identity", place.site.operator))
    assert [json.loads(line)["past"]["count"] for line in services.splitlines()].count(1) == 1
    one = run(place, "runbooks", expected.runbook, "--json", "--identity", place.site.operator)
    assert json.loads(said(one))["past"]["count"] == 1
