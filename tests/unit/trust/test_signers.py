"""allowed_signers is a root of trust: every line is understood or the file is refused by its number."""

from __future__ import annotations

import pytest

from sentinel.domain import Signature
from sentinel.errors import ConfigError, SignatureError
from sentinel.protocol import DECISION, LOGIN
from sentinel.trust import signers
from sentinel.trust.sshsig import Kind
from tests.unit.trust.keys import SoftKey

NOW = 1_800_000_000_000  # 2027-01-15 08:00:00 UTC
DATA = b"statement"
ALICE, LAPTOP, BOB, CAROL = SoftKey(), SoftKey(Kind.ECDSA), SoftKey(), SoftKey(Kind.SK_ED25519)
FILE = ALICE.line("alice") + LAPTOP.line("alice") + BOB.line("bob") + CAROL.line("carol")


def signed(name, key, data=DATA, namespace=DECISION, **token):
    return Signature(signer=name, sshsig=key.sign(data, namespace, **token))


def people(*signatures, text=FILE, namespace=DECISION, now_ms=NOW, data=DATA):
    return signers.people(data, signatures, signers.parse(text), namespace, now_ms)


def refused(*signatures, **more):
    with pytest.raises(SignatureError) as caught:
        people(*signatures, **more)
    return caught.value.check


# ---------------------------------------------------------------- the file


def test_a_line_says_who_which_key_for_what_and_when():
    times = 'valid-after="20260101Z",valid-before="202701151200Z"'
    text = "# people\n\n" + ALICE.line("alice", more=times)
    (signer,) = signers.parse(text).by_key.values()
    assert (signer.person, signer.key.blob) == ("alice", ALICE.blob)
    assert signer.namespaces == {LOGIN, DECISION}
    assert (signer.after_ms, signer.before_ms) == (1_767_225_600_000, 1_800_014_400_000)
    assert signer.comment == "test"


def test_the_last_line_needs_no_end_and_a_comment_may_have_words():
    found = signers.parse(ALICE.line("alice", comment="laptop of alice, née x")[:-1])
    assert found.may(LOGIN) == {"alice"}
    for text in ("", "# nobody\n  \n"):
        assert signers.parse(text) == signers.NOBODY


def test_who_may_do_what_is_told():
    found = signers.parse(ALICE.line("alice") + BOB.line("bob", [LOGIN]))
    assert found.may(LOGIN) == {"alice", "bob"}
    assert found.may(DECISION) == {"alice"}
    assert signers.NOBODY.may(LOGIN) == frozenset()


K = ALICE.public
NS = 'namespaces="decision@sentinel"'
WRONG = {
    "no namespaces": [f"alice {K}", f"alice {K} comment"],
    "'' is not a namespace": [
        f'alice namespaces="" {K}', f'alice valid-after="20260101Z" {K}', f'alice namespaces="a," {K}',
    ],
    "is not a namespace": [
        f'alice namespaces="*" {K}', f'alice namespaces="a b" {K}', f'alice namespaces="!git" {K}',
        f'alice namespaces="decision@sentinel,?" {K}',
    ],
    "a namespace stands twice": [f'alice namespaces="a,b,a" {K}'],
    "is not one person's name": [
        f"* {NS} {K}", f"alice,bob {NS} {K}", f'"alice" {NS} {K}', f"!alice {NS} {K}", f"@ {NS} {K}",
        f"al\x1b[2Jice {NS} {K}", f"é {NS} {K}", f"{'a' * 65} {NS} {K}",
    ],
    "the option cert-authority is not taken": [
        f"alice cert-authority,{NS} {K}", f"alice {NS},cert-authority {K}", f"alice cert-authority {K}",
    ],
    "the option": [
        f'alice namespace="x" {K}', f'alice {NS},no-touch-required {K}', f'alice {NS},restrict="" {K}',
        f"alice namespaces {K}",
    ],
    "the option namespaces stands twice": [f"alice {NS},{NS} {K}"],
    "the option valid-after stands twice": [
        f'alice {NS},valid-after="20260101Z",valid-after="20260101Z" {K}'
    ],
    "not a time": [
        f'alice {NS},valid-before="{time}" {K}'
        for time in (
            "", "Z", "2026", "20260101", "20261301Z", "20260230Z", "202601012460Z", "20260101z",
            "2026-01-01Z", " 20260101Z", "20260101 1200Z", "always", "+2026010Z", "٢٠٢٦٠١٠١Z",
        )
    ],
    "not a line of allowed_signers": [
        "alice", f"alice {NS}", f"alice {NS} ssh-ed25519", f" alice {NS} {K}", f"alice {NS}, {K}",
        f"alice ,{NS} {K}", f"alice NAMESPACES=\"x\" {K}", f"alice namespaces='x' {K}",
        f"alice {NS} {K}\r", f"alice\xa0{NS} {K}", f"alice {NS} {K}\x0b", "\x00", "\ufeff# file",
        f'alice namespaces="a\\"b" {K}', f"alice {NS} {K[:-1]}$", "@cert-authority * x", "\tx",
    ],
    "the key is not base64": [
        f"alice {NS} {K[:-1]}", f"alice {NS} ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAAR==",
    ],
    "the line says": [f"alice {NS} {K.replace('ssh-ed25519', 'ecdsa-sha2-nistp256', 1)}"],
    "do not sign here": [
        f"alice {NS} ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAAQ==",
        f"alice {NS} ssh-ed25519-cert-v01@openssh.com "
        "AAAAIHNzaC1lZDI1NTE5LWNlcnQtdjAxQG9wZW5zc2guY29t",
    ],
    "ends in the middle": [f"alice {NS} ssh-ed25519 AAAAC3NzaC1lZDI1NTE5"],
    "follow the public key": [f"alice {NS} {K}AAAA"],
    "demands a FIDO2 token": [f"alice {NS} {K} verify-required"],
}  # fmt: skip


