"""The program: one client, one store, a stack of screens; messages in, repaints out."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import ClassVar

from rich.console import RenderableType
from textual import events
from textual._ansi_sequences import SYNC_END, SYNC_START
from textual.app import App
from textual.binding import BindingType
from textual.message import Message
from textual.screen import Screen

from sentinel import errors, human
from sentinel.domain import Incident
from sentinel.protocol import ListRequest
from sentinel.protocol import Page as Summaries
from sentinel.tui import clip, commands, typed
from sentinel.tui.client import Answered, Client, Listed, Lost, Refused, Unusable, Updated
from sentinel.tui.desk import Desk
from sentinel.tui.driver import Driver
from sentinel.tui.line import EMPTY, line
from sentinel.tui.look import Skin
from sentinel.tui.output import ASK, PATIENCE_S, Pacer, Shadow
from sentinel.tui.port import Connect
from sentinel.tui.render.frame import Options
from sentinel.tui.screens.help import help_page
from sentinel.tui.screens.incidents import IncidentsPage
from sentinel.tui.screens.page import TICK_S, Page
from sentinel.tui.setup import Setup
from sentinel.tui.store import Store
from sentinel.tui.trail import Place, Trail, Visit
from sentinel.tui.turns import Turns
from sentinel.tui.widgets import bindings

FLUSH_S = 0.05  # a burst of updates is painted once
APART_S = 0.3  # between two paints of what changes by itself; what a person asked for does not wait


class SentinelApp(App[None]):
    """`sentinel-tui`."""

    CSS_PATH = "sentinel.tcss"
    TITLE = "sentinel-tui"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [*bindings.of_places([commands.APP], {})]

    def __init__(
        self,
        connect: Connect,
        clock: Callable[[], int],
        options: Options,
        setup: Setup | None = None,
    ) -> None:
        """`connect` returns a new connection to the hub; `clock` is in ms since the epoch."""
        super().__init__(driver_class=Driver, ansi_color=True)
        self.theme = "ansi-dark"
        self.animation_level = "none"
        self._store = Store()
        self._clock = clock
        self._client = Client(connect, self._hear, lambda: self._store.revision)
        self.desk = Desk(self._store, self._client.ask, clock, options, setup or Setup())
        self._bindings = bindings.put(self._bindings, [commands.APP], self.desk.setup.keys)
        self._trail = Trail()
        self.failure: errors.ConfigError | None = None  # why the program ended by itself
        self._ticking: asyncio.TimerHandle | None = None
        self._ticked_s = -APART_S
        self._frame_due = False
        self._following = False
        self._turns = Turns(self, super().on_event, lambda: self.focused or self.screen)
        self._shadow = Shadow()
        self._pacer = Pacer()
        self._beside = ""  # a copy: it goes with the next frame, so that nothing piles up

    async def on_event(self, event: events.Event) -> None:
        """Let keys and pastes take turns; a test's pilot waits for each of its own."""
        typed_now = isinstance(event, (events.Key, events.Paste)) and not event.is_forwarded
        if typed_now and not self.is_headless:
            await self._turns.take(event)
        else:
            await super().on_event(event)

    def get_default_screen(self) -> Screen[None]:
        """Return the home screen."""
        return IncidentsPage(self.desk)

    def on_mount(self) -> None:
        """Begin to tick, to end well on a signal, and to follow the hub once there is a frame."""
        if self.is_headless:
            self._follow()
        elif not self.desk.options.textual:
            self.desk.paint.due = self._frame_soon
        if isinstance(self._driver, Driver):
            self._driver.hear_answers(partial(self._or_end, self._answered))
        self._tick_in(FLUSH_S)
        self.app_resume_signal.subscribe(self, lambda _: self._shadow.forget())
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self.exit)

    def _follow(self) -> None:
        """Begin to follow the hub, once."""
        if not self._following:
            self._following = True
            self.run_worker(self._client.run(), name="client")

    # ---- what the hub says

    def _hear(self, message: Message) -> None:
        """Take what the client has: an update at once, the rest by Textual's queue."""
        if isinstance(message, Updated):
            self._store.updated(message.update, self._clock())
            self._flush_soon(APART_S)
        else:
            self.post_message(message)

    def on_listed(self, message: Listed) -> None:
        """Take the head of the hub's list."""
        self._store.paged(message.request, message.page)
        self._flush_soon()

    def on_lost(self, message: Lost) -> None:
        """Note that the hub is away."""
        retry_ms = self._clock() + int(message.retry_s * 1000)
        why = f"{message.error.what} {message.error.hint}".strip()
        self._store.lost(why, retry_ms=retry_ms, attempt=message.attempt)
        self._flush_soon()

    def on_unusable(self, message: Unusable) -> None:
        """Give the terminal back before the operator is told what is wrong with the set-up."""
        self.failure = message.error
        self.exit()

    def on_answered(self, message: Answered) -> None:
        """Store what an answer brings, and hand it to the screen that asked."""
        match message.reply:
            case Incident():
                self._store.fetched(message.reply)
            case Summaries() if isinstance(message.request, ListRequest):
                self._store.paged(message.request, message.reply)
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

    def _flush_soon(self, apart_s: float = 0) -> None:
        """Show what is known in a moment, and so long after it was done last."""
        self._tick_in(max(FLUSH_S, self._ticked_s + apart_s - self._now_s()))

    def _tick_in(self, rest_s: float) -> None:
        """Look at what is shown in `rest_s`, or when that is due already."""
        loop, known = asyncio.get_running_loop(), self._ticking
        if known is None or known.when() > loop.time() + rest_s:
            if known is not None:
                known.cancel()
            self._ticking = loop.call_later(rest_s, self._or_end, self._on_time)

    def _or_end(self, work: Callable[[], object]) -> None:
        """Do what the loop calls by itself; an error ends the program and is told, as Textual's own are."""
        try:
            work()
        except Exception as error:  # noqa: BLE001  (as Textual has it for its own timers)
            self._handle_exception(error)

    def _on_time(self) -> None:
        self._ticking = None
        self._tick()

    def _tick(self) -> None:
        self._ticked_s = self._now_s()
        # A timer or an answer may still arrive while the program ends and has no screen any more.
        for page in self._pages()[-1:]:
            page.update_view()
            self._ask_again()
            self._tick_in(TICK_S if self._pacer.waiting else page.lasts_s())

    def on_page_drawn(self, message: Page.Drawn) -> None:
        """Say when what a screen shows now has really been drawn."""
        if any(page.laid_out for page in self._pages()[-1:]):
            self._drawn(message.callback)
        else:
            self.call_after_refresh(self._drawn, message.callback)

    def _drawn(self, callback: Callable[[], None]) -> None:
        self._send_frame()
        self._pacer.when_drawn(callback)
        self._ask_again()

    # ---- going about

    def on_page_help(self, _: Page.Help) -> None:
        """Show the help of the screen that asked."""
        if isinstance(self.screen, Page):
            self.push_screen(help_page(self.screen))

    def on_page_arrived(self, _: Page.Arrived) -> None:
        """Note where one is, for the way back; what was on top may have been left alone for longer."""
        self._flush_soon()
        here = self._here()
        if here is not None:
            self._trail.arrived(here)

    def _here(self) -> Place | None:
        """Return the screens above the first; None where one of them cannot be opened again."""
        visits = [page.visit() for page in self._pages()[1:]]
        known = tuple(visit for visit in visits if visit is not None)
        return known if len(known) == len(visits) else None

    def _in_dialog(self) -> bool:
        """Say whether something is being decided, and if so that it comes first."""
        open_now = any(page.DIALOG for page in self._pages())
        if open_now:
            self._pages()[-1].say("finish this first, or leave it with Esc")
        return open_now

    def action_travel(self, step: int) -> None:
        """Go back or forward to a screen that one has been on."""
        if self._in_dialog():
            return
        page, here = self._pages()[-1], self._here()
        place = self._trail.travel(step, here)
        if place is None:
            page.say("there is nothing further that way")
            return
        same = next(
            (n for n, (a, b) in enumerate(zip(place, here or (), strict=False)) if a != b),
            min(len(place), len(here or ())),
        )
        self._show(place, same if here is not None else 0)

    def action_go(self, name: str) -> None:
        """Go to a top-level screen."""
        if not self._in_dialog():
            self._show(() if name == commands.HOME else (Visit(name),), 0)

    def _show(self, place: Place, kept: int) -> None:
        """Open the screens of `place` above those of it, `kept` of them, that are open already."""
        while len(self.screen_stack) > 1 + kept:
            self.pop_screen()
        try:
            for visit in place[kept:]:
                self._open(visit)
        except errors.PolicyError as error:
            self._pages()[-1].say(f"{error.what}. {error.hint}", bad=True)

    def _open(self, visit: Visit) -> None:
        # The first frame does not wait for the screens that one may go to.
        from sentinel.tui.screens import screens  # noqa: PLC0415

        self.push_screen(screens.made(self.desk, visit))

    def on_page_wanted(self, message: Page.Wanted) -> None:
        """Open a screen on top of the one that wants it, if that is still on top."""
        if message.page is self.screen:
            self._open(message.visit)

    async def on_page_typed(self, message: Page.Typed) -> None:
        """Run a command that was typed, if it is one and works here now."""
        page = self._pages()[-1]
        name, argument = typed.split(message.typed)
        if not name:
            return
        command, fault = typed.chosen(name, argument, page.typable())
        if command is None:
            page.say(fault, bad=True)
            return
        node = page.doer(command)
        if node is None:
            self.action_go(commands.HOME)
            node = self.screen
        given = (*command.given, argument) if argument else command.given
        if not await self.run_action(("", command.does, given), node):
            page.say(f":{command.name} does not work here now", bad=True)

    def action_skin(self, name: str) -> None:
        """Change the colours."""
        page = self._pages()[-1]
        if name not in set(Skin):
            page.say(f"there is no skin {name}: {' '.join(Skin)}", bad=True)
            return
        self.desk.paint.wear(Skin(name))
        for each in self._pages():
            each.refresh(repaint=True, layout=True)

    # ---- out of the terminal

    def on_page_copied(self, message: Page.Copied) -> None:
        """Put text into the clipboard as far as that is possible, and into a file; say where."""
        words = clip.one_line(message.text)
        kept = clip.keep(words, self.desk.setup.state)
        way = clip.taken(words, os.environ)
        self._beside = "" if way else clip.sequence(words, os.environ)
        page = self._pages()[-1]
        way = way or ("OSC 52" if self._beside else "")
        ways = [each for each in (way, clip.short(kept) if kept else "") if each]
        if ways:
            page.say(f"{message.what} copied to {' and '.join(ways)}")
        else:
            page.say(f"{message.what} not copied: too long for the terminal", bad=True)
        self._send_frame()

    def on_page_written(self, message: Page.Written) -> None:
        """Write a screen's text to a new file, and say which."""
        page = self._pages()[-1]
        at = human.date(self._clock())
        head = line(f"{' > '.join(page.path())}, {at}")
        stem = f"sentinel-{page.NAME}-{''.join(c for c in at if c.isalnum())}"
        folder = Path(message.folder or ".").expanduser()
        try:
            path = clip.write([head, EMPTY, *message.lines], folder, stem)
        except errors.OperatorError as error:
            page.say(f"{error.what}: {error.hint}", bad=True)
        else:
            page.say(f"written: {clip.short(path.absolute())}")

    def action_redraw(self) -> None:
        """Paint everything again: something else has written on this terminal."""
        self._shadow.forget()
        if self.desk.options.textual:
            self.refresh(layout=True)
        self._send_frame()

    # ---- the way to the terminal: `output` says what and when

    def _display(self, screen: Screen[object], renderable: RenderableType | None) -> None:
        """Send what has changed on the screen, in place of Textual's own repaint."""
        if self.is_headless or self.desk.options.textual:
            super()._display(screen, renderable)
        if renderable is not None and not self._batch_count and screen is self.screen:
            self._send_frame()

    def _set_pointer_shape(self, shape: str) -> None:
        """Say nothing of the mouse: there is none, and not every terminal swallows the sequence."""

    def _frame_soon(self) -> None:
        """Send a frame once what is being done now is done."""
        if not self._frame_due:
            self._frame_due = True
            asyncio.get_running_loop().call_soon(self._or_end, self._frame)

    def _frame(self) -> None:
        self._frame_due = False
        self._send_frame()

    def _send_frame(self) -> None:
        driver = self._driver
        if driver is None or self._closed or self.is_headless or not self._pacer.may_send():
            return
        strips = next((page.strips() for page in self._pages()[-1:]), [])
        if not strips:
            return  # there is no screen any more, or it is not laid out yet
        data = self._beside
        self._beside = ""
        if not self.desk.options.textual:  # it has written its own
            data += self._shadow.update(strips, self.size.width)
            if not data:
                self._pacer.nothing_due()
                return
        # One piece: the thread that writes wakes for each.
        begin, end = (SYNC_START, SYNC_END) if self._sync_available else ("", "")
        driver.write(f"{begin}{data}{ASK}{end}")
        driver.flush()
        self._pacer.sent(self._now_s())
        self._tick_in(PATIENCE_S)  # the answer may get lost
        if not self._following and any(strip.text.strip() for strip in strips):
            # What the connection needs is imported now: it does not hold the first frame up.
            self.call_later(self._follow)

    def _ask_again(self) -> None:
        times = self._pacer.overdue(self._now_s())
        if self._driver is not None and times:
            self._driver.write(ASK * times)
            self._driver.flush()

    @staticmethod
    def _now_s() -> float:
        return asyncio.get_running_loop().time()

    def _answered(self) -> None:
        """Take the terminal's answer: the last frame is on the screen."""
        if self._pacer.answered():
            self._send_frame()
        self._ask_again()
