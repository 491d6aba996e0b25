"""A terminal that takes nothing must not keep the program from hearing its hub.

A node by hand reports one fault after the other while nobody reads the terminal and somebody presses
Ctrl-L at it, as people do; all that the hub says has to come into the program's event loop all the same,
and then one key has to show what is true.
"""

from __future__ import annotations

import asyncio
import time

import pytest

from sentinel import human, protocol
from sentinel.demo import Site
from sentinel.domain import State
from tests.integration.test_agent_stream import Stream, enrol, report
from tests.unit.tui.ear import heard
from tests.unit.tui.test_terminal import session

STALL_S = 6.0
KEYS = 30  # after each fault: a frame of 2 KB each, and more than the terminal's 64 KiB in all
REDRAW = "\x0c"
SIGN_S = 0.5  # how often the hub gives a sign of life while things change
DEADLINE_S = 15.0


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    made = Site(tmp_path_factory.mktemp("site"))
    made.set_up('heartbeat_s = 1\n[engine]\nkind = "playbook"\n', "")
    yield made
    made.stop()


async def judged(client, count):
    """Return the page of all incidents, `count` of them, once the hub has judged every plan."""
    async with asyncio.timeout(DEADLINE_S):
        while True:
            page = await client.call(protocol.ListRequest(limit=500))
            if [s.state for s in page.summaries] == count * [State.AWAITING]:
                return page
            await asyncio.sleep(0.1)


async def faults(node, numbers):
    for number in numbers:
        await node.letter(id=f"letter-{number}", report=report(f"event-{number}", "busy"))


async def stall(node, tui, first):
    """Report a fault twice a second, with many keys; return how many faults there are then."""
    end, number = time.monotonic() + STALL_S, first
    while time.monotonic() < end:
        await faults(node, [number])
        tui.press(REDRAW * KEYS)
        await asyncio.sleep(SIGN_S)
        number += 1
    return number


async def test_a_stalled_terminal_does_not_keep_the_hub_from_being_heard(site, tmp_path):
    ear, client = tmp_path / "heard", site.client()
    words = ("--identity", str(site.operator))
    environment = {"SSH_AUTH_SOCK": str(site.agent_socket), "EAR": str(ear)}
    async with Stream(enrol(site, "busy")) as node:
        await node.attach()
        await faults(node, range(20))
        with session(*words, program="tests.unit.tui.ear", **environment) as tui:
            tui.sees("hub ok", "20 open  20 to decide")
            # From here on nobody reads the terminal.
            begun_ms = time.time() * 1000
            count = await stall(node, tui, 20)
            page = await judged(client, count)
            deadline = time.monotonic() + DEADLINE_S
            while heard(ear)[-1][1] < page.revision:
                assert time.monotonic() < deadline, f"heard {heard(ear)[-1]} of {page.revision}"
                await asyncio.sleep(0.1)
            signs = [at for at, _, sign in heard(ear) if sign and at >= begun_ms]
            assert len(signs) >= STALL_S / (3 * SIGN_S)
            tui.press(REDRAW)
            newest = [human.short_id(summary.id) for summary in page.summaries[:12]]
            tui.sees(f"{count} open  {count} to decide", *newest, "hub ok")
    await client.close()
