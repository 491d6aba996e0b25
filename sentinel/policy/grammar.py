"""The strict grammar: the only way in which a command can come to be allowed. Pure.

Literal words after quote removal, joined by `|`, `&&`, `||` and `;`, with descriptor duplication and
/dev/null as the only redirections, and a locale or a time zone before a command (`LC_ALL=C sort`).
Everything else is a `Reject` with its reason and position: no variables, braces, tildes, other
assignments, here-documents, background, grouping or control flow. What is accepted means to a bash
that runs no history exactly what the tree says (a differential test proves it), and the tree, never the
text, is what runs. One exception is on purpose: a URL's `?` and jq's `.a[0]` stand for themselves, where
bash would look for files of such names in the working directory, which is the root.

Two kinds of words are open: the node fills them in before it runs the command, and judges again what
came of it. They are whole words, and no part of them is quoted:
  - an absolute glob of `*` and `?` (`/var/log/*.log`);
  - `$(pgrep WORDS)` or `$(pidof WORDS)`, of plain words.
The rules say where an open word may stand: a glob where a file is read, the other where a pid is meant.

Why not a shell parser: each one that was measured shows some inputs as static words that bash executes
(`ls 'a'$(rm y)'b'`). A grammar that does not know expansions cannot overlook one.
"""

from __future__ import annotations

import re
from typing import Literal

import msgspec

from sentinel import canonical
from sentinel.domain import Digest, Span

NAME = "strict/2"  # part of the policy's digest: another grammar is another policy
MAX_CHARS = 1024
MAX_WORDS = 64
MAX_STAGES = 8
MAX_COMMANDS = 16
NULL = "/dev/null"

# Characters that mean themselves anywhere in an unquoted word.
_PLAIN = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_./:,+@%=-^]")
_BLANK = " "
_END = " ;|&<>"
_RESERVED = frozenset(
    [
        "if",
        "then",
        "else",
        "elif",
        "fi",
        "case",
        "esac",
        "for",
        "select",
        "while",
        "until",
        "do",
        "done",
        "in",
        "function",
        "time",
        "{",
        "}",
        "!",
        "[[",
        "]]",
        "coproc",
    ]
)
_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\[[^\]]*\])?\+?=")
_PIDS_OF = re.compile(r"\$\( *((?:pgrep|pidof)(?: +[A-Za-z0-9_./:,+@=-]+)+) *\)(?=[ ;|&<>]|$)")
_ENVIRONMENT = re.compile(r"(LC_[A-Z]+|LANG|LANGUAGE|TZ|COLUMNS)=[A-Za-z0-9_.+@:/-]*")
_URL = re.compile(r"https?://|[a-z0-9.-]+:[0-9]+/")
_INDEX = re.compile(r"\[[0-9]*\]")
_REDIRECT = re.compile(r"(\d*)(&>>|&>|>>|<<<|<<-|<<|<>|>\||>&|<&|<\(|>\(|>|<)")


class Reject(Exception):
    """The text is not in the grammar: `reason`, at character `position`."""

    def __init__(self, reason: str, position: int) -> None:
        """Say why and where."""
        super().__init__(f"{reason} at {position}")
        self.reason = reason
        self.position = position


class Word(msgspec.Struct, frozen=True):
    """A word after quote removal. `quoted`: some part of it was.

    Of an open word `value` is its text: a glob, or with `pids_of` the command whose output stands here.
    """

    value: str
    span: Span
    quoted: bool
    glob: bool = False
    pids_of: tuple[Word, ...] = ()

    @property
    def open(self) -> bool:
        """Say whether the node fills it in."""
        return self.glob or bool(self.pids_of)


Op = Literal["dup", ">", ">>", "&>", "<"]


class Redirect(msgspec.Struct, frozen=True):
    """`fd` becomes a copy of descriptor `target` (dup), or /dev/null."""

    fd: int
    op: Op
    target: int | str
    span: Span


