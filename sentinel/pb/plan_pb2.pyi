from sentinel.pb import telemetry_pb2 as _telemetry_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Verdict(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    VERDICT_UNSPECIFIED: _ClassVar[Verdict]
    VERDICT_ALLOW: _ClassVar[Verdict]
    VERDICT_REVIEW: _ClassVar[Verdict]
    VERDICT_BLOCK: _ClassVar[Verdict]

class Risk(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    RISK_UNSPECIFIED: _ClassVar[Risk]
    RISK_LOW: _ClassVar[Risk]
    RISK_MEDIUM: _ClassVar[Risk]
    RISK_HIGH: _ClassVar[Risk]

class Choice(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CHOICE_UNSPECIFIED: _ClassVar[Choice]
    CHOICE_APPROVE: _ClassVar[Choice]
    CHOICE_REJECT: _ClassVar[Choice]

class Outcome(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    OUTCOME_UNSPECIFIED: _ClassVar[Outcome]
    OUTCOME_RUNNING: _ClassVar[Outcome]
    OUTCOME_RAN: _ClassVar[Outcome]
    OUTCOME_FAILED: _ClassVar[Outcome]
    OUTCOME_TIMED_OUT: _ClassVar[Outcome]
    OUTCOME_SKIPPED: _ClassVar[Outcome]
    OUTCOME_REHEARSED: _ClassVar[Outcome]
    OUTCOME_INTERRUPTED: _ClassVar[Outcome]

class Halt(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    HALT_UNSPECIFIED: _ClassVar[Halt]
    HALT_STOPPING: _ClassVar[Halt]
    HALT_NOT_BEGUN: _ClassVar[Halt]
    HALT_TOO_LATE: _ClassVar[Halt]
    HALT_UNKNOWN: _ClassVar[Halt]
VERDICT_UNSPECIFIED: Verdict
VERDICT_ALLOW: Verdict
VERDICT_REVIEW: Verdict
VERDICT_BLOCK: Verdict
RISK_UNSPECIFIED: Risk
RISK_LOW: Risk
RISK_MEDIUM: Risk
RISK_HIGH: Risk
CHOICE_UNSPECIFIED: Choice
CHOICE_APPROVE: Choice
CHOICE_REJECT: Choice
OUTCOME_UNSPECIFIED: Outcome
OUTCOME_RUNNING: Outcome
OUTCOME_RAN: Outcome
OUTCOME_FAILED: Outcome
OUTCOME_TIMED_OUT: Outcome
OUTCOME_SKIPPED: Outcome
OUTCOME_REHEARSED: Outcome
OUTCOME_INTERRUPTED: Outcome
HALT_UNSPECIFIED: Halt
HALT_STOPPING: Halt
HALT_NOT_BEGUN: Halt
HALT_TOO_LATE: Halt
HALT_UNKNOWN: Halt

class Evidence(_message.Message):
    __slots__ = ("id", "text")
    ID_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    id: str
    text: str
    def __init__(self, id: _Optional[str] = ..., text: _Optional[str] = ...) -> None: ...

class Claim(_message.Message):
    __slots__ = ("text", "evidence")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    EVIDENCE_FIELD_NUMBER: _ClassVar[int]
    text: str
    evidence: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, text: _Optional[str] = ..., evidence: _Optional[_Iterable[str]] = ...) -> None: ...

class Diagnosis(_message.Message):
    __slots__ = ("summary", "culprit", "confidence_pct", "claims", "ruled_out")
    SUMMARY_FIELD_NUMBER: _ClassVar[int]
    CULPRIT_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_PCT_FIELD_NUMBER: _ClassVar[int]
    CLAIMS_FIELD_NUMBER: _ClassVar[int]
    RULED_OUT_FIELD_NUMBER: _ClassVar[int]
    summary: str
    culprit: str
    confidence_pct: int
    claims: _containers.RepeatedCompositeFieldContainer[Claim]
    ruled_out: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, summary: _Optional[str] = ..., culprit: _Optional[str] = ..., confidence_pct: _Optional[int] = ..., claims: _Optional[_Iterable[_Union[Claim, _Mapping]]] = ..., ruled_out: _Optional[_Iterable[str]] = ...) -> None: ...

class Command(_message.Message):
    __slots__ = ("text", "purpose", "undo", "timeout_s")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    PURPOSE_FIELD_NUMBER: _ClassVar[int]
    UNDO_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_S_FIELD_NUMBER: _ClassVar[int]
    text: str
    purpose: str
    undo: str
    timeout_s: int
    def __init__(self, text: _Optional[str] = ..., purpose: _Optional[str] = ..., undo: _Optional[str] = ..., timeout_s: _Optional[int] = ...) -> None: ...

class Recovery(_message.Message):
    __slots__ = ("metric", "subject", "clear_below", "clear_for_ms", "deadline_ms")
    METRIC_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    CLEAR_BELOW_FIELD_NUMBER: _ClassVar[int]
    CLEAR_FOR_MS_FIELD_NUMBER: _ClassVar[int]
    DEADLINE_MS_FIELD_NUMBER: _ClassVar[int]
    metric: str
    subject: str
    clear_below: int
    clear_for_ms: int
    deadline_ms: int
    def __init__(self, metric: _Optional[str] = ..., subject: _Optional[str] = ..., clear_below: _Optional[int] = ..., clear_for_ms: _Optional[int] = ..., deadline_ms: _Optional[int] = ...) -> None: ...

class Plan(_message.Message):
    __slots__ = ("incident", "event", "revision", "host", "author", "engine", "stand_in", "created_ms", "diagnosis", "commands", "recovery")
    INCIDENT_FIELD_NUMBER: _ClassVar[int]
    EVENT_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    HOST_FIELD_NUMBER: _ClassVar[int]
    AUTHOR_FIELD_NUMBER: _ClassVar[int]
    ENGINE_FIELD_NUMBER: _ClassVar[int]
    STAND_IN_FIELD_NUMBER: _ClassVar[int]
    CREATED_MS_FIELD_NUMBER: _ClassVar[int]
    DIAGNOSIS_FIELD_NUMBER: _ClassVar[int]
    COMMANDS_FIELD_NUMBER: _ClassVar[int]
    RECOVERY_FIELD_NUMBER: _ClassVar[int]
    incident: str
    event: str
    revision: int
    host: str
    author: str
    engine: str
    stand_in: str
    created_ms: int
    diagnosis: Diagnosis
    commands: _containers.RepeatedCompositeFieldContainer[Command]
    recovery: Recovery
    def __init__(self, incident: _Optional[str] = ..., event: _Optional[str] = ..., revision: _Optional[int] = ..., host: _Optional[str] = ..., author: _Optional[str] = ..., engine: _Optional[str] = ..., stand_in: _Optional[str] = ..., created_ms: _Optional[int] = ..., diagnosis: _Optional[_Union[Diagnosis, _Mapping]] = ..., commands: _Optional[_Iterable[_Union[Command, _Mapping]]] = ..., recovery: _Optional[_Union[Recovery, _Mapping]] = ...) -> None: ...

class Finding(_message.Message):
    __slots__ = ("verdict", "span", "rule", "layer", "reason", "allow_if", "argv")
    VERDICT_FIELD_NUMBER: _ClassVar[int]
    SPAN_FIELD_NUMBER: _ClassVar[int]
    RULE_FIELD_NUMBER: _ClassVar[int]
    LAYER_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    ALLOW_IF_FIELD_NUMBER: _ClassVar[int]
    ARGV_FIELD_NUMBER: _ClassVar[int]
    verdict: Verdict
    span: _containers.RepeatedScalarFieldContainer[int]
    rule: str
    layer: str
    reason: str
    allow_if: str
    argv: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, verdict: _Optional[_Union[Verdict, str]] = ..., span: _Optional[_Iterable[int]] = ..., rule: _Optional[str] = ..., layer: _Optional[str] = ..., reason: _Optional[str] = ..., allow_if: _Optional[str] = ..., argv: _Optional[_Iterable[str]] = ...) -> None: ...

class Node(_message.Message):
    __slots__ = ("depth", "kind", "span", "text", "verdict", "rule", "reason")
    DEPTH_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    SPAN_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    VERDICT_FIELD_NUMBER: _ClassVar[int]
    RULE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    depth: int
    kind: str
    span: _containers.RepeatedScalarFieldContainer[int]
    text: str
    verdict: Verdict
    rule: str
    reason: str
    def __init__(self, depth: _Optional[int] = ..., kind: _Optional[str] = ..., span: _Optional[_Iterable[int]] = ..., text: _Optional[str] = ..., verdict: _Optional[_Union[Verdict, str]] = ..., rule: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class Limit(_message.Message):
    __slots__ = ("rule", "uses", "per_plan", "per_hour", "cool_down_s", "hours", "dry_run_first")
    RULE_FIELD_NUMBER: _ClassVar[int]
    USES_FIELD_NUMBER: _ClassVar[int]
    PER_PLAN_FIELD_NUMBER: _ClassVar[int]
    PER_HOUR_FIELD_NUMBER: _ClassVar[int]
    COOL_DOWN_S_FIELD_NUMBER: _ClassVar[int]
    HOURS_FIELD_NUMBER: _ClassVar[int]
    DRY_RUN_FIRST_FIELD_NUMBER: _ClassVar[int]
    rule: str
    uses: int
    per_plan: int
    per_hour: int
    cool_down_s: int
    hours: str
    dry_run_first: bool
    def __init__(self, rule: _Optional[str] = ..., uses: _Optional[int] = ..., per_plan: _Optional[int] = ..., per_hour: _Optional[int] = ..., cool_down_s: _Optional[int] = ..., hours: _Optional[str] = ..., dry_run_first: _Optional[bool] = ...) -> None: ...

class Judgement(_message.Message):
    __slots__ = ("verdict", "findings", "tree", "argv_digest", "changes", "limits", "risk")
    VERDICT_FIELD_NUMBER: _ClassVar[int]
    FINDINGS_FIELD_NUMBER: _ClassVar[int]
    TREE_FIELD_NUMBER: _ClassVar[int]
    ARGV_DIGEST_FIELD_NUMBER: _ClassVar[int]
    CHANGES_FIELD_NUMBER: _ClassVar[int]
    LIMITS_FIELD_NUMBER: _ClassVar[int]
    RISK_FIELD_NUMBER: _ClassVar[int]
    verdict: Verdict
    findings: _containers.RepeatedCompositeFieldContainer[Finding]
    tree: _containers.RepeatedCompositeFieldContainer[Node]
    argv_digest: str
    changes: bool
    limits: _containers.RepeatedCompositeFieldContainer[Limit]
    risk: Risk
    def __init__(self, verdict: _Optional[_Union[Verdict, str]] = ..., findings: _Optional[_Iterable[_Union[Finding, _Mapping]]] = ..., tree: _Optional[_Iterable[_Union[Node, _Mapping]]] = ..., argv_digest: _Optional[str] = ..., changes: _Optional[bool] = ..., limits: _Optional[_Iterable[_Union[Limit, _Mapping]]] = ..., risk: _Optional[_Union[Risk, str]] = ...) -> None: ...

class PlanJudgement(_message.Message):
    __slots__ = ("plan", "policy", "verdict", "commands")
    PLAN_FIELD_NUMBER: _ClassVar[int]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    VERDICT_FIELD_NUMBER: _ClassVar[int]
    COMMANDS_FIELD_NUMBER: _ClassVar[int]
    plan: str
    policy: str
    verdict: Verdict
    commands: _containers.RepeatedCompositeFieldContainer[Judgement]
    def __init__(self, plan: _Optional[str] = ..., policy: _Optional[str] = ..., verdict: _Optional[_Union[Verdict, str]] = ..., commands: _Optional[_Iterable[_Union[Judgement, _Mapping]]] = ...) -> None: ...

class Statement(_message.Message):
    __slots__ = ("choice", "incident", "event", "host", "plan", "policy", "challenge", "mode", "operator", "reason", "issued_ms", "expires_ms", "report")
    CHOICE_FIELD_NUMBER: _ClassVar[int]
    INCIDENT_FIELD_NUMBER: _ClassVar[int]
    EVENT_FIELD_NUMBER: _ClassVar[int]
    HOST_FIELD_NUMBER: _ClassVar[int]
    PLAN_FIELD_NUMBER: _ClassVar[int]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    CHALLENGE_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    OPERATOR_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    ISSUED_MS_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_MS_FIELD_NUMBER: _ClassVar[int]
    REPORT_FIELD_NUMBER: _ClassVar[int]
    choice: Choice
    incident: str
    event: str
    host: str
    plan: str
    policy: str
    challenge: str
    mode: _telemetry_pb2.Mode
    operator: str
    reason: str
    issued_ms: int
    expires_ms: int
    report: str
    def __init__(self, choice: _Optional[_Union[Choice, str]] = ..., incident: _Optional[str] = ..., event: _Optional[str] = ..., host: _Optional[str] = ..., plan: _Optional[str] = ..., policy: _Optional[str] = ..., challenge: _Optional[str] = ..., mode: _Optional[_Union[_telemetry_pb2.Mode, str]] = ..., operator: _Optional[str] = ..., reason: _Optional[str] = ..., issued_ms: _Optional[int] = ..., expires_ms: _Optional[int] = ..., report: _Optional[str] = ...) -> None: ...

class Signature(_message.Message):
    __slots__ = ("signer", "sshsig")
    SIGNER_FIELD_NUMBER: _ClassVar[int]
    SSHSIG_FIELD_NUMBER: _ClassVar[int]
    signer: str
    sshsig: str
    def __init__(self, signer: _Optional[str] = ..., sshsig: _Optional[str] = ...) -> None: ...

class Pending(_message.Message):
    __slots__ = ("statement", "signatures")
    STATEMENT_FIELD_NUMBER: _ClassVar[int]
    SIGNATURES_FIELD_NUMBER: _ClassVar[int]
    statement: str
    signatures: _containers.RepeatedCompositeFieldContainer[Signature]
    def __init__(self, statement: _Optional[str] = ..., signatures: _Optional[_Iterable[_Union[Signature, _Mapping]]] = ...) -> None: ...

class Growth(_message.Message):
    __slots__ = ("since", "proof")
    SINCE_FIELD_NUMBER: _ClassVar[int]
    PROOF_FIELD_NUMBER: _ClassVar[int]
    since: int
    proof: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, since: _Optional[int] = ..., proof: _Optional[_Iterable[str]] = ...) -> None: ...

class Logged(_message.Message):
    __slots__ = ("checkpoint", "growth", "seq", "record", "inclusion")
    CHECKPOINT_FIELD_NUMBER: _ClassVar[int]
    GROWTH_FIELD_NUMBER: _ClassVar[int]
    SEQ_FIELD_NUMBER: _ClassVar[int]
    RECORD_FIELD_NUMBER: _ClassVar[int]
    INCLUSION_FIELD_NUMBER: _ClassVar[int]
    checkpoint: str
    growth: _containers.RepeatedCompositeFieldContainer[Growth]
    seq: int
    record: str
    inclusion: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, checkpoint: _Optional[str] = ..., growth: _Optional[_Iterable[_Union[Growth, _Mapping]]] = ..., seq: _Optional[int] = ..., record: _Optional[str] = ..., inclusion: _Optional[_Iterable[str]] = ...) -> None: ...

class Bundle(_message.Message):
    __slots__ = ("incident", "plan", "statement", "signatures", "log")
    INCIDENT_FIELD_NUMBER: _ClassVar[int]
    PLAN_FIELD_NUMBER: _ClassVar[int]
    STATEMENT_FIELD_NUMBER: _ClassVar[int]
    SIGNATURES_FIELD_NUMBER: _ClassVar[int]
    LOG_FIELD_NUMBER: _ClassVar[int]
    incident: str
    plan: str
    statement: str
    signatures: _containers.RepeatedCompositeFieldContainer[Signature]
    log: Logged
    def __init__(self, incident: _Optional[str] = ..., plan: _Optional[str] = ..., statement: _Optional[str] = ..., signatures: _Optional[_Iterable[_Union[Signature, _Mapping]]] = ..., log: _Optional[_Union[Logged, _Mapping]] = ...) -> None: ...

class CommandResult(_message.Message):
    __slots__ = ("index", "outcome", "reason", "argv", "exit_status", "stdout", "stderr", "truncated_bytes", "started_ms", "ended_ms")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    ARGV_FIELD_NUMBER: _ClassVar[int]
    EXIT_STATUS_FIELD_NUMBER: _ClassVar[int]
    STDOUT_FIELD_NUMBER: _ClassVar[int]
    STDERR_FIELD_NUMBER: _ClassVar[int]
    TRUNCATED_BYTES_FIELD_NUMBER: _ClassVar[int]
    STARTED_MS_FIELD_NUMBER: _ClassVar[int]
    ENDED_MS_FIELD_NUMBER: _ClassVar[int]
    index: int
    outcome: Outcome
    reason: str
    argv: _containers.RepeatedScalarFieldContainer[str]
    exit_status: int
    stdout: str
    stderr: str
    truncated_bytes: int
    started_ms: int
    ended_ms: int
    def __init__(self, index: _Optional[int] = ..., outcome: _Optional[_Union[Outcome, str]] = ..., reason: _Optional[str] = ..., argv: _Optional[_Iterable[str]] = ..., exit_status: _Optional[int] = ..., stdout: _Optional[str] = ..., stderr: _Optional[str] = ..., truncated_bytes: _Optional[int] = ..., started_ms: _Optional[int] = ..., ended_ms: _Optional[int] = ...) -> None: ...

class Admission(_message.Message):
    __slots__ = ("incident", "admitted", "mode", "check", "reason", "at_ms", "challenge")
    INCIDENT_FIELD_NUMBER: _ClassVar[int]
    ADMITTED_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    CHECK_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    AT_MS_FIELD_NUMBER: _ClassVar[int]
    CHALLENGE_FIELD_NUMBER: _ClassVar[int]
    incident: str
    admitted: bool
    mode: _telemetry_pb2.Mode
    check: str
    reason: str
    at_ms: int
    challenge: str
    def __init__(self, incident: _Optional[str] = ..., admitted: _Optional[bool] = ..., mode: _Optional[_Union[_telemetry_pb2.Mode, str]] = ..., check: _Optional[str] = ..., reason: _Optional[str] = ..., at_ms: _Optional[int] = ..., challenge: _Optional[str] = ...) -> None: ...

class Verification(_message.Message):
    __slots__ = ("incident", "recovered", "observed", "samples", "reason", "at_ms")
    INCIDENT_FIELD_NUMBER: _ClassVar[int]
    RECOVERED_FIELD_NUMBER: _ClassVar[int]
    OBSERVED_FIELD_NUMBER: _ClassVar[int]
    SAMPLES_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    AT_MS_FIELD_NUMBER: _ClassVar[int]
    incident: str
    recovered: bool
    observed: int
    samples: _containers.RepeatedScalarFieldContainer[int]
    reason: str
    at_ms: int
    def __init__(self, incident: _Optional[str] = ..., recovered: _Optional[bool] = ..., observed: _Optional[int] = ..., samples: _Optional[_Iterable[int]] = ..., reason: _Optional[str] = ..., at_ms: _Optional[int] = ...) -> None: ...
