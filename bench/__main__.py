"""`make bench`: runs every measurement in this folder, each as a process of its own.

`python -m bench NAME ...` runs only those. Each prints its figures as ratios against a named peer or floor
that is measured in the same run: absolute times on a shared machine say little.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def main() -> int:
    """Run what was asked for; return 1 if any of it failed."""
    here = Path(__file__).parent
    names = sys.argv[1:] or sorted(p.stem for p in here.glob("*.py") if p.stem[0] != "_")
    failed = 0
    for name in names:
        print(f"\n== {name}", flush=True)
        failed |= subprocess.run([sys.executable, "-m", f"bench.{name}"], check=False).returncode
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
