"""`sentinel-tui` with a fault in it: the first `j` is an error that nobody expects."""

from __future__ import annotations

import sys

from sentinel.tui import main


def fault(*_: object) -> None:
    """Be the fault."""
    raise ZeroDivisionError("a fault that was put here")


if __name__ == "__main__":
    from sentinel.tui.widgets.lines import Browser

    Browser.action_step = fault
    sys.exit(main.main())
