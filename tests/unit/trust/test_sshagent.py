"""A real ssh-agent with real keys; and sockets that only pretend to be one."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import threading

import pytest

from sentinel.errors import OperatorError, SignatureError
from sentinel.protocol import DECISION
from sentinel.trust import sshagent, sshsig, throwaway
from sentinel.trust.sshagent import Agent
from sentinel.trust.sshsig import Kind, string
from tests.unit.trust.keys import SoftKey

DATA = b"statement"


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    """A socket of a real agent with keys of every sort that ssh-keygen makes without a token."""
    folder = tmp_path_factory.mktemp("agent")
    path = folder / "socket"
    with subprocess.Popen(["ssh-agent", "-D", "-a", path], stdout=subprocess.PIPE) as agent:
        agent.stdout.readline()  # it prints its environment once it listens
        for kind, bits in (("rsa", "2048"), ("ed25519", "256"), ("ecdsa", "256"), ("ecdsa", "384")):
            key = folder / f"{kind}{bits}"
            subprocess.run(
                ["ssh-keygen", "-q", "-t", kind, "-b", bits, "-N", "", "-C", key.name, "-f", key],
                check=True,
            )
            subprocess.run(["ssh-add", "-q", key], check=True, env={"SSH_AUTH_SOCK": str(path)})
        yield str(path)
        agent.terminate()


def test_keys_that_may_sign_are_listed_and_sign(real):
    agent = Agent(real)
    held = agent.held()
    assert [(each.key.kind, each.comment) for each in held] == [
        (Kind.ED25519, "ed25519256"), (Kind.ECDSA, "ecdsa256"),
    ]  # fmt: skip
    for each in held:
        for _ in range(20):  # ECDSA's numbers are of other lengths now and then
            signed = agent.sign(each.key, DATA, DECISION)
            assert sshsig.check(sshsig.parse(signed), DATA, DECISION).key == each.key


def test_a_key_that_the_agent_does_not_hold_signs_nothing(real):
    with pytest.raises(OperatorError, match="did not sign with SHA256:") as caught:
        Agent(real).sign(sshsig.parse_key(SoftKey().blob), DATA, DECISION)
    assert "confirm" in caught.value.hint


def test_the_throwaway_agent_signs_and_openssh_believes_it(tmp_path):
    path = tmp_path / "socket"
    with throwaway.agent(path, "demo key") as key:
        assert path.stat().st_mode & 0o777 == 0o600
        agent = Agent(str(path))
        assert [(each.key, each.comment) for each in agent.held()] == [(key, "demo key")]
        assert sshsig.check(sshsig.parse(agent.sign(key, DATA, DECISION)), DATA, DECISION)
        with pytest.raises(OperatorError, match="did not sign"):
            agent.sign(sshsig.parse_key(SoftKey().blob), DATA, DECISION)
        listed = subprocess.run(
            ["ssh-add", "-l"], env={"SSH_AUTH_SOCK": str(path)}, capture_output=True, text=True
        )
        assert listed.stdout == f"256 {key.fingerprint} demo key (ED25519)\n"
    assert not path.exists()


# ---------------------------------------------------------------- which key


def keys_of(*comments):
    return tuple(
        sshagent.Held(key=sshsig.parse_key(SoftKey().blob), comment=comment) for comment in comments
    )


def test_the_first_of_the_persons_own_keys_is_chosen():
    keys = keys_of("a", "b", "c")
    own = {keys[2].key.fingerprint, keys[1].key.fingerprint}
    assert sshagent.choose(keys, own) == keys[1].key


@pytest.mark.parametrize(
    ("keys", "own", "says", "hint"),
    [
        (keys_of(), {"SHA256:x"}, "holds no key", "ssh-add your"),
        (keys_of("work\x1b[2J"), {"SHA256:y", "SHA256:x"}, "none of your keys, but SHA256:", "ssh-add the key SHA256:x or SHA256:y"),
        (keys_of("a"), set(), "none of your keys", "no key in your name"),
    ],
)  # fmt: skip
def test_without_a_key_of_ones_own_the_remedy_is_named(keys, own, says, hint):
    with pytest.raises(OperatorError) as caught:
        sshagent.choose(keys, own)
    assert says in caught.value.what
    assert caught.value.what.isprintable()
    assert hint in caught.value.hint


# ---------------------------------------------------------------- what is no agent


def pretending(path, answer):
    """Serve one connection at `path` that answers anything with `answer`."""
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(path))
    server.listen(1)

    def serve():
        connection, _ = server.accept()
        with server, connection:
            size = int.from_bytes(connection.recv(4), "big")
            while size > 0:
                size -= len(connection.recv(size))
            connection.sendall(answer)

    thread = threading.Thread(target=serve)
    thread.start()
    return thread


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (b"", "closed the connection"),
        (b"\0\0", "closed the connection"),
        (b"\0\0\0\x05\x0c", "closed the connection"),
        (b"\0\0\0\0", "answers 0 bytes"),
        (b"\xff\xff\xff\xff", "answers 4294967295 bytes"),
        (string(b"\x05"), "will not list"),
        (string(b"\x0c"), "is no ssh-agent"),
        (string(b"\x0c\0\0\0\x01"), "is no ssh-agent"),
        (string(b"\x0c\xff\xff\xff\xff"), "says that it has"),
        (string(b"\x0c\0\0\0\0x"), "is no ssh-agent"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "answers 1213486160 bytes"),
    ],
)
def test_what_is_no_agent_is_named_and_never_believed(tmp_path, answer, says):
    thread = pretending(tmp_path / "s", answer)
    try:
        with pytest.raises(OperatorError, match=says):
            Agent(str(tmp_path / "s")).held()
    finally:
        thread.join()


def test_a_signature_that_nobody_would_take_is_told_where_the_person_is(tmp_path):
    mine, other = SoftKey(), SoftKey()
    wrong = other.raw(sshsig.to_sign(DATA, DECISION))
    for answer, error in (
        (string(b"\x0e" + string(wrong)), SignatureError),
        (string(b"\x0e" + string(wrong) + b"x"), OperatorError),
        (string(b"\x0e"), OperatorError),
    ):
        thread = pretending(tmp_path / "s", answer)
        try:
            with pytest.raises(error):
                Agent(str(tmp_path / "s")).sign(sshsig.parse_key(mine.blob), DATA, DECISION)
        finally:
            thread.join()
            (tmp_path / "s").unlink()


def test_no_agent_and_a_dead_one_are_told_with_the_remedy(tmp_path):
    with pytest.raises(OperatorError, match="SSH_AUTH_SOCK is not set") as caught:
        Agent("").held()
    assert "ssh-add" in caught.value.hint
    with pytest.raises(OperatorError, match="No such file"):
        Agent(str(tmp_path / "gone")).held()
    with pytest.raises(OperatorError, match="too long"):
        Agent("x" * 200).held()


def test_an_agent_that_is_silent_is_not_waited_for_without_end(tmp_path, monkeypatch):
    monkeypatch.setattr(sshagent, "LIST_S", 0.05)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s"))
        server.listen(1)
        with pytest.raises(OperatorError, match="did not answer within"):
            Agent(str(tmp_path / "s")).held()


def test_an_agent_that_answers_drop_by_drop_is_not_waited_for_without_end(tmp_path, monkeypatch):
    monkeypatch.setattr(sshagent, "LIST_S", 0.2)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s"))
        server.listen(1)

        def drip():
            connection, _ = server.accept()
            with connection, contextlib.suppress(OSError):
                connection.sendall((1000).to_bytes(4, "big"))
                while not over.wait(0.01):
                    connection.sendall(b"x")

        over = threading.Event()
        ends = threading.Timer(2, over.set)
        dripping = threading.Thread(target=drip)
        for thread in (ends, dripping):
            thread.start()
        with pytest.raises(OperatorError, match="did not answer within"):
            Agent(str(tmp_path / "s")).held()
        ends.cancel()
        over.set()
        dripping.join()
