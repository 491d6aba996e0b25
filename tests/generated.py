"""What is derived is checked in and checked: README.md's help blocks and pictures, DESIGN.md's diagram.

`python -m tests.generated` rewrites them; with --check it only says what differs and exits 1.
A block starts with `<!-- generated: NAME -->` and ends with `<!-- end -->`. A picture `docs/NAME.svg` is
the snapshot of that screen at 80x24.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from sentinel import lifecycle

ROOT = Path(__file__).parents[1]
SNAPSHOTS = ROOT / "tests/snapshots/__snapshots__/test_screens"
BLOCK = re.compile(r"(<!-- generated: (.+?) -->\n).*?(<!-- end -->)", re.DOTALL)
PICTURE = re.compile(r"\(docs/(\w+)\.svg\)")


def content(name: str) -> str:
    """Return the block that `name` stands for: the state diagram, or a program's --help."""
    if name == "lifecycle":
        return f"```mermaid\n{lifecycle.diagram()}\n```\n"
    program, *words = name.split()
    env = {**os.environ, "COLUMNS": "80", "NO_COLOR": "1"}
    command = [str(Path(sys.executable).parent / program), *words, "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=env)
    return f"```text\n{done.stdout.rstrip()}\n```\n"


def derived() -> Iterator[tuple[Path, str]]:
    """Yield each file that is derived, in part or whole, with the text that it should have."""
    for name in ("README.md", "DESIGN.md"):
        path = ROOT / name
        yield (
            path,
            BLOCK.sub(lambda found: found[1] + content(found[2]) + found[3], path.read_text()),
        )
    for name in PICTURE.findall((ROOT / "README.md").read_text()):
        yield ROOT / f"docs/{name}.svg", (SNAPSHOTS / f"test_screen[{name}-80x24].svg").read_text()


def main() -> int:
    """Rewrite or check; return the exit status."""
    check = "--check" in sys.argv
    stale = 0
    for path, new in derived():
        if not path.exists() or path.read_text() != new:
            stale += 1
            print(f"{path.relative_to(ROOT)} is not what the code says: python -m tests.generated")
            if not check:
                path.write_text(new)
    return 1 if stale and check else 0


if __name__ == "__main__":
    sys.exit(main())
