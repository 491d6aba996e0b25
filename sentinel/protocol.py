"""What the programs say to one another: the messages of both services, as frozen values.

`domain` holds the nouns, this file the sentences made of them, `proto/sentinel/pb/` the same in the
wire's own language, and `wire` the only translation between the two.

The agent's stream (one per node, the node dials):
  - the node says Attach first; the hub answers Hello, and only then is the node attached;
  - every message that must not be lost travels in a Letter with an id of its own; it stays in the
    node's outbox until the hub answers Receipt with that id, which the hub does only after commit.
    The hub keeps the ids it has stored, so a letter that comes twice is stored once;
  - a letter that the hub cannot take is answered by a Receipt with a reason, and is not sent again;
  - a Bundle or a Stop comes on each stream anew until the node has answered it by a letter.
"""

from __future__ import annotations

from enum import StrEnum, unique
from typing import Annotated

from msgspec import Meta

from sentinel.domain import (
    GAUGES,
    MAX_COMMANDS,
    MAX_GROWTH,
    Admission,
    AgentStatus,
    AuditRecord,
    Bundle,
    Command,
    CommandResult,
    Count,
    Growth,
    Halt,
    HexDigest,
    HostName,
    Id,
    Incident,
    Kind,
    Line,
    Millis,
    Mode,
    Name,
    Nonce,
    Number,
    Report,
    Sample,
    Severity,
    Signature,
    SignedNote,
    State,
    Summary,
    Text,
    Value,
    Verification,
)

# Bytes of one encoded message, checked by gRPC before it is decoded. The largest thing a node says is
# a report with its context; the largest thing the hub says to an operator is one whole incident.
AGENT_MESSAGE_BYTES = 256 * 1024
HUB_MESSAGE_BYTES = 1024 * 1024
OPERATOR_MESSAGE_BYTES = 4 * 1024 * 1024

# The namespaces of people's SSH signatures: one that was made for the one purpose does not do for another.
LOGIN = "login@sentinel"
DECISION = "decision@sentinel"
# A decision is for now: terminal, hub and node know one longest life of a statement.
DECISION_LIFE_MS = 15 * 60_000
# How far clocks may differ: a statement from further in the future is not believed.
SKEW_MS = 60_000

# The sizes of the checkpoints that sentinel-agent and sentinel-exec have seen last; 0 for none.
Seen = Annotated[tuple[Count, ...], Meta(max_length=2)]

# ---------------------------------------------------------------- node -> hub


class Attach(Value, frozen=True, kw_only=True):
    """The first words of a node."""

    version: Name
    policy: HexDigest
    mode: Mode
    boot_ms: Millis
    sent_ms: Millis
    seen: Seen = ()


class Heartbeat(Value, frozen=True, kw_only=True):
    """Said every `Hello.heartbeat_s`; three missed make the node unknown."""

    sent_ms: Millis
    gauges: Annotated[tuple[Sample, ...], Meta(max_length=GAUGES)] = ()
    seen: Seen = ()
    spooled: Count = 0  # letters waiting in the outbox
    refused: Count = 0  # letters that the hub has refused since the node started


class Cleared(Value, frozen=True, kw_only=True):
    """The signal of a reported anomaly went below its clear level by itself and stayed there."""

    event: Id
    observed: Number
    at_ms: Millis


class Ran(Value, frozen=True, kw_only=True):
    """One command of an admitted plan has started or ended."""

    incident: Id
    result: CommandResult


@unique
class Finish(StrEnum):
    """How an admitted plan ended."""

    ALL_RAN = "all-ran"
    ONE_FAILED = "one-failed"
    REHEARSED = "rehearsed"
    STOPPED = "stopped"  # a person wanted no more of it; what had started, ended


class Finished(Value, frozen=True, kw_only=True):
    """An admitted plan has ended. The challenge is fresh: the old one is spent."""

    incident: Id
    event: Id
    finish: Finish
    challenge: Nonce
    at_ms: Millis


class Stopped(Value, frozen=True, kw_only=True):
    """The node's answer to a Stop."""

    incident: Id
    challenge: Nonce
    answer: Halt
    at_ms: Millis


class Alarm(Value, frozen=True, kw_only=True):
    """The node has seen the hub's log rolled back or forked, and runs nothing any more."""

    check: Name  # "checkpoint.rollback" or "checkpoint.fork"
    reason: Line
    # The last checkpoint that held, and the one that does not go with it: together they prove that the
    # hub's key signed two logs.
    kept: SignedNote
    shown: SignedNote
    at_ms: Millis


