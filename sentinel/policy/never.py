"""The blocking rules, searched for wherever a command can hide. Pure and total; it only ever raises.

A command is looked at itself and then taken apart: what wrappers pass on, what shells and `eval` are
given as text, what interpreters are given as code, what `find -exec` and `xargs` would run.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Collection, Iterator

import msgspec

from sentinel.domain import Span
from sentinel.policy.fits import Asked, Words, resolved
from sentinel.policy.paths import matches
from sentinel.policy.readers.base import names
from sentinel.policy.rulefile import Block
from sentinel.policy.rules import Policy
from sentinel.policy.scan import MAX_CHARS, Command, scan

MAX_DEPTH = 6
MAX_LOOKED = 2000  # commands looked at in one text
MAX_WORDS = 8_192  # words looked at, those of a command inside of a command counted again
MAX_OPERANDS = 16  # words of an unknown command among which another may begin
MAX_NAMES = 32  # different commands of one pipeline
MAX_SCANNED = 4 * MAX_CHARS  # characters, those of a text inside of a text counted again
# Where a bound was reached, what was left out may be anything.
TOO_MUCH = Block(
    id="never.too-much", why="more is hidden in it than can be looked through: write it plainly"
)

_WRAPPERS = names(
    "sudo doas env timeout nice ionice nohup stdbuf setsid time command builtin exec xargs "
    "parallel watch flock busybox toybox chroot unshare nsenter strace ltrace runuser chrt "
    "taskset systemd-run script ssh docker podman kubectl oc nerdctl crictl k3s microk8s ctr "
    "docker-compose podman-compose lxc incus numactl screen tmux systemd-inhibit vagrant "
    "lxc-attach machinectl firejail bwrap proot fakeroot gdb perf unbuffer expect faketime "
    "cpulimit setpriv prlimit capsh pkexec su sg newgrp rlwrap ts torsocks proxychains eatmydata "
    "catchsegv valgrind ld.so coproc then do else"
)
# What stands before the command is an operand: a lock, a root, a host, a container.
_OPERAND_FIRST = names(
    "docker podman kubectl oc nerdctl crictl ctr docker-compose podman-compose lxc incus screen "
    "tmux vagrant ssh machinectl flock chroot lxc-attach su sg ts script expect cpulimit"
)
# Of containers: what runs a command in one, and what only looks at one or acts on it by its name.
_CONTAINERS = frozenset(
    {"docker", "podman", "nerdctl", "kubectl", "oc", "crictl", "docker-compose", "podman-compose"}
)
_RUN_IN = frozenset({"exec", "run", "debug", "create", "rsh", "rexec", "attach", "--"})
_BY_NAME = frozenset(
    {
        *("logs", "inspect", "top", "stats", "ps", "port", "diff", "events", "images", "history", "info", "pods"),
        *("restart", "start", "stop", "kill", "rm", "pause", "unpause", "wait", "update", "rename"),
        *("get", "describe", "delete", "rollout", "scale", "label", "cordon", "uncordon", "drain", "auth"),
    }
)  # fmt: skip
# These say their words, or look them up.
_INERT = names("man info whatis apropos tldr help type alias logger wall notify-send")
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
    "csh",
    "tcsh",
    "pwsh",
    "nix-shell",
    "vagrant",
    "ansible",
    "man",
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
_NO_PROGRAMS = ("/etc/", "/proc/", "/sys/", "/var/log/", "/boot/")
# Programs with a way to run a command from inside of an option or a script of theirs, and how it is marked.
_CARRIERS = frozenset(
    {"vim", "vi", "nvim", "view", "ex", "git", "tar", "ssh", "scp", "gdb", "sed", "less", "more", "rsync", "salt"}
)  # fmt: skip
_MARK = re.compile(
    r"(?:^|[=+:])!|exec=|(?:to|rsh|proxy|local|remote|rmt)-?command=|use-compress-program=|-script="
    r"|^shell |^[\d,$]*e |^--run=",
    re.IGNORECASE,
)
# These run what stands on their input.
_CONSOLES = frozenset(
    {"redis-cli", "valkey-cli", "mysql", "mariadb", "psql", "mongo", "mongosh", "sqlite3"}
)
_TEXT_OPTION = ("--command", "-S", "--split-string")
_TEXT_OPTIONS = {"man": ("-P", "--pager"), "ansible": ("-a", "--args"), "nix-shell": ("--run",)}
_OPTION_VALUE = re.compile(r"-[A-Za-z]|--[a-z-]+")
_OPERAND = re.compile(r"\d+(\.\d+)?[smhd]?|[A-Za-z_]\w*=.*|\{\}|;|\+")
_STRING = re.compile(
    r"'((?:[^'\\]|\\.)*)'|\"((?:[^\"\\]|\\.)*)\"|`([^`]*)`|\[([^\]]*)\]|\bqx\s*[({]([^)}]*)", re.S
)


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
    asked: Asked = {}
    apart = _Apart(policy.rules)
    for count, look in enumerate(apart.looks(text, 0, None)):
        if count >= MAX_LOOKED:
            apart.whole = False
            break
        name = _name(look.words)
        words = Words(look.words, asked)
        if _is_unknown(name, policy.rules):
            _unknown(by_name, look, words, found)
        for block in by_name.get(name, by_name[""]):
            if block.id not in found and _fits(block, name, look, words):
                found[block.id] = Hit(block, look.span)
    if not apart.whole:
        found[TOO_MUCH.id] = Hit(TOO_MUCH, (0, len(text)))
    return tuple(sorted(found.values(), key=lambda hit: hit.span))


def _unknown(
    by_name: dict[str, tuple[Block, ...]], look: _Look, words: Words, found: dict[str, Hit]
) -> None:
    """Ask for each word of a command that nobody knows whether a blocked one begins there."""
    for at, word in enumerate(look.words[1:MAX_OPERANDS], 1):
        name = _base(word)
        for block in by_name.get(name, by_name[""]):
            if block.id in found:
                continue
            if _piped(block, name, look) or (matches(name, block.cmd) and words.fit(block, at)):
                found[block.id] = Hit(block, look.span)


def _is_unknown(name: str, known: Collection[str]) -> bool:
    """Say whether the command may run what its words name; `known` are those that rules are about."""
    return name not in known and name not in _INERT and name not in _WRAPPERS


def _name(words: list[str]) -> str:
    return _base(words[0]) if words else ""


def _base(word: str) -> str:
    """Return the name of the program that a word may be: /bin/rm is rm, and /etc/passwd is a file."""
    return word if word.startswith(_NO_PROGRAMS) else posixpath.basename(word)


class _Apart:
    """Takes a text apart, as long as it has work left."""

    def __init__(self, known: Collection[str]) -> None:
        """`known` are the commands that rules are about."""
        self._known = known
        self._left = MAX_SCANNED
        self._words = MAX_WORDS
        self._seen: set[tuple[frozenset[str], tuple[str, ...]]] = set()
        self.whole = True  # nothing was left out

    def looks(self, text: str, depth: int, span: Span | None) -> Iterator[_Look]:
        """Yield everything that may be executed by `text`."""
        self._left -= len(text)
        if self._left < 0:
            self.whole = False
            return
        scanned = scan(text, span=span)
        self.whole &= scanned.whole
        for pipeline in scanned.pipelines:
            before: set[str] = set()
            said = ""  # what the stage before prints, where that is known
            for command in pipeline:
                earlier = frozenset(before)
                inner = {_name(each.words) for each in command.inside}
                for look in (
                    *self._command(command, depth, earlier),
                    *self._fed(command, said, depth, earlier),
                ):
                    look.before = before | inner
                    yield look
                    if len(before) < MAX_NAMES:
                        before.update(self._runs(look.words))
                echoes = _name(command.words) in ("echo", "printf")
                said = " ".join(command.words[1:]) if echoes else ""

    def _runs(self, words: list[str]) -> Iterator[str]:
        """Yield the names of what the command may run: its own, and any word of an unknown one."""
        name = _name(words)
        yield name
        if _is_unknown(name, self._known):
            yield from map(_base, words[1:MAX_OPERANDS])

    def _sayings(self, words: list[str]) -> Iterator[str]:
        """Yield each word of an unknown command that may be a command itself: `pdsh -a 'rm -rf /'`."""
        if _is_unknown(_name(words), self._known):
            yield from (word for word in words[1:MAX_OPERANDS] if " " in word)

    def _fed(
        self, command: Command, said: str, depth: int, earlier: frozenset[str]
    ) -> Iterator[_Look]:
        """Yield what becomes of the words that the stage before prints."""
        if not said or depth >= MAX_DEPTH:
            return
        name = _name(command.words)
        runs = {name, *map(_name, _passed_on(name, command.words))}
        if runs & {"at", "batch", "crontab", *_SHELLS}:
            yield from self.looks(said, depth + 1, command.span)
        if runs & {"xargs", "parallel", *_CONSOLES}:
            whole = Command([*command.words, said, *said.split()], [], command.span, [], "")
            yield from self._command(whole, depth + 1, earlier)

    def _command(self, command: Command, depth: int, earlier: frozenset[str]) -> Iterator[_Look]:
        """Yield the command itself and all that it would run; `earlier`: stages before it."""
        if self._words < 0:
            self.whole = False
            return
        yield _Look(command.words, command.redirects, command.span, set())
        # The same words behind the same stages run the same; and `docker a docker a ...` must not branch.
        self._words -= len(command.words)
        key = (earlier, tuple(command.words))
        if depth >= MAX_DEPTH or self._words < 0 or key in self._seen:
            return
        self._seen.add(key)
        name = _name(command.words)
        for words in _passed_on(name, command.words):
            inner = Command(words, [], command.span, [], "")
            yield from self._command(inner, depth + 1, earlier)
        for text in (*_texts(name, command.words), *self._sayings(command.words), command.stdin):
            if text:
                yield from self.looks(text, depth + 1, command.span)


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
    if _names_only(name, words):
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


def _names_only(name: str, words: list[str]) -> bool:
    """Say whether no word is run: `command -v reboot`, and `docker logs init`."""
    if name == "command":
        return any(word in ("-v", "-V") for word in words[1:2])
    operand = next((word for word in words[1:] if not word.startswith("-")), "")
    return name in _CONTAINERS and operand in _BY_NAME and not _RUN_IN.intersection(words)


def _texts(name: str, words: list[str]) -> Iterator[str]:
    """Yield what a command takes as text to execute."""
    if _names_only(name, words):
        return
    if name in _TEXT:
        yield " ".join(words[1:])
        if name == "ssh":
            yield " ".join(words[2:])
    if name in _CARRIERS:
        marks = ((word, _MARK.search(word)) for word in words[1:])
        yield from (word[mark.end() :] for word, mark in marks if mark)
    if name in _SHELLS or name in _WRAPPERS:
        yield from _option_texts(name, words)
    if matches(name, _CODE):
        for word in words[1:]:
            yield from _code_texts(word)


def _option_texts(name: str, words: list[str]) -> Iterator[str]:
    """Yield the values of -c, and of env -S."""
    for at, word in enumerate(words[1:], 1):
        following = words[at + 1] if at + 1 < len(words) else ""
        if re.fullmatch(r"-[A-Za-z]*c", word) or word in _TEXT_OPTIONS.get(name, _TEXT_OPTION):
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


def _piped(block: Block, name: str, look: _Look) -> bool:
    """Say whether the program takes what an earlier stage, or a substitution in it, gives."""
    return (
        matches(name, block.pipe_to)
        and any(matches(each, block.pipe_from) for each in look.before)
        and not any(matches(word, block.excuse) for word in look.words[1:])
    )


def _fits(block: Block, name: str, look: _Look, words: Words) -> bool:
    """Say whether every condition of `block` holds."""
    if block.text:
        return False
    if block.pipe_to:
        return _piped(block, name, look)
    if block.redirect:
        return any(matches(resolved(each), block.redirect) for each in look.redirects)
    return matches(name, block.cmd) and words.fit(block)
