"""Recorded tricks: what bash ran for them once, against what the tree says and what bash runs now."""

from __future__ import annotations

import json
import re
from pathlib import Path

from sentinel.policy import grammar
from tests.differential import meaning
from tests.differential.sandbox import STATUSES, Sandbox

_BYTE = re.compile(r"\\u(dc[89a-f][0-9a-f])")


def differences(path: Path, sandbox: Sandbox | None) -> tuple[int, list[str]]:
    """Return how many tricks in the file are within the grammar, and how those of them differ."""
    accepted, wrong = 0, []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            found = difference(json.loads(line), sandbox)
        except (grammar.Reject, meaning.Unknown):
            continue
        accepted += 1
        wrong += [found] if found else []
    return accepted, wrong


def difference(trick: dict, sandbox: Sandbox | None) -> str | None:
    """Return how a trick differs from its record, or None. Raises Reject for one outside the grammar.

    `trick`: cmd, bash_exec_rc0 and bash_exec_rc1 (the vectors that ran when every command returned 0
    and 1). Without a sandbox only the record is asked.
    """
    # JSON has no bytes: where a trick holds one that is not UTF-8, the file writes its escape out.
    text = _BYTE.sub(lambda found: chr(int(found[1], 16)), trick["cmd"])
    tree = grammar.parse(text)
    if sandbox and (found := meaning.difference(tree, sandbox.run(text))):
        return f"{text!r}: {found}"
    for status in STATUSES:
        pipelines, _ = meaning.expected(tree, status)
        # A name with a slash runs where the record was made and nowhere in the sandbox.
        ran = [tuple(argv) for argv in trick[f"bash_exec_rc{status}"] if "/" not in argv[0]]
        for pipeline in pipelines:
            said = sorted(record.argv for record in pipeline)
            if said != sorted(ran[: len(said)]):
                return f"{text!r}: the tree says {said}, recorded is {ran}"
            ran = ran[len(said) :]
        if ran:
            return f"{text!r}: recorded, but not in the tree: {ran}"
    return None
