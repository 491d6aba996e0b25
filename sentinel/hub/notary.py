"""Signs what the log is, keeps that, proves it to the nodes, and notices at its start what was taken back.

A checkpoint is kept in the database, and the newest one beside it in the state directory: whoever has
only the database cannot take both back. (Whoever has the hub has its key too; then the nodes tell.)
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection
from pathlib import Path

import msgspec

from sentinel import config, errors, files
from sentinel.domain import MAX_GROWTH, Bundle, Growth, Logged
from sentinel.hub import audit
from sentinel.hub.persist import Store
from sentinel.protocol import Witness
from sentinel.trust import checkpoint
from sentinel.trust.checkpoint import Checkpoint

log = logging.getLogger(__name__)

NEWEST = "checkpoint"  # file in the state directory
EVERY_S = 300.0
SHOWN_S = 30.0  # how long nodes are shown the same checkpoint


def signer(state: Path, site: str) -> checkpoint.Signer:
    """Return the signer of the hub in `state`; one that was set up without a key gets one now."""
    if not (state / checkpoint.KEY_FILE).exists():
        key = checkpoint.make(state, site)
        log.warning(
            "made the key %s that signs the log's checkpoints: nodes that joined before know none",
            key.text,
            extra={"action": "checkpoint_key_made"},
        )
    return checkpoint.load(state, site)


def newest(state: Path, key: checkpoint.Key | None) -> Checkpoint | None:
    """Return the checkpoint kept in the state directory; ConfigError where it is not `key`'s."""
    path = state / NEWEST
    return kept(path, key) if path.exists() else None


def kept(path: Path, key: checkpoint.Key | None) -> Checkpoint:
    """Return the checkpoint in the file at `path`; ConfigError where it is not `key`'s."""
    note = config.read(path)
    try:
        return checkpoint.verify(note, key) if key else checkpoint.parse(note)
    except errors.SignatureError as error:
        raise errors.ConfigError(f"{path}: {error.what}", hint=error.hint) from None


class Notary:
    """Signs the log of one store."""

    def __init__(self, store: Store, signer: checkpoint.Signer, state: Path) -> None:
        """Sign with `signer`; `state` is the hub's state directory."""
        self._store = store
        self._signer = signer
        self._state = state
        self._kept = 0  # size of the newest checkpoint that is kept
        self._shown: tuple[int, str, float] = (
            -1,
            "",
            0.0,
        )  # size, note, and when it is to be renewed
        self._growth: dict[tuple[int, int], tuple[str, ...]] = {}  # (since, size) -> proof

    async def compare(self) -> None:
        """Raise StoreError unless the log begins with what was signed last."""
        last = newest(self._state, self._signer.key)
        if last is None:
            return
        end = await self._store.log.end()
        hint = (
            "sentinel audit verify says where; every node has noticed too."
            f" If an older backup was restored on purpose, remove {self._state / NEWEST}"
        )
        if end.size < last.size:
            raise errors.StoreError(
                f"the audit log was rolled back: it has {end.size} records, and this hub has signed"
                f" {last.size}",
                hint=hint,
            )
        if (await audit.range_at(self._store.log, last.size)).root() != last.root:
            raise errors.StoreError(
                f"the first {last.size} records of the audit log are not those that this hub has"
                " signed",
                hint=hint,
            )
        self._kept = last.size

    async def sign(self) -> str:
        """Return a signed checkpoint of the log as it is."""
        end = await self._store.log.end()
        return self._signer.sign(end.size, end.root())

    async def keep(self) -> None:
        """Sign the log as it is, if it has grown, and keep that in both places."""
        note = await self.sign()
        size = checkpoint.parse(note).size
        if size <= self._kept:
            return
        await self._store.write(lambda work: work.add_checkpoint(size, note))
        try:
            files.write(self._state / NEWEST, note.encode(), 0o644)
        except OSError as error:
            raise errors.StoreError(
                f"{self._state / NEWEST} cannot be written: {error.strerror}"
            ) from None
        self._kept = size

    # ------------------------------------------------------------ for the nodes

    async def witness(self, seen: Collection[int]) -> Witness:
        """Return what the log is, for a node whose programs have seen it at these sizes.

        A log shorter than that is shown as it is: the node will say so.
        """
        size, note = await self._now(max(seen, default=0))
        return Witness(checkpoint=note, growth=await self._grown(seen, size))

    async def logged(self, bundle: Bundle, seen: Collection[int]) -> Bundle:
        """Return `bundle` with the proof that its approval is in the log."""
        row = await self._store.log.approval(bundle.incident, bundle.statement.encode())
        if row is None:
            raise errors.StoreError(f"the approval of {bundle.incident} is not on record")
        size, note = await self._now(max(row.seq, *seen, 0))
        proof = await audit.inclusion(self._store.log, row.seq, size)
        log = Logged(
            checkpoint=note,
            growth=await self._grown(seen, size),
            seq=row.seq,
            record=row.body.decode(),
            inclusion=tuple(each.hex() for each in proof),
        )
        return msgspec.structs.replace(bundle, log=log)

    async def _now(self, at_least: int) -> tuple[int, str]:
        """Return size and note of a checkpoint: one that many nodes get, if it is large and new enough.

        Ten thousand nodes then share a few proofs.
        """
        size, note, until = self._shown
        now = asyncio.get_running_loop().time()
        if size < at_least or now >= until:
            note = await self.sign()
            size = checkpoint.parse(note).size
            self._shown = size, note, now + SHOWN_S
            self._growth.clear()
        return size, note

    async def _grown(self, seen: Collection[int], size: int) -> tuple[Growth, ...]:
        found = []
        for since in sorted({each for each in seen if 0 < each < size})[-MAX_GROWTH:]:
            if (since, size) not in self._growth:
                proof = await audit.consistency(self._store.log, since, size)
                self._growth[since, size] = tuple(each.hex() for each in proof)
            found.append(Growth(since=since, proof=self._growth[since, size]))
        return tuple(found)

    # ------------------------------------------------------------ for the hub itself

    async def run(self) -> None:
        """Keep a checkpoint now, and every few minutes while the log grows; to be cancelled."""
        while True:
            try:
                await self.keep()
            except errors.StoreError as error:
                log.warning("no checkpoint kept: %s", error.what, extra={"action": "no_checkpoint"})
            await asyncio.sleep(EVERY_S)
