from __future__ import annotations

import os
import time

import psutil
import pytest

from sentinel.agent.detect import Watch
from sentinel.agent.processes import Census, cmdline_of, is_unit, unit_of
from sentinel.agent.sample import ProcessSampler
from sentinel.domain import Kind, Metric, Process
from tests.unit.agent import faults


def readings():
    sampler = ProcessSampler(0)
    sampler.read(
        1, Watch(metrics=frozenset({Metric.ZOMBIES}), everyone=frozenset({Metric.ZOMBIES}))
    )
    return sampler.seen


def chosen(census, *args, **fields):
    return [stat.pid for stat in census.chosen(faults.anomaly(*args, **fields))]


def test_a_process_is_described_as_psutil_has_it():
    with faults.process(faults.MEMORY, 32) as child:
        peer = psutil.Process(child.pid)
        census = Census(readings())
        found = census.describe(census.stats[child.pid])
        assert (found.pid, found.ppid, found.name) == (child.pid, os.getpid(), peer.name()[:15])
        assert found.cmdline == " ".join(peer.cmdline())
        assert (found.user, found.state) == (peer.username(), "S")
        assert abs(found.rss_bytes - peer.memory_info().rss) < 1 << 20
        assert found.fds == peer.num_fds()
        assert abs(found.age_s - (time.time() - peer.create_time())) < 3


def test_the_subject_comes_first_even_if_it_is_small():
    with faults.process(faults.IDLE) as child:
        census = Census(readings())
        pids = chosen(census, subject=faults.subject_of(child))
    assert pids[0] == child.pid
    assert len(pids) == len(set(pids))


def test_memory_faults_name_the_largest():
    with faults.process(faults.MEMORY, 300) as child:
        census = Census(readings())
        pids = chosen(census)
    sizes = [census.stats[pid].rss_bytes for pid in pids]
    assert child.pid in pids[:10]
    assert sizes[:10] == sorted(sizes[:10], reverse=True)


@pytest.mark.parametrize("earlier", [True, False], ids=["with earlier readings", "without"])
def test_processor_faults_name_who_spins(earlier):
    seen = readings() if earlier else None
    with faults.process(faults.SPIN) as child:
        time.sleep(0.3)
        census = Census(seen)
        assert child.pid in chosen(census, Kind.CPU, Metric.CPU_USED)
        assert census.describe(census.stats[child.pid]).cpu_permille > 100


def test_zombies_are_told_by_the_parent_that_leaves_them():
    with faults.process(faults.ZOMBIES, 25) as child:
        census = Census(readings())
        pids = chosen(census, Kind.ZOMBIES, Metric.ZOMBIES)
        assert child.pid in pids[:10]
        dead = [census.describe(census.stats[pid]) for pid in pids if pid != child.pid]
    assert [(p.ppid, p.cmdline) for p in dead if p and p.state == "Z"].count((child.pid, "")) >= 1


def test_descriptor_faults_name_who_holds_the_most():
    with faults.process(faults.FILES, 900) as child:
        census = Census(readings())
        pids = chosen(census, Kind.FD_EXHAUSTION, Metric.PROCESS_FDS)
        assert child.pid in pids[:10]
        assert census.describe(census.stats[child.pid]).fds >= 900


@pytest.mark.parametrize("kind", list(Kind))
def test_every_failure_class_has_its_processes(kind):
    census = Census(readings())
    assert all(pid in census.stats for pid in chosen(census, kind))


def test_a_process_that_is_gone_is_not_described():
    with faults.process(faults.IDLE) as child:
        census = Census(readings())
    assert census.describe(census.stats[child.pid]) is None


def test_a_pid_that_another_process_has_by_now_is_not_described():
    census = Census(readings())
    mine = census.stats[os.getpid()]
    assert isinstance(census.describe(mine), Process)
    assert census.describe(mine._replace(start=mine.start - 1)) is None


def test_what_holds_files_belongs_in_the_picture():
    with faults.process(faults.IDLE) as child:
        census = Census(readings())
        found = census.chosen(faults.anomaly(), also=[child.pid, 2**22 + 1])
    assert found[0].pid == child.pid


@pytest.mark.parametrize(
    ("data", "shown"),
    [
        (b"", ""),
        (b"nginx: worker process\0\0\0", "nginx: worker process"),
        (b"mysql\0-psecret\0", "mysql -p[redacted]"),
        (b"a\0b\nc\x1b\xff\0", "a b\nc\x1b\\xff"),
        (b"x" * 4096, "x" * 1023 + "…"),
    ],
)
def test_a_command_line_is_one_redacted_bounded_text(data, shown):
    assert cmdline_of(data) == shown


@pytest.mark.parametrize(
    ("data", "unit"),
    [
        (b"0::/system.slice/nginx.service\n", "nginx.service"),
        (
            b"0::/system.slice/pg.slice/postgresql@15-main.service/worker\n",
            "postgresql@15-main.service",
        ),
        (b"0::/user.slice/user-1.slice/user@1.service/app.slice/x.service\n", "user@1.service"),
        (b"0::/user.slice/user-1000.slice/session-3.scope\n", "session-3.scope"),
        (b"0::/\n", ""),
        (b"0::/docker/abc\n", "/docker/abc"),
        (b"4:memory:/x\n1:name=systemd:/system.slice/a.service\n0::/\n", "a.service"),
        (b"4:memory:/x\n", ""),
        (b"", ""),
        (b"garbage\n", ""),
        (b"0::/a:b.service\n", "a:b.service"),
    ],
)
def test_the_unit_is_the_one_that_systemctl_knows(data, unit):
    assert unit_of(data) == unit
    assert is_unit(unit) == unit.endswith((".service", ".scope"))
