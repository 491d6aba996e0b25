"""`kill -9` between spend and run, on the real programs: the approval is lost, and never runs later.

Between the agent and sentinel-exec stands a socket, as systemd's would, that lets through one word after
the other. So each moment in which something was spent and nothing has run yet can be held, and the one,
the other or both programs killed in it.
"""

from __future__ import annotations

import contextlib
import itertools
import shutil
import signal
import socket
import sqlite3
import threading

import msgspec
import pytest

from sentinel.agent import exec_main, handover
from sentinel.agent import main as agent_main
from sentinel.protocol import Finish
from tests.hostile.cheat import ANSWER_S, battle
from tests.hostile.door import Door

# What the next word would be, counted from the order of the agent; `handover` has the list.
SPENT_BY_EXEC = 1  # its answer, which the agent has not heard
SPENT_BY_BOTH = 2  # the agent's "go on" to that
START_ON_RECORD = 4  # the agent's "go on" to the first command


class Between(Door):
    """Gives the agent a real sentinel-exec for each plan, and holds one word of their talk."""

    def __init__(self, folder):
        super().__init__(folder)
        self.hold_at = None
        self.held, self.over = threading.Event(), threading.Event()
        self.child = None

    def serve(self, agent):
        with self.talking() as ours, contextlib.suppress(EOFError, OSError):
            self._talk(agent, ours)

    def end(self):
        self.over.set()
        super().end()

    @contextlib.contextmanager
    def talking(self):
        """Our end of the socket of a fresh sentinel-exec."""
        ours, theirs = socket.socketpair()
        with theirs:
            self.child = child = self.executor(theirs)
        try:
            with ours:
                yield ours
        finally:
            child.wait(ANSWER_S)

    def _talk(self, agent, ours):
        """Carry word after word, by turns, to the end or to the one that is held."""
        for turn, (speaker, hearer) in enumerate(itertools.cycle([(agent, ours), (ours, agent)])):
            word = frame(speaker)
            if turn == self.hold_at:
                self.hold_at = None
                self.held.set()
                self.over.wait()
                return
            hearer.sendall(word)

    def hand(self, bundle, report):
        """Hand a plan over as an agent that was taken over would; return what it is refused by."""
        with self.talking() as ours:
            ours.sendall(handover.frame(handover.Order(bundle=bundle, report=report)))
            peer = handover.Peer(ours)
            said = peer.receive(handover.Word).admission
            assert not said.admitted
            return said.check


def frame(speaker):
    """The next frame, as it is."""
    head = exactly(speaker, 4)
    return head + exactly(speaker, handover.length(head))


def exactly(speaker, size):
    data = b""
    while len(data) < size:
        if not (part := speaker.recv(size - len(data))):
            raise EOFError
        data += part
    return data


@pytest.fixture
def between(tmp_path):
    made = Between(tmp_path)
    made.start()
    yield made
    made.end()


@pytest.fixture
def node(tmp_path, between):
    with battle(tmp_path, words=("--exec-socket", str(between.path))) as made:
        yield made


def spent(folder, name, challenge):
    """Whether a program's store holds the challenge as spent, as it would be found after a crash."""
    copy = folder / "found"
    copy.mkdir()
    for file in folder.glob(f"{name}*"):  # the program has the store itself locked
        shutil.copy(file, copy)
    with contextlib.closing(sqlite3.connect(copy / name)) as store:
        query = "SELECT count(*) FROM challenge WHERE nonce = ? AND spent_ms IS NOT NULL"
        found = store.execute(query, (challenge,)).fetchone()
    shutil.rmtree(copy)
    return found == (1,)


def test_what_is_not_held_runs(node):
    """Without this, that nothing ran would prove nothing."""
    node.approve()


@pytest.mark.parametrize("killed", ["agent", "exec", "both"])
@pytest.mark.parametrize(
    "moment",
    [SPENT_BY_EXEC, SPENT_BY_BOTH, START_ON_RECORD],
    ids=["spent-by-exec", "spent-by-both", "start-on-record"],
)
def test_kill_9_between_spend_and_run(node, between, moment, killed):
    bundle, challenge, report = node.bundle(), node.hub.challenge, node.hub.report
    between.hold_at = moment
    node.hub.send(bundle)
    assert between.held.wait(ANSWER_S), node.site.logs()
    state = node.site.states["agent"]
    assert spent(state, exec_main.STORE, challenge)
    assert spent(state, agent_main.STORE, challenge) is (moment != SPENT_BY_EXEC)
    if killed != "agent":
        between.child.kill()
    if killed != "exec":
        node.down(signal.SIGKILL)
    between.over.set()
    if killed != "exec":
        node.site.start("agent", *node.words)
    node.log.seen.append(bundle.log.seq)

    # The hub sends it again; then what the same approval could be made of.
    node.hub.send(bundle)
    with_it = node.bundle(challenge=challenge)
    checks = answers(node, bundle, with_it)
    if moment == SPENT_BY_EXEC:
        # The agent, which had not spent it, finds out, and has a fresh one by then.
        assert checks[bundle.incident][-1] == "challenge.spent"
        assert checks[with_it.incident] == ["challenge.unknown"]
    else:
        assert checks[with_it.incident] == ["challenge.spent"]
        assert checks[bundle.incident] in ([""], [])  # admitted once, and cut short
        assert node.hub.finished.get(timeout=ANSWER_S).finish is Finish.ONE_FAILED
    handed = msgspec.structs.replace(report, challenge=challenge)
    assert between.hand(bundle, handed) == "challenge.spent"
    assert node.ran() == 0

    # A person can approve it again, and that runs once.
    assert node.hub.challenge != challenge
    node.log.seen.append(with_it.log.seq)
    again = node.approve()
    node.hub.send(bundle)
    node.hub.send(again)
    assert node.refused(with_it) in ("challenge.spent", "challenge.unknown")
    assert node.ran() == 1


def answers(node, *bundles):
    """Send the last of `bundles`; return the node's answers on all of them by then."""
    checks = {bundle.incident: [] for bundle in bundles}
    node.hub.send(bundles[-1])
    while not checks[bundles[-1].incident]:
        said = node.hub.admissions.get(timeout=ANSWER_S)
        assert said.admitted == (not said.check)
        checks[said.incident].append(said.check)
    return checks
