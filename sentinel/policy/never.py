"""The blocking rules, searched for wherever a command can hide. Pure and total; it only ever raises.

A command is looked at itself and then taken apart: what wrappers pass on, what shells and `eval` are
given as text, what interpreters are given as code, what `find -exec` and `xargs` would run.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator

import msgspec

from sentinel.domain import Span
from sentinel.policy.paths import matches, normal
from sentinel.policy.rules import Block, Policy
from sentinel.policy.scan import MAX_CHARS, Command, scan

MAX_DEPTH = 6
MAX_LOOKED = 2000  # commands looked at in one text
MAX_WORDS = 8_192  # words looked at, those of a command inside of a command counted again
MAX_OPERANDS = 16  # words of an unknown command among which another may begin
MAX_NAMES = 32  # different commands of one pipeline
MAX_SCANNED = 4 * MAX_CHARS  # characters, those of a text inside of a text counted again

_WRAPPERS = frozenset(
    [
        "sudo",
        "doas",
        "env",
        "timeout",
        "nice",
        "ionice",
        "nohup",
        "stdbuf",
        "setsid",
        "time",
        "command",
        "builtin",
        "exec",
        "xargs",
        "parallel",
        "watch",
        "flock",
        "busybox",
        "toybox",
        "chroot",
        "unshare",
        "nsenter",
        "strace",
        "ltrace",
        "runuser",
        "chrt",
        "taskset",
        "systemd-run",
        "script",
        "ssh",
        "docker",
        "podman",
        "kubectl",
        "oc",
        "nerdctl",
        "crictl",
        "lxc-attach",
        "machinectl",
        "firejail",
        "bwrap",
        "proot",
        "fakeroot",
        "gdb",
        "perf",
        "unbuffer",
        "expect",
        "faketime",
        "cpulimit",
        "setpriv",
        "prlimit",
        "capsh",
        "pkexec",
        "su",
        "sg",
        "newgrp",
        "rlwrap",
        "ts",
        "torsocks",
        "proxychains",
        "eatmydata",
        "catchsegv",
        "valgrind",
        "ld.so",
        "coproc",
        "then",
        "do",
        "else",
    ]
)
# What stands before the command is an operand: a lock, a root, a host, a container.
_OPERAND_FIRST = frozenset(
    [
        "docker",
        "podman",
        "kubectl",
        "oc",
        "nerdctl",
        "crictl",
        "ssh",
        "machinectl",
        "flock",
        "chroot",
        "lxc-attach",
        "su",
        "sg",
        "ts",
        "script",
        "expect",
        "cpulimit",
    ]
)
# These say their words, or look them up.
_INERT = frozenset(
    [
        "man",
        "info",
        "whatis",
        "apropos",
        "tldr",
        "help",
        "type",
        "alias",
        "logger",
        "wall",
        "notify-send",
    ]
)
_SHELLS = (
    "sh",
    "bash",
    "dash",
    "zsh",
    "ksh",
    "ash",
    "fish",
    "rbash",
    "mksh",
    "su",
    "script",
    "watch",
)
_TEXT = frozenset({"eval", "trap", "ssh", "watch", "parallel", "at", "batch", "source"})
_CODE = (
    "python*",
    "perl*",
    "ruby*",
    "node*",
    "nodejs",
    "php*",
    "lua*",
    "awk",
    "gawk",
    "mawk",
    "tclsh",
)
_OPTION_VALUE = re.compile(r"-[A-Za-z]|--[a-z-]+")
_OPERAND = re.compile(r"\d+(\.\d+)?[smhd]?|[A-Za-z_]\w*=.*|\{\}|;|\+")
_STRING = re.compile(r"'((?:[^'\\]|\\.)*)'|\"((?:[^\"\\]|\\.)*)\"|`([^`]*)`|\[([^\]]*)\]", re.S)


class Hit(msgspec.Struct, frozen=True):
    """A blocking rule that fits, and where."""

    block: Block
    span: Span


class _Look(msgspec.Struct):
    """A command to be looked at, with the stages before it."""

    words: list[str]
    redirects: list[str]
    span: Span
    before: set[str]  # names of earlier stages of its pipeline, and of what its substitutions run


def search(policy: Policy, text: str) -> tuple[Hit, ...]:
    """Return every blocking rule that fits something in `text`, each once, in the order of the text.

    A command that no rule is about may run what its words name.
    """
    text = text[:MAX_CHARS]
    found: dict[str, Hit] = {}
    for block in policy.blocks:
        if block.text and (place := re.search(block.text, text)):
            found[block.id] = Hit(block, place.span())
    by_name = policy.block_index
    for count, look in enumerate(_Apart().looks(text, 0, None)):
        if count >= MAX_LOOKED:
            break
        name = _name(look.words)
        if name not in policy.rules and name not in _INERT and name not in _WRAPPERS:
            _unknown(by_name, look, found)
        for block in by_name.get(name, by_name[""]):
            if block.id not in found and _fits(block, name, look):
                found[block.id] = Hit(block, look.span)
    return tuple(sorted(found.values(), key=lambda hit: hit.span))


def _unknown(by_name: dict[str, tuple[Block, ...]], look: _Look, found: dict[str, Hit]) -> None:
    """Ask for each word of a command that nobody knows whether a blocked one begins there."""
    for at, word in enumerate(look.words[1:MAX_OPERANDS], 1):
        name = posixpath.basename(word)
        inner = _Look(look.words[at:], [], look.span, set())
        for block in by_name.get(name, by_name[""]):
            if block.id not in found and _fits(block, name, inner):
                found[block.id] = Hit(block, look.span)


def _name(words: list[str]) -> str:
    return posixpath.basename(words[0]) if words else ""


class _Apart:
    """Takes a text apart, as long as it has work left."""

    def __init__(self) -> None:
        self._left = MAX_SCANNED
        self._words = MAX_WORDS
        self._seen: set[tuple[str, ...]] = set()

    def looks(self, text: str, depth: int, span: Span | None) -> Iterator[_Look]:
        """Yield everything that may be executed by `text`."""
        self._left -= len(text)
        if self._left < 0:
            return
        for pipeline in scan(text, span=span).pipelines:
            before: set[str] = set()
            said = ""  # what the stage before prints, where that is known
            for command in pipeline:
                inner = {_name(each.words) for each in command.inside}
                for look in (*self._command(command, depth), *self._fed(command, said, depth)):
                    look.before = before | inner
                    yield look
                    if len(before) < MAX_NAMES:
                        before.add(_name(look.words))
                echoes = _name(command.words) in ("echo", "printf")
                said = " ".join(command.words[1:]) if echoes else ""

    def _fed(self, command: Command, said: str, depth: int) -> Iterator[_Look]:
        """Yield what becomes of the words that the stage before prints."""
        if not said or depth >= MAX_DEPTH:
            return
        names = {_name(command.words), *(_name(w) for w in _passed_on(*_named(command.words)))}
        if names & {"at", "batch", *_SHELLS}:
            yield from self.looks(said, depth + 1, command.span)
        if names & {"xargs", "parallel"}:
            whole = Command([*command.words, *said.split()], [], command.span, [], "")
            yield from self._command(whole, depth + 1)

    def _command(self, command: Command, depth: int) -> Iterator[_Look]:
        """Yield the command itself and all that it would run."""
        if self._words < 0:
            return
        yield _Look(command.words, command.redirects, command.span, set())
        # The same words in another place run the same; and `docker a docker a ...` must not branch.
        self._words -= len(command.words)
        key = tuple(command.words)
        if depth >= MAX_DEPTH or self._words < 0 or key in self._seen:
            return
        self._seen.add(key)
        name = _name(command.words)
        for words in _passed_on(name, command.words):
            inner = Command(words, [], command.span, [], "")
            yield from self._command(inner, depth + 1)
        for text in (*_texts(name, command.words), command.stdin):
            if text:
                yield from self.looks(text, depth + 1, command.span)


def _named(words: list[str]) -> tuple[str, list[str]]:
    return _name(words), words


def _passed_on(name: str, words: list[str]) -> Iterator[list[str]]:
    """Yield the word lists that a wrapper may run: from its first operand on.

    Where an option precedes the operand, it may be the option's value, so the next word is tried too.
    """
    if name == "find":
        for at, word in enumerate(words[:-1]):
            if word in ("-exec", "-execdir", "-ok", "-okdir"):
                yield words[at + 1 :]
        return
    if name not in _WRAPPERS and not name.startswith("ld-linux"):
        return
    remote = name in _OPERAND_FIRST
    after_option = False
    for at, word in enumerate(words[1:], 1):
        if word.startswith("-") and word != "-":
            after_option = bool(_OPTION_VALUE.fullmatch(word))
            continue
        if _OPERAND.fullmatch(word):
            after_option = False
            continue
        yield words[at:]
        if not (after_option or remote):
            return
        after_option = False


def _texts(name: str, words: list[str]) -> Iterator[str]:
    """Yield what a command takes as text to execute."""
    if name in _TEXT:
        yield " ".join(words[1:])
        if name == "ssh":
            yield " ".join(words[2:])
    if name in _SHELLS or name in _WRAPPERS:
        yield from _option_texts(name, words)
    if matches(name, _CODE):
        for word in words[1:]:
            yield from _code_texts(word)


def _option_texts(name: str, words: list[str]) -> Iterator[str]:
    """Yield the values of -c, and of env -S."""
    for at, word in enumerate(words[1:], 1):
        following = words[at + 1] if at + 1 < len(words) else ""
        if re.fullmatch(r"-[A-Za-z]*c", word) or word in ("--command", "-S", "--split-string"):
            yield following
        elif word.startswith(("--split-string=", "--command=")):
            yield word.partition("=")[2]
        elif name == "env" and re.match(r"-[a-zA-Z]*S.", word):
            yield word.partition("S")[2]


def _code_texts(code: str) -> Iterator[str]:
    """Yield the strings in a program's text: one of them may be a command or its words."""
    for found in _STRING.finditer(code):
        text = next((group for group in found.groups() if group), "")
        yield re.sub(r"['\"]\s*,\s*['\"]", " ", text).strip("'\" ")