@pytest.mark.parametrize(
    ("says", "line"), [(says, line) for says, lines in WRONG.items() for line in lines]
)
def test_a_line_that_is_not_understood_is_an_error_with_its_number(says, line):
    for name, text in (("file", f"# first\n{BOB.line('bob')}{line}\n"), ("f", f"\n\n{line}")):
        with pytest.raises(ConfigError) as caught:
            signers.parse(text, name)
        assert says in caught.value.what
        assert caught.value.what.startswith(f"{name}:3: ")
        assert caught.value.what.isprintable()


@pytest.mark.parametrize("other", ["alice", "bob"])
def test_a_key_stands_once_and_for_one_person(other):
    with pytest.raises(ConfigError, match=r"file:3: this key stands on line 1 already, for alice"):
        signers.parse(ALICE.line("alice") + "\n" + ALICE.line(other, [LOGIN]), "file")


def test_a_file_without_end_is_refused():
    with pytest.raises(ConfigError, match="the limit is"):
        signers.parse("#" * (signers.FILE_CHARS + 1))


def test_a_file_is_loaded_and_one_that_is_not_there_is_named(tmp_path):
    (tmp_path / "allowed_signers").write_text(FILE)
    assert signers.load(tmp_path / "allowed_signers").may(LOGIN) == {"alice", "bob", "carol"}
    with pytest.raises(ConfigError, match="does not exist"):
        signers.load(tmp_path / "none")
    (tmp_path / "bad").write_text("x")
    with pytest.raises(ConfigError, match=r"bad:1: not a line"):
        signers.load(tmp_path / "bad")


# ---------------------------------------------------------------- whose signatures count


def test_distinct_people_are_counted_not_keys():
    assert refused() == "signatures.missing"
    assert people(signed("alice", ALICE), signed("bob", BOB)) == {"alice", "bob"}
    assert people(signed("alice", ALICE), signed("alice", LAPTOP)) == {"alice"}
    assert people(signed("alice", ALICE), signed("alice", ALICE)) == {"alice"}


def test_one_signature_that_does_not_count_spoils_the_rest():
    assert refused(signed("alice", ALICE), signed("mallory", SoftKey())) == "signature.unknown-key"


@pytest.mark.parametrize(
    ("check", "signature", "more"),
    [
        ("signature.unknown-key", lambda: signed("alice", SoftKey()), {}),
        ("signature.unknown-key", lambda: signed("alice", ALICE), {"text": BOB.line("alice")}),
        ("signature.unknown-key", lambda: signed("alice", ALICE), {"text": ""}),
        ("signature.person", lambda: signed("bob", ALICE), {}),
        ("signature.person", lambda: signed("Alice", ALICE), {}),
        ("signature.namespace", lambda: signed("alice", ALICE, namespace="git"), {}),
        ("signature.namespace", lambda: signed("alice", ALICE, namespace=LOGIN), {}),
        ("signature.bad", lambda: signed("alice", ALICE, data=b"other"), {}),
        ("signature.form", lambda: Signature(signer="alice", sshsig="none"), {}),
        ("signature.purpose", lambda: signed("alice", ALICE), {"text": ALICE.line("alice", [LOGIN])}),
        ("signature.purpose", lambda: signed("alice", ALICE), {"text": ALICE.line("alice", ["git"])}),
        ("signature.touch", lambda: signed("carol", CAROL, flags=0), {}),
        ("signature.touch", lambda: signed("carol", CAROL, flags=4), {}),
        ("signature.verification", lambda: signed("carol", CAROL, flags=1),
         {"text": CAROL.line("carol", comment="a verify-required b")}),
    ],
)  # fmt: skip
def test_each_reason_not_to_count_has_its_name(check, signature, more):
    assert refused(signature(), **more) == check


def test_a_token_that_was_touched_counts_and_with_a_pin_where_it_is_demanded():
    assert people(signed("carol", CAROL, flags=1)) == {"carol"}
    demanding = CAROL.line("carol", comment="verify-required")
    assert people(signed("carol", CAROL, flags=5), text=demanding) == {"carol"}


@pytest.mark.parametrize(
    ("option", "now_ms", "counts"),
    [
        ('valid-after="20270115080000Z"', NOW, True),
        ('valid-after="20270115080001Z"', NOW, False),
        ('valid-before="20270115080001Z"', NOW, True),
        ('valid-before="20270115080000Z"', NOW, False),
        ('valid-before="20270115080000Z"', NOW - 1, True),
        ('valid-after="20270101Z",valid-before="20270201Z"', NOW, True),
        ('valid-after="19690101Z"', NOW, True),
        ('valid-before="19690101Z"', NOW, False),
    ],
)
def test_a_key_counts_within_its_time_only(option, now_ms, counts):
    text = ALICE.line("alice", more=option)
    if counts:
        assert people(signed("alice", ALICE), text=text, now_ms=now_ms) == {"alice"}
    else:
        assert refused(signed("alice", ALICE), text=text, now_ms=now_ms) == "signature.key-time"