class Letter(Value, frozen=True, kw_only=True):
    """A message that must arrive once: exactly one of the fields after `id` is set."""

    id: Id
    report: Report | None = None
    cleared: Cleared | None = None
    admission: Admission | None = None
    ran: Ran | None = None
    finished: Finished | None = None
    verification: Verification | None = None
    alarm: Alarm | None = None
    stopped: Stopped | None = None


class Goodbye(Value, frozen=True, kw_only=True):
    """The node stops on purpose. (End of stream alone does not say so.)"""

    reason: Line


class AgentMessage(Value, frozen=True, kw_only=True):
    """What a node says: exactly one field is set."""

    attach: Attach | None = None
    heartbeat: Heartbeat | None = None
    letter: Letter | None = None
    goodbye: Goodbye | None = None


# ---------------------------------------------------------------- hub -> node


class Hello(Value, frozen=True, kw_only=True):
    """The hub has taken the node on."""

    version: Name
    site: Name
    policy: HexDigest
    now_ms: Millis
    heartbeat_s: Annotated[int, Meta(ge=1, le=3600)]


class Receipt(Value, frozen=True, kw_only=True):
    """The letter is committed (`reason` empty), or cannot be taken and why."""

    letter: Id
    reason: Line = ""


class Witness(Value, frozen=True, kw_only=True):
    """What the hub's log is now, with the proof that it has only grown since what the node has seen."""

    checkpoint: SignedNote
    growth: Annotated[tuple[Growth, ...], Meta(max_length=MAX_GROWTH)] = ()


class Stop(Value, frozen=True, kw_only=True):
    """Somebody wants nothing more of a run to start; `challenge` is the one that its approval quotes.

    Nobody signs it: it can only make less happen, which a hub can do anyway, by not delivering.
    """

    incident: Id
    challenge: Nonce
    by: Name
    reason: Line = ""


class HubMessage(Value, frozen=True, kw_only=True):
    """What the hub says to a node: exactly one field is set."""

    hello: Hello | None = None
    receipt: Receipt | None = None
    bundle: Bundle | None = None
    witness: Witness | None = None
    stop: Stop | None = None


# ---------------------------------------------------------------- enrolment


class JoinRequest(Value, frozen=True, kw_only=True):
    """Asks for a first certificate. The host's name comes from the token, never from the CSR."""

    token: Name
    csr: Text  # PEM


class Certificate(Value, frozen=True, kw_only=True):
    """A signed leaf and the CA it chains to, both PEM."""

    certificate: Text
    ca: Text


class RenewRequest(Value, frozen=True, kw_only=True):
    """Asks for the next certificate over the present one, with a new key."""

    csr: Text


# ---------------------------------------------------------------- operators


@unique
class Field(StrEnum):
    """What of an incident can be searched; a column of the list."""

    ID = "id"
    HOST = "host"
    KIND = "kind"
    SEVERITY = "severity"
    STATE = "state"
    VERDICT = "verdict"
    EVIDENCE = "evidence"
    OWNER = "owner"
    SERVICE = "service"


class Match(Value, frozen=True, kw_only=True):
    """The field holds these parts in this order, in lower case, with anything in between.

    Without a part it is empty.
    """

    field: Field
    parts: Annotated[tuple[Name, ...], Meta(max_length=64)]


class Term(Value, frozen=True, kw_only=True):
    """One of the matches holds; or, negated, none does. No match at all never holds."""

    any_of: Annotated[tuple[Match, ...], Meta(max_length=32)]
    negated: bool = False


class Place(Value, frozen=True, kw_only=True):
    """Where an incident stood in the list's order when it was read; it may have moved since."""

    state: State
    severity: Severity
    id: Id
    host: HostName
    kind: Kind


@unique
class Order(StrEnum):
    """What a list is sorted by; `lifecycle.rank` says how. Of equals the newest is first."""

    URGENCY = "urgency"  # whose turn, how severe
    AGE = "age"
    SEVERITY = "severity"  # and then whose turn
    HOST = "host"  # and then by urgency
    KIND = "kind"  # and then by urgency
    STATE = "state"  # in the order of an incident's life, and then how severe


