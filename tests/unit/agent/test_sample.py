from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import threading
import time
from pathlib import Path

import psutil
import pytest

from sentinel.agent.detect import Watch
from sentinel.agent.sample import HostSampler, Kept, ProcessSampler, kib, stalled
from sentinel.domain import Metric
from tests.unit.agent import faults

PRESSURES = {
    Metric.PSI_CPU,
    Metric.PSI_MEMORY,
    Metric.PSI_MEMORY_FULL,
    Metric.PSI_IO,
    Metric.PSI_IO_FULL,
}


@pytest.fixture
def host():
    sampler = HostSampler()
    yield sampler
    sampler.close()


def by_metric(samples):
    return {(each.metric, each.subject): each.value for each in samples}


def watch(*metrics, **changes):
    return Watch(metrics=frozenset(metrics), **changes)


def everyone(*metrics):
    return watch(*metrics, everyone=frozenset(metrics))


def until(sampler, wanted, condition):
    """Read the table until a reading satisfies `condition`; the last reading either way."""
    sampler.COST_DIVISOR = 0
    for _ in range(200):
        table = sampler.read(1, wanted)
        if table is not None and condition(table):
            break
        time.sleep(0.02)
    return table


class TestHost:
    def test_two_readings_give_every_signal_that_this_host_has(self, host):
        host.sample(1)
        time.sleep(0.12)
        found = by_metric(host.sample(1234))
        assert not host.failures
        wanted = {Metric.MEMORY_USED, Metric.CPU_USED, Metric.LOAD_PER_CPU, Metric.BLOCKED}
        if os.path.exists("/proc/pressure"):
            wanted |= PRESSURES
        assert {(metric, "") for metric in wanted} | {(Metric.FS_USED, "/")} <= set(found)
        shares = {m for m, _ in found if m.value.endswith("_permille")}
        assert all(0 <= value <= 1000 for (metric, _), value in found.items() if metric in shares)

    def test_samples_carry_the_time_they_were_asked_for(self, host):
        assert {sample.at_ms for sample in host.sample(1234)} == {1234}

    def test_memory_is_what_psutil_says(self, host):
        found = by_metric(host.sample(1))
        memory = psutil.virtual_memory()
        used = (memory.total - memory.available) * 1000 // memory.total
        assert abs(found[Metric.MEMORY_USED, ""] - used) <= 20
        assert ((Metric.SWAP_USED, "") in found) == bool(psutil.swap_memory().total)

    def test_a_filesystem_is_as_full_as_df_says(self, host):
        out = subprocess.run(
            ["df", "--output=pcent,ipcent", "/"], capture_output=True, text=True, check=True
        ).stdout
        space, inodes = (int(field.strip("%")) for field in out.splitlines()[1].split())
        found = by_metric(host.sample(1))
        assert abs(found[Metric.FS_USED, "/"] / 10 - space) <= 1
        assert abs(found[Metric.FS_INODES_USED, "/"] / 10 - inodes) <= 1

    def test_a_busy_processor_is_seen(self, host):
        host.sample(1)
        deadline = time.process_time() + 0.1
        while time.process_time() < deadline:
            pass
        assert by_metric(host.sample(2))[Metric.CPU_USED, ""] > 0

    def test_readings_that_follow_at_once_make_no_rate_out_of_noise(self, host):
        # Twenty in a row, since this test itself can be held up between two of them.
        rounds = [by_metric(host.sample(time_ms)) for time_ms in range(20)][1:]
        rates = {(Metric.CPU_USED, ""), (Metric.PSI_CPU, "")}
        assert any(not rates & set(found) for found in rounds)

    def test_a_source_that_fails_is_silent_and_says_why_and_the_others_go_on(self, tmp_path):
        for name in ("loadavg", "stat"):
            shutil.copy(f"/proc/{name}", tmp_path / name)
        (tmp_path / "meminfo").write_text("MemTotal:  no number kB\n")
        sampler = HostSampler(str(tmp_path))
        found = by_metric(sampler.sample(1))
        assert set(found) == {(Metric.LOAD_PER_CPU, ""), (Metric.BLOCKED, "")}
        assert set(sampler.failures) == {"memory", "pressure", "filesystems"}
        shutil.copy("/proc/meminfo", tmp_path / "meminfo")
        sampler.close()
        assert (Metric.MEMORY_USED, "") in by_metric(sampler.sample(2))
        assert "memory" not in sampler.failures
        sampler.close()

    def test_a_filesystem_that_is_mounted_filled_and_unmounted_is_followed(self, host, tmp_path):
        key = (Metric.FS_USED, str(tmp_path))
        inodes = (Metric.FS_INODES_USED, str(tmp_path))
        assert key not in by_metric(host.sample(1))
        with faults.mounted(tmp_path, "tmpfs", "size=1m,nr_inodes=64"):
            assert by_metric(host.sample(2))[key] == 0
            (tmp_path / "big").write_bytes(b"x" * 950_000)
            for number in range(50):
                (tmp_path / f"{number}").touch()
            found = by_metric(host.sample(3))
            assert found[key] > 900
            assert found[inodes] > 800
        assert key not in by_metric(host.sample(4))

    def test_a_hung_mount_hangs_nobody(self, host, tmp_path):
        with faults.hung_mount(tmp_path):
            asker = threading.Thread(target=lambda: _ask(tmp_path), daemon=True)
            asker.start()
            asker.join(0.3)
            assert asker.is_alive()  # it really hangs whoever asks
            assert str(tmp_path) not in {sample.subject for sample in host.sample(1)}
        asker.join(5)
        assert not asker.is_alive()

    def test_closing_gives_every_descriptor_back(self):
        before = len(os.listdir("/proc/self/fd"))
        sampler = HostSampler()
        sampler.sample(1)
        assert len(os.listdir("/proc/self/fd")) > before
        sampler.close()
        assert len(os.listdir("/proc/self/fd")) == before


