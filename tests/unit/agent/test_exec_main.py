"""The real sentinel-exec over a real socket: what it runs, what it refuses, and what an agent that leaves ends."""

from __future__ import annotations

import argparse
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest

from sentinel import canonical, errors
from sentinel.agent import exec_main, execute, gate, handover
from sentinel.agent.store import Store
from sentinel.config import AgentSettings
from sentinel.domain import Bundle, Mode, Outcome, Process, Signature
from sentinel.policy import rules
from sentinel.process import now_ms
from sentinel.protocol import Finish
from sentinel.trust import identity
from tests.unit.agent.gate import HOST, Log, nonce, plan, report, statement
from tests.unit.trust.keys import SoftKey

WAIT_S = 20
SLEEP = f"29.{os.getpid() % 1000:03}"  # seconds: a word that hardly any other run has


@pytest.fixture(scope="module")
def policy():
    return rules.load()


class Unseen:
    """The hub proves no growth to sentinel-exec: it is the agent that keeps the last checkpoint."""

    def last_checkpoint(self):
        return None


class Node:
    """A node's files, as root has written them, and whoever hands plans over to its sentinel-exec."""

    def __init__(self, folder, policy):
        self.folder = folder
        self.policy = policy
        self.key = SoftKey()
        self.children = []
        self.sockets = []
        (folder / "roots").mkdir()
        (folder / "roots" / identity.HOST).write_text(HOST + "\n")
        self.hub_log = Log(Unseen())
        (folder / "roots" / identity.CHECKPOINT).write_text(self.hub_log.signer.key.text + "\n")
        (folder / "roots" / gate.SIGNERS).write_text(self.key.line("alice"))
        (folder / "agent.toml").write_text('mode = "live"\n')

    def bundle(self, about, commands, **fields):
        """The plan of `commands`, approved by alice a moment ago."""
        over = plan(about, commands)
        now = now_ms()
        times = {"issued_ms": now, "expires_ms": now + 60_000}
        said = statement(about, over, policy=self.policy.digest, **(times | fields))
        text = canonical.encode(said).decode()
        return Bundle(
            incident=over.incident,
            plan=canonical.encode(over).decode(),
            statement=text,
            signatures=(Signature(signer="alice", sshsig=self.key.sign(text.encode())),),
            log=self.hub_log.proof(text),
        )

    def start(self, *more):
        """Return our end of the socket of a fresh sentinel-exec."""
        ours, theirs = socket.socketpair()
        ours.settimeout(WAIT_S)
        words = ["--state", self.folder, "--roots", self.folder / "roots"]
        words += ["--config", self.folder / "agent.toml", *more]
        with theirs, (self.folder / "log").open("ab") as log:
            child = subprocess.Popen(
                [sys.executable, "-P", "-m", "sentinel.agent.exec_main", *map(str, words)],
                stdin=theirs,
                stderr=log,
            )
        self.children.append(child)
        self.sockets.append(ours)
        return Ours(ours)

    def log(self):
        return (self.folder / "log").read_text()


class Ours(handover.Peer):
    """The agent's end, blocking."""

    def __init__(self, sock):
        super().__init__(sock)
        self.sock = sock

    def order(self, bundle, about):
        self.sock.sendall(handover.frame(handover.Order(bundle=bundle, report=about)))

    def hear(self):
        return self.receive(handover.Word)

    def go_on(self):
        self.sock.sendall(handover.GO_ON)

    def words(self):
        """Everything that is said of one plan."""
        said = []
        while True:
            said.append(self.hear())
            self.go_on()
            last = said[-1]
            if last.finish is not None or (last.admission and not last.admission.admitted):
                return said


@pytest.fixture
def node(tmp_path, policy):
    made = Node(tmp_path, policy)
    yield made
    for child, sock in zip(made.children, made.sockets, strict=True):
        sock.close()
        child.kill()
        child.wait()


def now_report(policy, **fields):
    return report(policy=policy.digest, **fields)


def test_an_approved_plan_runs_and_every_word_comes_in_order(node, policy):
    about = now_report(policy)
    agent = node.start()
    agent.order(node.bundle(about, ["uname", "sleep 0.1"]), about)
    said = agent.words()
    assert said[0].admission.admitted
    assert said[0].admission.mode is Mode.LIVE
    ran = [(w.result.index, w.result.outcome.value) for w in said if w.result is not None]
    assert ran == [(0, "running"), (0, "ran"), (1, "running"), (1, "ran")]
    assert said[2].result.stdout == "Linux\n"
    assert said[-1].finish is Finish.ALL_RAN
    assert node.children[0].wait(WAIT_S) == 0


def test_nothing_starts_before_the_agent_has_it_on_record(node, policy, tmp_path):
    about = now_report(policy)
    agent = node.start()
    agent.order(node.bundle(about, ["uname"]), about)
    assert agent.hear().admission.admitted
    agent.sock.close()  # instead of: go on
    assert node.children[0].wait(WAIT_S) == 1
    again = node.start()
    again.order(node.bundle(about, ["uname"]), about)
    assert [w.admission.check for w in again.words()] == ["challenge.spent"]


