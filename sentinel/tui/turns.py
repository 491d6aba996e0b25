"""Keys take turns: each goes where the one before it has led.

Textual hands a key to what has the cursor when the key is read, and does what it means some messages
later. A slow link brings several keys at once: what follows `/` or `:` would go to the list, where the
letters are commands of their own.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from textual.dom import DOMNode
from textual.events import Event

# A key goes up from the widget to the program; what it has led to (a line that is entered, a command
# that was typed) goes the same way again, twice at the most.
ROUNDS = 3
PATIENCE_S = 0.25  # a screen may have gone with a key, and what was sent after it


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
                self._follow(self._turn, self._way * ROUNDS)
                self._way = []
                return
            node = self._target()
            self._way, self._handed_s = [node, *node.ancestors], loop.time()
            await self._hand_on(self._waiting.popleft())

    def _follow(self, turn: int, way: list[DOMNode]) -> None:
        """Go the way that the last key has gone, behind it."""
        if way:
            way[0].call_later(self._follow, turn, way[1:])
        else:
            self._over(turn)

    def _over(self, turn: int) -> None:
        """Let the next key go, once."""
        if turn == self._turn and self._patience is not None:
            self._patience.cancel()
            self._patience = None
            self._way = []
            self._app.call_later(self._next)
