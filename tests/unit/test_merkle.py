"""The tree is RFC 6962's, whoever computes it; and no proof holds but the one."""

from __future__ import annotations

import hashlib
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sentinel import merkle

# The test vectors of Certificate Transparency's reference implementation (merkle_tree_test.cc).
INPUTS = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
INCLUSION = {
    (0, 8): (
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ),
    (5, 8): (
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ),
    (2, 3): ("fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",),
}
CONSISTENCY = {
    (1, 1): (),
    (1, 8): (
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ),
    (6, 8): (
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ),
    (2, 5): (
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ),
}

# ---------------------------------------------------------------- RFC 6962 section 2.1, word for word


def mth(leaves):
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    k = split(len(leaves))
    return hashlib.sha256(b"\x01" + mth(leaves[:k]) + mth(leaves[k:])).digest()


def path(m, leaves):
    if len(leaves) == 1:
        return []
    k = split(len(leaves))
    if m < k:
        return [*path(m, leaves[:k]), mth(leaves[k:])]
    return [*path(m - k, leaves[k:]), mth(leaves[:k])]


def subproof(m, leaves, whole):
    if m == len(leaves):
        return [] if whole else [mth(leaves)]
    k = split(len(leaves))
    if m <= k:
        return [*subproof(m, leaves[:k], whole), mth(leaves[k:])]
    return [*subproof(m - k, leaves[k:], False), mth(leaves[:k])]


def split(n):
    k = 1
    while k * 2 < n:
        k *= 2
    return k


# ---------------------------------------------------------------- ours, over a store that is a dict


class Tree:
    def __init__(self, leaves=()):
        self.made = {}
        self.range = merkle.Range()
        for leaf in leaves:
            self.range = self.range.add(merkle.leaf_hash(leaf), made=self.made)

    def roots(self, stretches):
        return [merkle.fold([self.made[s] for s in merkle.subtrees(part)]) for part in stretches]

    def inclusion(self, index, size):
        return self.roots(merkle.inclusion(index, size))

    def consistency(self, old, size):
        return self.roots(merkle.consistency(old, size))


def hexes(hashes):
    return tuple(each.hex() for each in hashes)


@pytest.mark.parametrize("size", range(1, 9))
def test_the_roots_of_certificate_transparency(size):
    assert Tree(INPUTS[:size]).range.root().hex() == ROOTS[size - 1]


def test_the_root_of_nothing():
    assert merkle.Range().root() == merkle.EMPTY == hashlib.sha256().digest()


@pytest.mark.parametrize(("index", "size"), INCLUSION)
def test_the_inclusion_proofs_of_certificate_transparency(index, size):
    proof = Tree(INPUTS).inclusion(index, size)
    assert hexes(proof) == INCLUSION[index, size]
    leaf, root = merkle.leaf_hash(INPUTS[index]), bytes.fromhex(ROOTS[size - 1])
    assert merkle.includes(leaf, index, size, proof, root)


@pytest.mark.parametrize(("old", "size"), CONSISTENCY)
def test_the_consistency_proofs_of_certificate_transparency(old, size):
    proof = Tree(INPUTS).consistency(old, size)
    assert hexes(proof) == CONSISTENCY[old, size]
    before, now = bytes.fromhex(ROOTS[old - 1]), bytes.fromhex(ROOTS[size - 1])
    assert merkle.extends(old, before, size, now, proof)


@given(st.lists(st.binary(max_size=4), max_size=70), st.data())
@settings(deadline=None)
def test_every_proof_is_that_of_the_rfc_and_holds(leaves, data):
    tree, size = Tree(leaves), len(leaves)
    root = mth(leaves)
    assert tree.range.root() == root
    assert merkle.Range.load(size, tree.range.dump()) == tree.range
    old = data.draw(st.integers(0, size))
    proof = tree.consistency(old, size)
    assert proof == ([] if old in (0, size) else subproof(old, leaves, True))
    assert merkle.extends(old, mth(leaves[:old]), size, root, proof)
    if leaves:
        index = data.draw(st.integers(0, size - 1))
        proof = tree.inclusion(index, size)
        assert proof == path(index, leaves)
        assert merkle.includes(merkle.leaf_hash(leaves[index]), index, size, proof, root)


