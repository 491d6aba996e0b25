"""keys.toml: commands on other keys; and what keys are called.

A file that could do harm is refused as a whole: a key that two commands of one screen want, and a key
that a broken escape sequence could press on a command that leads to a change. A bad link, or a terminal
that answers late, splits `ESC [ B` into Escape, `[` and `B`; that may move a cursor and nothing more.
"""

from __future__ import annotations

import difflib
import json
import re
import string
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from sentinel import config
from sentinel.errors import ConfigError, printable
from sentinel.tui import commands
from sentinel.tui.commands import SCREENS, TABLE, Command, Overrides

KeyNames = Annotated[tuple[str, ...], Meta(max_length=8)]

_RENAMED = {
    "solidus": "slash",
    "reverse_solidus": "backslash",
    "commercial_at": "at",
    "hyphen_minus": "minus",
    "plus_sign": "plus",
    "low_line": "underscore",
}


def _name(char: str) -> str:
    name = unicodedata.name(char).lower().replace(" ", "_").replace("-", "_")
    return _RENAMED.get(name, name)


# Textual's names of the characters that are not their own name.
CHARACTERS = {char: _name(char) for char in string.punctuation}
_CHARACTER_OF = {name: char for char, name in CHARACTERS.items()}
_SHOWN = {
    "enter": "↵",
    "escape": "Esc",
    "space": "Space",
    "tab": "Tab",
    "left": "←",
    "right": "→",
    "up": "↑",
    "down": "↓",
    "pagedown": "PgDn",
    "pageup": "PgUp",
    "home": "Home",
    "end": "End",
}
_SPECIAL = {*_SHOWN, "backspace", "delete", "insert", *(f"f{number}" for number in range(1, 13))}
_SPECIAL |= {f"shift+{name}" for name in ("tab", "up", "down", "left", "right", "home", "end")}
# Ctrl-I, -J, -M and -[ are Tab, Enter and Escape; Ctrl-C always leaves.
_SPECIAL |= {f"ctrl+{char}" for char in string.ascii_lowercase if char not in "cijm"}
# Begins, fills or ends what a terminal sends: keys, positions, focus, modes, sizes.
_IN_SEQUENCES = frozenset({*"[]O;:?<>$~", *string.digits, *"ABCDEFGHIMPQRSZ", *"uty"})
SPLIT = frozenset({"escape", *(CHARACTERS.get(char, char) for char in _IN_SEQUENCES)})


class KeySettings(config.Settings, frozen=True, kw_only=True):
    """`keys.toml`."""

    keys: Annotated[dict[str, str | KeyNames], Meta(max_length=200)] = msgspec.field(
        default_factory=dict
    )


def shown(key: str) -> str:
    """Return how a person calls a key: `↵`, `/`, `C-d`."""
    if key.startswith("ctrl+"):
        return f"C-{key.removeprefix('ctrl+')}"
    return _SHOWN.get(key) or _CHARACTER_OF.get(key, key)


def written(key: str) -> str:
    """Return how a key is written in keys.toml: a character as itself, the others by name."""
    return _CHARACTER_OF.get(key, key)


def load(path: Path) -> dict[str, tuple[str, ...]]:
    """Return the keys that `path` changes, none where there is no such file. Raises ConfigError."""
    return parse(config.read_if_there(path), str(path))


def parse(text: str, source: str) -> dict[str, tuple[str, ...]]:
    """Return the keys that `text` changes; ConfigError names line, field, fault and remedy."""
    wanted = config.parse(KeySettings, text, source).keys
    overrides: dict[str, tuple[str, ...]] = {}

    def refuse(name: str, what: str, hint: str) -> ConfigError:
        known = re.search(rf"""^\s*["']?{re.escape(name)}["']?\s*=""", text, re.MULTILINE)
        line = f":{text.count(chr(10), 0, known.end()) + 1}" if known else ""
        return ConfigError(f"{source}{line}: keys.{printable(name)}: {what}", hint=hint)

    for name, value in wanted.items():
        fault = _unknown(name)
        if not fault:
            found = [_read(key) for key in ((value,) if isinstance(value, str) else value)]
            overrides[name] = tuple(key for key, _ in found)
            fault = next((f for _, f in found if f), None) or _hazard(name, overrides[name])
        if fault:
            raise refuse(name, *fault)
    for name, what, hint in _clashes(overrides):
        raise refuse(name, what, hint)
    return overrides


Fault = tuple[str, str]  # what is wrong, and the remedy


def _unknown(name: str) -> Fault | None:
    named = {command.name: command for command in commands.commands()}
    if name not in named:
        near = difflib.get_close_matches(name, named, 1)
        hint = f"did you mean {near[0]}?" if near else "sentinel-tui --keys lists them all"
        return "there is no such command", hint
    if named[name].fixed:
        keys = " ".join(shown(key) for key in commands.keys_of(named[name], {}))
        return f"this command stays on {keys}", "remove the line"
    return None


def _read(written_key: str) -> tuple[str, Fault | None]:
    key = CHARACTERS.get(written_key, "space" if written_key == " " else written_key)
    plain = key in string.ascii_letters + string.digits and len(key) == 1
    if plain or key in _SPECIAL or key in _CHARACTER_OF:
        return key, None
    near = difflib.get_close_matches(key, [*_SPECIAL, *_CHARACTER_OF], 1)
    hint = (
        f"did you mean {near[0]}?" if near else "one character, or a name such as space, f1, ctrl+t"
    )
    return key, (f"{printable(written_key)} is no key that every terminal sends", hint)


def _hazard(name: str, keys: Sequence[str]) -> Fault | None:
    mutates = any(c.mutates for table in TABLE.values() for c in table if c.name == name)
    split = [key for key in keys if key in SPLIT]
    if not (mutates and split):
        return None
    what = f"a broken escape sequence could press {shown(split[0])}, and this leads to a change"
    free = [c for c in string.ascii_lowercase if c not in SPLIT]
    return what, f"one of {' '.join(free)} is safe"


def _clashes(overrides: Overrides) -> Iterator[tuple[str, str, str]]:
    """Yield command, fault and remedy for every key that a screen has for two commands."""
    for screen, places in SCREENS.items():
        shipped = _owners(places, {})
        for key, names in _owners(places, overrides).items():
            changed = [name for name in names if name in overrides]
            if len(names) > 1 and changed and names != shipped.get(key):
                other = next(name for name in names if name != changed[0])
                what = f"{shown(key)} is also {other}'s on the screen {screen}"
                yield changed[0], what, f"give {other} another key in the same file, or this one"


def _owners(places: Iterable[str], overrides: Overrides) -> dict[str, list[str]]:
    owners: dict[str, list[str]] = {}
    for place in places:
        for command, keys in commands.bound(place, overrides):
            for key in keys:
                if command.name not in owners.setdefault(key, []):
                    owners[key].append(command.name)
    return owners


def to_toml(overrides: Overrides) -> str:
    """Return every command with the keys it is on, as keys.toml would have it."""
    rows = [
        "# Every command of sentinel-tui and its keys. Keep the lines you change, in keys.toml in the",
        "# configuration folder. Those behind a # stay where they are.",
        "[keys]",
    ]
    rows += [_toml(command, overrides) for command in commands.commands()]
    return "\n".join(rows) + "\n"


def _toml(command: Command, overrides: Overrides) -> str:
    keys = [written(key) for key in commands.keys_of(command, overrides)]
    entry = f"{'# ' if command.fixed else ''}{command.name} = {json.dumps(keys)}"
    return f"{entry:<36}# {command.help}"
