"""Mutation testing of sentinel/policy: `make mutants`, or `python -m tests.mutation.run [--each 60] [--only FILE]`.

Each mutant is one small change of the source that some test must notice: a comparison or a boolean operator
turned, a condition negated, a constant off by one, a `raise`, `return` or `continue` taken out, a member of a
set or tuple dropped. They are made in a copy of the tree, never in the work tree; per file a sample of them is
drawn with a fixed seed, and tried with the tests that are named beside the file below, the quickest first.

A result is kept in `.mutants.json` (a run that was stopped goes on where it was); `survivors.txt` beside this
file lists those that no test notices, each with the reason why that may be. One without a reason ends the run
with 1.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import copy
import hashlib
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import NoReturn

import pytest

ROOT = Path(__file__).parents[2]
POLICY = Path("sentinel/policy")
KEPT = ROOT / ".mutants.json"
SURVIVORS = Path(__file__).parent / "survivors.txt"
SEED = 20
UNIT = "tests/unit/policy/"
READERS = UNIT + "readers/"
# File of the engine -> the tests of it, the quickest first.
TESTS = {
    "grammar.py": ["test_grammar.py", "test_open_words.py", "test_shell.py", "test_validate.py"],
    "options.py": ["test_options.py", "test_command.py"],
    "command.py": ["test_command.py", "test_open_words.py", "test_attacks.py"],
    "kinds.py": ["test_kinds.py", "test_open_words.py"],
    "paths.py": ["test_paths.py", "test_kinds.py", "readers/test_files.py"],
    "scan.py": ["test_scan.py", "test_never.py", "test_mutations.py"],
    "fits.py": ["test_never.py", "test_attacks.py"],
    "never.py": ["test_never.py", "test_attacks.py", "test_mutations.py"],
    "shell.py": ["test_shell.py", "test_validate.py", "test_open_words.py"],
    "validate.py": ["test_validate.py", "test_open_words.py", "test_limits.py", "test_attacks.py"],
    "readers/awk.py": ["readers/test_awk.py"],
    "readers/cluster.py": ["readers/test_cluster.py"],
    "readers/data.py": ["readers/test_data.py"],
    "readers/files.py": ["readers/test_files.py"],
    "readers/sed.py": ["readers/test_sed.py"],
    "readers/text.py": ["readers/test_text.py"],
    "readers/web.py": ["readers/test_web.py"],
}
_TURNED = {
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}


def mutants(source: str) -> list[tuple[int, int]]:
    """Return every mutant: the number of a node of the source's tree, and in which way it is changed."""
    found: list[tuple[int, int]] = []
    for number, node in enumerate(ast.walk(ast.parse(source))):
        variant = 0
        while _change(_shallow(node), variant):
            found.append((number, variant))
            variant += 1
    return found


def _shallow(node: ast.AST) -> ast.AST:
    twin = copy.copy(node)
    for name, value in ast.iter_fields(node):
        if isinstance(value, list):
            setattr(twin, name, list(value))
    return twin


def _made(source: str, number: int, variant: int) -> tuple[str, str]:
    """Return what a mutant changes (line, old and new code), and its source."""
    tree = ast.parse(source)
    node = next(each for at, each in enumerate(ast.walk(tree)) if at == number)
    before = ast.unparse(node)
    members = [ast.unparse(each) for each in getattr(node, "elts", ())]
    _change(node, variant)
    after = f"without {members[variant]}" if members else _short(ast.unparse(node))
    name = f"{getattr(node, 'lineno', 0)}: {_short(before)}  =>  {after}"
    return name, ast.unparse(ast.fix_missing_locations(tree))


def _short(code: str) -> str:
    flat = " ".join(code.split())
    return flat if len(flat) <= 90 else flat[:45] + " ... " + flat[-40:]


def _change(node: ast.AST, variant: int) -> bool:
    """Change `node` in its `variant`-th way; False where there are no more."""
    match node:
        case ast.Compare() if variant < len(node.ops):
            node.ops[variant] = _TURNED[type(node.ops[variant])]()
        case ast.BoolOp() if variant == 0:
            node.op = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        case ast.UnaryOp(op=ast.Not()) if variant == 0:
            node.op = ast.UAdd()
            node.operand = ast.Call(ast.Name("bool", ast.Load()), [node.operand], [])
        case ast.Constant(value=bool()) if variant == 0:
            node.value = not node.value
        case ast.Constant(value=int(number)) if variant < 2:
            node.value = number + (1 if variant else -1)
        case ast.If() | ast.While() | ast.IfExp() if variant == 0:
            node.test = ast.UnaryOp(ast.Not(), node.test)
        case ast.Set() | ast.Tuple() | ast.List() if variant < len(node.elts) > 1:
            if not isinstance(getattr(node, "ctx", ast.Load()), ast.Load):
                return False
            del node.elts[variant]
        case ast.AugAssign() if variant == 0:
            node.op = ast.Sub() if isinstance(node.op, ast.Add) else ast.Add()
        case ast.FunctionDef() | ast.If() | ast.For() | ast.While():
            return _strike(node, variant - (not isinstance(node, ast.FunctionDef | ast.For)))
        case _:
            return False
    return True


def _strike(node: ast.FunctionDef | ast.If | ast.For | ast.While, variant: int) -> bool:
    """Take out the `variant`-th statement of a body that only raises, returns, goes on or calls."""
    plain = [
        at
        for at, each in enumerate(node.body)
        if isinstance(each, ast.Raise | ast.Return | ast.Continue | ast.Break)
        or (isinstance(each, ast.Expr) and isinstance(each.value, ast.Call))
    ]
    if not 0 <= variant < len(plain):
        return False
    node.body[plain[variant]] = ast.Pass()
    return True


