"""One line of typed text: no blink, no markup, no history, nothing that Textual's Input brings along."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from textual import events
from textual.message import Message

from sentinel.tui import keys as key_names
from sentinel.tui.line import Line, Tone, cells_of, line, text
from sentinel.tui.widgets.paint import Paint, Painted

MAX_CHARS = 400
NEVER_S = float("inf")
_EDITS = frozenset({"backspace", "delete", "ctrl+u", "ctrl+w", "left", "right", "home", "end"})


class Entry(Painted, can_focus=True):
    """A labelled line to type in. What is pasted is text, never keys."""

    @dataclass
    class Changed(Message):
        """The text is another one."""

        entry: Entry

    @dataclass
    class Submitted(Message):
        """Enter was pressed."""

        entry: Entry

    def __init__(
        self,
        paint: Paint,
        label: str,
        *,
        id: str,
        accepts: Callable[[str], bool] = str.isprintable,
        limit: int = MAX_CHARS,
    ) -> None:
        """`accepts` says which characters can be typed; the others go on to the screen's keys."""
        super().__init__(paint, id=id)
        self._label = label
        self._accepts = accepts
        self._limit = limit
        self._text = ""
        self._at = 0
        self._armed_s = 0.0

    def arm(self, at_s: float) -> None:
        """Take only what is typed or pasted after `at_s`: what came before was meant for another screen.

        There is no cursor as long as that lies ahead: what shows none takes none.
        """
        self._armed_s = at_s
        self.repaint(0)

    @property
    def value(self) -> str:
        """What was typed."""
        return self._text

    def clear(self) -> None:
        """Forget what was typed. Nobody is told: whoever clears it knows."""
        self._text, self._at = "", 0
        self.repaint(0)

    def check_consume_key(self, key: str, character: str | None) -> bool:
        """Say whether this key would be typed."""
        return character is not None and character.isprintable() and self._accepts(character)

    def takes(self, key: str) -> bool:
        """Say whether `key`, by Textual's name, is typed or edits what was typed."""
        char = " " if key == "space" else key_names.written(key)
        return key in _EDITS or (len(char) == 1 and self.check_consume_key(key, char))

    def on_key(self, event: events.Key) -> None:
        """Type, edit, or leave the key to the screen."""
        char = event.character
        if event.time <= self._armed_s:
            event.stop()
            event.prevent_default()
            return
        if event.key == "enter":
            self.post_message(self.Submitted(self))
        elif char is not None and self.check_consume_key(event.key, char):
            self.type(char)
        elif not self._edit(event.key):
            return
        event.stop()
        event.prevent_default()

    def on_paste(self, event: events.Paste) -> None:
        """Take the printable characters of what was pasted."""
        event.stop()
        if event.time <= self._armed_s:
            return
        one_line = " ".join(event.text[: 4 * self._limit].split())
        self.type("".join(c for c in one_line if c.isprintable() and self._accepts(c)))

    def type(self, typed: str) -> None:
        """Put `typed` where the cursor is."""
        room = self._limit - len(self._text)
        typed = typed[: max(0, room)]
        self._text = self._text[: self._at] + typed + self._text[self._at :]
        self._at += len(typed)
        self._changed()

    def _edit(self, key: str) -> bool:
        """Carry out an editing key; say whether it was one."""
        before, after = self._text[: self._at], self._text[self._at :]
        match key:
            case "backspace":
                self._text, self._at = before[:-1] + after, max(0, self._at - 1)
            case "delete":
                self._text = before + after[1:]
            case "ctrl+u":
                self._text, self._at = after, 0
            case "ctrl+w":
                kept = before.rstrip().rpartition(" ")[0]
                kept = f"{kept} " if kept else ""
                self._text, self._at = kept + after, len(kept)
            case "left":
                self._at = max(0, self._at - 1)
            case "right":
                self._at = min(len(self._text), self._at + 1)
            case "home":
                self._at = 0
            case "end":
                self._at = len(self._text)
            case _:
                return False
        self._changed()
        return True

    def _changed(self) -> None:
        self.repaint(0)
        self.post_message(self.Changed(self))

    def on_focus(self) -> None:
        """Show the cursor."""
        self.repaint(0)

    def on_blur(self) -> None:
        """Hide the cursor."""
        self.repaint(0)

    def line(self, _: int, cells: int) -> Line:
        """Return the label, the text around the cursor, and the cursor itself while it is here."""
        head = line(text(f"{self._label} > ", Tone.STRONG if self.has_focus else Tone.DIM))
        room = max(1, cells - cells_of(f"{self._label} > ") - 1)
        start = max(0, self._at - room + 1)
        before, under = self._text[start : self._at], self._text[self._at : self._at + 1]
        after = self._text[self._at + 1 : start + room]
        if not self.has_focus or self._armed_s == NEVER_S:
            return line(*head, before + under + after)
        # An underscore stands where the next character goes: it is there without colour as well.
        return line(*head, before, text(under or "_", Tone.HERE), after)
