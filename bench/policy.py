"""How long the policy engine takes: per command, over length, to load, and as a process beside its peers.

`python -m bench policy`, or `python -m bench.policy`. Times are the best of several runs, for the machine may
be busy; every figure of a peer is taken in the same run.
"""

from __future__ import annotations

import functools
import json
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from sentinel.policy import rulecheck, rules, validate
from sentinel.policy.rules import Policy

CORPORA = Path(__file__).parents[1] / "tests" / "golden" / "policy"
LENGTHS = (64, 128, 256, 512, 1024, 2048, 4096)
# Each makes a text of n characters that is as much work as that kind of text can be.
WORST: dict[str, Callable[[int], str]] = {
    "one word": lambda n: "ls " + "a" * (n - 3),
    "options": lambda n: ("ls " + "-l " * n)[:n],
    "pipes": lambda n: ("ls|" * n)[:n],
    "lists": lambda n: ("ls;" * n)[:n],
    "and": lambda n: ("a&&" * n)[:n],
    "quotes": lambda n: ("'a'\"b\"" * n)[:n],
    "substitutions": lambda n: ("$(" * n)[:n],
    "backticks": lambda n: ("`a " * n)[:n],
    "parentheses": lambda n: ("(" * n)[:n],
    "braces": lambda n: ("{a," * n)[:n],
    "parameters": lambda n: ("${a:-" * n)[:n],
    "redirections": lambda n: ("ls" + " >a" * n)[:n],
    "here-documents": lambda n: ("cat <<E\n" * n)[:n],
    "newlines": lambda n: ("ls\n" * n)[:n],
    "wrappers": lambda n: ("sudo " * n)[:n],
    "sh -c": lambda n: ("sh -c '" * n)[:n],
    "nested sh -c": lambda n: ('sh -c "' + "rm -rf / " * n)[: n - 1] + '"',
    "functions": lambda n: ("f(){ f|f& };" * n)[:n],
    "colons": lambda n: (":" * n)[:n],
    "backslashes": lambda n: ("\\" * n)[:n],
    "python": lambda n: ("python3 -c '" + 'os.system("a");' * n)[: n - 1] + "'",
    "awk": lambda n: ("awk '" + "{print $1}" * n)[: n - 1] + "'",
    "awk brackets": lambda n: ("awk '/" + "[[:a:]" * n)[: n - 1] + "'",
    "sed": lambda n: ("sed '" + "s/a/b/;" * n)[: n - 1] + "'",
    "sql": lambda n: ("psql -c 'select " + "a," * n)[: n - 1] + "'",
    "jq": lambda n: ("jq '" + ".a|" * n)[: n - 1] + "'",
    "invisible": lambda n: "\u202e" * n,
    # What a search through 60,000 texts made of up to four fragments found to be the most work.
    "unknown": lambda n: ("mv " * n)[:n],
    "unknown in docker": lambda n: ("docker " + "dd of=fakeroot " * n)[:n],
    "unknown in chroot": lambda n: ("chroot mv " * n)[:n],
    "unknown in sh -c": lambda n: ("sh -c 'find / -exec " + "cp " * n)[: n - 1] + "'",
    "env -S": lambda n: ("docker env -S " * n)[:n],
    "ssh": lambda n: ("ssh h " * n)[:n],
    "su -c": lambda n: ("su bash -c " * n)[:n],
    "echo to sh": lambda n: ("echo a|sh;" * n)[:n],
    "doubling": lambda n: ("x=a;" + "x=$x$x " * n)[:n],
    "brace lists": lambda n: ("a" * (n // 2) + "{" + "a," * n)[: n - 1] + "}",
    "lone braces": lambda n: ("echo '${'b " * n)[:n],
}


def main() -> None:
    """Print every figure."""
    policy = rules.load(examples=False)
    lines = [
        json.loads(line)["cmd"] for path in sorted(CORPORA.glob("*.jsonl")) for line in path.open()
    ]
    _load()
    _commands(policy, lines)
    _curve(policy)
    _processes()


def _best(work: Callable[[], object], runs: int = 3) -> float:
    """Return the milliseconds of the fastest of `runs`."""
    best = float("inf")
    for _ in range(runs):
        start = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - start)
    return best * 1000


def _load() -> None:
    with_examples = _best(rules.load)

    def without_examples() -> None:
        rulecheck.compiled.cache_clear()
        rules.load(examples=False)

    without = _best(without_examples)
    count = rules.load().examples
    print(f"load: {without:.1f} ms without examples, {with_examples:.0f} ms with {count}")


def _commands(policy: Policy, lines: Iterable[str]) -> None:
    times = sorted(_best(functools.partial(validate.judge, policy, line)) for line in set(lines))
    print(
        f"judge, {len(times)} corpus commands: median {statistics.median(times):.3f} ms,"
        f" p99 {times[len(times) * 99 // 100]:.2f} ms, worst {times[-1]:.1f} ms"
    )


def _curve(policy: Policy) -> None:
    print("worst of each kind of text, ms, by length in characters")
    print(f"{'':16}" + "".join(f"{length:>8}" for length in LENGTHS))
    worst = 0.0
    for name, make in WORST.items():
        times = [_best(functools.partial(validate.judge, policy, make(n))) for n in LENGTHS]
        worst = max(worst, *times)
        print(f"{name:16}" + "".join(f"{each:8.2f}" for each in times))
    print(f"worst: {worst:.1f} ms")


def _processes() -> None:
    print("as a process, ms")
    for name, argv in {
        "bare interpreter": [sys.executable, "-c", "pass"],
        "bash -n": ["bash", "-n", "-c", "ps aux"],
        "shfmt": [shutil.which("shfmt") or str(Path(sys.executable).parent / "shfmt"), "--version"],
        "sentinel check": [sys.executable, "-m", "sentinel.cli", "check", "ps aux"],
    }.items():
        if not shutil.which(argv[0]):
            print(f"  {name:18} not installed")
            continue
        taken = _best(
            functools.partial(subprocess.run, argv, capture_output=True, check=False), runs=9
        )
        print(f"  {name:18} {taken:6.1f}")


if __name__ == "__main__":
    main()
