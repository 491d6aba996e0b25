"""Getting text out of the terminal: to the clipboard, and into files.

Three rungs, and the first that takes the text ends it: the desktop's own clipboard where the program runs on
the person's own machine; tmux, which as it is shipped lets no program's OSC 52 through but takes a text from
its own command; OSC 52, which the terminal at the other end of a link understands. Whether a terminal took
it is never answered, so the text is in a file as well, and the person is told which.
"""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from sentinel import files
from sentinel.errors import OperatorError
from sentinel.tui.line import Line, plain
from sentinel.tui.safe import safe

MAX_ENCODED = 74_994  # bytes that terminals take at most
MAX_CHARS = 1_000_000  # of one copy in the file
LAST_COPY = "last-copy"
TAKES_S = 1.0  # the screen stands still meanwhile
# Of these the first that is there, where its display is and no ssh lies between.
_NATIVE = (
    ("WAYLAND_DISPLAY", ("wl-copy",)),
    ("DISPLAY", ("xclip", "-selection", "clipboard")),
    ("DISPLAY", ("xsel", "--clipboard", "--input")),
)


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


def taken(text: str, environment: Mapping[str, str]) -> str:
    """Give `text` to a program that keeps a clipboard; return its name, nothing where none took it."""
    away = environment.get("SSH_CONNECTION") or environment.get("SSH_TTY")
    native = () if away else tuple(words for name, words in _NATIVE if environment.get(name))
    of_tmux = (("tmux", "load-buffer", "-w", "-"),) if environment.get("TMUX") else ()
    return next((words[0] for words in (*native, *of_tmux) if _takes(words, text, environment)), "")


def _takes(words: Sequence[str], text: str, environment: Mapping[str, str]) -> bool:
    program = shutil.which(words[0], path=environment.get("PATH"))
    if program is None:
        return False
    try:
        # Some stay to serve the clipboard: they are not waited for by way of a pipe.
        done = subprocess.run(  # noqa: S603
            [program, *words[1:]],
            input=text.encode(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=dict(environment),
            check=False,
            timeout=TAKES_S,
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
