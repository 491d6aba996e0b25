"""The program: one client, one store, a stack of screens; messages in, repaints out."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from typing import ClassVar

from rich.console import RenderableType
from textual import events
from textual.app import App
from textual.binding import BindingType
from textual.screen import Screen

from sentinel import errors
from sentinel.domain import Incident
from sentinel.protocol import Page as Summaries
from sentinel.tui import look
from sentinel.tui.client import Answered, Client, Listed, Lost, Refused, Updated
from sentinel.tui.desk import Desk
from sentinel.tui.line import Row
from sentinel.tui.output import ASK, Pacer, Shadow
from sentinel.tui.port import Port
from sentinel.tui.render import frame
from sentinel.tui.render.frame import Options
from sentinel.tui.screens.audit import AuditScreen
from sentinel.tui.screens.incidents import IncidentsPage
from sentinel.tui.screens.nodes import NodesPage
from sentinel.tui.screens.page import Page, bound, key
from sentinel.tui.screens.pager import Pager
from sentinel.tui.store import Store
from sentinel.tui.widgets.lines import Browser

FLUSH_S = 0.05  # a burst of updates is painted once
TICK_S = 1.0  # ages and the hub's silence


class SentinelApp(App[None]):
    """`sentinel-tui`."""

    CSS_PATH = "sentinel.tcss"
    TITLE = "sentinel-tui"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        key("1", "go('incidents')", "incidents", shown=False),
        key("2", "go('nodes')", "nodes", shown=False),
        key("3", "go('audit')", "audit log", shown=False),
        key("4", "go('policy')", "policy playground", shown=False),
        key("ctrl+l", "redraw", "draw the screen again", shown=False),
        key("ctrl+c", "quit", "leave sentinel-tui", shown=False),
    ]

    def __init__(
        self, connect: Callable[[], Port], clock: Callable[[], int], options: Options
    ) -> None:
        """`connect` returns a new connection to the hub; `clock` is in ms since the epoch."""
        super().__init__(ansi_color=True)
        self.theme = "ansi-dark"
        self.animation_level = "none"
        self._store = Store()
        self._clock = clock
        self._client = Client(connect, self.post_message, lambda: self._store.revision)
        self.desk = Desk(self._store, self._client.ask, clock, options)
        self._flushing = False
        self._shadow = Shadow()
        self._pacer = Pacer()

    def get_default_screen(self) -> Screen[None]:
        """Return the home screen."""
        return IncidentsPage(self.desk)

    def on_mount(self) -> None:
        """Begin to follow the hub, to tick, and to end well on a signal."""
        self.run_worker(self._client.run(), name="client")
        self.set_interval(TICK_S, self._tick)
        self.app_resume_signal.subscribe(self, lambda _: self._shadow.forget())
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self.exit)

    # ---- what the hub says

    def on_listed(self, message: Listed) -> None:
        """Take the hub's list."""
        self._store.listed(message.pages)
        self._flush_soon()

    def on_updated(self, message: Updated) -> None:
        """Take one update."""
        self._store.updated(message.update, self._clock())
        self._flush_soon()

    def on_lost(self, message: Lost) -> None:
        """Note that the hub is away."""
        retry_ms = self._clock() + int(message.retry_s * 1000)
        why = f"{message.error.what} {message.error.hint}".strip()
        self._store.lost(why, retry_ms=retry_ms, attempt=message.attempt)
        self._flush_soon()

    def on_answered(self, message: Answered) -> None:
        """Store what an answer brings, and hand it to the screen that asked."""
        match message.reply:
            case Incident():
                self._store.fetched(message.reply)
            case Summaries():
                self._store.seen(message.reply)
            case _:
                pass
        for page in self._pages():
            page.take(message)
        self._flush_soon()

    def on_refused(self, message: Refused) -> None:
        """Hand a refusal to the screen that asked."""
        for page in self._pages():
            page.take(message)

    def _pages(self) -> list[Page]:
        return [screen for screen in self.screen_stack if isinstance(screen, Page)]

    # ---- repaints

    def _flush_soon(self) -> None:
        if not self._flushing:
            self._flushing = True
            self.set_timer(FLUSH_S, self._flushed)

    def _flushed(self) -> None:
        self._flushing = False
        self._tick()

    def _tick(self) -> None:
        # A timer or an answer may still arrive while the program ends and has no screen any more.
        for page in self._pages()[-1:]:
            page.update_view()
            self._ask_again()

    def on_page_drawn(self, message: Page.Drawn) -> None:
        """Say when what a screen shows now has really been drawn."""
        self.call_after_refresh(self._pacer.when_drawn, message.callback)

    # ---- going about

    def on_page_help(self, _: Page.Help) -> None:
        """Show the help of the screen that asked."""
        page = self.screen
        if not isinstance(page, Page):
            return
        sections = [
            ("HERE", page.key_list()),
            ("MOVE", bound(Browser)),
            ("EVERYWHERE", bound(SentinelApp)),
        ]

        def document(cells: int) -> list[Row]:
            return [Row(of) for of in [*frame.help_rows(sections, cells), *look.legend()]]

        self.push_screen(Pager(self.desk, (*page.path(), "help"), document))

    def action_go(self, name: str) -> None:
        """Go to a top-level screen."""
        while len(self.screen_stack) > 1:
            self.pop_screen()
        if name == "nodes":
            self.push_screen(NodesPage(self.desk))
        elif name == "audit":
            self.push_screen(AuditScreen(self.desk))
        elif name == "policy":
            self._playground()

    def _playground(self) -> None:
        # The engine and its rules cost 0.1 s and 8 MiB that the other screens need not pay.
        from sentinel.tui.screens.policy import PolicyPage  # noqa: PLC0415

        try:
            self.push_screen(PolicyPage(self.desk))
        except errors.PolicyError as error:
            self._pages()[-1].say(f"{error.what}. {error.hint}", bad=True)

    def action_redraw(self) -> None:
        """Paint everything again: something else has written on this terminal."""
        self._shadow.forget()
        self._send_frame()

    # ---- the way to the terminal: `output` says what and when

    def _display(self, screen: Screen[object], renderable: RenderableType | None) -> None:
        """Send what has changed on the screen, in place of Textual's own repaint."""
        if self.is_headless:
            super()._display(screen, renderable)
        elif renderable is not None and not self._batch_count and screen is self.screen:
            self._send_frame()

    def _set_pointer_shape(self, shape: str) -> None:
        """Say nothing of the mouse: there is none, and not every terminal swallows the sequence."""

    def _send_frame(self) -> None:
        driver = self._driver
        if driver is None or self._closed or self.is_headless or not self._pacer.may_send():
            return
        strips = self.screen._compositor.render_strips()
        data = self._shadow.update(strips, self.size.width)
        if not data:
            self._pacer.nothing_due()
            return
        self._begin_update()
        driver.write(data + ASK)
        self._end_update()
        driver.flush()
        self._pacer.sent(self._now_s())

    def _ask_again(self) -> None:
        if self._driver is not None and self._pacer.overdue(self._now_s()):
            self._driver.write(ASK)
            self._driver.flush()

    @staticmethod
    def _now_s() -> float:
        return asyncio.get_running_loop().time()

    def on_cursor_position(self, _: events.CursorPosition) -> None:
        """Take the terminal's answer: the last frame is on the screen."""
        if self._pacer.answered():
            self._send_frame()
