"""The person's hand in its child process: what it says, and that it goes when it is not wanted."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from sentinel import process
from sentinel.errors import (
    ConfigError,
    NodeError,
    OperatorError,
    SentinelError,
    SignatureError,
)
from sentinel.protocol import LOGIN
from sentinel.trust import identity, sshsig, throwaway, x509
from sentinel.trust.sshagent import LISTED, SIGNED
from sentinel.tui import hand
from sentinel.tui.hand import Child
from tests.unit.trust.keys import SoftKey

ADDRESS = identity.HubAddress(site="prod", hub="hub:7443", enrol="hub:7444")


@pytest.fixture
def folder(tmp_path):
    now_ms = process.now_ms()
    ca = x509.new_authority("prod", now_ms)
    key = x509.new_key()
    who = x509.Identity(site="prod", role=x509.Role.OPERATOR, name="ann")
    pair = x509.Pair(key=key, certificate=x509.issue(ca, x509.request(key), who, now_ms))
    identity.save(tmp_path / "id", pair, ca.certificate, ADDRESS)
    return tmp_path / "id"


@pytest.fixture
def agent(tmp_path):
    with throwaway.agent(tmp_path / "agent", "a key") as key:
        yield key, str(tmp_path / "agent")


def alive(pid):
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def gone(pid, within_s=5.0):
    end = time.monotonic() + within_s
    while alive(pid) and time.monotonic() < end:
        time.sleep(0.01)
    return not alive(pid)


def test_one_child_reads_the_papers_and_signs_and_goes(folder, agent):
    key, path = agent
    child = Child(folder, path)
    papers = child.papers()
    first = child._child.pid
    known = identity.load(folder, process.now_ms())
    assert (papers.name, papers.site, papers.hub) == ("ann", "prod", "hub.prod.sentinel")
    assert (papers.key, papers.certificate) == (known.pair.key, known.pair.certificate)
    assert (papers.authority, papers.address) == (known.authority, "hub:7443")
    assert papers.serial == known.details.serial
    signed = child.sign_with([key.fingerprint], b"words", LOGIN)
    assert sshsig.check(sshsig.parse(signed), b"words", LOGIN).key == key
    assert not alive(first)


def test_it_signs_again_in_another_child(folder, agent):
    key, path = agent
    child = Child(folder, path)
    for words in (b"one", b"two"):
        signed = child.sign_with([key.fingerprint], words, LOGIN)
        assert sshsig.check(sshsig.parse(signed), words, LOGIN)


def test_errors_come_across_as_what_they_are(tmp_path, folder, agent):
    missing = Child(tmp_path / "none", "")
    with pytest.raises(ConfigError, match="not enrolled") as caught:
        missing.papers()
    assert "sentinel-hub invite" in caught.value.hint
    missing.close()
    with pytest.raises(OperatorError, match="SSH_AUTH_SOCK is not set"):
        Child(folder, "").sign_with(["SHA256:x"], b"", LOGIN)


def test_a_folder_may_have_any_name_that_the_system_takes(folder):
    odd = folder.rename(folder.with_name(os.fsdecode(b"\xff\n\x1b[31m")))
    child = Child(odd, "")
    assert child.papers().name == "ann"
    child.close()
    with pytest.raises(ConfigError, match=r"\\udcff"):
        Child(odd / "none", "").papers()


def test_the_check_that_a_signature_failed_comes_across(folder, tmp_path):
    mine, other = SoftKey(), SoftKey()
    listed = LISTED + (1).to_bytes(4, "big") + sshsig.string(mine.blob) + sshsig.string(b"")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "liar"))
        server.listen()

        def lie():
            for answer in (listed, SIGNED + sshsig.string(other.raw(b"else"))):
                with server.accept()[0] as connection:
                    connection.recv(4096)
                    connection.sendall(sshsig.string(answer))

        threading.Thread(target=lie, daemon=True).start()
        keys = [sshsig.fingerprint(mine.blob)]
        with pytest.raises(SignatureError) as caught:
            Child(folder, str(tmp_path / "liar")).sign_with(keys, b"words", LOGIN)
    assert caught.value.check == "signature.bad"


class Silent:
    """An agent that listens and never answers, as one whose token waits for its touch."""

    def __init__(self, path):
        self._path = path

    def __enter__(self):
        self.asked = threading.Event()
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(str(self._path))
        self._socket.listen()
        threading.Thread(target=self._listen, daemon=True).start()
        return self

    def _listen(self):
        with contextlib.suppress(OSError):
            connection, _ = self._socket.accept()
            with connection:
                connection.recv(1)
                self.asked.set()
                connection.recv(4096)  # the rest
                connection.recv(1)  # the end

    def __exit__(self, *_):
        self._socket.close()


@pytest.fixture
def waiting(folder, tmp_path):
    """A child that waits for a touch, and what asks it and returns why nothing came of it."""

    def sign():
        try:
            child.sign_with(["SHA256:x"], b"", LOGIN)
        except SentinelError as error:
            return error.what

    with Silent(tmp_path / "agent") as silent, ThreadPoolExecutor() as threads:
        child = Child(folder, str(tmp_path / "agent"))
        try:
            first = threads.submit(sign)
            assert silent.asked.wait(5)
            yield child, first, partial(threads.submit, sign)
        finally:
            child.close()


def test_a_child_that_waits_for_a_touch_ends_with_its_input(waiting):
    child, first, _ = waiting
    pid = child._child.pid
    child._child.stdin.close()  # what the end of a terminal does to it, kill -9 included
    assert gone(pid)
    assert first.result(5) == "the program that reads your identity and signs has ended"


def test_a_child_that_waits_for_a_touch_is_let_go_and_nobody_is_asked_again(waiting):
    child, first, sign = waiting
    pid, second = child._child.pid, sign()
    child.close()
    assert gone(pid)
    for signing in (first, second, sign()):
        assert signing.result(5) == "the connection ended before anything was signed"


def test_a_program_that_heeds_no_environment_has_a_child_that_does_not(folder, tmp_path):
    (tmp_path / "msgspec.py").write_text("raise SystemExit('somebody else has been imported')")
    code = f"from sentinel.tui import hand; print(hand.Child({str(folder)!r}, '').papers().name)"
    done = subprocess.run(
        [sys.executable, "-I", "-c", code],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("ann\n", "")


def test_a_child_that_says_something_else_is_an_error(folder, monkeypatch):
    monkeypatch.setattr(hand, "_COMMAND", (sys.executable, "-c", "print('{')"))
    with pytest.raises(NodeError, match="has ended"):
        Child(folder, "").papers()


def test_a_child_that_was_killed_is_an_error_and_the_next_one_serves(folder):
    child = Child(folder, "")
    child.papers()
    os.kill(child._child.pid, signal.SIGKILL)
    with pytest.raises(NodeError, match="has ended") as caught:
        child.papers()
    assert "sentinel.trust.hand" in caught.value.hint
    assert child.papers().name == "ann"
    child.close()
