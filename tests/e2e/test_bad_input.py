"""What a person can get wrong: one clear message with the remedy, exit status 2, nothing half-started."""

from __future__ import annotations

import asyncio
import json
import socket
import sqlite3
import subprocess
import sys
import time

import pytest

from sentinel import errors, protocol
from sentinel.demo import Site
from sentinel.trust import identity, x509
from tests.needed import POWERLESS


def program(name, *arguments, stdin="", before=()):
    return subprocess.run(
        [*before, sys.executable, "-m", f"sentinel.{name}.main", *map(str, arguments)],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


@pytest.fixture
def hub(tmp_path):
    """The state of a hub that was set up and never run."""
    state = tmp_path / "hub"
    assert program("hub", "init", "--site", "test", "--state", state).returncode == 0
    with (state / "hub.toml").open("a") as file:
        file.write("port = 0\nenrol_port = 0\n")
    return state


@pytest.fixture
def agent(tmp_path):
    """The state of an enrolled agent."""
    now_ms = int(time.time() * 1000)
    return enrolled(tmp_path / "agent", now_ms)


def enrolled(state, now_ms):
    ca = x509.new_authority("test", now_ms)
    who = x509.Identity(site="test", role=x509.Role.AGENT, name="web1")
    key = x509.new_key()
    pair = x509.Pair(key=key, certificate=x509.issue(ca, x509.request(key), who, now_ms))
    address = identity.HubAddress(site="test", hub="127.0.0.1:1", enrol="127.0.0.1:1")
    identity.save(state, pair, ca.certificate, address)
    return state


def refused(done, *words):
    assert done.returncode == 2, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr, done.stderr


def run_hub(state):
    return program("hub", "run", "--state", state)


def run_agent(state):
    return program("agent", "run", "--state", state)


def test_an_unknown_key(hub):
    (hub / "hub.toml").write_text("site = 'test'\nprot = 1\n")
    refused(run_hub(hub), "hub.toml", "prot", "did you mean `port`?")


def test_a_wrong_type(hub):
    (hub / "hub.toml").write_text("port = 'x'\n")
    refused(run_hub(hub), "$.port", "Expected `int`, got `str`")


def test_a_configuration_that_is_a_directory(hub):
    refused(program("hub", "run", "--state", hub, "--config", hub), "is a directory")


def test_a_hub_that_was_never_set_up(tmp_path):
    (tmp_path / "hub.toml").write_text("")
    refused(run_hub(tmp_path), "holds no CA", "sentinel-hub init")


def test_a_site_is_never_set_up_twice(hub):
    before = (hub / "ca.pem").read_bytes()
    refused(program("hub", "init", "--state", hub), "already holds the CA")
    assert (hub / "ca.pem").read_bytes() == before


def test_an_invalid_rule_file(hub, tmp_path):
    bad = tmp_path / "bad.toml"
    bad.write_text("[[allow]]\nid = 'x'\ncolour = 'green'\n")
    with (hub / "hub.toml").open("a") as file:
        file.write(f"policy = ['{bad}']\n")
    refused(run_hub(hub), "bad.toml")
    assert not (hub / "hub.db").exists()


def test_a_database_from_a_newer_version(hub):
    assert program("hub", "agents", "--state", hub).returncode == 0
    with sqlite3.connect(hub / "hub.db") as database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
    database.close()
    refused(run_hub(hub), "the database is at revision 9999", "newer")


def test_a_database_that_is_none(hub):
    (hub / "hub.db").write_text("this is not a database, it is a shopping list " * 50)
    refused(run_hub(hub), "hub.db", "not a database")


def test_a_port_in_use(hub):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        text = (hub / "hub.toml").read_text().replace("\nport = 0", f"\nport = {port}")
        (hub / "hub.toml").write_text(text)
        refused(run_hub(hub), f"cannot listen on 127.0.0.1:{port}", "in use", "ss -ltnp")


def test_a_host_name_that_is_none(hub):
    refused(program("hub", "invite", "../etc", "--state", hub), "'../etc' is not a host name")


def test_an_agent_that_was_never_enrolled(tmp_path):
    refused(run_agent(tmp_path), "not enrolled", "sentinel-hub invite")


@pytest.mark.parametrize("command", ["run", "witness"])
def test_a_state_that_may_not_be_read(tmp_path, command):
    state = tmp_path / "state"
    state.mkdir(mode=0)
    done = program("agent", command, "--state", state, before=POWERLESS)
    refused(done, f"{state}/", "cannot be looked for: Permission denied", f"chmod u+rx {state}")


def test_an_expired_certificate(tmp_path):
    state = enrolled(tmp_path / "agent", int(time.time() * 1000) - 30 * 86_400_000)
    refused(run_agent(state), "expired at", "sentinel-agent join")


def test_a_certificate_from_the_future(tmp_path):
    state = enrolled(tmp_path / "agent", int(time.time() * 1000) + 3 * 86_400_000)
    refused(run_agent(state), "is not valid before", "clock")


def test_a_detection_rule_without_its_unit(agent):
    rule = "[[rules]]\nid = 'swap'\nmetric = 'swap_used_permille'\nabove = 90\n"
    (agent / "agent.toml").write_text(rule)
    refused(run_agent(agent), "rule swap: above: '90' is not a permille", '"90%"')


def test_an_invite_that_is_none(tmp_path):
    done = program("agent", "join", "-", "--state", tmp_path, stdin="hello")
    refused(done, "not an invite", "sentinel-hub invite")


def test_an_invite_whose_hub_is_away(tmp_path):
    ca = x509.new_authority("test", int(time.time() * 1000))
    invite = {
        "sentinel_invite": 1,
        "host": "web1",
        "token": "t",
        "ca": ca.certificate.decode(),
        "address": {"site": "test", "hub": "127.0.0.1:1", "enrol": "127.0.0.1:1"},
    }
    done = program("agent", "join", "-", "--state", tmp_path, stdin=json.dumps(invite))
    refused(done, "no answer from the hub at 127.0.0.1:1")


def test_a_spent_invite_and_a_stolen_role(tmp_path):
    """Enrolment against the running hub: a token counts once, and an operator is no agent."""
    site = Site(tmp_path)
    try:
        site.set_up("", "")
        invite = site.run("hub", "invite", "web2", "--state", site.states["hub"])
        first = program("agent", "join", "-", "--state", tmp_path / "one", stdin=invite)
        assert first.returncode == 0, first.stderr
        second = program("agent", "join", "-", "--state", tmp_path / "two", stdin=invite)
        refused(second, "unknown, spent or expired", "sentinel-hub invite")
        assert not (tmp_path / "two" / identity.IDENTITY).exists()
        site.operator = tmp_path / "one"
        asyncio.run(refuse_agent_as_operator(site))
    finally:
        site.stop()


async def refuse_agent_as_operator(site):
    client = site.client()
    try:
        with pytest.raises(errors.PeerError, match="role agent may not call"):
            await client.call(protocol.StatusRequest())
    finally:
        await client.close()
