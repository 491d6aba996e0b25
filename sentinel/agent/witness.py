"""The node as a witness of the hub's log: it keeps what it has seen, and notices what was taken back.

The hub shows a signed checkpoint with every heartbeat's answer and with every plan. The node keeps the
last one that held and believes the next only with the proof that the log has grown from there. A hub,
or whoever has stolen its key, can so show one history to all the nodes it does not want to lose, and no
other: a record that a node has seen under a checkpoint cannot be unsaid.

A checkpoint that cannot go with what was seen before is an alarm, which stays until somebody with root on
this node lifts it (`sentinel-agent witness --forget`). One that is merely not proved is only refused.
"""

from __future__ import annotations

from sentinel import merkle
from sentinel.agent.store import Store
from sentinel.domain import Growth
from sentinel.errors import SignatureError
from sentinel.trust import checkpoint
from sentinel.trust.checkpoint import Checkpoint, Key

ROLLBACK = "checkpoint.rollback"
FORK = "checkpoint.fork"
ALARMS = frozenset({ROLLBACK, FORK})

_REMEDY = (
    "keep this node's state as evidence; if an older backup of the hub was restored on purpose:"
    " sentinel-agent witness --forget"
)


def follow(
    note: str, growth: tuple[Growth, ...], key: Key, store: Store, *, now: bool
) -> Checkpoint:
    """Return the checkpoint in `note` after it was held against what this node has seen; keep it.

    `now`: the hub has just said that this is its log. Otherwise it may be one of before, as of a plan
    that has waited. Raises SignatureError with the check that failed; those in ALARMS prove that the hub signed two
    histories, the others prove nothing yet.
    """
    found = checkpoint.verify(note, key)
    seen = store.checkpoint(found.size)
    last = store.last_checkpoint()
    if seen is not None and not (now and note_size(last) > found.size):
        if checkpoint.parse(seen).root == found.root:
            return found
        raise SignatureError(
            f"the log of {found.size} records has another root than the one this node has seen",
            check=FORK,
            hint=_REMEDY,
        )
    if last is not None:
        _grown(checkpoint.parse(last), found, growth)
    store.keep_checkpoint(found.size, note)
    return found


def note_size(note: str | None) -> int:
    """Return the size that a kept checkpoint says, 0 without one."""
    return checkpoint.parse(note).size if note is not None else 0


def _grown(last: Checkpoint, found: Checkpoint, growth: tuple[Growth, ...]) -> None:
    """Raise unless the log of `found` is proved to begin with that of `last`."""
    if found.size < last.size:
        raise SignatureError(
            f"the log has {found.size} records, and this node has seen {last.size}",
            check=ROLLBACK,
            hint=_REMEDY,
        )
    proofs = [each.proof for each in growth if each.since == last.size]
    if not proofs and last.size:
        raise SignatureError(
            f"nothing proves that the log of {found.size} records has grown from the {last.size}"
            " that this node has seen",
            check="checkpoint.unproved",
        )
    proof = [bytes.fromhex(each) for each in proofs[0]] if proofs else []
    if not merkle.extends(last.size, last.root, found.size, found.root, proof):
        raise SignatureError(
            f"the log of {found.size} records does not begin with the {last.size} that this node"
            " has seen",
            check=FORK,
            hint=_REMEDY,
        )
