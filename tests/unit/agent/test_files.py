from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from sentinel.agent import procfs
from sentinel.agent.files import MOST_FILES, Budget, held_open, largest, walk
from tests.unit.agent import faults

SECOND = 10**9


def plenty():
    return Budget(100_000, time.monotonic_ns() + 20 * SECOND)


def mounts():
    return procfs.parse_mounts(procfs.read("/proc/self/mountinfo", 1 << 20))


def names(found, top):
    return {os.path.relpath(each.path, os.fsencode(top)) for each in found}


def paths_of(top, budget=None):
    return names(walk(os.fsencode(top), mounts(), budget or plenty()), top)


@pytest.fixture
def tree(tmp_path: Path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "deep").write_bytes(b"x" * 300_000)
    (tmp_path / "large").write_bytes(b"x" * 900_000)
    (tmp_path / "small").write_bytes(b"x" * 5000)
    (tmp_path / "empty").touch()
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(1 << 40)
    return tmp_path


def test_the_largest_are_those_that_take_the_most_space(tree):
    files, _ = largest(os.fsencode(tree), mounts(), {}, plenty())
    assert [Path(f.path).name for f in files] == ["large", "deep", "small"]
    assert 900_000 <= files[0].bytes < 1_000_000
    assert abs(files[0].mtime_ms - time.time() * 1000) < 60_000


def test_a_file_with_two_names_counts_once(tree):
    os.link(tree / "large", tree / "a" / "again")
    files, _ = largest(os.fsencode(tree), mounts(), {}, plenty())
    assert len([f for f in files if f.bytes >= 900_000]) == 1


def test_the_fullest_directory_is_named(tree):
    for number in range(60):
        (tree / "a" / "b" / f"session-{number}").touch()
    _, folders = largest(os.fsencode(tree), mounts(), {}, plenty())
    assert folders[0] == (61, str(tree / "a" / "b"))


def test_only_so_many_are_named(tmp_path):
    for number in range(3 * MOST_FILES):
        (tmp_path / f"{number:03}").write_bytes(b"x" * 4096 * (number + 1))
    files, _ = largest(os.fsencode(tmp_path), mounts(), {}, plenty())
    assert [Path(f.path).name for f in files] == [
        f"{number:03}" for number in range(3 * MOST_FILES - 1, 2 * MOST_FILES - 1, -1)
    ]


def test_no_link_is_followed(tree, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    (other / "elsewhere").write_bytes(b"x" * 100)
    (tree / "folder-link").symlink_to(other)
    (tree / "file-link").symlink_to(other / "elsewhere")
    (tree / "loop").symlink_to(tree)
    assert paths_of(tree) == {
        *(b".", b"a", b"a/b", b"a/b/deep", b"large", b"small", b"empty", b"sparse")
    }


def test_a_link_in_place_of_the_top_is_refused(tree, tmp_path):
    (tmp_path / "link").symlink_to(tree)
    with pytest.raises(OSError, match="link"):
        paths_of(tmp_path / "link")


def test_a_folder_that_becomes_a_link_on_the_way_is_not_followed(tree):
    budget = plenty()
    found = walk(os.fsencode(tree), mounts(), budget)
    for each in found:
        if each.path == os.fsencode(tree):  # its folders are listed by now, not yet entered
            (tree / "a").rename(tree / "moved")
            (tree / "a").symlink_to(tree / "moved")
            break
    assert names(found, tree) == set()
    assert budget.refused == 1


def test_another_filesystem_is_not_entered(tree):
    (tree / "mount").mkdir()
    with faults.mounted(tree / "mount", "tmpfs", "size=1m"):
        (tree / "mount" / "inside").write_bytes(b"x" * 100)
        assert b"mount/inside" not in paths_of(tree)
        # Also where the list of mounts is older than the mount.
        late = walk(os.fsencode(tree), (), plenty())
        assert b"mount/inside" not in names(late, tree)


def test_a_hung_mount_on_the_way_is_not_touched(tree):
    (tree / "hung").mkdir()
    with faults.hung_mount(tree / "hung"):
        assert b"a/b/deep" in paths_of(tree)


def test_the_work_ends_when_the_entries_are_spent(tree):
    budget = Budget(3, time.monotonic_ns() + 20 * SECOND)
    assert len(paths_of(tree, budget)) <= 4
    assert budget.spent


def test_the_work_ends_at_its_deadline(tree):
    budget = Budget(100_000, time.monotonic_ns() - 1)
    assert paths_of(tree, budget) == set()
    assert budget.spent


def test_names_that_are_no_text_are_shown_escaped(tmp_path):
    with open(os.fsencode(tmp_path) + b"/bad\xff\n\x1b[2J", "wb") as file:
        file.write(b"x" * 5000)
    files, _ = largest(os.fsencode(tmp_path), mounts(), {}, plenty())
    assert files[0].path.endswith("/bad\\xff\n\x1b[2J")


def test_a_top_that_is_not_there_is_an_error():
    with pytest.raises(FileNotFoundError):
        paths_of("/nonexistent-folder")


def test_a_deleted_file_that_is_held_open_is_found_with_its_holder(tmp_path):
    with faults.process(faults.DELETED, tmp_path / "app.log") as child:
        opened = held_open(tmp_path.stat().st_dev, mounts(), plenty())
        (found,) = [f for f in opened.deleted if f.path == str(tmp_path / "app.log")]
        assert (found.deleted, found.held_by) == (True, child.pid)
        assert found.bytes >= 1 << 20
    again = held_open(tmp_path.stat().st_dev, mounts(), plenty())
    assert str(tmp_path / "app.log") not in {f.path for f in again.deleted}


def test_the_holder_of_a_large_file_is_named(tree):
    hold = "held = open(sys.argv[1])"
    with faults.process(hold, tree / "large") as child:
        opened = held_open(tree.stat().st_dev, mounts(), plenty())
        files, _ = largest(os.fsencode(tree), mounts(), opened.holders, plenty())
    assert {Path(f.path).name: f.held_by for f in files} == {
        "large": child.pid,
        "deep": 0,
        "small": 0,
    }


def test_files_of_another_filesystem_are_not_reported(tmp_path):
    with faults.process(faults.DELETED, tmp_path / "app.log"):
        opened = held_open(0, mounts(), plenty())
    assert (opened.holders, opened.deleted) == ({}, ())


def test_open_files_on_a_mount_that_may_hang_are_not_asked_about(tree):
    share = f"9 1 0:9 / {tree} rw - nfs server:/ rw".encode()
    with faults.process("held = open(sys.argv[1])", tree / "large"):
        inode = (tree / "large").stat().st_ino
        assert inode in held_open(tree.stat().st_dev, mounts(), plenty()).holders
        opened = held_open(tree.stat().st_dev, procfs.parse_mounts(share), plenty())
    assert inode not in opened.holders


def test_descriptors_are_bounded_too():
    budget = Budget(5, time.monotonic_ns() + 20 * SECOND)
    held_open(0, mounts(), budget)
    assert budget.spent


def test_processes_that_do_not_let_us_look_are_counted(tmp_path):
    if os.geteuid() == 0:
        pytest.skip("root may look everywhere")
    assert held_open(0, mounts(), plenty()).unreadable > 0
