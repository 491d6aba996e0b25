"""Fills in what a judged command left open: globs and `$(pgrep x)`. Runs before the command, on its node.

Rules of this file:
  - What comes of an open word is judged again, as literal words, by the node's own policy. Where that is
    not allow, nothing runs.
  - So is what a symbolic link leads to: a path is judged by its text, and then by the text of where it
    ends. (A link that is changed after that is the kernel's to refuse: the command's own rights.)
  - A name that is not plain ASCII is left out and said to be: it could not be shown to anybody.
"""

from __future__ import annotations

import asyncio
import fnmatch
import os
import posixpath
import re
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import partial
from threading import Thread
from typing import TypeVar

import msgspec

from sentinel.agent import execute
from sentinel.errors import NodeError, printable
from sentinel.policy.grammar import AndOr, CommandTree, Pipeline, Simple, Word

MAX_WORDS = 256  # of a command, when it is filled in
MAX_ENTRIES = 20_000  # names that one glob may look at
PGREP_S = 10.0
LOOK_S = 10.0
_PLAIN = re.compile(r"[ -~]+")
_PIDS = re.compile(r"[0-9]{1,7}(,[0-9]{1,7})*")

_R = TypeVar("_R")
Refusal = Callable[
    [CommandTree], str
]  # why the policy does not allow these literal words; empty: it does


class Filled(msgspec.Struct, frozen=True, kw_only=True):
    """The tree that may run: literal words only. `note` says what was left out."""

    tree: CommandTree
    note: str = ""


async def fill(tree: CommandTree, *, refusal: Refusal, trusted: Sequence[str]) -> Filled:
    """Return `tree` with every open word filled in and judged again. Raises NodeError with the reason."""
    skipped: list[str] = []
    words = {
        word.span: await _filled(word, skipped, trusted)
        for command in tree.commands
        for word in command.argv
        if word.open
    }
    whole = _with(tree, lambda word: words.get(word.span, (word,))) if words else tree
    for command in whole.commands:
        if len(command.argv) > MAX_WORDS:
            raise NodeError(f"filled in, it has {len(command.argv)} words; at most {MAX_WORDS} run")
    if words:
        _must_be_allowed(whole, refusal, "what came of it")
    led = await _in_time(partial(_with, whole, lambda word: (_end_of_links(word),)))
    if led != whole:
        _must_be_allowed(led, refusal, "where its links lead")
    note = f"left out, for their names are not plain: {', '.join(skipped[:8])}" if skipped else ""
    return Filled(tree=whole, note=note)


def _must_be_allowed(tree: CommandTree, refusal: Refusal, what: str) -> None:
    if reason := refusal(tree):
        raise NodeError(f"{what} is not allowed: {reason}")


async def _filled(word: Word, skipped: list[str], trusted: Sequence[str]) -> tuple[Word, ...]:
    if word.glob:
        found = await _in_time(partial(names, word.value))
        skipped += [printable(name, 80) for name in found if not _PLAIN.fullmatch(name)]
        # As in bash: what matches nothing stays as it is written.
        values = [name for name in found if _PLAIN.fullmatch(name)] or [word.value]
    else:
        values = await _pids(word, trusted)
    return tuple(Word(value, word.span, quoted=True) for value in values)


def names(glob: str) -> list[str]:
    """Return the existing paths that an absolute glob names, sorted by their bytes, as bash has them.

    `*` and `?` match no slash and no leading dot. Raises NodeError where there is too much to look at.
    """
    looked = 0
    paths = [""]
    for part in glob.split("/")[1:]:
        if not re.search(r"[*?]", part):
            paths = [f"{path}/{part}" for path in paths]
            continue
        matched: list[str] = []
        for path in paths:
            try:
                with os.scandir(path + "/") as entries:
                    for entry in entries:
                        looked += 1
                        if looked > MAX_ENTRIES:
                            raise NodeError(f"{glob} looks at more than {MAX_ENTRIES} names")
                        hidden = entry.name.startswith(".") and not part.startswith(".")
                        if not hidden and fnmatch.fnmatchcase(entry.name, part):
                            matched.append(f"{path}/{entry.name}")
            except OSError:
                continue  # no directory, or not ours to read: nothing matches in it
        paths = matched
    return sorted(filter(os.path.lexists, paths), key=os.fsencode)


async def _in_time(look: Callable[[], _R]) -> _R:
    """Look at the file system in a thread: one that hangs must not stop the node.

    In a thread of its own, because a program waits at its end for those of a pool: sentinel-exec would
    hang with them, and with it the store that the next plan needs.
    """
    answer: Future[_R] = Future()

    def work() -> None:
        answer.set_running_or_notify_cancel()
        try:
            answer.set_result(look())
        except (NodeError, OSError) as error:
            answer.set_exception(error)

    Thread(target=work, name="look", daemon=True).start()
    try:
        async with asyncio.timeout(LOOK_S):
            return await asyncio.wrap_future(answer)
    except TimeoutError:
        raise NodeError(f"the file system did not answer within {LOOK_S:.0f} s") from None


async def _pids(word: Word, trusted: Sequence[str]) -> list[str]:
    """Return what `pgrep` prints. Raises NodeError where that is no list of pids, or none at all."""
    inner = Simple(word.pids_of, (), word.span)
    tree = CommandTree((AndOr(Pipeline((inner,)), ()),))
    run = await execute.run(tree, timeout_s=PGREP_S, trusted=trusted)
    found = run.stdout.split()
    if run.timed_out or run.reason:
        raise NodeError(f"{word.value} did not end: {run.reason or 'timed out'}")
    if not found:
        raise NodeError(f"{word.value}: there is no such process")
    if not all(map(_PIDS.fullmatch, found)):
        raise NodeError(f"{word.value} printed {printable(run.stdout, 80)}, which is no pid")
    return found


def _end_of_links(word: Word) -> Word:
    """Return the word as the path that it leads to; itself where it is no path, or no link is on it."""
    if not word.value.startswith("/"):
        return word
    end = os.path.realpath(word.value)
    # normpath keeps two leading slashes, which the kernel takes for one.
    if end == "/" + posixpath.normpath(word.value).lstrip("/") or not os.path.lexists(word.value):
        return word
    return msgspec.structs.replace(word, value=end)


def _with(tree: CommandTree, change: Callable[[Word], tuple[Word, ...]]) -> CommandTree:
    def simple(command: Simple) -> Simple:
        argv = tuple(new for word in command.argv for new in change(word))
        return msgspec.structs.replace(command, argv=argv)

    def pipeline(part: Pipeline) -> Pipeline:
        return Pipeline(tuple(map(simple, part.commands)))

    return CommandTree(
        tuple(
            AndOr(pipeline(item.first), tuple((op, pipeline(part)) for op, part in item.rest))
            for item in tree.lists
        )
    )
