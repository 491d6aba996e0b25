"""`sentinel audit export`: a folder that proves itself with `sha256sum` and `ssh-keygen` alone.

What an auditor trusts is two small files that they bring themselves: the log's public key and the
people's keys. Everything else in the folder is held by a signature of one of them.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import Iterator
from pathlib import Path

import msgspec

from sentinel import canonical, errors
from sentinel.domain import Signature
from sentinel.hub.persist import Store
from sentinel.hub.persist_record import DecisionPaper
from sentinel.protocol import DECISION
from sentinel.trust import checkpoint
from sentinel.trust.checkpoint import EXPORT, Signer

SUMS = "SHA256SUMS"


class Written(msgspec.Struct, frozen=True, kw_only=True):
    """How much there is in an export."""

    records: int
    decisions: int
    signatures: int


async def write(store: Store, folder: Path, signer: Signer, signers: str) -> Written:
    """Write the log as it is, and every decision in it, into the new `folder`; sign it as `signer`.

    `signers` is the text of allowed_signers. Raises ConfigError where `folder` is there already,
    NodeError where the disk refuses, and StoreError where the database does.
    """
    _make(folder)
    try:
        return await _fill(store, folder, signer, signers)
    except OSError as error:
        raise errors.NodeError(f"{error.filename} cannot be written: {error.strerror}") from None


def _make(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True)
        for name in ("decisions", "plans"):
            (folder / name).mkdir()
    except FileExistsError:
        raise errors.ConfigError(
            f"{folder} is there already", hint="name a folder that does not exist yet"
        ) from None
    except OSError as error:
        raise errors.NodeError(f"{error.filename} cannot be made: {error.strerror}") from None


async def _fill(store: Store, folder: Path, signer: Signer, signers: str) -> Written:
    end = await store.log.end()
    await _records(store, folder, end.size)
    index = await _decisions(store, folder, end.size)
    ssh = base64.b64encode(signer.key.ssh).decode()
    texts = {
        "checkpoint": signer.sign(end.size, end.root()),
        checkpoint.PUBLIC_FILE: signer.key.text + "\n",
        "hub_signer": f'{signer.key.name} namespaces="{EXPORT}" ssh-ed25519 {ssh}\n',
        "allowed_signers": signers,
        "decisions.txt": "".join(f"{seq} {number} {name}\n" for seq, number, name in index),
        "README": _README.format(
            name=signer.key.name, records=end.size, export=EXPORT, decision=DECISION
        ),
    }
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    sums = await asyncio.to_thread(lambda: "".join(_sums(folder)))
    (folder / SUMS).write_text(sums, encoding="utf-8")
    (folder / f"{SUMS}.sig").write_text(signer.sign_export(sums.encode()).sshsig)
    signed = [name for _, number, name in index if number]
    return Written(
        records=end.size,
        decisions=len({seq for seq, _, _ in index}),
        signatures=len(signed),
    )


async def _records(store: Store, folder: Path, size: int) -> None:
    """Write the exact bytes of every record, one a line: canonical JSON has no line breaks."""
    with (folder / "records.jsonl").open("wb") as file:
        async for page in store.log.pages(0, size):
            for _, _, body, _ in page:
                file.write(body + b"\n")


async def _decisions(store: Store, folder: Path, size: int) -> list[tuple[int, int, str]]:
    """Write each decision's exact statement, its signatures and the plan that it is over.

    Returns (record, number of the signature, who signed); a decision nobody signed has number 0.
    """
    index = []
    async for paper in store.dossiers.decisions(size):
        (folder / "decisions" / f"{paper.seq}.json").write_bytes(paper.statement)
        signatures = _signatures(paper)
        for number, each in enumerate(signatures, 1):
            (folder / "decisions" / f"{paper.seq}.{number}.sig").write_text(each.sshsig)
            index.append((paper.seq, number, errors.printable(each.signer)))
        if not signatures:
            index.append((paper.seq, 0, "-"))
        plan = await store.dossiers.plan(paper.incident, paper.plan)
        if plan is not None:
            # Nothing that the database says is part of a path: who owns it chooses no file of ours.
            name = canonical.digest(plan.body).removeprefix("sha256:")
            (folder / "plans" / f"{name}.json").write_bytes(plan.body)
    return index


def _signatures(paper: DecisionPaper) -> tuple[Signature, ...]:
    try:
        return msgspec.json.decode(paper.signatures, type=tuple[Signature, ...])
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise errors.StoreError(
            f"the signatures of decision {paper.seq} do not read",
            hint="sentinel audit verify and sentinel replay name what was tampered with",
        ) from None


def _sums(folder: Path) -> Iterator[str]:
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            yield f"{digest}  {path.relative_to(folder)}\n"


# Runs as it stands in bash; the tests run it.
_README = """\
The audit log of {name}, {records} records, and how to check it without Sentinel
==========================================================================

You bring two things that did not come with this folder: the log's public key (checkpoint.pub, as you
kept it) and the people's keys (allowed_signers, as you kept it). Compare them with the copies in here
first. Then run, in this folder, in bash:

1. Nothing in here was changed since the hub wrote it:

    sha256sum --check --strict --quiet SHA256SUMS
    ssh-keygen -Y verify -f hub_signer -I {name} -n {export} -s SHA256SUMS.sig < SHA256SUMS

2. Every decision was made by the person it names (decisions.txt: record, signature, person):

    while read -r seq number person; do
      [ "$number" = 0 ] && {{ echo "decision $seq is not signed"; continue; }}
      ssh-keygen -Y verify -f allowed_signers -I "$person" -n {decision} \\
        -s "decisions/$seq.$number.sig" < "decisions/$seq.json" || echo "BAD decision $seq"
    done < decisions.txt

3. Every decision stands in the log: record N is line N of records.jsonl, and says what was signed.

    sed -n 7p records.jsonl

4. What a decision was over: "plan" in it is the SHA-256 of a file in plans/.

    sha256sum plans/*.json

The hub's signature says who wrote this folder, not that the log was never written anew. For that, keep
the file `checkpoint` of each export: `sentinel audit verify --against CHECKPOINT` shows that a later log
contains this one. The root in it is the Merkle tree hash (RFC 6962) over the lines of records.jsonl:

    python3 -c '
    import base64, hashlib, sys
    def h(d): return hashlib.sha256(d).digest()
    t = [h(b"\\0" + l.rstrip(b"\\n")) for l in open("records.jsonl", "rb")]
    while len(t) > 1:
        t = [h(b"\\1" + t[i] + t[i+1]) if i + 1 < len(t) else t[i] for i in range(0, len(t), 2)]
    sys.exit(open("checkpoint").read().split("\\n")[2] != base64.b64encode((t or [h(b"")])[0]).decode())
    ' && echo the checkpoint is over these records
"""
