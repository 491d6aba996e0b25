"""Judges one argv vector against the allow rules. Pure.

A command is accepted by a rule, or by being a wrapper whose inner command is. What no rule accepts is not
bad, it is not understood: the answer is the most telling refusal, with the word it is about.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from sentinel.domain import Span
from sentinel.policy.grammar import Word
from sentinel.policy.kinds import Scope
from sentinel.policy.options import No, Options, Parsed, Reader, arguments, spec
from sentinel.policy.readers.base import Argv, Call
from sentinel.policy.readers.table import reader
from sentinel.policy.rulefile import Allow, Environment
from sentinel.policy.rules import Policy, Rule

MAX_WRAPPERS = 4
_ASSIGNMENT = re.compile(r"([A-Za-z_]\w*)=(.*)")


def take(
    policy: Policy,
    words: Sequence[Word],
    scope: Scope,
    *,
    before: tuple[Argv, ...],
    depth: int = 0,
    bounded: bool = False,
) -> Rule:
    """Return the rule that accepts `words`; raise No where none does. `bounded`: `timeout` ends it."""
    name = words[0]
    span = (name.span[0], words[-1].span[1])
    if "/" in name.value:
        base = name.value.rpartition("/")[2]
        raise No(f"{name.value} is a path, not a bare command name", name.span, f"write {base}")
    refusals: list[tuple[No, int]] = []
    for rule in policy.rules.get(name.value, ()):
        try:
            _accept(policy, rule, words, scope, before=before, bounded=bounded)
        except No as refusal:
            refusals.append((refusal, len(rule.allow.opts) + len(rule.allow.args)))
        else:
            return rule
    if name.value in policy.wrappers and depth < MAX_WRAPPERS:
        try:
            inner = _unwrap(policy, words, scope)
            bounded = bounded or name.value == "timeout"
            return take(policy, inner, scope, before=before, depth=depth + 1, bounded=bounded)
        except No as refusal:
            refusals.append((refusal, 0))
    if refusals:
        # The refusal that came furthest is about the rule that was meant; of equals, that which takes most.
        raise max(refusals, key=lambda each: (each[0].words_fit, each[0].span, each[1]))[0]
    raise No(f"no rule is about {name.value}", name.span if len(words) > 1 else span)


def _accept(
    policy: Policy,
    rule: Rule,
    words: Sequence[Word],
    scope: Scope,
    *,
    before: tuple[Argv, ...],
    bounded: bool,
) -> None:
    """Raise No unless `rule` accepts the words."""
    allow = rule.allow
    span = (words[0].span[0], words[-1].span[1])
    rest = tuple(words[1:])
    scope = msgspec.structs.replace(scope, filled=set())
    if allow.use:

        def inner(found: Sequence[Word]) -> None:
            take(policy, found, scope, before=(), depth=MAX_WRAPPERS)

        call = Call(
            name=words[0].value,
            words=rest,
            span=span,
            before=before,
            scope=scope,
            roots=allow.roots,
            min_age_days=allow.min_age_days,
            need_name_under=allow.need_name_under,
            inner=inner,
        )
        reader(allow.use)(call)
    elif allow.sub:
        _with_sub(rule, rest, scope, span, bounded=bounded)
    else:
        parsed = _read(rule.options, rest, scope, allow)
        arguments(allow.args, parsed.rest, scope.check, span)
        _required(allow, parsed, span, bounded=bounded)
    if allow.bounded and not bounded:
        raise No("it never ends by itself", span, "timeout 10 ...", words_fit=True)
    for word in rest:
        if word.open:
            _open(policy, rule, word, scope)
    if allow.context and not scope.captured:
        raise No(
            "it changes the machine, and there is no incident that it answers",
            span,
            "judge it with what an incident captured (--context FILE)",
            words_fit=True,
        )
    where = rule.elsewhere(scope.groups, scope.role)
    if where:
        raise No(f"rule {allow.id} is in force {where}", span, _host(scope), words_fit=True)


def _host(scope: Scope) -> str:
    groups = f"group {' and '.join(sorted(scope.groups))}" if scope.groups else "no group"
    return f"this host is in {groups} and has {f'role {scope.role}' if scope.role else 'no role'}"


def _open(policy: Policy, rule: Rule, word: Word, scope: Scope) -> None:
    """Raise No unless the node may fill in the word here; it judges again what came of it."""
    if word.span not in scope.filled:
        meant = "a file is read" if word.glob else "a pid is meant"
        raise No(
            f"{word.value} may stand only where {meant}", word.span, "write it out, or quote it"
        )
    if word.glob and rule.changes:
        raise No(
            f"{word.value} is a glob, and this changes the machine", word.span, "name each file"
        )
    if word.pids_of and rule.changes and not scope.captured:
        raise No(f"{word.value} changes the machine, and no incident captured a pid", word.span)
    if word.pids_of:
        take(policy, word.pids_of, scope, before=(), depth=MAX_WRAPPERS)


def _read(options: Options, words: Sequence[Word], scope: Scope, allow: Allow) -> Parsed:
    reader = Reader(options, scope.check, single_dash=allow.loose_single_dash)
    return reader.read(words, plus=allow.plus, stop=allow.stop)


def _with_sub(
    rule: Rule, words: Sequence[Word], scope: Scope, span: Span, *, bounded: bool
) -> None:
    """Accept the longest listed sub-command, its options and its arguments.

    An option before the sub-command may take it for its value, and what we read as its argument would be the
    sub-command then. So only those of `front` may stand there, and nothing between its words.
    """
    allow = rule.allow
    if allow.front == "*":
        parsed = _read(rule.options, words, scope, allow)
        sub = _longest(allow.sub, parsed.rest, parsed.seen, span)
        rest = parsed.rest[len(sub.split()) :]
    else:
        front = Reader(spec(allow.front), scope.check).read(words, stop=True)
        sub = _longest(allow.sub, front.rest, front.seen, span)
        body = _read(rule.options, front.rest[len(sub.split()) :], scope, allow)
        parsed = Parsed({**front.seen, **body.seen}, body.rest)
        rest = body.rest
    last = sub.split()[-1] if sub else ""
    namespace = parsed.seen.get("-n", parsed.seen.get("--namespace", ""))
    inside = msgspec.structs.replace(scope, namespace=namespace)
    grammar = allow.args
    if allow.args_by_sub:
        grammar = allow.args_by_sub.get(last, allow.args_by_sub.get("default", ""))
    arguments(grammar, rest, inside.check, span)
    _required(allow, parsed, span, bounded=bounded)


def _longest(subs: tuple[str, ...], rest: Sequence[Word], seen: dict[str, str], span: Span) -> str:
    """Return the longest sub-command that `rest` begins with; "" only where there are no words."""
    words = [word.value for word in rest]
    fitting = [sub for sub in subs if sub[:2] != "--" and words[: len(sub.split())] == sub.split()]
    best = max(fitting, key=lambda sub: len(sub.split()), default=None)
    # Some programs have an option for a sub-command: systemctl --failed.
    if best or (best == "" and not words) or any(s[:2] == "--" and s in seen for s in subs):
        return best or ""
    listed = ", ".join(each for each in subs if each)
    where = rest[0].span if rest else span
    said = " ".join(words[:2])
    raise No(f"sub-command {said!r} is not on the rule's list", where, f"one of: {listed}"[:900])


def _required(allow: Allow, parsed: Parsed, span: Span, *, bounded: bool) -> None:
    """Raise No unless what the rule requires was given."""

    def given(names: str) -> bool:
        return any(name in parsed.seen for name in names.split("|"))

    for name in allow.require:
        if name.startswith("#"):
            numbers = [word for word in parsed.rest if word.value.isdigit()]
            if len(numbers) == 1 and not bounded:
                raise No("an interval without a count never ends", numbers[0].span, "add a count")
        elif not given(name):
            raise No(f"it needs {name}", span, f"add {name}")


def _unwrap(policy: Policy, words: Sequence[Word], scope: Scope) -> Sequence[Word]:
    """Return the command inside of a wrapper."""
    wrapper = policy.wrappers[words[0].value]
    rest = list(words[1:])
    if wrapper.assign:
        while rest and _ASSIGNMENT.fullmatch(rest[0].value):
            check_environment(policy.env, rest.pop(0))
    parsed = Reader(spec(wrapper.opts), scope.check).read(rest, stop=True)
    inner = list(parsed.rest)
    if wrapper.lead:
        if not inner:
            raise No(f"{words[0].value} needs an operand", words[0].span)
        scope.check(wrapper.lead, inner.pop(0))
    if not inner:
        raise No(f"{words[0].value} without a command", words[0].span)
    return inner


def check_environment(env: Environment, word: Word) -> None:
    """Raise No unless a command may get the `NAME=value` of `word`."""
    name, _, value = word.value.partition("=")
    if name not in env.allow or not re.fullmatch(env.value, value):
        raise No(f"environment {name} is not on the list", word.span)
    if "PAGER" in name and value not in env.pager_values:
        raise No(f"a pager other than cat: {value}", word.span)
