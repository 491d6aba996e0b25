"""bashlex, behind its only door: the second opinion on structure, and the tree that people see.

bashlex never makes a command allowed. It hides what bash executes in 43 of 360 known tricks, so its words
are never used; what is used are spans and operators, which must agree with the strict grammar's. Whatever
it raises is caught here, and what is nested too deep is refused before it is called.

Importing bashlex builds its parser's tables, which takes longer than everything else that `sentinel check`
does. So it is imported on the first call, and its tables are kept beside this file: generated
(`python -m sentinel.policy.shell`), compared by a test with what bashlex builds, and JSON, in which nothing
can run. A bashlex with another grammar is recognised and builds its own tables as it always did.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec

from sentinel.domain import Span
from sentinel.policy.grammar import CommandTree, Simple

MAX_NESTING = 20
MAX_CHARS = 1024
MAX_OPERATORS = 64
TABLES = "bashlex.json"
_OPENING = re.compile(r"\$\(|`|\(|\{|<\(|>\(")
_OPERATOR = re.compile(r"[|&;<>\n]")

# kind, span, depth: a node of the tree that is shown for what the grammar does not take
Shown = tuple[str, Span, int]

Redirected = tuple[int, str, Span]
Spans = tuple[Span, ...]  # of a word, and of the words of the command whose output it is
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_./:=,@%+ -]*")
_WORDS = re.compile(r"[^ ]+")
_ASSIGNMENT: Span = (-1, -1)  # stands beside the span of a word that is one
Shape = list[tuple[list[Spans], list[Redirected]] | str]


class Unreadable(Exception):
    """bashlex cannot say: it refused the text, failed, or would be asked too much."""


def agrees(text: str, tree: CommandTree) -> bool:
    """Say whether bashlex reads the same word spans, redirections and operators as the grammar did.

    A text of letters, digits, blanks and what is special to no shell has no structure that could be read
    in two ways: its words are what stands between the blanks, and it is compared with that.
    """
    if _PLAIN.fullmatch(text) and "=" not in text.split()[0]:
        return _shape_of_tree(tree) == [";", ([(w.span(),) for w in _WORDS.finditer(text)], [])]
    try:
        return _shape_of_text(text) == _shape_of_tree(tree)
    except Unreadable:
        return False


def outline(text: str) -> list[Shown]:
    """Return the nodes that bashlex sees, pre-order; empty where it cannot read the text."""
    shown: list[Shown] = []
    try:
        for part in _parse(text):
            _outline(part, 0, shown)
    except Unreadable:
        return []
    return shown


def _parse(text: str) -> list[Any]:
    if (
        len(text) > MAX_CHARS
        or len(_OPENING.findall(text)) > MAX_NESTING
        or len(_OPERATOR.findall(text)) > MAX_OPERATORS
    ):
        raise Unreadable
    try:
        parts: list[Any] = _bashlex().parse(text)
    # Seen from bashlex on odd input: ParsingError, NotImplementedError, AttributeError, AssertionError,
    # IndexError, RecursionError. Another one must not become an answer either.
    except Exception as error:
        raise Unreadable from error
    return parts


def _shape_of_tree(tree: CommandTree) -> Shape:
    shape: Shape = []
    for item in tree.lists:
        for number, pipeline in enumerate(item.pipelines):
            shape.append(";" if number == 0 else item.rest[number - 1][0])
            shape += [_simple(command) for command in pipeline.commands]
    return shape


def _simple(command: Simple) -> tuple[list[Spans], list[Redirected]]:
    words = [(word.span, *(inner.span for inner in word.pids_of)) for word in command.argv]
    return (
        [*((word.span, _ASSIGNMENT) for word in command.environment), *words],
        [(redirect.fd, redirect.op, redirect.span) for redirect in command.redirects],
    )


def _shape_of_text(text: str) -> Shape:
    shape: Shape = []
    for part in _parse(text):
        if part.kind != "list":
            shape.append(";")
            _pipeline(part, shape)
            continue
        operator = ";"
        for each in part.parts:
            if each.kind == "operator":
                operator = each.op
            else:
                shape.append(operator)
                _pipeline(each, shape)
    return shape


def _pipeline(node: Any, shape: Shape) -> None:  # noqa: ANN401
    if node.kind == "command":
        shape.append(_command(node))
        return
    if node.kind != "pipeline":
        raise Unreadable
    for part in node.parts:
        if part.kind == "command":
            shape.append(_command(part))
        elif part.kind != "pipe" or part.pipe != "|":
            raise Unreadable


def _command(node: Any) -> tuple[list[Spans], list[Redirected]]:  # noqa: ANN401
    words: list[Spans] = []
    redirects: list[Redirected] = []
    for part in node.parts:
        if part.kind == "word":
            words.append((tuple(part.pos), *_substituted(part)))
        elif part.kind == "assignment" and not part.parts:
            words.append((tuple(part.pos), _ASSIGNMENT))
        elif part.kind == "redirect" and part.heredoc is None:
            descriptor = part.input
            if descriptor is None:
                descriptor = 0 if part.type.startswith("<") else 1
            duplicate = part.type == ">&" and isinstance(part.output, int)
            operator = "dup" if duplicate else part.type
            redirects.append((descriptor, operator, tuple(part.pos)))
        else:
            raise Unreadable
    return words, redirects


def _substituted(word: Any) -> Iterator[Span]:  # noqa: ANN401
    """Yield the spans of the words of the commands that are substituted in a word."""
    for part in word.parts:
        if part.kind == "commandsubstitution":
            spans, redirects = _command(part.command)
            if redirects:
                raise Unreadable
            yield from (span for each in spans for span in each)


def _outline(node: Any, depth: int, shown: list[Shown]) -> None:  # noqa: ANN401
    if depth > MAX_NESTING or len(shown) >= 400:
        return
    shown.append((str(node.kind), tuple(node.pos), depth))
    children = [*getattr(node, "parts", ()), *getattr(node, "list", ())]
    for name in ("command", "output"):
        child = getattr(node, name, None)
        if hasattr(child, "kind"):
            children.append(child)
    for child in children:
        if child.kind not in ("operator", "pipe", "reservedword"):
            _outline(child, depth + 1, shown)


# ---------------------------------------------------------------- the import of bashlex


_Text = str  # yacc wants a field of that name


class _Production(msgspec.Struct, array_like=True):
    """One rule of the grammar, as yacc keeps it; `callable` is bound to the function of that name."""

    name: _Text
    len: int
    func: _Text | None
    str: _Text
    callable: Any = None

    def bind(self, functions: dict[_Text, Any]) -> None:
        """Do what yacc's own do."""
        self.callable = functions[self.func] if self.func else None


