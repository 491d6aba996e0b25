from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

import pytest

from sentinel.agent import history
from sentinel.agent.files import Budget
from sentinel.domain import Change

NOW_MS = 1_700_000_000_000
HOUR_MS = 3_600_000


def plenty():
    return Budget(100_000, time.monotonic_ns() + 20 * 10**9)


def stamp(ago_ms, form="%Y-%m-%d %H:%M:%S"):
    return time.strftime(form, time.localtime((NOW_MS - ago_ms) / 1000))


def log(tmp_path: Path, *lines, name="dpkg.log"):
    path = tmp_path / name
    path.write_text("".join(f"{line}\n" for line in lines))
    return (str(path),)


def test_what_dpkg_did_is_a_change(tmp_path):
    logs = log(
        tmp_path,
        f"{stamp(HOUR_MS)} startup archives unpack",
        f"{stamp(HOUR_MS)} upgrade nginx:amd64 1.22-1 1.22-3",
        f"{stamp(HOUR_MS)} status installed nginx:amd64 1.22-3",
        f"{stamp(HOUR_MS)} remove vim:amd64 9 <none>",
    )
    assert list(history.packages(NOW_MS, logs)) == [
        Change(at_ms=NOW_MS - HOUR_MS, what="package", text="upgrade nginx:amd64 1.22-1 -> 1.22-3"),
        Change(at_ms=NOW_MS - HOUR_MS, what="package", text="remove vim:amd64 9 -> <none>"),
    ]


def test_what_rpm_did_is_a_change(tmp_path):
    utc = time.strftime("%Y-%m-%dT%H:%M:%S+0000", time.gmtime((NOW_MS - HOUR_MS) / 1000))
    logs = log(tmp_path, f"{utc} SUBDEBUG Upgrade: nginx-1.22-3.el9.x86_64", f"{utc} INFO noise")
    assert list(history.packages(NOW_MS, logs)) == [
        Change(at_ms=NOW_MS - HOUR_MS, what="package", text="upgrade nginx-1.22-3.el9.x86_64")
    ]


def test_what_is_older_than_two_days_or_from_the_future_is_no_recent_change(tmp_path):
    logs = log(
        tmp_path,
        f"{stamp(49 * HOUR_MS)} install old:all <none> 1",
        f"{stamp(-HOUR_MS)} install future:all <none> 1",
        f"{stamp(47 * HOUR_MS)} install new:all <none> 1",
    )
    assert [c.text for c in history.packages(NOW_MS, logs)] == ["install new:all <none> -> 1"]


@pytest.mark.parametrize(
    "line",
    [
        "",
        "2023-99-99 00:00:00 install x:all <none> 1",
        "0000-01-01 00:00:00 install x:all a b",
        "x",
    ],
)
def test_a_line_that_is_no_log_line_is_left_out(tmp_path, line):
    assert list(history.packages(NOW_MS, log(tmp_path, line))) == []


def test_only_the_end_of_a_long_log_is_read(tmp_path):
    old = f"{stamp(2 * HOUR_MS)} install old:all <none> 1"
    new = f"{stamp(HOUR_MS)} install new:all <none> 1"
    logs = log(tmp_path, *[old] * 5000, new)
    texts = [c.text for c in history.packages(NOW_MS, logs)]
    assert len(texts) < 2000
    assert texts[-1] == "install new:all <none> -> 1"


def test_a_log_that_is_not_there_is_no_change(tmp_path):
    assert list(history.packages(NOW_MS, (str(tmp_path / "none"),))) == []


def test_a_log_that_is_a_link_or_a_pipe_does_not_lead_elsewhere_or_hang(tmp_path):
    (target,) = log(tmp_path, f"{stamp(HOUR_MS)} install x:all <none> 1")
    (tmp_path / "link").symlink_to(target)
    os.mkfifo(tmp_path / "pipe")
    for name in ("link", "pipe"):
        with pytest.raises(OSError, match=r"link|seek"):
            list(history.packages(NOW_MS, (str(tmp_path / name),)))


def test_files_written_lately_are_changes(tmp_path):
    (tmp_path / "nginx").mkdir()
    for name, age_s in (("nginx/new.conf", 60), ("old.conf", 49 * 3600), ("future", -3600)):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (0, NOW_MS / 1000 - age_s))
    found = list(history.configuration(NOW_MS, (), plenty(), str(tmp_path)))
    assert found == [
        Change(at_ms=NOW_MS - 60_000, what="file", text=f"{tmp_path}/nginx/new.conf was written")
    ]


