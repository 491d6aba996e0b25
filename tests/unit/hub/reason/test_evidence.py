from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings

from sentinel import canonical
from sentinel.domain import Change, Evidence, LogLine, Metric, Pressure, Report, Unit
from sentinel.hub.reason import evidence
from sentinel.hub.reason.picture import picture
from tests.unit.strategies import values

from .builders import CASES, GIB, HOG, NOW, deleted, log_file, report


def said(topic, told):
    return [f.evidence.text for f in evidence.facts(picture(told)) if f.topic == topic]


def test_the_signal_comes_first_with_its_limit_in_human_units():
    first = evidence.gather(report())[0]
    assert first == Evidence(
        id="E1",
        text="resident memory of leaky-worker (pid 4121) is 4.0 GiB, over its limit of 2.0 GiB for 5.0 s",
    )


def test_the_facts_are_numbered_without_a_gap():
    found = evidence.gather(report())
    assert [e.id for e in found] == [f"E{n}" for n in range(1, len(found) + 1)]


def test_a_rising_signal_says_when_nothing_will_be_left():
    told = report(anomaly={"slope_per_min": 64 << 20})
    assert said("rising", told) == [
        "resident memory is rising by 64 MiB per minute; at this rate full in 16 min"
    ]


def test_a_falling_signal_says_so_and_promises_nothing():
    told = report(Metric.FS_USED, anomaly={"slope_per_min": -3})
    assert said("falling", told) == ["space used is falling by 0.3% per minute"]


def test_a_filesystem_that_fills_says_when_it_will_be_full():
    told = report(Metric.FS_USED, anomaly={"slope_per_min": 10})
    assert said("rising", told)[0].endswith("full in 5 min")


def test_the_culprit_is_named_with_pid_unit_share_and_age():
    (text,) = said("culprit", report())
    assert text == (
        "P1 leaky-worker (pid 4121, user app, unit app.service, running 1 h 2 min): 4.0 GiB resident,"
        " 95.0% CPU, 900 open files, 57.1% of the memory in use"
    )


def test_an_out_of_memory_kill_in_the_log_is_evidence():
    assert "Killed process 77" in said("oom", report())[0]


def test_changes_before_the_onset_count_and_later_ones_do_not():
    told = report(
        changes=(
            Change(at_ms=NOW - 66_000, what="file", text="/etc/app.conf was written"),
            Change(at_ms=NOW, what="file", text="/etc/later was written"),
            Change(at_ms=NOW - 5 * 86_400_000, what="package", text="long ago"),
        )
    )
    assert said("change", told) == [
        "file changed 1 min before the onset: /etc/app.conf was written"
    ]


def test_a_deleted_file_names_its_holder():
    assert said("deleted", report(Metric.FS_USED, files=(deleted(),))) == [
        "1 deleted files are still held open, 3.0 GiB in all",
        "L1 deleted but still open: /var/log/app.log, 3.0 GiB, held open by P1 leaky-worker (pid 4121)",
    ]


def test_the_filesystem_says_space_and_inodes():
    (text,) = said("filesystem", report(Metric.FS_USED))
    assert text == "F1 /var (ext4): 9.5 GiB of 10 GiB used, 512 MiB free; inodes: 120 of 1000 used"


def test_what_the_readings_exclude_is_said():
    assert evidence.ruled_out(picture(report(Metric.FS_USED, files=(log_file(),)))) == (
        "not a shortage of inodes",
        "no deleted file was found that is still held open",
    )
    assert "swap is hardly used" in evidence.ruled_out(picture(report()))
    plenty = report(Metric.CPU_USED, memory_available_bytes=6 * GIB)
    assert "not a shortage of memory: 75.0% is available" in evidence.ruled_out(picture(plenty))


def test_a_shortage_of_inodes_is_not_a_shortage_of_space():
    told = report(Metric.FS_INODES_USED, anomaly={"subject": "/"})
    assert "not a shortage of space: only the inodes are used up" in said("ruled-out", told)


def test_a_stall_of_nothing_is_ruled_out():
    told = report(pressure=(Pressure(resource="io", some_permille=3),))
    assert "nothing stalls on io (0.3% of the last 10 s)" in said("ruled-out", told)


def test_zombies_and_the_blocked_are_counted():
    assert said("zombies", CASES["zombies"]) == [
        "of 5 zombies that were captured, parent pid 4121 has 5"
    ]
    assert said("blocked", CASES["blocked"]) == ["in uninterruptible sleep: cron (pid 50)"]


def test_trouble_of_the_kernel_and_of_units_is_told():
    told = report(
        Metric.BLOCKED,
        logs=(LogLine(at_ms=NOW, source="kernel", text="sda: I/O error, dev sda, sector 2048"),),
        units=(Unit(name="app.service", active="failed", sub="failed", restarts=12),),
    )
    assert said("kernel", told) == ['log of kernel: "sda: I/O error, dev sda, sector 2048"']
    assert said("unit", told) == ["U1 app.service: failed/failed, restarted 12 times"]


def test_the_fullest_directories_are_told_where_inodes_are_short():
    told = report(Metric.FS_INODES_USED, labels={"directory.1": "9999 entries in /var/spool/x"})
    assert said("directory", told) == [
        "one of the fullest directories: 9999 entries in /var/spool/x"
    ]


def test_what_was_not_seen_is_said():
    assert said("incomplete", report(incomplete=("kernel messages: permission",))) == [
        "not seen: kernel messages: permission"
    ]


def test_text_of_the_host_cannot_act_on_a_terminal_or_grow():
    hostile = msgspec.structs.replace(HOG, name="a\x1b]0;x\x07\n\u202e", user="u" * 256)
    told = report(processes=(hostile,), incomplete=("y" * 1024,) * 16)
    for each in evidence.gather(told):
        assert each.text.isprintable()
        assert len(each.text) <= 1024


@pytest.mark.parametrize("name", sorted(CASES))
def test_the_same_report_gives_the_same_bytes(name):
    one = [canonical.encode(e) for e in evidence.gather(CASES[name])]
    two = [canonical.encode(e) for e in evidence.gather(CASES[name])]
    assert one == two


def test_every_topic_is_one_that_runbooks_may_name():
    topics = {f.topic for told in CASES.values() for f in evidence.facts(picture(told))}
    assert topics <= evidence.TOPICS


@settings(max_examples=150, deadline=None)
@given(values(Report))
def test_any_report_that_the_wire_lets_in_gives_bounded_evidence(told):
    found = evidence.gather(told)
    assert 1 <= len(found) <= evidence.MAX_FACTS
    for each in found:
        assert each.text.isprintable()
        canonical.decode(Evidence, canonical.encode(each), limit=8192)