class ListRequest(Value, frozen=True, kw_only=True):
    """One page of incidents in an order: on from `place`, or with `up` the ones just above it.

    Without a `place` it is the first page, or with `up` the last. `before` leaves only those that are
    older than the incident of that id.
    """

    open_only: bool = True
    before: Id | None = None
    limit: Annotated[int, Meta(ge=1, le=500)] = 200
    order: Order = Order.AGE
    up: bool = False
    place: Place | None = None
    terms: Annotated[tuple[Term, ...], Meta(max_length=16)] = ()


class Page(Value, frozen=True, kw_only=True):
    """A page in the list's order; `more` lie beyond it; a Watch should start from `revision`."""

    summaries: Annotated[tuple[Summary, ...], Meta(max_length=500)]
    revision: Count
    more: bool = False


class GetRequest(Value, frozen=True, kw_only=True):
    """One incident, whole. A unique prefix or suffix of the id of at least 4 characters will do."""

    incident: Id


class WatchRequest(Value, frozen=True, kw_only=True):
    """Everything that changed after `since`, and then what changes."""

    since: Count


class HubStatus(Value, frozen=True, kw_only=True):
    """How the hub is."""

    version: Name
    site: Name
    now_ms: Millis
    policy: HexDigest
    mode: Mode  # the most that the hub will ask of any node
    engine: Name
    engine_ready: bool
    engine_note: Line = ""  # why the engine cannot be used now
    database: Name  # sqlite or postgresql
    nodes_connected: Count = 0
    nodes: Count = 0
    open_incidents: Count = 0
    need_decision: Count = 0
    operator: Name = ""  # who the hub takes the caller to be
    role: Name = ""


class Update(Value, frozen=True, kw_only=True):
    """One change. `summary` is None for a sign of life that only carries the status."""

    revision: Count
    summary: Summary | None = None
    status: HubStatus | None = None


class DecideRequest(Value, frozen=True, kw_only=True):
    """A decision: the statement's exact bytes and who signed them."""

    incident: Id
    statement: Annotated[str, Meta(max_length=8192)]
    signatures: Annotated[tuple[Signature, ...], Meta(max_length=8)] = ()


@unique
class Action(StrEnum):
    """What else an operator may do to an incident; none of it runs anything."""

    ASK_AGAIN = "ask-again"
    TAKE_OVER = "take-over"
    CLOSE = "close"
    ACKNOWLEDGE = "acknowledge"  # the operator is on it, instead of whoever was
    RELEASE = "release"  # nobody is on it any more
    STOP = "stop"  # nothing more of the plan under way starts


class ActRequest(Value, frozen=True, kw_only=True):
    """Acts on an incident by hand; `revision` is what the operator saw (compare-and-set).

    A stop is about the run that was seen, however far it has come since.
    """

    incident: Id
    revision: Count
    action: Action
    note: Line = ""


class ReviseRequest(Value, frozen=True, kw_only=True):
    """Replaces the plan's commands by a new revision, judged afresh, under the operator's name."""

    incident: Id
    revision: Count
    commands: Annotated[tuple[Command, ...], Meta(max_length=MAX_COMMANDS)]


class ChallengeRequest(Value, frozen=True, kw_only=True):
    """Asks for a challenge to log in with."""


Keys = Annotated[tuple[Name, ...], Meta(max_length=64)]


class LoginChallenge(Value, frozen=True, kw_only=True):
    """What a login must quote, once and soon; `keys` are the fingerprints that may sign the caller's."""

    challenge: Nonce
    site: Name
    serial: Name  # of the certificate that the caller shows
    keys: Keys


class LoginStatement(Value, frozen=True, kw_only=True):
    """What a person signs to log in; its canonical bytes travel in LoginRequest.

    `authority` is the digest of the CA certificate that the person's program believes, so that what
    one hub was told is of no use at another.
    """

    challenge: Nonce
    site: Name
    authority: HexDigest
    serial: Name
    operator: Name


class LoginRequest(Value, frozen=True, kw_only=True):
    """A login: the exact bytes of a LoginStatement, and who signed them."""

    statement: Annotated[str, Meta(max_length=2048)]
    signature: Signature


class Session(Value, frozen=True, kw_only=True):
    """What the caller may do now, and until when; `token` goes with every further call."""

    token: Nonce
    operator: Name
    role: Name
    groups: Annotated[tuple[Name, ...], Meta(max_length=64)]  # may decide for; empty: every host
    keys: Keys  # fingerprints that may sign the caller's decisions
    expires_ms: Millis


class AgentsRequest(Value, frozen=True, kw_only=True):
    """All nodes."""


