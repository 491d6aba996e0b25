"""People at a real hub over real TLS: who gets in, what they may do, and what the others are told."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import grpc
import grpc.aio
import msgspec
import pytest

from sentinel import errors, process, protocol, rpc, wire
from sentinel.demo import OPERATOR, Site
from sentinel.domain import Command
from sentinel.protocol import Action, ActRequest, DecideRequest, ReviseRequest
from sentinel.trust import identity, throwaway
from sentinel.tui.hand import Child

PEOPLE = {"vera": "viewer", "ann": "approver", "lea": "lead"}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    made = Site(tmp_path_factory.mktemp("site"))
    made.set_up("session_s = 60\n", "")
    for name, role in PEOPLE.items():
        made.let_in(name, role, made.folder / name, made.folder / f"{name}.agent")
    yield made
    made.stop()


def client_of(site, name, socket=None):
    folder = site.operator if name == OPERATOR else site.folder / name
    agent = site.agent_socket if name == OPERATOR else site.folder / f"{name}.agent"
    child = Child(folder, str(agent if socket is None else socket))
    return rpc.operators(child.papers(), child)


async def refused(client, request, error):
    try:
        with pytest.raises(error) as caught:
            await client.call(request)
    finally:
        await client.close()
    return caught.value


async def test_a_person_is_logged_in_by_the_first_thing_they_ask(site):
    client = client_of(site, OPERATOR)
    status = await client.call(protocol.StatusRequest())
    assert (status.operator, status.role) == (OPERATOR, "lead")
    first = client._session
    await client.call(protocol.ListRequest())
    assert client._session is first
    await client.close()


async def test_somebody_who_was_let_in_while_the_hub_runs_needs_no_restart(site):
    for name, role in PEOPLE.items():
        client = client_of(site, name)
        assert (await client.call(protocol.StatusRequest())).role == role
        await client.close()


REQUESTS = {
    "Challenge": protocol.ChallengeRequest(),
    "Status": protocol.StatusRequest(),
    "List": protocol.ListRequest(),
    "Get": protocol.GetRequest(incident="none-such"),
    "Watch": protocol.WatchRequest(since=0),
    "Decide": DecideRequest(incident="none-such", statement="x"),
    "Act": ActRequest(incident="none-such", revision=0, action=Action.TAKE_OVER),
    "Revise": ReviseRequest(incident="none-such", revision=0, commands=(Command(text="ls"),)),
    "Agents": protocol.AgentsRequest(),
    "Audit": protocol.AuditRequest(),
    "Runbooks": protocol.RunbooksRequest(),
    "Services": protocol.ServicesRequest(),
}


async def bare(site, name, metadata):
    """Call an RPC with a certificate and nothing else; return the status code and the hint."""
    credentials = identity.load(site.operator, process.now_ms())
    where = credentials.address.hub
    async with rpc.channel(
        where, credentials.authority, credentials.hub, credentials.pair
    ) as channel:
        path = f"/{protocol.OPERATORS_SERVICE}/{name}"
        kind = channel.unary_stream if protocol.OPERATORS[name][2] else channel.unary_unary
        call = kind(path, None, None)(wire.encode(REQUESTS[name]), metadata=metadata, timeout=10)
        try:
            if protocol.OPERATORS[name][2]:
                await anext(aiter(call))
            else:
                await call
        except grpc.aio.AioRpcError as error:
            return error.code(), error.details()
        return grpc.StatusCode.OK, ""


@pytest.mark.parametrize("name", sorted(set(protocol.OPERATORS) - {"Login"}))
@pytest.mark.parametrize(
    "metadata",
    [(), (("sentinel-session", "0" * 32),), (("sentinel-session", ""),) * 2],
    ids=["none", "wrong", "two"],
)
async def test_no_rpc_but_the_challenge_answers_without_a_session(site, name, metadata):
    code, details = await bare(site, name, metadata)
    if name == "Challenge":
        assert code is grpc.StatusCode.OK
    else:
        assert code is grpc.StatusCode.UNAUTHENTICATED
        assert details.endswith("log in again")


async def test_a_session_is_of_no_use_with_another_persons_certificate(site):
    ann = client_of(site, "ann")
    await ann.call(protocol.StatusRequest())
    metadata = ((rpc.SESSION_KEY, ann._session.token),)
    code, _ = await bare(site, "Status", metadata)
    assert code is grpc.StatusCode.UNAUTHENTICATED
    await ann.close()


@pytest.mark.parametrize(
    ("name", "rpc_name", "least"),
    [("vera", "Decide", "approver"), ("vera", "Act", "approver"), ("vera", "Revise", "lead"), ("ann", "Revise", "lead")],
)  # fmt: skip
async def test_what_ones_rank_does_not_reach_is_refused(site, name, rpc_name, least):
    error = await refused(client_of(site, name), REQUESTS[rpc_name], errors.PeerError)
    assert f"{name} is {PEOPLE[name]}, and {rpc_name} is for {least} and above" in error.what
    assert "operators.toml" in error.hint


async def test_a_hub_that_was_started_again_is_logged_into_again_unasked(site):
    client = client_of(site, OPERATOR)
    await client.call(protocol.StatusRequest())
    before = client._session
    site.running["hub"].terminate()
    site.running["hub"].wait()
    site.start("hub")
    assert (await client.call(protocol.StatusRequest(), timeout_s=20)).operator == OPERATOR
    assert client._session.token != before.token
    await client.close()


async def test_a_watch_that_began_in_the_session_before_does_not_end_the_new_one(site, monkeypatch):
    client = client_of(site, OPERATOR)
    await client.call(protocol.StatusRequest())
    renewed = client._session
    over = msgspec.structs.replace(renewed, token="0" * 32)

    async def begun_before(_):
        return over

    with monkeypatch.context() as patched:
        patched.setattr(client, "_in_session", begun_before)
        with pytest.raises(errors.LoginError):
            await anext(client.watch(0))
    assert client._session is renewed
    client._session = over
    with pytest.raises(errors.LoginError):
        await anext(client.watch(0))
    assert client._session is None
    await client.close()


async def to_the_end(updates):
    async for _ in updates:
        pass


async def test_who_is_struck_off_while_watching_sees_no_more(site):
    file = site.states["hub"] / "operators.toml"
    good, draft = file.read_text(), site.folder / "draft.toml"
    draft.write_text(good.replace('[people."vera"]\nrole = "viewer"\n', ""))
    client = client_of(site, "vera")
    updates = client.watch(0)
    assert (await anext(updates)).status is not None
    os.replace(draft, file)
    try:
        with pytest.raises(errors.PeerError, match="vera is nobody at this hub"):
            await asyncio.wait_for(to_the_end(updates), 20)
    finally:
        file.write_text(good)
        await client.close()


# ---------------------------------------------------------------- wrong inputs, each with its remedy


async def test_without_an_agent_the_remedy_is_told(site):
    error = await refused(
        client_of(site, "ann", socket=""), protocol.StatusRequest(), errors.OperatorError
    )
    assert "SSH_AUTH_SOCK is not set" in error.what
    assert "ssh-add" in error.hint


async def test_an_agent_that_is_gone_is_told(site):
    gone = client_of(site, "ann", socket=site.folder / "gone")
    error = await refused(gone, protocol.StatusRequest(), errors.OperatorError)
    assert "No such file" in error.what
    assert "ssh-agent" in error.hint


async def test_an_agent_without_ones_own_key_is_told_which_key_counts(site):
    error = await refused(
        client_of(site, "ann", socket=site.agent_socket),
        protocol.StatusRequest(),
        errors.OperatorError,
    )
    assert "none of your keys, but SHA256:" in error.what
    assert "ssh-add the key SHA256:" in error.hint


async def test_a_certificate_without_a_key_at_the_hub_is_told(site):
    site.run(
        "hub", "operator", "nokey", "--out", site.folder / "nokey", "--state", site.states["hub"]
    )
    error = await refused(
        client_of(site, "nokey", socket=site.agent_socket),
        protocol.StatusRequest(),
        errors.OperatorError,
    )
    assert "allowed_signers on the hub has no key in your name" in error.hint


async def test_a_key_without_a_rank_is_told(site):
    hub = site.states["hub"]
    site.run("hub", "operator", "norank", "--out", site.folder / "norank", "--state", hub)
    with throwaway.agent(Path(site.folder / "norank.agent"), "norank") as key:
        with (hub / "allowed_signers").open("a") as file:
            file.write(f'norank namespaces="login@sentinel" {key.public}\n')
        error = await refused(client_of(site, "norank"), protocol.StatusRequest(), errors.PeerError)
    assert "norank is nobody at this hub" in error.what
    assert "[people.norank]" in error.hint


async def test_a_damaged_file_at_the_hub_lets_nobody_in_and_names_the_line(site):
    file = site.states["hub"] / "allowed_signers"
    good = file.read_text()
    draft = site.folder / "draft"
    draft.write_text(good + "mallory ssh-ed25519 AAAA\n")
    os.replace(draft, file)
    try:
        error = await refused(
            client_of(site, "ann"), protocol.StatusRequest(), errors.OperatorError
        )
    finally:
        file.write_text(good)
    line = len(good.splitlines()) + 1
    assert f"allowed_signers:{line}: no namespaces" in error.what
