"""Stage 5: a command's text, the policy and the frozen context in, a judgement out. Pure, and total.

The order is the argument:
  1. the blocking rules are searched for in the text, wherever a command can hide;
  2. the strict grammar takes the text or not; what it does not take is never allow;
  3. every simple command must be accepted by a rule, with every word of it;
  4. bashlex must read the same structure (the second opinion is asked last, for it is slow, and only
     where everything else says allow);
  5. the verdict is the worst of all findings.
Nothing depends on a clock or a load: limits are on length, words and depth.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from sentinel.domain import (
    Context,
    Digest,
    Finding,
    Judgement,
    Limit,
    Node,
    Plan,
    PlanJudgement,
    Risk,
    Span,
    Verdict,
)
from sentinel.errors import printable
from sentinel.policy import approvals, command, grammar, never, shell
from sentinel.policy.grammar import AndOr, CommandTree, Pipeline, Reject, Simple
from sentinel.policy.kinds import Scope
from sentinel.policy.options import No
from sentinel.policy.readers.base import Argv
from sentinel.policy.rules import Policy, Rule, on

_ORDER = (Verdict.ALLOW, Verdict.REVIEW, Verdict.BLOCK)
QUORUM = "quorum"  # the rule of a finding that says that two parsers disagree
MAX_SHOWN = 400
MAX_TEXT = 1000  # of a node or a reason
_GRAMMAR_HINT = (
    "literal words, quotes, | && || ; 2>&1 and /dev/null, absolute globs of * and ? where a file is read,"
    " $(pgrep NAME) where a pid is meant; no variables, other substitutions, redirections to files or"
    " control flow: put what you know into the command, or split it into steps"
)


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What a judgement may refer to: the captured processes, Sentinel's own, which are no target, the host."""

    pids: frozenset[int] = frozenset()
    own_pids: frozenset[int] = frozenset()
    captured: bool = False  # an incident froze its context, whatever was in it
    groups: frozenset[str] = frozenset()  # of the host
    role: str = ""


NO_FACTS = Facts()
# The node writes its groups and its role into the context, so that the hub judges by the same.
GROUPS_LABEL, ROLE_LABEL = "sentinel.groups", "sentinel.role"


def labels_of(groups: Iterable[str], role: str) -> dict[str, str]:
    """Return the labels of a context that say of which groups and role its host is."""
    said = {GROUPS_LABEL: " ".join(sorted(groups)), ROLE_LABEL: role}
    return {name: text for name, text in said.items() if text}


def facts_of(context: Context, *, own_pids: frozenset[int] = frozenset()) -> Facts:
    """Return the facts of a frozen context."""
    return Facts(
        pids=frozenset(each.pid for each in context.processes),
        own_pids=own_pids,
        captured=True,
        groups=frozenset(context.labels.get(GROUPS_LABEL, "").split()),
        role=context.labels.get(ROLE_LABEL, ""),
    )


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """Return the worst of `verdicts`; of none it is BLOCK: vacuous truth is refused."""
    return max(verdicts, key=_ORDER.index, default=Verdict.BLOCK)


def judge_plan(policy: Policy, plan: Plan, plan_digest: Digest, facts: Facts) -> PlanJudgement:
    """Return the verdict on every command of `plan`; a plan's verdict is its worst command's."""
    policy = on(policy, facts.groups, facts.role)
    used: dict[str, int] = {}
    commands = tuple(
        _within_plan(_judge(policy, each.text, facts), each.text, used) for each in plan.commands
    )
    return PlanJudgement(
        plan=plan_digest,
        policy=policy.digest,
        verdict=worst(each.verdict for each in commands),
        commands=commands,
    )


def judge(policy: Policy, text: str, facts: Facts = NO_FACTS, *, show: bool = True) -> Judgement:
    """Return the verdict on one command, with its findings and the tree to show. Never raises.

    Without `show` it has no tree and no digest: for whom only the verdict and the findings matter.
    """
    policy = on(policy, facts.groups, facts.role)
    return _within_plan(_judge(policy, text, facts, show=show), text, {})


