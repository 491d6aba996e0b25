"""The same proof without a bound: `python -m tests.differential --count 200000 --seed 1`."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from sentinel.policy import grammar
from tests.differential import generate, meaning, replay
from tests.differential.sandbox import Sandbox

EVERY = 2000  # accepted texts between two lines of progress


def main() -> int:
    """Run; return 1 if bash differed from a tree."""
    parser = argparse.ArgumentParser(prog="python -m tests.differential", description=__doc__)
    parser.add_argument("--count", type=int, default=10_000, help="accepted texts")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--tricks", type=Path, help="also replay a file of recorded vectors")
    arguments = parser.parse_args()
    began = time.perf_counter()
    made = judged = mismatches = 0
    with Sandbox() as sandbox:
        if arguments.tricks:
            accepted, wrong = replay.differences(arguments.tricks, sandbox)
            mismatches += len(wrong)
            print(f"{arguments.tricks}: {accepted} accepted", *wrong, sep="\n", flush=True)
        for text in generate.texts(arguments.seed, generate.corpus()):
            if judged >= arguments.count:
                break
            made += 1
            try:
                found = meaning.difference(grammar.parse(text), sandbox.run(text))
            except (grammar.Reject, meaning.Unknown):
                continue
            judged += 1
            if found:
                mismatches += 1
                least = meaning.smallest(text, sandbox)
                print(f"MISMATCH {text!r}\n  least {least!r}\n  {found}", flush=True)
            if judged % EVERY == 0 or judged == arguments.count:
                seconds = time.perf_counter() - began
                print(
                    f"seed {arguments.seed}: {made} made, {judged} accepted, "
                    f"{mismatches} mismatches, {seconds:.0f} s",
                    flush=True,
                )
    return 1 if mismatches else 0


if __name__ == "__main__":
    sys.exit(main())