def test_the_start_of_the_host_is_a_change_while_it_is_recent():
    assert [c.what for c in history.boot(NOW_MS - HOUR_MS, NOW_MS)] == ["boot"]
    assert not list(history.boot(NOW_MS - 49 * HOUR_MS, NOW_MS))


def test_the_newest_changes_come_first_and_once():
    changes = [Change(at_ms=t, what="file", text=f"{t}") for t in (*range(100), 99)]
    found = history.newest(changes)
    assert [c.at_ms for c in found] == list(range(99, 99 - history.MAX_CHANGES, -1))


class TestKernel:
    def test_a_message_of_the_kernel_s_buffer_is_read_with_its_time_and_redacted(self):
        try:
            kmsg = os.open("/dev/kmsg", os.O_WRONLY)
        except OSError as error:
            pytest.skip(f"/dev/kmsg: {error}")
        # It looks like a process killed for memory, with a secret and an escape sequence in its name.
        word = f"sentinel-test-{time.monotonic_ns()}"
        os.write(kmsg, f"<2>{word}: Killed (\x1b[31m password=hunter2)\n".encode())
        os.write(kmsg, f"<6>{word}: told\n".encode())
        os.close(kmsg)
        now_ms = time.time_ns() // 1_000_000
        lines = history.kernel(now_ms, plenty(), history.KMSG)
        assert len(lines) <= history.MAX_LINES
        told, killed = [line for line in lines if word in line.text][:2]
        assert (told.text, told.source) == (f"{word}: told", "kernel")
        assert "[redacted]" in killed.text
        assert "hunter2" not in killed.text
        assert "\x1b" not in killed.text  # the kernel escapes it
        assert abs(killed.at_ms - now_ms) < 5000

    def test_old_messages_are_told_only_if_they_warn(self):
        up_us = time.monotonic_ns() // 1000
        old = up_us - 16 * 60 * 10**6
        records = [
            f"6,1,{old},-;old and calm",
            f"4,2,{old},-;old warning\n SUBSYSTEM=pci",
            f"6,3,{up_us},-;calm",
            "garbage",
            "x,y,z;garbage",
        ]
        texts = [line.text for line in self.replay(records)]
        assert texts == (["calm", "old warning"] if old >= 0 else ["calm"])

    def test_at_most_so_many_of_the_newest_are_told(self):
        up_us = time.monotonic_ns() // 1000
        lines = self.replay([f"6,{n},{up_us},-;{n}" for n in range(100)])
        assert [line.text for line in lines] == [str(n) for n in range(99, 99 - 32, -1)]

    def replay(self, records):
        """Read records from a packet pipe, which gives one a read and then would block, as kmsg does."""
        reader, writer = os.pipe2(os.O_DIRECT | os.O_NONBLOCK)
        fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 1 << 20)
        for record in records:
            os.write(writer, record.encode() + b"\n")
        lines = history.kernel(NOW_MS, plenty(), f"/proc/self/fd/{reader}")
        os.close(writer)
        os.close(reader)
        return lines

    def test_a_buffer_that_ends_is_not_read_again_and_again(self):
        budget = Budget(100, time.monotonic_ns() + 20 * 10**9)
        assert history.kernel(NOW_MS, budget, "/dev/null") == ()
        assert not budget.spent

    def test_without_the_buffer_the_kernel_s_log_file_is_read(self, tmp_path, monkeypatch):
        (path,) = log(
            tmp_path,
            "2023-11-14T21:13:20.123456+00:00 web1 kernel: Out of memory: Killed process 9 (x)",
            "Nov 14 21:13:21 web1 kernel: token=hunter2",
            "Nov 14 21:13:21 web1 sshd[1]: not the kernel",
            name="kern.log",
        )
        monkeypatch.setattr(history, "KERNEL_LOGS", (str(tmp_path / "none"), path))
        lines = history.kernel(NOW_MS, plenty(), str(tmp_path / "no-kmsg"))
        assert [(line.at_ms, line.text) for line in lines] == [
            (0, "token=[redacted]"),
            (1_699_996_400_123, "Out of memory: Killed process 9 (x)"),
        ]

    def test_with_neither_the_reason_is_told(self, tmp_path, monkeypatch):
        monkeypatch.setattr(history, "KERNEL_LOGS", ())
        with pytest.raises(OSError, match=r"no-kmsg: No such file.*no kernel log file either"):
            history.kernel(NOW_MS, plenty(), str(tmp_path / "no-kmsg"))
