from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentinel import canonical
from sentinel.agent.detect import (
    MAX_PER_STEP,
    MAX_RAISED,
    MAX_WATCHED,
    RING,
    Clear,
    Detector,
    Rule,
    Table,
    comm_of,
    slope_per_min,
)
from sentinel.domain import Anomaly, Kind, Metric, Recovery, Sample
from sentinel.errors import ConfigError


def rule(**changes):
    fields = {
        "id": "memory",
        "metric": Metric.MEMORY_USED,
        "kind": Kind.MEMORY,
        "above": 900,
        "for_ms": 3000,
        "clear_below": 800,
        "clear_for_ms": 2000,
    }
    return Rule(**{**fields, **changes})


HOG = {"id": "hog", "metric": Metric.PROCESS_RSS, "for_ms": 0}


def sample(value, at_ms, metric=Metric.MEMORY_USED, subject=""):
    return Sample(metric=metric, subject=subject, value=value, at_ms=at_ms)


def run(detector, values, start_ms=0, every_ms=1000, **where):
    """Feed one value after another; return what came of each round."""
    times = range(start_ms, start_ms + len(values) * every_ms, every_ms)
    return [detector.step([sample(v, t, **where)], t) for v, t in zip(values, times, strict=True)]


def processes(values, at_ms, names=None, gone=()):
    """A reading of the process table: subject -> resident bytes."""
    return Table(
        samples=tuple(
            sample(v, at_ms, Metric.PROCESS_RSS, subject) for subject, v in values.items()
        ),
        names=names or {},
        gone=frozenset(gone),
    )


def test_a_rule_raises_once_it_has_held_for_its_time():
    rounds = run(Detector([rule()]), [950, 951, 952, 953, 954, 955])
    assert [len(r) for r in rounds] == [0, 0, 0, 1, 0, 0]
    (raised,) = rounds[3]
    assert isinstance(raised, Anomaly)
    assert (raised.value, raised.threshold, raised.since_ms, raised.detected_ms) == (
        953,
        900,
        0,
        3000,
    )
    assert raised.samples == (950, 951, 952, 953)
    assert raised.slope_per_min == 60


def test_the_limit_itself_is_not_above_it():
    assert not any(run(Detector([rule()]), [900] * 10))


def test_one_reading_at_the_limit_starts_the_time_anew():
    rounds = run(Detector([rule()]), [950, 950, 950, 900, 950, 950, 950, 950])
    assert [len(r) for r in rounds] == [0, 0, 0, 0, 0, 0, 0, 1]


def test_a_rule_without_a_time_raises_at_its_first_reading():
    assert run(Detector([rule(for_ms=0)]), [901])[0]


def test_it_clears_only_after_its_whole_time_below_the_clear_level():
    detector = Detector([rule(for_ms=0)])
    rounds = run(detector, [950, 850, 850, 850, 799, 799, 800, 799, 799, 799, 799])
    assert [len(r) for r in rounds] == [1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0]
    (cleared,) = rounds[9]
    assert isinstance(cleared, Clear)
    assert cleared.anomaly == rounds[0][0]
    assert (cleared.observed, cleared.at_ms) == (799, 9000)


def test_a_signal_that_swings_over_its_limit_is_one_fault():
    rounds = run(Detector([rule(for_ms=0)]), [950, 850, 950, 799, 950, 850] * 20)
    assert sum(len(r) for r in rounds) == 1


def test_after_it_has_cleared_it_can_be_raised_again():
    detector = Detector([rule(for_ms=0, clear_for_ms=0)])
    rounds = run(detector, [950, 700, 950, 700])
    assert [type(r[0]) for r in rounds] == [Anomaly, Clear, Anomaly, Clear]


def test_silence_is_not_recovery():
    detector = Detector([rule(for_ms=0)])
    run(detector, [950])
    assert not any(detector.step([], t, Table()) for t in range(1000, 600_000, 1000))
    assert not run(detector, [700], start_ms=600_000)[0]


def test_two_low_readings_with_a_silence_between_them_are_no_recovery():
    detector = Detector([rule(for_ms=0)], gap_ms=10_000)
    run(detector, [950])
    rounds = run(detector, [700, 700], start_ms=1000, every_ms=10_001)
    assert rounds == [(), ()]
    assert run(detector, [700], start_ms=15_000)[0]


