from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentinel.agent import procfs
from tests.unit.agent import faults

MOUNTS = rb"""22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw,discard
30 27 254:0 /srv /srv/bound rw - ext4 /dev/vda rw
31 27 254:1 / /mnt/with\040blank\134 rw,nosuid - xfs /dev/vdb rw
32 27 254:2 / /media/disc ro - ext4 /dev/vdc ro
33 27 0:40 / /mnt/share rw - nfs4 server:/x rw
34 33 254:3 / /mnt/share/local rw - ext4 /dev/vdd rw
35 27 0:41 / /mnt/sharelocal rw - tmpfs tmpfs rw
36 27 0:42 / /var/lib/docker/overlay2/1/merged rw - overlay overlay rw
37 27 7:0 / /snap/core/1 ro - squashfs /dev/loop0 ro
38 22 0:43 / /proc/fs/x rw - tmpfs tmpfs rw
39 27 254:4 / /data rw - ext4 /dev/vde rw
40 39 0:44 / /data rw - fuse.sshfs host:/ rw
41 27 254:5 / /late rw - ext4 /dev/vdf rw
42 41 254:6 / /late rw - ext4 /dev/vdg rw
not a mount at all
"""


def points(mounts):
    return [mount.point for mount in mounts]


def test_only_filesystems_that_can_fill_and_cannot_hang_are_local():
    local = procfs.local(procfs.parse_mounts(MOUNTS))
    assert points(local) == [b"/", b"/late", b"/mnt/sharelocal", b"/mnt/with blank\\"]
    assert next(m.source for m in local if m.point == b"/late") == b"/dev/vdg"


def test_a_root_over_the_network_leaves_nothing_that_may_be_asked():
    mounts = procfs.parse_mounts(b"1 0 0:9 / / rw - nfs s:/ rw\n2 1 8:1 / /var rw - ext4 /dev/a rw")
    assert procfs.local(mounts) == ()


def test_a_container_s_root_counts_though_it_is_an_overlay():
    mounts = procfs.parse_mounts(b"1 0 0:9 / / rw - overlay overlay rw")
    assert points(procfs.local(mounts)) == [b"/"]


def test_a_path_waits_where_its_way_leads_over_a_network_mount():
    waiting = procfs.waiting(procfs.parse_mounts(MOUNTS))
    assert [
        path.startswith(waiting) for path in (b"/mnt/share/a", b"/mnt/sharelocal/a", b"/data/x")
    ] == [True, False, True]


def test_a_filesystem_that_a_service_sees_read_only_can_still_fill_up():
    # As it looks under ProtectSystem=strict.
    strict = b"1 0 254:1 / / ro,relatime shared:1 - ext4 /dev/vda1 rw,errors=remount-ro\n"
    assert points(procfs.local(procfs.parse_mounts(strict))) == [b"/"]


def test_the_mounts_of_this_machine_are_read():
    mounts = procfs.parse_mounts(procfs.read("/proc/self/mountinfo", 1 << 20))
    assert {b"/", b"/proc"} <= set(points(mounts))


def test_a_stat_is_cut_at_its_last_parenthesis():
    rest = b" S 7 1 1 0 -1 4194560 9 0 0 0 250 50 0 0 20 0 1 0 12345 999 3 18446744073709551615 1"
    stat = procfs.parse_stat(b"42 (a) R 1 (b\n\x1b) Z" + b")" + rest)
    assert (stat.pid, stat.comm, stat.state, stat.ppid) == (42, b"a) R 1 (b\n\x1b) Z", "S", 7)
    assert (stat.cpu_ticks, stat.start, stat.rss_bytes) == (300, 12345, 3 * procfs.PAGE_BYTES)
    assert stat.subject == "42:12345"


@pytest.mark.parametrize(
    "data", [b"", b"1", b"1 (x", b"1 (x)", b"1 (x) S 1", b"x (y) S" + b" 1" * 30]
)
def test_a_stat_that_is_no_stat_is_refused(data):
    with pytest.raises((ValueError, IndexError)):
        procfs.parse_stat(data)


@given(st.binary(max_size=2000), st.integers(1, 300))
def test_any_bytes_become_text_that_every_store_can_hold(data, limit):
    text = procfs.text_of(data, limit)
    assert len(text) <= limit
    assert "\0" not in text
    assert text.encode().decode() == text


def test_text_that_is_cut_says_so():
    assert procfs.text_of(b"abcdef", 4) == "abc…"
    assert procfs.text_of("äöüß".encode(), 4) == "äöüß"
    assert procfs.text_of(b"a\0\xff") == "a\\x00\\xff"


def test_open_files_are_counted():
    with faults.process(faults.FILES, 40) as child:
        assert procfs.open_files(child.pid) == len(os.listdir(f"/proc/{child.pid}/fd")) >= 43


def test_open_files_of_a_process_that_is_gone_are_not_known():
    child = subprocess.Popen(["true"])
    child.wait()
    assert procfs.open_files(child.pid) is None


def test_the_pids_are_those_of_the_processes():
    assert os.getpid() in procfs.pids()
    assert 1 in procfs.pids()


def test_at_most_the_limit_is_read(tmp_path: Path):
    (tmp_path / "file").write_bytes(b"x" * 100)
    assert procfs.read(str(tmp_path / "file"), 10) == b"x" * 10


def test_a_pipe_without_a_writer_does_not_hold_the_reader_up(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe")
    assert procfs.read(str(tmp_path / "pipe")) == b""
