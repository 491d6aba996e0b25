"""A hub that was taken over, and a real node that believes its own files only.

The node is the real agent program with its real executor, mutual TLS and all. The hub has the CA's key,
every certificate, and sends what it likes. It has no person's SSH key: whatever it sends was either
signed for something else, or by nobody. The canary is a command that the node's policy allows: each run
of it leaves one more file, so what ran is counted on the disk and not believed from an answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import queue
import signal
import threading
import time
import uuid
from pathlib import Path

import grpc
import msgspec

from sentinel import canonical, demo, merkle, process, protocol, rpc, wire
from sentinel.domain import (
    Bundle,
    Choice,
    Command,
    Diagnosis,
    Growth,
    Mode,
    Plan,
    Recovery,
    Signature,
    Statement,
)
from sentinel.errors import SignatureError
from sentinel.policy import rules
from sentinel.protocol import HubMessage
from sentinel.trust import checkpoint, identity, x509
from sentinel.trust.sshsig import Kind
from tests.unit.agent.gate import Log
from tests.unit.trust.keys import SoftKey

HOST = "web1"
ANSWER_S = 30
MESSAGE_BYTES = 1 << 22

POLICY = """\
schema = 1
layer = "site"
name = "hostile"
[[allow]]
id = "canary"
cmd = "mktemp"
args = "word*"
risk = "low"
[[allow]]
id = "waits"
cmd = "cat"
args = "word*"
risk = "low"
[[allow]]
id = "grave"
cmd = "truncate"
opts = "-s=word"
args = "word*"
risk = "high"
"""
AGENT = """\
mode = "live"
interval = "100ms"
shipped_rules = false
policy = ["{policy}"]
[[rules]]
id = "always"
metric = "memory_used_permille"
above = "0.1%"
for = "100ms"
clear_for = "1h"
"""
# Alice and Bob may decide. Tok's key is on a token; Vic may log in, and decide nothing.
PEOPLE = {"alice": SoftKey(), "bob": SoftKey(Kind.ECDSA), "tok": SoftKey(Kind.SK_ED25519)}
VIC = SoftKey()
SIGNERS = "".join(key.line(name) for name, key in PEOPLE.items()) + VIC.line(
    "vic", [protocol.LOGIN]
)


class HubLog(Log):
    """The hub's log, with proofs for what the node's two programs may have seen of it last."""

    def __init__(self, **more):
        super().__init__(None, **more)
        self.seen = []  # by the agent, which looks at whatever comes
        self.kept = []  # by its executor, which keeps what it has admitted

    def growth(self):
        """Return the proofs from there."""
        size = self.tree.size
        return tuple(
            Growth(since=old, proof=self.hashes(merkle.consistency(old, size)))
            for old in sorted({*self.seen[-2:], *self.kept[-2:]})
            if old < size
        )

    def heard(self, said, note):
        """Take the node's answer on a plan that came with the checkpoint `note`, if that was ours."""
        with contextlib.suppress(SignatureError):
            size = checkpoint.verify(note, self.signer.key).size
            self.seen.append(size)
            if said.admitted:
                self.kept.append(size)