class Simple(msgspec.Struct, frozen=True):
    """One argv vector with its redirections, in order, and the `NAME=value` words before it."""

    argv: tuple[Word, ...]
    redirects: tuple[Redirect, ...]
    span: Span
    environment: tuple[Word, ...] = ()


class Pipeline(msgspec.Struct, frozen=True):
    """One command or several joined by `|`."""

    commands: tuple[Simple, ...]

    @property
    def span(self) -> Span:
        """From the first command's start to the last one's end."""
        return (self.commands[0].span[0], self.commands[-1].span[1])


AndOrOp = Literal["&&", "||"]


class AndOr(msgspec.Struct, frozen=True):
    """Pipelines joined by `&&` and `||`, left to right."""

    first: Pipeline
    rest: tuple[tuple[AndOrOp, Pipeline], ...]

    @property
    def pipelines(self) -> tuple[Pipeline, ...]:
        """All of them, in order."""
        return (self.first, *(pipeline for _, pipeline in self.rest))

    @property
    def span(self) -> Span:
        """From the first pipeline's start to the last one's end."""
        return (self.first.span[0], self.pipelines[-1].span[1])


class CommandTree(msgspec.Struct, frozen=True):
    """The whole command: lists that run one after the other."""

    lists: tuple[AndOr, ...]

    @property
    def commands(self) -> tuple[Simple, ...]:
        """Every simple command, in the order of the text."""
        return tuple(
            command
            for item in self.lists
            for pipeline in item.pipelines
            for command in pipeline.commands
        )


class _Token(msgspec.Struct, frozen=True):
    kind: Literal["op", "redirect", "word"]
    text: str  # of an operator or a redirection
    word: Word | None
    start: int
    end: int


def parse(text: str) -> CommandTree:
    """Return the tree of `text`, or raise Reject."""
    if len(text) > MAX_CHARS:
        raise Reject(f"longer than {MAX_CHARS} characters", MAX_CHARS)
    for position, char in enumerate(text):
        if not " " <= char <= "~":
            raise Reject(f"character U+{ord(char):04X}", position)
    tokens = _tokens(text)
    if sum(token.kind == "word" for token in tokens) > MAX_WORDS:
        raise Reject(f"more than {MAX_WORDS} words", 0)
    return _Parser(text, tokens).tree()


def argv_digest(tree: CommandTree) -> Digest:
    """Return the digest of what runs: argv vectors, redirections and operators, without positions."""

    def plain_word(word: Word) -> object:
        if word.glob:
            return {"glob": word.value}
        if word.pids_of:
            return {"pids_of": [inner.value for inner in word.pids_of]}
        return word.value

    def plain_command(command: Simple) -> dict[str, object]:
        return {
            "argv": [plain_word(word) for word in command.argv],
            "environment": [word.value for word in command.environment],
            "redirects": [[each.fd, each.op, each.target] for each in command.redirects],
        }

    def pipeline(part: Pipeline) -> list[object]:
        return [plain_command(command) for command in part.commands]

    plain = [
        [pipeline(item.first), *([operator, pipeline(part)] for operator, part in item.rest)]
        for item in tree.lists
    ]
    return canonical.digest(canonical.encode_plain({"grammar": NAME, "lists": plain}))


# ---------------------------------------------------------------- tokens


def _tokens(text: str) -> list[_Token]:
    tokens: list[_Token] = []
    at = 0
    while at < len(text):
        if text[at] == _BLANK:
            at += 1
            continue
        token = _operator(text, at) or _redirection(text, at) or _word(text, at)
        tokens.append(token)
        at = token.end
    return tokens


def _operator(text: str, at: int) -> _Token | None:
    two = text[at : at + 2]
    if two in ("&&", "||"):
        return _Token("op", two, None, at, at + 2)
    if two in ("|&", ";;", ";&"):
        raise Reject(f"operator {two}", at)
    if text[at] in "|;":
        return _Token("op", text[at], None, at, at + 1)
    return None


