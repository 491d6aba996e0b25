"""The node's end of the stream, against hubs that a test makes as bad as it likes."""

from __future__ import annotations

import asyncio
import contextlib
import socket

import grpc
import grpc.aio
import msgspec
import pytest

from sentinel import process, protocol, rpc, wire
from sentinel.agent import transport
from sentinel.agent.store import Store
from sentinel.domain import Mode
from sentinel.protocol import Attach, Cleared, Heartbeat, Hello, HubMessage, Letter, Receipt, Stop
from sentinel.trust import identity, x509

POLICY = "sha256:" + "0" * 64
HELLO = HubMessage(hello=Hello(version="t", site="t", policy=POLICY, now_ms=1, heartbeat_s=1))


class Hub:
    """Answers each stream by `script(hub, context)` after its Hello."""

    def __init__(self, script):
        self.script, self.attached, self.letters = script, 0, []
        self.stops = []  # that have come to the node

    async def attach(self, _, context):
        assert wire.decode(protocol.AgentMessage, await context.read(), limit=10_000).attach
        self.attached += 1
        await self.script(self, context)

    async def letter(self, context):
        """Return the next letter, past heartbeats."""
        while True:
            data = await context.read()
            message = wire.decode(protocol.AgentMessage, data, limit=1 << 20)
            if message.letter:
                self.letters.append(message.letter.id)
                return message.letter


def certificates(folder):
    now_ms = process.now_ms()
    ca = x509.new_authority("t", now_ms)

    def pair(role, name, names=()):
        key = x509.new_key()
        who = x509.Identity(site="t", role=role, name=name)
        leaf = x509.issue(ca, x509.request(key), who, now_ms, names=names)
        return x509.Pair(key=key, certificate=leaf)

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    address = identity.HubAddress(site="t", hub=f"localhost:{port}", enrol="localhost:1")
    identity.save(folder, pair(x509.Role.AGENT, "web1"), ca.certificate, address)
    return ca, pair(x509.Role.HUB, "hub", ("localhost",)), address.hub


@pytest.fixture
def fast(monkeypatch):
    monkeypatch.setattr(transport, "FIRST_RETRY_S", 0.01)
    monkeypatch.setattr(transport, "LAST_RETRY_S", 0.05)


@contextlib.asynccontextmanager
async def linked(tmp_path, script):
    """Run a link against a hub with that script; yield (hub, store, link, its task)."""
    folder = tmp_path / "node"
    ca, pair, address = certificates(folder)
    hub, server = Hub(script), rpc.server()
    handler = grpc.stream_stream_rpc_method_handler(hub.attach)
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler(protocol.AGENT_SERVICE, {"Attach": handler}),)
    )
    rpc.listen(server, address, lambda: pair, ca.certificate)
    await server.start()
    store = Store(folder / "node.db")

    async def bundle(_):
        raise AssertionError("no plan is expected")

    node = transport.Node(
        attach=lambda: Attach(version="t", policy=POLICY, mode=Mode.DRY_RUN, boot_ms=0, sent_ms=1),
        heartbeat=lambda: Heartbeat(sent_ms=1),
        bundle=bundle,
        witness=lambda _: None,
        stop=hub.stops.append,
        credentials=lambda: identity.load(folder, process.now_ms()),
    )
    link = transport.Link(store, node, "")
    try:
        async with asyncio.timeout(30), asyncio.TaskGroup() as tasks:
            running = tasks.create_task(link.run())
            yield hub, store, link, running
            running.cancel()
    finally:
        await server.stop(0)
        with store:
            pass


async def until(condition):
    while not condition():
        await asyncio.sleep(0.01)


def letter(number):
    return Letter(id=f"l{number}", cleared=Cleared(event="e", observed=number, at_ms=1))


async def garbage(hub, context):
    await context.write(wire.encode(HELLO))
    await context.write(b"\xff\xff\xff")
    await asyncio.sleep(5)


async def silence(hub, context):
    return


async def a_clean_end(hub, context):
    await context.write(wire.encode(HELLO))


async def a_receipt_for_nothing(hub, context):
    await context.write(wire.encode(HELLO))
    for _ in range(100):
        await context.write(wire.encode(HubMessage(receipt=Receipt(letter="never-sent"))))


async def an_error(hub, context):
    await context.write(wire.encode(HELLO))
    await context.abort(grpc.StatusCode.PERMISSION_DENIED, "revoked\njoin again")


