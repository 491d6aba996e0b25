"""What is typed after `:`, understood: a command by its name or the beginning of one, and completed."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

from sentinel.tui.commands import TABLE, Command


def split(typed: str) -> tuple[str, str]:
    """Return name and argument of what was typed."""
    name, _, argument = typed.strip().partition(" ")
    return name.removeprefix(":"), argument.strip()


def find(name: str, offered: Sequence[Command]) -> list[Command]:
    """Return the command called `name`, or else all whose names begin with it."""
    exact = [command for command in offered if command.name == name]
    return exact[:1] or [command for command in offered if command.name.startswith(name)]


def chosen(name: str, argument: str, offered: Sequence[Command]) -> tuple[Command | None, str]:
    """Return the command that was typed; or None and why it is none that can be run."""
    found = find(name, offered)
    if len(found) > 1:
        return None, f":{name} may be {', '.join(command.name for command in found)}"
    if not found:
        places = [place for place, table in TABLE.items() if any(c.name == name for c in table)]
        if places:
            return None, f":{name} does not work here now; it does on: {', '.join(places)}"
        near = difflib.get_close_matches(name, [command.name for command in offered], 1)
        hint = f": did you mean :{near[0]}?" if near else "; ? lists them"
        return None, f"there is no command {name}{hint}"
    (command,) = found
    if argument and not command.takes:
        return None, f":{command.name} takes nothing after its name"
    if not argument and command.takes and not command.takes.startswith("["):
        return None, f"say which: {command.usage}"
    return command, ""


def complete(typed: str, names: Iterable[str]) -> tuple[str, list[str]]:
    """Return `typed` as far as it can only go on in one way, and the names it may become."""
    near = sorted({name for name in names if name.startswith(typed)})
    if not near:
        return typed, near
    first, last = near[0], near[-1]  # what these two have in common, all between them have
    same = [a == b for a, b in zip(first, last, strict=False)]
    return first[: same.index(False) if False in same else len(same)], near
