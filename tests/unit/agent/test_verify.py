from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentinel import canonical
from sentinel.agent.detect import Table
from sentinel.agent.verify import Verifier
from sentinel.domain import Metric, Recovery, Sample, Verification

MEMORY = Recovery(
    metric=Metric.MEMORY_USED, subject="", clear_below=800, clear_for_ms=3000, deadline_ms=20_000
)
PROCESS = Recovery(
    metric=Metric.PROCESS_RSS, subject="9:9", clear_below=800, clear_for_ms=3000, deadline_ms=20_000
)


def sample(value, at_ms, recovery=MEMORY):
    return Sample(metric=recovery.metric, subject=recovery.subject, value=value, at_ms=at_ms)


def verify(values, recovery=MEMORY, start_ms=1000, every_ms=1000):
    """Feed one value a second, None for a second without a reading; return the answer and its time."""
    verifier = Verifier("an-incident", recovery, start_ms)
    for index, value in enumerate(values):
        now = start_ms + index * every_ms
        readings = [] if value is None else [sample(value, now, recovery)]
        if (answer := verifier.step(readings, now)) is not None:
            return answer, now - start_ms
    return None, None


def test_it_has_recovered_after_the_whole_time_below():
    answer, after = verify([950, 799, 799, 799, 799, 799])
    assert after == 4000
    assert answer == Verification(
        incident="an-incident",
        recovered=True,
        observed=799,
        samples=(950, 799, 799, 799, 799),
        reason="below 80.0% for 3.0 s",
        at_ms=5000,
    )


def test_the_clear_level_itself_is_not_below_it():
    answer, after = verify([800] * 30)
    assert (answer.recovered, after) == (False, 20_000)
    assert answer.reason == "still 80.0%, not below 80.0%, within 20 s"


def test_one_high_reading_starts_the_time_anew():
    assert verify([799, 799, 799, 801, 799, 799, 799, 799])[1] == 7000


def test_silence_is_not_recovery():
    answer, after = verify([None] * 30)
    assert (answer.recovered, answer.observed, answer.samples, after) == (False, None, (), 20_000)
    assert "no readings" in answer.reason


def test_a_low_reading_and_then_silence_is_not_recovery():
    answer, _ = verify([799, 799] + [None] * 30)
    assert not answer.recovered
    assert answer.reason == "below 80.0% for 1.0 s of 3.0 s, within 20 s"


def test_readings_too_far_apart_do_not_make_a_time():
    slow = Recovery(
        metric=Metric.MEMORY_USED,
        subject="",
        clear_below=800,
        clear_for_ms=3000,
        deadline_ms=90_000,
    )
    answer, _ = verify([799] * 10, slow, every_ms=30_001)
    assert not answer.recovered


def test_readings_from_before_the_plan_had_ended_do_not_count():
    verifier = Verifier("an-incident", MEMORY, 10_000)
    for at_ms in range(5000, 10_000, 1000):
        assert verifier.step([sample(1, at_ms)], 10_000) is None
    assert verifier.step([], 30_000).observed is None


@pytest.mark.parametrize(
    "other", [{"metric": Metric.SWAP_USED}, {"subject": "/"}], ids=["metric", "subject"]
)
def test_another_signal_says_nothing(other):
    verifier = Verifier("an-incident", MEMORY, 0)
    fields = {"metric": Metric.MEMORY_USED, "subject": "", "value": 1, **other}
    assert all(verifier.step([Sample(at_ms=t, **fields)], t) is None for t in range(0, 9000, 500))


def test_a_process_that_is_gone_reads_as_nothing_for_the_whole_clear_time():
    verifier = Verifier("an-incident", PROCESS, 0)
    gone = Table(gone=frozenset({"9:9"}))
    answers = [verifier.step([], t, gone) for t in range(0, 4000, 1000)]
    assert [a is None for a in answers] == [True, True, True, False]
    assert (answers[3].recovered, answers[3].observed, answers[3].samples) == (True, 0, (0,) * 4)
    assert "gone" in answers[3].reason


def test_a_process_that_a_reading_does_not_mention_is_not_gone():
    verifier = Verifier("an-incident", PROCESS, 0)
    other = Table(samples=(sample(1, 0),), gone=frozenset({"8:8"}))
    answers = [verifier.step([], t, other) for t in range(0, 21_000, 1000)]
    assert "no readings" in answers[-1].reason


def test_recovery_at_the_very_deadline_is_recovery():
    answer, after = verify([950] * 17 + [1] * 9)
    assert (answer.recovered, after) == (True, 20_000)


def test_a_clock_that_is_set_back_does_not_stop_the_verification():
    verifier = Verifier("an-incident", MEMORY, 50_000_000)
    answers = [verifier.step([sample(1, t)], t) for t in range(0, 5000, 1000)]
    assert answers[3].recovered


@given(
    st.lists(st.one_of(st.none(), st.integers(-(2**53), 2**53)), max_size=40),
    st.integers(0, 10_000),
    st.integers(1000, 60_000),
)
def test_it_answers_once_by_its_deadline_and_only_after_low_readings(values, clear_ms, deadline):
    wanted = Recovery(
        metric=Metric.MEMORY_USED,
        subject="",
        clear_below=800,
        clear_for_ms=clear_ms,
        deadline_ms=deadline,
    )
    answer, after = verify([*values, *[None] * 70], wanted)
    assert after <= deadline + 999
    assert canonical.decode(Verification, canonical.encode(answer), limit=10**5) == answer
    if answer.recovered:
        read = [(1000 * i, v) for i, v in enumerate(values) if v is not None and 1000 * i <= after]
        high = [at_ms for at_ms, value in read if value >= 800]
        low = [at_ms for at_ms, value in read if at_ms > max(high, default=-1)]
        assert low[-1] - low[0] >= clear_ms
