"""A watcher that takes nothing: over real gRPC it holds up nobody, is cut, and misses nothing."""

from __future__ import annotations

import asyncio

import grpc
import pytest

from sentinel import errors, protocol, rpc, synthetic, wire
from sentinel.hub import operators
from sentinel.hub.access import Operators, Person, Rank
from sentinel.hub.operators import OperatorDoor
from sentinel.hub.persist import Store
from sentinel.hub.sessions import Who
from sentinel.tui.recording import load

COUNT = 800  # more than the windows and buffers between two programs hold


@pytest.fixture
async def watch(tmp_path, monkeypatch):
    """Return what opens a watch from a revision, on a connection of its own; `watch.cut` is set at a cut."""
    monkeypatch.setattr(operators, "CUT_S", 1.0)
    url = f"sqlite:///{tmp_path}/hub.db"
    await synthetic.fill(url, COUNT)
    async with await Store.open(url) as store:
        viewer = Person(role=Rank.VIEWER)

        async def who():
            return Who(name="vera", person=viewer, operators=Operators(people={"vera": viewer}))

        async def status(_):
            return load().status

        door = OperatorDoor(store, None, status, lambda: 0, None, None, ())

        async def serve(data, context):
            try:
                await door._stream(
                    wire.decode(protocol.WatchRequest, data, limit=99).since, who, context
                )
            except errors.SentinelError as error:
                opened.cut.set()
                await rpc.abort(context, error)

        server = rpc.server()
        handlers = {"Watch": grpc.unary_stream_rpc_method_handler(serve)}
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("t", handlers),))
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        channels = []

        def opened(since):
            channels.append(
                grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=rpc.CHANNEL_OPTIONS)
            )
            request = wire.encode(protocol.WatchRequest(since=since))
            return channels[-1].unary_stream("/t/Watch", None, None)(request)

        opened.cut = asyncio.Event()
        yield opened
        for channel in channels:
            await channel.close()
        await server.stop(None)


def update(data):
    return wire.decode(protocol.Update, data, limit=protocol.OPERATOR_MESSAGE_BYTES)


async def summaries(stream, seen):
    """Put what comes into `seen`, revisions by id, until there are COUNT of them."""
    while len(seen) < COUNT:
        told = update(await stream.read())
        if told.summary is not None:
            seen[told.summary.id] = told.revision


async def test_a_watcher_that_does_not_read_is_cut_and_watches_again_from_where_it_was(watch):
    slow = watch(0)
    async with asyncio.timeout(20):
        first = update(await slow.read())
        seen = {first.summary.id: first.revision}
        every = {}
        await summaries(watch(0), every)  # meanwhile another has everything
        await watch.cut.wait()
        with pytest.raises(grpc.aio.AioRpcError, match="nobody read it") as cut:
            await summaries(slow, seen)
        assert isinstance(rpc.rejected(cut.value, "hub"), errors.PeerError)
        assert 0 < len(seen) < COUNT
        await summaries(watch(max(seen.values())), seen)
    assert seen == every