class Hub(threading.Thread):
    """The hub that cheats: it sends what it is told, and keeps what the node says."""

    def __init__(self, address, pair, ca):
        super().__init__(daemon=True)
        self.address, self.pair, self.ca = address, pair, ca
        self.report = None
        self.challenge = ""  # the one that an approval must quote now
        self.attached = threading.Event()
        self.attachments = 0
        self.reported = threading.Event()
        self.admissions = queue.Queue()
        self.finished = queue.Queue()
        self.results = queue.Queue()  # of commands
        self.stopped = queue.Queue()  # answers to stops
        self.verifications = queue.Queue()
        self._ready = threading.Event()

    def run(self):
        asyncio.run(self._serve())

    def begin(self):
        self.start()
        assert self._ready.wait(ANSWER_S)

    def end(self):
        self._loop.call_soon_threadsafe(self._over.set)
        self.join()

    async def _serve(self):
        self._loop, self._over, self._out = asyncio.get_running_loop(), asyncio.Event(), None
        server = rpc.server()
        handler = grpc.stream_stream_rpc_method_handler(self._attach)
        server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(protocol.AGENT_SERVICE, {"Attach": handler}),)
        )
        rpc.listen(server, self.address, lambda: self.pair, self.ca.certificate)
        await server.start()
        self._ready.set()
        await self._over.wait()
        await server.stop(0)

    async def _attach(self, _, context):
        await context.read()
        hello = protocol.Hello(
            version="t", site="t", policy="sha256:" + "0" * 64, now_ms=1, heartbeat_s=1
        )
        await context.write(wire.encode(HubMessage(hello=hello)))
        self._out = out = asyncio.Queue()
        self.attachments += 1
        self.attached.set()
        async with asyncio.TaskGroup() as tasks:
            writing = tasks.create_task(self._write(context, out))
            while (data := await context.read()) is not grpc.aio.EOF:
                message = wire.decode(protocol.AgentMessage, data, limit=MESSAGE_BYTES)
                if message.letter:
                    self._take(message.letter)
                    receipt = protocol.Receipt(letter=message.letter.id)
                    out.put_nowait(wire.encode(HubMessage(receipt=receipt)))
            if self._out is out:  # the node may be back already
                self.attached.clear()
            writing.cancel()

    async def _write(self, context, out):
        while True:
            await context.write(await out.get())

    def _take(self, letter):
        if letter.report:
            self.report, self.challenge = letter.report, letter.report.challenge
            self.reported.set()
        if letter.ran:
            self.results.put(letter.ran.result)
        if letter.admission:
            self.challenge = letter.admission.challenge or self.challenge
            self.admissions.put(letter.admission)
        if letter.stopped:
            self.stopped.put(letter.stopped)
        if letter.verification:
            self.verifications.put(letter.verification)
        if letter.finished:
            self.challenge = letter.finished.challenge
            self.finished.put(letter.finished)

    def garble(self, data):
        """Send what the node cannot take, and wait until it has left and come back."""
        before = self.attachments
        self.send(data)
        deadline = time.monotonic() + ANSWER_S
        while self.attachments == before:
            assert time.monotonic() < deadline, "the node has neither answered nor come back"
            time.sleep(0.05)

    def send(self, bundle):
        """Send a bundle, a stop, or bytes that claim to be a message."""
        if isinstance(bundle, protocol.Stop):
            bundle = wire.encode(HubMessage(stop=bundle))
        data = bundle if isinstance(bundle, bytes) else wire.encode(HubMessage(bundle=bundle))
        assert self.attached.wait(ANSWER_S)
        self._loop.call_soon_threadsafe(lambda: self._out.put_nowait(data))


