"""Stop after this command, on a real node: nothing more starts, and by a stop no hub makes anything run."""

from __future__ import annotations

import os
import signal

import msgspec
import pytest

from sentinel.domain import Halt, Outcome
from sentinel.protocol import Finish, Stop
from tests.hostile.cheat import ANSWER_S, battle
from tests.hostile.door import Door

WATCH_MS = 3000


class Socket(Door):
    """Each connection becomes the standard input of a sentinel-exec."""

    def __init__(self, folder):
        super().__init__(folder)
        self.children = []

    def serve(self, connection):
        self.children.append(self.executor(connection))

    def end(self):
        super().end()
        for child in self.children:
            child.wait(ANSWER_S)


class Held:
    """A plan whose first command waits for the test, and whose second leaves a canary."""

    def __init__(self, node, deadline_ms=1000, **fields):
        self.node = node
        self.fifo = node.folder / "fifo"
        self.fifo.unlink(missing_ok=True)
        os.mkfifo(self.fifo)
        self.challenge = node.hub.challenge
        commands = (f"cat {self.fifo}", f"mktemp {node.canaries}/run.XXXXXXXX")
        plan = node.plan(*commands, **fields)
        recovery = msgspec.structs.replace(plan.recovery, deadline_ms=deadline_ms)
        self.bundle = node.bundle(msgspec.structs.replace(plan, recovery=recovery))

    def begin(self):
        """Send it, and return once its first command is on the way."""
        assert self.node.answer(self.bundle).admitted
        assert self.result() == (0, Outcome.RUNNING, "")
        return self

    def stop(self, **fields):
        made = Stop(
            incident=self.bundle.incident, challenge=self.challenge, by="alice", reason="wrong host"
        )
        self.node.hub.send(msgspec.structs.replace(made, **fields))

    def answer(self):
        return self.node.hub.stopped.get(timeout=ANSWER_S).answer

    def go_on(self):
        """Let the first command end: it waits for whoever writes."""
        os.close(os.open(self.fifo, os.O_WRONLY))

    def result(self):
        said = self.node.hub.results.get(timeout=ANSWER_S)
        return said.index, said.outcome, said.reason

    def finish(self):
        return self.node.hub.finished.get(timeout=ANSWER_S).finish

    def runs(self):
        """See it to its end as if nobody had stopped anything."""
        before = self.node.ran()
        self.go_on()
        ran = [(0, Outcome.RAN), (1, Outcome.RUNNING), (1, Outcome.RAN)]
        assert [self.result()[:2] for _ in ran] == ran
        assert self.finish() is Finish.ALL_RAN
        assert self.node.ran() == before + 1


@pytest.fixture(scope="module", params=["child", "socket"])
def node(tmp_path_factory, request):
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "child":
        with battle(folder) as made:
            yield made
        return
    listening = Socket(folder)
    listening.start()
    with battle(folder, words=("--exec-socket", str(listening.path))) as made:
        yield made
    listening.end()


@pytest.fixture
def held(node):
    # What came twice because a receipt was lost is the last test's.
    for letters in (node.hub.results, node.hub.stopped, node.hub.finished, node.hub.admissions):
        drain(letters)
    return Held(node)


def test_what_runs_ends_and_nothing_starts_after_it(node, held):
    before = node.ran()
    held.begin()
    held.stop()
    assert held.answer() is Halt.STOPPING
    held.stop(by="bob")  # as after a reconnect
    assert held.answer() is Halt.STOPPING
    held.go_on()
    assert held.result() == (0, Outcome.RAN, "")
    assert held.result() == (1, Outcome.SKIPPED, "stopped by alice: wrong host")
    assert held.finish() is Finish.STOPPED
    assert node.ran() == before
    held.stop()
    assert held.answer() is Halt.TOO_LATE
    # Its approval is spent, and the node waits for another one.
    assert node.refused(node.bundle(challenge=held.challenge)) == "challenge.spent"
    Held(node).begin().runs()


def test_a_stop_of_anything_else_stops_nothing(node, held):
    held.begin()
    held.stop(incident="another")
    assert held.answer() is Halt.TOO_LATE
    held.stop(challenge="0" * 32)
    assert held.answer() is Halt.UNKNOWN
    held.runs()


def test_an_approval_that_was_stopped_on_its_way_runs_nowhere(node, held):
    before = node.ran()
    held.stop()
    said = node.hub.admissions.get(timeout=ANSWER_S)
    assert (said.admitted, said.check, said.reason) == (
        False, "stopped", "stopped by alice: wrong host",
    )  # fmt: skip
    assert node.hub.challenge == said.challenge != held.challenge
    assert node.refused(held.bundle) == "challenge.unknown"
    held.stop()
    assert held.answer() is Halt.UNKNOWN
    assert node.ran() == before
    Held(node).begin().runs()


def test_what_ran_is_watched_until_the_next_approval(node):
    first = Held(node, deadline_ms=WATCH_MS).begin()
    first.stop()
    first.go_on()
    assert first.finish() is Finish.STOPPED
    drain(node.hub.results)
    second = Held(node, deadline_ms=WATCH_MS, incident=first.bundle.incident).begin()
    drain(node.hub.verifications)  # of the time before it began, on a slow machine
    second.go_on()
    ended_ms = node.hub.finished.get(timeout=ANSWER_S).at_ms
    while (said := node.hub.verifications.get(timeout=ANSWER_S)).incident != second.bundle.incident:
        pass
    assert said.at_ms >= ended_ms + WATCH_MS
    drain(node.hub.results)


def drain(letters):
    while not letters.empty():
        letters.get()


@pytest.mark.parametrize(
    "text",
    ["\x1b]0;gotcha\x07\x1b[2J", "\u202e" * 400, "y" * 1024],
    ids=["escapes", "bidi", "long"],
)
def test_what_a_hub_writes_into_a_stop_acts_nowhere(node, held, text):
    held.begin()
    held.stop(by=text[:200], reason=text)
    assert held.answer() is Halt.STOPPING
    held.go_on()
    held.result()
    _, outcome, reason = held.result()
    assert outcome is Outcome.SKIPPED
    assert reason.isprintable()
    assert len(reason) <= 1024
    assert held.finish() is Finish.STOPPED
    log = node.site.logs()
    assert "\x1b" not in log
    assert "\u202e" not in log


def test_a_flood_of_stops_runs_nothing_and_ends_nothing(node, held):
    before = node.ran()
    for number in range(300):
        held.stop(challenge=f"{number:032x}", incident="x" * 60)
    assert {held.answer() for _ in range(300)} == {Halt.UNKNOWN}
    assert node.ran() == before
    held.begin().runs()


@pytest.mark.parametrize("said", [True, False], ids=["answered", "on-its-way"])
def test_kill_9_after_a_stop_goes_on_with_nothing(node, held, said):
    before = node.ran()
    held.begin()
    held.stop()
    if said:
        assert held.answer() is Halt.STOPPING
    node.down(signal.SIGKILL)
    node.site.start("agent", *node.words)
    while (result := held.result())[1] is Outcome.RUNNING:  # a letter that came without its receipt
        pass
    assert result == (
        0, Outcome.INTERRUPTED, "the agent went down while it ran; it is not repeated",
    )  # fmt: skip
    assert held.finish() is Finish.ONE_FAILED
    node.hub.send(held.bundle)  # which it knows: it says nothing more of it
    held.stop()
    while held.answer() is not Halt.TOO_LATE:
        pass
    assert node.ran() == before
    Held(node).begin().runs()
