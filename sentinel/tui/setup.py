"""How one person's terminal is set up: keys.toml and tui.toml in the configuration folder.

    keys.toml    [keys]                 tui.toml    skin = "deut"
                 approve = "A"                      ascii = false
                 help = ["question_mark", "f1"]     [views]
                                                    mine = "host=web state=awaiting"

Neither has to be there.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from sentinel import config, files
from sentinel.domain import Value
from sentinel.errors import ConfigError, OperatorError
from sentinel.tui import filters
from sentinel.tui.commands import Overrides
from sentinel.tui.look import Skin

KEYS_FILE, TUI_FILE = "keys.toml", "tui.toml"
ViewName = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9_-]{0,31}$")]
Views = dict[ViewName, Annotated[str, Meta(max_length=400)]]
_VIEWS = re.compile(r"^\s*\[views\]\s*(#.*)?$")
_TABLE = re.compile(r"^\s*\[")


class TuiSettings(config.Settings, frozen=True, kw_only=True):
    """`tui.toml`."""

    skin: Skin | None = None
    ascii: bool = False
    views: Annotated[Views, Meta(max_length=100)] = msgspec.field(default_factory=dict)


class Setup(Value, frozen=True, kw_only=True):
    """What one person wants, and where what they say is kept; with no folders nothing is kept."""

    keys: dict[str, tuple[str, ...]] = msgspec.field(default_factory=dict)
    tui: TuiSettings = TuiSettings()
    folder: Path | None = None
    state: Path | None = None


def load(folder: Path, state: Path, keys: Overrides) -> Setup:
    """Return the setup in `folder`; `keys` were read from it already. Raises ConfigError."""
    return Setup(keys=dict(keys), tui=read(folder / TUI_FILE), folder=folder, state=state)


def read(path: Path) -> TuiSettings:
    """Return what `path` says, the defaults where there is no such file. Raises ConfigError."""
    return parse(config.read_if_there(path), str(path))


def parse(text: str, source: str) -> TuiSettings:
    """Return the settings in `text`; ConfigError that names the view whose filter is wrong."""
    settings = config.parse(TuiSettings, text, source)
    for name, terms in settings.views.items():
        try:
            filters.parse(terms)
        except OperatorError as error:
            raise ConfigError(f"{source}: views.{name}: {error.what}", hint=error.hint) from None
    return settings


def save_view(folder: Path, name: str, terms: str) -> TuiSettings:
    """Write `terms` as the view `name` into tui.toml and return what that says then.

    Everything else in the file stays as its owner wrote it. Raises ConfigError.
    """
    path = folder / TUI_FILE
    before = config.read_if_there(path)
    after = with_view(before, name, terms)
    settings = parse(after, str(path))
    if settings.views.get(name) != terms:
        raise ConfigError(
            f"{path}: view {name} is written in a way of its own", hint="edit it there"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        files.write(path, after.encode(), 0o600)
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}") from None
    return settings


def with_view(text: str, name: str, terms: str) -> str:
    """Return the TOML `text` with a view put in or replaced."""
    lines, entry = text.splitlines(), f"{name} = {json.dumps(terms)}"
    head = next((i for i, line in enumerate(lines) if _VIEWS.match(line)), None)
    if head is None:
        return "\n".join([*lines, *([""] if lines else []), "[views]", entry, ""])
    own = re.compile(rf"""^\s*["']?{re.escape(name)}["']?\s*=""")
    for at in range(head + 1, len(lines)):
        if _TABLE.match(lines[at]):
            break
        if own.match(lines[at]):
            return "\n".join([*lines[:at], entry, *lines[at + 1 :], ""])
    return "\n".join([*lines[: head + 1], entry, *lines[head + 1 :], ""])
