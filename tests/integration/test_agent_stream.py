"""A node's stream against a real hub: what a broken or hostile agent sends, and what the hub answers."""

from __future__ import annotations

import asyncio
import socket
import sqlite3

import grpc
import grpc.aio
import pytest

from sentinel import demo, errors, merkle, process, protocol, rpc, wire
from sentinel.agent import enrol as agent_enrol
from sentinel.demo import Site
from sentinel.domain import (
    Anomaly,
    Choice,
    Context,
    Halt,
    Kind,
    Metric,
    Mode,
    Report,
    Severity,
    State,
)
from sentinel.protocol import (
    Action,
    ActRequest,
    AgentMessage,
    Attach,
    Heartbeat,
    HubMessage,
    Letter,
    Stopped,
)
from sentinel.trust import checkpoint, identity, x509
from sentinel.tui import decide
from sentinel.tui.hand import Child

ATTACH = f"/{protocol.AGENT_SERVICE}/{protocol.ATTACH_RPC}"
POLICY = "sha256:" + "0" * 64


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    made = Site(tmp_path_factory.mktemp("site"))
    made.set_up("heartbeat_s = 1\n", "")
    yield made
    made.stop()


@pytest.fixture
def unused_port():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]


def enrol(site, host):
    """Enrol a further host and return its identity folder."""
    folder = site.folder / host
    invite = site.run("hub", "invite", host, "--state", site.states["hub"])
    site.run("agent", "join", "-", "--state", folder, stdin=invite)
    return folder


class Stream:
    """A node by hand: says what it is told, and hears the hub."""

    def __init__(self, folder):
        self.credentials = identity.load(folder, process.now_ms())
        self.shown = []

    async def __aenter__(self):
        where = self.credentials
        self.channel = rpc.channel(where.address.hub, where.authority, where.hub, where.pair)
        self.stream = self.channel.stream_stream(ATTACH, None, None)(None)
        return self

    async def __aexit__(self, *_):
        self.stream.cancel()
        await self.channel.close(None)

    async def say(self, message):
        data = message if isinstance(message, bytes) else wire.encode(message)
        await self.stream.write(data)

    async def hear(self):
        """Return the next message but the checkpoints, which are kept in `shown`."""
        while True:
            async with asyncio.timeout(10):
                data = await self.stream.read()
            if data is grpc.aio.EOF:
                return None
            message = wire.decode(HubMessage, data, limit=protocol.HUB_MESSAGE_BYTES)
            if message.witness is None:
                return message
            self.shown.append(message.witness)

    async def attach(self, seen=()):
        now_ms = process.now_ms()
        hello = Attach(
            version="t", policy=POLICY, mode=Mode.DRY_RUN, boot_ms=0, sent_ms=now_ms, seen=seen
        )
        await self.say(AgentMessage(attach=hello))
        return (await self.hear()).hello

    async def letter(self, **body):
        await self.say(AgentMessage(letter=Letter(**body)))
        return (await self.hear()).receipt


def report(event, host, **anomaly):
    fields = {
        "rule": f"rule-{event}",
        "kind": Kind.CPU,
        "severity": Severity.WARNING,
        "metric": Metric.CPU_USED,
        "subject": "",
        "value": 990,
        "threshold": 950,
        "clear_below": 850,
        "clear_for_ms": 1000,
        "since_ms": 1,
        "detected_ms": 2,
    }
    return Report(
        event=event,
        host=host,
        anomaly=Anomaly(**fields | anomaly),
        context=Context(captured_ms=3, labels={"rack": "b7"}),
        challenge="0" * 32,
        mode=Mode.DRY_RUN,
        policy=POLICY,
    )


def count(site, table, where="1"):
    with sqlite3.connect(site.states["hub"] / "hub.db") as database:
        found = database.execute(f"SELECT count(*) FROM {table} WHERE {where}").fetchone()[0]
    database.close()
    return found


async def test_a_node_is_attached_once_the_hub_says_hello(site):
    async with Stream(enrol(site, "a1")) as node:
        hello = await node.attach()
    assert (hello.site, hello.heartbeat_s) == ("demo", 1)


