"""`sentinel policy`: what the author of rules needs. A proposal, the examples, a comparison, doubts."""

from __future__ import annotations

import argparse
import itertools
import json
import re
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from sentinel.domain import Verdict
from sentinel.errors import PolicyError, printable
from sentinel.policy import kinds, rules, validate
from sentinel.policy.cli import STATUS, common_options, in_context, setting
from sentinel.policy.rulecheck import parse, read
from sentinel.policy.rulefile import File, nearest

_DIGEST = re.compile(r"(sha256:)?[0-9a-f]{64}")
_HEAD = """\
schema = 1
layer = "site"
name = "site"
changes = true  # false where no command of this file changes the machine"""
_FORMS = {
    "'a'|'b'": "one of these words",
    "unit@SET": "a unit of the site's set SET; also word@SET, path@SET, k8s@SET",
    "pid$pids": "a process that the incident captured",
    "T? T* T+": "an argument of type T: at most one, any number, at least one",
}
_LITERAL = re.compile(r"[A-Za-z0-9_./:=,@%][A-Za-z0-9_./:=,@%-]*")


def add_commands(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register `policy` and its commands."""
    common = common_options()
    policy = subparsers.add_parser("policy", help="test, compare and write rules")
    commands = policy.add_subparsers(required=True, metavar="COMMAND")

    new = commands.add_parser(
        "new",
        parents=[common],
        help="propose a rule for a command",
        description="Print a rule file with a rule that takes exactly this command, for a person to"
        " widen. With --policy FILE it prints the rule alone, to be added to FILE.",
    )
    new.add_argument("command", help="a command that no rule is about, as one word")
    new.set_defaults(run=run_new)

    test = commands.add_parser("test", help="judge every example of the packs and of FILES")
    test.add_argument("files", nargs="*", type=Path, metavar="FILE")
    test.set_defaults(run=run_test)

    diff = commands.add_parser(
        "diff",
        parents=[common],
        help="which commands change their verdict between two rule files",
        epilog="exit status: 0 nothing changes, 1 something does, 2 usage",
    )
    diff.add_argument(
        "old", nargs="?", type=Path, metavar="OLD", help="left out: the shipped packs alone"
    )
    diff.add_argument("new", type=Path, metavar="NEW")
    diff.add_argument(
        "--corpus",
        type=Path,
        metavar="FILE",
        help='a command on each line, as it is or as {"cmd": ...}; left out: the examples of the packs',
    )
    diff.set_defaults(run=run_diff)

    lint = commands.add_parser("lint", help="what is legal in rule files and still doubtful")
    lint.add_argument("files", nargs="*", type=Path, metavar="FILE")
    lint.set_defaults(run=run_lint)

    types = commands.add_parser("types", help="what a rule's values may be declared as")
    types.set_defaults(run=run_types)

    show = commands.add_parser(
        "show", help="the digest of the packs and FILES; with that DIGEST, their rules"
    )
    show.add_argument("words", nargs="*", metavar="DIGEST|FILE")
    show.set_defaults(run=run_show)


def run_types(_: argparse.Namespace) -> int:
    """List what the value of an option or an argument may be declared as."""
    for name, what in _FORMS.items():
        print(f"{name:<16} {what}")
    for name in sorted(kinds.SPECIAL):
        print(f"{name:<16} checked in code")
    for name in sorted(kinds.PATTERNS):
        print(f"{name:<16} {kinds.PATTERNS[name][:100]}")
    return 0


def run_test(args: argparse.Namespace) -> int:
    """Judge every example."""
    started = time.perf_counter()
    policy = rules.load(site=args.files)
    elapsed = (time.perf_counter() - started) * 1000
    ids = {rule.allow.id for found in policy.rules.values() for rule in found}
    print(
        f"{policy.examples} examples hold, {len(ids)} rules that allow and {len(policy.blocks)} that"
        f" block, in {elapsed:.0f} ms\n{policy.digest}"
    )
    return 0


# ---------------------------------------------------------------- diff


def run_diff(args: argparse.Namespace) -> int:
    """Compare two policies over a corpus; exit status 1 where anything changed."""
    before, after = ([] if file is None else [file] for file in (args.old, args.new))
    old, facts = in_context(rules.load(site=[*args.policy, *before], examples="own"), args.context)
    new, _ = in_context(rules.load(site=[*args.policy, *after], examples="own"), args.context)
    commands = _corpus(args.corpus)
    changed = 0
    for command in commands:
        was, now = (validate.judge(each, command, facts, show=False) for each in (old, new))
        if was.verdict is now.verdict:
            continue
        changed += 1
        arrow = "wider " if STATUS[now.verdict] < STATUS[was.verdict] else "tighter"
        found = next(each for each in now.findings if each.verdict is now.verdict)
        print(
            f"{arrow} {was.verdict.value} -> {now.verdict.value}  {printable(command, 200)}"
            f"  ({found.rule})"
        )
    print(f"{changed} of {len(commands)} commands change their verdict")
    return 1 if changed else 0


def _corpus(path: Path | None) -> list[str]:
    """Return the commands of a corpus, or every example of the shipped packs."""
    if path is None:
        files = [parse(source) for source in rules.shipped()]
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
    except (OSError, UnicodeDecodeError) as error:
        raise PolicyError(f"corpus {path}: {error}") from None
    return [_command(path, number, line) for number, line in enumerate(lines, 1) if line.strip()]


def _command(path: Path, number: int, line: str) -> str:
    if not line.startswith("{"):
        return line
    try:
        command = json.loads(line)["cmd"]
    except (ValueError, KeyError, RecursionError) as error:
        raise PolicyError(
            f"corpus {path}:{number}: {type(error).__name__}: {error}",
            hint='a line is {"cmd": "..."} or the command itself',
        ) from None
    if not isinstance(command, str):
        raise PolicyError(f'corpus {path}:{number}: "cmd" is not a text')
    return command


# ---------------------------------------------------------------- lint


def run_lint(args: argparse.Namespace) -> int:
    """Say what is doubtful; exit status 1 if anything is."""
    rules.load(site=args.files)
    packs = [(source.name, parse(source)) for source in rules.shipped()]
    own = [(source.name, parse(source)) for source in map(read, args.files)]
    used = {
        name for _, file in (*packs, *own) for allow in file.allow for name in rules.sets_of(allow)
    }
    asked = own or packs
    doubts = [doubt for source, file in asked for doubt in _doubts(source, file, used)]
    for doubt in doubts:
        print(doubt)
    print(f"{len(doubts)} doubts in {len(asked)} files")
    return 1 if doubts else 0


def _doubts(source: str, file: File, used: set[str]) -> Iterable[str]:
    for rule in file.allow:
        where = f"{source}: {rule.id}"
        if not rule.ok:
            yield f"{where}: no `ok` example"
        if file.changes and not rule.no:
            yield f"{where}: changes the machine and has no `no` example"
        if file.changes and any(term.rstrip("?*+") == "any" for term in rule.args.split()):
            yield f"{where}: changes the machine and takes any argument"
    for block in file.block:
        if not block.hit:
            yield f"{source}: {block.id}: no `hit` example"
    yield from _sets(source, file, used)


def _sets(source: str, file: File, used: set[str]) -> Iterable[str]:
    for name in file.sets:
        if name not in used:
            yield f"{source}: no rule refers to the set `{name}`: {nearest(name, used, 'sets')}"


# ---------------------------------------------------------------- new


def run_new(args: argparse.Namespace) -> int:
    """Print a rule for a reviewed command: a proposal for a person to widen."""
    policy, facts = setting(args)
    judgement = validate.judge(policy, args.command, facts)
    if judgement.verdict is not Verdict.REVIEW or judgement.argv_digest is None:
        found = next(each for each in judgement.findings if each.verdict is judgement.verdict)
        raise PolicyError(
            f"no rule can be proposed: the command is {judgement.verdict.value}"
            f" ({found.rule}): {found.reason}",
            hint="a rule is for one command that the grammar takes and that is only unknown",
        )
    taken = {rule.allow.id for found in policy.rules.values() for rule in found}
    proposals = []
    for each in judgement.findings:
        if each.verdict is Verdict.REVIEW and each.argv:
            name = _new_id(each.argv[0], taken)
            taken.add(name)
            proposals.append(_proposal(name, each.argv, args.command))
    print("\n\n".join(proposals if args.policy else [_HEAD, *proposals]))
    return 0


def _new_id(command: str, taken: set[str]) -> str:
    """Return an id for a rule about `command` that no rule has."""
    base = "site." + "".join(c if c.isalnum() else "-" for c in command.lower())[:50]
    numbered = (f"{base}-{number}" for number in itertools.count(2))
    return next(each for each in itertools.chain([base], numbered) if each not in taken)


def _proposal(name: str, argv: tuple[str, ...], text: str) -> str:
    opts, args = _usage(argv[1:])
    quote: Callable[[str], str] = json.dumps
    return "\n".join(
        (
            "[[allow]]",
            f"id = {quote(name)}",
            f"cmd = {quote(argv[0])}",
            f"opts = {quote(opts)}  # the only options; one with a value has its type: -n=int",
            f"args = {quote(args)}  # widen what may vary: sentinel policy types",
            'why = ""  # what it may touch, and why that is safe',
            f"ok = [{quote(text)}]",
            "no = []  # what must stay refused: the nearest dangerous form",
        )
    )


def _usage(words: tuple[str, ...]) -> tuple[str, str]:
    """Return the options and the arguments that take just these words."""
    opts: dict[str, str] = {}
    args: list[str] = []
    for word in words:
        name, equals, value = word.partition("=")
        if not word.startswith("-") or word == "-":
            args.append(f"'{word}'" if _LITERAL.fullmatch(word) else _kind(word))
        elif word.startswith("--") and equals:
            opts[name] = f"{name}={_kind(value)}"
        else:
            opts[word] = word
    return " ".join(opts.values()), " ".join(args)


def _kind(value: str) -> str:
    """Return the narrowest common type of a value."""
    fitting = (kind for kind in ("int", "word") if re.fullmatch(kinds.PATTERNS[kind], value))
    return next(fitting, "any")


# ---------------------------------------------------------------- show


def run_show(args: argparse.Namespace) -> int:
    """Print the digest in force, or list its rules where that digest is asked for."""
    asked = [word for word in args.words if _DIGEST.fullmatch(word)]
    files = [Path(word) for word in args.words if word not in asked]
    policy = rules.load(site=files, examples=False)
    if not asked:
        print(policy.digest)
        return 0
    for digest in asked:
        if digest.removeprefix("sha256:") != policy.digest.removeprefix("sha256:"):
            raise PolicyError(
                f"{digest} is not the policy here: this is {policy.digest}",
                hint="name the site's rule files after the digest",
            )
    for command in sorted(policy.rules):
        for rule in policy.rules[command]:
            print(f"allow  {rule.allow.id:<32} {command:<20} {rule.allow.why}".rstrip())
    for block in policy.blocks:
        print(f"block  {block.id:<32} {' '.join(block.cmd)[:40]:<20} {block.why}")
    return 0
