"""A checkpoint is believed by its one signature alone, and has one spelling."""

from __future__ import annotations

import base64
import hashlib
import random
import subprocess

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from sentinel import merkle
from sentinel.errors import ConfigError, SignatureError
from sentinel.trust import checkpoint

ROOT = hashlib.sha256(b"root").digest()
SEED = bytes(range(32))


def signer(name="sentinel/prod-a", seed=SEED):
    return checkpoint.Signer(name, ed25519.Ed25519PrivateKey.from_private_bytes(seed))


def check_of(note, key):
    with pytest.raises(SignatureError) as caught:
        checkpoint.verify(note, key)
    return caught.value.check


def test_a_checkpoint_comes_back_as_it_was_signed():
    one = signer()
    note = one.sign(4711, ROOT)
    assert note.split("\n")[:4] == [
        "sentinel/prod-a",
        "4711",
        base64.b64encode(ROOT).decode(),
        "",
    ]
    assert note.split("\n")[4].startswith("\u2014 sentinel/prod-a ")
    found = checkpoint.verify(note, one.key)
    assert (found.origin, found.size, found.root) == ("sentinel/prod-a", 4711, ROOT)
    assert checkpoint.parse(note) == found


def test_the_empty_log_can_be_signed():
    one = signer()
    assert checkpoint.verify(one.sign(0, merkle.EMPTY), one.key).size == 0


# The example of golang.org/x/mod/sumdb/note: a key and the note that it signs.
PETER_SECRET = "AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
PETER = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
PETER_SAYS = (
    b"If you think cryptography is the answer to your problem,\n"
    b"then you don't know what your problem is.\n"
)
PETER_SIGNED = (
    "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM="
)


def test_keys_and_signatures_are_those_of_other_implementations():
    seed = base64.b64decode(PETER_SECRET)[1:]
    peter = signer("PeterNeumann", seed)
    assert peter.key.text == PETER
    assert checkpoint.parse_key(PETER) == peter.key
    private = ed25519.Ed25519PrivateKey.from_private_bytes(seed)
    line = base64.b64encode(peter.key.id + private.sign(PETER_SAYS)).decode()
    assert line == PETER_SIGNED


@pytest.mark.parametrize(
    ("change", "check"),
    [
        (lambda note: note.replace("4711", "4712"), "checkpoint.signature"),
        (lambda note: note.replace("4711", "04711"), "checkpoint.form"),
        (lambda note: note.replace("4711", "-1"), "checkpoint.form"),
        (lambda note: note.replace("4711", "4.7"), "checkpoint.form"),
        (lambda note: note.replace("4711", "9" * 16), "checkpoint.form"),
        (lambda note: note.replace("4711", "9" * 17), "checkpoint.form"),
        (lambda note: note.replace("\n4711", "\r\n4711"), "checkpoint.form"),
        (lambda note: note.replace("\n\n", "\nextension\n\n"), "checkpoint.form"),
        (lambda note: note.replace("\n\n", "\n\n\n"), "checkpoint.form"),
        (lambda note: note + note.split("\n")[4] + "\n", "checkpoint.form"),
        (lambda note: note.removesuffix("\n"), "checkpoint.form"),
        (lambda note: note + "\n", "checkpoint.form"),
        (lambda note: " " + note, "checkpoint.form"),
        (lambda note: note.replace("\u2014", "--"), "checkpoint.form"),
        (lambda note: note.partition("\n\n")[0] + "\n", "checkpoint.form"),
        (lambda note: note.replace("sentinel/prod-a", "sentinel/prod-b"), "checkpoint.origin"),
        (lambda note: note.replace("sentinel/prod-a", "sentinel/prod-b", 1), "checkpoint.origin"),
        (lambda note: "x" * 5000, "checkpoint.form"),
        (lambda note: "", "checkpoint.form"),
        (lambda note: note.replace("sentinel", "s\u00e9ntinel"), "checkpoint.form"),
    ],
)
def test_a_checkpoint_changed_in_one_place_is_refused_by_name(change, check):
    one = signer()
    assert check_of(change(one.sign(4711, ROOT)), one.key) == check


