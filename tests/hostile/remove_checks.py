"""Each check of the gate taken out in turn: `python -m tests.hostile.remove_checks [--node]`.

In a copy of the tree, every call in `admit.admit` is deleted, or, where its value is used, replaced by
what a gate without that check would take. Some hostile bundle must then not be refused as it should;
a check that nobody misses ends the run with 1. `--node` asks the real node's suite too (minutes).
"""

from __future__ import annotations

import argparse
import ast
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
GATE = Path("sentinel/agent/admit.py")
SUITE = [
    "tests/unit/agent/test_admit.py",
    "-k",
    "test_the_gate_refuses or test_a_refusal_spends_nothing or started_again or test_live_needs",
]
NODE = ["tests/hostile/test_node.py", "-k", "not flood"]
# What a gate without the check would go on with.
INSTEAD = {
    "decode_statement": "msgspec.json.decode(bundle.statement, type=Statement)",
    "decode_plan": "msgspec.json.decode(bundle.plan, type=Plan)",
    "who_signed": "frozenset({statement.operator})",
    "my_report": "node.store.report(statement.event)",
    "over_this_plan": "canonical.digest(bundle.plan.encode())",
    "mode_of_both": "statement.mode",
    "allowed_by_me": "validate.judge_plan(node.policy, plan, digest, facts)",
}
NO_CHECK = {"validate.facts_of"}  # computes, and refuses nothing


def steps(tree: ast.Module) -> list[ast.stmt]:
    """Return the statements of `admit` between try and except: the checks, in their order."""
    (function,) = [
        each for each in tree.body if isinstance(each, ast.FunctionDef) and each.name == "admit"
    ]
    (attempt,) = [each for each in function.body if isinstance(each, ast.Try)]
    return attempt.body


def called(step: ast.stmt) -> str:
    """Return the name of the function that the step calls."""
    assert isinstance(step, ast.Expr | ast.Assign)
    assert isinstance(step.value, ast.Call)
    return ast.unparse(step.value.func)


def without(number: int) -> tuple[str, str]:
    """Return the name of one check, and the gate's source without it."""
    tree = ast.parse((ROOT / GATE).read_text())
    body = steps(tree)
    step = body[number]
    name = called(step)
    if isinstance(step, ast.Assign):
        step.value = ast.parse(INSTEAD[name], mode="eval").body
    else:
        body[number] = ast.Pass()
    return name, ast.unparse(ast.fix_missing_locations(tree))


def run(tree: Path, words: list[str]) -> tuple[int, str]:
    """Run tests in the copy; return pytest's status and the first test that failed."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *words]
    done = subprocess.run(
        command,
        cwd=tree,
        env={**os.environ, "PYTHONPATH": str(tree)},
        capture_output=True,
        text=True,
        check=False,
    )
    failed = re.search(r"^(?:FAILED|ERROR) \S+::(.+?)(?: - .*)?$", done.stdout, re.MULTILINE)
    return done.returncode, failed[1] if failed else done.stdout[-300:]


def main() -> int:
    """Run; return 1 if a check could go unnoticed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--node", action="store_true", help="ask the real node's suite too")
    suites = [SUITE, NODE] if parser.parse_args().node else [SUITE]
    unnoticed = 0
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder)
        ignored = shutil.ignore_patterns("__pycache__", "*.pyc")
        for name in ("sentinel", "tests"):
            shutil.copytree(ROOT / name, tree / name, ignore=ignored)
        shutil.copy(ROOT / "pyproject.toml", tree)
        for suite in suites:
            status, said = run(tree, suite)
            if status:
                print(f"the suite fails with every check in place: {said}")
                return 1
        for number, step in enumerate(steps(ast.parse((ROOT / GATE).read_text()))):
            if called(step) in NO_CHECK:
                continue
            name, source = without(number)
            (tree / GATE).write_text(source)
            missed = [said for status, said in (run(tree, suite) for suite in suites) if status]
            unnoticed += not missed
            print(f"{'ok  ' if missed else 'GONE'} {name:<20} {' | '.join(missed)}", flush=True)
    return 1 if unnoticed else 0


if __name__ == "__main__":
    sys.exit(main())
