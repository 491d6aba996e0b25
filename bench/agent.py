"""What the agent's senses cost, beside what a user would run instead, in the same run.

    python -m bench.agent                        the senses alone, beside prometheus-node-exporter
    python -m bench.agent --pid PID              and a process that runs already
    python -m bench.agent --config agent.toml --state DIR      and a whole sentinel-agent

Figures are CPU seconds, memory and ratios inside one run: wall time on a busy machine says nothing.
psutil is here as the peer: it is what one would read the host with otherwise.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import psutil
from msgspec import structs

from sentinel.agent.capture import capture
from sentinel.agent.detect import Detector, Watch
from sentinel.agent.processes import Census
from sentinel.agent.rules import DEFAULT_RULES
from sentinel.agent.sample import HostSampler, ProcessSampler
from sentinel.domain import Anomaly, Kind, Metric, Sample, Severity

# The loop of the senses, at one reading a second; a program of its own, so that it imports no more.
SENSES = """
import asyncio, time
from sentinel.agent import capture, verify
from sentinel.agent.detect import Detector
from sentinel.agent.pressure import PressureTrigger
from sentinel.agent.rules import DEFAULT_RULES
from sentinel.agent.sample import HostSampler, ProcessSampler

async def sense():
    host, table, detector = HostSampler(), ProcessSampler(), Detector(DEFAULT_RULES)
    with PressureTrigger() as trigger:
        while True:
            now_ms = time.time_ns() // 1_000_000
            processes = table.read(now_ms, detector.watching())
            detector.step(host.sample(now_ms), now_ms, processes)
            await trigger.wait(1.0)

asyncio.run(sense())
"""
ROUNDS = 7
SCRAPE_S = 10
ATTRIBUTES = ["pid", "name", "username", "memory_info", "cpu_times", "cmdline"]
EVERYONE = frozenset({Metric.PROCESS_RSS})
ANOMALY = Anomaly(
    rule="bench",
    kind=Kind.MEMORY,
    severity=Severity.WARNING,
    metric=Metric.MEMORY_USED,
    subject="",
    value=1,
    threshold=1,
    clear_below=1,
    clear_for_ms=0,
    since_ms=0,
    detected_ms=0,
)


# ---------------------------------------------------------------- cost of one reading


def cost_us(work: Callable[[], object], seconds: float = 0.15) -> float:
    """Return the median CPU microseconds of one call."""
    work()
    started = time.perf_counter()
    work()
    calls = max(1, min(5000, int(seconds / max(1e-6, time.perf_counter() - started))))
    rounds = []
    for _ in range(ROUNDS):
        before = time.process_time()
        for _ in range(calls):
            work()
        rounds.append((time.process_time() - before) / calls * 1e6)
    return statistics.median(rounds)


def peer_host() -> None:
    psutil.cpu_percent(None)
    psutil.virtual_memory()
    psutil.swap_memory()
    psutil.disk_usage("/")
    psutil.getloadavg()


def peer_table() -> list[object]:
    return [process.info for process in psutil.process_iter(ATTRIBUTES)]


def readings(processes: int) -> None:
    """Print what one reading costs, and how that compares to psutil's."""
    host, detector = HostSampler(), Detector(DEFAULT_RULES)
    samples = host.sample(0)
    lines: list[tuple[str, Callable[[], object], Callable[[], object] | None]] = [
        ("host sample", lambda: host.sample(0), peer_host),
        ("detector step", lambda: detector.step(samples, 0), None),
    ]
    print(f"{'CPU of one reading, us':44} {'ours':>10} {'psutil':>10} {'ratio':>7}")
    for line in lines:
        show(*line)
    with crowd(processes) as there:
        table = ProcessSampler(0)
        table.COST_DIVISOR = 0
        whole = Watch(metrics=EVERYONE, everyone=EVERYONE)
        narrow = Watch(metrics=EVERYONE, names=frozenset({"no-such-name"}))
        note = f"{there} processes"
        show(f"process table, {note}", lambda: table.read(0, whole), peer_table)
        show(f"  one name of it, {note}", lambda: table.read(0, narrow), peer_table)
        show(f"top processes with details, {note}", lambda: top(table), peer_table)
        show(f"whole context of a memory fault, {note}", lambda: picture(table), None)


def top(table: ProcessSampler) -> list[object]:
    census = Census(table.seen)
    return [census.describe(stat) for stat in census.chosen(ANOMALY)]


def picture(table: ProcessSampler) -> object:
    return capture(
        ANOMALY,
        time.time_ns() // 1_000_000,
        deadline_ns=time.monotonic_ns() + 10 * 10**9,
        seen=table.seen,
    )


def show(name: str, ours: Callable[[], object], peer: Callable[[], object] | None) -> None:
    mine = cost_us(ours)
    theirs = cost_us(peer) if peer else None
    ratio = f"{theirs:10.1f} {mine / theirs:6.2f}x" if theirs else f"{'-':>10} {'-':>7}"
    print(f"{name:44} {mine:10.1f} {ratio}", flush=True)


@contextlib.contextmanager
def crowd(count: int) -> Iterator[int]:
    """Bring the process table to at least `count` processes."""
    missing = max(0, count - len(psutil.pids()))
    sleepers = [subprocess.Popen(["sleep", "900"]) for _ in range(missing)]
    try:
        yield len(psutil.pids())
    finally:
        for sleeper in sleepers:
            sleeper.kill()
        for sleeper in sleepers:
            sleeper.wait()


