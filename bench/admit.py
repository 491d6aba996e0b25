"""The node's gate: what it costs to verify and admit one bundle, against the bare Ed25519 verification in it.

The store is in memory-backed files where there are any (/dev/shm), so no fsync is in the figures. The plan
has four commands and one signature, and is judged by the shipped rules.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from pathlib import Path

import msgspec

from sentinel import canonical, protocol
from sentinel.agent import admit
from sentinel.agent.store import Store
from sentinel.policy import rules
from sentinel.trust import signers
from tests.unit.agent import gate

BUNDLES = 200
COMMANDS = (
    f"ps -fp {gate.HOG}",
    f"kill -TERM {gate.HOG}",
    "df -h /var/log",
    "journalctl -u nginx -n 50 --no-pager",
)
POLICY = rules.load(examples=False)


def one(folder: Path) -> tuple[float, float]:
    """Return the milliseconds of one admission, and of its signature alone."""
    with Store(folder / "node.db") as store:
        world = gate.World(store)
        plan = gate.plan(world.report, COMMANDS)
        said = gate.statement(world.report, plan, policy=POLICY.digest)
        bundle = world.bundle(plan=plan, statement=said, incident=plan.incident)
        node = msgspec.structs.replace(world.node, policy=POLICY)
        start = time.perf_counter()
        outcome = admit.admit(bundle, node, gate.NOW)
        admitted = time.perf_counter()
        people = signers.people(
            canonical.encode(said),
            bundle.signatures,
            world.people.known,
            protocol.DECISION,
            gate.NOW,
        )
        verified = time.perf_counter()
    assert isinstance(outcome, admit.Admitted), outcome
    assert people
    return (admitted - start) * 1000, (verified - admitted) * 1000


def main() -> None:
    """Print the figures."""
    memory = "/dev/shm" if os.path.isdir("/dev/shm") else None
    figures = []
    for _ in range(BUNDLES):
        with tempfile.TemporaryDirectory(dir=memory) as folder:
            figures.append(one(Path(folder)))
    admitted, verified = (statistics.median(column) for column in zip(*figures, strict=True))
    p99 = sorted(each for each, _ in figures)[int(BUNDLES * 0.99)]
    print(f"admit one bundle          median {admitted:6.2f} ms   p99 {p99:6.2f} ms   (goal: 5 ms)")
    print(
        f"its signature alone       median {verified:6.2f} ms   admit is {admitted / verified:.0f}x"
    )


if __name__ == "__main__":
    main()
