from __future__ import annotations

import os
import shlex
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from sentinel import canonical
from sentinel.agent import history
from sentinel.agent.capture import MAX_BYTES, MAX_STUCK, _fit, capture
from sentinel.agent.detect import Detector, Rule, Watch
from sentinel.agent.sample import ProcessSampler
from sentinel.domain import Context, Kind, LogLine, Metric, Process
from sentinel.policy.validate import labels_of
from tests.unit.agent import faults

NOW_MS = time.time_ns() // 1_000_000


def take(anomaly, seconds=10.0, **fields):
    context = capture(
        anomaly, NOW_MS, deadline_ns=time.monotonic_ns() + int(seconds * 10**9), **fields
    )
    # What is taken is within every bound, and has one encoding.
    data = canonical.encode(context)
    assert canonical.decode(Context, data, limit=MAX_BYTES) == context
    return context


def disk(folder, kind=Kind.DISK_SPACE):
    metric = Metric.FS_USED if kind is Kind.DISK_SPACE else Metric.FS_INODES_USED
    return faults.anomaly(kind, metric, str(folder))


def test_a_memory_fault_is_captured_with_its_culprit_and_the_host_around_it():
    with faults.process(faults.MEMORY, 64, "--password=hunter2") as child:
        subject = faults.subject_of(child)
        found = take(faults.anomaly(subject=subject), labels={"role": "web"})
    culprit = found.processes[0]
    assert culprit.pid == child.pid
    assert f"{culprit.pid}:{culprit.start_ticks}" == subject
    assert culprit.rss_bytes > 64 << 20
    assert culprit.cmdline.endswith("64 --password=[redacted]")
    assert found.captured_ms == NOW_MS
    assert 0 < found.memory_available_bytes < found.memory_total_bytes
    assert found.cpus == os.cpu_count()
    assert NOW_MS - found.boot_ms > 0
    assert "/" in {each.mountpoint for each in found.filesystems}
    assert found.labels["role"] == "web"
    assert found.labels["kernel"] == os.uname().release


def test_what_an_anomaly_was_raised_about_is_what_is_captured():
    """The three senses together: a real process is sampled, detected and captured."""
    with faults.process(faults.MEMORY, 64) as child:
        name = Path(f"/proc/{child.pid}/comm").read_text().strip()
        rule = Rule(
            id="hog",
            metric=Metric.PROCESS_RSS,
            kind=Kind.MEMORY,
            above=60 << 20,
            clear_below=30 << 20,
            for_ms=0,
            process=name,
        )
        detector, table = Detector([rule]), ProcessSampler(0)
        raised = detector.step([], NOW_MS, table.read(NOW_MS, detector.watching()))
        (anomaly,) = [a for a in raised if a.subject == faults.subject_of(child)]
        found = take(anomaly, seen=table.seen)
        assert found.processes[0].pid == child.pid
    (cleared,) = [
        found
        for found in detector.step([], NOW_MS, table.read(NOW_MS, detector.watching()))
        if found.anomaly == anomaly
    ]
    assert "gone" in cleared.reason


def test_a_full_filesystem_is_captured_with_the_file_and_its_holder(tmp_path):
    hold = "held = open(sys.argv[1], 'ab')"
    with faults.mounted(tmp_path, "tmpfs", "size=8m"):
        (tmp_path / "app.log").write_bytes(b"x" * (5 << 20))
        with (
            faults.process(hold, tmp_path / "app.log") as writer,
            faults.process(faults.DELETED, tmp_path / "old.log") as keeper,
        ):
            found = take(disk(tmp_path))
    assert found.filesystems[0].mountpoint == str(tmp_path)
    assert found.filesystems[0].used_bytes >= 6 << 20
    entries = {os.path.basename(f.path): (f.deleted, f.held_by) for f in found.files}
    assert entries == {"old.log": (True, keeper.pid), "app.log": (False, writer.pid)}
    assert {writer.pid, keeper.pid} <= {process.pid for process in found.processes}


def test_exhausted_inodes_are_captured_with_the_directory_that_holds_them(tmp_path):
    with faults.mounted(tmp_path, "tmpfs", "size=4m,nr_inodes=64"):
        (tmp_path / "sessions").mkdir()
        for number in range(55):
            (tmp_path / "sessions" / f"{number}").touch()
        found = take(disk(tmp_path, Kind.DISK_INODES))
    assert found.labels["directory.1"] == f"55 entries in {tmp_path}/sessions"
    assert found.filesystems[0].inodes_used >= 56


def test_a_filesystem_that_is_not_mounted_is_a_reason_and_no_error(tmp_path):
    found = take(disk(tmp_path / "none"))
    assert any("none is not mounted" in line for line in found.incomplete)
    assert found.processes


def test_a_hostile_process_is_captured_as_what_it_is():
    evil = "\x1b[2J$(rm -rf /)\u202e;\n"
    with faults.process(faults.NAMED, b"x) R 1 (\n\x1b[2J".hex(), evil) as child:
        found = take(faults.anomaly(subject=faults.subject_of(child)))
    assert found.processes[0].name == "x) R 1 (\n\x1b[2J"
    assert found.processes[0].cmdline.endswith(evil)


