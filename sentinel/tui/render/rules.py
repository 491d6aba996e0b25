"""The policy's rules, by pack: what each lets run or never does, in a line and in full."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from sentinel.domain import Value, Verdict
from sentinel.policy import limits
from sentinel.policy.rulefile import Allow, Block, File
from sentinel.policy.rules import Rule
from sentinel.tui import look
from sentinel.tui.line import Line, Row, Tone, cell, clip, joined, line, rule, text, wrap


class Entry(Value, frozen=True, kw_only=True):
    """One rule: facts by name, in the order in which they are told; of some there are several."""

    id: str
    pack: str
    verdict: Verdict
    facts: tuple[tuple[str, str], ...]

    @property
    def about(self) -> str:
        """What it is about, in a line: the command, and why or else with which options."""
        facts = dict(self.facts)
        if self.verdict is Verdict.BLOCK:
            return facts.get("why", "")
        return f"{facts['command']}  {facts.get('why') or facts.get('options', '')}"

    @property
    def texts(self) -> tuple[str, ...]:
        """What it can be searched by."""
        return (self.id, self.pack, self.verdict.value, *(value for _, value in self.facts))


def counts(shown: Sequence[Entry], every: Sequence[Entry]) -> str:
    """Return what stands above the rules."""
    blocks = sum(each.verdict is Verdict.BLOCK for each in shown)
    part = "" if len(shown) == len(every) else f" of {len(every)} have it"
    return f"{len(shown)} rules{part}: {len(shown) - blocks} allow, {blocks} block"


def entries(packs: Iterable[tuple[str, File]]) -> list[Entry]:
    """Return every rule of `packs`, in their order."""
    found: list[Entry] = []
    for name, file in packs:
        found += [_allow(name, file, each) for each in file.allow]
        found += [_block(name, each) for each in file.block]
    return found


def _allow(pack: str, file: File, of: Allow) -> Entry:
    used = Rule(allow=of, layer=file.layer, changes=file.changes)
    command = " ".join((_words(of.cmd), "|".join(of.sub))).strip()
    facts = [
        ("command", command),
        ("options", of.opts),
        ("operands", of.args),
        *((f"of {sub}", args) for sub, args in of.args_by_sub.items()),
        ("needs", " ".join(of.require)),
        ("below", " ".join(of.roots)),
        ("hosts", " ".join((*file.groups, *file.roles, *of.groups, *of.roles))),
        ("risk", f"{used.risk.value}, {'changes something' if file.changes else 'only reads'}"),
        ("limits", limits.words(used.limit(1)) if used.limited else ""),
        ("why", of.why),
        ("undo", of.undo),
        ("verify", of.verify),
        *(("allowed", example) for example in of.ok),
        *(("not", example) for example in of.no),
    ]
    return Entry(id=of.id, pack=pack, verdict=Verdict.ALLOW, facts=_known(facts))


def _block(pack: str, of: Block) -> Entry:
    facts = [
        ("command", " ".join(of.cmd)),
        ("options", " ".join(of.flags)),
        ("words", " ".join(of.words_any)),
        ("operands", " ".join(of.args)),
        ("paths", " ".join(of.paths)),
        ("into", " ".join((*of.redirect, *of.pipe_to))),
        ("from", " ".join(of.pipe_from)),
        ("text", of.text),
        ("why", of.why),
        ("but not", " ".join(of.excuse)),
        *(("never", example) for example in of.hit),
        *(("not this", example) for example in of.miss),
    ]
    return Entry(id=of.id, pack=pack, verdict=Verdict.BLOCK, facts=_known(facts))


def _words(names: str | Sequence[str]) -> str:
    return names if isinstance(names, str) else "|".join(names)


def _known(facts: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    return tuple((name, " ".join(value.split())) for name, value in facts if value.strip())


def document(found: Sequence[Entry], cells: int) -> list[Row]:
    """Return the rules below the names of their packs; each row stops at its rule."""
    rows: list[Row] = []
    packs = Counter(each.pack for each in found)
    pack = ""
    for each in found:
        if each.pack != pack:
            pack = each.pack
            rows.append(Row(rule(f"{pack}  {packs[pack]}", cells)))
        rows.append(Row(row(each, cells), each.id))
    return rows


def row(of: Entry, cells: int) -> Line:
    """Return one rule in a line."""
    columns = [
        (*look.verdict(of.verdict), text(" " * (8 - len(look.VERDICT_WORD[of.verdict])))),
        cell(of.id, 26, Tone.STRONG),
        line(text(of.about, Tone.DIM)),
    ]
    return clip(joined(columns, line(" ")), cells)


def full(of: Entry, cells: int) -> list[Row]:
    """Return one rule in full, with the examples it was judged by when it was loaded."""
    lines = [rule(f"{of.id}  {of.pack}", cells), line(*look.verdict(of.verdict))]
    for name, value in of.facts:
        lines += wrap(value, cells, first=line(text(f"{name:<10}", Tone.STRONG)))
    return [Row(each) for each in lines]
