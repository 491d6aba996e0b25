"""What the commands of `audit_cli` do: they open the hub's database, read it, and change nothing."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from sentinel import config, errors, human
from sentinel.config import HubSettings
from sentinel.hub import audit, export, notary, people, replay, server
from sentinel.hub.persist import Store
from sentinel.hub.persist_log import Row
from sentinel.hub.place import database_url, settings_of
from sentinel.policy import rules
from sentinel.trust import checkpoint, signers
from sentinel.trust.checkpoint import Checkpoint, Key

T = TypeVar("T")


def run_verify(args: argparse.Namespace) -> int:
    """Check the log; exit status 1 where something does not hold."""
    key = _key(args)
    start = notary.kept(args.start, key) if args.start else None
    known = [notary.kept(path, key) for path in args.against]
    newest = notary.newest(args.state, key)
    known += [newest] if newest is not None else []

    async def verify(store: Store, _: HubSettings) -> tuple[audit.Finding, tuple[str, ...]]:
        found = await audit.verify(store, key=key, known=known, start=start)
        return found, store.restored

    found, unsealed = asyncio.run(_with_store(args, verify))
    sys.stdout.write(_told(found, key, start))
    if unsealed:
        sys.stdout.write(
            f"UNSEALED: triggers missing or altered: {', '.join(unsealed)};"
            " who owns the database removed them, and the hub puts them back when it starts\n"
        )
    return 1 if unsealed or found.broken is not None else 0


def _told(found: audit.Finding, key: Key | None, start: Checkpoint | None) -> str:
    """Return what was found, in lines for a person."""
    if found.broken is not None:
        return f"BROKEN at record {found.broken}: {errors.printable(found.reason)}\n"
    whose = f"signed by {key.text}" if key else "whose signatures nobody checked: no checkpoint.pub"
    since = f", read from record {start.size + 1}" if start else ""
    return (
        f"{found.records} records hold{since}; root {found.head}\n"
        f"{found.checkpoints} checkpoints hold, {whose}\n"
    )


def _key(args: argparse.Namespace) -> Key | None:
    """Return the log's public key: the one that was given, or the hub's own copy."""
    path: Path = args.key or args.state / checkpoint.PUBLIC_FILE
    if args.key is None and not config.there(path):
        return None
    return checkpoint.parse_key(config.read(path), str(path))


def run_show(args: argparse.Namespace) -> int:
    """Print records, oldest first."""

    async def rows(store: Store, _: HubSettings) -> list[Row]:
        if args.incident is not None:
            return await store.log.of_incident((await store.case(args.incident)).id)
        end = (await store.log.end()).size
        pages = store.log.pages(max(0, end - args.last), end)
        return [Row(*row) async for page in pages for row in page]

    for row in asyncio.run(_with_store(args, rows)):
        if args.json:
            sys.stdout.write(row.body.decode("utf-8", "backslashreplace") + "\n")
            continue
        sys.stdout.write(errors.printable(_line(row)).replace("\\t", "\t") + "\n")
    return 0


def _line(row: Row) -> str:
    """Return a record in columns; of one that somebody has damaged, that it is."""
    try:
        said = audit.record(row)
    except errors.StoreError:
        return f"{row.seq}\tDOES NOT READ: sentinel audit verify names what was tampered with"
    when = human.date(said.at_ms)
    return "\t".join((str(said.seq), when, said.action, said.actor, said.incident))


def run_export(args: argparse.Namespace) -> int:
    """Write the folder that an auditor takes away."""

    async def write(store: Store, settings: HubSettings) -> export.Written:
        signer = checkpoint.load(args.state, settings.site)
        known = people.signers_path(settings, args.state)
        text = config.read_if_there(known)
        return await export.write(store, args.folder, signer, text)

    done = asyncio.run(_with_store(args, write))
    sys.stdout.write(
        f"{done.records} records, {done.decisions} decisions and {done.signatures} signatures"
        f" in {args.folder}; its README says how to check them\n"
    )
    return 0


def run_replay(args: argparse.Namespace) -> int:
    """Derive an incident's verdicts, digests and signatures again; show the first difference."""

    async def steps(store: Store, settings: HubSettings) -> list[replay.Step]:
        policy = rules.load(site=[Path(path) for path in settings.policy])
        known = signers.watched(people.signers_path(settings, args.state)).now()
        dossier = await store.dossiers.dossier(args.incident)
        return await replay.steps(store, dossier, server.Judge(policy), known)

    done = asyncio.run(_with_store(args, steps))
    for step in done:
        sys.stdout.write(f"{'ok  ' if step.same else 'DIFF'} {errors.printable(step.text)}\n")
    if done[-1].same:
        sys.stdout.write(f"{len(done)} steps, and each is what the record says\n")
    return 0 if done[-1].same else 1


async def _with_store(
    args: argparse.Namespace, work: Callable[[Store, HubSettings], Awaitable[T]]
) -> T:
    settings = settings_of(args)
    async with await Store.open(database_url(settings, args.state), prepare=False) as store:
        return await work(store, settings)
