"""A screen: header, a body of its own, a status line, and a footer made of its keys."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.dom import DOMNode
from textual.message import Message
from textual.screen import Screen
from textual.widget import Widget

from sentinel.domain import Value
from sentinel.protocol import GetRequest
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

    @dataclass
    class Drawn(Message):
        """`callback` is to be called when what is shown now has been drawn by the terminal."""

        callback: Callable[[], None]

    def __init__(self, desk: Desk) -> None:
        """Build over `desk`."""
        super().__init__()
        self.desk = desk
        self._waiting: list[Value] = []
        self._fetched = -1  # the revision of an incident that was asked for last
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
        """Take the hub's refusal of something that this screen asked."""
        hint = f" ({message.error.hint})" if message.error.hint else ""
        self.say(f"{message.error.what}{hint}", bad=True)

    # ---- what they share

    def ask(self, request: Value) -> None:
        """Send `request`; its answer comes to `answered` or `refused` of this screen."""
        self._waiting.append(request)
        self.desk.ask(request)

    def fetch(self, incident: str) -> None:
        """Ask for a whole incident where the list knows a newer form, once for every revision."""
        wanted = self.desk.store.known_revision(incident)
        if self.desk.store.outdated(incident) and wanted != self._fetched:
            self._fetched = wanted
            self.ask(GetRequest(incident=incident))

    def take(self, message: Answered | Refused) -> None:
        """Take an answer, if it is this screen's."""
        mine = [request for request in self._waiting if request is message.request]
        if not mine:
            return
        self._waiting = [request for request in self._waiting if request is not message.request]
        if isinstance(message, Answered):
            self.answered(message)
        else:
            self._fetched = -1
            self.refused(message)

    def compose(self) -> ComposeResult:
        """Lay the screen out."""
        yield self._head
        yield from self.body()
        yield self._note
        yield self._foot

    def on_mount(self) -> None:
        """Show what is known, once there is room for it."""
        self.call_after_refresh(self.update_view)

    def on_screen_resume(self) -> None:
        """Show what has changed while another screen was on top."""
        self.update_view()

    def on_resize(self, _: events.Resize) -> None:
        """Lay everything out afresh, once the widgets have their new sizes."""
        self.call_after_refresh(self.update_view)

    def update_view(self) -> None:
        """Bring everything up to date; what did not change is not painted again."""
        if not self.is_mounted or self._head.size.width != self.size.width:
            return  # nothing is laid out yet: `on_resize` comes back
        desk, now_ms, cells = self.desk, self.desk.clock(), self.size.width
        snapshot = desk.snapshot
        self._head.show([frame.header(self.path(), snapshot, now_ms, desk.options, cells)])
        self.draw()
        self._show_note()
        self._foot.show([frame.footer(self.key_list(), cells)])

    def _show_note(self) -> None:
        words = self._notice or self.banner()
        self._note.show([frame.notice(words, self.size.width, bad=self._bad)])

    def hint(self) -> str:
        """Return what stands on the status line while nothing else has to be said."""
        return ""

    def banner(self) -> str:
        """Return the status line: the hub's trouble first, then the screen's own words."""
        demo = "recorded incidents: nothing here runs on any host" if self.desk.options.demo else ""
        trouble = frame.banner(self.desk.snapshot, self.desk.clock())
        return trouble or self.hint() or demo

    def say(self, words: str, *, bad: bool = False) -> None:
        """Put a sentence on the status line; an empty one gives it back to the banner."""
        self._notice, self._bad = words, bad
        self._show_note()

    def key_list(self) -> list[Key]:
        """Return the keys that work here now, this screen's own first."""
        known: dict[str, Key] = {}
        for owner in type(self).__mro__:
            for each in bound(owner) if issubclass(owner, Page) else ():
                fresh = [k for k in each.keys.split(",") if k not in known]
                known |= {k: each._replace(keys=k) for k in fresh}
        return _joined([k for k in known.values() if self._offers(k.keys)])

    def _offers(self, name: str) -> bool:
        bindings = self._bindings.key_to_bindings.get(name, [])
        return any(self.check_action(b.action.partition("(")[0], ()) for b in bindings)

    def action_back(self) -> None:
        """Leave this screen."""
        self.app.pop_screen()

    def action_help(self) -> None:
        """Ask for the help."""
        self.post_message(self.Help())


def bound(owner: type[DOMNode]) -> list[Key]:
    """Return the keys that a class binds itself, for the help."""
    bindings = [b for b in owner.BINDINGS if isinstance(b, Binding)]
    return _joined([Key(b.key, b.description, b.tooltip, b.show) for b in bindings])


def _joined(keys: list[Key]) -> list[Key]:
    """Return the keys with those that do the same in one entry, in the order of declaration."""
    merged: dict[tuple[str, str], Key] = {}
    for each in keys:
        name = (each.what, each.more)
        known = merged.get(name)
        merged[name] = each._replace(keys=f"{known.keys},{each.keys}") if known else each
    return list(merged.values())
