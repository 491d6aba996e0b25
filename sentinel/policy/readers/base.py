"""What a reader is given: the words after the command's name and what they may refer to. Pure.

A reader judges what no list of options can express. It returns if every word is fine and raises No at
the first that is not. What an option may carry is judged at each of its occurrences, by a type: a program
may act on the first of two and report only the last.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import msgspec

from sentinel.domain import Span
from sentinel.policy.grammar import Word
from sentinel.policy.kinds import Scope
from sentinel.policy.options import Options, Parsed, Reader

Argv = tuple[str, ...]
Kinds = Mapping[str, Callable[[Word], None]]  # types of a reader's own; each raises No


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One command to be read."""

    name: str
    words: tuple[Word, ...]  # without the name
    span: Span  # of the whole command
    before: tuple[Argv, ...]  # the earlier stages of its pipeline: its standard input
    scope: Scope
    roots: tuple[str, ...] = ()  # of the rule, where it has some
    min_age_days: int = 0
    need_name_under: tuple[str, ...] = ()
    inner: Callable[[Sequence[Word]], None]  # judges a command that this one would run; raises No

    def parse(
        self,
        options: Options,
        words: Sequence[Word] | None = None,
        *,
        stop: bool = False,
        single_dash: bool = False,
        dashes: bool = False,
        kinds: Kinds | None = None,
    ) -> Parsed:
        """Read `words` (all of them by default) against a usage line."""

        def check(kind: str, word: Word) -> None:
            own = (kinds or {}).get(kind)
            if own is not None:
                own(word)
            else:
                self.scope.check(kind, word)

        reader = Reader(options, check, single_dash=single_dash)
        return reader.read(self.words if words is None else words, stop=stop, dashes=dashes)


Judge = Callable[[Call], None]


def names(text: str) -> frozenset[str]:
    """Return the words of `text`."""
    return frozenset(text.split())