@pytest.mark.parametrize("script", [garbage, silence, a_clean_end, a_receipt_for_nothing, an_error])
async def test_a_bad_hub_ends_the_connection_and_never_the_agent(tmp_path, fast, script):
    async with linked(tmp_path, script) as (hub, store, _, running):
        store.put(letter(1))
        await until(lambda: hub.attached >= 3)
        assert not running.done()
        assert store.waiting() == 1


async def revoked(hub, context):
    await context.write(wire.encode(HELLO))
    await context.abort(grpc.StatusCode.PERMISSION_DENIED, "the certificate was revoked")


def warnings(caplog, action):
    return [each.getMessage() for each in caplog.records if each.action == action]


async def test_a_failure_is_said_once_and_without_a_remedy_has_no_empty_place_for_one(
    tmp_path, monkeypatch, caplog
):
    monkeypatch.setattr(transport, "FIRST_RETRY_S", 0.01)
    async with linked(tmp_path, revoked) as (hub, _, _, _):
        await until(lambda: hub.attached >= 4)
    said = ["hub not reached: the certificate was revoked"]
    assert warnings(caplog, "hub_unreachable") == said


async def test_a_failure_after_a_stream_that_lasted_is_said_again_and_tried_again_at_once(
    tmp_path, monkeypatch, caplog
):
    monkeypatch.setattr(transport, "FIRST_RETRY_S", 0.01)
    monkeypatch.setattr(transport, "LAST_RETRY_S", 0.0)  # any stream lasts longer than this
    async with linked(tmp_path, revoked) as (hub, _, _, _):
        await until(lambda: hub.attached >= 3)
    assert len(warnings(caplog, "hub_unreachable")) >= 2


async def test_a_clock_that_is_wrong_is_said_once_until_it_has_been_right(
    tmp_path, fast, monkeypatch, caplog
):
    clocks = iter([1, 1, None, 1, 1])

    async def script(hub, context):
        now_ms = next(clocks, 1) or process.now_ms()
        hello = msgspec.structs.replace(HELLO.hello, now_ms=now_ms)
        await context.write(wire.encode(HubMessage(hello=hello)))

    async with linked(tmp_path, script) as (hub, _, _, _):
        await until(lambda: hub.attached >= 6)
    assert len(warnings(caplog, "clock_skew")) == 2


async def test_a_stop_comes_to_the_node(tmp_path, fast):
    stop = Stop(incident="i", challenge="0" * 32, by="alice", reason="wrong host")

    async def script(hub, context):
        await context.write(wire.encode(HELLO))
        await context.write(wire.encode(HubMessage(stop=stop)))
        await asyncio.sleep(5)

    async with linked(tmp_path, script) as (hub, *_):
        await until(lambda: hub.stops)
        assert hub.stops == [stop]


async def test_a_letter_leaves_the_outbox_only_on_its_receipt(tmp_path, fast):
    answered = asyncio.Event()

    async def script(hub, context):
        await context.write(wire.encode(HELLO))
        first = await hub.letter(context)
        await answered.wait()
        await context.write(wire.encode(HubMessage(receipt=Receipt(letter=first.id))))
        await asyncio.sleep(5)

    async with linked(tmp_path, script) as (hub, store, link, _):
        store.put(letter(1))
        link.nudge()
        await until(lambda: hub.letters == ["l1"])
        assert store.waiting() == 1
        answered.set()
        await until(lambda: store.waiting() == 0)


async def test_what_was_not_answered_is_sent_again_on_the_next_connection_in_order(tmp_path, fast):
    async def script(hub, context):
        await context.write(wire.encode(HELLO))
        for _ in range(3):
            found = await hub.letter(context)
            if hub.attached == 2:
                await context.write(wire.encode(HubMessage(receipt=Receipt(letter=found.id))))
        if hub.attached == 2:
            await asyncio.sleep(5)

    async with linked(tmp_path, script) as (hub, store, link, _):
        for number in range(3):
            store.put(letter(number))
        link.nudge()
        await until(lambda: store.waiting() == 0)
        assert hub.letters == ["l0", "l1", "l2"] * 2


async def test_a_letter_that_the_hub_refuses_is_put_aside(tmp_path, fast):
    async def script(hub, context):
        await context.write(wire.encode(HELLO))
        found = await hub.letter(context)
        refusal = Receipt(letter=found.id, reason="a1 \x1b[2J is unknown")
        await context.write(wire.encode(HubMessage(receipt=refusal)))
        await asyncio.sleep(5)

    async with linked(tmp_path, script) as (_, store, link, __):
        store.put(letter(1))
        link.nudge()
        await until(lambda: store.refused() == 1)
        assert store.waiting() == 0