def test_the_same_approval_runs_once_whoever_hands_it_over(node, policy):
    about = now_report(policy)
    bundle = node.bundle(about, ["uname"])
    first = node.start()
    first.order(bundle, about)
    assert first.words()[-1].finish is Finish.ALL_RAN
    for renewed in (about, msgspec.structs.replace(about, challenge=nonce())):
        again = node.start()
        again.order(bundle, renewed)
        (only,) = again.words()
        assert only.admission.check == "challenge.spent"


def test_every_plan_is_under_a_checkpoint_of_its_own(node, policy):
    first, second = now_report(policy), now_report(policy)
    bundles = [node.bundle(about, ["uname"]) for about in (first, second)]
    # The later one first: a plan may have waited.
    for about, bundle in reversed(list(zip((first, second), bundles, strict=True))):
        agent = node.start()
        agent.order(bundle, about)
        assert agent.words()[-1].finish is Finish.ALL_RAN


def test_an_approval_that_is_not_in_the_log_is_refused(node, policy):
    about = now_report(policy)
    honest, other = node.bundle(about, ["uname"]), node.bundle(about, ["uptime"])
    agent = node.start()
    agent.order(msgspec.structs.replace(honest, log=other.log), about)
    (only,) = agent.words()
    assert only.admission.check == "checkpoint.record"


def test_what_nobody_signed_is_refused(node, policy):
    about = now_report(policy)
    unsigned = msgspec.structs.replace(node.bundle(about, ["uname"]), signatures=())
    agent = node.start()
    agent.order(unsigned, about)
    (only,) = agent.words()
    assert (only.admission.admitted, only.admission.check) == (False, "signatures.missing")


def test_its_own_settings_decide_the_mode(node, policy):
    (node.folder / "agent.toml").write_text("")
    about = now_report(policy)
    agent = node.start()
    agent.order(node.bundle(about, ["uname"]), about)
    said = agent.words()
    assert said[0].admission.mode is Mode.DRY_RUN
    assert [w.result.outcome for w in said if w.result] == [Outcome.REHEARSED]
    assert said[-1].finish is Finish.REHEARSED


def test_its_own_host_name_decides(node, policy):
    (node.folder / "roots" / identity.HOST).write_text("web2\n")
    about = now_report(policy)
    agent = node.start()
    agent.order(node.bundle(about, ["uname"]), about)
    (only,) = agent.words()
    assert only.admission.check == "host.mismatch"


def running(words):
    """The pids of the processes whose command line is exactly `words`."""
    wanted = b"\0".join(word.encode() for word in words) + b"\0"
    found = []
    for each in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if each.read_bytes() == wanted:
                found.append(int(each.parent.name))
        except OSError:
            continue
    return found


def wait_until(holds):
    deadline = time.monotonic() + WAIT_S
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize("how", ["leaves", "speaks out of turn"])
def test_what_runs_is_ended_when_the_agent(node, policy, how):
    about = now_report(policy)
    agent = node.start()
    agent.order(node.bundle(about, [f"sleep {SLEEP}"]), about)
    assert agent.hear().admission.admitted
    agent.go_on()
    assert agent.hear().result.outcome is Outcome.RUNNING
    agent.go_on()
    wait_until(lambda: running(["/usr/bin/sleep", SLEEP]))
    if how == "leaves":
        agent.sock.close()
    else:
        agent.go_on()
    assert node.children[0].wait(WAIT_S) == 1
    assert not running(["/usr/bin/sleep", SLEEP])
    with Store(node.folder / exec_main.STORE) as store:
        assert store.interrupted() == ()


def test_what_runs_is_ended_when_it_is_killed_itself(node, policy):
    about = now_report(policy)
    agent = node.start()
    bundle = node.bundle(about, [f"sleep {SLEEP}"])
    agent.order(bundle, about)
    for _ in range(2):
        agent.hear()
        agent.go_on()
    wait_until(lambda: running(["/usr/bin/sleep", SLEEP]))
    node.children[0].send_signal(signal.SIGKILL)
    wait_until(lambda: not running(["/usr/bin/sleep", SLEEP]))
    with pytest.raises(errors.PeerError):
        agent.hear()
    # The plan that was cut does not stand in the way of the next one, and is not taken up again.
    renewed = msgspec.structs.replace(about, challenge=nonce())
    following = node.start()
    following.order(node.bundle(renewed, ["uname"]), renewed)
    assert following.words()[-1].finish is Finish.ALL_RAN