class Battle:
    """A node, its cheating hub, and the honest approval that everything else departs from."""

    def __init__(self, folder: Path, host: str = HOST, agent: str = AGENT, words: tuple = ()):
        """`agent` are the node's settings; its program is started with `words`."""
        self.folder, self.host, self.words = folder, host, words
        self.canaries = folder / "canaries"
        self.canaries.mkdir()
        self.site = demo.Site(folder)
        state = self.site.states["agent"]
        now_ms = process.now_ms()
        self.ca = ca = x509.new_authority("t", now_ms)
        (port,) = demo._free_ports(1)
        address = identity.HubAddress(site="t", hub=f"localhost:{port}", enrol="localhost:1")
        identity.save(state, self.pair(x509.Role.AGENT, host), ca.certificate, address)
        (state / "roots").mkdir()
        (state / "roots" / "host").write_text(host + "\n")
        (state / "roots" / "allowed_signers").write_text(SIGNERS)
        self.log = HubLog()
        (state / "roots" / "checkpoint.pub").write_text(self.log.signer.key.text + "\n")
        policy = folder / "policy.toml"
        policy.write_text(POLICY)
        (state / "agent.toml").write_text(agent.format(policy=policy))
        self.policy = rules.load(site=[policy], examples=False)
        self.hub = Hub(address.hub, self.pair(x509.Role.HUB, "hub", ("localhost",)), ca)
        self.hub.begin()
        self.site.start("agent", *words)
        assert self.hub.reported.wait(ANSWER_S), self.site.logs()

    def pair(self, role, name, names=()):
        """A certificate of the site's CA."""
        key = x509.new_key()
        who = x509.Identity(site="t", role=role, name=name)
        leaf = x509.issue(self.ca, x509.request(key), who, process.now_ms(), names=names)
        return x509.Pair(key=key, certificate=leaf)

    def end(self):
        self.site.stop()
        self.hub.end()

    def restart(self):
        """End the agent as an operator would, and start it again."""
        self.down(signal.SIGTERM)
        self.site.start("agent", *self.words)

    def down(self, number):
        """End the agent with a signal."""
        self.hub.attached.clear()
        self.site.running["agent"].send_signal(number)
        self.site.running["agent"].wait()

    def another_hub(self, pair):
        """Put another hub, with the certificate in `pair`, where the node looks for its own."""
        first = self.hub
        first.end()
        self.hub = Hub(first.address, pair, self.ca)
        self.hub.report, self.hub.challenge = first.report, first.challenge
        self.hub.begin()

    # ---- what is sent

    def plan(self, *commands, **fields):
        report = self.hub.report
        texts = commands or (f"mktemp {self.canaries}/run.XXXXXXXX",)
        made = Plan(
            incident=str(uuid.uuid4()),
            event=report.event,
            revision=1,
            host=self.host,
            author="playbook",
            engine="playbook:x",
            created_ms=process.now_ms(),
            diagnosis=Diagnosis(summary="x", confidence_pct=90),
            commands=tuple(Command(text=text) for text in texts),
            recovery=Recovery(
                metric=report.anomaly.metric,
                subject="",
                clear_below=1,
                clear_for_ms=1000,
                deadline_ms=1000,
            ),
        )
        return msgspec.structs.replace(made, **fields)

    def statement(self, plan, **fields):
        now_ms = process.now_ms()
        made = Statement(
            choice=Choice.APPROVE,
            incident=plan.incident,
            event=plan.event,
            report=canonical.report_digest(self.hub.report),
            host=self.host,
            plan=canonical.digest_of(plan),
            policy=self.policy.digest,
            challenge=self.hub.challenge,
            mode=Mode.LIVE,
            operator="alice",
            reason="",
            issued_ms=now_ms,
            expires_ms=now_ms + 600_000,
        )
        return msgspec.structs.replace(made, **fields)

    def sign(self, text, *names, namespace=protocol.DECISION, **token):
        return tuple(
            Signature(signer=name, sshsig=PEOPLE[name].sign(text.encode(), namespace, **token))
            for name in names
        )

    def bundle(self, plan=None, names=("alice",), **fields):
        """The honest bundle; `fields` are of the statement, which is signed as it then is."""
        plan = plan or self.plan()
        text = canonical.encode(self.statement(plan, **fields)).decode()
        return Bundle(
            incident=plan.incident,
            plan=canonical.encode(plan).decode(),
            statement=text,
            signatures=self.sign(text, *names),
            log=self.log.proof(text),
        )

    # ---- what comes of it

    def ran(self):
        """How often the canary ran."""
        return len(os.listdir(self.canaries))

    def answer(self, bundle):
        """Send a bundle and return the node's answer on that incident."""
        incident = bundle.incident
        self.hub.send(bundle)
        while True:
            said = self.hub.admissions.get(timeout=ANSWER_S)
            if said.incident == incident:
                if bundle.log:
                    self.log.heard(said, bundle.log.checkpoint)
                return said

    def refused(self, bundle):
        """Send a bundle; nothing may run. Return the check that it was refused by."""
        before = self.ran()
        said = self.answer(bundle)
        assert not said.admitted
        assert said.reason
        assert self.ran() == before
        return said.check

    def approve(self):
        """Send an honest bundle and wait until it has run once; return the bundle."""
        before, bundle = self.ran(), self.bundle()
        said = self.answer(bundle)
        assert said.admitted, said
        while self.hub.finished.get(timeout=ANSWER_S).incident != bundle.incident:
            pass
        assert self.ran() == before + 1
        return bundle


@contextlib.contextmanager
def battle(folder, **wanted):
    """A battle that ends with the block."""
    begun = Battle(folder, **wanted)
    try:
        yield begun
    finally:
        begun.end()
