"""Getting text out of the terminal: to the clipboard, and into files.

A terminal that knows OSC 52 puts the text into its clipboard; tmux hands that on where it may
(`set-clipboard on`, or `allow-passthrough on`). Whether anybody took it is never answered, so the text is
in a file as well, and the person is told which. What is longer than terminals take goes to tmux itself,
where there is one: only for that is a process started.
"""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

from sentinel import files
from sentinel.errors import OperatorError
from sentinel.tui.line import Line, plain
from sentinel.tui.safe import safe

MAX_ENCODED = 74_994  # bytes that terminals take at most
MAX_CHARS = 1_000_000  # of one copy in the file
LAST_COPY = "last-copy"
TMUX_S = 1.0  # the screen stands still meanwhile


def one_line(text: str) -> str:
    """Return `text` as it is copied: what is hidden in it shows, and nothing in it ends a line.

    A pasted newline would run what stands before it.
    """
    return safe(text.strip(), MAX_CHARS)


def sequence(text: str, environment: Mapping[str, str]) -> str:
    """Return what puts `text` into the clipboard of the terminal; nothing where it is too long."""
    encoded = base64.b64encode(text.encode()).decode()
    if len(encoded) > MAX_ENCODED:
        return ""
    plain_form = f"\x1b]52;c;{encoded}\x07"
    if not environment.get("TMUX"):
        return plain_form
    return plain_form + f"\x1bPtmux;\x1b{plain_form}\x1b\\"


def tmux(text: str, environment: Mapping[str, str]) -> bool:
    """Put `text` into tmux's own buffer, and through it into the clipboard; say whether it took it."""
    program = shutil.which("tmux") if environment.get("TMUX") else None
    if program is None:
        return False
    words = [program, "load-buffer", "-w", "-"]
    try:
        done = subprocess.run(  # noqa: S603
            words, input=text.encode(), capture_output=True, check=False, timeout=TMUX_S
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def short(path: Path) -> str:
    """Return `path` as a person writes it."""
    home = Path.home()
    return f"~/{path.relative_to(home)}" if path.is_relative_to(home) else str(path)


def keep(text: str, state: Path | None) -> Path | None:
    """Write `text` where the last copy is kept, for the owner alone; None where it cannot be."""
    if state is None:
        return None
    path = state / LAST_COPY
    try:
        state.mkdir(parents=True, exist_ok=True, mode=0o700)
        files.write(path, text.encode(), 0o600)
    except OSError:
        return None
    return path


def write(lines: Iterable[Line], folder: Path, stem: str) -> Path:
    """Write `lines` to a new file in `folder`, for the owner alone, and return its path.

    What is there is never overwritten. Raises OperatorError.
    """
    data = "".join(f"{plain(line).rstrip()}\n" for line in lines).encode()
    for number in range(1, 1000):
        path = folder / f"{stem}{'' if number == 1 else f'-{number}'}.txt"
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            continue
        except OSError as error:
            raise OperatorError(
                f"cannot write ({error.strerror}) {path}", hint="name a folder: :write DIR"
            ) from None
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        return path
    raise OperatorError(f"{folder} has a thousand files called {stem}", hint="remove some")
