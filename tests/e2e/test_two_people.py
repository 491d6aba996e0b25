"""A plan that two people must approve, on the real programs: one is not enough, the same one twice neither."""

from __future__ import annotations

import asyncio
import subprocess

import pytest

from sentinel import demo, errors, process, protocol, rpc
from sentinel.domain import Choice, Mode, State
from sentinel.tui import decide
from sentinel.tui.hand import Child
from tests.e2e.place import Place

END_S = 40
NEEDS_TWO = "[approvals]\nmedium = 2\n"  # to end a process is of medium risk


@pytest.fixture
def place(tmp_path):
    place = Place(tmp_path, "two")
    site = place.site
    hub = demo.HUB_TOML.format(mode="live", engine="playbook", url="", model="")
    agent = demo.AGENT_TOML.format(mode="live", hog=place.name, limit=demo.LIMIT)
    # Tables of TOML end with the next one: this goes in front of [[rules]].
    before, mark, rules = agent.partition("[[rules]]")
    try:
        site.set_up(hub + NEEDS_TWO, "")
        site.let_in("bob", "approver", tmp_path / "bob", tmp_path / "bob.agent")
        (site.states["agent"] / "agent.toml").write_text(before + NEEDS_TWO + mark + rules)
        known = (site.states["hub"] / "allowed_signers").read_text()
        (site.states["agent"] / "roots" / "allowed_signers").write_text(known)
        site.start("agent")
        yield place
    finally:
        site.stop()


def client_of(place, name):
    folder, socket = (
        (place.site.operator, place.site.agent_socket)
        if name == demo.OPERATOR
        else (place.site.folder / name, place.site.folder / f"{name}.agent")
    )
    child = Child(folder, str(socket))
    return rpc.operators(child.papers(), child)


async def until(client, wanted):
    """Return the one incident when it is `wanted`."""
    async with asyncio.timeout(END_S):
        async for update in client.watch(0):
            if update.summary is not None and update.summary.state is wanted:
                return await client.call(protocol.GetRequest(incident=update.summary.id))


def approval(incident, name):
    return decide.request(
        incident,
        choice=Choice.APPROVE,
        mode=Mode.LIVE,
        operator=name,
        reason=f"says {name}",
        now_ms=process.now_ms(),
    )


async def test_what_two_must_approve_runs_when_two_have_and_not_before(place):
    leak = place.leak()
    you, bob = client_of(place, demo.OPERATOR), client_of(place, "bob")
    try:
        incident = await until(you, State.AWAITING)
        assert incident.people_needed == 2
        first = approval(incident, demo.OPERATOR)
        begun = await you.call(first)
        assert begun.summary.state is State.AWAITING
        with pytest.raises(errors.ConflictError, match="has signed this approval already"):
            await you.call(approval(begun, demo.OPERATOR))
        with pytest.raises(errors.ConflictError, match="has begun to approve this plan"):
            await bob.call(approval(incident, "bob"))
        assert leak.poll() is None
        seen = await bob.call(protocol.GetRequest(incident=incident.summary.id))
        second = approval(seen, "bob")
        assert second.statement == first.statement
        approved = await bob.call(second)
        assert approved.moves[-1].text.startswith("approved by you and bob, live")
        done = await until(you, State.RESOLVED)
        assert done.admission.admitted
        assert leak.wait(timeout=10) is not None
    finally:
        await you.close()
        await bob.close()


async def test_a_hub_that_asks_for_fewer_people_than_the_node_is_refused_by_the_node(place):
    hub = place.site.states["hub"] / "hub.toml"
    hub.write_text(hub.read_text().replace("medium = 2", "medium = 1"))
    place.site.running["hub"].terminate()
    place.site.running["hub"].wait()
    place.site.start("hub")
    leak = place.leak()
    you = client_of(place, demo.OPERATOR)
    try:
        incident = await until(you, State.AWAITING)
        await you.call(approval(incident, demo.OPERATOR))
        refused = await until(you, State.MANUAL)
        assert refused.admission.check == "signatures.missing"
        assert "a plan of medium risk needs 2 people here" in refused.admission.reason
        with pytest.raises(subprocess.TimeoutExpired):
            leak.wait(timeout=0.5)
    finally:
        await you.close()
