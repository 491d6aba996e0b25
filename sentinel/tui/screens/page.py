"""A screen: header, a body of its own, a status line, and a footer made of its keys."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.screen import Screen
from textual.widget import Widget

from sentinel.tui.client import Answered, Refused
from sentinel.tui.desk import Desk
from sentinel.tui.render import frame
from sentinel.tui.render.frame import Key
from sentinel.tui.widgets.lines import Lines


def key(keys: str, action: str, what: str, more: str = "", *, shown: bool = True) -> Binding:
    """Return a binding: `what` stands in the footer, `more` in the help."""
    return Binding(keys, action, what, show=shown, tooltip=more or what)


class Page(Screen[None]):
    """Base of every screen. It shows snapshots; what it wants of the hub it asks through the desk."""

    BINDINGS: ClassVar[list[BindingType]] = [
        key("q,escape", "back", "back"),
        key("question_mark", "help", "help", "this help"),
    ]
    AUTO_FOCUS = "Browser"

    class Help(Message):
        """The help of this screen is wanted."""

    def __init__(self, desk: Desk) -> None:
        """Build over `desk`."""
        super().__init__()
        self.desk = desk
        self._notice = ""
        self._bad = False
        self._head = Lines(desk.paint, id="head")
        self._note = Lines(desk.paint, id="note")
        self._foot = Lines(desk.paint, id="foot")

    # ---- for the screens to fill in

    def body(self) -> Iterable[Widget]:
        """Return the widgets between header and status line."""
        raise NotImplementedError

    def path(self) -> Sequence[str]:
        """Return where one is."""
        raise NotImplementedError

    def draw(self) -> None:
        """Bring the body up to date with the store."""
        raise NotImplementedError

    def answered(self, message: Answered) -> None:
        """Take the hub's answer to something that this screen asked."""

    def refused(self, message: Refused) -> None:
        """Take the hub's refusal."""
        self.say(f"{message.error.what}. {message.error.hint}", bad=True)

    # ---- what they share

    def compose(self) -> ComposeResult:
        """Lay the screen out."""
        yield self._head
        yield from self.body()
        yield self._note
        yield self._foot

    def on_mount(self) -> None:
        """Show what is known."""
        self.update_view()

    def on_screen_resume(self) -> None:
        """Show what has changed while another screen was on top."""
        self.update_view()

    def on_resize(self, _: events.Resize) -> None:
        """Lay everything out afresh, once the widgets have their new sizes."""
        self.call_after_refresh(self.update_view)

    def update_view(self) -> None:
        """Bring everything up to date; what did not change is not painted again."""
        if not self.is_mounted or self.size.width == 0:
            return
        desk, now_ms, cells = self.desk, self.desk.clock(), self.size.width
        snapshot = desk.snapshot
        self._head.show([frame.header(self.path(), snapshot, now_ms, desk.options, cells)])
        self.draw()
        words = self._notice or frame.banner(snapshot, now_ms, desk.options)
        self._note.show([frame.notice(words, cells, bad=self._bad)])
        self._foot.show([frame.footer(self.keys(), cells)])

    def say(self, words: str, *, bad: bool = False) -> None:
        """Put a sentence on the status line; an empty one gives it back to the banner."""
        self._notice, self._bad = words, bad
        self.update_view()

    def keys(self) -> list[Key]:
        """Return the keys that work here now, this screen's own first."""
        found: list[Key] = []
        for binding in self._bindings.key_to_bindings.values():
            found += [
                Key(b.key, b.description, b.tooltip, b.show)
                for b in binding
                if self.check_action(b.action.partition("(")[0], ()) and b.description
            ]
        return _joined(found)

    def action_back(self) -> None:
        """Leave this screen."""
        self.app.pop_screen()

    def action_help(self) -> None:
        """Ask for the help."""
        self.post_message(self.Help())


def _joined(keys: list[Key]) -> list[Key]:
    """Return the keys with those that do the same in one entry, in the order of declaration."""
    merged: dict[tuple[str, str], Key] = {}
    for each in keys:
        name = (each.what, each.more)
        known = merged.get(name)
        merged[name] = each._replace(keys=f"{known.keys},{each.keys}") if known else each
    return list(merged.values())
