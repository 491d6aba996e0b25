"""The scenarios: what each drill does to a host, within which bounds, and what ought to come of it."""

from __future__ import annotations

import difflib

from sentinel.domain import Kind, Value
from sentinel.errors import OperatorError


class Scenario(Value, frozen=True, kw_only=True):
    """One drill with its answer key."""

    name: str
    process: str  # what the kernel calls the process; no other is called so
    does: str  # a sentence
    amount: int  # MiB, rounds, descriptors or children
    life_s: int  # it has ended by then, whatever happens
    kind: Kind  # of the incident that it ought to make
    runbook: str  # that ought to plan for it
    rule: str  # lines for agent.toml without which no node sees it; empty: a shipped rule does


def _rule(name: str, metric: str, process: str, levels: str) -> str:
    return (
        f'[[rules]]\nid = "drill.{name}"\nmetric = "{metric}"\nprocess = "{process}"\n{levels}\n'
        'for = "3s"\nclear_for = "3s"\n'
    )


SCENARIOS = (
    Scenario(
        name="leak",
        process="drill-leak",
        does="a process grows to 192 MiB of memory and keeps it",
        amount=192,
        life_s=180,
        kind=Kind.MEMORY,
        runbook="memory-hog",
        rule=_rule(
            "leak",
            "process_resident_memory_bytes",
            "drill-leak",
            'above = "96MiB"\nclear_below = "64MiB"',
        ),
    ),
    Scenario(
        name="spin",
        process="drill-spin",
        does="a process keeps one processor busy, at the lowest priority",
        amount=20_000,
        life_s=120,
        kind=Kind.CPU,
        runbook="cpu-hog",
        rule=_rule(
            "spin",
            "process_cpu_used_permille",
            "drill-spin",
            'above = "15%"\nclear_below = "5%"',
        ),
    ),
    Scenario(
        name="files",
        process="drill-files",
        does="a process opens 600 files (/dev/null) and closes none",
        amount=600,
        life_s=120,
        kind=Kind.FD_EXHAUSTION,
        runbook="fd-exhaustion",
        rule=_rule(
            "files", "process_open_fds_count", "drill-files", "above = 400\nclear_below = 200"
        ),
    ),
    Scenario(
        name="zombies",
        process="drill-zombies",
        does="a process starts 80 children that end at once, and waits for none",
        amount=80,
        life_s=180,
        kind=Kind.ZOMBIES,
        runbook="zombies",
        rule="",
    ),
)


def named(name: str) -> Scenario:
    """Return the scenario of that name; OperatorError with the nearest where there is none."""
    known = {each.name: each for each in SCENARIOS}
    if name in known:
        return known[name]
    near = difflib.get_close_matches(name, known, 1)
    hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
    raise OperatorError(f"there is no drill {name[:64]!r}", hint=hint)


def rules() -> str:
    """Return what a node's agent.toml needs to see every drill."""
    head = "# For drills. They watch processes of these names and no others.\n"
    return head + "\n".join(each.rule for each in SCENARIOS if each.rule)
