"""Each way in which a signature can be wrong has its own name; everything else is one exact text."""

from __future__ import annotations

import base64
import hashlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentinel.errors import SignatureError
from sentinel.protocol import DECISION
from sentinel.trust import sshsig
from sentinel.trust.sshsig import HEADER, Kind, string
from tests.unit.trust.keys import SoftKey, fields, mpint

DATA = b'{"choice":"approve"}'
KEYS = {kind: SoftKey(kind) for kind in Kind}
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551  # of P-256


def check(armoured, data=DATA, namespace=DECISION):
    return sshsig.check(sshsig.parse(armoured), data, namespace)


def refused(armoured, data=DATA, namespace=DECISION):
    with pytest.raises(SignatureError) as caught:
        check(armoured, data, namespace)
    return caught.value.check


@pytest.mark.parametrize("kind", Kind)
def test_every_kind_of_key_that_may_sign_is_verified(kind):
    proof = check(KEYS[kind].sign(DATA))
    assert proof.key.blob == KEYS[kind].blob
    assert (proof.touched, proof.counter) == ((True, 7) if KEYS[kind].token else (False, 0))


@pytest.mark.parametrize("kind", Kind)
def test_another_text_or_another_key_is_not_signed(kind):
    assert refused(KEYS[kind].sign(DATA), DATA + b" ") == "signature.bad"
    envelope = sshsig.parse(KEYS[kind].sign(DATA))
    stolen = sshsig.wrap(SoftKey(kind).blob, DECISION, envelope.signature)
    assert refused(stolen) == "signature.bad"


@pytest.mark.parametrize("kind", [Kind.SK_ED25519, Kind.SK_ECDSA])
@pytest.mark.parametrize(
    ("flags", "touched", "verified"),
    [(0, False, False), (1, True, False), (4, False, True), (5, True, True), (0x19, True, False)],
)
def test_a_tokens_flags_are_told_and_cannot_be_set_afterwards(kind, flags, touched, verified):
    signed = KEYS[kind].sign(DATA, flags=flags, counter=2**32 - 1)
    proof = check(signed)
    assert (proof.touched, proof.verified) == (touched, verified)
    assert proof.counter == 2**32 - 1
    blob = sshsig.parse(signed).signature
    forged = blob[:-5] + bytes([flags ^ 1]) + blob[-4:]
    assert refused(sshsig.wrap(KEYS[kind].blob, DECISION, forged)) == "signature.bad"


@pytest.mark.parametrize("namespace", ["git", "login@sentinel", "", "decision@sentinel\0", "é"])
def test_a_signature_for_another_purpose_is_refused_by_name(namespace):
    key = KEYS[Kind.ED25519]
    name = namespace.encode("utf-8")
    digest = hashlib.sha512(DATA).digest()
    message = b"SSHSIG" + string(name) + string(b"") + string(b"sha512") + string(digest)
    signed = fields(key.blob, name, b"", b"sha512", key.raw(message))
    assert refused(signed) == "signature.namespace"
    assert refused(signed, namespace="") == "signature.namespace"


def test_both_hashes_are_taken_and_no_other():
    key = KEYS[Kind.ED25519]
    message = sshsig.to_sign(DATA, DECISION, "sha256")
    assert check(fields(key.blob, DECISION.encode(), b"", b"sha256", key.raw(message)))
    for name in (b"sha1", b"SHA512", b"sha512 ", b"", b"\xff", b"md5"):
        digest = hashlib.sha512(DATA).digest()
        parts = (DECISION.encode(), b"", name, digest)
        message = b"SSHSIG" + b"".join(string(part) for part in parts)
        signed = fields(key.blob, DECISION.encode(), b"", name, key.raw(message))
        assert refused(signed) == "signature.hash"


def test_the_reserved_field_is_empty():
    key = KEYS[Kind.ED25519]
    message = sshsig.to_sign(DATA, DECISION)
    signed = fields(key.blob, DECISION.encode(), b"x", b"sha512", key.raw(message))
    assert refused(signed) == "signature.form"


