"""Whoever waits is woken by what is newer than what they have, and by nothing else."""

from __future__ import annotations

import asyncio

import pytest

from sentinel.hub.bus import Bus


async def test_every_waiter_is_woken_by_news():
    bus = Bus()
    waiting = asyncio.gather(*(bus.wait(since) for since in (0, 0, 4)))
    await asyncio.sleep(0)
    bus.publish(5)
    assert await waiting == [5, 5, 5]


async def test_who_is_behind_does_not_wait():
    bus = Bus()
    bus.publish(5)
    assert await bus.wait(4) == 5


async def test_what_is_not_news_wakes_nobody():
    bus = Bus()
    bus.publish(5)
    for revision in (5, 3, 0):
        bus.publish(revision)
    assert bus.revision == 5
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await bus.wait(5)
