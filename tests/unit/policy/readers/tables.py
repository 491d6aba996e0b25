"""Behaviour tables of the readers: one command a line, `allow` or `no`, and behind ` ## ` a part of the reason."""

from __future__ import annotations

import pytest

from sentinel.policy import command, grammar
from sentinel.policy.kinds import Scope
from sentinel.policy.options import No
from sentinel.policy.readers.base import Call
from sentinel.policy.readers.table import reader


def rows(table):
    """Return the rows of `table` as parameters of a test: the command, and why not ("" where allowed)."""
    found = []
    for line in table.strip().splitlines():
        expected, _, rest = line.strip().partition(" ")
        text, _, reason = rest.strip().partition(" ## ")
        assert expected in ("allow", "no"), line
        assert (expected == "no") == bool(reason), line
        found.append(pytest.param(text, reason, id=text))
    return found


def refusal(policy, name, text, **fields):
    """Return why the reader `name` refuses the last command of the pipeline `text`, "" where it does not."""
    (item,) = grammar.parse(text).lists
    *before, simple = item.first.commands
    scope = Scope(
        sets=policy.sets, pids=frozenset(), own_pids=frozenset(), captured=False, paths=policy.paths
    )
    stages = tuple(tuple(word.value for word in stage.argv) for stage in before)

    def inner(words):
        command.take(policy, words, scope, before=())

    call = Call(
        name=simple.argv[0].value,
        words=simple.argv[1:],
        span=simple.span,
        before=stages,
        scope=scope,
        inner=inner,
        **fields,
    )
    try:
        reader(name)(call)
    except No as found:
        no = found
    else:
        return ""
    assert no.reason
    assert simple.span[0] <= no.span[0] <= no.span[1] <= simple.span[1]
    return no.reason


def agree(policy, name, text, reason, **fields):
    """Assert that the reader allows `text` where `reason` is empty, and says `reason` where it is not."""
    found = refusal(policy, name, text, **fields)
    assert bool(found) == bool(reason), found
    assert reason in found