def _redirection(text: str, at: int) -> _Token | None:
    found = _REDIRECT.match(text, at)
    # A number before & is a word, not a descriptor: `2&>x` is the word 2.
    if found and not (found[1] and found[2].startswith("&")):
        return _Token("redirect", found[0], None, at, found.end())
    if text[at] == "&":
        raise Reject("background &", at)
    return None


def _word(text: str, start: int) -> _Token:
    if found := _PIDS_OF.match(text, start):
        word = Word(
            found[0], found.span(), quoted=False, pids_of=_plain_words(found[1], found.start(1))
        )
        return _Token("word", "", word, *found.span())
    parts: list[str] = []
    quoted = False
    glob = -1
    at = start
    while at < len(text) and text[at] not in _END:
        char = text[at]
        if char in "'\"\\":
            part, at = _QUOTES[char](text, at)
            quoted = True
        elif part := _pattern(text, at, start):
            glob = glob if glob >= 0 else at
            at += len(part)
        else:
            part = _unquoted(text, at, start)
            at += len(part)
        parts.append(part)
    if at == start:
        raise Reject(f"unexpected {text[at]}", at)
    value = "".join(parts)
    if glob >= 0 and (quoted or "**" in value):
        raise Reject("glob in a quoted word" if quoted else "glob **", glob)
    return _Token(
        "word", "", Word(value, (start, at), quoted, glob >= 0 and value[0] == "/"), start, at
    )


def _pattern(text: str, at: int, start: int) -> str:
    """Return the characters of a pattern at `at` that may stand in the word that begins at `start`."""
    if text[at] in "*?" and text[start] == "/":
        return text[at]
    if text[at] in "*?[" and _URL.match(text, start):
        return text[at]
    index = _INDEX.match(text, at) if text[start] == "." else None
    return index[0] if index else ""


def _plain_words(text: str, at: int) -> tuple[Word, ...]:
    return tuple(
        Word(found[0], (at + found.start(), at + found.end()), quoted=False)
        for found in re.finditer(r"[^ ]+", text)
    )


def _unquoted(text: str, at: int, start: int) -> str:
    """Return the characters at `at` that stand for themselves there."""
    char = text[at]
    if char in _PLAIN or char == "!":
        return char
    inside = at > start
    if char == "#" and inside:
        return char
    if char == "~" and inside and text[at - 1].isalnum():
        return char
    if char == "[" and not inside and (at + 1 == len(text) or text[at + 1] in _END):
        return char
    if text[at : at + 2] == "{}":
        return "{}"
    if char in "*?[":
        raise Reject(f"glob {char}", at)
    raise Reject(f"unquoted {char}", at)


def _single(text: str, at: int) -> tuple[str, int]:
    end = text.find("'", at + 1)
    if end < 0:
        raise Reject("unterminated quote", at)
    return text[at + 1 : end], end + 1


def _double(text: str, start: int) -> tuple[str, int]:
    parts: list[str] = []
    at = start + 1
    while at < len(text):
        char = text[at]
        if char == '"':
            return "".join(parts), at + 1
        if char in "$`":
            raise Reject(f"{char} in double quotes", at)
        if char == "\\":
            escaped = text[at + 1 : at + 2]
            parts.append(escaped if escaped in '$`"\\' and escaped else char + escaped)
            at += 2
        else:
            parts.append(char)
            at += 1
    raise Reject("unterminated quote", start)


def _escape(text: str, at: int) -> tuple[str, int]:
    if at + 1 >= len(text):
        raise Reject("trailing backslash", at)
    return text[at + 1], at + 2


_QUOTES = {"'": _single, '"': _double, "\\": _escape}


# ---------------------------------------------------------------- grammar