class Agents(Value, frozen=True, kw_only=True):
    """The nodes that the hub knows, by name."""

    agents: Annotated[tuple[AgentStatus, ...], Meta(max_length=20000)]


class AuditRequest(Value, frozen=True, kw_only=True):
    """Records with `seq` > `after`; a negative `after` asks for the newest `limit`."""

    after: Number = -1
    limit: Annotated[int, Meta(ge=1, le=1000)] = 200
    incident: Id | None = None


class AuditPage(Value, frozen=True, kw_only=True):
    """Audit records, oldest first."""

    records: Annotated[tuple[AuditRecord, ...], Meta(max_length=1000)]


MAX_RUNBOOKS = 500
MAX_SERVICES = 200
MAX_SERVICE_HOSTS = 8


class Past(Value, frozen=True, kw_only=True):
    """How often something was concerned in the whole record, and how that ended."""

    count: Count = 0
    open: Count = 0
    resolved: Count = 0  # the others that are not open were closed by hand
    last_ms: Millis = 0  # when the newest of them was opened


class RunbookStep(Value, frozen=True, kw_only=True):
    """A command template: what stands in braces is filled in with what the node captured."""

    run: Line
    purpose: Line
    undo: Line = ""
    changes: bool = False  # it changes something
    optional: bool = False  # it goes without a word where what it needs was not captured


class Runbook(Value, frozen=True, kw_only=True):
    """A runbook as the hub has it loaded, and what became of the incidents it made the plan of."""

    id: Name
    title: Line
    kinds: tuple[Kind, ...]  # none: for every kind, where no other matches
    priority: Count  # of those that match, the highest is tried first
    when: tuple[Line, ...]  # what must hold beside the kind
    summary: Line
    confidence_pct: Annotated[int, Meta(ge=0, le=100)]
    steps: tuple[RunbookStep, ...]
    escalation: tuple[RunbookStep, ...]  # from the second attempt on
    body: Text
    past: Past


class RunbooksRequest(Value, frozen=True, kw_only=True):
    """All runbooks."""


class Runbooks(Value, frozen=True, kw_only=True):
    """The runbooks in the order in which they are tried."""

    runbooks: Annotated[tuple[Runbook, ...], Meta(max_length=MAX_RUNBOOKS)]


class Service(Value, frozen=True, kw_only=True):
    """Something that runs: where reports have shown it, and the incidents it is the culprit of."""

    name: Name
    hosts: Annotated[tuple[HostName, ...], Meta(max_length=MAX_SERVICE_HOSTS)]  # the latest seen
    host_count: Count
    past: Past


class ServicesRequest(Value, frozen=True, kw_only=True):
    """What runs where, and what has been failing."""


class Services(Value, frozen=True, kw_only=True):
    """Services, those with most incidents first; `more` than these are known."""

    services: Annotated[tuple[Service, ...], Meta(max_length=MAX_SERVICES)]
    more: Count = 0


class StatusRequest(Value, frozen=True, kw_only=True):
    """How is the hub, and who am I to it?"""


# ---------------------------------------------------------------- the tables of both services

# RPC name -> (request, reply, the reply is a stream). `sentinel.pb.Operators` in the .proto files.
OPERATORS: dict[str, tuple[type[Value], type[Value], bool]] = {
    "Challenge": (ChallengeRequest, LoginChallenge, False),
    "Login": (LoginRequest, Session, False),
    "Status": (StatusRequest, HubStatus, False),
    "List": (ListRequest, Page, False),
    "Get": (GetRequest, Incident, False),
    "Watch": (WatchRequest, Update, True),
    "Decide": (DecideRequest, Incident, False),
    "Act": (ActRequest, Incident, False),
    "Revise": (ReviseRequest, Incident, False),
    "Agents": (AgentsRequest, Agents, False),
    "Audit": (AuditRequest, AuditPage, False),
    "Runbooks": (RunbooksRequest, Runbooks, False),
    "Services": (ServicesRequest, Services, False),
}
OPERATORS_SERVICE = "sentinel.pb.Operators"
AGENT_SERVICE = "sentinel.pb.Agent"
ATTACH_RPC = "Attach"  # stream AgentMessage -> stream HubMessage
RENEW_RPC = "Renew"  # RenewRequest -> Certificate
ENROL_SERVICE = "sentinel.pb.Enrol"
JOIN_RPC = "Join"  # JoinRequest -> Certificate