def soak(rounds: int, faults: int) -> None:
    """Print by how much memory grows over many readings and faults, after a first tenth of each."""
    host, table, detector = HostSampler(), ProcessSampler(0), Detector(DEFAULT_RULES)
    table.read(0, Watch(metrics=EVERYONE, everyone=EVERYONE))

    def work(share: int) -> None:
        for now_ms in range(rounds // share):
            detector.step(host.sample(now_ms), now_ms)
        for now_ms in range(faults // share):
            subject = f"{now_ms}:1"
            high = Sample(metric=Metric.FS_USED, subject=subject, value=1000, at_ms=now_ms)
            for at_ms in (0, 3000, 6000):
                detector.step([structs.replace(high, at_ms=at_ms)], at_ms)
            picture(table)

    work(10)
    before = footprint(os.getpid()).rss
    work(1)
    grown = footprint(os.getpid()).rss - before
    print(f"memory after {rounds} readings and {faults} faults: {grown:+.2f} MiB", flush=True)


# ---------------------------------------------------------------- footprint of a process


class Footprint(NamedTuple):
    rss: float  # MiB
    pss: float  # MiB; shared pages by halves, so smaller where two processes run one interpreter
    cpu: float  # seconds so far
    switches: int


def footprint(pid: int) -> Footprint:
    """Return what a process takes now. Its threads are counted, its children are not."""
    sizes = dict(
        line.split(":", 1)
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        if line.startswith(("Rss", "Pss:"))
    )
    cpu = switches = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        cpu += int((task / "schedstat").read_text().split()[0])
        status = (task / "status").read_text().splitlines()
        switches += sum(int(line.split()[1]) for line in status if "ctxt_switches" in line)
    rss, pss = (int(sizes[name].split()[0]) / 1024 for name in ("Rss", "Pss"))
    return Footprint(rss, pss, cpu / 1e9, switches)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def commands(args: argparse.Namespace, port: int) -> dict[str, list[str]]:
    """Return what is to be started: name -> command."""
    found = {
        "python that sleeps (floor)": [sys.executable, "-I", "-S", "-c", "input()"],
        "senses at 1 Hz": [sys.executable, "-c", SENSES],
    }
    if args.config:
        agent = str(Path(sys.executable).parent / "sentinel-agent")
        found["sentinel-agent"] = [agent, "run", "--config", args.config, "--state", args.state]
    if exporter := shutil.which("prometheus-node-exporter"):
        found["node_exporter, scraped every 10 s"] = [
            exporter,
            f"--web.listen-address=127.0.0.1:{port}",
        ]
    return found


def footprints(args: argparse.Namespace) -> None:
    """Print what each process takes over the window, and the ratio to the peer."""
    port = free_port()
    started = {
        name: subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        for name, command in commands(args, port).items()
    }
    pids = {name: process.pid for name, process in started.items()}
    if args.pid:
        pids[f"process {args.pid}"] = args.pid
    try:
        time.sleep(args.settle)
        for name, process in started.items():
            if process.poll() is not None:
                print(f"{name}: ended at once with status {process.returncode}, left out")
                del pids[name]
        peer = next((name for name in pids if name.startswith("node_exporter")), None)
        before = {name: footprint(pid) for name, pid in pids.items()}
        began = next_scrape = time.monotonic()
        while (now := time.monotonic()) - began < args.window:
            if peer and now >= next_scrape:
                next_scrape += SCRAPE_S
                urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5).read()
            time.sleep(0.2)
        minutes = (time.monotonic() - began) / 60
        after = {name: footprint(pid) for name, pid in pids.items()}
    finally:
        for process in started.values():
            process.kill()
            process.wait()
    print_footprints(before, after, minutes, peer)


def print_footprints(
    before: dict[str, Footprint], after: dict[str, Footprint], minutes: float, peer: str | None
) -> None:
    if peer is None:
        print("prometheus-node-exporter is not installed: no peer in this run")
    print(
        f"{'footprint':36} {'RSS MiB':>8} {'PSS MiB':>8} {'CPU s/min':>10} {'switches/s':>11}"
        f" {'RSS / peer':>11} {'CPU / peer':>11}"
    )
    rates = {name: (after[name].cpu - before[name].cpu) / minutes for name in after}
    for name, now in after.items():
        switches = (now.switches - before[name].switches) / minutes / 60
        ratios = ""
        if peer:
            ratios = f" {now.rss / after[peer].rss:10.2f}x {rates[name] / rates[peer]:10.2f}x"
        print(
            f"{name:36} {now.rss:8.1f} {now.pss:8.1f} {rates[name]:10.3f} {switches:11.1f}{ratios}"
        )


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.agent", description=__doc__)
    parser.add_argument("--processes", type=int, default=200, help="size of the process table")
    parser.add_argument("--window", type=float, default=30, help="seconds of the footprint")
    parser.add_argument("--settle", type=float, default=3, help="seconds before it")
    parser.add_argument("--rounds", type=int, default=50_000, help="readings of the memory soak")
    parser.add_argument("--pid", type=int, help="a process that runs already")
    parser.add_argument("--config", help="start sentinel-agent with this configuration file")
    parser.add_argument("--state", help="and this state directory", default="")
    args = parser.parse_args(arguments)
    if args.pid:
        try:
            footprint(args.pid)
        except OSError as error:
            parser.error(f"--pid {args.pid}: {error}")
    readings(args.processes)
    soak(args.rounds, args.rounds // 200)
    footprints(args)
    return 0


if __name__ == "__main__":
    sys.exit(main())