# ---------------------------------------------------------------- one rule against one command


def _fits(block: Block, name: str, look: _Look) -> bool:
    """Say whether every condition of `block` holds."""
    if block.text:
        return False
    if block.pipe_to:
        return matches(name, block.pipe_to) and any(
            matches(b, block.pipe_from) for b in look.before
        )
    if block.redirect:
        return any(matches(_resolved(each), block.redirect) for each in look.redirects)
    if not matches(name, block.cmd):
        return False
    words = look.words[1:]
    if block.excuse and any(matches(word, block.excuse) for word in words):
        return False
    return _flags(block, words) and _words(block, words) and _arguments(block, words)


def _flags(block: Block, words: list[str]) -> bool:
    return not block.flags or any(_is_flag(word, flag) for word in words for flag in block.flags)


def _is_flag(word: str, flag: str) -> bool:
    """Say whether `word` gives `flag`, abbreviated or in a cluster as its program would take it."""
    if flag.startswith("--"):
        given = word.partition("=")[0]
        return len(given) > 3 and flag.startswith(given)
    if len(flag) == 2 and not word.startswith("--"):
        return word.startswith("-") and flag[1] in word[1:]
    return word == flag


def _words(block: Block, words: list[str]) -> bool:
    if not block.words_any:
        return True
    plain = [word for word in words if not word.startswith("-")]
    return any(word in block.words_any for word in (plain[:1] if block.first_word else plain))


def _arguments(block: Block, words: list[str]) -> bool:
    if block.skip_first_flag and words and words[0].startswith("-") and words[0] != "--":
        words = words[1:]
    if block.args and not any(matches(_value_resolved(word), block.args) for word in words):
        return False
    if not block.paths:
        return True
    # A path may also be an option's value: --target=/etc, of=/dev/sda.
    paths = [part for word in words for part in (word, word.partition("=")[2]) if part]
    return any(matches(_resolved(path), block.paths) for path in paths)


def _value_resolved(word: str) -> str:
    """Return `of=//dev/sda` as `of=/dev/sda`."""
    name, equals, value = word.partition("=")
    return name + equals + normal(value) if value.startswith("/") else word


def _resolved(path: str) -> str:
    """Return `path` without `//`, `.` and `..`; `~`, `$HOME` and what is relative stay as they are."""
    return normal(path) if path.startswith("/") else posixpath.normpath(path)
