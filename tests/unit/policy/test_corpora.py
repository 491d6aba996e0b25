from __future__ import annotations

import json
from pathlib import Path

import pytest

from sentinel.domain import Verdict
from sentinel.policy import grammar

FOLDER = Path(__file__).parents[2] / "golden" / "policy"


def corpus(name):
    return [json.loads(line) for line in (FOLDER / f"{name}.jsonl").read_text().splitlines()]


def tricks():
    """The tricks whose text is what bash was given: one was a byte that is no text, and is written as \\udcff."""
    return [line for line in corpus("parser_tricks") if "\\udc" not in line["cmd"]]


NOT_ALLOWED = ["bypass_classes", "gtfobins", "safety_net_tests", "options_abuse", "catastrophes"]


@pytest.mark.parametrize("name", NOT_ALLOWED)
def test_nothing_that_must_not_run_is_allowed(verdict, name):
    lines = corpus(name)
    assert [line["cmd"] for line in lines if verdict(line["cmd"]) is Verdict.ALLOW] == []
    assert len(lines) > 100


def test_what_must_be_blocked_is_blocked(verdict):
    lines = [line["cmd"] for line in corpus("bypass_classes") if line["expect"] == "block"]
    assert [cmd for cmd in lines if verdict(cmd) is not Verdict.BLOCK] == []
    assert len(lines) == 9


def test_a_catastrophe_is_blocked(verdict):
    lines = [line["cmd"] for line in corpus("catastrophes")]
    assert [cmd for cmd in lines if verdict(cmd) is not Verdict.BLOCK] == []
    assert len(lines) > 300


def test_what_only_mentions_a_catastrophe_is_not_blocked(verdict):
    lines = [line["cmd"] for line in corpus("mentions")]
    assert [cmd for cmd in lines if verdict(cmd) is Verdict.BLOCK] == []
    assert len(lines) > 200


@pytest.mark.parametrize("name", ["diagnostics_allow", "diagnostics_oncall"])
def test_at_most_one_in_a_hundred_read_only_diagnostics_is_refused(verdict, name):
    lines = [line["cmd"] for line in corpus(name)]
    refused = [cmd for cmd in lines if verdict(cmd) is not Verdict.ALLOW]
    assert len(refused) <= len(lines) // 100, refused


def test_what_is_allowed_of_the_parser_tricks_is_what_bash_executes(verdict):
    allowed = 0
    for line in tricks():
        if verdict(line["cmd"]) is not Verdict.ALLOW:
            continue
        allowed += 1
        tree = grammar.parse(line["cmd"])
        argv = [[word.value for word in simple.argv] for simple in tree.commands]
        for ran in (line["bash_exec_rc0"], line["bash_exec_rc1"]):
            # Of `a && b` only one of the two runs; nothing may run that is not in the tree.
            assert [each for each in ran if each not in argv] == [], line["cmd"]
        assert argv in (line["bash_exec_rc0"], line["bash_exec_rc1"]), line["cmd"]
    assert allowed > 10


def test_what_the_grammar_takes_of_the_parser_tricks_is_what_bash_executes():
    for line in tricks():
        try:
            tree = grammar.parse(line["cmd"])
        except grammar.Reject:
            continue
        argv = [[word.value for word in simple.argv] for simple in tree.commands]
        both = [*line["bash_exec_rc0"], *line["bash_exec_rc1"]]
        assert all(each in argv for each in both), line["cmd"]
        # (What bash was given could not run a path, so that one left no trace.)
        assert all(each in both for each in argv if "/" not in each[0]), line["cmd"]
