"""Both ways in which people reach the hub, over a real sshd with two unprivileged users of its own.

- The workstation mode: `--ssh HUB`, the person's own ssh to the hub's Unix socket, no agent forwarded.
- On the hub's host: `ssh -A`, where the forwarded agent signs.
"""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from sentinel.demo import Site
from tests.needed import program, root

GROUP = 4200  # whoever is in it may knock at the hub's socket
USERS = {"alice": (4101, GROUP), "bob": (4102, 4102)}
WAIT_S = 20
STATUS = "import sys; from sentinel.cli import main; sys.exit(main())"


class World:
    """A hub with a Unix socket, and an sshd in front of it in a mount namespace with users of its own."""

    def __init__(self, folder):
        self.folder = folder
        folder.chmod(0o755)
        self.socket = folder / "run" / "operators.sock"
        self.socket.parent.mkdir(mode=0o755)
        self.site = Site(folder)
        self.sshd = None

    def start(self):
        self.site.set_up(f'socket = "{self.socket}"\n', "")
        os.chown(self.socket, -1, GROUP)  # as RuntimeDirectory= and Group= of the unit do
        for path in (self.site.operator, *self.site.operator.iterdir()):
            os.chown(path, USERS["alice"][0], GROUP)
        with socket.create_server(("127.0.0.1", 0)) as taken:
            self.port = taken.getsockname()[1]
        for name in ("passwd", "shadow", "group"):
            shutil.copy(f"/etc/{name}", self.folder / name)
        for name, (uid, gid) in USERS.items():
            self.append("passwd", f"{name}:x:{uid}:{gid}::{self.folder}:/bin/sh")
            self.append("shadow", f"{name}:*:19000::::::")
            self.append("group", f"{name}-test:x:{gid}:")
        self.keygen("host")
        (self.folder / "sshd_config").write_text(
            f"Port {self.port}\nListenAddress 127.0.0.1\nHostKey {self.folder}/host\nPidFile none\n"
            f"UsePAM no\nStrictModes no\nAuthorizedKeysFile {self.folder}/you.pub\n"
            "PasswordAuthentication no\nKbdInteractiveAuthentication no\nLogLevel DEBUG1\n"
        )
        (self.folder / "you.pub").chmod(0o644)
        host = (self.folder / "host.pub").read_text()
        (self.folder / "known").write_text(f"hub {host}")
        (self.folder / "ssh_config").write_text(
            f"Host *\nHostName 127.0.0.1\nPort {self.port}\nHostKeyAlias hub\n"
            f"UserKnownHostsFile {self.folder}/known\nStrictHostKeyChecking yes\n"
            "ForwardAgent yes\n"  # a careless person's: --ssh forwards none all the same
        )
        (self.folder / "bin").mkdir()
        wrapper = self.folder / "bin" / "ssh"
        wrapper.write_text(
            f'#!/bin/sh\nexec {program("ssh", "openssh-client")} -F {self.folder}/ssh_config "$@"\n'
        )
        wrapper.chmod(0o755)
        self.start_sshd()

    def append(self, name, line):
        with (self.folder / name).open("a") as file:
            file.write(line + "\n")

    def keygen(self, name):
        words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.folder / name)]
        subprocess.run(words, check=True)

    def start_sshd(self):
        script = ["set -e", "mount --make-rprivate /", "mkdir -p /run/sshd"]
        script += [
            f"mount --bind {self.folder}/{n} /etc/{n}" for n in ("passwd", "shadow", "group")
        ]
        python = Path(sys.base_prefix)
        closed = [each for each in python.parents if not each.stat().st_mode & 0o001]
        if closed:  # the users must be able to run this very Python
            kept = self.folder / "python"
            kept.mkdir()
            script += [
                f"mount --bind {python} {kept}",
                f"mount -t tmpfs -o mode=755 none {closed[-1]}",
                f"mkdir -p {python}",
                f"mount --bind {kept} {python}",
            ]
        script.append(
            f"exec {program('sshd', 'openssh-server')} -D -e -f {self.folder}/sshd_config"
        )
        with (self.folder / "sshd.log").open("wb") as log:
            words = [program("unshare", "util-linux"), "-m", "sh", "-c", "\n".join(script)]
            self.sshd = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        deadline = time.monotonic() + WAIT_S
        while b"listening on" not in (self.folder / "sshd.log").read_bytes():
            assert self.sshd.poll() is None, (self.folder / "sshd.log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def stop(self):
        if self.sshd is not None:
            self.sshd.kill()
            self.sshd.wait()
        self.site.stop()

    @property
    def own(self):
        """The environment of the person at the desk."""
        return {
            **os.environ,
            "PATH": f"{self.folder}/bin:{os.environ['PATH']}",
            "SSH_AUTH_SOCK": str(self.site.agent_socket),
        }

    def run(self, words, **environment):
        return subprocess.run(
            [str(word) for word in words],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env={**self.own, **environment},
        )

    def status(self, place, **environment):
        words = [sys.executable, "-c", STATUS, "status", "--identity", self.site.operator]
        option = [f"--ssh{place}"] if place.startswith("=") else ["--ssh", place]
        return self.run([*words, *option], **environment)

    def on_the_hub(self, user, *flags):
        """Ask for the status in a login on the hub's own host."""
        words = [sys.executable, "-c", STATUS, "status", "--identity", str(self.site.operator)]
        command = (
            f"PYTHONPATH={Path(__file__).parents[2]} PYTHONDONTWRITEBYTECODE=1 {shlex.join(words)}"
        )
        return self.run(["ssh", *flags, f"{user}@hub", command])


@pytest.fixture(scope="module")
def world():
    root("start an sshd with users of its own")
    program("sshd", "openssh-server")
    folder = Path(tempfile.mkdtemp(prefix="sentinel-ssh-test-"))  # its paths must be short and open
    made = World(folder)
    try:
        made.start()
        yield made
    finally:
        made.stop()
        shutil.rmtree(folder, ignore_errors=True)


def test_a_person_decides_at_their_own_desk_through_their_own_ssh(world):
    done = world.status(f"alice@hub:{world.socket}")
    assert done.returncode == 0, done.stderr + (world.folder / "sshd.log").read_text()
    assert "lead" in done.stdout
    assert "you" in done.stdout


def test_on_the_hubs_host_the_forwarded_agent_signs_and_at_the_desk_none_is_forwarded(world):
    log = world.folder / "sshd.log"
    before = log.stat().st_size  # other tests have forwarded theirs
    assert world.status(f"alice@hub:{world.socket}").returncode == 0
    said = log.read_text()[before:]
    assert "direct-streamlocal" in said
    assert "auth-agent-req" not in said
    done = world.on_the_hub("alice", "-A")
    assert done.returncode == 0, done.stderr
    assert "lead" in done.stdout
    assert "auth-agent-req" in (world.folder / "sshd.log").read_text()


def test_whoever_is_not_in_the_hubs_group_gets_no_further_than_ssh(world):
    done = world.status(f"bob@hub:{world.socket}")
    assert done.returncode == 2
    assert "no way through ssh to" in done.stderr
    assert "are you in its group" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("nobody-such@hub", ("Permission denied", "does `ssh nobody-such@hub` work")),
        ("alice@hub:/run/no/such.sock", ("/run/no/such.sock", "--socket")),
        ("=-oProxyCommand=evil", ("is not where a hub is", "[USER@]HOST")),
        ("alice@hub:relative", ("is not where a hub is",)),
        ("", ("is not where a hub is",)),
    ],
)
def test_what_is_wrong_with_the_way_is_said_in_sshs_own_words(world, place, words):
    done = world.status(place)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr


