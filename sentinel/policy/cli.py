"""`sentinel check`, `explain` and `policy`: the engine on its own, for people and for other programs."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TextIO

import msgspec

from sentinel.domain import Finding, Judgement, Verdict
from sentinel.errors import PolicyError, printable
from sentinel.policy import rules, validate
from sentinel.policy.rules import Policy
from sentinel.policy.validate import Facts

STATUS = {Verdict.ALLOW: 0, Verdict.REVIEW: 10, Verdict.BLOCK: 20}
SIGN = {Verdict.ALLOW: "✓", Verdict.REVIEW: "?", Verdict.BLOCK: "✗"}
LINE_BYTES = 4 << 20  # of one line of --jsonl
_DECISION = {Verdict.ALLOW: "allow", Verdict.REVIEW: "ask", Verdict.BLOCK: "deny"}


class ContextFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What `--context` may say: what an incident would have captured, and a site's sets."""

    pids: tuple[int, ...] = ()
    own_pids: tuple[int, ...] = ()
    sets: dict[str, tuple[str, ...]] = {}


def add_commands(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the commands of this file."""
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
        "--context", type=Path, metavar="FILE", help="JSON with captured pids and a site's sets"
    )
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
    _add_policy(subparsers, common)


def _add_policy(
    subparsers: argparse._SubParsersAction[argparse.ArgumentParser],
    common: argparse.ArgumentParser,
) -> None:
    policy = subparsers.add_parser("policy", help="test, compare and write rules")
    commands = policy.add_subparsers(required=True, metavar="COMMAND")
    test = commands.add_parser("test", help="judge every example of the packs and of FILES")
    test.add_argument("files", nargs="*", type=Path, metavar="FILE")
    test.set_defaults(run=run_test)
    diff = commands.add_parser(
        "diff", help="which commands change their verdict between two rule files"
    )
    diff.add_argument("old", type=Path)
    diff.add_argument("new", type=Path)
    diff.add_argument("--corpus", type=Path, metavar="FILE", help='lines of {"cmd": ...}')
    diff.set_defaults(run=run_diff)
    lint = commands.add_parser("lint", help="what is legal in rule files and still doubtful")
    lint.add_argument("files", nargs="*", type=Path, metavar="FILE")
    lint.set_defaults(run=run_lint)
    new = commands.add_parser("new", parents=[common], help="propose a rule for a command")
    new.add_argument("command")
    new.set_defaults(run=run_new)
    show = commands.add_parser("show", help="the digest in force, or the rules if DIGEST is it")
    show.add_argument("digest", nargs="?", default="")
    show.add_argument("files", nargs="*", type=Path, metavar="FILE")
    show.set_defaults(run=run_show)


# ---------------------------------------------------------------- check


def run_check(args: argparse.Namespace) -> int:
    """Judge one command, or each line of standard input."""
    policy, facts = _setting(args)
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
    return STATUS[judgement.verdict]


def _setting(args: argparse.Namespace) -> tuple[Policy, Facts]:
    """Return the policy and the facts that the options name."""
    # The packs' own examples were judged when this release was tested; a site's are judged now.
    policy = rules.load(site=args.policy, examples=bool(args.policy))
    if args.context is None:
        return policy, validate.NO_FACTS
    try:
        context = msgspec.json.decode(args.context.read_bytes(), type=ContextFile)
    except (OSError, msgspec.DecodeError) as error:
        raise PolicyError(
            f"--context {args.context}: {error}",
            hint='{"pids": [4321], "sets": {"units": ["app"]}}',
        ) from None
    sets = dict(policy.sets)
    for name, members in context.sets.items():
        sets[name] = sets.get(name, frozenset()) | frozenset(members)
    facts = Facts(pids=frozenset(context.pids), own_pids=frozenset(context.own_pids), captured=True)
    return msgspec.structs.replace(policy, sets=sets), facts


def _line(finding: Finding, text: str) -> str:
    """Return a finding for a person: verdict, span, the words there, rule, reason, remedy."""
    begin, end = finding.span
    words = printable(text[begin:end], 60)
    line = f"{finding.verdict.value}  {begin}-{end}  {words}  {finding.rule}: {finding.reason}"
    return f"{line}\n       {finding.allow_if}" if finding.allow_if else line


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
    policy, facts = _setting(args)
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


# ---------------------------------------------------------------- policy


def run_test(args: argparse.Namespace) -> int:
    """Judge every example."""
    started = time.perf_counter()
    policy = rules.load(site=args.files)
    elapsed = (time.perf_counter() - started) * 1000
    count = sum(map(len, policy.rules.values()))
    print(f"{policy.examples} examples hold, {count} rules, in {elapsed:.0f} ms; {policy.digest}")
    return 0


def run_diff(args: argparse.Namespace) -> int:
    """Compare two policies over a corpus; exit status 1 where anything changed."""
    old, new = rules.load(site=[args.old]), rules.load(site=[args.new])
    changed = 0
    for command in _corpus(args.corpus):
        before, after = (validate.judge(each, command).verdict for each in (old, new))
        if before is not after:
            changed += 1
            arrow = "wider " if STATUS[after] < STATUS[before] else "tighter"
            print(f"{arrow} {before.value} -> {after.value}  {printable(command, 200)}")
    print(f"{changed} commands change their verdict")
    return 1 if changed else 0


def _corpus(path: Path | None) -> list[str]:
    """Return the commands of a corpus: a JSONL file, or every example of the shipped packs."""
    if path is None:
        files = [rules.parse(source) for source in rules.shipped()]
        return [
            text
            for file in files
            for texts in (
                *((rule.ok, rule.no) for rule in file.allow),
                *((block.hit, block.miss) for block in file.block),
            )
            for part in texts
            for text in part
        ]
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        return [str(json.loads(line)["cmd"]) for line in lines if line.strip()]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise PolicyError(f"corpus {path}: {error}", hint='one {"cmd": "..."} a line') from None


def run_lint(args: argparse.Namespace) -> int:
    """Say what is doubtful; exit status 1 if anything is."""
    rules.load(site=args.files)
    sources = [*rules.shipped(), *map(rules.read, args.files)]
    doubts = [doubt for source in sources for doubt in _doubts(source)]
    for doubt in doubts:
        print(doubt)
    print(f"{len(doubts)} doubts in {len(sources)} files")
    return 1 if doubts else 0


def _doubts(source: rules.Source) -> Iterable[str]:
    file = rules.parse(source)
    for rule in file.allow:
        where = f"{source.name}: {rule.id}"
        if not rule.ok:
            yield f"{where}: no `ok` example"
        if file.changes and not rule.no:
            yield f"{where}: changes the machine and has no `no` example"
        if file.changes and "any" in rule.args.replace("*", " ").replace("+", " ").split():
            yield f"{where}: changes the machine and takes any argument"
    for block in file.block:
        if not block.hit:
            yield f"{source.name}: {block.id}: no `hit` example"


def run_new(args: argparse.Namespace) -> int:
    """Print a rule for a reviewed command: a proposal for a person to narrow."""
    policy, facts = _setting(args)
    judgement = validate.judge(policy, args.command, facts)
    if judgement.verdict is not Verdict.REVIEW or judgement.argv_digest is None:
        reason = judgement.findings[0].reason
        raise PolicyError(
            f"no rule can be proposed: the command is {judgement.verdict.value}: {reason}",
            hint="a rule is for one command that the grammar takes and that is only unknown",
        )
    for finding in judgement.findings:
        if finding.verdict is Verdict.REVIEW and finding.argv:
            print(_proposal(finding.argv, args.command))
    return 0


def _proposal(argv: tuple[str, ...], text: str) -> str:
    name, words = argv[0], argv[1:]
    flags = " ".join(
        dict.fromkeys(word.partition("=")[0] for word in words if word.startswith("-"))
    )
    plain = [word for word in words if not word.startswith("-")]
    quote: Callable[[str], str] = json.dumps
    return "\n".join(
        (
            "[[allow]]",
            f"id = {quote('site.' + ''.join(c if c.isalnum() else '-' for c in name.lower()))}",
            f"cmd = {quote(name)}",
            f"opts = {quote(flags)}  # give each value its type: -n=int",
            f"args = {quote(' '.join(['word'] * len(plain)))}  # narrow each: path, unit@units, int",
            'why = ""  # what it may touch, and why that is safe',
            f"ok = [{quote(text)}]",
            "no = []  # what must stay refused: the nearest dangerous form",
        )
    )


def run_show(args: argparse.Namespace) -> int:
    """Print the digest in force, or list its rules where that digest is asked for."""
    policy = rules.load(site=args.files, examples=False)
    if not args.digest:
        print(policy.digest)
        return 0
    if args.digest not in (policy.digest, policy.digest.removeprefix("sha256:")):
        raise PolicyError(
            f"{args.digest} is not the policy here: this is {policy.digest}",
            hint="name the site's rule files after the digest",
        )
    for command in sorted(policy.rules):
        for rule in policy.rules[command]:
            print(f"allow  {rule.allow.id:<32} {command:<20} {rule.allow.why}".rstrip())
    for block in policy.blocks:
        print(f"block  {block.id:<32} {' '.join(block.cmd)[:40]:<20} {block.why}")
    return 0