def _ask(folder):
    with contextlib.suppress(OSError):  # once its server is gone
        os.statvfs(folder)


def test_a_file_longer_than_a_chunk_is_read_whole(tmp_path):
    (tmp_path / "long").write_bytes(b"0123456789" * 20_000)
    file = Kept(str(tmp_path / "long"))
    assert len(file.read()) == 200_000
    file.close()


def test_the_fields_of_meminfo_are_found_by_their_whole_name():
    data = b"MemTotal:   100 kB\nMemFree:   5 kB\nSwapCached:  7 kB\nSwapTotal:  9 kB\n"
    assert [kib(data, name) for name in (b"MemTotal:", b"SwapTotal:")] == [100, 9]
    with pytest.raises(ValueError, match="not found"):
        kib(data, b"Total:")


def test_pressure_is_read_line_by_line():
    data = b"some avg10=12.34 avg60=1.00 avg300=0.00 total=5\nfull avg10=0.09 avg60=0 avg300=0 total=3\n"
    assert [stalled(data, line) for line in (b"some", b"full")] == [(5, 123), (3, 0)]


class TestProcesses:
    def test_the_memory_of_a_process_is_its_resident_memory(self):
        with faults.process(faults.MEMORY, 64) as child:
            subject = faults.subject_of(child)
            table = ProcessSampler(0).read(7, everyone(Metric.PROCESS_RSS))
            (found,) = [sample for sample in table.samples if sample.subject == subject]
            assert 64 << 20 < found.value < 96 << 20
            assert found.at_ms == 7
            assert table.names[subject] == psutil.Process(child.pid).name()[:15]

    def test_nothing_is_read_that_nobody_asks_for(self):
        sampler = ProcessSampler(0)
        assert sampler.read(1, Watch()) is None
        assert sampler.seen == {}

    def test_open_files_are_counted_for_those_asked_for(self):
        with faults.process(faults.FILES, 60) as child:
            subject = faults.subject_of(child)
            wanted = watch(Metric.PROCESS_FDS, subjects=frozenset({subject}))
            table = ProcessSampler(0).read(1, wanted)
            assert [sample.subject for sample in table.samples] == [subject]
            assert table.samples[0].value >= 60

    def test_a_spinning_process_is_seen_in_the_second_reading(self):
        sampler = ProcessSampler(100)
        with faults.process(faults.SPIN) as child:
            subject = faults.subject_of(child)
            wanted = watch(Metric.PROCESS_CPU, subjects=frozenset({subject}))
            assert sampler.read(1, wanted).samples == ()
            table = until(sampler, wanted, lambda t: t.samples and t.samples[0].value > 100)
            assert table.samples[0].value > 100

    def test_zombies_are_counted(self):
        with faults.process(faults.ZOMBIES, 20):
            wanted = everyone(Metric.ZOMBIES)
            table = until(ProcessSampler(0), wanted, lambda t: t.samples[0].value >= 20)
            dead = sum(
                p.info["status"] == psutil.STATUS_ZOMBIE for p in psutil.process_iter(["status"])
            )
            assert [(s.metric, s.subject) for s in table.samples] == [(Metric.ZOMBIES, "")]
            assert 20 <= table.samples[0].value <= dead + 10

    @pytest.mark.parametrize(
        "name",
        [
            b"x) R 1 (y",
            b"a\nb",
            b"\x1b[2Jred",
            b"\xff\xfe",
            b"))))",
            b"(",
            b" ",
            b"\xe2\x80\xaeevil",
        ],
    )
    def test_a_process_with_a_hostile_name_is_read_and_found_by_it(self, name):
        with faults.process(faults.NAMED, name.hex()) as child:
            subject = faults.subject_of(child)
            shown = name.decode("utf-8", "backslashreplace")
            wanted = watch(Metric.PROCESS_RSS, names=frozenset({shown}))
            table = ProcessSampler(0).read(1, wanted)
            assert [sample.subject for sample in table.samples] == [subject]
            assert table.names == {subject: shown}

    def test_a_process_that_ends_is_gone(self):
        sampler = ProcessSampler(0)
        with faults.process(faults.IDLE) as child:
            subject = faults.subject_of(child)
            wanted = watch(Metric.PROCESS_RSS, subjects=frozenset({subject}))
            assert sampler.read(1, wanted).gone == frozenset()
        assert sampler.read(2, wanted).gone == {subject}
        assert sampler.read(3, wanted).gone == {subject}

    def test_a_zombie_is_not_gone_but_holds_nothing(self):
        with faults.process(faults.IDLE) as child:
            subject = faults.subject_of(child)
            child.kill()
            wanted = watch(Metric.PROCESS_RSS, subjects=frozenset({subject}))
            table = until(ProcessSampler(0), wanted, lambda t: t.samples[0].value == 0)
            assert table.gone == frozenset()
            assert table.samples[0].value == 0

    def test_a_pid_that_another_process_has_now_is_gone(self):
        wanted = watch(Metric.PROCESS_RSS, subjects=frozenset({f"{os.getpid()}:1"}))
        table = ProcessSampler(0).read(1, wanted)
        assert (table.gone, table.samples) == (wanted.subjects, ())

    def test_a_subject_that_is_no_process_is_not_gone(self):
        odd = frozenset({"", "/var", "1", "x:y", "1:2:3", "-1:5", "99999999999999999999:1"})
        table = ProcessSampler(0).read(1, watch(Metric.PROCESS_RSS, subjects=odd))
        assert table.gone == frozenset()

    def test_what_cannot_be_read_is_neither_there_nor_gone(self, tmp_path):
        (tmp_path / "5").mkdir()
        (tmp_path / "5" / "stat").write_bytes(b"cut short")
        (tmp_path / "6").mkdir()
        (tmp_path / "6" / "stat").mkdir()
        (tmp_path / "7").mkdir()  # it ended between the listing and the reading
        shutil.copytree("/proc/self", tmp_path / "8", ignore=lambda d, names: set(names) - {"stat"})
        sampler = ProcessSampler(0, str(tmp_path))
        wanted = watch(
            Metric.PROCESS_RSS,
            subjects=frozenset({"5:1", "6:1", "7:1"}),
            everyone=frozenset({Metric.PROCESS_RSS}),
        )
        table = sampler.read(1, wanted)
        assert table.gone == {"7:1"}
        assert len(table.samples) == 1

    def test_a_table_that_cannot_be_listed_is_silence(self, tmp_path):
        sampler = ProcessSampler(0, str(tmp_path / "none"))
        wanted = watch(Metric.PROCESS_RSS, subjects=frozenset({"1:1"}))
        assert sampler.read(1, wanted) is None
        assert "No such file" in sampler.failure

    def test_processes_that_come_and_go_while_it_reads_do_not_disturb_it(self):
        stop = threading.Event()

        def churn():
            while not stop.is_set():
                subprocess.run(["true"], check=True)

        churner = threading.Thread(target=churn)
        churner.start()
        try:
            sampler = ProcessSampler(0)
            wanted = everyone(Metric.PROCESS_RSS, Metric.PROCESS_FDS, Metric.PROCESS_CPU)
            readings = [_whole(sampler, wanted) for _ in range(40)]
        finally:
            stop.set()
            churner.join()
        assert all(table.samples for table in readings)
        assert len(sampler.seen) < 5000

    def test_a_new_process_is_looked_at_again_at_once(self):
        with faults.process(faults.RENAMED_BY_SIGNAL) as child:
            sampler = ProcessSampler(0)
            wanted = watch(Metric.PROCESS_RSS, names=frozenset({"renamed"}))
            assert sampler.read(1, wanted).samples == ()
            _rename(child)
            (found,) = sampler.read(2, wanted).samples
            assert found.subject == faults.subject_of(child)

    def test_a_process_that_takes_the_name_later_is_found_though_only_few_are_read(self):
        with faults.process(faults.RENAMED_BY_SIGNAL) as child:
            subject = faults.subject_of(child)
            sampler = ProcessSampler(0)
            wanted = watch(Metric.PROCESS_RSS, names=frozenset({"renamed"}))
            for _ in range(10):
                assert sampler.read(1, wanted).samples == ()
            _rename(child)
            readings = [sampler.read(1, wanted) for _ in range(ProcessSampler.SLICES)]
            assert subject in {sample.subject for table in readings for sample in table.samples}

    def test_between_two_readings_lies_the_interval(self):
        sampler = ProcessSampler(60_000)
        wanted = everyone(Metric.ZOMBIES)
        assert sampler.read(1, wanted) is not None
        assert sampler.read(2, wanted) is None

    def test_a_whole_reading_waits_until_it_costs_a_thousandth_of_a_processor(self):
        sampler = ProcessSampler(0)
        wanted = watch(
            Metric.ZOMBIES,
            Metric.PROCESS_RSS,
            everyone=frozenset({Metric.ZOMBIES}),
            subjects=frozenset({"1:1"}),
        )
        whole = [
            any(sample.metric is Metric.ZOMBIES for sample in sampler.read(1, wanted).samples)
            for _ in range(20)
        ]
        assert whole == [True] + [False] * 19


def _rename(child):
    child.send_signal(signal.SIGUSR1)
    while Path(f"/proc/{child.pid}/comm").read_bytes() != b"renamed\n":
        time.sleep(0.01)


def _whole(sampler, wanted):
    """A whole reading now, however short ago the last one was."""
    sampler.COST_DIVISOR = 0
    return sampler.read(1, wanted)