class _Tables(msgspec.Struct):
    """What yacc computes: for each state the number of a row of actions and of a row of gotos."""

    grammar: str  # digest of the functions that the tables were made from
    rows: list[dict[str, int]]
    actions: list[int]
    gotos: list[int]
    productions: list[_Production]

    @property
    def lr_action(self) -> dict[int, dict[str, int]]:
        """The actions by state, as yacc keeps them."""
        return {state: dict(self.rows[row]) for state, row in enumerate(self.actions)}

    @property
    def lr_goto(self) -> dict[int, dict[str, int]]:
        """The gotos by state."""
        return {state: dict(self.rows[row]) for state, row in enumerate(self.gotos)}

    @property
    def lr_productions(self) -> list[_Production]:
        """The grammar's rules."""
        return self.productions


def _grammar_of(functions: dict[str, Any]) -> str:
    """Return the digest of the grammar in a module's functions, tokens and precedence."""
    rules = sorted((name, each.__doc__) for name, each in functions.items() if name[:2] == "p_")
    whole = repr((rules, functions["tokens"], functions["precedence"]))
    return hashlib.sha256(whole.encode()).hexdigest()


def _of(parser: Any, grammar: str) -> _Tables:  # noqa: ANN401
    """Return the tables of a parser that yacc has just made."""
    rows: list[dict[str, int]] = []

    def number(row: dict[str, int]) -> int:
        plain = dict(sorted(row.items()))
        if plain not in rows:
            rows.append(plain)
        return rows.index(plain)

    states = range(len(parser.action))
    return _Tables(
        grammar=grammar,
        actions=[number(parser.action[state]) for state in states],
        gotos=[number(parser.goto.get(state, {})) for state in states],
        rows=rows,
        productions=[_Production(p.name, p.len, p.func, p.str) for p in parser.productions],
    )


@functools.cache
def _bashlex() -> ModuleType:
    return _import(_decoded())[0]


def built() -> bytes:
    """Return the tables that bashlex builds by itself, as the file keeps them. In a process of its own."""
    return msgspec.json.encode(_import(None)[1]) + b"\n"


def stored() -> bytes:
    """Return the tables in the package; OSError where there are none."""
    return (Path(__file__).parent / TABLES).read_bytes()


def _decoded() -> _Tables | None:
    try:
        return msgspec.json.decode(stored(), type=_Tables)
    except (OSError, msgspec.DecodeError):
        return None


def _import(tables: _Tables | None) -> tuple[ModuleType, _Tables]:
    """Import bashlex with `tables` where they are its grammar's, and return it with those it uses."""
    package = importlib.util.find_spec("bashlex")
    assert package is not None
    assert package.loader is not None
    # bashlex/__init__ imports the parser at once: the package is made without running it, so that its yacc
    # can be asked for tables in our way, and runs then.
    module = importlib.util.module_from_spec(package)
    sys.modules["bashlex"] = module
    yacc: Any = importlib.import_module("bashlex.yacc")
    build = yacc.yacc
    used: list[_Tables] = []

    def ours(**options: Any) -> Any:  # noqa: ANN401
        functions = sys._getframe(1).f_globals
        grammar = _grammar_of(functions)
        if tables is None or tables.grammar != grammar:
            parser = build(**options, module=sys.modules[functions["__name__"]])
            used.append(_of(parser, grammar))
            return parser
        for production in tables.productions:
            production.bind(functions)
        used.append(tables)
        return yacc.LRParser(tables, functions.get("p_error"))

    yacc.yacc = ours
    try:
        package.loader.exec_module(module)
    finally:
        yacc.yacc = build
    subst: Any = importlib.import_module("bashlex.subst")
    subst._paramexpand = _advancing(subst._paramexpand)
    return module, used[0]


def _advancing(expand: Callable[..., tuple[Any, int]]) -> Callable[..., tuple[Any, int]]:
    """Return bashlex's reader of one `$...` so that it ends.

    In `'${'b` it looks for a brace that is not there, goes back to the word's start, and for ever on from there.
    """

    def guarded(parser: Any, word: str, at: int) -> tuple[Any, int]:  # noqa: ANN401
        node, following = expand(parser, word, at)
        if following <= at:
            raise Unreadable
        return node, following

    return guarded


if __name__ == "__main__":
    (Path(__file__).parent / TABLES).write_bytes(built())
