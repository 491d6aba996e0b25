from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentinel.policy import grammar, shell


@pytest.mark.parametrize(
    "text",
    [
        "ls",
        "ls -l 'a b'|wc -l",
        "a && b || c; d",
        "ls 2>&1 >/dev/null",
        'x "q" \\y',
        "a &>/dev/null",
    ],
)
def test_bashlex_reads_the_structure_that_the_grammar_reads(text):
    assert shell.agrees(text, grammar.parse(text))


# Reserved words, assignments, options, numbers: where a plain text could be read in two ways, if anywhere.
PLAIN_WORDS = [
    "if", "for", "time", "case", "in", "do", "done", "function", "select", "coproc", "ls", "-l", "--x=y", "a=b", "=x",
    "x=", "+x", "%1", "@", "-", "2", "a,b:c/d.e",
]  # fmt: skip


@given(st.lists(st.sampled_from(PLAIN_WORDS), min_size=1, max_size=6).map(" ".join))
def test_what_a_plain_text_is_compared_with_is_what_bashlex_reads(text):
    try:
        tree = grammar.parse(text)
    except grammar.Reject:
        return
    try:
        by_bashlex = shell._shape_of_text(text) == shell._shape_of_tree(tree)
    except shell.Unreadable:
        by_bashlex = False
    assert shell.agrees(text, tree) is by_bashlex


def test_a_different_structure_does_not_agree():
    assert not shell.agrees("ls | wc", grammar.parse("ls ; wc"))
    assert not shell.agrees("ls  a", grammar.parse("ls a"))


@pytest.mark.parametrize(
    "text",
    ["", " ", "# x", "time ls", "echo $((1+1))", "[[ -f x ]]", "case a in a) ls;; esac", "'", "$(" * 500,
     "(" * 400, "a|" * 300, "x" * 5000, "cat <<'E'\nE\nls", "ls \x00", "\udcff"],
)  # fmt: skip
def test_whatever_bashlex_does_is_an_answer(text):
    assert isinstance(shell.outline(text), list)
    assert not shell.agrees(text, grammar.parse("ls"))


def test_the_stored_tables_are_those_that_bashlex_builds():
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys; from sentinel.policy import shell; sys.stdout.buffer.write(shell.built())",
        ],
        capture_output=True,
        check=True,
    )
    assert done.stdout == shell.stored(), "run: python -m sentinel.policy.shell"


def test_a_bashlex_with_another_grammar_builds_its_own_tables():
    program = (
        "from sentinel.policy import shell; t = shell._decoded(); t.grammar = 'other'; t.rows.clear();"
        "m, used = shell._import(t); assert used is not t; print(m.parse('ls | wc')[0].kind)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, check=True, text=True
    )
    assert done.stdout.strip() == "pipeline"
