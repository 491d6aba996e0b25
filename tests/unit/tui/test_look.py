"""Every value has its word, and no two values that matter look alike without colour."""

from __future__ import annotations

from sentinel.domain import Outcome, Severity, State, Verdict
from sentinel.lifecycle import SERVED_BY, Server
from sentinel.tui import look
from sentinel.tui.line import plain, width


def test_there_is_a_word_for_everything():
    assert set(look.STATE_WORD) == set(look.STATE_MEANING) == set(State)
    assert set(look.SEVERITY_WORD) == set(Severity)
    assert set(look.VERDICT_WORD) == set(look.VERDICT_MEANING) == set(Verdict)
    assert set(look.OUTCOME_WORD) == set(look.OUTCOME_TONE) == set(Outcome)


def test_verdicts_differ_by_sign_and_word_and_rise_with_danger():
    shown = [plain(look.verdict(v)) for v in Verdict]
    assert shown == ["✓ allow", "? REVIEW", "✗ BLOCK"]
    assert plain(look.verdict(None)) == "-"


def test_states_that_wait_for_a_person_are_in_capitals():
    for state in State:
        if SERVED_BY[state] is Server.OPERATOR:
            assert look.needs_you(state)
            assert look.STATE_WORD[state].isupper()
        else:
            assert not look.needs_you(state)


def test_words_fit_their_columns():
    assert max(len(word) for word in look.STATE_WORD.values()) <= 10
    assert max(width(look.verdict(v)) for v in Verdict) <= 8


def test_danger_has_an_order():
    assert look.worse(Verdict.BLOCK, Verdict.REVIEW)
    assert look.worse(Verdict.REVIEW, Verdict.ALLOW)
    assert not look.worse(Verdict.ALLOW, Verdict.ALLOW)


def test_the_legend_explains_every_verdict():
    legend = "\n".join(plain(row) for row in look.legend())
    for verdict in Verdict:
        assert look.VERDICT_WORD[verdict] in legend
        assert look.VERDICT_MEANING[verdict] in legend
