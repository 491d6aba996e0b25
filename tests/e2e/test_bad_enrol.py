"""What goes wrong at enrolment and login: one message each, which names the remedy, and exit status 2."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import sqlite3
from typing import NamedTuple
from unittest import mock

import pytest

from sentinel import cli, process
from sentinel.agent import main as agent_main
from sentinel.demo import OPERATOR, SITE, Site
from sentinel.hub import main as hub_main
from sentinel.trust import identity, throwaway, x509
from tests.unit.trust.keys import SoftKey

DAY = 86_400_000
CASES = {}


def says(*words):
    """A case: what it prints must hold every one of `words`; its name is its function's."""

    def add(case):
        CASES[case.__name__.replace("_", " ")] = (case, words)
        return case

    return add


class Done(NamedTuple):
    returncode: int
    stdout: str
    stderr: str


class World:
    """A hub that runs, and a folder for what this case needs."""

    def __init__(self, site, folder):
        self.site, self.folder = site, folder
        self.state = ("--state", site.states["hub"])

    def program(self, main, *words, stdin="", **environment):
        """Run a program's `main` here: to start Python anew for each case costs more than the case."""
        out, err = io.StringIO(), io.StringIO()
        wanted = {"SSH_AUTH_SOCK": str(self.site.agent_socket), **environment}
        with (
            mock.patch.dict(os.environ, wanted),
            mock.patch("sys.stdin", io.StringIO(stdin)),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            status = main([str(word) for word in words])
        return Done(status, out.getvalue(), err.getvalue())

    def hub(self, *words):
        return self.program(hub_main.main, *words, *self.state)

    def invite(self, host="web1"):
        done = self.hub("invite", host)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def changed(self, **fields):
        return json.dumps(json.loads(self.invite()) | fields)

    def join(self, text, folder="node"):
        state = ("--state", self.folder / folder)
        return self.program(agent_main.main, "join", "-", *state, stdin=text)

    def enrolled(self, host="web1", folder="node"):
        assert self.join(self.invite(host), folder).returncode == 0
        return self.folder / folder

    def node(self, **issue):
        """Start an agent whose identity folder was changed: another certificate for its key."""
        folder = self.enrolled()
        ca = self.authority()
        key = issue.pop("key", None) or x509.new_key()
        who = issue.pop("who", x509.Identity(site=SITE, role=x509.Role.AGENT, name="web1"))
        now_ms = issue.pop("now_ms", process.now_ms())
        signer = issue.pop("signer", ca)
        leaf = x509.issue(signer, x509.request(issue.pop("asked", key)), who, now_ms, **issue)
        (folder / identity.IDENTITY).write_bytes(key + leaf)
        return self.program(agent_main.main, "run", "--state", folder)

    def authority(self):
        folder = self.site.states["hub"]
        return x509.Pair(
            key=(folder / "ca.key").read_bytes(), certificate=(folder / "ca.pem").read_bytes()
        )

    def login(self, folder=None, **environment):
        words = ("status", "--identity", folder or self.site.operator)
        return self.program(cli.main, *words, **environment)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    made = Site(tmp_path_factory.mktemp("site"))
    made.set_up("heartbeat_s = 1\n", "")
    yield made
    made.stop()


# ---------------------------------------------------------------- the invite


@says("'Web_1' is not a host name", "lower-case letters, digits")
def an_invite_for_what_is_no_host_name(world):
    return world.hub("invite", "web2", "Web_1")


@says("web2 stands twice", "one invite is for one host")
def a_list_that_names_a_host_twice(world):
    (world.folder / "hosts").write_text("web2 # first rack\n\nweb3\nweb2\n")
    return world.hub("invite", "-f", world.folder / "hosts")


@says("no host is named", "sentinel-hub invite HOST")
def an_invite_for_nobody(world):
    return world.hub("invite")


@says("allowed_signers:", "not a line of allowed_signers", 'NAME namespaces="')
def an_invite_while_allowed_signers_is_wrong(world):
    path = world.site.states["hub"] / "allowed_signers"
    before = path.read_text()
    try:
        path.write_text(before + "mallory\n")
        return world.hub("invite", "web1")
    finally:
        path.write_text(before)


# ---------------------------------------------------------------- join


@says("this is not an invite", "make one on the hub: sentinel-hub invite HOST")
def an_invite_that_was_cut_off(world):
    return world.join(world.invite()[:200])


@says("the invite is of version 2", "install the agent of the hub's own release")
def an_invite_of_a_newer_hub(world):
    return world.join(world.changed(sentinel_invite=2))


@says("the invite's token is unknown, spent or expired", "sentinel-hub invite HOST")
def an_invite_that_was_used(world):
    text = world.invite()
    assert world.join(text, "first").returncode == 0
    return world.join(text, "second")


@says("the invite's token is unknown, spent or expired", "within an hour")
def an_invite_from_yesterday(world):
    text = world.invite()
    with sqlite3.connect(world.site.states["hub"] / "hub.db") as database:
        database.execute("UPDATE invite SET expires_ms = 1000")
    database.close()
    return world.join(text)


@says("already holds an identity", "remove", "identity.pem")
def a_host_that_is_enrolled_already(world):
    world.enrolled()
    return world.join(world.invite())


@says("no answer from the hub at 127.0.0.1:1", "is sentinel-hub running there")
def an_invite_of_a_hub_that_is_away(world):
    address = {"site": SITE, "hub": "127.0.0.1:1", "enrol": "127.0.0.1:1"}
    return world.join(world.changed(address=address))


@says("no answer from the hub at", "certificate", "was this certificate issued by its CA?")
def an_invite_with_another_ca_than_the_hubs(world):
    other = x509.new_authority(SITE, process.now_ms()).certificate.decode()
    return world.join(world.changed(ca=other))


@says("says otherwise than the invite", "nothing from the hub may change it", "as root")
def an_invite_with_other_signers_than_the_host_believes(world):
    state = world.enrolled()
    (state / identity.IDENTITY).unlink()
    return world.join(world.changed(allowed_signers=SoftKey().line("mallory")))


@says("allowed_signers of the invite:1", "no namespaces")
def an_invite_with_signers_that_nobody_understands(world):
    return world.join(world.changed(allowed_signers=f"alice {SoftKey().public}\n"))


# ---------------------------------------------------------------- the agent, before it dials


@says("does not exist: this machine is not enrolled", "sentinel-hub invite HOST")
def an_agent_that_was_never_enrolled(world):
    return world.program(agent_main.main, "run", "--state", world.folder / "nowhere")


@says("expired at", "and here it is", "sentinel-agent join FILE")
def a_certificate_that_has_expired(world):
    return world.node(now_ms=process.now_ms() - 8 * DAY)


@says("is not valid before", "this machine's clock is behind")
def a_certificate_from_the_future(world):
    return world.node(now_ms=process.now_ms() + DAY)


@says("was not signed by this hub's CA", "join again with a fresh invite")
def a_certificate_of_another_ca(world):
    return world.node(signer=x509.new_authority(SITE, process.now_ms()))


@says("is not for the private key beside it", "restore both from one backup")
def a_certificate_for_another_key(world):
    return world.node(asked=x509.new_key())


@says("is not one that may dial a hub", "join with an invite of your own")
def a_hubs_certificate_on_a_node(world):
    return world.node(who=x509.Identity(site=SITE, role=x509.Role.HUB, name="hub"))


# ---------------------------------------------------------------- login


@says("not enrolled", "sentinel-hub")
def a_person_without_an_identity(world):
    return world.login(world.folder / "nowhere")


@says("SSH_AUTH_SOCK")
def a_person_without_an_ssh_agent(world):
    return world.login(SSH_AUTH_SOCK="")


@says("ssh-add")
def a_person_whose_agent_holds_another_key(world):
    with throwaway.agent(world.folder / "agent", "another") as key:
        assert key
        return world.login(SSH_AUTH_SOCK=str(world.folder / "agent"))


@says("ssh-agent holds none of your keys", "allowed_signers on the hub has no key in your name")
def a_person_whose_key_the_hub_was_not_told(world):
    out = world.folder / "carol"
    assert world.hub("operator", "carol", "--out", out).returncode == 0
    return world.login(out)


@says("erin is nobody at this hub", "operators.toml", "[people.erin]")
def a_person_whom_the_hub_gave_no_rank(world):
    out = world.folder / "erin"
    assert world.hub("operator", "erin", "--out", out).returncode == 0
    path = world.site.states["hub"] / "allowed_signers"
    before = path.read_text()
    with throwaway.agent(world.folder / "agent", "erin") as key:
        names = 'erin namespaces="login@sentinel,decision@sentinel"'
        try:
            path.write_text(f"{before}{names} {key.public} erin\n")
            return world.login(out, SSH_AUTH_SOCK=str(world.folder / "agent"))
        finally:
            path.write_text(before)


@says("not one public key", ".pub")
def a_private_key_instead_of_the_public_one(world):
    key = world.folder / "id_ed25519"
    key.write_text("-----BEGIN OPENSSH PRIVATE KEY-----\nb3Bl\n-----END OPENSSH PRIVATE KEY-----\n")
    return world.hub("operator", "dave", "--out", world.folder / "dave", "--key", key)


@says(f"certificate of spiffe://{SITE}/operator/{OPERATOR} expired at")
def a_person_whose_certificate_has_expired(world):
    folder = world.folder / "old"
    shutil.copytree(world.site.operator, folder)
    key = x509.new_key()
    who = x509.Identity(site=SITE, role=x509.Role.OPERATOR, name=OPERATOR)
    leaf = x509.issue(world.authority(), x509.request(key), who, process.now_ms() - 8 * DAY)
    (folder / identity.IDENTITY).write_bytes(key + leaf)
    return world.login(folder)


@pytest.mark.parametrize("name", CASES)
def test_one_message_names_the_remedy(site, tmp_path, name):
    case, words = CASES[name]
    done = case(World(site, tmp_path))
    assert done.returncode == 2, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    for word in words:
        assert word in done.stderr, done.stderr
    lines = done.stderr.strip().splitlines()
    assert len(lines) <= 2, lines  # what is wrong, and the remedy


def test_a_list_of_hosts_gets_an_invite_each_on_a_line_of_its_own(site, tmp_path):
    world = World(site, tmp_path)
    (tmp_path / "hosts").write_text("# rack 7\nweb7\nweb8  # spare\n\n")
    done = world.hub("invite", "web6", "-f", tmp_path / "hosts")
    made = [identity.read_invite(line) for line in done.stdout.splitlines()]
    assert [invite.host for invite in made] == ["web6", "web7", "web8"]
    assert len({invite.token for invite in made}) == 3
    assert world.join(done.stdout.splitlines()[1]).returncode == 0


def test_the_first_invite_brings_what_the_node_believes(site, tmp_path):
    state = World(site, tmp_path).enrolled("web9")
    hub = site.states["hub"]
    assert (state / "roots" / "host").read_text() == "web9\n"
    for name in (identity.SIGNERS, identity.CHECKPOINT):
        assert (state / "roots" / name).read_bytes() == (hub / name).read_bytes()
