"""Commands as Textual's bindings: the only place where one becomes the other."""

from __future__ import annotations

from collections.abc import Iterable

from textual.binding import Binding, BindingsMap

from sentinel.tui import commands
from sentinel.tui.commands import Overrides


def binding(action: str, key: str) -> Binding:
    """Return one binding; what Textual would show of it is not used anywhere."""
    return Binding(key, action, show=False)


def of_places(places: Iterable[str], overrides: Overrides) -> list[Binding]:
    """Return the bindings of `places`; where two want a key, the first place has it."""
    made: dict[str, Binding] = {}
    for place in places:
        for command, keys in commands.bound(place, overrides):
            given = ", ".join(repr(value) for value in command.given)
            for key in keys:
                made.setdefault(key, binding(f"{command.does}({given})", key))
    return list(made.values())


def put(onto: BindingsMap, places: Iterable[str], overrides: Overrides) -> BindingsMap:
    """Return `onto` with the bindings of `places` in place of the shipped ones."""
    shipped = {each.key for each in of_places(places, {})}
    kept = {key: list(b) for key, b in onto.key_to_bindings.items() if key not in shipped}
    kept |= {each.key: [each] for each in of_places(places, overrides)}
    return BindingsMap.from_keys(kept)