@pytest.mark.parametrize(
    "name",
    [
        b"ssh-rsa", b"rsa-sha2-512", b"ssh-dss", b"ecdsa-sha2-nistp384", b"ecdsa-sha2-nistp521",
        b"ssh-ed25519-cert-v01@openssh.com", b"sk-ssh-ed25519-cert-v01@openssh.com",
        b"webauthn-sk-ecdsa-sha2-nistp256@openssh.com", b"SSH-ED25519", b"", b"\xff\x1b[2J",
    ],
)  # fmt: skip
def test_keys_and_signatures_of_other_types_are_refused(name):
    key = KEYS[Kind.ED25519]
    envelope = sshsig.parse(key.sign(DATA))
    other_key = string(name) + key.blob[4 + len("ssh-ed25519") :]
    assert refused(sshsig.wrap(other_key, DECISION, envelope.signature)) == "signature.key-type"
    other = string(name) + envelope.signature[4 + len("ssh-ed25519") :]
    assert refused(sshsig.wrap(key.blob, DECISION, other)) == "signature.key-type"


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("other", Kind)
def test_a_signature_of_another_kind_than_its_key_is_refused(kind, other):
    if kind is other:
        return
    signature = sshsig.parse(KEYS[other].sign(DATA)).signature
    assert refused(sshsig.wrap(KEYS[kind].blob, DECISION, signature)) == "signature.key-type"


@pytest.mark.parametrize("kind", Kind)
def test_nothing_follows_and_nothing_is_missing(kind):
    key = KEYS[kind]
    envelope = sshsig.parse(key.sign(DATA))
    for signature in (envelope.signature + b"\0", envelope.signature[:-1]):
        assert refused(sshsig.wrap(key.blob, DECISION, signature)) == "signature.form"
    for blob in (key.blob + b"\0", key.blob[:-1]):
        assert refused(sshsig.wrap(blob, DECISION, envelope.signature)) == "signature.form"
    whole = (key.blob, DECISION.encode(), b"", b"sha512", envelope.signature)
    assert check(fields(*whole))
    assert refused(fields(*whole, b"")) == "signature.form"
    assert refused(fields(*whole[:-1])) == "signature.form"


@pytest.mark.parametrize("spoil", [lambda b: b"sshsig" + b[6:], lambda b: b[:9] + b"\2" + b[10:]])
def test_another_magic_or_version_is_refused(spoil):
    blob = base64.b64decode("".join(KEYS[Kind.ED25519].sign(DATA).splitlines()[1:-1]))
    assert refused(sshsig.armour(spoil(blob))) == "signature.form"


def relined(text, width):
    body = "".join(text.splitlines()[1:-1])
    lines = [body[at : at + width] for at in range(0, len(body), width)]
    return "\n".join([text.splitlines()[0], *lines, text.splitlines()[-1]]) + "\n"


@pytest.mark.parametrize(
    "spoil",
    [
        lambda t: t[:-1],
        lambda t: t + "\n",
        lambda t: " " + t,
        lambda t: "\ufeff" + t,
        lambda t: t.replace("\n", "\r\n"),
        lambda t: relined(t, 76),
        lambda t: relined(t, 64),
        lambda t: relined(t, 10_000),
        lambda t: t.replace("=\n", "\n"),
        lambda t: t.replace("=\n", "==\n"),
        lambda t: t.replace(HEADER, HEADER + "\n"),
        lambda t: t.replace("SSH SIGNATURE", "SSH  SIGNATURE"),
        lambda t: t + t,
        lambda t: t.replace("U1NI", "U1-I"),
        lambda t: t.replace("U1NI", "é1NI"),
        lambda t: "",
        lambda t: "A" * 9000,
        lambda t: HEADER + "\n-----END SSH SIGNATURE-----\n",
    ],
)
def test_a_signature_has_one_spelling(spoil):
    signed = KEYS[Kind.ED25519].sign(DATA)
    assert signed.count("=\n") == 1  # or three of the cases would change nothing
    assert spoil(signed) != signed
    assert refused(spoil(signed)) == "signature.form"


