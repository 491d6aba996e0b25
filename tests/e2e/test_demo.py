"""The README's promise, run as a user runs it: real processes, real TLS, a real fault, a real end."""

from __future__ import annotations

import argparse
import re
import subprocess
import sys

import pytest

from sentinel import demo as module

STAGES = [
    "detect", "capture", "transport", "reason", "validate", "persist", "approve", "execute", "verify",
]  # fmt: skip


def demo(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "sentinel.cli", "demo", "--headless", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def stages_of(output):
    return re.findall(r"^ *\d+ ms  (\w+)", output, re.MULTILINE)


def test_an_approved_plan_ends_the_fault_and_all_nine_stages_are_told():
    done = demo("--live", "--approve")
    assert done.returncode == 0, done.stdout + done.stderr
    assert set(stages_of(done.stdout)) == set(STAGES)
    assert "leaky-worker" in done.stdout
    assert done.stdout.rstrip().endswith("ok: resolved because the plan ran")


def test_a_rejected_plan_executes_nothing_and_says_who_and_why():
    done = demo("--live", "--reject")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "execute" not in stages_of(done.stdout)
    assert "rejected by you: rejected by sentinel demo; nothing was executed" in done.stdout


def test_among_made_up_incidents_it_is_its_own_fault_that_is_decided():
    done = demo("--live", "--reject", "--synthetic", "300")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "made-up" not in done.stdout
    assert "leaky-worker" in done.stdout
    assert "rejected by you: rejected by sentinel demo; nothing was executed" in done.stdout


def test_without_live_an_approved_plan_is_only_rehearsed():
    done = demo("--approve")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "rehearsed: nothing was executed" in done.stdout


@pytest.mark.parametrize(
    ("mode", "author"), [("good", "by ollama:tiny"), ("not-json", "by playbook:memory-hog")]
)
def test_a_model_behind_ollamas_protocol_reasons_or_the_playbook_stands_in(mode, author):
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.fakes.model_server", "--port", "0", "--mode", mode],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        url = server.stdout.readline().strip()
        done = demo("--approve", "--engine", "ollama", "--model", "tiny", "--url", url)
    finally:
        server.terminate()
        server.wait()
        server.stdout.close()
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"plan revision 1 {author}" in done.stdout


def test_another_shell_is_told_how_to_reach_it_as_the_same_person(tmp_path):
    parser = argparse.ArgumentParser()
    module.add_command(parser.add_subparsers())
    made = module.Demo(parser.parse_args(["demo"]), tmp_path)
    said = module.twin(made).split()
    assert f"SSH_AUTH_SOCK={made.site.agent_socket}" in said
    assert said[-2:] == ["--identity", str(made.site.operator)]