@pytest.mark.parametrize("when", ["it is admitted", "its first command ran"])
def test_a_plan_is_stopped_when(node, policy, when):
    about = now_report(policy)
    agent = node.start()
    agent.order(node.bundle(about, ["uname", "uptime"]), about)
    assert agent.hear().admission.admitted
    if when == "its first command ran":
        agent.go_on()
        assert agent.hear().result.outcome is Outcome.RUNNING
        agent.go_on()
        assert agent.hear().result.outcome is Outcome.RAN
    agent.sock.sendall(handover.frame(handover.Enough(reason="stopped by alice")))
    *skipped, last = agent.words()
    assert {word.result.outcome for word in skipped} == {Outcome.SKIPPED}
    assert skipped[-1].result.index == 1
    assert skipped[-1].result.reason == "stopped by alice"
    assert last.finish is Finish.STOPPED
    assert node.children[0].wait(WAIT_S) == 0


def test_plans_run_one_after_the_other(node, policy):
    one, other = now_report(policy), now_report(policy)
    first, second = node.start(), node.start()
    first.order(node.bundle(one, ["sleep 0.5"]), one)
    assert first.hear().admission.admitted
    second.order(node.bundle(other, ["uname"]), other)
    first.go_on()
    for _ in range(3):
        word = first.hear()
        first.go_on()
    assert word.finish is Finish.ALL_RAN
    ended = now_ms()
    assert second.words()[0].admission.at_ms >= ended - 100


def test_a_captured_process_is_signalled_and_a_renamed_one_is_not(node, policy):
    child = subprocess.Popen(["sleep", "86360"])
    try:
        ticks = execute.start_ticks(child.pid)
        whole = now_report(policy)
        for name, check in (("nginx", "report.process"), ("sleep", "")):
            captured = (Process(pid=child.pid, start_ticks=ticks, name=name),)
            context = msgspec.structs.replace(whole.context, processes=captured)
            about = msgspec.structs.replace(whole, event=report().event, context=context)
            about = msgspec.structs.replace(about, challenge=nonce())
            agent = node.start()
            agent.order(node.bundle(about, [f"kill -TERM {child.pid}"]), about)
            assert agent.words()[0].admission.check == check
        assert child.wait(WAIT_S) == -signal.SIGTERM
    finally:
        child.kill()
        child.wait()


@pytest.mark.parametrize(
    "garbage",
    [b"\xff\xff\xff\xff", b"\0\0\0\2{}", b"\0\0\0\0", b"GET / HTTP/1.1\r\n\r\n" * 9, b"\0\0"],
)
def test_garbage_instead_of_a_plan_is_refused(node, garbage):
    agent = node.start()
    agent.sock.sendall(garbage)
    agent.sock.shutdown(socket.SHUT_WR)
    assert node.children[0].wait(WAIT_S) == 2
    assert "Traceback" not in node.log()


# ---------------------------------------------------------------- who may hand plans over


def run(words, **more):
    done = subprocess.run(
        [sys.executable, "-P", "-m", "sentinel.agent.exec_main", *map(str, words)],
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=False,
        **more,
    )
    assert "Traceback" not in done.stderr
    return done.returncode, done.stderr


def test_it_is_not_for_people_to_start(tmp_path):
    status, said = run([], stdin=subprocess.DEVNULL)
    assert (status, "started by sentinel-agent" in said) == (2, True)


def test_a_connection_that_is_no_unix_socket_is_refused():
    with socket.create_server(("127.0.0.1", 0)) as server:
        status, said = run([], stdin=server)
    assert (status, "not a Unix socket" in said) == (2, True)


def test_another_user_may_not_hand_plans_over():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        user = "nobody" if os.geteuid() == 0 else "root"
        status, said = run(["--peer", user], stdin=theirs)
    assert (status, "may not hand plans over" in said) == (2, True)


def test_a_user_that_is_not_there_is_named():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        status, said = run(["--peer", "nobody-such"], stdin=theirs)
    assert (status, "there is no user nobody-such" in said) == (2, True)


def test_files_that_others_can_write_are_not_believed(tmp_path):
    arguments = argparse.Namespace(
        roots=tmp_path / "roots", state=tmp_path, config=tmp_path / "agent.toml", peer="somebody"
    )
    (tmp_path / "roots").mkdir()
    (tmp_path / "roots" / "host").write_text(HOST)
    (tmp_path / "agent.toml").write_text('mode = "live"\n')
    settings, _ = exec_main.believed(arguments)
    assert settings == AgentSettings(mode=Mode.LIVE)
    for path in ("roots", "roots/host", "agent.toml", "."):
        before = (tmp_path / path).stat().st_mode
        (tmp_path / path).chmod(0o666 if path.endswith(("host", "toml")) else 0o777)
        with pytest.raises(errors.ConfigError, match="can be changed by others"):
            exec_main.believed(arguments)
        (tmp_path / path).chmod(before)
    (tmp_path / "roots" / "allowed_signers").symlink_to("/tmp")
    with pytest.raises(errors.ConfigError, match="allowed_signers can be changed"):
        exec_main.believed(arguments)