def test_the_unused_bits_of_the_last_letter_are_zero():
    """Base64 leaves bits over in its last letter: other letters would decode to the same bytes."""
    signed = KEYS[Kind.ED25519].sign(DATA)
    at = signed.index("=\n") - 1
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    for letter in letters.replace(signed[at], ""):
        assert refused(signed[:at] + letter + signed[at + 1 :]) in (
            "signature.form", "signature.bad",
        )  # fmt: skip


@pytest.mark.parametrize("kind", [Kind.ECDSA, Kind.SK_ECDSA])
def test_the_numbers_of_an_ecdsa_signature_have_one_spelling(kind):
    key = KEYS[kind]
    blob = sshsig.parse(key.sign(DATA)).signature
    reader = sshsig.Reader(blob, "test")
    name, raw = reader.string(), reader.string()
    tail = blob[8 + len(name) + len(raw) :]
    numbers = sshsig.Reader(raw, "test")
    r, s = numbers.string(), numbers.string()

    def with_numbers(*parts):
        made = string(name) + string(b"".join(parts)) + tail
        return sshsig.wrap(key.blob, DECISION, made)

    assert check(with_numbers(string(r), string(s)))
    for parts in (
        (string(b"\0" + r), string(s)),
        (string(r), string(b"\0" + s)),
        (string(b""), string(s)),
        (string(b"\0"), string(s)),
        (string(r), string(b"\x80" + s)),
        (string(r), string(s), string(s)),
        (string(r),),
    ):
        assert refused(with_numbers(*parts)) == "signature.form"
    for parts in ((mpint(ORDER), string(s)), (string(r), mpint(int.from_bytes(s) + ORDER))):
        assert refused(with_numbers(*parts)) == "signature.bad"


def test_an_ecdsa_key_is_an_uncompressed_point_of_the_one_curve():
    key = KEYS[Kind.ECDSA]
    signature = sshsig.parse(key.sign(DATA)).signature
    head = string(b"ecdsa-sha2-nistp256")
    point = key.blob[-65:]
    for blob, why in (
        (head + string(b"nistp384") + string(point), "signature.key-type"),
        (head + string(b"nistp256") + string(bytes([2 + point[64] % 2]) + point[1:33]), "signature.form"),
        (head + string(b"nistp256") + string(bytes([6 + point[64] % 2]) + point[1:]), "signature.form"),
        (head + string(b"nistp256") + string(point[:-1] + bytes([point[-1] ^ 1])), "signature.form"),
        (head + string(b"nistp256") + string(b"\0"), "signature.form"),
    ):  # fmt: skip
        assert refused(sshsig.wrap(blob, DECISION, signature)) == why


def test_a_token_signs_for_ssh_and_for_nothing_else():
    for application in (b"https://example.org", b"", b"ssh"):
        key = SoftKey(Kind.SK_ED25519, application)
        assert refused(key.sign(DATA)) == "signature.key-type"
    other = SoftKey(Kind.SK_ED25519, b"ssh:work")
    assert check(other.sign(DATA)).key.application == b"ssh:work"


def test_an_ed25519_signature_cannot_be_made_into_another_one():
    """s + L is the same number to a verifier that does not look; RFC 8032 refuses it."""
    key = KEYS[Kind.ED25519]
    blob = sshsig.parse(key.sign(DATA)).signature
    order = 2**252 + 27742317777372353535851937790883648493
    number = int.from_bytes(blob[-32:], "little") + order
    assert refused(
        sshsig.wrap(key.blob, DECISION, blob[:-32] + number.to_bytes(32, "little"))
    ) == "signature.bad"  # fmt: skip


def test_the_fingerprint_is_the_one_people_know():
    blob = base64.b64decode("AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl")
    # GitHub publishes its host key with this fingerprint.
    expected = "SHA256:+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU"
    assert sshsig.parse_key(blob).fingerprint == expected


@given(st.binary(max_size=300))
def test_bytes_of_any_kind_are_refused_and_nothing_else_is_raised(blob):
    with pytest.raises(SignatureError):
        check(sshsig.armour(b"SSHSIG" + struct.pack(">I", 1) + blob))


@given(st.text(max_size=200))
def test_text_of_any_kind_is_refused_and_nothing_else_is_raised(text):
    with pytest.raises(SignatureError):
        check(HEADER + text)
