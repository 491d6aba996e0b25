"""ssh-keygen is the oracle: we never accept what it refuses, and we accept what it signs.

A mutation that we refuse needs no oracle, so tens of thousands cost seconds; of those a sample is
shown to ssh-keygen all the same, to know what we refuse and it would take.
"""

from __future__ import annotations

import random
import subprocess

import pytest

from sentinel.domain import Signature
from sentinel.errors import ConfigError, SignatureError
from sentinel.protocol import DECISION, LOGIN
from sentinel.trust import signers, sshsig
from sentinel.trust.sshsig import Kind, Reader, string
from tests.unit.trust.keys import SoftKey

NOW = 1_800_000_000_000  # 2027-01-15 08:00:00 UTC
DATA = b'{"choice":"approve","host":"web1"}'
KEYS = {kind: SoftKey(kind) for kind in Kind}
NAMES = dict(zip(Kind, ("ed", "ec", "sked", "skec"), strict=True))
FILE = "".join(
    key.line(NAMES[kind], more='valid-after="20200101Z",valid-before="20300101Z"')
    for kind, key in KEYS.items()
)
MUTATIONS = 20_000
SHOWN = 150  # of the refused ones, to the oracle


@pytest.fixture(scope="module")
def oracle(tmp_path_factory):
    """What `ssh-keygen -Y verify` says."""
    folder = tmp_path_factory.mktemp("oracle")

    def verify(name, signature, data=DATA, file=FILE, namespace=DECISION):
        # Bytes, not text: a lone carriage return must stay one.
        (folder / "signers").write_bytes(file.encode("utf-8", "surrogateescape"))
        (folder / "signature").write_bytes(signature.encode("utf-8", "surrogateescape"))
        done = subprocess.run(
            ["ssh-keygen", "-Y", "verify", "-f", folder / "signers", "-I", name, "-n", namespace,
             "-s", folder / "signature", "-Overify-time=20270115080000Z"],
            input=data, capture_output=True, check=False,
        )  # fmt: skip
        return done.returncode == 0

    return verify


def ours(name, signature, data=DATA, file=FILE, namespace=DECISION):
    """Whether we accept, and the reason if not. Nothing but the two errors may ever be raised."""
    signed = (Signature(signer=name, sshsig=signature),)
    try:
        people = signers.people(data, signed, signers.parse(file), namespace, NOW)
    except (SignatureError, ConfigError) as error:
        return False, getattr(error, "check", "file")
    return people == {name}, ""