def test_another_key_of_the_same_name_is_named():
    note = signer(seed=bytes(32)).sign(7, ROOT)
    assert check_of(note, signer().key) == "checkpoint.key"
    forged = signer(seed=bytes(32)).key.id, signer().key.id
    lines = note.split("\n")
    raw = base64.b64decode(lines[4].split(" ")[2])
    assert raw.startswith(forged[0])
    lines[4] = f"\u2014 sentinel/prod-a {base64.b64encode(forged[1] + raw[4:]).decode()}"
    assert check_of("\n".join(lines), signer().key) == "checkpoint.signature"


def test_no_mutation_of_a_checkpoint_is_believed():
    chance, one = random.Random(2), signer()
    note = one.sign(4711, ROOT)
    alphabet = "ABCabc012+/=\n \u2014"
    for _ in range(5000):
        at = chance.randrange(len(note))
        kind = chance.randrange(3)
        end = at if kind == 0 else at + 1
        new = "" if kind == 1 else chance.choice(alphabet)
        wrong = note[:at] + new + note[end:]
        if wrong != note:
            assert check_of(wrong, one.key).startswith("checkpoint.")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "name",
        PETER.replace("c74f20a3", "c74f20a4"),
        PETER.replace("c74f20a3", "C74F20A3"),
        PETER.replace("Peter", "Pete"),
        PETER.replace("ARpc", "BRpc"),
        PETER + "A",
        PETER + "\n\n",
        " " + PETER,
        "a b" + PETER,
    ],
)
def test_a_key_that_is_none_is_refused_and_says_where_it_should_be(text):
    with pytest.raises(ConfigError, match=r"pin: .* is not a log's public key") as caught:
        checkpoint.parse_key(text, "pin")
    assert "checkpoint.pub" in caught.value.hint


def test_a_key_is_made_private_and_loaded_again(tmp_path):
    made = checkpoint.make(tmp_path, "prod-a")
    assert (tmp_path / "checkpoint.key").stat().st_mode & 0o777 == 0o600
    loaded = checkpoint.load(tmp_path, "prod-a")
    assert loaded.key == made
    assert checkpoint.parse_key((tmp_path / "checkpoint.pub").read_text()) == made
    assert checkpoint.verify(loaded.sign(3, ROOT), made).size == 3


def of_no_algorithm(pem):
    head, *body, foot = pem.splitlines()
    ed25519_oid = bytes.fromhex("06032b6570")
    changed = base64.b64decode(b"".join(body)).replace(ed25519_oid, ed25519_oid[:-1] + b"y")
    return b"\n".join((head, base64.b64encode(changed), foot, b""))


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda path: path.unlink(), "does not exist"),
        (lambda path: path.chmod(0o640), "can be read by others.*mode 0640"),
        (lambda path: path.write_text("nonsense"), "not an Ed25519 private key"),
        (
            lambda path: path.write_bytes(of_no_algorithm(path.read_bytes())),
            "not an Ed25519 private",
        ),
    ],
)
def test_a_key_that_cannot_be_trusted_is_not_used(tmp_path, spoil, says):
    checkpoint.make(tmp_path, "prod-a")
    spoil(tmp_path / "checkpoint.key")
    with pytest.raises(ConfigError, match=says) as caught:
        checkpoint.load(tmp_path, "prod-a")
    assert caught.value.hint


def test_a_key_of_another_kind_is_not_used(tmp_path):
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415

    pem = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    path = tmp_path / "checkpoint.key"
    path.write_bytes(pem)
    path.chmod(0o600)
    with pytest.raises(ConfigError, match="not an Ed25519 private key"):
        checkpoint.load(tmp_path, "prod-a")


def test_ssh_keygen_verifies_what_the_hub_exports(tmp_path):
    one = signer()
    data = b"records and sums\n"
    signed = one.sign_export(data)
    (tmp_path / "sums.sig").write_text(signed.sshsig)
    public = base64.b64encode(one.key.ssh).decode()
    (tmp_path / "hub").write_text(
        f'{one.key.name} namespaces="{checkpoint.EXPORT}" ssh-ed25519 {public}\n'
    )
    command = [
        *("ssh-keygen", "-Y", "verify", "-f", "hub", "-I", one.key.name),
        *("-n", checkpoint.EXPORT, "-s", "sums.sig"),
    ]
    for said, status in ((data, 0), (data + b"x", 255)):
        done = subprocess.run(command, input=said, cwd=tmp_path, capture_output=True, check=False)
        assert done.returncode == status
