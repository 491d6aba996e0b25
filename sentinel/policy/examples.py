"""Judges the examples in a rule file when it is loaded: a file that fails one is refused."""

from __future__ import annotations

import msgspec

from sentinel.domain import Verdict
from sentinel.errors import PolicyError
from sentinel.policy import validate
from sentinel.policy.rules import File, Policy, Source
from sentinel.policy.validate import Facts


def check(policy: Policy, source: Source, file: File) -> int:
    """Judge every example of `file` by `policy` (its layer and those below) and return how many.

    Raises PolicyError with the file, the rule, the command and what the verdict was instead.
    """
    sets = dict(policy.sets)
    for name, members in file.example_sets.items():
        sets[name] = sets.get(name, frozenset()) | frozenset(members)
    policy = msgspec.structs.replace(policy, sets=sets)
    pids = frozenset(int(pid) for pid in file.example_sets.get("pids", ()))
    examples = list(_expected(file))
    for rule, text, wanted, unwanted in examples:
        found = validate.judge(policy, text, Facts(pids=pids))
        if found.verdict not in wanted:
            reason = next(f.reason for f in found.findings if f.verdict is found.verdict)
            raise PolicyError(
                f"{source.name}: rule {rule}: example {text!r} is {found.verdict.value}: {reason}",
                hint=f"it must {unwanted}: correct the rule or the example",
            )
    return len(examples)


_ANY = frozenset(Verdict)
_ALLOW = frozenset({Verdict.ALLOW})
_BLOCK = frozenset({Verdict.BLOCK})


def _expected(file: File) -> list[tuple[str, str, frozenset[Verdict], str]]:
    found: list[tuple[str, str, frozenset[Verdict], str]] = []
    for allow in file.allow:
        found += [(allow.id, text, _ALLOW, "be allow") for text in allow.ok]
        found += [(allow.id, text, _ANY - _ALLOW, "not be allow") for text in allow.no]
    for block in file.block:
        found += [(block.id, text, _BLOCK, "be block") for text in block.hit]
        found += [(block.id, text, _ANY - _BLOCK, "not be block") for text in block.miss]
    return found
