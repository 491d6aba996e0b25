"""A hub that may alter any byte on its way: only what was signed, exactly as it was signed, is admitted."""

from __future__ import annotations

import random

import msgspec
import pytest

from sentinel.agent import admit
from sentinel.agent.store import Store
from tests.unit.agent.gate import NOW, World

MUTATIONS = 20_000
PIECES = [
    b'"', b",", b"{", b"}", b"[", b"]", b":", b" ", b"\n", b"\\u0000", b"\\", b"\xff", b"\xc3\xa9",
    b'"x":1,', b"1e9", b"-0", b"0.0", b"null", b"true", b'"live"', b"$(id)", b";id", b"=", b"A",
]  # fmt: skip


def altered(chance, text):
    """`text` with one to three of its bytes flipped, removed, doubled, swapped or something put in."""
    data = bytearray(text.encode("utf-8", "surrogatepass"))
    for _ in range(chance.randrange(1, 4)):
        at = chance.randrange(len(data))
        match chance.randrange(5):
            case 0:
                data[at] ^= 1 << chance.randrange(8)
            case 1 if len(data) > 16:
                del data[at : at + chance.randrange(1, 9)]
            case 2:
                data[at:at] = chance.choice(PIECES)
            case 3:
                data[at:at] = data[at : at + chance.randrange(1, 9)]
            case _:
                other = chance.randrange(len(data))
                data[at], data[other] = data[other], data[at]
    return data.decode("utf-8", "surrogateescape")


@pytest.mark.parametrize("signers", [("alice",), ("alice", "bob")], ids=["one", "two"])
def test_of_twenty_thousand_mutations_of_a_bundle_none_is_admitted(tmp_path, signers):
    chance = random.Random(f"hostile {signers}")
    with Store(tmp_path / "node.db") as store:
        world = World(store)
        honest = world.bundle(signers=signers)
        checks = set()
        for _ in range(MUTATIONS // 2):
            field = chance.choice(["plan", "statement", "sshsig"])
            if field == "sshsig":
                signed = list(honest.signatures)
                at = chance.randrange(len(signed))
                text = altered(chance, signed[at].sshsig)
                signed[at] = msgspec.structs.replace(signed[at], sshsig=text)
                bundle = msgspec.structs.replace(honest, signatures=tuple(signed))
            else:
                text = altered(chance, getattr(honest, field))
                bundle = msgspec.structs.replace(honest, **{field: text})
            if bundle == honest:
                continue  # two of the same bytes were swapped
            outcome = admit.admit(bundle, world.node, NOW)
            assert isinstance(outcome, admit.Refused), bundle
            assert outcome.reason.isprintable()
            checks.add(outcome.check)
        assert {"plan.form", "plan.digest", "statement.form", "signature.form"} <= checks
        assert {"signature.bad", "signature.unknown-key", "signature.namespace"} <= checks
        # And nothing of all that has cost the honest one its challenge.
        assert isinstance(admit.admit(honest, world.node, NOW), admit.Admitted)
