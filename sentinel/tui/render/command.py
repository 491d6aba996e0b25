"""A command as people read it: its text with a marker line under it, its tree, and what a node means.

Spans count the characters of the original text; what is shown for one character may be several cells
(an escaped control character), so everything here goes through `glyphs`, one entry per character.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from sentinel.domain import MAX_COMMAND_CHARS, Finding, Judgement, Node, Span, Verdict
from sentinel.policy import limits as policy_limits
from sentinel.tui import look
from sentinel.tui.line import Line, Piece, Tone, cells_of, clip, line, pad, spread, text, wrap
from sentinel.tui.safe import SafeStr, glyphs, named, plain_ascii

MAX_STRANGE = 8  # sorts of characters that are named one by one
NODE_COLUMN = 7  # the word of the verdict
_MARK_TONE = {Verdict.REVIEW: Tone.REVIEW, Verdict.BLOCK: Tone.BAD}


class Branch(NamedTuple):
    """A node of the tree that is shown: where it is, and the lines that lead to it."""

    at: int
    guide: str
    folded: int  # nodes hidden under it
    open: bool  # nodes follow under it


def verdicts(command: str, judgement: Judgement) -> list[Verdict]:
    """Return the worst verdict on each character of `command`.

    A character that is not plain ASCII is at least REVIEW: it may be taken for another.
    """
    marks = [Verdict.ALLOW if plain_ascii(char) else Verdict.REVIEW for char in command]
    for finding in judgement.findings:
        start, end = finding.span
        for index in range(max(0, start), min(end, len(marks))):
            if look.worse(finding.verdict, marks[index]):
                marks[index] = finding.verdict
    return marks


def source(
    command: str, judgement: Judgement, cells: int, *, first: Line = (), here: Span | None = None
) -> list[Line]:
    """Return the command, wrapped, each line with a line of markers under it where there are any.

    `first` stands before it; `here` is the span that the cursor is on.
    """
    cut = command[:MAX_COMMAND_CHARS]  # a longer one never came over the wire
    marks = verdicts(cut, judgement)
    shown = glyphs(cut)
    indent = sum(cells_of(piece.text) for piece in first)
    room = max(8, cells - indent)
    rows: list[Line] = []
    for start, end in _broken(shown, room):
        part = range(start, end)
        head = first if start == 0 else line(" " * indent)
        body = [Piece(shown[i], _tone(marks[i], i, here)) for i in part]
        rows.append((*head, *_merged(body)))
        under = [
            text(look.VERDICT_MARK[marks[i]] * cells_of(shown[i]), _mark_tone(marks[i]))
            for i in part
        ]
        if any(marks[i] is not Verdict.ALLOW for i in part):
            rows.append((text(" " * indent), *_merged(under)))
    return rows


def _tone(verdict: Verdict, index: int, here: Span | None) -> Tone:
    if here is not None and here[0] <= index < here[1]:
        return Tone.HERE
    return Tone.PLAIN if verdict is Verdict.ALLOW else _MARK_TONE[verdict]


def _mark_tone(verdict: Verdict) -> Tone:
    return _MARK_TONE.get(verdict, Tone.PLAIN)


def _broken(shown: list[SafeStr], room: int) -> list[tuple[int, int]]:
    """Return the ranges of characters of each line: as many as fit, broken at a blank if it is near."""
    ranges: list[tuple[int, int]] = []
    start = used = 0
    for index, glyph in enumerate(shown):
        size = cells_of(glyph)
        if used + size > room and index > start:
            near = [i + 1 for i in range(max(start, index - room // 2), index) if shown[i] == " "]
            cut = near[-1] if near else index
            ranges.append((start, cut))
            start, used = cut, sum(cells_of(shown[i]) for i in range(cut, index))
        used += size
    return [*ranges, (start, len(shown))] if shown else []


def _merged(pieces: list[Piece]) -> list[Piece]:
    """Return the pieces with neighbours of one tone in one."""
    merged: list[Piece] = []
    for piece in pieces:
        if merged and merged[-1].tone is piece.tone:
            merged[-1] = Piece(SafeStr(merged[-1].text + piece.text), piece.tone)
        else:
            merged.append(piece)
    return merged


def finding_line(finding: Finding, indent: int, cells: int) -> list[Line]:
    """Return a finding in a sentence: its mark, its rule, its reason."""
    mark = look.VERDICT_MARK[finding.verdict]
    head = line(" " * indent, text(f"{mark} {finding.rule}  ", _mark_tone(finding.verdict)))
    return wrap(finding.reason, cells, first=head)


def worst_findings(judgement: Judgement) -> list[Finding]:
    """Return the findings that are not `allow`, the worst first, each thing said once."""
    seen: set[tuple[str, str]] = set()
    chosen: list[Finding] = []
    for verdict in (Verdict.BLOCK, Verdict.REVIEW):
        for finding in judgement.findings:
            said = (finding.rule, finding.reason)
            if finding.verdict is verdict and said not in seen:
                seen.add(said)
                chosen.append(finding)
    return chosen


def limits(judgement: Judgement, cells: int, *, first: Line = (), rule: str = "") -> list[Line]:
    """Return what the node's gate will ask for before it runs an allowed command, or one rule's part."""
    lines: list[Line] = []
    for limit in judgement.limits if judgement.verdict is Verdict.ALLOW else ():
        if rule in ("", limit.rule):
            head = line(*first, text(f"limit {limit.rule}  ", Tone.DIM))
            lines += wrap(policy_limits.words(limit), cells, first=head)
    return lines


def strange(command: str, cells: int, *, first: Line = ()) -> list[Line]:
    """Return a line for each sort of character in `command` that is not what it may seem."""
    cut = command[:MAX_COMMAND_CHARS]
    found = dict.fromkeys(char for char in cut if not plain_ascii(char))
    lines: list[Line] = []
    for char in list(found)[:MAX_STRANGE]:
        lines += wrap(f"holds {named(char)}", cells, Tone.REVIEW, first=first)
    more = len(found) - MAX_STRANGE
    return lines if more <= 0 else [*lines, *wrap(f"and {more} more", cells, first=first)]


# ---------------------------------------------------------------- the tree


def folded_first(tree: tuple[Node, ...]) -> frozenset[int]:
    """Return the nodes that are folded at first: a command whose every part is allowed."""
    return frozenset(
        index
        for index, node in enumerate(tree)
        if node.kind == "command"
        and (inside := descendants(tree, index))
        and all(tree[i].verdict is Verdict.ALLOW for i in inside)
    )


def descendants(tree: tuple[Node, ...], index: int) -> range:
    """Return the indices of what is inside node `index`."""
    end = index + 1
    while end < len(tree) and tree[end].depth > tree[index].depth:
        end += 1
    return range(index + 1, end)


def branches(tree: tuple[Node, ...], folded: Collection[int]) -> list[Branch]:
    """Return the nodes to show, with their guides."""
    shown: list[Branch] = []
    index = 0
    open_at: list[bool] = []  # for each depth above: does a sibling follow
    while index < len(tree):
        node = tree[index]
        inside = descendants(tree, index)
        follows = inside.stop < len(tree) and tree[inside.stop].depth == node.depth
        open_at[node.depth :] = [follows]
        # Depth 0 is the whole command: it has no guide, and what is in it hangs from it.
        lines = "".join("│  " if more else "   " for more in open_at[1 : node.depth])
        joint = ("├─ " if follows else "└─ ") if node.depth else ""
        fold = index in folded and len(inside) > 0
        shown.append(
            Branch(index, lines + joint, len(inside) if fold else 0, len(inside) > 0 and not fold)
        )
        index = inside.stop if fold else index + 1
    return shown


def branch_line(node: Node, branch: Branch, cells: int) -> Line:
    """Return one row of the tree: guide, sign, kind, text; at the right the word and the rule."""
    rule_cells = min(22, max(0, cells - 48))
    tone = Tone.PLAIN if node.verdict is Verdict.ALLOW else _MARK_TONE[node.verdict]
    sign = look.VERDICT_SIGN[node.verdict]
    left = line(text(branch.guide, Tone.DIM), text(f"{sign} ", tone), *_named(node, branch, tone))
    word = text(look.VERDICT_WORD[node.verdict], look.VERDICT_TONE[node.verdict])
    right = (*pad(line(word), NODE_COLUMN), *pad(line(text(node.rule, Tone.DIM)), rule_cells))
    return spread(left, right, cells)


def _named(node: Node, branch: Branch, tone: Tone) -> Line:
    """Return what a row calls its node; where its parts follow below, they say its text."""
    if node.kind == "word":
        return line(text(node.text, tone))
    if branch.folded:
        return line(text(f"{node.kind} +{branch.folded}  ", Tone.DIM), text(node.text, tone))
    if branch.open:
        return line(text(node.kind, tone))
    return line(text(f"{node.kind}  ", Tone.DIM), text(node.text, tone))


def explanation(command: str, node: Node, judgement: Judgement, cells: int) -> list[Line]:
    """Return what a node means: rule, layer, reason, and what would make it allow."""
    findings = [
        f for f in judgement.findings if f.span[0] < node.span[1] and node.span[0] < f.span[1]
    ]
    same = [f for f in findings if f.rule == node.rule] or [
        f for f in findings if f.verdict is node.verdict
    ]
    layer = f"  layer {same[0].layer}" if same and same[0].layer else ""
    head = line(
        *look.verdict(node.verdict),
        text(f"  {node.rule or 'no finding of its own'}", Tone.STRONG),
        text(layer, Tone.DIM),
        text(f"  {node.kind}, characters {node.span[0]}–{node.span[1]}", Tone.DIM),
    )
    rows = [clip(head, cells)]
    reason = node.reason or (same[0].reason if same else "")
    rows += wrap(reason, cells, first=line("  ")) if reason else []
    for finding in same[:2]:
        if finding.allow_if:
            head = line(text("  allowed if: ", Tone.DIM))
            rows += wrap(finding.allow_if, cells, first=head)
    if node.rule or not node.depth:
        rows += limits(judgement, cells, first=line("  "), rule=node.rule)
    start, end = node.span
    return rows + strange(command[start:end], cells, first=line("  "))
