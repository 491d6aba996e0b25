"""The wire between the two programs of a node, and where the agent gets a sentinel-exec."""

from __future__ import annotations

import asyncio
import socket
import struct

import pytest

from sentinel import errors
from sentinel.agent import handover
from sentinel.agent.store import Store
from sentinel.domain import Admission, Mode
from sentinel.protocol import Finish
from tests.unit.agent.gate import NOW, World, report

FINISH = handover.Word(finish=Finish.ALL_RAN)


@pytest.fixture
def ends():
    ours, theirs = socket.socketpair()
    theirs.settimeout(5)
    with ours, theirs:
        yield ours, handover.Peer(theirs)


def test_a_value_arrives_as_it_was_sent(ends):
    word = handover.Word(
        admission=Admission(incident="i", admitted=True, mode=Mode.LIVE, at_ms=NOW)
    )
    ours, peer = ends
    ours.sendall(handover.frame(word))
    assert peer.receive(handover.Word) == word


@pytest.mark.parametrize(
    ("sent", "error"),
    [
        (struct.pack(">I", handover.FRAME_BYTES + 1), errors.WireError),
        (b"\0\0\0\3{ }", errors.WireError),
        (b"\0\0\0\2[]", errors.WireError),
        (b'\0\0\0\x0f{"evil":"field"}', errors.WireError),
        (b"", errors.PeerError),
        (b"\0\0", errors.PeerError),
        (b"\0\0\0\x09{}", errors.PeerError),
    ],
)
def test_garbage_is_refused(ends, sent, error):
    ours, peer = ends
    ours.sendall(sent)
    ours.shutdown(socket.SHUT_WR)
    with pytest.raises(error):
        peer.receive(handover.Word)


def test_a_value_that_is_too_large_is_not_sent(monkeypatch):
    monkeypatch.setattr(handover, "FRAME_BYTES", 10)
    with pytest.raises(errors.WireError, match="too large"):
        handover.frame(FINISH)


def test_to_tell_is_to_wait_until_it_is_on_record(ends):
    ours, peer = ends
    ours.sendall(handover.GO_ON)
    assert peer.tell(FINISH) == ""
    ours.sendall(struct.pack(">I", handover.ENOUGH_BYTES + 1))
    with pytest.raises(errors.WireError, match="something else"):
        peer.tell(FINISH)
    ours.sendall(b"\0\0\0\2{}")
    with pytest.raises(errors.WireError, match="reason"):
        peer.tell(FINISH)
    ours.close()
    with pytest.raises(errors.PeerError):
        peer.tell(FINISH)


def test_what_is_told_may_be_answered_by_enough(ends):
    ours, peer = ends
    ours.sendall(handover.frame(handover.Enough(reason="stopped by alice")))
    assert peer.tell(FINISH) == "stopped by alice"


class Listener:
    """A sentinel-exec of the test's own behind a socket as systemd would listen on."""

    def __init__(self, path, answers):
        self.path, self.answers, self.orders = path, answers, []

    async def serve(self, reader, writer):
        size = handover.length(await reader.readexactly(4))
        self.orders.append(await reader.readexactly(size))
        for answer in self.answers:
            writer.write(answer)
            await writer.drain()
            await reader.read(4)
        writer.close()

    async def __aenter__(self):
        self.server = await asyncio.start_unix_server(self.serve, self.path)
        return self

    async def __aexit__(self, *_):
        self.server.close()
        await self.server.wait_closed()


@pytest.fixture
def order(tmp_path):
    about = report()
    with Store(tmp_path / "node.db") as store:
        return handover.Order(bundle=World(store, about=about).bundle(), report=about)


async def test_a_plan_goes_to_the_socket_of_systemd(tmp_path, order):
    path = tmp_path / "exec.sock"
    async with Listener(path, [handover.frame(FINISH)]) as exec_end:
        executor = handover.Executor(path, [])
        await executor.prepare()  # nothing to prepare: systemd starts it
        async with await executor.connect() as link:
            await link.send(order)
            assert await link.hear(5) == FINISH
            await link.go_on()
            with pytest.raises(errors.PeerError, match="ended before"):
                await link.hear(5)
    assert exec_end.orders == [handover.frame(order)[4:]]


async def test_silence_is_not_waited_for_without_end(tmp_path, order):
    path = tmp_path / "exec.sock"
    async with Listener(path, [b""]), await handover.Executor(path, []).connect() as link:
        await link.send(order)
        with pytest.raises(errors.PeerError, match="said nothing"):
            await link.hear(0.05)


async def test_no_socket_is_said_with_the_remedy(tmp_path):
    with pytest.raises(errors.NodeError, match="cannot be reached") as caught:
        await handover.Executor(tmp_path / "exec.sock", []).connect()
    assert "systemctl status sentinel-exec.socket" in caught.value.hint


async def test_a_child_is_ready_before_there_is_a_plan_and_ends_with_the_agent(tmp_path):
    executor = handover.Executor(None, ["--state", str(tmp_path), "--host", "web1"])
    await executor.prepare()
    first = executor._ready
    await executor.prepare()
    assert executor._ready is first
    await executor.close()
    assert first.ended


async def test_a_child_that_died_is_replaced(tmp_path):
    executor = handover.Executor(None, ["--no-such-option"])
    await executor.prepare()
    dead = executor._ready
    await dead._child.wait()
    await executor.prepare()
    assert executor._ready is not dead
    await executor.close()


async def test_a_child_does_not_outlive_its_agent(tmp_path):
    executor = handover.Executor(None, ["--state", str(tmp_path), "--host", "web1"])
    await executor.prepare()
    child = executor._ready._child
    executor._ready._writer.close()  # what the kernel does for an agent that is killed
    assert await asyncio.wait_for(child.wait(), 20) == 0
    await executor.close()
