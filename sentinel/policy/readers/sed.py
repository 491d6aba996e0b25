"""sed: scripts that neither write nor execute, and files that may be read. Pure.

Every command of a script is read one after the other; what is not on the list is refused, and so is a
regular expression whose end different seds would see in different places.
"""

from __future__ import annotations

import re

from sentinel.policy.grammar import Word
from sentinel.policy.options import No, spec
from sentinel.policy.readers.base import Call

_OPTIONS = spec(
    "-n -e=script -E -r -s -u -z -l=nonneg --quiet --silent --expression=script --regexp-extended --null-data"
    " --sandbox --posix --unbuffered --separate --debug --line-length=nonneg"
)
_NUMBER = re.compile(r"\d+(~\d+)?|\$")
_SECOND = re.compile(r"\d+|\$|[+~]\d+")
_SPACE = re.compile(r"[ ]*")
_LABEL = re.compile(r"[ ]*[A-Za-z0-9_]*")
_NUMBERED = re.compile(r"[ ]*\d*")
_FLAGS = re.compile(r"[gpiIM0-9]*")


def sed(call: Call) -> None:
    """Judge the scripts and the files of one sed command."""
    given: list[Word] = []

    def script(word: Word) -> None:
        given.append(word)
        _Script(word).check()

    parsed = call.parse(_OPTIONS, kinds={"script": script})
    files = list(parsed.rest)
    if not given:
        if not files:
            raise No("no script", call.span)
        script(files.pop(0))
    for word in files:
        call.scope.readable(word, content=True)


class _Script:
    def __init__(self, word: Word) -> None:
        self._word = word
        self._text = word.value
        self._at = 0

    def check(self) -> None:
        while True:
            while self._at < len(self._text) and self._text[self._at] in " ;}":
                self._at += 1
            if self._at >= len(self._text):
                return
            self._address()
            self._command()

    def _refuse(self, reason: str) -> No:
        return No(f"sed: {reason}", self._word.span, "use p, d, s, y, q, =, n, N, h, H, g, G, x, l")

    def _skip(self, pattern: re.Pattern[str]) -> bool:
        found = pattern.match(self._text, self._at)
        if found is None:
            return False
        self._at = found.end()
        return True

    def _here(self) -> str:
        return self._text[self._at : self._at + 1]

    def _address(self) -> None:
        if self._one_address(_NUMBER):
            self._skip(_SPACE)
            if self._here() == ",":
                self._at += 1
                self._skip(_SPACE)
                if not self._one_address(_SECOND):
                    raise self._refuse("an address that is not understood")
        self._skip(_SPACE)
        while self._here() == "!":
            self._at += 1
            self._skip(_SPACE)

    def _one_address(self, numbers: re.Pattern[str]) -> bool:
        if self._here() == "/":
            self._until("/")
            while self._here() in ("I", "M"):
                self._at += 1
            return True
        return self._skip(numbers)

    def _until(self, mark: str) -> None:
        """Go behind the `mark` that ends a regular expression, if there is no other opinion on which it is."""
        ends = {_end(self._text, self._at + 1, mark, bracket) for bracket in _BRACKETS}
        if ends == {-1}:
            raise self._refuse("an unterminated expression")
        if len(ends) > 1:
            raise self._refuse(f"a {mark} that seds may see inside of brackets")
        self._at = ends.pop() + 1

    def _command(self) -> None:
        letter = self._here()
        self._at += 1
        match letter:
            case "{":
                return
            case "s" | "y":
                self._substitute(letter)
            case ":" | "b" | "t" | "T":
                self._skip(_LABEL)
            case "q" | "Q" | "l" | "L":
                self._skip(_NUMBERED)
            case "p" | "P" | "d" | "D" | "g" | "G" | "h" | "H" | "n" | "N" | "x" | "=" | "F" | "z":
                pass
            case "a" | "i" | "c":
                self._text_command()
            case "":
                raise self._refuse("an address without a command")
            case _:
                raise self._refuse(f"command {letter!r} can write or execute")
        self._skip(_SPACE)
        if self._here() not in ("", ";", "}"):
            raise self._refuse(f"{self._here()!r} after command {letter!r}")

    def _text_command(self) -> None:
        """Take the rest as text; a backslash at its end would take the next script as text too."""
        if self._text.endswith("\\"):
            raise self._refuse("text that goes on in the next script")
        self._at = len(self._text)

    def _substitute(self, letter: str) -> None:
        mark = self._here()
        if not mark or mark in "\\ ;}[]" or mark.isalnum():
            raise self._refuse("no plain delimiter")
        self._until(mark)
        end = _end(self._text, self._at, mark, None)
        if end < 0:
            raise self._refuse(f"an unterminated {letter}")
        self._at = end + 1
        if letter == "s":
            self._skip(_FLAGS)


# What seds differ in, where a bracket expression ends: whether `]` may stand first in it, whether `[:` opens
# a class, whether a backslash escapes; and one that knows no brackets at all, None.
_Bracket = tuple[bool, bool, bool]
_BOTH = (True, False)
_BRACKETS: tuple[_Bracket | None, ...] = (
    None,
    *((first, classes, escapes) for first in _BOTH for classes in _BOTH for escapes in _BOTH),
)


def _end(text: str, at: int, mark: str, bracket: _Bracket | None) -> int:
    """Return where the first `mark` from `at` on stands that is neither escaped nor in brackets, or -1."""
    while at < len(text):
        if text[at] == mark:
            return at
        if text[at] == "[" and bracket is not None:
            at = _closed(text, at + 1, bracket)
            if at < 0:
                return -1
        at += 2 if text[at] == "\\" else 1
    return -1


def _closed(text: str, at: int, bracket: _Bracket) -> int:
    """Return where the bracket expression whose first character is at `at` is closed, or -1."""
    first, classes, escapes = bracket
    at += text.startswith("^", at)
    at += first and text.startswith("]", at)
    while at < len(text) and text[at] != "]":
        if classes and text[at] == "[" and text[at + 1 : at + 2] in (".", ":", "="):
            at = text.find(text[at + 1] + "]", at + 2) + 1
            if at == 0:
                return -1
        at += 2 if escapes and text[at] == "\\" else 1
    return at if at < len(text) else -1
