"""The nouns of Sentinel, and nothing else: frozen values that every room shares.

Rules of this file:
  - Everything is frozen, keyword-only and forbids unknown fields; change is `replace()`.
  - Integers, enums and strings only: no float ever enters something that is hashed or signed.
    Ratios are permille, time is milliseconds since the Unix epoch (UTC) unless a name says `_s`.
  - A bound on a field is the bound on the wire, in the store and in a prompt: `Meta` is enforced
    wherever a value is decoded (`wire`, `canonical`), never by the constructor.
  - Text that came from a host or a model is untrusted: it is escaped where it is shown.
"""

from __future__ import annotations

from enum import StrEnum, unique
from typing import Annotated, NewType

import msgspec
from msgspec import Meta

IncidentId = NewType("IncidentId", str)  # UUIDv7, canonical text form
EventId = NewType("EventId", str)  # UUIDv7, made by the node
Host = NewType("Host", str)  # the name in the node's certificate
Digest = NewType("Digest", str)  # "sha256:" + 64 lower-case hex digits
Challenge = NewType("Challenge", str)  # 32 hex digits: 128 random bits, made by the node, used once

# A host name as RFC 1123 has it, in lower case; it becomes part of a SPIFFE path and of file names.
HOST_PATTERN = r"^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$"

Id = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9._:-]+$")]
HostName = Annotated[str, Meta(pattern=HOST_PATTERN)]
HexDigest = Annotated[str, Meta(pattern=r"^sha256:[0-9a-f]{64}$")]
Nonce = Annotated[str, Meta(pattern=r"^[0-9a-f]{32}$")]
Millis = Annotated[int, Meta(ge=0, le=2**53)]
Count = Annotated[int, Meta(ge=0, le=2**53)]
Number = Annotated[int, Meta(ge=-(2**53), le=2**53)]
Name = Annotated[str, Meta(max_length=256)]  # a word: process name, rule id, unit
Line = Annotated[str, Meta(max_length=1024)]  # one line: a command, a log line, a reason
Text = Annotated[str, Meta(max_length=8192)]  # a few paragraphs
Output = Annotated[str, Meta(max_length=65536)]  # what a command printed