def test_a_machine_in_between_that_is_not_the_hub_is_told_apart(world):
    """Whoever owns the socket cannot show the hub's certificate."""
    path = world.folder / "run" / "other.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        os.chown(path, USERS["alice"][0], GROUP)
        listener.listen()
        child = subprocess.Popen(
            [sys.executable, "-c", "import sys, os; c, _ = __import__('socket').socket(fileno=0).accept();"
             " c.recv(9); c.sendall(b'HTTP/1.1 400 no\\r\\n\\r\\n')"],
            stdin=listener,
        )  # fmt: skip
        try:
            done = world.status(f"alice@hub:{path}")
        finally:
            child.kill()
            child.wait()
    assert done.returncode == 2
    assert "no way through ssh" in done.stderr


def alive(pid):
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(") ")[2][0] not in "ZX"  # nobody may be there to wait for it


def test_ssh_ends_with_a_program_that_was_killed(world):
    words = [sys.executable, "-c", STATUS, "watch", "--identity", str(world.site.operator)]
    child = subprocess.Popen(
        [*words, "--ssh", f"alice@hub:{world.socket}"],
        stderr=subprocess.PIPE,
        text=True,
        env={**world.own, "TMPDIR": str(world.folder)},  # what it leaves behind goes with the rest
    )
    with child:
        assert child.stderr.readline().startswith("watching from revision")
        (ssh,) = Path(f"/proc/{child.pid}/task/{child.pid}/children").read_text().split()
        assert b"-L" in Path(f"/proc/{ssh}/cmdline").read_bytes().split(b"\0")
        child.kill()
    deadline = time.monotonic() + WAIT_S
    while alive(ssh):
        if time.monotonic() > deadline:
            os.kill(int(ssh), signal.SIGTERM)
            raise AssertionError("ssh has outlived the program")
        time.sleep(0.02)


def test_on_the_hubs_host_nobody_signs_without_a_forwarded_agent(world):
    done = world.on_the_hub("alice", "-a")
    assert done.returncode == 2
    assert "ssh -A" in done.stderr


def test_another_user_of_the_hubs_host_cannot_use_the_identity(world):
    done = world.on_the_hub("bob", "-A")
    assert done.returncode == 2
    assert "cannot be read" in done.stderr
