"""`kill -9` of a process that works on the store, at random moments: nothing accepted is lost, nothing runs twice.

The worker does what the agent does, and says each step on a pipe as soon as the store has returned from
it; "ran" is the deed itself, said right after its start is on record. It never repeats what it said.
"""

from __future__ import annotations

import itertools
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from sentinel import canonical
from sentinel.agent.store import Store
from sentinel.domain import Bundle
from sentinel.protocol import Cleared, Letter
from tests.unit.agent.gate import NOW, plan, report

KILLS = 60
STEPS = 20  # at most, that a worker may say before it is killed
LONGEST_S = 0.003  # after that, so that the kill falls anywhere within the next step
COMMANDS = 2


# ---------------------------------------------------------------- the process that is killed


def say(*words):
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


def letter(name):
    return Letter(id=name, cleared=Cleared(event=name, observed=0, at_ms=NOW))


def work(path, name):
    with Store(path) as store:
        say("up", os.getpid())
        for cut in store.interrupted():
            incident = cut.bundle.incident
            with store.transaction():
                store.end_execution(incident)
                store.put(letter(f"cut-{incident}"))
            say("interrupted", incident, cut.begun)
        for number in itertools.count():
            step(store, f"{name}.{number}")


def step(store, name):
    about = report(event=f"e-{name}", challenge=os.urandom(16).hex())
    with store.transaction():
        store.open_fault(about)
        store.put(Letter(id=f"r-{name}", report=about))
    say("reported", name)
    incident = f"i-{name}"
    bundle = Bundle(
        incident=incident,
        plan=canonical.encode(plan(about, incident=incident)).decode(),
        statement="{}",
    )
    with store.transaction():
        assert store.spend(about.challenge, NOW)
        store.begin_execution(about.challenge, about.event, bundle)
    say("spent", incident, about.challenge)
    for index in range(COMMANDS):
        store.begin_command(incident, index)
        say("ran", incident, index)
        with store.transaction():
            store.end_command(incident)
            store.put(letter(f"ended-{name}.{index}"))
        say("ended", incident, index)
    with store.transaction():
        store.end_execution(incident)
        store.put(letter(f"finished-{name}"))
    say("finished", incident)
    store.settle(f"ended-{name}.0")
    say("settled", name)


def breed(path):
    """Fork a worker for each line on standard input, and say when it is dead."""
    for name in sys.stdin:
        child = os.fork()
        if child == 0:
            work(path, name.strip())
        os.waitpid(child, 0)
        say("dead")


# ---------------------------------------------------------------- the test


PUT = {
    "reported": lambda name: f"r-{name}",
    "ended": lambda incident, index: f"ended-{incident[2:]}.{index}",
    "finished": lambda incident: f"finished-{incident[2:]}",
    "interrupted": lambda incident, _: f"cut-{incident}",
}


class Witness:
    """What the workers have said so far, and what the file held when it was last looked at."""

    def __init__(self):
        self.said = []
        self.letters = []
        self.running = set()

    def of(self, verb):
        return [tuple(words) for said, *words in self.said if said == verb]

    def check(self, store, fresh):
        """Compare the file with what was said since the last time; the last step may be unsaid."""
        self.said += fresh
        self.check_letters(store, fresh)
        self.check_executions(store, fresh)
        for _, challenge in self.of("spent"):
            assert not store.spend(challenge, NOW)
        assert set(Counter(self.of("ran")).values()) <= {1}
        assert set(Counter(self.of("spent")).values()) <= {1}

    def check_letters(self, store, fresh):
        there = [letter.id for _, letter in store.pending(after=0, limit=100_000)]
        must = self.letters + [PUT[verb](*words) for verb, *words in fresh if verb in PUT]
        for verb, *words in fresh:
            if verb == "settled":
                must.remove(f"ended-{words[0]}.0")
        lost, extra = set(must) - set(there), set(there) - set(must)
        assert all(name.startswith("ended-") and name.endswith(".0") for name in lost)  # settled
        assert len(lost | extra) <= 1
        assert [name for name in there if name not in extra] == [n for n in must if n not in lost]
        # A report is there with its fault, and a fault with its report.
        events = [fault.event[2:] for fault in store.open_faults()]
        assert events == [name[2:] for name in there if name.startswith("r-")]
        self.letters = there

    def check_executions(self, store, fresh):
        spent = {words[0] for verb, *words in fresh if verb == "spent"}
        over = {words[0] for verb, *words in fresh if verb in ("finished", "interrupted")}
        left = {cut.bundle.incident: cut.begun for cut in store.interrupted()}
        assert len(((self.running | spent) - over) ^ set(left)) <= 1
        ended = {name for name in self.letters if name.startswith("ended-")}
        for incident, index in self.of("ran"):
            if incident in left and f"ended-{incident[2:]}.{index}" not in ended:
                assert left[incident] == int(index)  # what ran and did not end is on record
        self.running = set(left)


@pytest.fixture
def breeder(tmp_path):
    path = tmp_path / "node.db"
    child = subprocess.Popen(
        [sys.executable, "-m", __name__, str(path)],
        cwd=Path(__file__).parents[3],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    yield path, child
    child.stdin.close()
    child.wait()
    child.stdout.close()


def test_no_kill_loses_an_accepted_event_or_repeats_an_execution(breeder):
    path, child = breeder
    chance = random.Random(20261121)
    witness = Witness()
    for number in range(KILLS):
        child.stdin.write(f"{number}\n")
        child.stdin.flush()
        words = child.stdout.readline().split()
        assert words[0] == "up"
        lines = [child.stdout.readline() for _ in range(chance.randrange(STEPS))]
        time.sleep(chance.uniform(0, LONGEST_S))
        os.kill(int(words[1]), signal.SIGKILL)
        fresh = [line.split() for line in (*lines, *iter(child.stdout.readline, "dead\n"))]
        with Store(path) as store:
            witness.check(store, fresh)
    # It was worth it: there was work, and kills fell between a start and its end.
    assert len(witness.of("finished")) > KILLS / 2
    assert {begun for _, begun in witness.of("interrupted")} >= {"0", "1"}


if __name__ == "__main__":
    breed(Path(sys.argv[1]))
