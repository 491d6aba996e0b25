"""Keys take turns: each goes where the one before it has led.

Textual hands a key to what has the cursor when the key is read, and does what it means some messages
later. A slow link brings several keys at once: what follows `/` or `:` would go to the list, where the
letters are commands of their own.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from functools import partial

from textual.dom import DOMNode
from textual.events import Callback, Event

# A key goes up from the widget to the program; what it has led to (a line that is entered, a command
# that was typed) goes the same way again, twice at the most.
ROUNDS = 3
PATIENCE_S = 0.25  # a screen may have gone with a key, and what was sent after it


class _Walk:
    """Goes the way that a key has gone, behind it: from queue to queue."""

    def __init__(self, way: list[DOMNode], arrived: Callable[[], None]) -> None:
        self._way = deque(way)
        self._arrived = arrived

    def step(self) -> None:
        """Wait for one's turn at the next node."""
        if self._way:
            # Not `call_later`: Textual inspects what that makes of a callback, every time.
            self._way.popleft().post_message(Callback(callback=self.step))
        else:
            self._arrived()


class Turns:
    """Holds a key back while the one before it is on its way."""

    def __init__(
        self,
        app: DOMNode,
        hand_on: Callable[[Event], Awaitable[None]],
        target: Callable[[], DOMNode],
    ) -> None:
        """`hand_on(event)` is Textual's own way; `target()` is what it would hand a key to now."""
        self._app = app
        self._hand_on = hand_on
        self._target = target
        self._waiting: deque[Event] = deque()
        self._way: list[DOMNode] = []  # that of the last key
        self._handed_s = -PATIENCE_S
        self._turn = 0  # rises with every wait
        self._patience: asyncio.TimerHandle | None = None

    async def take(self, event: Event) -> None:
        """Hand `event` on, at once or when its turn comes."""
        self._waiting.append(event)
        if self._patience is None:
            await self._next()

    async def _next(self) -> None:
        """Hand on what waits, as far as nothing is on its way."""
        loop = asyncio.get_running_loop()
        while self._waiting:
            left_s = self._handed_s + PATIENCE_S - loop.time()
            if left_s > 0 and self._way:
                self._turn += 1
                self._patience = loop.call_later(left_s, self._over, self._turn)
                _Walk(self._way * ROUNDS, partial(self._over, self._turn)).step()
                self._way = []
                return
            node = self._target()
            self._way, self._handed_s = [node, *node.ancestors], loop.time()
            await self._hand_on(self._waiting.popleft())

    def _over(self, turn: int) -> None:
        """Let the next key go, once."""
        if turn == self._turn and self._patience is not None:
            self._patience.cancel()
            self._patience = None
            self._way = []
            self._app.call_later(self._next)
