"""`sentinel check` and `explain`: the engine on its own, for people and for other programs."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TextIO

import msgspec

from sentinel.domain import Finding, Judgement, Verdict
from sentinel.errors import PolicyError, printable
from sentinel.policy import limits, rules, validate
from sentinel.policy.rules import Policy
from sentinel.policy.validate import Facts

STATUS = {Verdict.ALLOW: 0, Verdict.REVIEW: 10, Verdict.BLOCK: 20}
SIGN = {Verdict.ALLOW: "✓", Verdict.REVIEW: "?", Verdict.BLOCK: "✗"}
LINE_BYTES = 4 << 20  # of one line of --jsonl
_DECISION = {Verdict.ALLOW: "allow", Verdict.REVIEW: "ask", Verdict.BLOCK: "deny"}


class ContextFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What `--context` may say: what an incident would have captured, a site's sets, and the host."""

    pids: tuple[int, ...] = ()
    own_pids: tuple[int, ...] = ()
    units: tuple[str, ...] = ()  # the same as sets.units
    sets: dict[str, tuple[str, ...]] = {}
    groups: tuple[str, ...] = ()
    role: str = ""


def common_options() -> argparse.ArgumentParser:
    """Return the options that name the policy and the facts to judge by."""
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--policy",
        action="append",
        default=[],
        type=Path,
        metavar="FILE",
        help="a site's rule file",
    )
    common.add_argument(
        "--context",
        type=Path,
        metavar="FILE",
        help="JSON: captured pids, the site's units and sets, the host's groups and role",
    )
    return common


