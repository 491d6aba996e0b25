"""The Merkle tree of the audit log (RFC 6962, section 2), and the two proofs that a witness asks for.

    grown = Range().add(leaf_hash(b"first")).add(leaf_hash(b"second"))
    grown.root()

A tree of n leaves is known by its compact range: the roots of the perfect subtrees that it falls into,
at most 53 hashes, and all that is needed to add a leaf or to name the root. Proofs are made in two
steps, so that this file never reads a store: `inclusion` and `consistency` say which stretches of
leaves the proof speaks of, `subtrees` splits a stretch into perfect subtrees, and `fold` joins their
roots. Positions count from 0. Verification is RFC 9162, sections 2.1.3.2 and 2.1.4.2: total, False for
whatever does not prove, and no proof has two forms.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import NamedTuple

HASH_BYTES = 32
MAX_PROOF = 64  # hashes; a tree of 2**53 leaves needs 54
EMPTY = sha256(b"").digest()  # the root of no leaves


def leaf_hash(data: bytes) -> bytes:
    """Return the hash of the leaf `data`."""
    return sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of the node over two subtrees."""
    return sha256(b"\x01" + left + right).digest()


def fold(hashes: Sequence[bytes]) -> bytes:
    """Return the root over the perfect subtrees with these roots, largest first."""
    if not hashes:
        return EMPTY
    root = hashes[-1]
    for left in reversed(hashes[:-1]):
        root = node_hash(left, root)
    return root


def perfect(hashes: Sequence[bytes]) -> bytes:
    """Return the root over 2**k subtrees of one size, by their roots."""
    if not hashes or len(hashes) & (len(hashes) - 1):
        raise ValueError(f"{len(hashes)} subtrees make no perfect one")
    while len(hashes) > 1:
        # node_hash, without the call: this is most of what verification of a long log does.
        pairs = zip(hashes[::2], hashes[1::2], strict=True)
        hashes = [sha256(b"\x01" + left + right).digest() for left, right in pairs]
    return hashes[0]


class Subtree(NamedTuple):
    """The perfect subtree over the leaves [number << level, (number + 1) << level)."""

    level: int
    number: int


class Range(NamedTuple):
    """A tree's compact range: its size, and the roots of its perfect subtrees, largest first."""

    size: int = 0
    hashes: tuple[bytes, ...] = ()

    @classmethod
    def load(cls, size: int, data: bytes) -> Range:
        """Return the range that `dump` wrote; ValueError where it is none of that size."""
        if len(data) != HASH_BYTES * size.bit_count():
            raise ValueError(f"a tree of {size} leaves has another range than {len(data)} bytes")
        parts = range(0, len(data), HASH_BYTES)
        return cls(size, tuple(data[at : at + HASH_BYTES] for at in parts))

    def dump(self) -> bytes:
        """Return the hashes in one row."""
        return b"".join(self.hashes)

    def root(self) -> bytes:
        """Return the root of the tree."""
        return fold(self.hashes)

    def add(self, root: bytes, level: int = 0, made: dict[Subtree, bytes] | None = None) -> Range:
        """Return the range with one more perfect subtree of 2**level leaves; by default, a leaf.

        Every subtree that this completes is noted in `made` with its root, the added one first.
        Raises ValueError where the tree does not end at a multiple of that many leaves.
        """
        index, hashes = self.size >> level, self.hashes
        size = (index + 1) << level
        if index << level != self.size:
            raise ValueError(f"{self.size} leaves do not end at a subtree of level {level}")
        if made is not None:
            made[Subtree(level, index)] = root
        while index & 1:
            root = node_hash(hashes[-1], root)
            hashes = hashes[:-1]
            index, level = index >> 1, level + 1
            if made is not None:
                made[Subtree(level, index)] = root
        return Range(size, (*hashes, root))


# ---------------------------------------------------------------- which stretches a proof speaks of

# [begin, end) in leaves; `begin` is a multiple of a power of two >= length.
Stretch = tuple[int, int]


def subtrees(stretch: Stretch) -> list[Subtree]:
    """Return the perfect subtrees that a stretch of a proof falls into, largest first."""
    begin, end = stretch
    found = []
    while begin < end:
        level = (end - begin).bit_length() - 1
        found.append(Subtree(level, begin >> level))
        begin += 1 << level
    return found


def inclusion(index: int, size: int) -> list[Stretch]:
    """Return the stretches whose roots prove leaf `index` in a tree of `size`, nearest first."""
    if not 0 <= index < size:
        raise ValueError(f"a tree of {size} leaves has no leaf {index}")
    found, begin, end = [], 0, size
    while end - begin > 1:
        middle = begin + _split(end - begin)
        if index < middle:
            found.append((middle, end))
            end = middle
        else:
            found.append((begin, middle))
            begin = middle
    return found[::-1]


def consistency(old: int, size: int) -> list[Stretch]:
    """Return the stretches whose roots prove that the first `old` of `size` leaves are unchanged.

    Empty where `old` is 0 or `size`.
    """
    if not 0 <= old <= size:
        raise ValueError(f"a tree of {size} leaves cannot have grown from {old}")
    if old in (0, size):
        return []
    found, begin, end = [], 0, size
    while old != end:
        middle = begin + _split(end - begin)
        if old <= middle:
            found.append((middle, end))
            end = middle
        else:
            found.append((begin, middle))
            begin = middle
    if begin:  # else the old tree is one perfect subtree, whose root the verifier has
        found.append((begin, end))
    return found[::-1]


def _split(length: int) -> int:
    """Return the largest power of two smaller than `length`."""
    return 1 << ((length - 1).bit_length() - 1)


# ---------------------------------------------------------------- verification


def includes(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    """Say whether `proof` shows the leaf hash `leaf` at `index` of the tree of `size` under `root`."""
    if not 0 <= index < size or not _hashes(leaf, root, *proof):
        return False
    at, last, computed = index, size - 1, leaf
    for each in proof:
        if last == 0:
            return False
        if at & 1 or at == last:
            computed = node_hash(each, computed)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            computed = node_hash(computed, each)
        at, last = at >> 1, last >> 1
    return last == 0 and computed == root


def extends(old: int, old_root: bytes, size: int, root: bytes, proof: Sequence[bytes]) -> bool:
    """Say whether `proof` shows that the tree of `size` under `root` begins with the one of `old`.

    Every tree begins with the empty one, and every tree with itself; both without a proof.
    """
    if not 0 <= old <= size or not _hashes(old_root, root, *proof):
        return False
    if old == size:
        return not proof and old_root == root
    if old == 0:
        return not proof and old_root == EMPTY
    path = list(proof) if old & (old - 1) else [old_root, *proof]
    if not path:
        return False
    at, last = old - 1, size - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    was = now = path[0]
    for each in path[1:]:
        if last == 0:
            return False
        if at & 1 or at == last:
            was, now = node_hash(each, was), node_hash(each, now)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            now = node_hash(now, each)
        at, last = at >> 1, last >> 1
    return last == 0 and was == old_root and now == root


def _hashes(*values: bytes) -> bool:
    return len(values) <= MAX_PROOF + 2 and all(len(value) == HASH_BYTES for value in values)
