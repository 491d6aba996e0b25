from sentinel.pb import plan_pb2 as _plan_pb2
from sentinel.pb import telemetry_pb2 as _telemetry_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Finish(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    FINISH_UNSPECIFIED: _ClassVar[Finish]
    FINISH_ALL_RAN: _ClassVar[Finish]
    FINISH_ONE_FAILED: _ClassVar[Finish]
    FINISH_REHEARSED: _ClassVar[Finish]
    FINISH_STOPPED: _ClassVar[Finish]
FINISH_UNSPECIFIED: Finish
FINISH_ALL_RAN: Finish
FINISH_ONE_FAILED: Finish
FINISH_REHEARSED: Finish
FINISH_STOPPED: Finish

class Attach(_message.Message):
    __slots__ = ("version", "policy", "mode", "boot_ms", "sent_ms", "seen")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    BOOT_MS_FIELD_NUMBER: _ClassVar[int]
    SENT_MS_FIELD_NUMBER: _ClassVar[int]
    SEEN_FIELD_NUMBER: _ClassVar[int]
    version: str
    policy: str
    mode: _telemetry_pb2.Mode
    boot_ms: int
    sent_ms: int
    seen: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, version: _Optional[str] = ..., policy: _Optional[str] = ..., mode: _Optional[_Union[_telemetry_pb2.Mode, str]] = ..., boot_ms: _Optional[int] = ..., sent_ms: _Optional[int] = ..., seen: _Optional[_Iterable[int]] = ...) -> None: ...

class Heartbeat(_message.Message):
    __slots__ = ("sent_ms", "gauges", "spooled", "refused", "seen")
    SENT_MS_FIELD_NUMBER: _ClassVar[int]
    GAUGES_FIELD_NUMBER: _ClassVar[int]
    SPOOLED_FIELD_NUMBER: _ClassVar[int]
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    SEEN_FIELD_NUMBER: _ClassVar[int]
    sent_ms: int
    gauges: _containers.RepeatedCompositeFieldContainer[_telemetry_pb2.Sample]
    spooled: int
    refused: int
    seen: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, sent_ms: _Optional[int] = ..., gauges: _Optional[_Iterable[_Union[_telemetry_pb2.Sample, _Mapping]]] = ..., spooled: _Optional[int] = ..., refused: _Optional[int] = ..., seen: _Optional[_Iterable[int]] = ...) -> None: ...

class Cleared(_message.Message):
    __slots__ = ("event", "observed", "at_ms")
    EVENT_FIELD_NUMBER: _ClassVar[int]
    OBSERVED_FIELD_NUMBER: _ClassVar[int]
    AT_MS_FIELD_NUMBER: _ClassVar[int]
    event: str
    observed: int
    at_ms: int
    def __init__(self, event: _Optional[str] = ..., observed: _Optional[int] = ..., at_ms: _Optional[int] = ...) -> None: ...

class Ran(_message.Message):
    __slots__ = ("incident", "result")
    INCIDENT_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    incident: str
    result: _plan_pb2.CommandResult
    def __init__(self, incident: _Optional[str] = ..., result: _Optional[_Union[_plan_pb2.CommandResult, _Mapping]] = ...) -> None: ...

class Finished(_message.Message):
    __slots__ = ("incident", "event", "finish", "challenge", "at_ms")
    INCIDENT_FIELD_NUMBER: _ClassVar[int]
    EVENT_FIELD_NUMBER: _ClassVar[int]
    FINISH_FIELD_NUMBER: _ClassVar[int]
    CHALLENGE_FIELD_NUMBER: _ClassVar[int]
    AT_MS_FIELD_NUMBER: _ClassVar[int]
    incident: str
    event: str
    finish: Finish
    challenge: str
    at_ms: int
    def __init__(self, incident: _Optional[str] = ..., event: _Optional[str] = ..., finish: _Optional[_Union[Finish, str]] = ..., challenge: _Optional[str] = ..., at_ms: _Optional[int] = ...) -> None: ...

class Stopped(_message.Message):
    __slots__ = ("incident", "challenge", "answer", "at_ms")
    INCIDENT_FIELD_NUMBER: _ClassVar[int]
    CHALLENGE_FIELD_NUMBER: _ClassVar[int]
    ANSWER_FIELD_NUMBER: _ClassVar[int]
    AT_MS_FIELD_NUMBER: _ClassVar[int]
    incident: str
    challenge: str
    answer: _plan_pb2.Halt
    at_ms: int
    def __init__(self, incident: _Optional[str] = ..., challenge: _Optional[str] = ..., answer: _Optional[_Union[_plan_pb2.Halt, str]] = ..., at_ms: _Optional[int] = ...) -> None: ...

class Alarm(_message.Message):
    __slots__ = ("check", "reason", "kept", "shown", "at_ms")
    CHECK_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    KEPT_FIELD_NUMBER: _ClassVar[int]
    SHOWN_FIELD_NUMBER: _ClassVar[int]
    AT_MS_FIELD_NUMBER: _ClassVar[int]
    check: str
    reason: str
    kept: str
    shown: str
    at_ms: int
    def __init__(self, check: _Optional[str] = ..., reason: _Optional[str] = ..., kept: _Optional[str] = ..., shown: _Optional[str] = ..., at_ms: _Optional[int] = ...) -> None: ...

