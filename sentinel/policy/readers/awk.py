"""awk: a program that only computes and prints, and files that may be read. Pure.

The program is taken apart by a lexer of our own, because everything depends on one question that a pattern
cannot answer: whether a `/` begins a regular expression (which hides what is in it) or divides. Where awks
would answer differently, the program is refused.
"""

from __future__ import annotations

import re

import msgspec

from sentinel.policy.grammar import Word
from sentinel.policy.options import No, spec
from sentinel.policy.paths import normal, under
from sentinel.policy.readers.base import Call

_OPTIONS = spec("-F=any -v=assign -b -n -O -S --field-separator=any --assign=assign --sandbox")
_ASSIGN = re.compile(r"([A-Za-z_]\w*)=.*", re.DOTALL)
# What runs, reads or writes something else, or would let a name hide what it means.
_REFUSED = frozenset(
    [
        "system",
        "getline",
        "close",
        "fflush",
        "ENVIRON",
        "PROCINFO",
        "SYMTAB",
        "FUNCTAB",
        "ARGV",
        "ARGC",
        "ARGIND",
        "function",
        "func",
        "load",
        "include",
        "namespace",
    ]
)
_FUNCTIONS = frozenset(
    [
        "length",
        "substr",
        "index",
        "split",
        "match",
        "sub",
        "gsub",
        "gensub",
        "sprintf",
        "tolower",
        "toupper",
        "int",
        "sqrt",
        "exp",
        "log",
        "sin",
        "cos",
        "atan2",
        "rand",
        "srand",
        "strftime",
        "systime",
        "mktime",
        "strtonum",
        "asort",
        "asorti",
        "patsplit",
        "and",
        "or",
        "xor",
        "not",
        "lshift",
        "rshift",
        "compl",
        "isarray",
        "typeof",
        "delete",
    ]
)
_KEYWORDS = frozenset(
    [
        "BEGIN",
        "END",
        "if",
        "else",
        "while",
        "for",
        "do",
        "in",
        "print",
        "printf",
        "return",
        "exit",
        "next",
        "break",
        "continue",
        "delete",
    ]
)
# Keywords of one awk that are plain variables in another, where a / after them divides.
_DIALECT = re.compile(r"\b(default|case|switch|BEGINFILE|ENDFILE|nextfile|func)\b")
_CONTROL = frozenset({"if", "while", "for"})
_TOKEN = re.compile(
    r"""\s+
    | (?P<string>"(?:[^"\\]|\\.)*")
    | (?P<number>0[xX][0-9A-Fa-f]+|\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?)
    | (?P<name>[A-Za-z_]\w*(?:::\w+)*)
    | (?P<sign>\+\+|--|&&|\|\||>>|\|&|[<>=!+\-*/%^]=|\*\*=?|!~|[-+*/%^!<>=~?:;,|$(){}\[\]])""",
    re.VERBOSE,
)
# No alternative overlaps another, so that no text takes more than one pass. `[]...]` is not understood.
_REGEX = re.compile(r"/(?:[^/\\\[]|\\.|\[\^?(?:\[:\w+:\]|\[(?!:)|[^\]\[/\\]|\\.)+\])*/")


class _Token(msgspec.Struct, frozen=True):
    kind: str  # string, number, name, sign or regex
    text: str
    depth: int  # of parentheses around it


def awk(call: Call) -> None:
    """Judge the program, the assignments and the files of one awk command."""
    parsed = call.parse(_OPTIONS, stop=True, kinds={"assign": _check_assignment})
    if not parsed.rest:
        raise No("no program", call.span)
    program, *files = parsed.rest
    if found := _DIALECT.search(program.value):
        raise No(f"{found[0]} means something else in another awk", program.span)
    _check_program(program)
    for word in files:
        if _ASSIGN.fullmatch(word.value):
            _check_assignment(word)
        elif under(normal(word.value), ("/inet", "/inet4", "/inet6")):
            raise No("gawk opens a connection for a file of that name", word.span)
        else:
            call.scope.readable(word, content=True)