async def test_a_node_is_shown_the_log_and_its_growth_since_what_it_has_seen(site):
    folder = enrol(site, "w1")
    key = checkpoint.parse_key((folder / "roots" / "checkpoint.pub").read_text())
    async with Stream(folder) as node:
        await node.attach()
        await node.letter(id="letter-w1", report=report("event-w1", "w1"))
    first = checkpoint.verify(node.shown[0].checkpoint, key)
    assert node.shown[0].growth == ()
    enrol(site, "w2")  # which is on record
    async with Stream(folder) as node:
        # As if sentinel-agent had seen more since, of another hub: what nodes share is too old for it.
        await node.attach((first.size + 1, first.size))
        await node.letter(id="letter-w1", report=report("event-w1", "w1"))
    (shown,) = node.shown
    now = checkpoint.verify(shown.checkpoint, key)
    assert now.size > first.size
    (proof,) = [each.proof for each in shown.growth if each.since == first.size]
    proof = [bytes.fromhex(each) for each in proof]
    assert merkle.extends(first.size, first.root, now.size, now.root, proof)


async def test_the_first_message_must_be_attach(site):
    async with Stream(enrol(site, "a2")) as node:
        await node.say(AgentMessage(heartbeat=Heartbeat(sent_ms=1)))
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await node.hear()
    assert refusal.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "first message must be Attach" in refusal.value.details()


async def test_a_letter_that_comes_a_hundred_times_is_stored_once(site):
    async with Stream(enrol(site, "a3")) as node:
        await node.attach()
        for _ in range(100):
            receipt = await node.letter(id="letter-a3", report=report("event-a3", "a3"))
            assert (receipt.letter, receipt.reason) == ("letter-a3", "")
    assert count(site, "incident", "host = 'a3'") == 1


async def test_a_malformed_message_is_refused_with_a_reason_and_the_stream_lives_on(site):
    async with Stream(enrol(site, "a4")) as node:
        await node.attach()
        await node.say(b"\xff\xfe this is not protobuf")
        assert "not a protobuf message" in (await node.hear()).receipt.reason
        letter = Letter(id="letter-a4", report=report("event-a4", "a4"))
        bad = wire.MESSAGES[AgentMessage].FromString(wire.encode(AgentMessage(letter=letter)))
        bad.letter.report.anomaly.metric = "metric_of_next_year"
        await node.say(bad.SerializeToString())
        receipt = (await node.hear()).receipt
        assert receipt.letter == "letter-a4"
        assert "metric_of_next_year" in receipt.reason
        good = await node.letter(id="letter-a4-2", report=report("event-a4", "a4"))
        assert good.reason == ""
    assert count(site, "incident", "host = 'a4'") == 1


async def test_an_oversized_message_is_refused_by_name_and_the_stream_lives_on(site):
    async with Stream(enrol(site, "a5")) as node:
        await node.attach()
        big = wire.MESSAGES[AgentMessage]()
        big.letter.id = "letter-a5"
        big.letter.report.context.labels["x"] = "y" * (protocol.AGENT_MESSAGE_BYTES + 1)
        await node.say(big.SerializeToString())
        receipt = (await node.hear()).receipt
        assert receipt.letter == "letter-a5"
        assert "over its limit of 262144" in receipt.reason
        assert (await node.letter(id="a5-2", report=report("event-a5", "a5"))).reason == ""


async def test_far_over_the_limit_the_transport_ends_the_stream_and_nothing_is_stored(site):
    async with Stream(enrol(site, "a6")) as node:
        await node.attach()
        await node.say(b"x" * (rpc.HARD_LIMIT_BYTES + 1))
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await node.hear()
        assert refusal.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    async with Stream(site.folder / "a6") as again:
        assert (await again.attach()).site == "demo"


async def test_a_node_speaks_for_its_own_host_only(site):
    async with Stream(enrol(site, "a7")) as node:
        await node.attach()
        receipt = await node.letter(id="letter-a7", report=report("event-a7", "a1"))
        assert "a1" in receipt.reason
        assert "a7" in receipt.reason
    assert count(site, "incident", "host = 'a1' AND event = 'event-a7'") == 0


async def test_a_second_stream_of_a_host_takes_the_place_of_the_first(site):
    folder = enrol(site, "a8")
    async with Stream(folder) as first, Stream(folder) as second:
        await first.attach()
        assert await second.attach()
        with pytest.raises((grpc.aio.AioRpcError, asyncio.CancelledError)):
            await first.hear()
        assert (await second.letter(id="a8", report=report("event-a8", "a8"))).reason == ""


