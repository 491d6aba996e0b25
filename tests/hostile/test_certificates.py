"""Certificates in the wrong hands: a hub with a good one and no log, and a node's used for more than it is."""

from __future__ import annotations

import contextlib
import signal
import sqlite3
import time

import grpc
import grpc.aio
import msgspec
import pytest

from sentinel import errors, process
from sentinel.agent import enrol as agent_enrol
from sentinel.demo import SITE, Site
from sentinel.domain import Admission, CommandResult, Mode, Outcome
from sentinel.protocol import Cleared, Ran
from sentinel.trust import identity, x509
from tests.hostile.cheat import ANSWER_S, HubLog, battle
from tests.integration.test_agent_stream import Stream, enrol, report

DAY = 86_400_000


# ---------------------------------------------------------------- hubs


def test_a_second_hub_with_a_certificate_of_the_same_ca(tmp_path):
    """TLS lets it in, and a person has decided there. Its log is not the one that the node has seen."""
    with battle(tmp_path) as node:
        node.approve()
        before = node.ran()
        node.another_hub(node.pair(x509.Role.HUB, "hub2", ("localhost",)))
        assert node.hub.attached.wait(ANSWER_S), node.site.logs()
        honest, node.log = node.log, HubLog(seed=bytes([2] * 32))
        assert node.refused(node.bundle()) == "checkpoint.key"
        assert node.refused(msgspec.structs.replace(node.bundle(), log=None)) == (
            "checkpoint.missing"
        )
        node.log = HubLog()  # the first hub's key was taken too
        assert node.refused(node.bundle()) in ("checkpoint.fork", "checkpoint.alarm")
        node.log = honest
        assert node.refused(node.bundle()) == "checkpoint.alarm"
        assert node.ran() == before


@pytest.mark.parametrize("names", [(), ("hub.t.sentinel", "localhost")], ids=["own", "hubs-name"])
def test_a_stolen_agent_certificate_posing_as_the_hub_of_a_node(tmp_path, names):
    with battle(tmp_path) as node:
        node.down(signal.SIGTERM)
        node.another_hub(node.pair(x509.Role.AGENT, "thief", names))
        node.site.start("agent")
        deadline = time.monotonic() + ANSWER_S
        while "CERTIFICATE_VERIFY_FAILED" not in (said := node.site.logs()):
            assert time.monotonic() < deadline, said
            time.sleep(0.05)
        assert "hub not reached" in said
        assert node.hub.attachments == 0
        assert node.ran() == 0


# ---------------------------------------------------------------- an honest hub


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    made = Site(tmp_path_factory.mktemp("site"))
    made.set_up("heartbeat_s = 1\n", "")
    yield made
    made.stop()


def incidents(site, host):
    """The ids of the host's incidents."""
    with contextlib.closing(sqlite3.connect(site.states["hub"] / "hub.db")) as database:
        return database.execute("SELECT id FROM incident WHERE host = ?", (host,)).fetchall()


async def test_a_stolen_agent_certificate_posing_as_another_host(site):
    """Nothing that the thief says of the other host, or of its incident, gets on record."""
    async with Stream(enrol(site, "victim")) as victim:
        await victim.attach()
        assert not (await victim.letter(id="v1", report=report("event-v", "victim"))).reason
    ((incident,),) = incidents(site, "victim")
    admission = Admission(incident=incident, admitted=True, mode=Mode.LIVE, at_ms=1)
    result = CommandResult(index=0, outcome=Outcome.RAN, exit_status=0)
    async with Stream(enrol(site, "thief")) as thief:
        await thief.attach()
        said = [
            (await thief.letter(id=f"thief-{number}", **body)).reason
            for number, body in enumerate(
                (
                    {"report": report("event-t", "victim")},
                    {"cleared": Cleared(event="event-v", observed=0, at_ms=1)},
                    {"admission": admission},
                    {"ran": Ran(incident=incident, result=result)},
                )
            )
        ]
    assert said == [
        "a report about victim came from thief",
        "event event-v was never reported by thief",
        f"incident {incident} is not one of thief's",
        f"incident {incident} is not one of thief's",
    ]
    assert incidents(site, "victim") == [(incident,)]
    assert incidents(site, "thief") == []


@pytest.mark.parametrize(("name", "days"), [("expired", -8), ("future", 1)])
async def test_expired_and_future_certificates(site, name, days):
    """A thief does not run the agent's own check, so the hub's end of TLS must refuse them too."""
    node = Stream(enrol(site, name))
    good = node.credentials
    node.credentials = msgspec.structs.replace(good, pair=reissued(site, good.pair.key, name, days))
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        async with node:
            await node.hear()
    assert refusal.value.code() is grpc.StatusCode.UNAVAILABLE
    assert name not in site.run("hub", "agents", "--state", site.states["hub"])
    # The same name, key and CA, in their time: nothing else was wrong with it.
    node.credentials = msgspec.structs.replace(good, pair=reissued(site, good.pair.key, name, 0))
    async with node:
        assert (await node.attach()).site == SITE


def reissued(site, key, name, days):
    """A certificate of the hub's own CA as of some days from now."""
    hub = site.states["hub"]
    ca = x509.Pair(key=(hub / "ca.key").read_bytes(), certificate=(hub / "ca.pem").read_bytes())
    who = x509.Identity(site=SITE, role=x509.Role.AGENT, name=name)
    leaf = x509.issue(ca, x509.request(key), who, process.now_ms() + days * DAY)
    return x509.Pair(key=key, certificate=leaf)


async def test_a_revoked_serial_gets_no_other_one(site):
    """That it gets no stream either, and is cut from the one it has, is in test_agent_stream."""
    folder = enrol(site, "revoked")
    stolen = identity.load(folder, process.now_ms())
    site.run("hub", "revoke", "revoked", "--state", site.states["hub"])
    with pytest.raises(errors.PeerError, match="agent revoked was revoked"):
        await agent_enrol.renew(folder, stolen, stolen.address.hub)
    assert identity.load(folder, process.now_ms()).details.serial == stolen.details.serial