def test_two_high_readings_with_a_silence_between_them_do_not_raise():
    assert run(Detector([rule()], gap_ms=10_000), [950, 950], every_ms=10_001) == [(), ()]


def test_a_clock_that_is_set_back_neither_raises_nor_blocks():
    detector = Detector([rule()])
    run(detector, [950, 950], start_ms=10_000_000)
    rounds = run(detector, [950] * 4, start_ms=5000)
    assert [len(r) for r in rounds] == [0, 0, 0, 1]
    assert rounds[3][0].since_ms == 5000
    assert rounds[3][0].samples == (950,) * 4


def test_rules_on_one_metric_and_subjects_of_one_rule_do_not_mix():
    disk = {"metric": Metric.FS_USED, "for_ms": 0}
    detector = Detector([rule(id="a", **disk), rule(id="b", above=950, **disk)])
    found = detector.step(
        [sample(940, 0, Metric.FS_USED, "/"), sample(960, 0, Metric.FS_USED, "/var")], 0
    )
    assert {(f.rule, f.subject) for f in found} == {("a", "/"), ("a", "/var"), ("b", "/var")}


def test_a_rule_with_a_subject_minds_no_other():
    detector = Detector([rule(metric=Metric.FS_USED, subject="/var", for_ms=0)])
    readings = [sample(990, 0, Metric.FS_USED, where) for where in ("/", "/var")]
    assert [f.subject for f in detector.step(readings, 0)] == ["/var"]


def test_a_slope_rule_wants_the_level_and_the_rise():
    steep = rule(slope_per_min_above=600, for_ms=0)
    flat = run(Detector([steep]), [950] * 30)
    slow = run(Detector([steep]), [910 + i for i in range(30)])  # 60 a minute
    fast = run(Detector([steep]), [700 + 11 * i for i in range(30)])  # 660 a minute
    low = run(Detector([steep]), [100 + 11 * i for i in range(30)])
    assert [any(r) for r in (flat, slow, fast, low)] == [False, False, True, False]


def test_a_slope_is_taken_over_the_last_minute_only():
    detector = Detector([rule(slope_per_min_above=1100, for_ms=0)])
    leak = [500] * 60 + [500 + 20 * i for i in range(62)]  # 1200 a minute
    assert any(run(detector, leak))


def test_the_ring_holds_the_newest_readings():
    rounds = run(Detector([rule()]), [*range(500), 901, 902, 903, 904])
    (raised,) = rounds[-1]
    assert len(raised.samples) == RING
    assert raised.samples[-5:] == (499, 901, 902, 903, 904)


def test_a_process_rule_minds_only_processes_of_that_name():
    detector = Detector([rule(process="demo-hog", **HOG)])
    found = detector.step(
        [], 0, processes({"1:1": 999, "2:2": 999}, 0, {"1:1": "demo-hog", "2:2": "postgres"})
    )
    assert [f.subject for f in found] == ["1:1"]


def test_a_long_process_name_is_compared_as_the_kernel_cuts_it():
    detector = Detector([rule(process="sentinel-demo-hog", **HOG)])
    assert detector.step([], 0, processes({"1:1": 999}, 0, {"1:1": "sentinel-demo-h"}))
    assert comm_of("sentinel-demo-hög") == "sentinel-demo-h"
    assert comm_of(b"\xff\x1b(x) S 1") == "\\xff\x1b(x) S 1"


def test_a_process_that_runs_another_program_by_now_is_another_matter():
    detector = Detector([rule(process="hog", **{**HOG, "for_ms": 2000})])
    names = ["hog", "hog", "vim", "hog", "hog", "hog"]
    rounds = [
        detector.step([], t * 1000, processes({"1:1": 999}, t * 1000, {"1:1": name}))
        for t, name in enumerate(names)
    ]
    assert [len(r) for r in rounds] == [0, 0, 0, 0, 0, 1]


def test_a_process_that_is_gone_clears_at_once_and_says_so():
    detector = Detector([rule(**HOG)])
    detector.step([], 0, processes({"1:1": 999}, 0))
    (cleared,) = detector.step([], 500, processes({}, 500, gone=["1:1"]))
    assert isinstance(cleared, Clear)
    assert (cleared.observed, cleared.reason) == (0, "process 1:1 is gone")
    assert detector.watching().subjects == frozenset()


