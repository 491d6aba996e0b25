"""The line after `:`: a command by its name, with completion and with what was typed before."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from textual import events
from textual.message import Message

from sentinel.tui import typed
from sentinel.tui.history import History
from sentinel.tui.widgets.entry import Entry
from sentinel.tui.widgets.paint import Paint


class Prompt(Entry):
    """An entry whose text is run as a command. It never runs anything itself."""

    @dataclass
    class Edited(Message):
        """The text is another one; `near` are the texts that it may become."""

        typed: str
        near: list[str]

    @dataclass
    class Entered(Message):
        """Enter was pressed."""

        typed: str

    class Left(Message):
        """It was left without a command."""

    def __init__(
        self, paint: Paint, history: History, candidates: Callable[[str], Iterable[str]]
    ) -> None:
        """`candidates(typed)` returns every text that the typed one might be the beginning of."""
        super().__init__(paint, ":", id="prompt")
        self._history = history
        self._candidates = candidates
        self._at_line = len(history)
        self._prefix = ""  # what was typed before ↑

    def open(self) -> None:
        """Begin with an empty line."""
        self.clear()
        self._at_line, self._prefix = len(self._history), ""

    def on_key(self, event: events.Key) -> None:
        """Complete, recall, run or leave; every other key is the entry's."""
        match event.key:
            case "tab":
                self._put(typed.complete(self.value, self._candidates(self.value))[0])
            case "up" | "down":
                self._recall(older=event.key == "up")
            case "enter":
                self._history.add(self.value)
                self.post_message(self.Entered(self.value))
            case "escape" | "ctrl+c":
                self.post_message(self.Left())
            case "backspace" if not self.value:
                self.post_message(self.Left())
            case _:
                return
        event.stop()
        event.prevent_default()

    def _recall(self, *, older: bool) -> None:
        if self._at_line == len(self._history):
            self._prefix = self.value
        step = self._history.older if older else self._history.newer
        found = step(self._at_line, self._prefix)
        if found >= 0:
            self._at_line = found
            self._put(self._history[found] if found < len(self._history) else self._prefix)

    def _put(self, text: str) -> None:
        self.clear()
        self.type(text)

    def _changed(self) -> None:
        """Say so, and what it may become; the screen's own entries are not confused with this one."""
        self.repaint(0)
        near = typed.complete(self.value, self._candidates(self.value))[1]
        self.post_message(self.Edited(self.value, near))
