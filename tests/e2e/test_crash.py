"""Invariant 6 on the real programs: `kill -9` of hub, agent and executor at random moments of many runs.

Several faults at once are detected, planned, approved and ended while each program is killed again and
again. Afterwards: every fault has exactly one incident that reached an end, and no process was signalled
more often than people approved a plan for it. The count is taken by the faulty processes themselves.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sentinel import errors, process, protocol
from sentinel.demo import Site
from sentinel.domain import Choice, Mode, State
from sentinel.lifecycle import OPEN
from sentinel.tui import decide

KILLS = 50
FAULTS_PER_ROUND = 3
SEED = 20261121

HUB = 'mode = "live"\nheartbeat_s = 1\nverify_s = 3\n'
AGENT = """\
mode = "live"
interval = "100ms"
process_interval = "100ms"
shipped_rules = false
[[rules]]
id = "crash.memory"
metric = "process_resident_memory_bytes"
process = "canary"
above = "24MiB"
clear_below = "12MiB"
for = "300ms"
clear_for = "300ms"
severity = "critical"
"""
# Holds memory, and writes a line into its file for each TERM it gets; it goes a little later, so that a
# second TERM would find it alive.
CANARY = """
import ctypes, os, signal, sys, time
log = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
def term(*_):
    os.write(log, b"TERM\\n")
    global end
    end = time.monotonic() + 1.0
signal.signal(signal.SIGTERM, term)
ctypes.CDLL(None).prctl(15, b"canary", 0, 0, 0)
held = bytearray(b"x") * (40 << 20)
end = time.monotonic() + 90
os.write(log, b"up\\n")
while time.monotonic() < end:
    time.sleep(0.05)
"""


class Killer:
    def __init__(self, site):
        self.site, self.kills = site, 0
        self.random = random.Random(SEED)

    def strike(self):
        name = self.random.choice(["hub", "agent", "exec"])
        self.kills += 1
        if name == "exec":
            self.strike_executor()
            return
        child = self.site.running[name]
        child.kill()
        child.wait()
        time.sleep(self.random.uniform(0, 0.3))
        self.site.start(name)

    def strike_executor(self):
        """Kill what runs a plan, or is ready to: the agent has to say what became of it."""
        ours = (b"sentinel.agent.exec_main", bytes(self.site.states["agent"]))
        for each in Path("/proc").glob("[0-9]*"):
            try:
                words = (each / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if set(ours) <= set(words):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(each.name), signal.SIGKILL)


async def decide_all(site, approvals):
    """Approve what awaits; return the incidents by the pid they are about."""
    client = site.client()
    try:
        status = await client.call(protocol.StatusRequest())
        page = await client.call(protocol.ListRequest(open_only=False, limit=500))
        for summary in page.summaries:
            if summary.state is not State.AWAITING:
                continue
            incident = await client.call(protocol.GetRequest(incident=summary.id))
            request = decide.request(
                incident,
                choice=Choice.APPROVE,
                mode=Mode.LIVE,
                operator=status.operator,
                reason="crash test",
                now_ms=process.now_ms(),
            )
            pid = incident.report.anomaly.subject.split(":")[0]
            approvals[pid] = approvals.get(pid, 0) + 1  # even if the answer is lost
            await client.call(request)
        return page.summaries
    finally:
        await client.close()


def follow(site, approvals):
    try:
        return asyncio.run(decide_all(site, approvals))
    except errors.PeerError:
        return ()  # the hub is down at this moment
    except errors.OperatorError:
        return ()  # it moved on while we looked


@pytest.mark.timeout(420)
def test_no_kill_at_any_moment_loses_an_incident_or_repeats_an_execution(tmp_path):
    site = Site(tmp_path)
    canaries, approvals = {}, {}
    try:
        site.set_up(HUB, AGENT)
        site.start("agent")
        killer = Killer(site)
        while killer.kills < KILLS:
            for _ in range(FAULTS_PER_ROUND):
                log = tmp_path / f"canary-{len(canaries)}.log"
                child = subprocess.Popen([sys.executable, "-I", "-c", CANARY, str(log)])
                canaries[str(child.pid)] = (child, log)
            end = time.monotonic() + 5
            while time.monotonic() < end:
                time.sleep(killer.random.uniform(0, 0.5))
                killer.strike()
                follow(site, approvals)
        summaries = settle(site, approvals)
    finally:
        site.stop()
        for child, _ in canaries.values():
            child.kill()
            child.wait()
    counts = {pid: log.read_text().count("TERM") for pid, (_, log) in canaries.items()}
    print(f"{killer.kills} kills, {len(canaries)} faults, {sum(counts.values())} signals")
    assert killer.kills >= KILLS
    assert len(summaries) >= len(canaries), "a fault without an incident"
    assert sum(counts.values()) > 0
    repeated = {pid: n for pid, n in counts.items() if n > approvals.get(pid, 0)}
    assert repeated == {}, f"{repeated} signalled more often than approved {approvals}"
    assert not [s for s in summaries if s.state in OPEN], "an incident that did not end"


def settle(site, approvals):
    """Let everything come to its end without further kills."""
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline:
        summaries = follow(site, approvals)
        if summaries and not [s for s in summaries if s.state in OPEN]:
            return summaries
        time.sleep(0.5)
    return follow(site, approvals)
