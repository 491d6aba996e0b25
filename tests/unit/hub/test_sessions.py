"""A login is this person's, with this certificate, at this hub, once, and for a time."""

from __future__ import annotations

import msgspec
import pytest

from sentinel import canonical, config, errors
from sentinel.domain import Signature
from sentinel.hub import access, sessions
from sentinel.hub.access import Operators
from sentinel.hub.callers import Caller
from sentinel.hub.sessions import Sessions
from sentinel.protocol import DECISION, LOGIN, LoginRequest, LoginStatement
from sentinel.trust import signers
from sentinel.trust.sshsig import Kind
from sentinel.trust.x509 import Role
from tests.unit.trust.keys import SoftKey

NOW = 1_800_000_000_000
LIFE = 3_600_000
CA = b"-----BEGIN CERTIFICATE-----\nthis hub's\n"
KEYS = {"alice": SoftKey(), "bob": SoftKey(Kind.ECDSA), "carol": SoftKey(), "tok": SoftKey(Kind.SK_ED25519)}  # fmt: skip
PEOPLE = """
[people.alice]
role = "approver"
groups = ["web"]
[people.bob]
role = "lead"
[people.tok]
role = "viewer"
[groups]
web = ["web*"]
"""


def caller(name="alice", serial="a1", expires_ms=NOW + 10 * LIFE):
    return Caller(role=Role.OPERATOR, name=name, site="prod", serial=serial, expires_ms=expires_ms)


@pytest.fixture
def files(tmp_path):
    (tmp_path / "operators.toml").write_text(PEOPLE)
    lines = [key.line(name) for name, key in KEYS.items()]
    (tmp_path / "allowed_signers").write_text("".join(lines))
    return tmp_path


@pytest.fixture
def hub(files):
    people = config.Watched(files / "operators.toml", access.load, Operators())
    return Sessions("prod", CA, people, signers.watched(files / "allowed_signers"), LIFE)


def statement(challenge, who, /, **fields):
    said = LoginStatement(
        challenge=challenge,
        site="prod",
        authority=canonical.digest(CA),
        serial=who.serial,
        operator=who.name,
    )
    return canonical.encode(msgspec.structs.replace(said, **fields))


def request(data, name="alice", key=None, namespace=LOGIN, **token):
    made = (key or KEYS[name]).sign(data, namespace, **token)
    return LoginRequest(statement=data.decode(), signature=Signature(signer=name, sshsig=made))


def login(hub, who=None, now_ms=NOW):
    who = who or caller()
    asked = hub.challenge(who, now_ms)
    return hub.login(who, request(statement(asked.challenge, who), who.name), now_ms)


# ---------------------------------------------------------------- a login


def test_a_login_gives_a_session_that_says_what_its_person_may_do(hub):
    asked = hub.challenge(caller(), NOW)
    (key,) = signers.parse(KEYS["alice"].line("alice")).by_key.values()
    assert (asked.site, asked.serial, asked.keys) == ("prod", "a1", (key.key.fingerprint,))
    session = login(hub)
    assert (session.operator, session.role, session.groups) == ("alice", "approver", ("web",))
    assert session.keys == asked.keys
    assert session.expires_ms == NOW + LIFE
    who = hub.who(caller(), session.token, NOW)
    assert who.name == "alice"
    who.decides_for("web7")
    with pytest.raises(
        errors.PeerError, match="alice may not decide for db1: only for hosts of web"
    ):
        who.decides_for("db1")


@pytest.mark.parametrize("name", ["alice", "bob", "tok"])
def test_every_kind_of_key_logs_in(hub, name):
    assert login(hub, caller(name)).operator == name


WRONG = {
    "unknown, used or too old": [{"challenge": "0" * 32}],
    "for another hub's CA": [{"authority": "sha256:" + "0" * 64}],
    "for another site": [{"site": "test"}],
    "for another certificate": [{"serial": "b2"}],
    "for another person": [{"operator": "bob"}],
}


@pytest.mark.parametrize(
    ("says", "fields"), [(says, fields) for says, all_ in WRONG.items() for fields in all_]
)
def test_a_login_made_for_something_else_is_refused_with_the_remedy(hub, says, fields):
    asked = hub.challenge(caller(), NOW)
    with pytest.raises(errors.PeerError, match=says) as caught:
        hub.login(caller(), request(statement(asked.challenge, caller(), **fields)), NOW)
    assert "log in" in caught.value.hint