def _sample(file: str, each: int) -> list[tuple[str, str]]:
    """Return up to `each` mutants of a file, the same ones every time."""
    source = (ROOT / POLICY / file).read_text()
    found = mutants(source)
    drawn = random.Random(f"{SEED} {file}").sample(found, min(each, len(found)))
    # These are drawn all the same, so that the others are those that survivors.txt argues of.
    types, truths = _annotations(source), _truths(source)
    return [
        _made(source, number, variant)
        for number, variant in drawn
        if number not in types and not (number in truths and variant)
    ]


def _truths(source: str) -> set[int]:
    """Return the numbers of True and False: a number in their place is one of the two again."""
    return {
        number
        for number, node in enumerate(ast.walk(ast.parse(source)))
        if isinstance(node, ast.Constant) and isinstance(node.value, bool)
    }


def _annotations(source: str) -> set[int]:
    """Return the numbers of the nodes that only say what type something has: no test can notice those."""
    tree = ast.parse(source)
    numbers = {id(node): number for number, node in enumerate(ast.walk(tree))}
    said = [
        part
        for node in ast.walk(tree)
        for part in (getattr(node, "annotation", None), getattr(node, "returns", None))
        if part is not None
    ]
    return {numbers[id(each)] for part in said for each in ast.walk(part)}


def _dies(tree: Path, file: str, source: str, seconds: float) -> bool:
    """Say whether a test fails, or takes longer than that, with `source` in the place of `file`."""
    path = tree / POLICY / file
    kept = path.read_text()
    path.write_text(source)
    try:
        # A child of this process has pytest and its plug-ins already; only the engine is imported anew.
        child = os.fork()
        if child == 0:
            _tests(tree, file, int(seconds) + 1)
        _, status = os.waitpid(child, 0)
    finally:
        path.write_text(kept)
    return status != 0


def _tests(tree: Path, file: str, seconds: int) -> NoReturn:
    """Run the tests of `file`, and end this process with their result."""
    signal.alarm(seconds)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nowhere, descriptor)
    _forget()
    names = [UNIT + name for name in TESTS[file] if (tree / UNIT / name).exists()]
    result = 3
    try:
        result = pytest.main(["-x", "-q", "-p", "no:randomly", "-p", "no:cacheprovider", *names])
    finally:
        os._exit(int(result))


def _forget() -> None:
    """Have the engine and the tests imported anew; what else the project has may stay."""
    for name in [
        each for each in sys.modules if each.startswith(("sentinel.policy", "tests", "bench"))
    ]:
        del sys.modules[name]


def _argued() -> dict[str, str]:
    """Return the reasons in survivors.txt by `file line: change`, without the line's number."""
    found: dict[str, str] = {}
    if SURVIVORS.exists():
        for line in SURVIVORS.read_text().splitlines():
            name, _, reason = line.partition("  ## ")
            if reason:
                found[_key(name)] = reason
    return found


def _key(name: str) -> str:
    """Leave the line's number out of a mutant's name: code above it may change."""
    file, _, change = name.partition(":")
    return f"{file}:{change.partition(':')[2]}"


def main() -> int:
    """Try the mutants until all are tried or the time is over, and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--each", type=int, default=60, help="mutants of a file")
    parser.add_argument("--only", action="append", help="a file of sentinel/policy")
    parser.add_argument("--minutes", type=float, default=30)
    given = parser.parse_args()
    files = given.only or list(TESTS)
    known: dict[str, bool] = json.loads(KEPT.read_text()) if KEPT.exists() else {}
    end = time.monotonic() + given.minutes * 60
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        tree = Path(folder)
        for name in ("sentinel", "tests", "bench", "pyproject.toml"):
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(source, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, tree / name)
        os.chdir(tree)
        sys.path[:] = [str(tree), *(each for each in sys.path if each not in ("", str(ROOT)))]
        sys.dont_write_bytecode = True
        _forget()
        # What is imported here once, every child has.
        with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
            pytest.main(["--collect-only", "-q", "-p", "no:cacheprovider", str(tree / UNIT)])
        results = {file: _try(tree, file, given.each, known, end) for file in files}
    return _report(results)


def _try(tree: Path, file: str, each: int, known: dict[str, bool], end: float) -> dict[str, bool]:
    """Return for each mutant of `file` that could be tried whether it died."""
    found: dict[str, bool] = {}
    sample = _sample(file, each)
    start = time.monotonic()
    if _dies(tree, file, (ROOT / POLICY / file).read_text(), 300):
        print(f"{file}: its tests fail as it is", file=sys.stderr)
        return found
    seconds = 5 + 3 * (time.monotonic() - start)
    tests = "".join(
        (tree / UNIT / name).read_text() for name in TESTS[file] if (tree / UNIT / name).exists()
    )
    for name, source in sample:
        digest = hashlib.sha256((source + tests).encode()).hexdigest()
        if digest not in known:
            if time.monotonic() > end:
                continue
            known[digest] = _dies(tree, file, source, seconds)
            KEPT.write_text(json.dumps(known))
        found[f"{file}:{name}"] = known[digest]
    died = sum(found.values())
    print(f"{file:20} {died:3} of {len(found):3} died", flush=True)
    return found


def _report(results: dict[str, dict[str, bool]]) -> int:
    argued = _argued()
    alive = [name for found in results.values() for name, died in found.items() if not died]
    total = sum(map(len, results.values()))
    print(f"{total - len(alive)} of {total} died; survivors:")
    for name in alive:
        print(f"{name}  ## {argued.get(_key(name), 'TO BE ARGUED')}")
    return 1 if any(_key(name) not in argued for name in alive) else 0


if __name__ == "__main__":
    sys.exit(main())
