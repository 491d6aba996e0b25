"""The client: what the hub says arrives as messages, and a lost hub is found again."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from sentinel import errors, protocol
from sentinel.domain import Value
from sentinel.tui import client as module
from sentinel.tui.client import Answered, Client, Listed, Lost, Refused, Unusable, Updated
from tests.unit.tui.conftest import connecting


class Away:
    """A hub that cannot be reached."""

    async def call(self, request: Value) -> Value:
        raise errors.PeerError("no route", hint="look at the cable")

    async def watch(self, since: int) -> AsyncIterator[protocol.Update]:
        raise errors.PeerError("no route")
        yield  # an async generator

    async def close(self) -> None:
        pass


class Breaking(Away):
    """A hub whose watch ends after one update."""

    def __init__(self, hub) -> None:
        self._hub = hub
        self.since: list[int] = []
        self.closed = 0

    async def call(self, request: Value) -> Value:
        return await self._hub.call(request)

    async def watch(self, since: int) -> AsyncIterator[protocol.Update]:
        self.since.append(since)
        yield protocol.Update(revision=since + 1)
        raise errors.PeerError("cut")

    async def close(self) -> None:
        self.closed += 1


class Silent(Breaking):
    """A hub that is there and says nothing."""

    async def watch(self, since: int) -> AsyncIterator[protocol.Update]:
        await asyncio.Event().wait()
        yield  # an async generator


@pytest.fixture
def fast(monkeypatch):
    monkeypatch.setattr(module, "BACKOFF_S", (0.0, 0.0, 0.0))


@contextlib.asynccontextmanager
async def following(port, *, revision=lambda: 0):
    """Run a client; yield it with what it posts and a way to wait for it."""
    posted: list[object] = []
    arrived = asyncio.Condition()

    def post(message: object) -> None:
        posted.append(message)
        group.create_task(tell())

    async def tell() -> None:
        async with arrived:
            arrived.notify_all()

    async def wait_for(kind, count=1):
        async with asyncio.timeout(5), arrived:
            await arrived.wait_for(lambda: sum(isinstance(m, kind) for m in posted) >= count)
        return [m for m in posted if isinstance(m, kind)]

    client = Client(connecting(port), post, revision)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(client.run())
        yield client, wait_for
        running.cancel()


async def test_it_lists_and_then_watches(hub):
    async with following(hub) as (_, wait_for):
        (listed,) = await wait_for(Listed)
        (first, *_) = await wait_for(Updated)
    assert len(listed.page.summaries) == 7
    assert first.update.status is not None


async def test_a_request_is_answered(hub):
    request = protocol.AgentsRequest()
    async with following(hub) as (client, wait_for):
        await wait_for(Updated)
        client.ask(request)
        (answer,) = await wait_for(Answered)
    assert answer.request is request
    assert isinstance(answer.reply, protocol.Agents)


async def test_a_refusal_is_handed_on_with_its_reason(hub):
    async with following(hub) as (client, wait_for):
        await wait_for(Updated)
        client.ask(protocol.GetRequest(incident="nothing"))
        (refusal,) = await wait_for(Refused)
    assert "nothing" in refusal.error.what


async def test_nothing_is_asked_of_a_hub_that_is_away():
    async with following(Away()) as (client, wait_for):
        (lost, *_) = await wait_for(Lost)
        client.ask(protocol.AgentsRequest())
        (refusal,) = await wait_for(Refused)
    assert lost.error.what == "no route"
    assert "away" in refusal.error.what


async def test_it_dials_with_growing_patience(monkeypatch):
    monkeypatch.setattr(module, "BACKOFF_S", (0.0, 0.001, 0.002))
    async with following(Away()) as (_, wait_for):
        lost = await wait_for(Lost, 4)
    assert [m.retry_s for m in lost[:4]] == [0.001, 0.002, 0.002, 0.002]


async def test_after_a_loss_it_takes_up_from_the_revision_that_it_has(fast, hub):
    port = Breaking(hub)
    async with following(port, revision=lambda: 4242 if port.since else 0) as (_, wait_for):
        await wait_for(Lost, 3)
        listed = await wait_for(Listed)
    assert len(listed) == 1
    assert port.since[-1] == 4242
    assert port.closed >= 2


async def test_a_hub_that_was_heard_is_dialled_at_once_again(fast, hub):
    async with following(Breaking(hub)) as (_, wait_for):
        lost = await wait_for(Lost, 3)
    assert {m.attempt for m in lost} == {0}


async def test_silence_is_a_loss(fast, hub, monkeypatch):
    monkeypatch.setattr(module, "SILENCE_S", 0.01)
    async with following(Silent(hub)) as (_, wait_for):
        (lost, *_) = await wait_for(Lost)
    assert "silent" in lost.error.what


class Touched(Breaking):
    """A hub that wants a login first, for which a token waits to be touched."""

    def __init__(self, hub) -> None:
        super().__init__(hub)
        self.logged_in = False

    async def login(self) -> None:
        if not self.logged_in:
            await asyncio.sleep(5 * module.SILENCE_S)
            self.logged_in = True

    async def call(self, request: Value) -> Value:
        await self.login()
        return await super().call(request)

    async def watch(self, since: int) -> AsyncIterator[protocol.Update]:
        await self.login()
        yield protocol.Update(revision=since + 1)
        await asyncio.Event().wait()


@pytest.mark.parametrize("revision", [0, 4242])
async def test_a_token_that_waits_for_its_touch_is_no_silence_of_the_hub(
    fast, hub, monkeypatch, revision
):
    monkeypatch.setattr(module, "SILENCE_S", 0.05)
    port = Touched(hub)
    async with following(port, revision=lambda: revision) as (_, wait_for):
        await wait_for(Updated)
        assert not port.closed


async def test_requests_do_not_pile_up_for_ever(hub):
    posted = []
    client = Client(connecting(hub), posted.append, lambda: 0)
    for _ in range(module.WAITING + 1):
        client.ask(protocol.AgentsRequest())
    assert [type(m) for m in posted] == [Refused]


async def test_a_call_that_the_loss_cut_off_says_that_its_outcome_is_unknown(hub):
    class Hanging(Breaking):
        async def call(self, request: Value) -> Value:
            if isinstance(request, protocol.DecideRequest):
                raise asyncio.CancelledError
            return await super().call(request)

        async def watch(self, since: int) -> AsyncIterator[protocol.Update]:
            yield protocol.Update(revision=1)
            await asyncio.Event().wait()

    async with following(Hanging(hub)) as (client, wait_for):
        await wait_for(Updated)
        client.ask(protocol.DecideRequest(incident="x", statement=""))
        (refusal,) = await wait_for(Refused)
    assert "before the hub answered" in refusal.error.what


async def test_a_set_up_that_leads_to_no_hub_is_told_once():
    class Wrong(Away):
        async def call(self, request: Value) -> Value:
            raise errors.ConfigError("no identity.pem", hint="enrol")

    async with following(Wrong()) as (_, wait_for):
        (found,) = await wait_for(Unusable)
    assert found.error.what == "no identity.pem"