class _Parser:
    def __init__(self, text: str, tokens: list[_Token]) -> None:
        self._text = text
        self._tokens = tokens
        self._at = 0
        self._commands = 0

    def tree(self) -> CommandTree:
        lists: list[AndOr] = []
        while self._at < len(self._tokens):
            lists.append(self._and_or())
            if self._at < len(self._tokens):
                self._expect_semicolon()
        if not lists:
            raise Reject("empty", 0)
        return CommandTree(tuple(lists))

    def _expect_semicolon(self) -> None:
        token = self._tokens[self._at]
        if token.text != ";":
            raise Reject(f"unexpected {token.text}", token.start)
        self._at += 1

    def _next_is(self, *operators: str) -> bool:
        if self._at >= len(self._tokens):
            return False
        token = self._tokens[self._at]
        return token.kind == "op" and token.text in operators

    def _and_or(self) -> AndOr:
        first = self._pipeline()
        rest: list[tuple[AndOrOp, Pipeline]] = []
        while self._next_is("&&", "||"):
            operator: AndOrOp = "&&" if self._tokens[self._at].text == "&&" else "||"
            self._at += 1
            rest.append((operator, self._pipeline()))
        return AndOr(first, tuple(rest))

    def _pipeline(self) -> Pipeline:
        commands = [self._simple()]
        while self._next_is("|"):
            self._at += 1
            commands.append(self._simple())
        if len(commands) > MAX_STAGES:
            raise Reject(f"more than {MAX_STAGES} stages", commands[MAX_STAGES].span[0])
        return Pipeline(tuple(commands))

    def _simple(self) -> Simple:
        words: list[Word] = []
        redirects: list[Redirect] = []
        environment: list[Word] = []
        first = self._at
        while self._at < len(self._tokens) and self._tokens[self._at].kind != "op":
            token = self._tokens[self._at]
            self._at += 1
            if token.word is None:
                redirects.append(self._redirect(token))
                continue
            if not words and _ENVIRONMENT.fullmatch(self._text, token.start, token.end):
                environment.append(token.word)
                continue
            if not words:
                self._check_name(token.word)
            words.append(token.word)
        if not words:
            at = self._tokens[self._at].start if self._at < len(self._tokens) else len(self._text)
            raise Reject("empty command", at)
        self._commands += 1
        span = (self._tokens[first].start, self._tokens[self._at - 1].end)
        if self._commands > MAX_COMMANDS:
            raise Reject(f"more than {MAX_COMMANDS} commands", span[0])
        return Simple(tuple(words), tuple(redirects), span, tuple(environment))

    def _check_name(self, word: Word) -> None:
        """Refuse what is no command name to bash, or a special one."""
        start = word.span[0]
        if not word.value:
            raise Reject("empty command name", start)
        if word.open or (not word.quoted and word.value != "[" and set(word.value) & set("*?[")):
            raise Reject("a command's name is not literal", start)
        if not word.quoted and word.value in _RESERVED:
            raise Reject(f"reserved word {word.value}", start)
        if _ASSIGNMENT.match(self._text, start):
            raise Reject("assignment", start)
        if word.value[0] in "%-":
            raise Reject(f"command name begins with {word.value[0]}", start)

    def _redirect(self, token: _Token) -> Redirect:
        target = self._tokens[self._at] if self._at < len(self._tokens) else None
        if target is None or target.word is None:
            raise Reject("redirection without a target", token.start)
        self._at += 1
        number, operator = _split(token.text)
        raw = self._text[target.start : target.end]
        span = (token.start, target.end)
        if operator == ">&" and raw in ("1", "2") and number in ("", "1", "2"):
            return Redirect(int(number or 1), "dup", int(raw), span)
        if raw == NULL:
            if operator in (">", ">>") and number in ("", "1", "2"):
                return Redirect(int(number or 1), ">" if operator == ">" else ">>", NULL, span)
            if operator == "&>":
                return Redirect(1, "&>", NULL, span)
            if operator == "<" and number in ("", "0"):
                return Redirect(0, "<", NULL, span)
        raise Reject(f"redirection {token.text}", token.start)


def _split(text: str) -> tuple[str, str]:
    found = _REDIRECT.fullmatch(text)
    assert found is not None
    return found[1], found[2]
