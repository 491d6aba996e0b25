from sentinel.pb import plan_pb2 as _plan_pb2
from sentinel.pb import telemetry_pb2 as _telemetry_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class State(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    STATE_UNSPECIFIED: _ClassVar[State]
    STATE_REPORTED: _ClassVar[State]
    STATE_PLANNED: _ClassVar[State]
    STATE_AWAITING: _ClassVar[State]
    STATE_REFUSED: _ClassVar[State]
    STATE_APPROVED: _ClassVar[State]
    STATE_EXECUTING: _ClassVar[State]
    STATE_EXECUTED: _ClassVar[State]
    STATE_FAILED: _ClassVar[State]
    STATE_UNRESOLVED: _ClassVar[State]
    STATE_MANUAL: _ClassVar[State]
    STATE_RESOLVED: _ClassVar[State]
    STATE_CLOSED: _ClassVar[State]

class Stage(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    STAGE_UNSPECIFIED: _ClassVar[Stage]
    STAGE_DETECT: _ClassVar[Stage]
    STAGE_CAPTURE: _ClassVar[Stage]
    STAGE_TRANSPORT: _ClassVar[Stage]
    STAGE_REASON: _ClassVar[Stage]
    STAGE_VALIDATE: _ClassVar[Stage]
    STAGE_PERSIST: _ClassVar[Stage]
    STAGE_APPROVE: _ClassVar[Stage]
    STAGE_EXECUTE: _ClassVar[Stage]
    STAGE_VERIFY: _ClassVar[Stage]

class Action(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ACTION_UNSPECIFIED: _ClassVar[Action]
    ACTION_ASK_AGAIN: _ClassVar[Action]
    ACTION_TAKE_OVER: _ClassVar[Action]
    ACTION_CLOSE: _ClassVar[Action]
    ACTION_ACKNOWLEDGE: _ClassVar[Action]
    ACTION_RELEASE: _ClassVar[Action]
    ACTION_STOP: _ClassVar[Action]

class Order(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ORDER_UNSPECIFIED: _ClassVar[Order]
    ORDER_URGENCY: _ClassVar[Order]
    ORDER_AGE: _ClassVar[Order]
    ORDER_SEVERITY: _ClassVar[Order]
    ORDER_HOST: _ClassVar[Order]
    ORDER_KIND: _ClassVar[Order]
    ORDER_STATE: _ClassVar[Order]
STATE_UNSPECIFIED: State
STATE_REPORTED: State
STATE_PLANNED: State
STATE_AWAITING: State
STATE_REFUSED: State
STATE_APPROVED: State
STATE_EXECUTING: State
STATE_EXECUTED: State
STATE_FAILED: State
STATE_UNRESOLVED: State
STATE_MANUAL: State
STATE_RESOLVED: State
STATE_CLOSED: State
STAGE_UNSPECIFIED: Stage
STAGE_DETECT: Stage
STAGE_CAPTURE: Stage
STAGE_TRANSPORT: Stage
STAGE_REASON: Stage
STAGE_VALIDATE: Stage
STAGE_PERSIST: Stage
STAGE_APPROVE: Stage
STAGE_EXECUTE: Stage
STAGE_VERIFY: Stage
ACTION_UNSPECIFIED: Action
ACTION_ASK_AGAIN: Action
ACTION_TAKE_OVER: Action
ACTION_CLOSE: Action
ACTION_ACKNOWLEDGE: Action
ACTION_RELEASE: Action
ACTION_STOP: Action
ORDER_UNSPECIFIED: Order
ORDER_URGENCY: Order
ORDER_AGE: Order
ORDER_SEVERITY: Order
ORDER_HOST: Order
ORDER_KIND: Order
ORDER_STATE: Order

class Move(_message.Message):
    __slots__ = ("at_ms", "stage", "action", "actor", "state", "text")
    AT_MS_FIELD_NUMBER: _ClassVar[int]
    STAGE_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    at_ms: int
    stage: Stage
    action: str
    actor: str
    state: State
    text: str
    def __init__(self, at_ms: _Optional[int] = ..., stage: _Optional[_Union[Stage, str]] = ..., action: _Optional[str] = ..., actor: _Optional[str] = ..., state: _Optional[_Union[State, str]] = ..., text: _Optional[str] = ...) -> None: ...

class Summary(_message.Message):
    __slots__ = ("id", "revision", "host", "kind", "severity", "state", "verdict", "evidence", "count", "opened_ms", "updated_ms", "owner", "service")
    ID_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    HOST_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    SEVERITY_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    VERDICT_FIELD_NUMBER: _ClassVar[int]
    EVIDENCE_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    OPENED_MS_FIELD_NUMBER: _ClassVar[int]
    UPDATED_MS_FIELD_NUMBER: _ClassVar[int]
    OWNER_FIELD_NUMBER: _ClassVar[int]
    SERVICE_FIELD_NUMBER: _ClassVar[int]
    id: str
    revision: int
    host: str
    kind: str
    severity: _telemetry_pb2.Severity
    state: State
    verdict: _plan_pb2.Verdict
    evidence: str
    count: int
    opened_ms: int
    updated_ms: int
    owner: str
    service: str
    def __init__(self, id: _Optional[str] = ..., revision: _Optional[int] = ..., host: _Optional[str] = ..., kind: _Optional[str] = ..., severity: _Optional[_Union[_telemetry_pb2.Severity, str]] = ..., state: _Optional[_Union[State, str]] = ..., verdict: _Optional[_Union[_plan_pb2.Verdict, str]] = ..., evidence: _Optional[str] = ..., count: _Optional[int] = ..., opened_ms: _Optional[int] = ..., updated_ms: _Optional[int] = ..., owner: _Optional[str] = ..., service: _Optional[str] = ...) -> None: ...

class Stopping(_message.Message):
    __slots__ = ("challenge", "by", "reason", "asked_ms", "answer")
    CHALLENGE_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    ASKED_MS_FIELD_NUMBER: _ClassVar[int]
    ANSWER_FIELD_NUMBER: _ClassVar[int]
    challenge: str
    by: str
    reason: str
    asked_ms: int
    answer: _plan_pb2.Halt
    def __init__(self, challenge: _Optional[str] = ..., by: _Optional[str] = ..., reason: _Optional[str] = ..., asked_ms: _Optional[int] = ..., answer: _Optional[_Union[_plan_pb2.Halt, str]] = ...) -> None: ...

class Incident(_message.Message):
    __slots__ = ("summary", "report", "plan", "plan_digest", "judgement", "decision", "decider", "admission", "results", "verification", "evidence", "previous", "moves", "pending", "people_needed", "stopping")
    SUMMARY_FIELD_NUMBER: _ClassVar[int]
    REPORT_FIELD_NUMBER: _ClassVar[int]
    PLAN_FIELD_NUMBER: _ClassVar[int]
    PLAN_DIGEST_FIELD_NUMBER: _ClassVar[int]
    JUDGEMENT_FIELD_NUMBER: _ClassVar[int]
    DECISION_FIELD_NUMBER: _ClassVar[int]
    DECIDER_FIELD_NUMBER: _ClassVar[int]
    ADMISSION_FIELD_NUMBER: _ClassVar[int]
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    VERIFICATION_FIELD_NUMBER: _ClassVar[int]
    EVIDENCE_FIELD_NUMBER: _ClassVar[int]
    PREVIOUS_FIELD_NUMBER: _ClassVar[int]
    MOVES_FIELD_NUMBER: _ClassVar[int]
    PENDING_FIELD_NUMBER: _ClassVar[int]
    PEOPLE_NEEDED_FIELD_NUMBER: _ClassVar[int]
    STOPPING_FIELD_NUMBER: _ClassVar[int]
    summary: Summary
    report: _telemetry_pb2.Report
    plan: _plan_pb2.Plan
    plan_digest: str
    judgement: _plan_pb2.PlanJudgement
    decision: _plan_pb2.Statement
    decider: str
    admission: _plan_pb2.Admission
    results: _containers.RepeatedCompositeFieldContainer[_plan_pb2.CommandResult]
    verification: _plan_pb2.Verification
    evidence: _containers.RepeatedCompositeFieldContainer[_plan_pb2.Evidence]
    previous: str
    moves: _containers.RepeatedCompositeFieldContainer[Move]
    pending: _plan_pb2.Pending
    people_needed: int
    stopping: Stopping
    def __init__(self, summary: _Optional[_Union[Summary, _Mapping]] = ..., report: _Optional[_Union[_telemetry_pb2.Report, _Mapping]] = ..., plan: _Optional[_Union[_plan_pb2.Plan, _Mapping]] = ..., plan_digest: _Optional[str] = ..., judgement: _Optional[_Union[_plan_pb2.PlanJudgement, _Mapping]] = ..., decision: _Optional[_Union[_plan_pb2.Statement, _Mapping]] = ..., decider: _Optional[str] = ..., admission: _Optional[_Union[_plan_pb2.Admission, _Mapping]] = ..., results: _Optional[_Iterable[_Union[_plan_pb2.CommandResult, _Mapping]]] = ..., verification: _Optional[_Union[_plan_pb2.Verification, _Mapping]] = ..., evidence: _Optional[_Iterable[_Union[_plan_pb2.Evidence, _Mapping]]] = ..., previous: _Optional[str] = ..., moves: _Optional[_Iterable[_Union[Move, _Mapping]]] = ..., pending: _Optional[_Union[_plan_pb2.Pending, _Mapping]] = ..., people_needed: _Optional[int] = ..., stopping: _Optional[_Union[Stopping, _Mapping]] = ...) -> None: ...

class AgentStatus(_message.Message):
    __slots__ = ("host", "connected", "last_seen_ms", "version", "mode", "policy", "certificate_expires_ms", "clock_skew_ms", "open_incidents", "gauges")
    HOST_FIELD_NUMBER: _ClassVar[int]
    CONNECTED_FIELD_NUMBER: _ClassVar[int]
    LAST_SEEN_MS_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    CERTIFICATE_EXPIRES_MS_FIELD_NUMBER: _ClassVar[int]
    CLOCK_SKEW_MS_FIELD_NUMBER: _ClassVar[int]
    OPEN_INCIDENTS_FIELD_NUMBER: _ClassVar[int]
    GAUGES_FIELD_NUMBER: _ClassVar[int]
    host: str
    connected: bool
    last_seen_ms: int
    version: str
    mode: _telemetry_pb2.Mode
    policy: str
    certificate_expires_ms: int
    clock_skew_ms: int
    open_incidents: int
    gauges: _containers.RepeatedCompositeFieldContainer[_telemetry_pb2.Sample]
    def __init__(self, host: _Optional[str] = ..., connected: _Optional[bool] = ..., last_seen_ms: _Optional[int] = ..., version: _Optional[str] = ..., mode: _Optional[_Union[_telemetry_pb2.Mode, str]] = ..., policy: _Optional[str] = ..., certificate_expires_ms: _Optional[int] = ..., clock_skew_ms: _Optional[int] = ..., open_incidents: _Optional[int] = ..., gauges: _Optional[_Iterable[_Union[_telemetry_pb2.Sample, _Mapping]]] = ...) -> None: ...

class AuditRecord(_message.Message):
    __slots__ = ("seq", "at_ms", "action", "actor", "incident", "body", "hash")
    SEQ_FIELD_NUMBER: _ClassVar[int]
    AT_MS_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    INCIDENT_FIELD_NUMBER: _ClassVar[int]
    BODY_FIELD_NUMBER: _ClassVar[int]
    HASH_FIELD_NUMBER: _ClassVar[int]
    seq: int
    at_ms: int
    action: str
    actor: str
    incident: str
    body: str
    hash: str
    def __init__(self, seq: _Optional[int] = ..., at_ms: _Optional[int] = ..., action: _Optional[str] = ..., actor: _Optional[str] = ..., incident: _Optional[str] = ..., body: _Optional[str] = ..., hash: _Optional[str] = ...) -> None: ...

class Match(_message.Message):
    __slots__ = ("field", "parts")
    FIELD_FIELD_NUMBER: _ClassVar[int]
    PARTS_FIELD_NUMBER: _ClassVar[int]
    field: str
    parts: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, field: _Optional[str] = ..., parts: _Optional[_Iterable[str]] = ...) -> None: ...

class Term(_message.Message):
    __slots__ = ("any_of", "negated")
    ANY_OF_FIELD_NUMBER: _ClassVar[int]
    NEGATED_FIELD_NUMBER: _ClassVar[int]
    any_of: _containers.RepeatedCompositeFieldContainer[Match]
    negated: bool
    def __init__(self, any_of: _Optional[_Iterable[_Union[Match, _Mapping]]] = ..., negated: _Optional[bool] = ...) -> None: ...

class Place(_message.Message):
    __slots__ = ("state", "severity", "id", "host", "kind")
    STATE_FIELD_NUMBER: _ClassVar[int]
    SEVERITY_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    HOST_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    state: State
    severity: _telemetry_pb2.Severity
    id: str
    host: str
    kind: str
    def __init__(self, state: _Optional[_Union[State, str]] = ..., severity: _Optional[_Union[_telemetry_pb2.Severity, str]] = ..., id: _Optional[str] = ..., host: _Optional[str] = ..., kind: _Optional[str] = ...) -> None: ...

class ListRequest(_message.Message):
    __slots__ = ("open_only", "before", "limit", "order", "up", "place", "terms")
    OPEN_ONLY_FIELD_NUMBER: _ClassVar[int]
    BEFORE_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    ORDER_FIELD_NUMBER: _ClassVar[int]
    UP_FIELD_NUMBER: _ClassVar[int]
    PLACE_FIELD_NUMBER: _ClassVar[int]
    TERMS_FIELD_NUMBER: _ClassVar[int]
    open_only: bool
    before: str
    limit: int
    order: Order
    up: bool
    place: Place
    terms: _containers.RepeatedCompositeFieldContainer[Term]
    def __init__(self, open_only: _Optional[bool] = ..., before: _Optional[str] = ..., limit: _Optional[int] = ..., order: _Optional[_Union[Order, str]] = ..., up: _Optional[bool] = ..., place: _Optional[_Union[Place, _Mapping]] = ..., terms: _Optional[_Iterable[_Union[Term, _Mapping]]] = ...) -> None: ...

class Page(_message.Message):
    __slots__ = ("summaries", "revision", "more")
    SUMMARIES_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    MORE_FIELD_NUMBER: _ClassVar[int]
    summaries: _containers.RepeatedCompositeFieldContainer[Summary]
    revision: int
    more: bool
    def __init__(self, summaries: _Optional[_Iterable[_Union[Summary, _Mapping]]] = ..., revision: _Optional[int] = ..., more: _Optional[bool] = ...) -> None: ...

class GetRequest(_message.Message):
    __slots__ = ("incident",)
    INCIDENT_FIELD_NUMBER: _ClassVar[int]
    incident: str
    def __init__(self, incident: _Optional[str] = ...) -> None: ...

class WatchRequest(_message.Message):
    __slots__ = ("since",)
    SINCE_FIELD_NUMBER: _ClassVar[int]
    since: int
    def __init__(self, since: _Optional[int] = ...) -> None: ...

class HubStatus(_message.Message):
    __slots__ = ("version", "site", "now_ms", "policy", "mode", "engine", "engine_ready", "engine_note", "database", "nodes_connected", "nodes", "open_incidents", "need_decision", "operator", "role")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    SITE_FIELD_NUMBER: _ClassVar[int]
    NOW_MS_FIELD_NUMBER: _ClassVar[int]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    ENGINE_FIELD_NUMBER: _ClassVar[int]
    ENGINE_READY_FIELD_NUMBER: _ClassVar[int]
    ENGINE_NOTE_FIELD_NUMBER: _ClassVar[int]
    DATABASE_FIELD_NUMBER: _ClassVar[int]
    NODES_CONNECTED_FIELD_NUMBER: _ClassVar[int]
    NODES_FIELD_NUMBER: _ClassVar[int]
    OPEN_INCIDENTS_FIELD_NUMBER: _ClassVar[int]
    NEED_DECISION_FIELD_NUMBER: _ClassVar[int]
    OPERATOR_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    version: str
    site: str
    now_ms: int
    policy: str
    mode: _telemetry_pb2.Mode
    engine: str
    engine_ready: bool
    engine_note: str
    database: str
    nodes_connected: int
    nodes: int
    open_incidents: int
    need_decision: int
    operator: str
    role: str
    def __init__(self, version: _Optional[str] = ..., site: _Optional[str] = ..., now_ms: _Optional[int] = ..., policy: _Optional[str] = ..., mode: _Optional[_Union[_telemetry_pb2.Mode, str]] = ..., engine: _Optional[str] = ..., engine_ready: _Optional[bool] = ..., engine_note: _Optional[str] = ..., database: _Optional[str] = ..., nodes_connected: _Optional[int] = ..., nodes: _Optional[int] = ..., open_incidents: _Optional[int] = ..., need_decision: _Optional[int] = ..., operator: _Optional[str] = ..., role: _Optional[str] = ...) -> None: ...

class Update(_message.Message):
    __slots__ = ("revision", "summary", "status")
    REVISION_FIELD_NUMBER: _ClassVar[int]
    SUMMARY_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    revision: int
    summary: Summary
    status: HubStatus
    def __init__(self, revision: _Optional[int] = ..., summary: _Optional[_Union[Summary, _Mapping]] = ..., status: _Optional[_Union[HubStatus, _Mapping]] = ...) -> None: ...

class DecideRequest(_message.Message):
    __slots__ = ("incident", "statement", "signatures")
    INCIDENT_FIELD_NUMBER: _ClassVar[int]
    STATEMENT_FIELD_NUMBER: _ClassVar[int]
    SIGNATURES_FIELD_NUMBER: _ClassVar[int]
    incident: str
    statement: str
    signatures: _containers.RepeatedCompositeFieldContainer[_plan_pb2.Signature]
    def __init__(self, incident: _Optional[str] = ..., statement: _Optional[str] = ..., signatures: _Optional[_Iterable[_Union[_plan_pb2.Signature, _Mapping]]] = ...) -> None: ...

class ActRequest(_message.Message):
    __slots__ = ("incident", "revision", "action", "note")
    INCIDENT_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    NOTE_FIELD_NUMBER: _ClassVar[int]
    incident: str
    revision: int
    action: Action
    note: str
    def __init__(self, incident: _Optional[str] = ..., revision: _Optional[int] = ..., action: _Optional[_Union[Action, str]] = ..., note: _Optional[str] = ...) -> None: ...

class ReviseRequest(_message.Message):
    __slots__ = ("incident", "revision", "commands")
    INCIDENT_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    COMMANDS_FIELD_NUMBER: _ClassVar[int]
    incident: str
    revision: int
    commands: _containers.RepeatedCompositeFieldContainer[_plan_pb2.Command]
    def __init__(self, incident: _Optional[str] = ..., revision: _Optional[int] = ..., commands: _Optional[_Iterable[_Union[_plan_pb2.Command, _Mapping]]] = ...) -> None: ...

class ChallengeRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class LoginChallenge(_message.Message):
    __slots__ = ("challenge", "site", "serial", "keys")
    CHALLENGE_FIELD_NUMBER: _ClassVar[int]
    SITE_FIELD_NUMBER: _ClassVar[int]
    SERIAL_FIELD_NUMBER: _ClassVar[int]
    KEYS_FIELD_NUMBER: _ClassVar[int]
    challenge: str
    site: str
    serial: str
    keys: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, challenge: _Optional[str] = ..., site: _Optional[str] = ..., serial: _Optional[str] = ..., keys: _Optional[_Iterable[str]] = ...) -> None: ...

class LoginRequest(_message.Message):
    __slots__ = ("statement", "signature")
    STATEMENT_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    statement: str
    signature: _plan_pb2.Signature
    def __init__(self, statement: _Optional[str] = ..., signature: _Optional[_Union[_plan_pb2.Signature, _Mapping]] = ...) -> None: ...

class Session(_message.Message):
    __slots__ = ("token", "operator", "role", "groups", "keys", "expires_ms")
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    OPERATOR_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    GROUPS_FIELD_NUMBER: _ClassVar[int]
    KEYS_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_MS_FIELD_NUMBER: _ClassVar[int]
    token: str
    operator: str
    role: str
    groups: _containers.RepeatedScalarFieldContainer[str]
    keys: _containers.RepeatedScalarFieldContainer[str]
    expires_ms: int
    def __init__(self, token: _Optional[str] = ..., operator: _Optional[str] = ..., role: _Optional[str] = ..., groups: _Optional[_Iterable[str]] = ..., keys: _Optional[_Iterable[str]] = ..., expires_ms: _Optional[int] = ...) -> None: ...

class AgentsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Agents(_message.Message):
    __slots__ = ("agents",)
    AGENTS_FIELD_NUMBER: _ClassVar[int]
    agents: _containers.RepeatedCompositeFieldContainer[AgentStatus]
    def __init__(self, agents: _Optional[_Iterable[_Union[AgentStatus, _Mapping]]] = ...) -> None: ...

class AuditRequest(_message.Message):
    __slots__ = ("after", "limit", "incident")
    AFTER_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    INCIDENT_FIELD_NUMBER: _ClassVar[int]
    after: int
    limit: int
    incident: str
    def __init__(self, after: _Optional[int] = ..., limit: _Optional[int] = ..., incident: _Optional[str] = ...) -> None: ...

class AuditPage(_message.Message):
    __slots__ = ("records",)
    RECORDS_FIELD_NUMBER: _ClassVar[int]
    records: _containers.RepeatedCompositeFieldContainer[AuditRecord]
    def __init__(self, records: _Optional[_Iterable[_Union[AuditRecord, _Mapping]]] = ...) -> None: ...

class Past(_message.Message):
    __slots__ = ("count", "open", "resolved", "last_ms")
    COUNT_FIELD_NUMBER: _ClassVar[int]
    OPEN_FIELD_NUMBER: _ClassVar[int]
    RESOLVED_FIELD_NUMBER: _ClassVar[int]
    LAST_MS_FIELD_NUMBER: _ClassVar[int]
    count: int
    open: int
    resolved: int
    last_ms: int
    def __init__(self, count: _Optional[int] = ..., open: _Optional[int] = ..., resolved: _Optional[int] = ..., last_ms: _Optional[int] = ...) -> None: ...

class RunbookStep(_message.Message):
    __slots__ = ("run", "purpose", "undo", "changes", "optional")
    RUN_FIELD_NUMBER: _ClassVar[int]
    PURPOSE_FIELD_NUMBER: _ClassVar[int]
    UNDO_FIELD_NUMBER: _ClassVar[int]
    CHANGES_FIELD_NUMBER: _ClassVar[int]
    OPTIONAL_FIELD_NUMBER: _ClassVar[int]
    run: str
    purpose: str
    undo: str
    changes: bool
    optional: bool
    def __init__(self, run: _Optional[str] = ..., purpose: _Optional[str] = ..., undo: _Optional[str] = ..., changes: _Optional[bool] = ..., optional: _Optional[bool] = ...) -> None: ...

class Runbook(_message.Message):
    __slots__ = ("id", "title", "kinds", "priority", "when", "summary", "confidence_pct", "steps", "escalation", "body", "past")
    ID_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    KINDS_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    WHEN_FIELD_NUMBER: _ClassVar[int]
    SUMMARY_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_PCT_FIELD_NUMBER: _ClassVar[int]
    STEPS_FIELD_NUMBER: _ClassVar[int]
    ESCALATION_FIELD_NUMBER: _ClassVar[int]
    BODY_FIELD_NUMBER: _ClassVar[int]
    PAST_FIELD_NUMBER: _ClassVar[int]
    id: str
    title: str
    kinds: _containers.RepeatedScalarFieldContainer[str]
    priority: int
    when: _containers.RepeatedScalarFieldContainer[str]
    summary: str
    confidence_pct: int
    steps: _containers.RepeatedCompositeFieldContainer[RunbookStep]
    escalation: _containers.RepeatedCompositeFieldContainer[RunbookStep]
    body: str
    past: Past
    def __init__(self, id: _Optional[str] = ..., title: _Optional[str] = ..., kinds: _Optional[_Iterable[str]] = ..., priority: _Optional[int] = ..., when: _Optional[_Iterable[str]] = ..., summary: _Optional[str] = ..., confidence_pct: _Optional[int] = ..., steps: _Optional[_Iterable[_Union[RunbookStep, _Mapping]]] = ..., escalation: _Optional[_Iterable[_Union[RunbookStep, _Mapping]]] = ..., body: _Optional[str] = ..., past: _Optional[_Union[Past, _Mapping]] = ...) -> None: ...

class RunbooksRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Runbooks(_message.Message):
    __slots__ = ("runbooks",)
    RUNBOOKS_FIELD_NUMBER: _ClassVar[int]
    runbooks: _containers.RepeatedCompositeFieldContainer[Runbook]
    def __init__(self, runbooks: _Optional[_Iterable[_Union[Runbook, _Mapping]]] = ...) -> None: ...

class Service(_message.Message):
    __slots__ = ("name", "hosts", "host_count", "past")
    NAME_FIELD_NUMBER: _ClassVar[int]
    HOSTS_FIELD_NUMBER: _ClassVar[int]
    HOST_COUNT_FIELD_NUMBER: _ClassVar[int]
    PAST_FIELD_NUMBER: _ClassVar[int]
    name: str
    hosts: _containers.RepeatedScalarFieldContainer[str]
    host_count: int
    past: Past
    def __init__(self, name: _Optional[str] = ..., hosts: _Optional[_Iterable[str]] = ..., host_count: _Optional[int] = ..., past: _Optional[_Union[Past, _Mapping]] = ...) -> None: ...

class ServicesRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Services(_message.Message):
    __slots__ = ("services", "more")
    SERVICES_FIELD_NUMBER: _ClassVar[int]
    MORE_FIELD_NUMBER: _ClassVar[int]
    services: _containers.RepeatedCompositeFieldContainer[Service]
    more: int
    def __init__(self, services: _Optional[_Iterable[_Union[Service, _Mapping]]] = ..., more: _Optional[int] = ...) -> None: ...

class StatusRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...
