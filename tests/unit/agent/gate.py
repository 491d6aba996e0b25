"""A node's gate and what honest people send to it, for tests: a real store, a real policy, real keys."""

from __future__ import annotations

import itertools
import uuid

import msgspec
from cryptography.hazmat.primitives.asymmetric import ed25519

from sentinel import canonical, merkle, protocol
from sentinel.agent import admit
from sentinel.config import ApprovalSettings
from sentinel.domain import (
    Anomaly,
    Bundle,
    Choice,
    Command,
    Context,
    Diagnosis,
    Growth,
    Kind,
    Logged,
    LogRecord,
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
from sentinel.trust import checkpoint, signers
from tests.unit.policy import packs
from tests.unit.trust.keys import SoftKey

NOW = 1_800_000_000_000
HOST = "web1"
HOG = 4242
POLICY = packs.alone(
    """
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
[[allow]]
id = "grave"
cmd = "truncate"
opts = "-s=word"
args = "word*"
risk = "high"
[[allow]]
id = "night"
cmd = "night"
hours = "22:00-06:00"
[[allow]]
id = "careful"
cmd = "careful"
args = "word?"
dry_run_first = true
[[allow]]
id = "rested"
cmd = "rested"
cool_down_s = 60
[[allow]]
id = "seldom"
cmd = "seldom"
per_hour = 2
[[block]]
id = "never.mkfs"
cmd = ["mkfs"]
why = "destroys a filesystem"
"""
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
        report=canonical.report_digest(about),
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
    """Operators with SSH keys: who signs, and the verifier that knows them."""

    def __init__(self, *names):
        self.keys = {name: SoftKey() for name in names}
        self.known = signers.parse("".join(key.line(name) for name, key in self.keys.items()))

    def sign(self, text, *names, namespace=protocol.DECISION):
        return tuple(
            Signature(
                signer=name,
                sshsig=self.keys[name].sign(text.encode("utf-8", "surrogatepass"), namespace),
            )
            for name in names
        )

    def verify(self, data, signatures, now_ms):
        return signers.people(data, signatures, self.known, protocol.DECISION, now_ms)


class Log:
    """An honest hub's log: approvals go on record, and the node of `store` is shown them there."""

    def __init__(self, store, seed=bytes(32)):
        self.store = store
        private = ed25519.Ed25519PrivateKey.from_private_bytes(seed)
        self.signer = checkpoint.Signer("sentinel/test", private)
        self.tree, self.made, self.sizes = merkle.Range(), {}, [0]

    def add(self, statement="", **fields):
        """Add a record; return its exact bytes."""
        record = LogRecord(
            seq=self.tree.size + 1,
            at_ms=NOW,
            action="approved",
            actor="operator:alice",
            facts={"statement": statement},
        )
        data = canonical.encode(msgspec.structs.replace(record, **fields))
        self.tree = self.tree.add(merkle.leaf_hash(data), made=self.made)
        return data.decode()

    def hashes(self, stretches):
        parts = [[self.made[s] for s in merkle.subtrees(part)] for part in stretches]
        return tuple(merkle.fold(part).hex() for part in parts)

    def growth(self):
        """The proofs from what the node has seen last, and from what it was shown last."""
        size, last = self.tree.size, self.store.last_checkpoint()
        seen = {checkpoint.parse(last).size} if last else set()
        return tuple(
            Growth(since=old, proof=self.hashes(merkle.consistency(old, size)))
            for old in sorted(seen | set(self.sizes[-2:]))
            if old < size
        )

    def note(self):
        """The signed checkpoint of the log as it is."""
        growth = self.growth()
        self.sizes.append(self.tree.size)
        return self.signer.sign(self.tree.size, self.tree.root()), growth

    def proof(self, statement):
        """Put an approval on record and prove it."""
        # What no record can hold, no gate can be asked to find in one.
        said = statement.encode("utf-8", "replace").decode()[:8192]
        record = self.add(said)
        seq = self.tree.size
        note, growth = self.note()
        return Logged(
            checkpoint=note,
            growth=growth,
            seq=seq,
            record=record,
            inclusion=self.hashes(merkle.inclusion(seq - 1, seq)),
        )


class World:
    """One node with one open fault, and the honest approval of a plan about it."""

    def __init__(self, store, gate=admit, about=None):
        self.store = store
        self.gate = gate
        store.forget_checkpoints()  # of the world before, which may have had the same store
        self.log = Log(store)
        self.people = People("alice", "bob", *(f"person{n}" for n in range(admit.SIGNATURES)))
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
            verifier=self.people.verify,
            approvals=ApprovalSettings(),
            log_key=self.log.signer.key,
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
            log=self.log.proof(texts[1]),
        )

    def trust_the_log(self):
        """Begin anew with the honest log."""
        self.store.forget_checkpoints()
        self.node = msgspec.structs.replace(self.node, log_key=self.log.signer.key)

    def bundle_in(self, log):
        """The honest bundle, on record in another log."""
        honest = self.bundle()
        return msgspec.structs.replace(honest, log=log.proof(honest.statement))

    def of(self, plan, **fields):
        """A bundle of another plan, decided over honestly but for `fields`."""
        decision = statement(self.report, plan, **fields)
        return self.bundle(plan=plan, statement=decision, incident=plan.incident)

    def said(self, **fields):
        """The honest bundle, but for `fields` of its statement, signed as it is."""
        return self.bundle(statement=msgspec.structs.replace(self.statement, **fields))
