from __future__ import annotations

import asyncio
import contextlib
import os
import threading
import time

import pytest

from sentinel.agent.pressure import RESOURCES, PressureTrigger
from tests.unit.agent import faults


def threads():
    return [thread for thread in threading.enumerate() if thread.name == "pressure"]


async def test_every_resource_is_either_watched_or_has_its_reason():
    with PressureTrigger() as trigger:
        assert await trigger.wait(0.01) <= set(RESOURCES)
        if len(trigger.reasons) < len(RESOURCES):
            assert len(threads()) == 1
    assert not threads()


async def test_a_stall_ends_the_sleep():
    with PressureTrigger(stalled_permille=20) as trigger:
        if "cpu" in trigger.reasons:
            pytest.skip(trigger.reasons["cpu"])
        with contextlib.ExitStack() as spinning:
            for _ in range(2 * (os.cpu_count() or 1)):
                spinning.enter_context(faults.process(faults.SPIN))
            started = time.monotonic()
            stalled = set()
            while "cpu" not in stalled and time.monotonic() - started < 30:
                stalled |= await trigger.wait(30)
    assert "cpu" in stalled
    assert time.monotonic() - started < 30


async def test_where_the_kernel_has_no_pressure_it_is_a_plain_sleep_and_says_why(tmp_path):
    with PressureTrigger(folder=str(tmp_path)) as trigger:
        assert set(trigger.reasons) == set(RESOURCES)
        assert all("No such file" in reason for reason in trigger.reasons.values())
        started = time.monotonic()
        assert await trigger.wait(0.05) == frozenset()
        assert time.monotonic() - started >= 0.04
        assert not threads()


async def test_a_threshold_that_the_kernel_refuses_is_a_reason():
    with PressureTrigger(stalled_permille=0) as trigger:
        assert set(trigger.reasons) == set(RESOURCES)


async def test_cancelling_the_sleep_leaves_it_usable():
    with PressureTrigger() as trigger:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.02):
                await trigger.wait(30)
        assert await trigger.wait(0.01) <= set(RESOURCES)


async def test_closing_gives_everything_back_and_can_be_repeated():
    before = len(os.listdir("/proc/self/fd"))
    trigger = PressureTrigger()
    await trigger.wait(0.01)
    trigger.close()
    trigger.close()
    assert len(os.listdir("/proc/self/fd")) == before
    assert not threads()


def test_a_loop_that_ended_first_does_not_keep_the_thread():
    trigger = PressureTrigger()
    asyncio.run(trigger.wait(0.01))
    trigger.close()
    assert not threads()