def _within_plan(judgement: Judgement, text: str, used: dict[str, int]) -> Judgement:
    """Return the judgement, as review where with it the plan uses a rule too often; count in `used`."""
    if judgement.verdict is not Verdict.ALLOW:
        return judgement
    for limit in judgement.limits:
        before = used.get(limit.rule, 0)
        if limit.per_plan and before + limit.uses > limit.per_plan:
            return _too_often(judgement, text, limit, before)
    for limit in judgement.limits:
        used[limit.rule] = used.get(limit.rule, 0) + limit.uses
    return judgement


def _too_often(judgement: Judgement, text: str, limit: Limit, before: int) -> Judgement:
    many = f"at most {limit.per_plan} in a plan"
    said = f"with {before} before it, this is" if before else "this is"
    finding = Finding(
        verdict=Verdict.REVIEW,
        span=(0, len(text)),
        rule=limit.rule,
        reason=f"{many}: {said} number {before + limit.uses}",
        allow_if="leave it to a plan of its own",
    )
    coloured = tuple(
        msgspec.structs.replace(
            node, verdict=Verdict.REVIEW, rule=finding.rule, reason=finding.reason
        )
        for node in judgement.tree
    )
    findings = (finding, *judgement.findings)[:256]
    return msgspec.structs.replace(
        judgement, verdict=Verdict.REVIEW, findings=findings, tree=coloured
    )


def _judge(policy: Policy, text: str, facts: Facts, *, show: bool = True) -> Judgement:
    """Return the verdict by `policy` as it is in force on the host; limits are not looked at."""
    hits = never.search(policy, text)
    blocks = tuple(
        Finding(
            verdict=Verdict.BLOCK,
            span=hit.span,
            rule=hit.block.id,
            layer="never",
            reason=hit.block.why,
        )
        for hit in hits
    )
    try:
        tree = grammar.parse(text)
    except Reject as reject:
        return _rejected(text, reject, blocks, show=show)
    found = _commands(policy, tree, facts)
    findings = (*blocks, *(finding for finding, _ in found))
    if worst(each.verdict for each in findings) is Verdict.ALLOW and not shell.agrees(text, tree):
        findings = (_disagreement(text), *findings)
    return Judgement(
        verdict=worst(each.verdict for each in findings),
        findings=findings[:256],
        tree=tuple(_Show(text, findings).tree(tree))[:MAX_SHOWN] if show else (),
        argv_digest=grammar.argv_digest(tree) if show else None,
        changes=any(rule is None or rule.changes for _, rule in found),
        limits=_limits([rule for _, rule in found if rule is not None]),
        risk=approvals.highest({Risk.HIGH if rule is None else rule.risk for _, rule in found}),
    )


def _limits(taken: Sequence[Rule]) -> tuple[Limit, ...]:
    """Return the limits of the rules that took a command's parts."""
    ids = [rule.allow.id for rule in taken]
    limited = {rule.allow.id: rule for rule in taken if rule.limited}
    return tuple(rule.limit(ids.count(name)) for name, rule in limited.items())


def refusal(policy: Policy, tree: CommandTree, facts: Facts) -> str:
    """Return why `tree`, of which the node has filled in the open words, may not run; empty: it may."""
    policy = on(policy, facts.groups, facts.role)
    findings = [finding for finding, _ in _commands(policy, tree, facts)]
    return next((each.reason for each in findings if each.verdict is not Verdict.ALLOW), "")


def _commands(
    policy: Policy, tree: CommandTree, facts: Facts
) -> tuple[tuple[Finding, Rule | None], ...]:
    """Return what the allow rules say of every command, in the order of the text."""
    scope = Scope(
        sets=policy.sets,
        pids=facts.pids,
        own_pids=facts.own_pids,
        captured=facts.captured or bool(facts.pids),
        groups=facts.groups,
        role=facts.role,
        paths=policy.paths,
    )
    return tuple(
        _simple(policy, simple, scope, before=tuple(map(_argv, pipeline.commands[:number])))
        for item in tree.lists
        for pipeline in item.pipelines
        for number, simple in enumerate(pipeline.commands)
    )


def _argv(simple: Simple) -> Argv:
    return tuple(word.value for word in simple.argv)


