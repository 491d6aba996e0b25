"""What a test needs of its machine. In CI that is there: its absence fails, and skips nothing in silence."""

from __future__ import annotations

import os
import shutil

import pytest


def program(name, package):
    """Return the path of a program of that Debian package."""
    path = shutil.which(name) or shutil.which(name, path="/usr/sbin")
    if path is None:
        _missing(f"{name} is not installed: apt-get install --no-install-recommends {package}")
    return path


def root(purpose):
    """Go on only as root, who alone can do what `purpose` says."""
    if os.geteuid() != 0:
        _missing(f"only root can {purpose}")


def _missing(what):
    if os.environ.get("CI"):
        pytest.fail(what)
    pytest.skip(what)


# Before a command: root reads everything, but not without these two capabilities.
POWERLESS = (
    ("setpriv", "--bounding-set", "-dac_override,-dac_read_search") if os.geteuid() == 0 else ()
)
