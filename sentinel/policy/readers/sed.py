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
        """Go behind the next `mark` that is not escaped; one inside of brackets is ambiguous."""
        at = self._at + 1
        bracket = -1
        while at < len(self._text):
            char = self._text[at]
            if char == "\\":
                at += 1
            elif char == "[" and bracket < 0:
                bracket = at
            elif char == "]" and bracket >= 0 and at > bracket + 1:
                bracket = -1
            elif char == mark:
                if bracket >= 0 and "]" in self._text[at:]:
                    raise self._refuse(f"a {mark} inside of brackets")
                self._at = at + 1
                return
            at += 1
        raise self._refuse("an unterminated expression")

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
                self._skip(re.compile(r"[ ]*\d*"))
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
        if not mark or mark in "\\ ;}" or mark.isalnum():
            raise self._refuse("no plain delimiter")
        self._until(mark)
        self._at -= 1
        at = self._at + 1
        while at < len(self._text) and self._text[at] != mark:
            at += 2 if self._text[at] == "\\" else 1
        if at >= len(self._text):
            raise self._refuse(f"an unterminated {letter}")
        self._at = at + 1
        if letter == "s":
            self._skip(_FLAGS)
