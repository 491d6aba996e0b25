"""What the grammar accepts means to bash exactly what the tree says: which vectors run, on what, in what order.

Where the kernel gives no namespaces, shfmt takes the place of bash (it knows words, redirections and
operators, but not what runs). Without a bound: `python -m tests.differential --count N --seed S`.
"""

from __future__ import annotations

import itertools
import os

import pytest

from sentinel.policy import grammar
from tests.differential import generate, meaning, replay
from tests.differential.sandbox import Record, Run, Sandbox

SEED = 20251121
ACCEPTED = 1500
BY_SHFMT = 300
MADE = 20_000  # at most: a grammar that accepts nothing would otherwise be looked at for ever


def accepted(count, seed=SEED):
    """The first `count` different texts that the grammar accepts, with their trees."""
    found = {}
    for text in itertools.islice(generate.texts(seed, generate.corpus()), MADE):
        try:
            found.setdefault(text, grammar.parse(text))
        except grammar.Reject:
            continue
        if len(found) == count:
            return found
    raise AssertionError(f"seed {seed}: only {len(found)} of {MADE} texts are accepted")


@pytest.fixture(scope="module")
def sandbox():
    """Real bash, or None where there are no namespaces."""
    try:
        with Sandbox() as real:
            yield real
    except Sandbox.Unavailable as reason:
        if os.environ.get("CI"):
            raise  # the real component must be there
        print(f"no namespaces, so shfmt judges: {reason}")
        yield None


def by_bash(texts, sandbox):
    """Yield how bash differs from the trees of `texts`; at least nine of ten must have been judged."""
    judged = 0
    for text, tree in texts.items():
        try:
            found = meaning.difference(tree, sandbox.run(text))
        except meaning.Unknown:
            continue
        judged += 1
        if found:
            yield f"{text!r}: {found}"
    assert judged >= 0.9 * len(texts)


def by_shfmt(texts):
    """How shfmt differs from the trees of `texts`; at least nine of ten must have been judged."""
    wrong, judged = [], 0
    for text, tree in texts.items():
        try:
            seen = meaning.shfmt_outline(text)
        except meaning.Unknown:
            continue
        judged += 1
        if seen != (said := meaning.outline(tree, text)):
            wrong.append(f"{text!r}: the tree says {said}, shfmt {seen}")
    assert judged >= 0.9 * len(texts)
    return wrong


def test_bash_runs_exactly_what_the_tree_says(sandbox):
    print(f"seed {SEED}")
    texts = accepted(ACCEPTED)
    wrong = by_shfmt(texts) if sandbox is None else list(by_bash(texts, sandbox))
    assert wrong == []


def test_shfmt_sees_the_same_words_redirections_and_operators():
    assert by_shfmt(accepted(BY_SHFMT, SEED + 1)) == []


# Each of these once hid a command from some parser of shell text.
HIDDEN = [
    "ls 'a'$(rm y)'b'",
    "ls 'a'`rm y`'b'",
    "ls 'a'<(rm y)'b'",
    "ls $(df\nrm y)",
    "cat <<'E'\nE\nrm y\n'E'",
    "df;#ls '\nrm y\n#'",
    'ls "${x:-$(rm y)}"',
    "{rm,y}",
    ">/dev/null A=1 rm y",
    "A[0]=1 rm y",
    "time rm y",
    "! rm y",
    "rm y & ls",
    "ls |& rm y",
    "ls $(pgrep a; rm y)",
    "ls $(pgrep a)$(rm y)",
    "ls $(pgrep $(rm y))",
    "ls $(pgrep a >y)",
    "ls $(pgrepx a)",
]


@pytest.mark.parametrize("text", HIDDEN)
def test_a_text_that_hides_a_command_is_refused(text):
    with pytest.raises(grammar.Reject):
        grammar.parse(text)


def test_recorded_tricks_run_what_the_tree_says(sandbox):
    accepted, wrong = replay.differences(generate.GOLDEN / "parser_tricks.jsonl", sandbox)
    assert wrong == []
    assert accepted >= 60


def test_without_namespaces_the_sandbox_says_so(monkeypatch):
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(Sandbox.Unavailable, match="not installed: unshare"):
        Sandbox()


PLAINLY = ("in", "out", "err")


@pytest.mark.parametrize(
    "wrong",
    [
        Run((Record(("a", "b"), PLAINLY),), 0),
        Run((Record(("a",), PLAINLY), Record(("b",), PLAINLY)), 0),
        Run((Record(("a",), ("in", "null", "err")),), 0),
        Run((Record(("a",), PLAINLY),), 2),
        Run((), 0),
    ],
    ids=["another vector", "one command more", "another descriptor", "another status", "nothing"],
)
def test_every_kind_of_difference_is_seen(wrong):
    tree = grammar.parse("a")
    right = (Run((Record(("a",), PLAINLY),), 0), Run((Record(("a",), PLAINLY),), 1))
    assert meaning.difference(tree, right) is None
    assert meaning.difference(tree, (wrong, right[1])) is not None


# What a grammar that overlooks an expansion would say the second text is.
CARELESS = [
    ("ls 'a$(b)c'", "ls 'a'$(b)'c'"),
    ("ls '*'", "ls *"),
    ("ls '[a]'", "ls [a]"),
    ("ls '{a,b}'", "ls {a,b}"),
    ("ls '~'", "ls ~"),
    ("ls a '#b'", "ls a #b"),
    ("ls '$a'", "ls $a"),
    ("'a=1' ls", "a=1 ls"),
    ("ls 2 '>/dev/null'", "ls 2>/dev/null"),
    ("'time' ls", "time ls"),
    ("ls 2>&1 >/dev/null", "ls >/dev/null 2>&1"),
    ("a && b || c", "a || b && c"),
    ("ls /t/*", "ls '/t/*'"),
    ("ls /t/*", "ls /t/.*"),
    ("ls $(pgrep a)", "ls $(pgrep b)"),
    ("ls $(pgrep a)", "ls"),
]


@pytest.mark.parametrize(("careless", "text"), CARELESS)
def test_a_tree_that_overlooks_something_is_seen(sandbox, careless, text):
    tree = grammar.parse(careless)
    if sandbox is None:
        assert meaning.shfmt_outline(text) != meaning.outline(tree, careless)
    else:
        assert meaning.difference(tree, sandbox.run(careless)) is None
        assert meaning.difference(tree, sandbox.run(text)) is not None


def test_the_same_seed_makes_the_same_texts():
    known = generate.corpus()
    first, second = (list(itertools.islice(generate.texts(7, known), 50)) for _ in range(2))
    assert first == second
    assert first != list(itertools.islice(generate.texts(8, known), 50))
