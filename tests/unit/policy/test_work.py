"""How much work a text can be, in lines of Python that are executed: the same on every machine."""

from __future__ import annotations

import sys

import pytest

from bench.policy import WORST
from sentinel.policy import shell, validate

LONGEST = 4096
MOST = 700_000  # about 50 ms


def work(policy, text):
    """Return how many lines judging `text` executes, and the verdict."""
    lines = 0

    def count(frame, event, _):
        nonlocal lines
        lines += event == "line"
        return count

    before = sys.gettrace()
    sys.settrace(count)
    try:
        found = validate.judge(policy, text)
    finally:
        sys.settrace(before)
    return lines, found.verdict


@pytest.fixture(scope="module", autouse=True)
def _ready(policy):
    """What is made once is not counted."""
    validate.judge(policy, "ls | wc")
    validate.judge(policy, "grep a /var/log/x")  # the patterns of the paths are made with the first
    shell.outline("ls $(id)")


@pytest.mark.parametrize("family", WORST)
def test_work_is_bounded_and_grows_no_faster_than_the_text(policy, family):
    half, _ = work(policy, WORST[family](LONGEST // 2))
    whole, _ = work(policy, WORST[family](LONGEST))
    assert whole <= MOST
    assert whole <= 2.5 * half + 5_000


@pytest.mark.parametrize("text", ["echo '${'b", "echo a'${'", "grep '${a'b /var/log/x", "'${'b"])
def test_bashlex_ends(policy, text):
    """It goes round for ever on these, growing, unless it is held: the grammar takes them all."""
    assert work(policy, text)[0] < 100_000
    assert shell.outline(text) == []
