from __future__ import annotations

import msgspec
import pytest

from sentinel.domain import Metric, Process
from sentinel.hub.reason import picture
from sentinel.hub.reason.picture import Sort

from .builders import CASES, GIB, HOG, SMALL, deleted, log_file, report


def ids(found, sort):
    return [(e.id, e.name) for e in found if e.sort is sort]


def test_things_are_numbered_by_sort_and_ranked_by_what_the_incident_is_about():
    found = picture.entities(report(Metric.MEMORY_USED))
    assert ids(found, Sort.PROCESS) == [("P1", "leaky-worker"), ("P2", "cron")]
    assert ids(found, Sort.UNIT) == [("U1", "app.service")]
    assert ids(picture.entities(report(Metric.FS_USED)), Sort.FILESYSTEM)[0] == ("F1", "/var")


def test_the_process_that_the_rule_watches_comes_first_even_if_it_is_not_the_largest():
    larger = msgspec.structs.replace(SMALL, rss_bytes=6 * GIB)
    scene = picture.picture(report(processes=(larger, HOG)))
    assert scene.culprit.process.pid == HOG.pid
    assert scene.share == 4 * 1000 // 7


def test_a_process_with_a_reused_pid_is_not_the_watched_one():
    other = msgspec.structs.replace(HOG, start_ticks=778)
    assert not picture.is_subject(report(), other)


def test_the_order_does_not_depend_on_the_order_of_capture():
    one = report(Metric.MEMORY_USED, processes=(SMALL, HOG))
    two = report(Metric.MEMORY_USED, processes=(HOG, SMALL))
    assert picture.entities(one) == picture.entities(two)


def test_names_of_the_host_are_escaped_and_bounded():
    hostile = msgspec.structs.replace(HOG, name="\x1b[2J\u202e" + "x" * 500)
    name = picture.entities(report(processes=(hostile,)))[0].name
    assert name.isprintable()
    assert len(name) < 200


def test_the_holder_of_a_deleted_file_is_behind_it():
    scene = picture.picture(report(Metric.FS_USED, files=(log_file(size=4 * GIB), deleted())))
    assert scene.culprit.file.deleted
    assert scene.actor.process.pid == HOG.pid


def test_a_small_file_is_no_culprit_the_filesystem_is():
    scene = picture.picture(report(Metric.FS_USED, files=(deleted(size=1000),)))
    assert scene.culprit.sort is Sort.FILESYSTEM
    assert scene.actor is None


def test_a_file_on_another_filesystem_is_not_to_blame():
    scene = picture.picture(report(Metric.FS_USED, files=(deleted("/srv/x.log", 8 * GIB),)))
    assert scene.culprit.sort is Sort.FILESYSTEM


def test_who_waits_for_a_disk_is_not_blamed_for_it():
    assert picture.picture(CASES["blocked"]).culprit is None
    assert picture.picture(CASES["pressure-stall"]).culprit is None


def test_the_parent_of_the_zombies_is_to_blame_and_the_dead_are_not():
    assert picture.picture(CASES["zombies"]).culprit.process.pid == HOG.pid


def test_no_more_things_are_shown_than_a_prompt_can_hold():
    many = tuple(Process(pid=n, start_ticks=1, name=f"p{n}", rss_bytes=n) for n in range(10, 42))
    found = picture.entities(report(Metric.MEMORY_USED, processes=many))
    assert len(ids(found, Sort.PROCESS)) == picture.MAX_EACH
    assert found[0].process.pid == 41


@pytest.mark.parametrize(
    ("path", "mount"), [("/var/log/x", "/var"), ("/variable/x", "/"), ("/var", "/var"), ("x", "")]
)
def test_a_path_lies_on_its_longest_mount(path, mount):
    assert picture.mount_of(report().context, path) == mount


def test_a_report_of_nothing_has_no_culprit():
    empty = report(Metric.MEMORY_USED, processes=(), filesystems=(), units=())
    scene = picture.picture(empty)
    assert (scene.entities, scene.culprit, scene.actor) == ((), None, None)
