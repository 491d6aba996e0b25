"""Judges the examples in a rule file when it is loaded: a file that fails one is refused."""

from __future__ import annotations

import msgspec

from sentinel.domain import Judgement, Verdict
from sentinel.errors import PolicyError
from sentinel.policy import validate
from sentinel.policy.rulefile import Allow, File, Source, refusal
from sentinel.policy.rules import Policy, widened
from sentinel.policy.validate import Facts


def check(policy: Policy, source: Source, file: File) -> int:
    """Judge every example of `file` by `policy` (its layer and those below) and return how many.

    Raises PolicyError with the file, the line, the rule, the command and what the verdict was instead.
    """
    policy = widened(policy, file.example_sets)
    examples = list(_expected(file))
    for example in examples:
        found = validate.judge(policy, example.text, example.facts, show=False)
        if found.verdict not in example.wanted:
            raise _fails(source, example, found)
    return len(examples)


class _Example(msgspec.Struct, frozen=True):
    rule: str
    key: str  # the list that it stands in
    text: str
    wanted: frozenset[Verdict]
    must: str
    facts: Facts


def _fails(source: Source, example: _Example, found: Judgement) -> PolicyError:
    worst = next(each for each in found.findings if each.verdict is found.verdict)
    by = "" if worst.rule == example.rule else f" ({worst.rule})"
    reason = f"{found.verdict.value}{by}: {worst.reason}"
    remedy = f" ({worst.allow_if})" if worst.allow_if else ""
    return refusal(
        source,
        f"`{example.key}` example {example.text!r} is {reason}{remedy}",
        rule=example.rule,
        key=example.key,
        hint=f"it must {example.must}: correct the rule or the example",
    )


_ANY = frozenset(Verdict)
_ALLOW = frozenset({Verdict.ALLOW})
_BLOCK = frozenset({Verdict.BLOCK})


def _expected(file: File) -> list[_Example]:
    found: list[_Example] = []
    here = _facts(file, None)
    for allow in file.allow:
        facts = _facts(file, allow)
        found += [_Example(allow.id, "ok", t, _ALLOW, "be allow", facts) for t in allow.ok]
        found += [
            _Example(allow.id, "no", t, _ANY - _ALLOW, "not be allow", facts) for t in allow.no
        ]
    for block in file.block:
        found += [_Example(block.id, "hit", t, _BLOCK, "be block", here) for t in block.hit]
        found += [
            _Example(block.id, "miss", t, _ANY - _BLOCK, "not be block", here) for t in block.miss
        ]
    return found


def _facts(file: File, allow: Allow | None) -> Facts:
    """Return the facts that the examples are judged by: a host that the rule is for, in an incident."""
    pids = frozenset(int(pid) for pid in file.example_sets.get("pids", ()))
    if allow is None:
        return Facts(groups=frozenset(file.groups), role=(*file.roles, "")[0])
    both = [role for role in allow.roles if not file.roles or role in file.roles]
    return Facts(
        pids=pids,
        captured=allow.context or bool(pids),
        groups=frozenset((*file.groups, *allow.groups)),
        role=(*both, *file.roles, "")[0],
    )
