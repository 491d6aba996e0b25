"""A rule's usage line: the only options a command may carry, and how its words are read. Pure.

    -n=int -u=unit? --since=any --no-pager -#

`-x` is a flag, `-x=T` takes a value of type T (attached or the next word), `-x?=T` (or `-x=T?`) an optional
attached value, `-#` stands for `-5`. Long options are never abbreviated: `--vac` is not `--vacuum-size`, although
the program itself would take it. Clusters are taken apart letter by letter.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Sequence

import msgspec

from sentinel.domain import Span
from sentinel.policy.grammar import Word

_TERM = re.compile(r"([-+][^=?\s]*|--[^=?\s]+)(\?)?(?:=(\S+))?")


class No(Exception):
    """A rule does not take these words: why, where, and what it would take."""

    def __init__(
        self, reason: str, span: Span, allow_if: str = "", *, words_fit: bool = False
    ) -> None:
        """Say why the words at `span` are not accepted; `words_fit`: it is not for a word of theirs."""
        super().__init__(reason)
        self.reason = reason
        self.span = span
        self.allow_if = allow_if
        self.words_fit = words_fit


class Option(msgspec.Struct, frozen=True):
    """One accepted option: the type of its value, None for a flag; `optional`: attached or absent."""

    kind: str | None
    optional: bool


Options = dict[str, Option]
Check = Callable[[str, Word], None]  # raises No


class Parsed(msgspec.Struct, frozen=True):
    """What a command line said: option -> value ("" for a flag), and the other words in order."""

    seen: dict[str, str]
    rest: tuple[Word, ...]


@functools.cache
def spec(text: str) -> Options:
    """Return the options of a usage line; ValueError names a term that is not one."""
    options: Options = {}
    for term in text.split():
        found = _TERM.fullmatch(term)
        if found is None:
            raise ValueError(f"{term!r} is not an option")
        kind = found[3]
        optional = bool(found[2]) or (kind or "").endswith("?")
        options[found[1]] = Option(kind.rstrip("?") if kind else None, optional)
    return options


class Reader:
    """Reads words against a usage line."""

    def __init__(self, options: Options, check: Check, *, single_dash: bool = False) -> None:
        """`check(kind, word)` raises No for a value of the wrong type.

        `single_dash`: long options begin with one dash and take `=value` (as openssl's and find's do).
        """
        self._options = options
        self._check = check
        self._single_dash = single_dash
        self._seen: dict[str, str] = {}

    def read(
        self,
        words: Sequence[Word],
        *,
        stop: bool = False,
        plus: bool = False,
        dashes: bool = False,
    ) -> Parsed:
        """Return what `words` say. `stop`: the first other word ends the options, as for wrappers.

        `plus`: options may begin with `+`. `dashes`: the program knows `--`; to one that does not, what
        follows may be an option, or a second command. Raises No for what is not on the usage line.
        """
        rest: list[Word] = []
        queue = list(words)
        while queue:
            word = queue.pop(0)
            text = word.value
            if text == "--":
                if not (dashes or stop):
                    raise No("-- is not on the rule's list", word.span, "leave it out")
                rest += queue
                break
            if plus and text.startswith("+"):
                self._cluster(word, queue, "+")
            elif not text.startswith("-") or text == "-":
                rest.append(word)
                if stop:
                    rest += queue
                    break
            elif text.startswith("--"):
                self._long(word, queue)
            else:
                self._short(word, queue)
        return Parsed(self._seen, tuple(rest))

    def _long(self, word: Word, queue: list[Word]) -> None:
        name, equals, value = word.value.partition("=")
        option = self._options.get(name)
        if option is None:
            raise No(f"option {name} is not on the rule's list", word.span, self._listed())
        if option.kind is None:
            if equals:
                raise No(f"option {name} takes no value", word.span)
            self._seen[name] = ""
        elif equals:
            self._take(name, option, Word(value, word.span, word.quoted))
        elif option.optional:
            self._seen[name] = ""
        else:
            self._take(name, option, _next(name, word, queue))

    def _short(self, word: Word, queue: list[Word]) -> None:
        text = word.value
        if text in self._options and (len(text) > 2 or self._options[text].kind is not None):
            self._whole(text, word, queue)
        elif "-#" in self._options and re.fullmatch(r"-\d+", text):
            self._seen["-#"] = text[1:]
        elif self._single_dash and text.partition("=")[0] in self._options and "=" in text:
            name, _, value = text.partition("=")
            option = self._options[name]
            if option.kind is None:
                raise No(f"option {name} takes no value", word.span)
            self._take(name, option, Word(value, word.span, word.quoted))
        elif self._single_dash and len(text) > 2:
            raise No(f"option {text} is not on the rule's list", word.span, self._listed())
        else:
            self._cluster(word, queue)

    def _whole(self, name: str, word: Word, queue: list[Word]) -> None:
        option = self._options[name]
        if option.kind is None or option.optional:
            self._seen[name] = ""
        else:
            self._take(name, option, _next(name, word, queue))

    def _cluster(self, word: Word, queue: list[Word], sign: str = "-") -> None:
        """Take `-abc` apart; the first letter that has a value takes the rest of the word, or the next."""
        text = word.value
        for at in range(1, len(text)):
            name = sign + text[at]
            option = self._options.get(name)
            if option is None:
                inside = f" (in {text})" if len(text) > 2 else ""
                raise No(
                    f"option {name}{inside} is not on the rule's list", word.span, self._listed()
                )
            if option.kind is None:
                self._seen[name] = ""
                continue
            attached = text[at + 1 :]
            if attached:
                self._take(name, option, Word(attached, word.span, word.quoted))
            elif option.optional:
                self._seen[name] = ""
            else:
                self._take(name, option, _next(name, word, queue))
            return

    def _take(self, name: str, option: Option, value: Word) -> None:
        assert option.kind is not None
        self._check(option.kind, value)
        self._seen[name] = value.value

    def _listed(self) -> str:
        names = " ".join(sorted(self._options))
        return f"it may carry: {names}"[:1000] if names else "it may carry no option"


def _next(name: str, word: Word, queue: list[Word]) -> Word:
    if not queue:
        raise No(f"option {name} needs a value", word.span)
    return queue.pop(0)


def arguments(grammar: str, words: Sequence[Word], check: Check, end: Span) -> None:
    """Check positional `words` against a rule's argument grammar, such as `path+` or `'status'|'show'`.

    A word that begins with a dash got here behind `--`, which not every program knows: it is refused.

    A term is a type or literals with `?`, `*` or `+`. `end` is where a missing argument would stand.
    Raises No at the word that does not fit.
    """
    at = 0
    for term in grammar.split():
        base, many = (term[:-1], term[-1]) if term[-1] in "?*+" else (term, "")
        if many in ("", "+"):
            if at >= len(words):
                raise No(f"an argument is missing: {base}", end)
            _one(base, words[at], check)
            at += 1
        if many == "?" and at < len(words) and _fits(base, words[at], check):
            at += 1
        if many in ("*", "+"):
            while at < len(words):
                _one(base, words[at], check)
                at += 1
    if at < len(words):
        raise No(f"argument {words[at].value!r} is not expected", words[at].span)


def _one(base: str, word: Word, check: Check) -> None:
    if word.value.startswith("-") and word.value != "-":
        raise No(f"{word.value!r} may be an option", word.span)
    if not base.startswith("'"):
        check(base, word)
    elif word.value not in [each.strip("'") for each in base.split("|")]:
        raise No(f"{word.value!r} is not one of {base}", word.span)


def _fits(base: str, word: Word, check: Check) -> bool:
    try:
        _one(base, word, check)
    except No:
        return False
    return True
