"""A node's gate and what honest people send to it, for tests: a real store, a real policy, real keys."""

from __future__ import annotations

import itertools
import uuid

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sentinel import canonical
from sentinel.agent import admit
from sentinel.domain import (
    Anomaly,
    Bundle,
    Choice,
    Command,
    Context,
    Diagnosis,
    Kind,
    Metric,
    Mode,
    Plan,
    Process,
    Recovery,
    Report,
    Severity,
    Signature,
    Statement,
)
from sentinel.policy import rules

NOW = 1_800_000_000_000
HOST = "web1"
HOG = 4242
POLICY = rules.build(
    [
        rules.Source(
            "test.toml",
            b"""
schema = 1
layer = "base"
name = "test"
[exec]
trusted_dirs = ["/usr/sbin", "/usr/bin", "/sbin", "/bin"]
[[allow]]
id = "kill"
cmd = "kill"
opts = "-TERM"
args = "pid$pids+"
[[allow]]
id = "harmless"
cmd = ["echo", "false", "sleep"]
args = "word*"
[[block]]
id = "never.mkfs"
cmd = ["mkfs"]
why = "destroys a filesystem"
""",
        )
    ],
    examples=False,
)
_nonces = itertools.count(1)


def nonce():
    return f"{next(_nonces):032x}"


def ident():
    return str(uuid.uuid4())


def report(**fields):
    anomaly = Anomaly(
        rule="memory",
        kind=Kind.MEMORY,
        severity=Severity.CRITICAL,
        metric=Metric.PROCESS_RSS,
        subject=f"{HOG}:777",
        value=300 << 20,
        threshold=200 << 20,
        clear_below=180 << 20,
        clear_for_ms=1000,
        since_ms=NOW - 5000,
        detected_ms=NOW - 1000,
    )
    context = Context(
        captured_ms=NOW - 900, processes=(Process(pid=HOG, start_ticks=777, name="hog"),)
    )
    whole = Report(
        event=ident(),
        host=HOST,
        anomaly=anomaly,
        context=context,
        challenge=nonce(),
        mode=Mode.LIVE,
        policy=POLICY.digest,
    )
    return msgspec.structs.replace(whole, **fields)


def plan(about, commands=(f"kill -TERM {HOG}",), **fields):
    whole = Plan(
        incident=ident(),
        event=about.event,
        revision=1,
        host=HOST,
        author="playbook",
        engine="playbook:memory-hog",
        created_ms=NOW,
        diagnosis=Diagnosis(summary="a process grows", confidence_pct=90),
        commands=tuple(Command(text=text) for text in commands),
        recovery=Recovery(
            metric=Metric.PROCESS_RSS,
            subject=about.anomaly.subject,
            clear_below=180 << 20,
            clear_for_ms=1000,
            deadline_ms=10_000,
        ),
    )
    return msgspec.structs.replace(whole, **fields)


def statement(about, over, **fields):
    whole = Statement(
        choice=Choice.APPROVE,
        incident=over.incident,
        event=over.event,
        host=HOST,
        plan=canonical.digest_of(over),
        policy=POLICY.digest,
        challenge=about.challenge,
        mode=Mode.LIVE,
        operator="alice",
        reason="it is ours",
        issued_ms=NOW,
        expires_ms=NOW + 10 * 60_000,
    )
    return msgspec.structs.replace(whole, **fields)


class People:
    """Operators with keys: who signs, and the verifier that knows them."""

    def __init__(self, *names):
        self._keys = {name: Ed25519PrivateKey.generate() for name in names}

    def sign(self, text, *names):
        return tuple(
            Signature(signer=name, sshsig=self._keys[name].sign(text.encode()).hex())
            for name in names
        )

    def verify(self, data, signatures):
        return frozenset(each.signer for each in signatures if self._holds(data, each))

    def _holds(self, data, signature):
        try:
            key = self._keys[signature.signer].public_key()
            key.verify(bytes.fromhex(signature.sshsig), data)
        except (KeyError, ValueError, InvalidSignature):
            return False
        return True


class World:
    """One node with one open fault, and the honest approval of a plan about it."""

    def __init__(self, store, gate=admit, about=None):
        self.store = store
        self.gate = gate
        self.people = People("alice", "bob")
        self.report = about or report()
        store.open_fault(self.report)
        self.plan = plan(self.report)
        self.statement = statement(self.report, self.plan)
        self.node = admit.Node(
            host=HOST,
            mode=Mode.LIVE,
            policy=POLICY,
            store=store,
            own_pids=frozenset({1}),
            required_signatures=1,
            verifier=self.people.verify,
        )

    def bundle(self, *, plan=None, statement=None, incident=None, signers=("alice",)):
        """The honest bundle, or one with another plan or statement (a noun, or the very text)."""
        parts = [
            part or honest for part, honest in ((plan, self.plan), (statement, self.statement))
        ]
        texts = [p if isinstance(p, str) else canonical.encode(p).decode() for p in parts]
        return Bundle(
            incident=incident or self.plan.incident,
            plan=texts[0],
            statement=texts[1],
            signatures=self.people.sign(texts[1], *signers),
        )

    def of(self, plan, **fields):
        """A bundle of another plan, decided over honestly but for `fields`."""
        decision = statement(self.report, plan, **fields)
        return self.bundle(plan=plan, statement=decision, incident=plan.incident)

    def said(self, **fields):
        """The honest bundle, but for `fields` of its statement, signed as it is."""
        return self.bundle(statement=msgspec.structs.replace(self.statement, **fields))
