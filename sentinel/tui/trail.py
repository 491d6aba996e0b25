"""Where one has been: back and forward through the screens, as in a browser."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

KEPT = 50


class Visit(NamedTuple):
    """A screen that can be opened again: its name, and what it shows."""

    screen: str
    of: tuple[str | int, ...] = ()


Place: TypeAlias = tuple[Visit, ...]  # the screens on top of the home screen, the topmost last


class Trail:
    """The places that were visited, and which of them one is in."""

    def __init__(self) -> None:
        """Begin at home."""
        self._places: list[Place] = [()]
        self._at = 0

    def arrived(self, place: Place) -> None:
        """Note a place; what lay ahead is forgotten, unless this is where one has travelled to."""
        if place == self._places[self._at]:
            return
        self._places = [*self._places[: self._at + 1], place][-KEPT:]
        self._at = len(self._places) - 1

    def travel(self, step: int, here: Place | None) -> Place | None:
        """Return the place `step` away and be there; None at either end.

        `here` is where one really is: None, or another place than was noted last, is a screen that
        cannot be opened again, and back from there is the last place that can.
        """
        target = self._at + step
        if step < 0 and here != self._places[self._at]:
            target = self._at
        if not 0 <= target < len(self._places):
            return None
        self._at = target
        return self._places[target]