class Letter(_message.Message):
    __slots__ = ("id", "report", "cleared", "admission", "ran", "finished", "verification", "alarm", "stopped")
    ID_FIELD_NUMBER: _ClassVar[int]
    REPORT_FIELD_NUMBER: _ClassVar[int]
    CLEARED_FIELD_NUMBER: _ClassVar[int]
    ADMISSION_FIELD_NUMBER: _ClassVar[int]
    RAN_FIELD_NUMBER: _ClassVar[int]
    FINISHED_FIELD_NUMBER: _ClassVar[int]
    VERIFICATION_FIELD_NUMBER: _ClassVar[int]
    ALARM_FIELD_NUMBER: _ClassVar[int]
    STOPPED_FIELD_NUMBER: _ClassVar[int]
    id: str
    report: _telemetry_pb2.Report
    cleared: Cleared
    admission: _plan_pb2.Admission
    ran: Ran
    finished: Finished
    verification: _plan_pb2.Verification
    alarm: Alarm
    stopped: Stopped
    def __init__(self, id: _Optional[str] = ..., report: _Optional[_Union[_telemetry_pb2.Report, _Mapping]] = ..., cleared: _Optional[_Union[Cleared, _Mapping]] = ..., admission: _Optional[_Union[_plan_pb2.Admission, _Mapping]] = ..., ran: _Optional[_Union[Ran, _Mapping]] = ..., finished: _Optional[_Union[Finished, _Mapping]] = ..., verification: _Optional[_Union[_plan_pb2.Verification, _Mapping]] = ..., alarm: _Optional[_Union[Alarm, _Mapping]] = ..., stopped: _Optional[_Union[Stopped, _Mapping]] = ...) -> None: ...

class Goodbye(_message.Message):
    __slots__ = ("reason",)
    REASON_FIELD_NUMBER: _ClassVar[int]
    reason: str
    def __init__(self, reason: _Optional[str] = ...) -> None: ...

class AgentMessage(_message.Message):
    __slots__ = ("attach", "heartbeat", "letter", "goodbye")
    ATTACH_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_FIELD_NUMBER: _ClassVar[int]
    LETTER_FIELD_NUMBER: _ClassVar[int]
    GOODBYE_FIELD_NUMBER: _ClassVar[int]
    attach: Attach
    heartbeat: Heartbeat
    letter: Letter
    goodbye: Goodbye
    def __init__(self, attach: _Optional[_Union[Attach, _Mapping]] = ..., heartbeat: _Optional[_Union[Heartbeat, _Mapping]] = ..., letter: _Optional[_Union[Letter, _Mapping]] = ..., goodbye: _Optional[_Union[Goodbye, _Mapping]] = ...) -> None: ...

class Hello(_message.Message):
    __slots__ = ("version", "site", "policy", "now_ms", "heartbeat_s")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    SITE_FIELD_NUMBER: _ClassVar[int]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    NOW_MS_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_S_FIELD_NUMBER: _ClassVar[int]
    version: str
    site: str
    policy: str
    now_ms: int
    heartbeat_s: int
    def __init__(self, version: _Optional[str] = ..., site: _Optional[str] = ..., policy: _Optional[str] = ..., now_ms: _Optional[int] = ..., heartbeat_s: _Optional[int] = ...) -> None: ...

class Receipt(_message.Message):
    __slots__ = ("letter", "reason")
    LETTER_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    letter: str
    reason: str
    def __init__(self, letter: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class Witness(_message.Message):
    __slots__ = ("checkpoint", "growth")
    CHECKPOINT_FIELD_NUMBER: _ClassVar[int]
    GROWTH_FIELD_NUMBER: _ClassVar[int]
    checkpoint: str
    growth: _containers.RepeatedCompositeFieldContainer[_plan_pb2.Growth]
    def __init__(self, checkpoint: _Optional[str] = ..., growth: _Optional[_Iterable[_Union[_plan_pb2.Growth, _Mapping]]] = ...) -> None: ...

class Stop(_message.Message):
    __slots__ = ("incident", "challenge", "by", "reason")
    INCIDENT_FIELD_NUMBER: _ClassVar[int]
    CHALLENGE_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    incident: str
    challenge: str
    by: str
    reason: str
    def __init__(self, incident: _Optional[str] = ..., challenge: _Optional[str] = ..., by: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class HubMessage(_message.Message):
    __slots__ = ("hello", "receipt", "bundle", "witness", "stop")
    HELLO_FIELD_NUMBER: _ClassVar[int]
    RECEIPT_FIELD_NUMBER: _ClassVar[int]
    BUNDLE_FIELD_NUMBER: _ClassVar[int]
    WITNESS_FIELD_NUMBER: _ClassVar[int]
    STOP_FIELD_NUMBER: _ClassVar[int]
    hello: Hello
    receipt: Receipt
    bundle: _plan_pb2.Bundle
    witness: Witness
    stop: Stop
    def __init__(self, hello: _Optional[_Union[Hello, _Mapping]] = ..., receipt: _Optional[_Union[Receipt, _Mapping]] = ..., bundle: _Optional[_Union[_plan_pb2.Bundle, _Mapping]] = ..., witness: _Optional[_Union[Witness, _Mapping]] = ..., stop: _Optional[_Union[Stop, _Mapping]] = ...) -> None: ...

class JoinRequest(_message.Message):
    __slots__ = ("token", "csr")
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    CSR_FIELD_NUMBER: _ClassVar[int]
    token: str
    csr: str
    def __init__(self, token: _Optional[str] = ..., csr: _Optional[str] = ...) -> None: ...

class Certificate(_message.Message):
    __slots__ = ("certificate", "ca")
    CERTIFICATE_FIELD_NUMBER: _ClassVar[int]
    CA_FIELD_NUMBER: _ClassVar[int]
    certificate: str
    ca: str
    def __init__(self, certificate: _Optional[str] = ..., ca: _Optional[str] = ...) -> None: ...

class RenewRequest(_message.Message):
    __slots__ = ("csr",)
    CSR_FIELD_NUMBER: _ClassVar[int]
    csr: str
    def __init__(self, csr: _Optional[str] = ...) -> None: ...
