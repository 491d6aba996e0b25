"""bashlex, behind its only door: the second opinion on structure, and the tree that people see.

bashlex never makes a command allowed. It hides what bash executes in 43 of 360 known tricks, so its words
are never used; what is used are spans and operators, which must agree with the strict grammar's. Whatever
it raises is caught here, and what is nested too deep is refused before it is called.

Importing bashlex builds its parser's tables, which takes longer than everything else that `sentinel check`
does; it is imported on the first call.
"""

from __future__ import annotations

import re
from typing import Any

from sentinel.domain import Span
from sentinel.policy.grammar import CommandTree, Simple

MAX_NESTING = 20
MAX_CHARS = 4096
_OPENING = re.compile(r"\$\(|`|\(|\{|<\(|>\(")

# kind, span, depth: a node of the tree that is shown for what the grammar does not take
Shown = tuple[str, Span, int]

Redirected = tuple[int, str, Span]
Shape = list[tuple[list[Span], list[Redirected]] | str]


class Unreadable(Exception):
    """bashlex cannot say: it refused the text, failed, or would be asked too much."""


def agrees(text: str, tree: CommandTree) -> bool:
    """Say whether bashlex reads the same word spans, redirections and operators as the grammar did."""
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
    if len(text) > MAX_CHARS or len(_OPENING.findall(text)) > MAX_NESTING:
        raise Unreadable
    import bashlex  # noqa: PLC0415  (see the top of this file)

    try:
        parts: list[Any] = bashlex.parse(text)
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


def _simple(command: Simple) -> tuple[list[Span], list[Redirected]]:
    return (
        [word.span for word in command.argv],
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


def _command(node: Any) -> tuple[list[Span], list[Redirected]]:  # noqa: ANN401
    words: list[Span] = []
    redirects: list[Redirected] = []
    for part in node.parts:
        if part.kind == "word":
            words.append(tuple(part.pos))
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
