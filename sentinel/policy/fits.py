"""One blocking rule against one command. Pure.

Any word of an unknown command may be the name of the one that it runs, so a rule is asked for many starts in
the same words. Each of a rule's conditions is of the form "one of the words behind the name is ...": it
holds where the last such word stands behind the name. So each condition looks at each word once.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable

from sentinel.policy.paths import matches, normal
from sentinel.policy.rulefile import Block

Asked = dict[tuple[str, str], dict[str, bool]]  # rule and condition -> word -> whether it holds


class Words:
    """The words of a command."""

    def __init__(self, words: list[str], asked: Asked) -> None:
        """`asked` is shared by all commands of a text: they say the same words again and again."""
        self._words = words
        self._asked = asked
        self._last: dict[tuple[str, str], int] = {}
        self.steps = 0  # words looked at: what a test bounds

    def fit(self, block: Block, start: int = 0) -> bool:
        """Say whether the conditions of `block` hold for the command whose name stands at `start`.

        The name itself is not asked for.
        """
        first = start + 1
        if block.excuse and self._any(block, "excuse", first, _excuses):
            return False
        if block.flags and not self._any(block, "flags", first, _is_flag_of):
            return False
        if block.words_any and not self._says(block, first):
            return False
        if block.skip_first_flag and self._is_option(first):
            first += 1
        if block.args and not self._any(block, "args", first, _is_argument_of):
            return False
        return not block.paths or self._any(block, "paths", first, _is_path_of)

    def _any(
        self, block: Block, condition: str, first: int, holds: Callable[[Block, str], bool]
    ) -> bool:
        key = (block.id, condition)
        last = self._last.get(key)
        if last is None:
            known = self._asked.setdefault(key, {})
            last = len(self._words) - 1
            while last >= 0:
                self.steps += 1
                word = self._words[last]
                if word not in known:
                    known[word] = holds(block, word)
                if known[word]:
                    break
                last -= 1
            self._last[key] = last
        return last >= first

    def _says(self, block: Block, first: int) -> bool:
        if not block.first_word:
            return self._any(block, "words", first, _is_word_of)
        while first < len(self._words) and self._words[first].startswith("-"):
            first += 1
        return first < len(self._words) and self._words[first] in block.words_any

    def _is_option(self, at: int) -> bool:
        word = self._words[at] if at < len(self._words) else ""
        return word.startswith("-") and word != "--"


def _excuses(block: Block, word: str) -> bool:
    return matches(word, block.excuse)


def _is_flag_of(block: Block, word: str) -> bool:
    return any(_is_flag(word, flag) for flag in block.flags)


def _is_flag(word: str, flag: str) -> bool:
    """Say whether `word` gives `flag`, abbreviated or in a cluster as its program would take it."""
    if flag.startswith("--"):
        given = word.partition("=")[0]
        return len(given) > 3 and flag.startswith(given)
    if len(flag) == 2 and not word.startswith("--"):
        return word.startswith("-") and flag[1] in word[1:]
    return word == flag


def _is_word_of(block: Block, word: str) -> bool:
    return not word.startswith("-") and word in block.words_any


def _is_argument_of(block: Block, word: str) -> bool:
    """Take `of=//dev/sda` as `of=/dev/sda`."""
    name, equals, value = word.partition("=")
    clean = name + equals + normal(value) if value.startswith("/") else word
    return matches(clean, block.args)


def _is_path_of(block: Block, word: str) -> bool:
    """A path may also be an option's value: --target=/etc, of=/dev/sda."""
    value = word.partition("=")[2]
    return any(matches(resolved(part), block.paths) for part in (word, value) if part)


def resolved(path: str) -> str:
    """Return `path` without `//`, `.` and `..`; `~`, `$HOME` and what is relative stay as they are."""
    return normal(path) if path.startswith("/") else posixpath.normpath(path)