@pytest.mark.parametrize(
    ("check", "more"),
    [
        ("signature.unknown-key", {"key": SoftKey()}),
        ("signature.person", {"key": KEYS["bob"]}),
        ("signature.namespace", {"namespace": DECISION}),
        ("signature.namespace", {"namespace": "git"}),
        ("signature.touch", {"name": "tok", "flags": 0}),
    ],
)
def test_a_login_that_its_person_has_not_signed_is_refused_by_name(hub, check, more):
    who = caller(more.get("name", "alice"))
    asked = hub.challenge(who, NOW)
    with pytest.raises(errors.SignatureError) as caught:
        hub.login(who, request(statement(asked.challenge, who), **more), NOW)
    assert caught.value.check == check
    assert caught.value.hint or check == "signature.person"


def test_a_login_under_another_persons_name_is_refused(hub):
    asked = hub.challenge(caller(), NOW)
    data = statement(asked.challenge, caller())
    with pytest.raises(errors.PeerError, match="for another signer: bob"):
        hub.login(caller(), request(data, "bob"), NOW)


def test_what_was_signed_is_the_exact_text(hub):
    asked = hub.challenge(caller(), NOW)
    made = request(statement(asked.challenge, caller()))
    for text in (made.statement + " ", made.statement.replace(":", ": ", 1), "{}", ""):
        with pytest.raises(errors.WireError):
            hub.login(caller(), msgspec.structs.replace(made, statement=text), NOW)


def test_a_challenge_is_good_once_whatever_came_of_it(hub):
    asked = hub.challenge(caller(), NOW)
    data = statement(asked.challenge, caller())
    with pytest.raises(errors.SignatureError):
        hub.login(caller(), request(data, key=SoftKey()), NOW)
    with pytest.raises(errors.LoginError, match="unknown, used or too old"):
        hub.login(caller(), request(data), NOW)


def test_a_challenge_is_good_for_a_time_and_for_its_certificate(hub):
    asked = hub.challenge(caller(), NOW)
    other = caller(serial="b2")
    with pytest.raises(errors.LoginError):
        hub.login(other, request(statement(asked.challenge, other)), NOW)
    asked = hub.challenge(caller(), NOW)
    late = NOW + sessions.CHALLENGE_MS
    with pytest.raises(errors.LoginError):
        hub.login(caller(), request(statement(asked.challenge, caller())), late)


def test_who_has_a_key_and_no_rank_is_told_what_is_missing(hub):
    with pytest.raises(errors.PeerError, match="carol is nobody at this hub") as caught:
        login(hub, caller("carol"))
    assert "[people.carol]" in caught.value.hint


def test_who_has_no_key_is_asked_for_none(hub):
    assert hub.challenge(caller("dave"), NOW).keys == ()


# ---------------------------------------------------------------- a session


def test_a_session_is_good_for_its_time_and_its_certificate(hub):
    session = login(hub)
    for who, token, now_ms in (
        (caller(serial="b2"), session.token, NOW),
        (caller(), "0" * 32, NOW),
        (caller(), "", NOW),
        (caller(), session.token, NOW + LIFE),
    ):
        with pytest.raises(errors.LoginError, match="is not logged in") as caught:
            hub.who(who, token, now_ms)
        assert caught.value.hint == "log in again"


def test_a_session_never_outlives_the_certificate(hub):
    assert login(hub, caller(expires_ms=NOW + 5)).expires_ms == NOW + 5


def test_who_is_struck_off_is_out_at_once(hub, files):
    session = login(hub)
    ranks, keys = (files / "operators.toml"), (files / "allowed_signers")
    ranks.write_text(PEOPLE.replace('"approver"', '"viewer"'))
    assert hub.who(caller(), session.token, NOW).person.role is access.Rank.VIEWER
    ranks.write_text("")
    with pytest.raises(errors.PeerError, match="is nobody at this hub"):
        hub.who(caller(), session.token, NOW)
    ranks.write_text(PEOPLE)
    assert hub.who(caller(), session.token, NOW)
    keys.write_text(KEYS["alice"].line("alice", [DECISION]))
    with pytest.raises(errors.LoginError, match="no key any more"):
        hub.who(caller(), session.token, NOW)
    keys.write_text("alice\n")
    with pytest.raises(errors.ConfigError, match="allowed_signers:1"):
        hub.who(caller(), session.token, NOW)
    keys.unlink()
    with pytest.raises(errors.LoginError, match="no key any more"):
        hub.who(caller(), session.token, NOW)


def test_what_one_certificate_can_leave_open_is_bounded_and_harms_no_other(hub):
    first = login(hub, caller("bob", "b1"))
    tokens = [login(hub).token for _ in range(sessions.OPEN_SESSIONS + 3)]
    for _ in range(1000):
        hub.challenge(caller(), NOW)
    assert hub.who(caller("bob", "b1"), first.token, NOW)
    assert len(hub._challenges) <= sessions.OPEN_CHALLENGES
    assert len(hub._sessions) == sessions.OPEN_SESSIONS + 1
    with pytest.raises(errors.LoginError):
        hub.who(caller(), tokens[0], NOW)
    assert hub.who(caller(), tokens[-1], NOW)
