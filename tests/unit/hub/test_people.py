"""`sentinel-hub operator --key`: both files are right afterwards, or as they were."""

from __future__ import annotations

import pytest

from sentinel import protocol
from sentinel.config import HubSettings
from sentinel.errors import ConfigError
from sentinel.hub import access, people
from sentinel.hub.access import Rank
from sentinel.trust import signers
from tests.unit.trust.keys import SoftKey

HUB = HubSettings()
ALICE, BOB = SoftKey(), SoftKey()


def add(state, name, key, rank=Rank.APPROVER):
    people.add(HUB, state, name, key if isinstance(key, str) else f"{key.public} a comment\n", rank)


def test_a_person_gets_a_key_and_a_rank(tmp_path):
    add(tmp_path, "alice", ALICE)
    add(tmp_path, "bob", BOB, Rank.LEAD)
    assert people.known(HUB, tmp_path) == {"alice", "bob"}
    known = signers.load(tmp_path / "allowed_signers")
    assert known.may(protocol.DECISION) == {"alice", "bob"}
    assert known.by_key[ALICE.blob].comment == "a comment"
    found = access.load(tmp_path / "operators.toml").people
    assert {name: person.role for name, person in found.items()} == {
        "alice": Rank.APPROVER, "bob": Rank.LEAD,
    }  # fmt: skip


def test_a_second_key_of_a_person_is_added_and_what_was_written_by_hand_stays(tmp_path):
    (tmp_path / "operators.toml").write_text('# ours\n[people.alice]\nrole = "approver"')
    (tmp_path / "allowed_signers").write_text("# ours\n" + ALICE.line("alice")[:-1])
    add(tmp_path, "alice", BOB)
    assert (tmp_path / "allowed_signers").read_text().startswith("# ours\n")
    assert len(signers.load(tmp_path / "allowed_signers").by_key) == 2
    assert (tmp_path / "operators.toml").read_text() == '# ours\n[people.alice]\nrole = "approver"'


@pytest.mark.parametrize(
    ("name", "key", "rank", "says"),
    [
        ("bob", ALICE, Rank.LEAD, "this key stands on line 1 already, for alice"),
        ("alice", ALICE, Rank.APPROVER, "this key stands on line 1 already"),
        ("alice", BOB, Rank.ADMIN, "alice is approver already"),
        ("bob", "ssh-rsa AAAAB3NzaC1yc2E= x", Rank.LEAD, ":2: "),
        ("bob", "", Rank.LEAD, "not one public key"),
        ("bob", f"{BOB.public}\n{BOB.public}", Rank.LEAD, "not one public key"),
        ("bob", "-----BEGIN OPENSSH PRIVATE KEY-----\nb3Bl\n", Rank.LEAD, "not one public key"),
    ],
)
def test_what_would_make_a_file_wrong_changes_neither(tmp_path, name, key, rank, says):
    add(tmp_path, "alice", ALICE)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(ConfigError, match=says):
        add(tmp_path, name, key, rank)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_the_hub_does_not_start_with_a_file_that_is_wrong(tmp_path):
    people.sessions(HUB, tmp_path, b"ca")
    for name in ("allowed_signers", "operators.toml"):
        (tmp_path / name).write_text("x")
        with pytest.raises(ConfigError, match=name):
            people.sessions(HUB, tmp_path, b"ca")
        (tmp_path / name).unlink()


def test_the_files_may_be_elsewhere(tmp_path):
    settings = HubSettings(allowed_signers="/etc/s", operators="/etc/o")
    assert str(people.signers_path(settings, tmp_path)) == "/etc/s"
    assert str(people.operators_path(settings, tmp_path)) == "/etc/o"
