"""Who waits for news is told when there is some: the newest revision this process knows of.

The store publishes what it commits at once, and what other hubs commit when PostgreSQL notifies it or
its poll finds out. A waiter then reads the store: the bus carries no news itself, so it loses none.
"""

from __future__ import annotations

import asyncio


class Bus:
    """The newest known revision, and a way to wait for a newer one."""

    def __init__(self) -> None:
        """Know of nothing yet."""
        self._revision = 0
        self._changed = asyncio.Event()

    @property
    def revision(self) -> int:
        """The newest revision this process knows of."""
        return self._revision

    def publish(self, revision: int) -> None:
        """Wake every waiter, if `revision` is news."""
        if revision > self._revision:
            self._revision = revision
            changed, self._changed = self._changed, asyncio.Event()
            changed.set()

    async def wait(self, since: int) -> int:
        """Return the newest revision as soon as it is greater than `since`."""
        while self._revision <= since:
            await self._changed.wait()
        return self._revision
