"""What every screen has before it: the store, the way to ask the hub, the clock, and how to paint."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from sentinel.domain import Value
from sentinel.tui.history import History
from sentinel.tui.render.frame import Options, read_only
from sentinel.tui.setup import Setup
from sentinel.tui.store import Snapshot, Store
from sentinel.tui.widgets.paint import Paint

if TYPE_CHECKING:
    from sentinel.drill.fire import Fired


class Desk:
    """Shared by the screens of one program; it holds, and does nothing by itself."""

    def __init__(
        self,
        store: Store,
        ask: Callable[[Value], None],
        clock: Callable[[], int],
        options: Options,
        setup: Setup,
    ) -> None:
        """`ask` sends a request to the hub; the answer comes as a message. `clock` is in ms."""
        self.store = store
        self.ask = ask
        self.clock = clock
        self.options = options
        self.setup = setup
        self.drills: dict[str, Fired] = {}  # that were fired here, by name; they end with us
        self.views = dict(setup.tui.views)
        self.history = History(setup.state / "tui-history" if setup.state else None)
        self.paint = Paint(options.skin, ascii_only=options.ascii)

    @property
    def snapshot(self) -> Snapshot:
        """What is known now."""
        return self.store.snapshot()

    @property
    def read_only(self) -> str:
        """Why nothing may be decided now, or nothing where it may."""
        return read_only(self.snapshot, self.clock(), self.options)
