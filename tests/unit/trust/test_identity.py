from __future__ import annotations

import json
import os
import stat

import pytest

from sentinel.errors import ConfigError, PeerError
from sentinel.trust import identity, x509
from sentinel.trust.identity import HubAddress

NOW = 1_790_000_000_000
ADDRESS = HubAddress(site="prod", hub="hub:7443", enrol="hub:7444")


@pytest.fixture
def folder(tmp_path):
    ca = x509.new_authority("prod", NOW)
    key = x509.new_key()
    who = x509.Identity(site="prod", role=x509.Role.AGENT, name="web1")
    pair = x509.Pair(key=key, certificate=x509.issue(ca, x509.request(key), who, NOW))
    identity.save(tmp_path / "id", pair, ca.certificate, ADDRESS)
    return tmp_path / "id"


def test_what_is_saved_is_loaded(folder):
    found = identity.load(folder, NOW)
    assert found.details.identity.name == "web1"
    assert found.address == ADDRESS


def test_the_key_is_readable_by_its_owner_only(folder):
    assert stat.S_IMODE((folder / identity.IDENTITY).stat().st_mode) == 0o600


def test_a_folder_that_was_never_enrolled_says_how_to(tmp_path):
    with pytest.raises(ConfigError, match="not enrolled") as error:
        identity.load(tmp_path, NOW)
    assert "sentinel-hub invite" in error.value.hint
    assert "sentinel-hub operator" in error.value.hint
    assert "--identity" in error.value.hint


def test_a_damaged_identity_is_named(folder):
    (folder / identity.IDENTITY).write_text("x")
    with pytest.raises(ConfigError, match="is damaged"):
        identity.load(folder, NOW)


def test_an_expired_identity_is_not_used(folder):
    with pytest.raises(PeerError, match="expired"):
        identity.load(folder, NOW + 30 * 86_400_000)


def invite(**changes):
    plain = {
        "sentinel_invite": 1,
        "host": "web1",
        "token": "t",
        "ca": "pem",
        "address": {"site": "prod", "hub": "hub:7443", "enrol": "hub:7444"},
    }
    return json.dumps(plain | changes)


def test_an_invite_is_read():
    assert identity.read_invite(invite()).address == ADDRESS


@pytest.mark.parametrize(
    "text", ["", "{}", invite(host="../etc"), invite(extra=1), invite(token=3), "\ud800"]
)
def test_what_is_no_invite_is_refused_with_the_remedy(text):
    with pytest.raises(ConfigError, match="not an invite") as error:
        identity.read_invite(text)
    assert "sentinel-hub invite" in error.value.hint


def test_an_invite_of_another_version_is_refused():
    with pytest.raises(ConfigError, match="of version 2"):
        identity.read_invite(invite(sentinel_invite=2))


def test_roots_of_trust_come_with_the_first_invite_and_no_later_one_changes_them(tmp_path):
    first = identity.read_invite(invite(allowed_signers="alice ...\n", checkpoint_key="log+1+k\n"))
    identity.check_roots(tmp_path / "roots", first)
    identity.save_roots(tmp_path / "roots", first)
    found = {path.name: path.read_text() for path in (tmp_path / "roots").iterdir()}
    assert found == {
        "host": "web1\n",
        "allowed_signers": "alice ...\n",
        "checkpoint.pub": "log+1+k\n",
    }
    identity.check_roots(tmp_path / "roots", first)
    for change in ({"allowed_signers": "mallory\n"}, {"checkpoint_key": "x"}, {"host": "web2"}):
        other = identity.read_invite(invite(**change))
        with pytest.raises(ConfigError, match="says otherwise than the invite"):
            identity.check_roots(tmp_path / "roots", other)
        identity.save_roots(tmp_path / "roots", other)
    assert found == {path.name: path.read_text() for path in (tmp_path / "roots").iterdir()}


def test_roots_that_the_invite_does_not_carry_are_left_alone(tmp_path):
    identity.save_roots(tmp_path, identity.read_invite(invite()))
    assert [path.name for path in tmp_path.iterdir()] == ["host"]


@pytest.mark.parametrize("umask", [0o077, 0o027, 0o022, 0o000])
def test_roots_are_for_every_program_of_the_node_to_read_whatever_the_umask_is(tmp_path, umask):
    folder = tmp_path / "etc" / "roots"
    before = os.umask(umask)
    try:
        identity.save_roots(folder, identity.read_invite(invite(allowed_signers="alice\n")))
        assert os.umask(umask) == umask
    finally:
        os.umask(before)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (folder.parent, folder)}
    assert modes == {"etc": 0o755, "roots": 0o755}
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o644}
