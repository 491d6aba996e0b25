"""A lenient reading of any text, to find commands that hide. Pure, total, linear for a bounded depth.

It accepts everything, and guesses where a shell would know: what it finds may only raise a verdict, never
lower one. It sees through quoting, ANSI-C quoting, `$IFS`, braces, simple variables, substitutions,
process substitutions, `${x:-$(...)}`, here-documents and here-strings, groups, loops and functions.
"""

from __future__ import annotations

import re

import msgspec

from sentinel.domain import Span

MAX_DEPTH = 8
MAX_COMMANDS = 512
MAX_CHARS = 4096
MAX_EXPANDED = 2 * MAX_CHARS  # characters that variables, braces and what echo says may become

_SEPARATORS = ";&\n()"
_KEYWORDS = frozenset(
    [
        "if",
        "then",
        "else",
        "elif",
        "fi",
        "while",
        "until",
        "do",
        "done",
        "for",
        "case",
        "esac",
        "in",
        "select",
        "function",
        "{",
        "}",
        "!",
        "time",
        "coproc",
        "[[",
    ]
)
_ANSI = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "e": "\x1b", "f": "\f", "v": "\v"}
_ANSI_CODE = re.compile(
    r"\\(x[0-9A-Fa-f]{1,2}|u[0-9A-Fa-f]{1,4}|U[0-9A-Fa-f]{1,8}|[0-7]{1,3}|.)", re.S
)
_ASSIGNMENT = re.compile(r"([A-Za-z_]\w*)\+?=(.*)", re.S)
_NAME = re.compile(r"[A-Za-z_]\w*")
_REDIRECTION = re.compile(r"[<>&|-]+")
_BRACES = re.compile(r"([^{}]*)\{([^{},]*,[^{}]*)\}([^{}]*)", re.S)


class Command(msgspec.Struct):
    """What may be a command: its words after quote removal, and where it stands."""

    words: list[str]
    redirects: list[str]  # targets
    span: Span
    inside: list[Command]  # found in its substitutions
    stdin: str = ""  # of a here-string


class Found(msgspec.Struct):
    """Everything that was found: pipelines in order, the nested ones included."""

    pipelines: list[list[Command]]
    whole: bool  # False: something was left out, for a bound was reached

    @property
    def commands(self) -> list[Command]:
        """Every command of every pipeline."""
        return [command for pipeline in self.pipelines for command in pipeline]


def scan(text: str, *, span: Span | None = None) -> Found:
    """Return what may be executed by `text`.

    `span` is given for text that stands in the whole only as one word (`sh -c '...'`).
    """
    bounds = _Bounds()
    scanner = _Scanner(text[:MAX_CHARS], 0, 0, span, bounds)
    scanner.run()
    return Found(scanner.pipelines, bounds.whole)


class _Bounds:
    """What one text may still become. `x=$x$x` doubles it with every repetition."""

    def __init__(self) -> None:
        self.left = MAX_EXPANDED
        self.whole = True

    def take(self, size: int) -> bool:
        """Say whether `size` more characters may be made, and count them."""
        if size > self.left:
            self.whole = False
            return False
        self.left -= size
        return True