def test_a_process_that_a_reading_does_not_mention_is_not_gone():
    detector = Detector([rule(**HOG)])
    detector.step([], 0, processes({"1:1": 999}, 0))
    assert detector.step([], 500, processes({"2:2": 1}, 500)) == ()
    assert "1:1" in detector.watching().subjects


def test_a_filesystem_that_is_no_longer_read_stays_raised():
    detector = Detector([rule(metric=Metric.FS_USED, for_ms=0)])
    run(detector, [990], metric=Metric.FS_USED, subject="/data")
    assert not any(detector.step([sample(1, t, Metric.FS_USED, "/")], t) for t in range(99))
    rounds = run(detector, [990, 990], 1000, metric=Metric.FS_USED, subject="/data")
    assert rounds == [(), ()]


def test_after_a_restart_an_open_anomaly_is_not_raised_again_but_clears():
    (raised,) = run(Detector([rule(for_ms=0)]), [950])[0]
    after = Detector([rule(for_ms=0)])
    after.resume(raised)
    rounds = run(after, [950, 960, 700, 700, 700, 950], start_ms=1000)
    assert [len(r) for r in rounds] == [0, 0, 0, 0, 1, 1]
    assert rounds[4][0].anomaly == raised
    assert isinstance(rounds[5][0], Anomaly)


@pytest.mark.parametrize(
    "rules",
    [[], [rule(metric=Metric.SWAP_USED, for_ms=0)], [rule(for_ms=0, above=100, clear_below=50)]],
    ids=["rule gone", "rule about something else", "rule with other limits"],
)
def test_an_anomaly_whose_rule_has_changed_clears_at_the_levels_it_was_raised_with(rules):
    (raised,) = run(Detector([rule(for_ms=0)]), [950])[0]
    after = Detector(rules)
    after.resume(raised)
    after.resume(raised)
    other = run(after, [700] * 4, metric=Metric.SWAP_USED)
    rounds = run(after, [900, 799, 799, 799, 799], start_ms=1000)
    cleared = [f for r in rounds for f in r if isinstance(f, Clear)]
    assert [c.anomaly for c in cleared] == [raised]
    assert not any(isinstance(f, Clear) for r in other for f in r)
    assert not [f for r in run(Detector([]), [999] * 9) for f in r]


def test_a_rule_that_lived_for_one_anomaly_raises_nothing_after_it():
    (raised,) = run(Detector([rule(for_ms=0)]), [950])[0]
    after = Detector([])
    after.resume(raised)
    run(after, [700] * 4)
    assert not any(run(after, [999] * 20, start_ms=9000))


def test_a_storm_is_told_over_several_steps_worst_first_and_whole():
    detector = Detector([rule(**HOG)])
    storm = {f"{pid}:1": 1000 + pid for pid in range(1, 31)}
    rounds = [detector.step([], t, processes(storm, t)) for t in range(5)]
    assert [len(r) for r in rounds] == [MAX_PER_STEP] * 3 + [6, 0]
    assert [f.value for r in rounds for f in r] == list(range(1030, 1000, -1))


def test_what_is_remembered_is_bounded_when_subjects_come_and_go():
    detector = Detector([rule(**HOG), rule(for_ms=100_000)])
    for t in range(0, 60_000, 1000):
        crowd = {f"{t + pid}:1": 999 for pid in range(500)}
        detector.step([sample(950, t)], t, processes(crowd, t))
        assert len(detector.watching().subjects) <= MAX_WATCHED + MAX_RAISED
    # The host's own signal has outlived the churn: its time is counted from the first reading.
    later = [f for t in range(60_000, 102_000, 1000) for f in detector.step([sample(950, t)], t)]
    assert [(f.rule, f.since_ms) for f in later] == [("memory", 0)]


def test_open_anomalies_are_bounded_and_the_next_waits_for_a_place():
    detector = Detector([rule(**HOG)])
    crowd = {f"{pid}:1": 999 for pid in range(1, MAX_RAISED + 2)}
    raised = [f for t in range(40) for f in detector.step([], t, processes(crowd, t))]
    assert len(raised) == MAX_RAISED
    waiting = (set(crowd) - {f.subject for f in raised}).pop()
    gone = raised[0].subject
    found = detector.step([], 50, processes({waiting: 999}, 50, gone=[gone]))
    assert [type(f) for f in found] == [Clear, Anomaly]