# ---------------------------------------------------------------- what ssh-keygen signs


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Private keys made by ssh-keygen, with their public line."""
    folder = tmp_path_factory.mktemp("made")
    for kind in ("ed25519", "ecdsa", "rsa"):
        subprocess.run(
            ["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", "it's", "-f", folder / kind],
            check=True,
        )
    return folder


def keygen_signs(folder, kind, data, *options, namespace=DECISION):
    return subprocess.run(
        ["ssh-keygen", "-q", "-Y", "sign", "-n", namespace, "-f", folder / kind, *options],
        input=data, capture_output=True, check=True,
    ).stdout.decode()  # fmt: skip


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa"])
@pytest.mark.parametrize("hash_option", [(), ("-Ohashalg=sha256",)])
def test_all_that_ssh_keygen_signs_is_accepted(made, kind, hash_option):
    public = (made / f"{kind}.pub").read_text()
    file = f'alice namespaces="{LOGIN},{DECISION}" {public}'
    for number in range(40):
        data = random.Random(number).randbytes(number * 7)
        signature = keygen_signs(made, kind, data, *hash_option)
        assert ours("alice", signature, data, file) == (True, "")
        assert ours("alice", signature, data + b"\n", file) == (False, "signature.bad")


def test_ssh_keygens_rsa_is_refused_by_its_name(made):
    signature = keygen_signs(made, "rsa", DATA)
    file = f'alice namespaces="{DECISION}" ' + (made / "rsa.pub").read_text()
    assert ours("alice", signature, file=file) == (False, "file")
    with pytest.raises(SignatureError) as caught:
        sshsig.check(sshsig.parse(signature), DATA, DECISION)
    assert caught.value.check == "signature.key-type"


@pytest.mark.parametrize("kind", Kind)
def test_all_that_we_make_ssh_keygen_accepts(oracle, kind):
    for _ in range(5):
        signature = KEYS[kind].sign(DATA)
        assert ours(NAMES[kind], signature) == (True, "")
        assert oracle(NAMES[kind], signature)


@pytest.mark.parametrize("kind", [Kind.SK_ED25519, Kind.SK_ECDSA])
def test_ssh_keygen_takes_a_token_that_nobody_touched_and_we_do_not(oracle, kind):
    untouched = KEYS[kind].sign(DATA, flags=0)
    assert oracle(NAMES[kind], untouched)
    assert ours(NAMES[kind], untouched) == (False, "signature.touch")


@pytest.mark.parametrize("option", ["valid-before", "valid-after"])
@pytest.mark.parametrize(
    "stamp", ["202701150759Z", "20270115075959Z", "202701150800Z", "20270115080001Z"]
)
def test_a_key_is_valid_no_longer_than_ssh_keygen_says(oracle, option, stamp):
    key = KEYS[Kind.ED25519]
    file = key.line("ed", more=f'{option}="{stamp}"')
    signature = key.sign(DATA)
    theirs = oracle("ed", signature, file=file)
    assert ours("ed", signature, file=file)[0] <= theirs
    if stamp != "202701150800Z":  # its end counts for them, and not for us
        assert ours("ed", signature, file=file)[0] is theirs


# ---------------------------------------------------------------- mutations


def altered(rnd, data, extra):
    """Return `data` (bytes) with one to three small changes."""
    data = bytearray(data)
    for _ in range(rnd.randrange(1, 4)):
        at = rnd.randrange(len(data) + 1)
        match rnd.randrange(6):
            case 0 if at < len(data):
                data[at] ^= 1 << rnd.randrange(8)
            case 1:
                del data[at : at + rnd.randrange(1, 5)]
            case 2:
                data[at:at] = rnd.choice(extra)
            case 3 if data:
                end = rnd.randrange(len(data))
                data[at:at] = data[min(at, end) : min(at, end) + rnd.randrange(1, 9)]
            case 4 if at < len(data):
                data[at] = rnd.randrange(256)
            case _:
                del data[at:]
    return bytes(data)


def split(blob):
    """Return the fields after magic and version, the signature split again."""
    reader = Reader(blob[10:], "test")
    key, namespace, reserved, name, signature = (reader.string() for _ in range(5))
    inner = Reader(signature, "test")
    kind, raw = inner.string(), inner.string()
    return [key, namespace, reserved, name, kind, raw, signature[8 + len(kind) + len(raw) :]]


def joined(rnd, parts):
    """Return a signature with one field altered and every length right."""
    parts = list(parts)
    at = rnd.randrange(len(parts))
    parts[at] = altered(rnd, parts[at], [b"\0", b"ssh-ed25519", b"sha256", b"\xff"])
    key, namespace, reserved, name, kind, raw, tail = parts
    outer = [key, namespace, reserved, name, string(kind) + string(raw) + tail]
    return sshsig.armour(b"SSHSIG\0\0\0\1" + b"".join(string(part) for part in outer))


TEXTS = [
    b"\n",
    b" ",
    b"=",
    b"-",
    b"A",
    b"\r\n",
    b"\t",
    b"-----END SSH SIGNATURE-----\n",
    b"\xc3\xa9",
]


def mutations(rnd, kind, count):
    """Yield altered signatures by a key of `kind`: in their bytes, in a field, in their text."""
    good = KEYS[kind].sign(DATA)
    blob = sshsig._dearmour(good)
    parts = split(blob)
    for _ in range(count):
        match rnd.randrange(3):
            case 0:
                yield sshsig.armour(altered(rnd, blob, [b"\0", b"\0\0\0\1", b"\xff"]))
            case 1:
                yield joined(rnd, parts)
            case _:
                text = altered(rnd, good.encode(), TEXTS)
                yield text.decode("utf-8", "surrogateescape")


@pytest.mark.parametrize("kind", Kind)
def test_no_mutation_of_a_signature_is_accepted_that_ssh_keygen_refuses(oracle, kind):
    rnd = random.Random(f"signature {kind}")
    good = KEYS[kind].sign(DATA)
    refused, reasons = [], set()
    for mutated in mutations(rnd, kind, MUTATIONS // len(Kind)):
        accepted, reason = ours(NAMES[kind], mutated)
        if accepted:
            assert oracle(NAMES[kind], mutated), mutated
        else:
            reasons.add(reason)
            refused.append(mutated)
    shown = rnd.sample(refused, SHOWN)
    lenient = [text for text in shown if oracle(NAMES[kind], text)]
    # It takes other armour and other base64 of the very same bytes, and no change of what is signed.
    assert len(lenient) < SHOWN // 5
    assert {"signature.form", "signature.bad", "signature.namespace"} <= reasons
    assert ours(NAMES[kind], good) == (True, "")


def test_no_mutation_of_the_signers_is_accepted_that_ssh_keygen_refuses(oracle):
    """Here a mutation is often harmless (a comment), so the oracle is asked about each accepted one."""
    rnd = random.Random("signers")
    extra = [
        b"\n", b" ", b",", b'"', b"=", b"#", b"*", b"cert-authority,", b"\t", b"!", b"Z", b"\\", b"\0",
        b"ssh-rsa", b'namespaces="*"', b'valid-before="20200101Z"', b"ed ", b"\r", b"\x0b", b"\xc3\xa9",
    ]  # fmt: skip
    good = {kind: KEYS[kind].sign(DATA) for kind in Kind}
    asked = 0
    for _ in range(MUTATIONS // 4):
        kind = rnd.choice(list(Kind))
        line = altered(
            rnd, KEYS[kind].line(NAMES[kind], more='valid-after="20200101Z"').encode(), extra
        )
        file = line.decode("utf-8", "replace")
        if ours(NAMES[kind], good[kind], file=file)[0]:
            asked += 1
            assert oracle(NAMES[kind], good[kind], file=file), file
    assert asked > 50


def test_names_are_taken_by_the_letter(oracle):
    key = KEYS[Kind.ED25519]
    for name in ("alice", "a.b", "alice@example.org", "a+b", "a_b-c", "A1"):
        signature = key.sign(DATA)
        file = key.line(name)
        assert ours(name, signature, file=file)[0]
        assert oracle(name, signature, file=file)
        for other in (name.swapcase(), name + "x", name[:-1], "*"):
            assert not ours(other, signature, file=file)[0]
