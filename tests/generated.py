"""What is derived is checked in and checked: the help blocks of README.md and the diagram of DESIGN.md.

`python -m tests.generated` rewrites them; with --check it only says what differs and exits 1.
A block starts with `<!-- generated: NAME -->` and ends with `<!-- end -->`.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from sentinel import lifecycle

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r"(<!-- generated: (.+?) -->\n).*?(<!-- end -->)", re.DOTALL)


def content(name: str) -> str:
    """Return the block that `name` stands for: the state diagram, or a program's --help."""
    if name == "lifecycle":
        return f"```mermaid\n{lifecycle.diagram()}\n```\n"
    program, *words = name.split()
    env = {**os.environ, "COLUMNS": "80", "NO_COLOR": "1"}
    command = [str(Path(sys.executable).parent / program), *words, "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=env)
    return f"```text\n{done.stdout.rstrip()}\n```\n"


def main() -> int:
    """Rewrite or check; return the exit status."""
    stale = 0
    for name in ("README.md", "DESIGN.md"):
        path = ROOT / name
        old = path.read_text()
        new = BLOCK.sub(lambda found: found[1] + content(found[2]) + found[3], old)
        if new != old:
            stale += 1
            print(f"{name} is not what the code says: python -m tests.generated")
            if "--check" not in sys.argv:
                path.write_text(new)
    return 1 if stale and "--check" in sys.argv else 0


if __name__ == "__main__":
    sys.exit(main())
