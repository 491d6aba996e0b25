"""What the terminal needs of a hub: `rpc.OperatorsClient` is one, the recording is another."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Protocol, TypeAlias

from sentinel.domain import Value
from sentinel.protocol import Update


class Port(Protocol):
    """One connection to a hub."""

    async def call(self, request: Value) -> Value:
        """Return the reply to `request`; OperatorError, ConflictError or PeerError where it fails."""

    def watch(self, since: int) -> AsyncIterator[Update]:
        """Yield what changed after `since`, then what changes, until PeerError."""

    async def close(self) -> None:
        """Let the connection go."""


Connect: TypeAlias = Callable[[], Awaitable[Port]]  # makes a new connection