def spoiled(proof, chance):
    """Yield proofs that are not `proof`."""
    noise = chance.randbytes(32)
    for at in range(len(proof)):
        yield proof[:at] + proof[at + 1 :]
        yield [*proof[:at], noise, *proof[at + 1 :]]
        yield [*proof[:at], noise, *proof[at:]]
        yield [*proof[:at], proof[at][:31], *proof[at + 1 :]]
        if at and proof[at] != proof[at - 1]:
            yield [*proof[: at - 1], proof[at], proof[at - 1], *proof[at + 1 :]]
    yield [*proof, noise]
    yield [noise, *proof]
    yield [*proof, *[noise] * 80]


def test_no_other_proof_holds():
    chance, tried = random.Random(6962), 0
    leaves = [bytes([n]) for n in range(40)]
    tree = Tree(leaves)
    roots = [mth(leaves[:n]) for n in range(41)]
    for size in range(1, 41):
        for old in range(size + 1):
            proof = tree.consistency(old, size)
            for wrong in spoiled(proof, chance):
                tried += 1
                assert not merkle.extends(old, roots[old], size, roots[size], wrong)
            for other in range(41):
                if other not in (old, 0):
                    tried += 1
                    assert not merkle.extends(other, roots[old], size, roots[size], proof)
                if other != size and old:  # every tree begins with the empty one
                    tried += 1
                    assert not merkle.extends(old, roots[old], size, roots[other], proof)
        index = chance.randrange(size)
        proof = tree.inclusion(index, size)
        leaf = merkle.leaf_hash(leaves[index])
        for wrong in spoiled(proof, chance):
            tried += 1
            assert not merkle.includes(leaf, index, size, wrong, roots[size])
        for other in range(-1, size + 2):
            if other != index:
                tried += 1
                assert not merkle.includes(leaf, other, size, proof, roots[size])
    assert tried > 50_000


def test_a_tree_rolled_back_or_forked_extends_nothing():
    one, two = Tree(INPUTS), Tree([*INPUTS[:2], b"forged", *INPUTS[3:]])
    for old in range(3, 9):
        for size in range(old, 9):
            before = mth(INPUTS[:old])
            forged = mth([*INPUTS[:2], b"forged", *INPUTS[3:size]])
            for proof in (one.consistency(old, size), two.consistency(old, size)):
                assert not merkle.extends(old, before, size, forged, proof)
    assert not merkle.extends(8, one.range.root(), 7, mth(INPUTS[:7]), [])
    assert not merkle.extends(3, merkle.EMPTY, 8, one.range.root(), one.consistency(3, 8))


def test_whole_subtrees_are_added_where_the_tree_ends_at_one():
    leaves = [bytes([n]) for n in range(23)]
    whole = Tree(leaves).range
    joined = merkle.Range().add(mth(leaves[:16]), 4).add(mth(leaves[16:20]), 2)
    for leaf in leaves[20:]:
        joined = joined.add(merkle.leaf_hash(leaf))
    assert joined == whole
    with pytest.raises(ValueError, match="do not end at a subtree of level 2"):
        whole.add(bytes(32), 2)
    hashes = [merkle.leaf_hash(leaf) for leaf in leaves]
    assert merkle.perfect(hashes[:16]) == mth(leaves[:16])
    for count in (0, 3):
        with pytest.raises(ValueError, match="make no perfect one"):
            merkle.perfect(hashes[:count])


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: merkle.Range.load(3, bytes(32)), "another range"),
        (lambda: merkle.inclusion(8, 8), "has no leaf 8"),
        (lambda: merkle.inclusion(-1, 8), "has no leaf -1"),
        (lambda: merkle.consistency(9, 8), "cannot have grown from 9"),
    ],
)
def test_what_cannot_be_is_an_error(make, says):
    with pytest.raises(ValueError, match=says):
        make()


def test_a_leaf_costs_at_most_a_hash_a_level():
    """A million leaves: the state stays below 53 hashes, and a proof below 64."""
    tree = merkle.Range()
    for level in range(19, -1, -1):
        tree = tree.add(bytes([level]) * 32, level)
    assert (tree.size, len(tree.hashes)) == ((1 << 20) - 1, 20)
    made = {}
    assert len(tree.add(bytes(32), made=made).hashes) == 1
    assert len(made) == 21
    assert len(merkle.inclusion(0, 2**53)) == 53 < merkle.MAX_PROOF
    assert len(merkle.consistency(2**52 - 1, 2**53)) <= 54