def add_commands(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the commands of this file."""
    common = common_options()
    check = subparsers.add_parser(
        "check",
        parents=[common],
        help="say whether a command is allow, review or block",
        epilog="exit status: 0 allow, 10 review, 20 block, 2 usage",
    )
    check.add_argument("command", nargs="?", help="the command, as one word")
    mode = check.add_mutually_exclusive_group()
    mode.add_argument(
        "--jsonl",
        action="store_true",
        help='read {"cmd": ...} lines, write a verdict line for each',
    )
    mode.add_argument(
        "--hook", action="store_true", help="answer a coding agent's pre-tool-use hook"
    )
    check.set_defaults(run=run_check)

    explain = subparsers.add_parser(
        "explain", parents=[common], help="show a command's tree with the verdict of each part"
    )
    explain.add_argument("command", help="the command, as one word")
    explain.add_argument("--json", action="store_true", help="the judgement as JSON")
    explain.set_defaults(run=run_explain)


# ---------------------------------------------------------------- check


def run_check(args: argparse.Namespace) -> int:
    """Judge one command, or each line of standard input."""
    policy, facts = setting(args)
    if args.hook:
        return _hook(policy, facts)
    if args.jsonl:
        return _stream(policy, facts, sys.stdin.buffer, sys.stdout)
    if args.command is None:
        raise PolicyError("no command given", hint="sentinel check 'df -h', or --jsonl, or --hook")
    judgement = validate.judge(policy, args.command, facts)
    worst = [f for f in judgement.findings if f.verdict is judgement.verdict]
    for finding in worst:
        print(_line(finding, args.command))
    for line in _limit_lines(judgement):
        print(line)
    return STATUS[judgement.verdict]


def setting(args: argparse.Namespace) -> tuple[Policy, Facts]:
    """Return the policy and the facts that the common options name."""
    # The packs' own examples were judged when this release was tested; a site's are judged now.
    return in_context(rules.load(site=args.policy, examples="own"), args.context)


def in_context(policy: Policy, path: Path | None) -> tuple[Policy, Facts]:
    """Return the policy with the sets of a context file, and its facts."""
    if path is None:
        return policy, validate.NO_FACTS
    try:
        context = msgspec.json.decode(path.read_bytes(), type=ContextFile)
    except (OSError, msgspec.DecodeError) as error:
        raise PolicyError(
            f"--context {path}: {error}",
            hint='{"pids": [4321], "units": ["app"], "groups": ["web"], "role": "frontend"}',
        ) from None
    facts = Facts(
        pids=frozenset(context.pids),
        own_pids=frozenset(context.own_pids),
        captured=True,
        groups=frozenset(context.groups),
        role=context.role,
    )
    return rules.widened(policy, context.sets, {"units": context.units}), facts


def _line(finding: Finding, text: str) -> str:
    """Return a finding for a person: verdict, span, the words there, rule, reason, remedy."""
    begin, end = finding.span
    words = printable(text[begin:end], 60)
    line = f"{finding.verdict.value}  {begin}-{end}  {words}  {finding.rule}: {finding.reason}"
    return f"{line}\n       {finding.allow_if}" if finding.allow_if else line


def _limit_lines(judgement: Judgement) -> Iterable[str]:
    """Yield what the node's gate will ask for before it lets the command run."""
    if judgement.verdict is Verdict.ALLOW:
        for limit in judgement.limits:
            yield f"limit  {limit.rule}: {limits.words(limit)}; the node's gate holds it"


def _stream(policy: Policy, facts: Facts, source: Iterable[bytes], target: TextIO) -> int:
    """Answer each line with one line, in order, as it comes."""
    for data in source:
        target.write(json.dumps(_answer(policy, facts, data), ensure_ascii=True) + "\n")
        target.flush()
    return 0


def _answer(policy: Policy, facts: Facts, data: bytes) -> dict[str, object]:
    if len(data) > LINE_BYTES:
        return _unread(None, f"a line of {len(data)} bytes is over the limit of {LINE_BYTES}")
    try:
        plain = json.loads(data)
    except (ValueError, RecursionError) as error:
        return _unread(None, f"not a JSON line: {error}"[:300])
    command = plain.get("cmd") if isinstance(plain, dict) else None
    if not isinstance(command, str):
        return _unread(command, 'not a line of the form {"cmd": "..."}')
    judgement = validate.judge(policy, command, facts)
    worst = [each for each in judgement.findings if each.verdict is judgement.verdict]
    return {
        "cmd": command,
        "verdict": judgement.verdict.value,
        "rule": worst[0].rule,
        "reason": worst[0].reason,
        "spans": [list(each.span) for each in worst],
    }


def _unread(command: object, reason: str) -> dict[str, object]:
    return {"cmd": command, "verdict": "review", "rule": "input", "reason": reason, "spans": []}


def _hook(policy: Policy, facts: Facts) -> int:
    """Answer one pre-tool-use question: JSON with `tool_input.command` in, a decision out.

    What cannot be read is asked about, never allowed.
    """
    verdict, reason = Verdict.REVIEW, "the hook's input could not be read"
    try:
        plain = json.loads(sys.stdin.buffer.read(LINE_BYTES))
        command = plain["tool_input"]["command"]
    except (ValueError, KeyError, TypeError, RecursionError):
        command = None
    if isinstance(command, str):
        judgement = validate.judge(policy, command, facts)
        verdict = judgement.verdict
        reason = "; ".join(
            f"{each.rule}: {each.reason}" for each in judgement.findings if each.verdict is verdict
        )
    answer = {
        "hookEventName": "PreToolUse",
        "permissionDecision": _DECISION[verdict],
        "permissionDecisionReason": printable(reason, 2000),
    }
    print(json.dumps({"hookSpecificOutput": answer}))
    return 0


# ---------------------------------------------------------------- explain


def run_explain(args: argparse.Namespace) -> int:
    """Show the tree of one command."""
    policy, facts = setting(args)
    judgement = validate.judge(policy, args.command, facts)
    if args.json:
        print(msgspec.json.encode(judgement).decode())
    else:
        for line in explain_lines(judgement, args.command):
            print(line)
    return STATUS[judgement.verdict]


def explain_lines(judgement: Judgement, text: str) -> Iterable[str]:
    """Yield the judgement for a person: the tree, then each finding."""
    yield f"{SIGN[judgement.verdict]} {judgement.verdict.value}  {printable(text, 200)}"
    for node in judgement.tree:
        name = f"{'  ' * node.depth}{SIGN[node.verdict]} {node.kind}"
        yield f"  {name:<28} {printable(node.text, 60):<40} {node.rule}".rstrip()
    yield ""
    for finding in judgement.findings:
        yield _line(finding, text)
    yield from _limit_lines(judgement)