# SHA-256 hashes of a Merkle tree.
Proof = Annotated[tuple[Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$")], ...], Meta(max_length=64)]
SignedNote = Annotated[str, Meta(max_length=1024)]  # a checkpoint, see trust/checkpoint.py

MAX_GROWTH = 32  # checkpoints of one node that a hub proves the growth from
MAX_COMMANDS = 16  # in one plan
GAUGES = 32  # readings in a sign of life
MAX_COMMAND_CHARS = 1024


@unique
class Metric(StrEnum):
    """What can be watched. The name ends in its unit, as Prometheus has it."""

    MEMORY_USED = "memory_used_permille"
    SWAP_USED = "swap_used_permille"
    CPU_USED = "cpu_used_permille"
    LOAD_PER_CPU = "load1_per_cpu_milli"
    PSI_CPU = "pressure_cpu_some_permille"
    PSI_MEMORY = "pressure_memory_some_permille"
    PSI_MEMORY_FULL = "pressure_memory_full_permille"
    PSI_IO = "pressure_io_some_permille"
    PSI_IO_FULL = "pressure_io_full_permille"
    FS_USED = "filesystem_used_permille"
    FS_INODES_USED = "filesystem_inodes_used_permille"
    ZOMBIES = "processes_zombie_count"
    BLOCKED = "processes_blocked_count"
    PROCESS_RSS = "process_resident_memory_bytes"
    PROCESS_CPU = "process_cpu_used_permille"  # of one processor
    PROCESS_FDS = "process_open_fds_count"


@unique
class Kind(StrEnum):
    """The failure class: what sort of trouble this is. Runbooks match on it."""

    MEMORY = "memory"
    SWAP = "swap"
    CPU = "cpu"
    PRESSURE = "pressure"
    DISK_SPACE = "disk_space"
    DISK_INODES = "disk_inodes"
    FD_EXHAUSTION = "fd_exhaustion"
    ZOMBIES = "zombies"
    BLOCKED = "blocked"
    AGENT_LOST = "agent_lost"


@unique
class Severity(StrEnum):
    """How soon a person should look."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


@unique
class Verdict(StrEnum):
    """What the policy says of a command. Only ALLOW ever runs."""

    ALLOW = "allow"
    REVIEW = "review"
    BLOCK = "block"


@unique
class Risk(StrEnum):
    """How much a command may harm, by the rule that takes it: it decides how many people must sign."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


@unique
class Mode(StrEnum):
    """Whether an approved plan may change the host."""

    DRY_RUN = "dry-run"
    LIVE = "live"


@unique
class State(StrEnum):
    """Where an incident stands. Every move between them is in `lifecycle`."""

    REPORTED = "reported"
    PLANNED = "planned"
    AWAITING = "awaiting"
    REFUSED = "refused"
    APPROVED = "approved"
    EXECUTING = "executing"
    EXECUTED = "executed"
    FAILED = "failed"
    UNRESOLVED = "unresolved"
    MANUAL = "manual"
    RESOLVED = "resolved"
    CLOSED = "closed"


@unique
class Stage(StrEnum):
    """The nine stages, in the order an incident meets them."""

    DETECT = "detect"
    CAPTURE = "capture"
    TRANSPORT = "transport"
    REASON = "reason"
    VALIDATE = "validate"
    PERSIST = "persist"
    APPROVE = "approve"
    EXECUTE = "execute"
    VERIFY = "verify"


class Value(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Base of every noun. (Neither `kw_only` nor, for mypy, `frozen` is inherited: each noun repeats them.)"""


# ---------------------------------------------------------------- telemetry (what a node sees)


class Sample(Value, frozen=True, kw_only=True):
    """One reading. `subject` is the mount point, `pid:start_ticks` of a process, or empty (host)."""

    metric: Metric
    subject: Name = ""
    value: Number
    at_ms: Millis


class Anomaly(Value, frozen=True, kw_only=True):
    """A rule that has held for its `for`: one fault makes one anomaly, until it clears."""

    rule: Id
    kind: Kind
    severity: Severity
    metric: Metric
    subject: Name
    value: Number
    threshold: Number
    clear_below: Number
    clear_for_ms: Millis
    slope_per_min: Number | None = None  # change of the metric per minute, least squares
    since_ms: Millis  # the first sample above the threshold
    detected_ms: Millis
    samples: Annotated[tuple[Number, ...], Meta(max_length=120)] = ()  # oldest first


class Process(Value, frozen=True, kw_only=True):
    """A process at capture. (pid, start_ticks) is its identity: a pid alone is reused."""

    pid: Annotated[int, Meta(ge=1, le=2**22)]
    start_ticks: Count  # field 22 of /proc/PID/stat, clock ticks since boot
    ppid: Count = 0
    name: Name
    cmdline: Line = ""  # redacted, bounded
    user: Name = ""
    unit: Name = ""  # systemd unit or cgroup path
    state: Annotated[str, Meta(max_length=1)] = ""
    rss_bytes: Count = 0
    cpu_permille: Count = 0
    fds: Count | None = None
    age_s: Count = 0


class Filesystem(Value, frozen=True, kw_only=True):
    """A mounted filesystem."""

    mountpoint: Name
    device: Name = ""
    fstype: Name = ""
    size_bytes: Count
    used_bytes: Count
    free_bytes: Count
    inodes: Count = 0
    inodes_used: Count = 0


class Unit(Value, frozen=True, kw_only=True):
    """A systemd unit concerned by the fault."""

    name: Name
    active: Name = ""
    sub: Name = ""
    restarts: Count = 0


class Pressure(Value, frozen=True, kw_only=True):
    """Pressure stall information of one resource, share of the last 10 s, permille."""

    resource: Name  # cpu, memory or io
    some_permille: Count
    full_permille: Count = 0


class FileEntry(Value, frozen=True, kw_only=True):
    """A large file, or one deleted while still held open (`held_by` is its holder's pid)."""

    path: Line
    bytes: Count
    mtime_ms: Millis = 0
    deleted: bool = False
    held_by: Count = 0


class LogLine(Value, frozen=True, kw_only=True):
    """One line of a log."""

    at_ms: Millis = 0
    source: Name  # kernel, or a unit
    text: Line


class Change(Value, frozen=True, kw_only=True):
    """Something that changed on the host lately."""

    at_ms: Millis
    what: Name  # package, file or boot
    text: Line


class Context(Value, frozen=True, kw_only=True):
    """What the node saw around the fault, frozen when the event was made.

    The frozen copy decides what a plan may touch: a pid that is not in here cannot be signalled.
    """

    captured_ms: Millis
    boot_ms: Millis = 0
    cpus: Count = 0
    memory_total_bytes: Count = 0
    memory_available_bytes: Count = 0
    swap_total_bytes: Count = 0
    swap_free_bytes: Count = 0
    load1_milli: Count = 0
    processes: Annotated[tuple[Process, ...], Meta(max_length=32)] = ()
    filesystems: Annotated[tuple[Filesystem, ...], Meta(max_length=32)] = ()
    units: Annotated[tuple[Unit, ...], Meta(max_length=32)] = ()
    pressure: Annotated[tuple[Pressure, ...], Meta(max_length=3)] = ()
    files: Annotated[tuple[FileEntry, ...], Meta(max_length=32)] = ()
    logs: Annotated[tuple[LogLine, ...], Meta(max_length=64)] = ()
    changes: Annotated[tuple[Change, ...], Meta(max_length=32)] = ()
    incomplete: Annotated[tuple[Line, ...], Meta(max_length=16)] = ()  # what could not be read, why
    labels: Annotated[dict[Name, Line], Meta(max_length=64)] = {}


class Report(Value, frozen=True, kw_only=True):
    """The event a node sends: one anomaly with its context, durable on the node until acknowledged."""

    event: Id
    host: HostName
    anomaly: Anomaly
    context: Context
    challenge: Nonce  # an approval must quote it; the node spends it once
    mode: Mode  # what the node's own configuration permits
    policy: HexDigest  # the policy the node judges with


# ---------------------------------------------------------------- reasoning


class Evidence(Value, frozen=True, kw_only=True):
    """One numbered fact computed by code from the context; a claim quotes its id."""

    id: Id
    text: Line


class Claim(Value, frozen=True, kw_only=True):
    """One sentence of a diagnosis and the evidence it stands on (ids such as E1)."""

    text: Line
    evidence: Annotated[tuple[Id, ...], Meta(max_length=16)] = ()


class Diagnosis(Value, frozen=True, kw_only=True):
    """What is believed to be wrong. Written by a model or a runbook: never an instruction."""

    summary: Line
    culprit: Id | None = None  # entity id, such as P1
    confidence_pct: Annotated[int, Meta(ge=0, le=100)]
    claims: Annotated[tuple[Claim, ...], Meta(max_length=16)] = ()
    ruled_out: Annotated[tuple[Line, ...], Meta(max_length=16)] = ()


class Command(Value, frozen=True, kw_only=True):
    """One proposed shell command, as text: judged, and run only as the argv it parses to."""

    text: Annotated[str, Meta(min_length=1, max_length=MAX_COMMAND_CHARS)]
    purpose: Line = ""
    undo: Line = ""
    timeout_s: Annotated[int, Meta(ge=1, le=600)] = 30


class Recovery(Value, frozen=True, kw_only=True):
    """How the node decides that the fault is gone: the very signal that raised it."""

    metric: Metric
    subject: Name
    clear_below: Number
    clear_for_ms: Millis
    deadline_ms: Annotated[int, Meta(ge=1000, le=3_600_000)]  # counted from the end of execution


class Plan(Value, frozen=True, kw_only=True):
    """One revision of what to do about an incident. Its canonical bytes are what people sign."""

    incident: Id
    event: Id
    revision: Annotated[int, Meta(ge=1, le=1000)]
    host: HostName
    author: Name  # "playbook", "ollama", "openai", or the operator who edited it
    engine: Name  # as author, with the runbook or model: "playbook:memory-hog", "ollama:qwen2.5:7b"
    stand_in: Line = ""  # why the playbook's plan stands in for a model's, or empty
    created_ms: Millis
    diagnosis: Diagnosis
    commands: Annotated[tuple[Command, ...], Meta(max_length=MAX_COMMANDS)]
    recovery: Recovery


class Reasoning(Value, frozen=True, kw_only=True):
    """Everything needed to replay one call of an engine."""

    engine: Name
    model: Name = ""
    model_digest: Name = ""
    prompt: Annotated[str, Meta(max_length=262144)]
    schema: Annotated[str, Meta(max_length=65536)] = ""
    options: Text = ""
    reply: Annotated[str, Meta(max_length=262144)] = ""
    error: Line = ""
    started_ms: Millis
    ended_ms: Millis


# ---------------------------------------------------------------- judgement

Span = tuple[int, int]  # [start, end) in characters of the command text


class Finding(Value, frozen=True, kw_only=True):
    """What the policy says of one part of a command, as data."""

    verdict: Verdict
    span: Span
    rule: Name  # rule id, or a built-in such as "grammar.substitution"
    layer: Name = ""
    reason: Line
    allow_if: Line = ""  # what would make it allow
    argv: Annotated[tuple[str, ...], Meta(max_length=64)] = ()


class Node(Value, frozen=True, kw_only=True):
    """One node of the tree that people see. Pre-order, `depth` gives the nesting."""

    depth: Annotated[int, Meta(ge=0, le=32)]
    kind: Name  # list, pipeline, command, word, redirect, substitution, opaque ...
    span: Span
    text: Line
    verdict: Verdict
    rule: Name = ""
    reason: Line = ""


class Limit(Value, frozen=True, kw_only=True):
    """How often a rule may be used on one host, and when: conditions of a run, never of a verdict.

    `per_plan` counts within the plan, so the judgement holds it; the others need a clock and a record
    of what ran, so the node's gate holds them by its own. 0, empty and False: no such condition.
    """

    rule: Name
    uses: Count = 1  # how often this command uses the rule
    per_plan: Count = 0
    per_hour: Count = 0  # uses in live runs within an hour
    cool_down_s: Count = 0  # since the last live run
    hours: Name = ""  # "22:00-06:00", UTC, the end not included
    dry_run_first: bool = False  # the same command was rehearsed for the same fault


class Judgement(Value, frozen=True, kw_only=True):
    """The verdict on one command: its worst finding, the findings, and the tree to show."""

    verdict: Verdict
    findings: Annotated[tuple[Finding, ...], Meta(max_length=256)]
    tree: Annotated[tuple[Node, ...], Meta(max_length=512)] = ()
    argv_digest: HexDigest | None = None  # of the argv tree; present only where the grammar took it
    changes: bool = True  # False where every rule that allowed it is read-only
    limits: Annotated[tuple[Limit, ...], Meta(max_length=64)] = ()  # of the rules that took it
    risk: Risk = Risk.HIGH  # the highest of the rules that took it


class PlanJudgement(Value, frozen=True, kw_only=True):
    """The verdicts on every command of one plan revision, under one policy."""

    plan: HexDigest
    policy: HexDigest
    verdict: Verdict
    commands: Annotated[tuple[Judgement, ...], Meta(max_length=MAX_COMMANDS)]


# ---------------------------------------------------------------- decision and result


@unique
class Choice(StrEnum):
    """What a person may decide."""

    APPROVE = "approve"
    REJECT = "reject"


class Statement(Value, frozen=True, kw_only=True):
    """What a decision says. Its canonical bytes travel as they are and are never re-made to verify."""

    choice: Choice
    incident: Id
    event: Id
    report: HexDigest  # what the node had reported, as the person saw it: `canonical.report_digest`
    host: HostName
    plan: HexDigest
    policy: HexDigest
    challenge: Nonce
    mode: Mode
    operator: Name
    reason: Line
    issued_ms: Millis
    expires_ms: Millis


class Signature(Value, frozen=True, kw_only=True):
    """One person's signature over the statement's bytes (SSHSIG, armoured)."""

    signer: Name
    sshsig: Text


class Pending(Value, frozen=True, kw_only=True):
    """An approval that more people must sign: the exact statement, and who has signed it."""

    statement: Annotated[str, Meta(max_length=8192)]
    signatures: Annotated[tuple[Signature, ...], Meta(max_length=8)]


class Growth(Value, frozen=True, kw_only=True):
    """The proof (RFC 6962) that the log of a checkpoint begins with its first `since` records."""

    since: Count
    proof: Proof = ()


class Logged(Value, frozen=True, kw_only=True):
    """The proof that a record is in the log: a signed checkpoint, and the record's place under it."""

    checkpoint: SignedNote
    growth: Annotated[tuple[Growth, ...], Meta(max_length=MAX_GROWTH)] = ()
    seq: Annotated[int, Meta(ge=1, le=2**53)]
    record: Text  # its exact bytes
    inclusion: Proof = ()


class Bundle(Value, frozen=True, kw_only=True):
    """What the hub carries to the node: exact bytes, as text of canonical JSON."""

    incident: Id
    plan: Annotated[str, Meta(max_length=131072)]
    statement: Annotated[str, Meta(max_length=8192)]
    signatures: Annotated[tuple[Signature, ...], Meta(max_length=8)] = ()
    log: Logged | None = None  # shows that the approval is on record


@unique
class Outcome(StrEnum):
    """What became of one command."""

    RUNNING = "running"  # it was started; another result follows
    RAN = "ran"  # exit status 0
    FAILED = "failed"  # another exit status, or it could not be started
    TIMED_OUT = "timed-out"
    SKIPPED = "skipped"  # not `allow`, an earlier command failed, or a person stopped the plan
    REHEARSED = "rehearsed"  # dry-run: would have run
    INTERRUPTED = "interrupted"  # the node went down while it ran; never repeated


class CommandResult(Value, frozen=True, kw_only=True):
    """The start, end, exit status and bounded output of one command of a plan."""

    index: Count
    outcome: Outcome
    reason: Line = ""
    argv: Annotated[tuple[str, ...], Meta(max_length=256)] = ()
    exit_status: int | None = None
    stdout: Output = ""
    stderr: Output = ""
    truncated_bytes: Count = 0
    started_ms: Millis = 0
    ended_ms: Millis = 0


class Admission(Value, frozen=True, kw_only=True):
    """The node's answer to a bundle: admitted in a mode, or refused with the check that failed."""

    incident: Id
    admitted: bool
    mode: Mode
    check: Name = ""  # the gate's check that refused, such as "challenge.spent"
    reason: Line = ""
    at_ms: Millis
    challenge: Nonce | None = None  # a fresh one: the approval is void, nothing of it ran or will


@unique
class Halt(StrEnum):
    """What a node says to a stop."""

    STOPPING = "stopping"  # what runs is left to end, and nothing starts after it
    NOT_BEGUN = "not-begun"  # nothing had begun, and the approval is void
    TOO_LATE = "too-late"  # its last command had started, or it had ended
    UNKNOWN = "unknown"  # the node knows no such approval


class Stopping(Value, frozen=True, kw_only=True):
    """An operator has asked the node to start nothing more of the approved plan."""

    challenge: Nonce  # the one that the approval quotes
    by: Name
    reason: Line = ""
    asked_ms: Millis
    answer: Halt | None = None  # None while the node has not answered


class Verification(Value, frozen=True, kw_only=True):
    """Whether the signal recovered. `observed` is the last reading, None if there was none."""

    incident: Id
    recovered: bool
    observed: Number | None = None
    samples: Annotated[tuple[Number, ...], Meta(max_length=120)] = ()
    reason: Line
    at_ms: Millis


# ---------------------------------------------------------------- what the operator sees


class Move(Value, frozen=True, kw_only=True):
    """One line of an incident's timeline: written in the same transaction as the state change."""

    at_ms: Millis
    stage: Stage
    action: Name
    actor: Name  # "hub", "node:web1", "operator:alice"
    state: State
    text: Line


class Summary(Value, frozen=True, kw_only=True):
    """An incident in one line of the list."""

    id: Id
    revision: Count  # rises with every change; compare-and-set and resync both use it
    host: HostName
    kind: Kind
    severity: Severity
    state: State
    verdict: Verdict | None = None
    evidence: Line
    count: Count = 1  # how often it was reported
    opened_ms: Millis
    updated_ms: Millis
    owner: Name = ""  # who is on it, as the hub authenticated them; empty: nobody
    service: Name = ""  # unit, or name, of the likeliest culprit; empty: no process is one


class Incident(Value, frozen=True, kw_only=True):
    """Everything the hub holds of one incident: what the incident screen shows."""

    summary: Summary
    report: Report
    plan: Plan | None = None
    plan_digest: HexDigest | None = None
    judgement: PlanJudgement | None = None
    decision: Statement | None = None
    decider: Name = ""  # who decided, as the hub authenticated them
    admission: Admission | None = None
    results: tuple[CommandResult, ...] = ()
    verification: Verification | None = None
    evidence: tuple[Evidence, ...] = ()
    previous: Id | None = None  # the incident this one is a recurrence of
    moves: tuple[Move, ...] = ()
    pending: Pending | None = None  # an approval of this very plan that is not complete yet
    people_needed: Count = 0  # how many distinct people must sign an approval of this plan
    stopping: Stopping | None = None  # that somebody has stopped the run of this plan


class AgentStatus(Value, frozen=True, kw_only=True):
    """A node as the hub knows it."""

    host: HostName
    connected: bool
    last_seen_ms: Millis = 0
    version: Name = ""
    mode: Mode = Mode.DRY_RUN
    policy: Name = ""
    certificate_expires_ms: Millis = 0
    clock_skew_ms: Number = 0
    open_incidents: Count = 0
    gauges: Annotated[tuple[Sample, ...], Meta(max_length=GAUGES)] = ()


class AuditRecord(Value, frozen=True, kw_only=True):
    """One record of the append-only log; `body` is the exact bytes that were hashed."""

    seq: Count
    at_ms: Millis
    action: Name
    actor: Name
    incident: Name = ""
    body: Text
    hash: HexDigest


class LogRecord(Value, frozen=True, kw_only=True):
    """What one record says; its canonical bytes are a leaf of the log's tree.

    `facts` are digests, numbers and names, as text; of a decision also the exact statement.
    """

    seq: Count
    at_ms: Millis
    action: Name
    actor: Name
    incident: Name = ""
    state: Name = ""  # after the change
    text: Line = ""
    facts: Annotated[dict[Name, Text], Meta(max_length=32)] = msgspec.field(default_factory=dict)