class _Scanner:
    def __init__(self, text: str, at: int, depth: int, span: Span | None, bounds: _Bounds) -> None:
        self.text = text
        self.offset = at
        self.depth = depth
        self.fixed = span
        self.bounds = bounds
        self.i = 0
        self.pipelines: list[list[Command]] = []
        self.variables: dict[str, str] = {}
        self._pipeline: list[Command] = []
        self._new_command()
        self._new_word()

    def _new_command(self) -> None:
        self.words: list[str] = []
        self.redirects: list[str] = []
        self.inside: list[Command] = []
        self.stdin = ""
        self.start = self.i
        self.wants = ""  # the redirection whose target is the next word

    def _new_word(self) -> None:
        self.word: list[str] = []
        self.in_word = False
        self.plain = True  # nothing in it was quoted

    def run(self) -> None:
        while self.i < len(self.text):
            self._step(self.text[self.i])
        self._end_command()
        self._end_pipeline()

    def _step(self, char: str) -> None:
        if char in " \t":
            self._end_word()
            self.i += 1
        elif char in _SEPARATORS or char == "|":
            self._separator(char)
        elif char in "<>":
            self._redirect(char)
        elif char == "#" and not self.in_word:
            end = self.text.find("\n", self.i)
            self.i = len(self.text) if end < 0 else end
        else:
            self.in_word = True
            self._part(char)

    def _part(self, char: str) -> None:
        """Take one part of a word."""
        match char:
            case "'":
                self.plain = False
                end = self.text.find("'", self.i + 1)
                end = len(self.text) if end < 0 else end
                self.word.append(self.text[self.i + 1 : end])
                self.i = end + 1
            case '"':
                self.plain = False
                self._double()
            case "\\":
                following = self.text[self.i + 1 : self.i + 2]
                self.word.append("" if following == "\n" else following)
                self.i += 2
            case "$" | "`":
                self._dollar()
            case _:
                self.word.append(char)
                self.i += 1

    def _double(self) -> None:
        self.i += 1
        while self.i < len(self.text) and self.text[self.i] != '"':
            char = self.text[self.i]
            if char == "\\":
                following = self.text[self.i + 1 : self.i + 2]
                self.word.append(following if following in '$`"\\' else char + following)
                self.i += 2
            elif char in "$`":
                self._dollar(quoted=True)
            else:
                self.word.append(char)
                self.i += 1
        self.i += 1

    def _dollar(self, *, quoted: bool = False) -> None:
        text, i = self.text, self.i
        following = text[i + 1 : i + 2]
        if text[i] == "`":
            end = _backtick(text, i + 1)
            self._nested(i + 1, end)
            self.i = end + 1
        elif following == "(":
            end = _closing(text, i + 1, "(", ")")
            self._nested(i + 2, end)
            self.i = end + 1
        elif following == "{":
            end = _closing(text, i + 1, "{", "}")
            self._parameter(text[i + 2 : end], i + 2, end)
            self.i = end + 1
        elif following == "'" and not quoted:
            self._ansi()
        else:
            self._variable(quoted=quoted)

    def _variable(self, *, quoted: bool) -> None:
        found = _NAME.match(self.text, self.i + 1)
        if found is None:
            self.word.append("$")
            self.i += 1
            return
        self.i = found.end()
        self._expand(found[0], quoted=quoted)

    def _expand(self, name: str, *, quoted: bool = False) -> None:
        if name == "IFS" and not quoted:
            if not self.word and self.plain:  # nothing stands before the blanks
                self.in_word = False
            self._end_word()
        elif name in self.variables and self.bounds.take(len(self.variables[name])):
            parts = self.variables[name].split() if not quoted else [self.variables[name]]
            for number, part in enumerate(parts):
                if number:
                    self._end_word()
                self.in_word = True
                self.word.append(part)
        else:
            self.word.append("$" + name)

    def _parameter(self, body: str, start: int, end: int) -> None:
        found = _NAME.match(body)
        self._expand(found[0] if found else body)
        if "$" in body or "`" in body:
            self._nested(start, end)

    def _ansi(self) -> None:
        end = self.i + 2
        while end < len(self.text) and self.text[end] != "'":
            end += 2 if self.text[end] == "\\" else 1
        self.word.append(_ANSI_CODE.sub(_unescape, self.text[self.i + 2 : end]))
        self.plain = False
        self.i = end + 1

    def _nested(self, start: int, end: int) -> None:
        """Scan what is executed inside of a word."""
        if self.depth >= MAX_DEPTH or len(self.pipelines) > MAX_COMMANDS:
            self.bounds.whole = False
            return
        inner = _Scanner(
            self.text[start:end], self.offset + start, self.depth + 1, self.fixed, self.bounds
        )
        inner.run()
        self.pipelines += inner.pipelines
        commands = [command for pipeline in inner.pipelines for command in pipeline]
        self.inside += commands
        last = commands[-1].words if commands else []
        said = " ".join(last[1:])
        if last[:1] in (["echo"], ["printf"]) and self.bounds.take(len(said)):
            self.in_word = True
            self.word.append(said)

    def _separator(self, char: str) -> None:
        if char == "&" and self.text[self.i + 1 : self.i + 2] == ">":
            self._end_word()
            self.i += 1  # &> is a redirection
            return
        piped = char == "|" and self.text[self.i + 1 : self.i + 2] != "|"
        self._end_command()
        if not piped:
            self._end_pipeline()
        self.i += 1
        if char == "|" and self.text[self.i : self.i + 1] in "|&":
            self.i += 1
        self._new_command()

    def _redirect(self, char: str) -> None:
        text = self.text
        if text[self.i + 1 : self.i + 2] == "(":
            self.in_word = True
            end = _closing(text, self.i + 1, "(", ")")
            self._nested(self.i + 2, end)
            self.i = end + 1
            return
        if self.word and self.plain and "".join(self.word).isdigit():
            self._new_word()  # a descriptor's number
        self._end_word()
        operator = _REDIRECTION.match(text, self.i)
        assert operator is not None
        self.wants = operator[0]
        self.i = operator.end()

    def _end_word(self) -> None:
        if not self.in_word:
            return
        word = "".join(self.word)
        plain = self.plain
        self._new_word()
        if self.wants:
            self._target(word)
            return
        assignment = _ASSIGNMENT.fullmatch(word)
        if assignment and not self.words:
            self.variables[assignment[1]] = assignment[2]
        elif not self.words and plain and word in _KEYWORDS:
            return
        elif plain and (braces := _BRACES.fullmatch(word)):
            self._braces(word, *braces.groups())
        else:
            self.words.append(word)

    def _braces(self, word: str, before: str, inside: str, after: str) -> None:
        parts = inside.split(",")
        if self.bounds.take(len(parts) * (len(before) + len(after)) + len(inside)):
            self.words += [before + each + after for each in parts]
        else:
            self.words.append(word)

    def _target(self, word: str) -> None:
        if self.wants == "<<<":
            self.stdin = word
        elif not self.wants.startswith("<<"):
            self.redirects.append(word)
        self.wants = ""

    def _end_command(self) -> None:
        self._end_word()
        if self.words or self.redirects or self.inside:
            begin, end = self.offset + self.start, self.offset + min(self.i, len(self.text))
            lead = len(self.text[self.start : self.i]) - len(
                self.text[self.start : self.i].lstrip()
            )
            span = self.fixed or (begin + lead, max(begin + lead, end))
            self._pipeline.append(
                Command(self.words, self.redirects, span, self.inside, self.stdin)
            )
        self._new_command()

    def _end_pipeline(self) -> None:
        if self._pipeline and len(self.pipelines) <= MAX_COMMANDS:
            self.pipelines.append(self._pipeline)
        elif self._pipeline:
            self.bounds.whole = False
        self._pipeline = []


def _unescape(found: re.Match[str]) -> str:
    code = found[1]
    if code[0] in "xuU" and len(code) > 1:
        number = int(code[1:], 16)
        return chr(number) if number < 0x110000 else ""
    if code[0] in "01234567":
        return chr(int(code, 8) & 0xFF)
    return _ANSI.get(code, code)


def _closing(text: str, start: int, opening: str, closing: str) -> int:
    """Return where the bracket at `start` is closed, quotes skipped; the end of the text if nowhere."""
    depth, i = 0, start
    while i < len(text):
        char = text[i]
        if char == "\\":
            i += 1
        elif char == "'":
            end = text.find("'", i + 1)
            i = end if end >= 0 else i
        elif char == opening:
            depth += 1
        elif char == closing:
            depth -= 1
            if depth == 0:
                return i
        i += 1
    return len(text)


def _backtick(text: str, start: int) -> int:
    i = start
    while i < len(text) and text[i] != "`":
        i += 2 if text[i] == "\\" else 1
    return min(i, len(text))