def test_a_process_of_bytes_that_are_no_text_is_captured():
    argv = [sys.executable.encode(), b"-c", b"input('up')", b"\xff\xfe", b"a" * 5000]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout.read(2) == b"up"
        found = take(faults.anomaly(subject=faults.subject_of(child)))
        child.kill()
    assert "\\xff\\xfe aaa" in found.processes[0].cmdline
    assert len(found.processes[0].cmdline) == 1024


def test_a_source_that_hangs_costs_no_more_than_the_deadline(tmp_path, monkeypatch):
    monkeypatch.setattr(history, "CONFIGURATION", str(tmp_path))
    with faults.hung_mount(tmp_path):
        started = time.monotonic()
        found = take(faults.anomaly(), seconds=0.6)
        assert time.monotonic() - started < 5
        assert found.processes
        assert any(line.startswith("configuration: no answer") for line in found.incomplete)
        # Those that hang are counted, and there are never more than a few of them.
        for _ in range(MAX_STUCK):
            last = take(faults.anomaly(), seconds=0.3)
        assert last.incomplete == (f"everything: {MAX_STUCK} earlier captures still hang",)
    for thread in threading.enumerate():
        if thread.name == "capture":
            thread.join(10)
    assert take(faults.anomaly()).processes


def test_a_deadline_that_has_passed_leaves_reasons_and_no_wait():
    started = time.monotonic()
    found = take(faults.anomaly(), seconds=-1)
    assert time.monotonic() - started < 2
    assert found.incomplete
    assert not found.logs


@pytest.fixture
def no_threads():
    """No thread can be started: none has room for its stack."""
    threading.stack_size(1 << 46)
    yield
    threading.stack_size(0)


def test_a_host_that_has_run_out_of_threads_is_captured_all_the_same(no_threads):
    for _ in range(MAX_STUCK + 1):
        assert take(faults.anomaly()).processes


def test_sources_that_nobody_had_time_for_are_named(no_threads):
    found = take(faults.anomaly(), seconds=-1)
    assert found.incomplete[:2] == (
        "host: not asked, the time was up",
        "filesystems: not asked, the time was up",
    )


def test_a_source_that_fails_is_a_reason_and_the_others_go_on(tmp_path, monkeypatch):
    monkeypatch.setattr(history, "CONFIGURATION", str(tmp_path / "none"))
    monkeypatch.setattr(history, "KMSG", str(tmp_path / "kmsg"))
    monkeypatch.setattr(history, "KERNEL_LOGS", ())
    found = take(faults.anomaly())
    reasons = "\n".join(found.incomplete)
    assert "kernel messages: FileNotFoundError" in reasons
    assert "no kernel log file either" in reasons
    assert "configuration: FileNotFoundError" in reasons
    assert found.processes


def test_a_picture_that_is_too_large_loses_the_end_of_its_lists():
    large = Context(
        captured_ms=1,
        processes=tuple(
            Process(pid=pid, start_ticks=1, name="x", cmdline="\x01" * 1024) for pid in range(1, 33)
        ),
        logs=tuple(LogLine(source="kernel", text="\x01" * 1024) for _ in range(64)),
        incomplete=("x",) * 16,
    )
    fitted = _fit(large)
    assert len(canonical.encode(fitted)) <= MAX_BYTES
    assert fitted.processes[0] == large.processes[0]
    assert fitted.incomplete[-1].startswith("the end of some lists")
    assert _fit(fitted) is fitted


def test_a_picture_that_is_too_large_still_says_which_rules_are_for_its_host():
    own = labels_of(["db"], "primary")
    crowded = {f"label{n}": "\x01" * 1024 for n in range(60)}
    fitted = _fit(Context(captured_ms=1, labels=crowded | own))
    assert len(canonical.encode(fitted)) <= MAX_BYTES
    assert fitted.labels == own


def test_the_shared_readings_spare_the_wait():
    table = ProcessSampler(0)
    table.read(1, Watch(metrics=frozenset({Metric.ZOMBIES}), everyone=frozenset({Metric.ZOMBIES})))
    assert take(faults.anomaly(Kind.CPU, Metric.CPU_USED), seen=table.seen).processes


@pytest.mark.parametrize("kind", list(Kind))
def test_every_failure_class_can_be_captured(kind):
    found = take(faults.anomaly(kind, subject="/" if kind is Kind.DISK_INODES else ""), seconds=3)
    assert found.processes or kind in (Kind.ZOMBIES, Kind.BLOCKED)


def test_the_senses_do_not_load_what_only_the_hub_needs():
    program = (
        "import sys, sentinel.agent.capture, sentinel.agent.rules, sentinel.agent.pressure, "
        "sentinel.agent.verify; print(*sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    loaded = {name.split(".")[0] for name in shlex.split(done.stdout)}
    assert not loaded & {"sqlmodel", "pydantic", "textual", "grpc", "bashlex", "httpx"}
