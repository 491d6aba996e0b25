"""Stop after this command, from the command line to the node's commands: real hub, agent and executor."""

from __future__ import annotations

import asyncio
import os

import msgspec
import pytest

from sentinel import demo, protocol
from sentinel.domain import AuditRecord, Command, Halt, Outcome, State
from tests.e2e.place import Place

END_S = 40
# The first command of the plan waits for the test, and the second leaves a file.
POLICY = """\
schema = 1
layer = "site"
name = "stop"
[[allow]]
id = "waits"
cmd = "cp"
args = "word*"
risk = "low"
[[allow]]
id = "canary"
cmd = "mktemp"
args = "word*"
risk = "low"
"""


class Stopping(Place):
    """A place whose plan is held at its first command."""

    def __init__(self, folder):
        super().__init__(folder, "stop-worker")
        self.canaries = folder / "canaries"
        self.canaries.mkdir()
        self.fifo = folder / "fifo"
        os.mkfifo(self.fifo)
        policy = folder / "policy.toml"
        policy.write_text(POLICY)
        words = f'policy = ["{policy}"]\n'
        hub = demo.HUB_TOML.format(mode="live", engine="playbook", url="", model="")
        agent = demo.AGENT_TOML.format(mode="live", hog=self.name, limit=demo.LIMIT)
        self.site.set_up(words + hub, words + agent)
        self.site.start("agent")

    def said(self, *words):
        done = self.sentinel(*words)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def until(self, holds):
        """Return the one incident once it `holds`."""
        return asyncio.run(self._until(holds))

    async def _until(self, holds):
        client = self.site.client()
        try:
            async with asyncio.timeout(END_S):
                async for update in client.watch(0):
                    if update.summary is not None:
                        request = protocol.GetRequest(incident=update.summary.id)
                        incident = await client.call(request)
                        if holds(incident):
                            return incident
        finally:
            await client.close()

    async def ask(self, request):
        client = self.site.client()
        try:
            return await client.call(request)
        finally:
            await client.close()

    def approve(self, incident, *more):
        digest = incident.plan_digest.removeprefix("sha256:")[:8]
        return self.sentinel("approve", incident.summary.id, digest, "--live", *more)

    def go_on(self):
        os.close(os.open(self.fifo, os.O_WRONLY))


@pytest.fixture
def place(tmp_path):
    made = Stopping(tmp_path)
    try:
        made.leak()
        yield made
    finally:
        made.site.stop()


def outcomes(incident):
    return [result.outcome for result in incident.results]


def test_a_person_stops_a_plan_after_its_first_command_and_decides_again(place, tmp_path):
    incident = place.until(lambda now: now.summary.state is State.AWAITING)
    name = incident.summary.id
    texts = (f"cp {place.fifo} {tmp_path}/copy", f"mktemp {place.canaries}/run.XXXXXXXX")
    revision = protocol.ReviseRequest(
        incident=name,
        revision=incident.summary.revision,
        commands=tuple(Command(text=text, timeout_s=60) for text in texts),
    )
    asyncio.run(place.ask(revision))
    before = place.until(lambda now: now.summary.state is State.AWAITING and now.plan.revision > 1)
    refused = place.sentinel("stop", name, "--reason", "too soon")
    assert refused.returncode == 2
    assert "awaiting cannot be stopped" in refused.stderr

    assert place.approve(before).returncode == 0
    place.until(lambda now: outcomes(now) == [Outcome.RUNNING])
    place.said("stop", name, "--reason", "wrong host")
    assert "has stopped it already" in place.sentinel("stop", name).stderr
    answered = place.until(lambda now: now.stopping and now.stopping.answer)
    assert answered.stopping.answer is Halt.STOPPING
    assert answered.summary.state is State.EXECUTING
    shown = place.said("show", name)
    assert "STOPPING after this command: you" in shown

    place.go_on()
    after = place.until(lambda now: now.summary.state is State.AWAITING)
    assert outcomes(after) == [Outcome.RAN, Outcome.SKIPPED]
    assert after.results[1].reason == "stopped by you: wrong host"
    assert os.listdir(place.canaries) == []
    assert after.report.challenge != before.report.challenge
    rows = place.said("audit", "tail", "--incident", name, "--json", "--limit", 500)
    actions = [msgspec.json.decode(row, type=AuditRecord).action for row in rows.splitlines()]
    assert [a for a in actions if "stop" in a] == ["stop-asked", "stop-answered", "stopped"]

    # It is the person's again: the same plan runs whole under its next approval.
    assert "command 1 has run, before the plan was stopped" in place.approve(after).stderr
    assert place.approve(after, "--accept-skips").returncode == 0
    place.until(lambda now: outcomes(now) == [Outcome.RUNNING])
    place.go_on()
    done = place.until(lambda now: Outcome.RUNNING not in outcomes(now) and len(now.results) == 2)
    assert outcomes(done) == [Outcome.RAN, Outcome.RAN]
    assert done.stopping is None
    assert len(os.listdir(place.canaries)) == 1