def test_the_table_is_asked_for_only_what_the_rules_need():
    assert not Detector([rule()]).watching().metrics
    zombies = Detector([rule(metric=Metric.ZOMBIES)]).watching()
    assert zombies.everyone == zombies.metrics == {Metric.ZOMBIES}
    named = Detector([rule(process="a-very-long-process-name", **HOG)]).watching()
    assert (named.names, named.everyone) == ({"a-very-long-pro"}, frozenset())


def test_a_recovery_under_verification_is_asked_for_too():
    recovery = Recovery(
        metric=Metric.PROCESS_RSS, subject="7:7", clear_below=5, clear_for_ms=1, deadline_ms=1000
    )
    watch = Detector([]).watching(recovery)
    assert (watch.metrics, watch.subjects) == ({Metric.PROCESS_RSS}, {"7:7"})
    dead = Recovery(
        metric=Metric.ZOMBIES, subject="", clear_below=5, clear_for_ms=1, deadline_ms=1000
    )
    assert Detector([]).watching(dead).everyone == {Metric.ZOMBIES}


def test_it_says_when_something_is_near_its_limit():
    detector = Detector([rule()])
    assert [run(detector, [v]) and detector.near for v in (800, 811, 905, 100)] == [
        False,
        True,
        True,
        False,
    ]


@pytest.mark.parametrize(
    "changes",
    [{"clear_below": 901}, {"clear_below": 0}, {"above": 0, "clear_below": 0}, {"process": "x"}],
)
def test_a_rule_that_can_never_do_its_work_is_refused(changes):
    with pytest.raises(ConfigError, match="rule memory"):
        rule(**changes)


def test_two_rules_of_one_name_are_refused():
    with pytest.raises(ConfigError, match="twice"):
        Detector([rule(), rule()])


@given(
    st.lists(
        st.tuples(st.integers(0, 10**9), st.integers(-(2**53), 2**53)), min_size=2, max_size=30
    )
)
def test_the_slope_is_the_least_squares_slope(points):
    times, values = [t for t, _ in points], [v for _, v in points]
    mean_t, mean_v = Fraction(sum(times), len(times)), Fraction(sum(values), len(values))
    spread = sum((t - mean_t) ** 2 for t in times)
    if spread == 0:
        assert slope_per_min(times, values) is None
    else:
        exact = sum((t - mean_t) * (v - mean_v) for t, v in points) / spread * 60_000
        assert slope_per_min(times, values) == max(-(2**53), min(2**53, exact // 1))


SUBJECTS = st.sampled_from(["", "/", "1:1", "2:2"])
READINGS = st.builds(
    Sample,
    metric=st.sampled_from([Metric.MEMORY_USED, Metric.PROCESS_RSS, Metric.FS_USED]),
    subject=SUBJECTS,
    value=st.one_of(st.integers(0, 1200), st.integers(-(2**70), 2**70)),
    at_ms=st.one_of(st.integers(0, 60_000), st.integers(0, 2**53)),
)
ROUNDS = st.lists(
    st.tuples(
        st.lists(READINGS, max_size=6),
        st.builds(
            Table,
            samples=st.lists(READINGS, max_size=6).map(tuple),
            names=st.dictionaries(SUBJECTS, st.sampled_from(["hog", "vim"])),
            gone=st.frozensets(st.sampled_from(["1:1", "2:2"])),
        ),
    ),
    max_size=30,
)


@given(ROUNDS)
def test_whatever_comes_one_fault_is_one_anomaly_until_it_clears(rounds):
    detector = Detector(
        [
            rule(for_ms=0),
            rule(process="hog", **HOG),
            rule(id="any", metric=Metric.PROCESS_RSS, for_ms=1000, clear_for_ms=0),
            rule(id="disk", metric=Metric.FS_USED, slope_per_min_above=1, for_ms=0),
        ]
    )
    open_now = set()
    for now_ms, (samples, table) in enumerate(rounds):
        for found in detector.step(samples, now_ms, table):
            if isinstance(found, Anomaly):
                key = (found.rule, found.subject)
                assert key not in open_now
                assert found.value > found.threshold
                assert len(found.samples) <= RING
                assert canonical.decode(Anomaly, canonical.encode(found), limit=10**5) == found
                open_now.add(key)
            else:
                open_now.remove((found.anomaly.rule, found.anomaly.subject))
                assert found.observed < found.anomaly.clear_below
        watch = detector.watching()
        assert {s for r, s in open_now if r in ("hog", "any") and s} <= watch.subjects