def _simple(
    policy: Policy, simple: Simple, scope: Scope, *, before: tuple[Argv, ...]
) -> tuple[Finding, Rule | None]:
    """Return what the allow rules say of one command, and the rule that takes it, if there is one.

    `before` is the earlier stages of its pipeline.
    """
    argv = _argv(simple)
    try:
        for word in simple.environment:
            command.check_environment(policy.env, word)
        rule = command.take(policy, simple.argv, scope, before=before)
    except No as no:
        return Finding(
            verdict=Verdict.REVIEW,
            span=no.span,
            rule="unmatched",
            reason=printable(no.reason, MAX_TEXT)[:1024],
            allow_if=printable(no.allow_if, MAX_TEXT)[:1024],
            argv=argv,
        ), None
    return Finding(
        verdict=Verdict.ALLOW,
        span=simple.span,
        rule=rule.allow.id,
        layer=rule.layer,
        reason=rule.allow.why or "every word is on the rule's list",
        argv=argv,
    ), rule


def _disagreement(text: str) -> Finding:
    return Finding(
        verdict=Verdict.REVIEW,
        span=(0, len(text)),
        rule=QUORUM,
        reason="a second parser reads this command differently",
        allow_if="write it more plainly",
    )


def _rejected(text: str, reject: Reject, blocks: tuple[Finding, ...], *, show: bool) -> Judgement:
    """Return the judgement on what the grammar does not take."""
    at = min(reject.position, len(text))
    finding = Finding(
        verdict=Verdict.REVIEW,
        span=(at, min(at + 1, len(text))),
        rule="grammar",
        reason=reject.reason,
        allow_if=_GRAMMAR_HINT,
    )
    findings = (*blocks, finding)
    return Judgement(
        verdict=worst(each.verdict for each in findings),
        findings=findings[:256],
        tree=tuple(_Show(text, findings).outline())[:MAX_SHOWN] if show else (),
    )


class _Show:
    """Makes the tree that people see, each node coloured by the findings inside of it."""

    def __init__(self, text: str, findings: tuple[Finding, ...]) -> None:
        self._text = text
        self._findings = findings

    def tree(self, tree: CommandTree) -> Iterable[Node]:
        """Yield the accepted tree, pre-order."""
        many = len(tree.lists) > 1
        if many:
            span = (tree.lists[0].span[0], tree.lists[-1].span[1])
            yield self._node(0, "list ;", span)
        for item in tree.lists:
            yield from self._and_or(item, int(many))

    def _and_or(self, item: AndOr, depth: int) -> Iterable[Node]:
        if item.rest:
            operators = " ".join(sorted({operator for operator, _ in item.rest}))
            yield self._node(depth, f"list {operators}", item.span)
            depth += 1
        for pipeline in item.pipelines:
            yield from self._pipeline(pipeline, depth)

    def _pipeline(self, pipeline: Pipeline, depth: int) -> Iterable[Node]:
        if len(pipeline.commands) > 1:
            yield self._node(depth, "pipeline", pipeline.span)
            depth += 1
        for simple in pipeline.commands:
            yield self._node(depth, "command", simple.span)
            for word in simple.environment:
                yield self._node(depth + 1, "assignment", word.span)
            for word in simple.argv:
                kind = "glob" if word.glob else "substitution" if word.pids_of else "word"
                yield self._node(depth + 1, kind, word.span)
            for redirect in simple.redirects:
                yield self._node(depth + 1, "redirect", redirect.span)

    def outline(self) -> Iterable[Node]:
        """Yield what a lenient parser sees of a text that the grammar refused."""
        shown = shell.outline(self._text)
        yield self._node(0, "opaque" if not shown else "not in the grammar", (0, len(self._text)))
        for kind, span, depth in shown:
            if 0 <= span[0] <= span[1] <= len(self._text):
                yield self._node(min(depth + 1, 32), kind, span)

    def _node(self, depth: int, kind: str, span: Span) -> Node:
        """Return a node with the worst finding that it holds or that holds it."""
        inside = [each for each in self._findings if _overlap(each.span, span)]
        found = max(inside, key=lambda each: _ORDER.index(each.verdict), default=None)
        return Node(
            depth=depth,
            kind=kind,
            span=span,
            text=printable(self._text[span[0] : span[1]], MAX_TEXT)[:1024],
            verdict=found.verdict if found else Verdict.ALLOW,
            rule=found.rule if found else "",
            reason=found.reason if found else "",
        )


def _overlap(finding: Span, node: Span) -> bool:
    return finding[0] < max(node[1], node[0] + 1) and node[0] < max(finding[1], finding[0] + 1)