async def test_a_revoked_node_is_cut_and_not_let_in_again(site):
    folder = enrol(site, "a9")
    async with Stream(folder) as node:
        await node.attach()
        site.run("hub", "revoke", "a9", "--state", site.states["hub"])
        with pytest.raises((grpc.aio.AioRpcError, asyncio.CancelledError)):
            await node.hear()  # within ten seconds
    async with Stream(folder) as node:
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await node.hear()  # unasked: what is written meanwhile may fail first, with less to say
        assert "revoked" in refusal.value.details()


async def test_an_operator_is_no_agent(site):
    async with Stream(site.operator) as node:
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await node.hear()
        assert "role operator may not call" in refusal.value.details()


async def test_a_certificate_of_another_ca_gets_no_connection(site, tmp_path):
    credentials = identity.load(site.operator, process.now_ms())
    now_ms = process.now_ms()
    other = x509.new_authority("demo", now_ms)
    who = x509.Identity(site="demo", role=x509.Role.AGENT, name="a1")
    key = x509.new_key()
    leaf = x509.issue(other, x509.request(key), who, now_ms)
    forged = x509.Pair(key=key, certificate=leaf)
    channel = rpc.channel(credentials.address.hub, credentials.authority, credentials.hub, forged)
    stream = channel.stream_stream(ATTACH, None, None)(None)
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await stream.read()
    assert refusal.value.code() is grpc.StatusCode.UNAVAILABLE
    await channel.close(None)


async def test_a_stolen_agent_certificate_cannot_pose_as_the_hub(site, unused_port):
    stolen = identity.load(enrol(site, "a10"), process.now_ms())
    server = grpc.aio.server()
    rpc.listen(server, f"localhost:{unused_port}", lambda: stolen.pair, stolen.authority)
    await server.start()
    try:
        hand = Child(site.operator, str(site.agent_socket))
        client = rpc.operators(hand.papers(), hand, f"localhost:{unused_port}")
        with pytest.raises(errors.PeerError):
            await client.call(protocol.StatusRequest(), timeout_s=5)
        await client.close()
    finally:
        await server.stop(0)


async def test_a_renewed_certificate_has_a_new_key_and_the_same_name(site):
    folder = enrol(site, "a11")
    before = identity.load(folder, process.now_ms())
    await agent_enrol.renew(folder, before, before.address.hub)
    after = identity.load(folder, process.now_ms())
    assert after.pair.key != before.pair.key
    assert after.details.serial != before.details.serial
    assert after.details.identity == before.details.identity


async def test_agents_lists_every_node_that_attached(site):
    async with Stream(enrol(site, "a12")) as node:
        await node.attach()
        listed = site.run("hub", "agents", "--state", site.states["hub"])
    assert [line for line in listed.splitlines() if line.startswith("a12\tattached")]


async def until(client, host, state):
    """Return the incident of `host` once it is in `state`."""
    async with asyncio.timeout(30):
        async for update in client.watch(0):
            of = update.summary
            if of is not None and (of.host, of.state) == (host, state):
                return await client.call(protocol.GetRequest(incident=of.id))


async def test_a_stop_is_told_until_it_is_answered_and_its_plan_no_more(site):
    folder, client = enrol(site, "s1"), site.client()
    async with Stream(folder) as node:
        await node.attach()
        await node.letter(id="s1-report", report=report("event-s1", "s1"))
        incident = await until(client, "s1", State.AWAITING)
        approval = decide.request(
            incident,
            choice=Choice.APPROVE,
            mode=Mode.DRY_RUN,
            operator=demo.OPERATOR,
            reason="",
            now_ms=process.now_ms(),
        )
        approved = await client.call(approval)
        assert (await node.hear()).bundle.incident == incident.summary.id
        stop = ActRequest(
            incident=incident.summary.id,
            revision=approved.summary.revision,
            action=Action.STOP,
            note="wrong host",
        )
        await client.call(stop)
        told = (await node.hear()).stop
        assert (told.by, told.reason) == (demo.OPERATOR, "wrong host")
        assert told.challenge == approved.decision.challenge
    await client.close()
    async with Stream(folder) as node:
        await node.attach()
        assert (await node.hear()).stop == told
        answer = Stopped(
            incident=told.incident, challenge=told.challenge, answer=Halt.STOPPING, at_ms=1
        )
        assert (await node.letter(id="s1-stopped", stopped=answer)).reason == ""
    async with Stream(folder) as node:
        await node.attach()
        # The receipt is the first word after Hello: neither stop nor plan came before it.
        assert (await node.letter(id="s1-report", report=report("event-s1", "s1"))).reason == ""
