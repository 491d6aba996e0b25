from __future__ import annotations

import asyncio
import socket
import threading

import grpc
import grpc.aio
import pytest

from sentinel import errors, protocol, rpc
from sentinel.hub import access
from sentinel.hub.callers import Caller
from sentinel.trust import x509
from sentinel.trust.hand import Papers
from sentinel.trust.x509 import Role


def caller(**changes):
    fields = {
        "role": Role.OPERATOR,
        "name": "alice",
        "site": "prod",
        "serial": "ab",
        "expires_ms": 1,
    }
    return Caller(**fields | changes)


def test_every_rpc_has_a_row_in_the_access_table():
    rpcs = {f"/{protocol.OPERATORS_SERVICE}/{name}" for name in protocol.OPERATORS}
    rpcs |= {
        f"/{protocol.AGENT_SERVICE}/{name}" for name in (protocol.ATTACH_RPC, protocol.RENEW_RPC)
    }
    assert set(access.ACCESS) == rpcs


@pytest.mark.parametrize("path", sorted(access.ACCESS))
@pytest.mark.parametrize("role", Role)
def test_a_role_may_call_what_its_row_says_and_nothing_else(path, role):
    if role is access.ACCESS[path].role:
        access.permit(path, caller(role=role), "prod", frozenset())
    else:
        with pytest.raises(errors.PeerError, match=f"role {role.value} may not call"):
            access.permit(path, caller(role=role), "prod", frozenset())


def test_an_rpc_without_a_row_is_nobody_s():
    with pytest.raises(errors.PeerError, match="may not call /x/New"):
        access.permit("/x/New", caller(), "prod", frozenset())


def test_a_revoked_certificate_and_another_site_are_refused():
    path = f"/{protocol.OPERATORS_SERVICE}/List"
    with pytest.raises(errors.PeerError, match="was revoked"):
        access.permit(path, caller(), "prod", frozenset({"ab"}))
    with pytest.raises(errors.PeerError, match="this hub is of site other"):
        access.permit(path, caller(), "other", frozenset())


def test_every_rpc_of_people_but_the_two_of_a_login_has_a_least_rank():
    open_ = {path for path, row in access.ACCESS.items() if row.rank is None}
    of_agents = {path for path in access.ACCESS if protocol.AGENT_SERVICE in path}
    login = {f"/{protocol.OPERATORS_SERVICE}/{name}" for name in ("Challenge", "Login")}
    assert open_ == of_agents | login


class Context:
    async def abort(self, code, details):
        self.code, self.details = code, details


@pytest.mark.parametrize(
    ("error", "back"),
    [
        (errors.ConflictError("a", hint="b"), errors.ConflictError),
        (errors.LifecycleError("a", hint="b"), errors.OperatorError),
        (errors.WireError("a", hint="b"), errors.OperatorError),
        (errors.PeerError("a", hint="b"), errors.PeerError),
        (errors.LoginError("a", hint="b"), errors.LoginError),
        (errors.SignatureError("a", check="c", hint="b"), errors.PeerError),
        (errors.StoreError("a", hint="b"), errors.PeerError),
    ],
)
async def test_an_error_crosses_with_its_owner_and_its_remedy(error, back):
    context = Context()
    await rpc.abort(context, error)
    call = grpc.aio.AioRpcError(context.code, None, None, details=context.details)
    found = rpc.rejected(call, "hub:1")
    assert type(found) is back
    assert "a" in found.what
    assert found.hint == "b"


async def test_a_port_in_use_is_named():
    ca = x509.new_authority("prod", 0)
    key = x509.new_key()
    who = x509.Identity(site="prod", role=Role.HUB, name="hub")
    pair = x509.Pair(key=key, certificate=x509.issue(ca, x509.request(key), who, 0))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        server = rpc.server()
        with pytest.raises(errors.PeerError, match=f"cannot listen on {address}"):
            rpc.listen(server, address, lambda: pair, None)
        await server.stop(0)


class Waiting:
    """A hand that signs when it is touched."""

    def __init__(self):
        self.asked, self.touched = threading.Event(), threading.Event()
        self.threads, self.ended = [], []

    def sign_with(self, *_):
        self.threads.append(threading.current_thread())
        self.asked.set()
        self.ended.append(self.touched.wait(5))
        return "signed"


PAPERS = Papers(
    name="alice",
    site="prod",
    serial="ab",
    key=b"",
    certificate=b"",
    authority=b"",
    hub="hub.prod.sentinel",
    address="hub:1",
)


def client_of(hand):
    return rpc.OperatorsClient(None, "hub:1", PAPERS, hand)


def test_a_person_may_leave_while_their_token_waits_to_be_touched():
    hand = Waiting()

    async def leave():
        signing = asyncio.ensure_future(client_of(hand)._sign((), b"", "x"))
        await asyncio.to_thread(hand.asked.wait)
        signing.cancel()
        await asyncio.wait([signing])
        assert signing.cancelled()

    asyncio.run(leave())
    assert not hand.ended
    hand.touched.set()
    hand.threads[0].join(5)
    assert hand.ended == [True]


@pytest.mark.parametrize("error", [errors.OperatorError("no agent"), ValueError("a bug")])
async def test_what_the_hand_raises_is_raised_to_who_asked_it(error):
    class Empty:
        def sign_with(self, *_):
            raise error

    with pytest.raises(type(error)) as caught:
        await client_of(Empty())._sign((), b"", "x")
    assert caught.value is error


async def test_a_decision_that_is_signed_when_the_connection_has_ended_is_not_sent():
    class Touched:
        def sign_with(self, *_):
            closing = asyncio.run_coroutine_threadsafe(client.close(), loop)
            closing.result(5)
            return "signed"

        def close(self):
            pass

    loop = asyncio.get_running_loop()
    client = rpc.OperatorsClient(grpc.aio.insecure_channel("hub:1"), "hub:1", PAPERS, Touched())
    client._session = protocol.Session(
        token="0" * 32, operator="alice", role="lead", groups=(), keys=(), expires_ms=1
    )
    request = protocol.DecideRequest(incident="i", statement="{}")
    with pytest.raises(errors.PeerError, match="ended before the hub was asked"):
        await client.call(request)