def _check_assignment(word: Word) -> None:
    found = _ASSIGN.fullmatch(word.value)
    if found is None or found[1] in _REFUSED:
        raise No(f"{word.value!r} assigns no plain variable", word.span)


def _check_program(program: Word) -> None:
    tokens = _tokens(program)
    for number, token in enumerate(tokens):
        following = tokens[number + 1].text if number + 1 < len(tokens) else ""
        if token.kind == "name":
            _check_name(token.text, following, program)
        elif token.kind == "sign" and token.text in ("|", "|&", ">>"):
            raise No("the awk program writes to a file or a pipe", program.span)
    _check_prints(tokens, program)
    _check_loops(tokens, program)


def _check_name(name: str, following: str, program: Word) -> None:
    if name in _REFUSED or "::" in name:
        raise No(f"awk {name} can execute or read something else", program.span)
    if following == "(" and name not in _FUNCTIONS | _KEYWORDS:
        raise No(f"awk function {name} is not on the list", program.span)


def _check_prints(tokens: list[_Token], program: Word) -> None:
    """Refuse `print ... > file`: a `>` outside of parentheses in a print statement."""
    printing: int | None = None
    for token in tokens:
        if token.text in ("print", "printf") and token.kind == "name":
            printing = token.depth
        elif token.kind == "sign" and token.text in (";", "}", "{"):
            printing = None
        elif token.kind == "sign" and token.text.startswith(">") and token.depth == printing:
            raise No("the awk program writes to a file", program.span)


def _check_loops(tokens: list[_Token], program: Word) -> None:
    """Refuse what plainly never ends. (The executor ends the rest.)"""
    text = [token.text for token in tokens]
    for at, word in enumerate(text):
        loop = text[at + 1 : at + 5]
        if word == "do" or (word == "while" and loop[2:3] == [")"] and loop[1].isdigit()):
            raise No("the awk program may never end", program.span)
        if word == ";" and text[at + 1 : at + 2] == [";"]:
            raise No("the awk program may never end", program.span)


def _tokens(program: Word) -> list[_Token]:
    text = program.value
    tokens: list[_Token] = []
    opened: list[bool] = []  # whether each open parenthesis is that of if, while, for
    at = 0
    operand = True  # a `/` here begins a regular expression
    while at < len(text):
        found = None
        if text[at] == "/" and tokens and tokens[-1].text in _FUNCTIONS:
            # mawk begins a regular expression after a bare `length`, where others divide.
            raise No(f"awk: a / after {tokens[-1].text}", program.span)
        if text[at] == "/" and operand:
            found = _REGEX.match(text, at)
            if found is None:
                raise No("a regular expression that awks may read differently", program.span)
            tokens.append(_Token("regex", found[0], len(opened)))
        else:
            found = _TOKEN.match(text, at)
            if found is None:
                raise No(f"awk: {text[at]!r} is not understood", program.span)
            if found.lastgroup:
                operand = _take(tokens, opened, found.lastgroup, found[0], program)
        at = found.end()
        if tokens and tokens[-1].kind == "regex":
            operand = False
    return tokens


def _take(tokens: list[_Token], opened: list[bool], kind: str, text: str, program: Word) -> bool:
    """Append the token and return whether an operand must follow."""
    before = tokens[-1] if tokens else None
    if kind != "sign":
        tokens.append(_Token(kind, text, len(opened)))
        return kind == "name" and text in _KEYWORDS
    if text == "(":
        opened.append(before is not None and before.kind == "name" and before.text in _CONTROL)
        tokens.append(_Token(kind, text, len(opened)))
        return True
    if text == ")":
        if not opened:
            raise No("awk: a parenthesis is not opened", program.span)
        tokens.append(_Token(kind, text, len(opened)))
        return opened.pop()
    if text.startswith("/") and before is not None and before.text in ("++", "--"):
        raise No("awk: a / after ++ that awks may read differently", program.span)
    tokens.append(_Token(kind, text, len(opened)))
    if text in ("++", "--"):
        # Postfix where an operand stands before it; a `/` after it is refused above.
        return False
    return text != "]"
