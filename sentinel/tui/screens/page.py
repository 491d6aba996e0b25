"""A screen: header, a body of its own, a status line, and a footer made of its commands."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.dom import DOMNode
from textual.message import Message
from textual.screen import Screen
from textual.strip import Strip
from textual.widget import Widget

from sentinel.domain import Value
from sentinel.protocol import GetRequest
from sentinel.tui import commands, typed
from sentinel.tui.client import Answered, Refused
from sentinel.tui.commands import APP, LIST, Command
from sentinel.tui.desk import Desk
from sentinel.tui.line import Line, plain
from sentinel.tui.look import Skin
from sentinel.tui.render import frame
from sentinel.tui.trail import Visit
from sentinel.tui.widgets import bindings
from sentinel.tui.widgets.entry import Entry
from sentinel.tui.widgets.lines import Browser, Lines
from sentinel.tui.widgets.paint import Painted
from sentinel.tui.widgets.prompt import Prompt

TICK_S = 1.0  # ages in seconds, a countdown, the hub's silence
WRITTEN_CELLS = 160  # of what `w` writes, where a screen is laid out to a width


class Page(Screen[None]):
    """Base of every screen. It shows snapshots; what it wants of the hub it asks through the desk."""

    NAME: ClassVar[str] = "reading"  # which of `commands.SCREENS` it is
    BANNER_ROWS: ClassVar[int] = frame.NOTICE_ROWS  # of what stands on the status line by itself
    DIALOG: ClassVar[bool] = False  # a change is being made: nothing leads away but leaving it
    AUTO_FOCUS = "Browser"

    class Help(Message):
        """The help of this screen is wanted."""

    class Arrived(Message):
        """This is the screen that one sees now."""

    @dataclass
    class Wanted(Message):
        """Another screen is wanted on top of `page`."""

        page: Page
        visit: Visit

    @dataclass
    class Typed(Message):
        """A command was typed; it has not been looked at yet."""

        typed: str

    @dataclass
    class Copied(Message):
        """`text` is wanted in the clipboard; `what` it is."""

        what: str
        text: str

    @dataclass
    class Written(Message):
        """These lines are wanted in a file of `folder`, or of the present directory."""

        lines: list[Line]
        folder: str

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
        self._line = Prompt(desk.paint, desk.history, self._candidates)
        self._focus_before: Widget | None = None
        self._bindings = bindings.put(self._bindings, self._places(), desk.setup.keys)
        self._own = self._own_commands()

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

    def visit(self) -> Visit | None:
        """Return how this screen can be opened again; None where it cannot."""
        return None

    def choices(self, name: str) -> Sequence[str]:
        """Return what may be typed after the command `name`."""
        if name == "skin":
            return tuple(Skin)
        home = self.app.screen_stack[0]
        return home.choices(name) if isinstance(home, Page) and home is not self else ()

    def subject(self) -> tuple[str, str]:
        """Return what is under the cursor, to be copied: what it is, and the text itself."""
        browser = self.browser
        return ("line", plain(browser.row.line).strip()) if browser else ("", "")

    def whole(self) -> list[Line]:
        """Return everything that this screen shows and has below its edge, for a file."""
        browser = self.browser
        return [row.line for row in browser.rows] if browser else []

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

    def want(self, screen: str, *of: str | int) -> None:
        """Have another screen opened on top of this one."""
        self.post_message(self.Wanted(self, Visit(screen, of)))

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
        self._line.add_class("gone")
        yield self._note
        yield self._line
        yield self._foot

    def on_mount(self) -> None:
        """Show what is known, once there is room for it."""
        for browser in self.query(Browser):
            browser.rebind(self.desk.setup.keys)
        self.call_after_refresh(self.update_view)

    def on_screen_resume(self) -> None:
        """Show what has changed while another screen was on top."""
        self.post_message(self.Arrived())
        self.update_view()

    def on_screen_suspend(self) -> None:
        """Say nothing any more of what was done before: it would be old when one comes back."""
        if not self.DIALOG:
            self.say("")

    def on_resize(self, _: events.Resize) -> None:
        """Lay everything out afresh, once the widgets have their new sizes."""
        self.call_after_refresh(self.update_view)

    @property
    def laid_out(self) -> bool:
        """Whether the widgets have their sizes: before that there is nothing to show."""
        return self.is_mounted and self._head.size.width == self.size.width

    def update_view(self) -> None:
        """Bring everything up to date; what did not change is not painted again."""
        if not self.laid_out:
            return  # `on_resize` comes back
        desk, now_ms, cells = self.desk, self.desk.clock(), self.size.width
        snapshot = desk.snapshot
        self._head.show([frame.header(self.path(), snapshot, now_ms, desk.options, cells)])
        self.draw()
        self._show_note()
        self._foot.show([frame.footer(self.at_foot(), cells)])

    def lasts_s(self) -> float:
        """Return for how many seconds what is shown stays true, if nothing comes."""
        return TICK_S

    def on_descendant_focus(self) -> None:
        """Offer what works where the cursor is now."""
        self._foot.show([frame.footer(self.at_foot(), self.size.width)])

    def strips(self) -> list[Strip]:
        """Return every line of the screen, from the widgets themselves; none where nothing is laid out.

        They are as wide as the screen and lie one below the other. Textual's compositor finds out as much
        for every frame, and costs more than all the rest of it.
        """
        if not self.laid_out:
            return []
        width, height = self.size
        lines = [Strip.blank(width)] * height
        for widget in self.children:
            if isinstance(widget, Painted) and widget.display:
                top, room = widget.region.y, widget.size.height
                lines[top : top + room] = [widget.strip(y, width) for y in range(room)]
        return lines[:height]

    def _compositor_refresh(self) -> None:
        """Have a frame sent, without Textual's rendering of what changed: that would be thrown away."""
        if self.desk.paint.due is None or self is not self.app.screen:
            super()._compositor_refresh()
            return
        self._compositor._dirty_regions.clear()
        self._dirty_widgets.clear()
        self.app._display(self, "")

    def _show_note(self) -> None:
        most = frame.NOTICE_ROWS if self._notice else self.BANNER_ROWS
        words = self._notice or self.banner()
        rows = frame.notice(words, self.size.width, most, bad=self._bad)
        self._note.styles.height = len(rows)
        self._note.show(rows)

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

    # ---- commands

    @property
    def browser(self) -> Browser | None:
        """What one moves in here, if there is anything."""
        return next(iter(self.query(Browser)), None)

    def _places(self) -> list[str]:
        return [place for place in commands.SCREENS[self.NAME] if place not in (LIST, APP)]

    def own(self) -> Sequence[Command]:
        """Return this screen's commands with the keys they are on, whether they work now or not."""
        return self._own

    def _own_commands(self) -> Sequence[Command]:
        taken: set[str] = set()
        own: dict[str, Command] = {}
        for place in self._places():
            for command, keys in commands.bound(place, self.desk.setup.keys):
                left = [key for key in keys if key not in taken]
                taken.update(left)
                own.setdefault(command.name, command._replace(keys=",".join(left)))
        return tuple(own.values())

    def offered(self) -> list[Command]:
        """Return this screen's commands that work now."""
        return [c for c in self.own() if self.check_action(c.does, c.given)]

    def at_foot(self) -> list[Command]:
        """Return what the footer offers: while a field has the cursor, only what is not typed there."""
        field = self.focused
        if isinstance(field, Prompt):
            return [Command("", "enter", "do it"), Command("", "escape", "leave")]
        if not isinstance(field, Entry):
            return self.offered()
        left = [
            command._replace(
                keys=",".join(k for k in command.keys.split(",") if not field.takes(k))
            )
            for command in self.offered()
        ]
        return [command for command in left if command.keys]

    def typable(self) -> list[Command]:
        """Return what may be typed here, this screen's own first."""
        everywhere = [c for place in (LIST, APP) for c in commands.TABLE[place]]
        known = [*self.offered(), *everywhere, *commands.TABLE[commands.HOME]]
        return list({command.name: command for command in reversed(known)}.values())[::-1]

    def doer(self, command: Command) -> DOMNode | None:
        """Return what does `command`: this screen, its list, the program; None: the home screen."""
        if any(command.name == own.name for own in self.offered()):
            return self
        if self.browser and command in commands.TABLE[LIST]:
            return self.browser
        return self.app if command in commands.TABLE[APP] else None

    def _candidates(self, typed: str) -> list[str]:
        name, blank, _ = typed.partition(" ")
        if blank:
            return [f"{name} {choice}" for choice in self.choices(name)]
        return [command.name for command in self.typable()]

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer no way around a dialog."""
        if action == commands.LINE:
            return not self.DIALOG
        return super().check_action(action, parameters)

    def on_key(self, event: events.Key) -> None:
        """Say why nothing happens, where a key would lead to a change and nothing may be changed."""
        wanted = (c for c in self.own() if c.mutates and event.key in c.keys.split(","))
        if (reason := self.desk.read_only) and any(wanted):
            self.say(f"read only: {reason}", bad=True)

    def action_line(self) -> None:
        """Type a command."""
        self._focus_before = self.focused
        self._line.open()
        self._line.remove_class("gone")
        self.set_focus(self._line)
        self.say("Tab completes   ↑ what was typed before   Enter does it   Esc leaves")
        self.call_after_refresh(self.update_view)

    def on_prompt_edited(self, message: Prompt.Edited) -> None:
        """Say what the command does, or which there are."""
        message.stop()
        name, _ = typed.split(message.typed)
        found = typed.find(name, self.typable())
        if name and len(found) == 1:
            self.say(f"{found[0].usage}  {found[0].help}")
        elif message.near:
            self.say("  ".join(message.near))
        else:
            self.say(f"there is no command {name}", bad=True)

    def on_prompt_left(self, message: Prompt.Left) -> None:
        """Go back to what had the cursor."""
        message.stop()
        self._close_line()

    def on_prompt_entered(self, message: Prompt.Entered) -> None:
        """Run it."""
        message.stop()
        self._close_line()
        self.post_message(self.Typed(message.typed))

    def _close_line(self) -> None:
        self._line.add_class("gone")
        self.set_focus(self._focus_before)
        self.say("")
        self.call_after_refresh(self.update_view)

    def action_enter(self) -> None:
        """Open what is under the cursor."""
        if self.browser:
            self.browser.action_open()

    def action_nothing(self) -> None:
        """The key is handled by what has the cursor; the table names it for footer and help."""

    def action_copy(self) -> None:
        """Ask for what is under the cursor to be copied."""
        what, words = self.subject()
        if words:
            self.post_message(self.Copied(what, words))
        else:
            self.say("there is nothing under the cursor to copy")

    def action_write(self, folder: str = "") -> None:
        """Ask for the screen to be written to a file."""
        self.post_message(self.Written(self.whole(), folder))

    def action_back(self) -> None:
        """Leave this screen."""
        self.app.pop_screen()

    def leave(self, words: str) -> None:
        """Leave this screen, and say on the one below what came of it."""
        self.app.pop_screen()
        below = self.app.screen
        if isinstance(below, Page):
            below.say(words)

    def action_scroll(self, rows: int) -> None:
        """Read on, while a line to type in has the cursor."""
        if self.browser:
            self.browser.action_step(rows)

    def action_page(self, pages: int) -> None:
        """Read on by a page."""
        if self.browser:
            self.browser.action_page(pages)

    def action_help(self) -> None:
        """Ask for the help."""
        self.post_message(self.Help())
