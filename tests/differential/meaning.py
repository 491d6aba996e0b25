"""What a tree says bash will do, and whether bash (or shfmt) agrees."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

from sentinel.policy import grammar
from sentinel.policy.grammar import CommandTree, Pipeline, Simple, Word
from tests.differential.sandbox import FILES, GLOBBED, STATUSES, Record, Run, Sandbox

SHFMT = Path(sys.executable).with_name("shfmt")
FOLDERS = sorted({str(Path(name).parent) for name in FILES} - {"."} | {"e"})


class Unknown(Exception):
    """An oracle cannot say what this text means."""


def expected(tree: CommandTree, status: int) -> tuple[list[list[Record]], bool]:
    """Return the pipelines that run, in order, and whether the last one fails.

    Every command returns `status`; but a name with a slash leads nowhere, so it fails without a record.
    """
    ran: list[list[Record]] = []
    fails = False
    for item in tree.lists:
        fails = _run(item.first, status, ran)
        for operator, pipeline in item.rest:
            if (operator == "&&") is not fails:
                fails = _run(pipeline, status, ran)
    return ran, fails


def _run(pipeline: Pipeline, status: int, ran: list[list[Record]]) -> bool:
    last = len(pipeline.commands) - 1
    records: list[Record] = []
    for at, command in enumerate(pipeline.commands):
        # What is substituted runs before its command's redirections are made. Here it prints nothing.
        records += [
            Record(tuple(inner.value for inner in word.pids_of), (_first(at == 0), "pipe", "err"))
            for word in command.argv
            if word.pids_of
        ]
        if not _is_path(command):
            argv = tuple(value for word in command.argv for value in _values(word))
            records.append(Record(argv, _leads(command, at == 0, at == last)))
    ran.append(records)
    return status != 0 or _is_path(pipeline.commands[-1])


def _values(word: Word) -> list[str]:
    """Return what bash puts where `word` stands. Raises Unknown for a glob that leads elsewhere."""
    if word.pids_of:
        return []
    if not word.glob:
        if not word.quoted and word.value != "[" and set(word.value) & set("*?["):
            raise Unknown  # on purpose not what bash does where such files are
        return [word.value]
    inside = word.value.removeprefix(GLOBBED + "/")
    if (
        inside == word.value
        or not inside
        or {"", ".", ".."} & set(inside.removesuffix("/").split("/"))
    ):
        raise Unknown
    pattern = "/".join(
        ("" if part.startswith(".") else r"(?!\.)")
        + re.escape(part).replace(r"\*", "[^/]*").replace(r"\?", "[^/]")
        for part in inside.removesuffix("/").split("/")
    )
    if inside.endswith("/"):
        return [f"{GLOBBED}/{name}/" for name in FOLDERS if re.fullmatch(pattern, name)]
    return [
        f"{GLOBBED}/{name}" for name in sorted({*FILES, *FOLDERS}) if re.fullmatch(pattern, name)
    ]


def _first(first: bool) -> str:
    return "in" if first else "pipe"


def _is_path(command: Simple) -> bool:
    return "/" in command.argv[0].value


def _leads(command: Simple, first: bool, last: bool) -> tuple[str, ...]:
    leads = [_first(first), "out" if last else "pipe", "err"]
    for redirect in command.redirects:
        if redirect.op == "dup":
            assert isinstance(redirect.target, int)
            leads[redirect.fd] = leads[redirect.target]
            continue
        assert redirect.target == "/dev/null"
        for fd in (1, 2) if redirect.op == "&>" else (redirect.fd,):
            leads[fd] = "null"
    return tuple(leads)


def difference(tree: CommandTree, runs: tuple[Run, ...]) -> str | None:
    """Return how bash differs from `tree`, or None. `runs`: one for each of STATUSES.

    Raises Unknown where a glob leads out of the folder whose files are known.
    """
    for status, run in zip(STATUSES, runs, strict=True):
        pipelines, fails = expected(tree, status)
        at = 0
        for pipeline in pipelines:
            # The commands of a pipeline run at the same time: only which they are is known.
            if Counter(pipeline) != Counter(run.records[at : at + len(pipeline)]):
                return _telling(status, pipelines, run)
            at += len(pipeline)
        if at != len(run.records) or fails is not (run.code != 0) or run.code < 0:
            return _telling(status, pipelines, run)
    return None


def _telling(status: int, pipelines: list[list[Record]], run: Run) -> str:
    said = [[(*record.argv, record.leads) for record in pipeline] for pipeline in pipelines]
    did = [(*record.argv, record.leads) for record in run.records]
    return f"status {status}: the tree says {said}, bash ran {did} and returned {run.code}"


def smallest(text: str, sandbox: Sandbox) -> str:
    """Return `text` with everything taken out that the difference does not need."""

    def differs(part: str) -> bool:
        try:
            return difference(grammar.parse(part), sandbox.run(part)) is not None
        except (grammar.Reject, Unknown):
            return False

    at = 0
    while at < len(text):
        for width in (4, 3, 2, 1):
            if differs(part := text[:at] + text[at + width :]):
                text, at = part, 0
                break
        else:
            at += 1
    return text


# ---------------------------------------------------------------- the second oracle


def outline(tree: CommandTree, text: str) -> list[object]:
    """Return where the words, redirections and operators of `tree` are, nested as they bind."""

    def command(simple: Simple) -> object:
        words = [word.span for word in (*simple.environment, *simple.argv)]
        return words, [(text[slice(*r.span)].replace(" ", "")) for r in simple.redirects]

    def pipeline(part: Pipeline) -> object:
        found = command(part.commands[0])
        for simple in part.commands[1:]:
            found = ("|", found, command(simple))
        return found

    lists: list[object] = []
    for item in tree.lists:
        found = pipeline(item.first)
        for operator, part in item.rest:
            found = (operator, found, pipeline(part))
        lists.append(found)
    return lists


def shfmt_outline(text: str) -> list[object] | None:
    """Return the same as shfmt sees it, or None where it sees an error. Raises Unknown."""
    done = subprocess.run(
        [SHFMT, "--language-dialect", "bash", "--to-json"],
        input=text.encode(),
        capture_output=True,
        timeout=10,
        check=False,
    )
    if done.returncode:
        return None
    return [_statement(part, text) for part in json.loads(done.stdout)["Stmts"]]


def _statement(part: dict, text: str) -> object:
    command = part["Cmd"]
    if special := set(part) & {"Negated", "Background", "Coprocess"}:
        return sorted(special)
    if command["Type"] == "BinaryCmd":
        at = command["OpPos"]["Offset"]
        operator = text[at : at + 2] if text[at : at + 2] in ("&&", "||") else text[at]
        return operator, _statement(command["X"], text), _statement(command["Y"], text)
    # Forms of its own for some builtins (`declare a=1`), which say nothing about words.
    if command["Type"] in ("DeclClause", "LetClause"):
        raise Unknown
    if command["Type"] != "CallExpr":
        return command["Type"]
    if "Args" not in command:
        return "assignment"
    words = [_span(word) for word in (*command.get("Assigns", ()), *command["Args"])]
    redirects = [text[slice(*_span(part))].replace(" ", "") for part in part.get("Redirs", ())]
    return words, redirects


def _span(part: dict) -> tuple[int, int]:
    return part["Pos"]["Offset"], part["End"]["Offset"]
