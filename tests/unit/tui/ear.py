"""`sentinel-tui` that writes down what its event loop takes in: a line for every update of the watch.

    EAR=/tmp/heard python -m tests.unit.tui.ear --identity DIR

Where the loop is held up, nothing is written: the outside has no other way to see that.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from sentinel.tui import main, store

_take = store.Store.updated


def _updated(self, update, now_ms):
    _take(self, update, now_ms)
    with Path(os.environ["EAR"]).open("a") as file:
        file.write(f"{now_ms} {update.revision} {int(update.status is not None)}\n")


def heard(path):
    """Return (ms since the epoch, revision, whether it was a sign of life) of every whole line."""
    text = path.read_text() if path.exists() else ""
    lines = text[: text.rfind("\n") + 1].splitlines()
    return [(int(at), int(revision), sign == "1") for at, revision, sign in map(str.split, lines)]


if __name__ == "__main__":
    store.Store.updated = _updated
    sys.exit(main.main())
