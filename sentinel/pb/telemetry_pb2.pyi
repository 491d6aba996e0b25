from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Severity(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SEVERITY_UNSPECIFIED: _ClassVar[Severity]
    SEVERITY_INFO: _ClassVar[Severity]
    SEVERITY_WARNING: _ClassVar[Severity]
    SEVERITY_CRITICAL: _ClassVar[Severity]

class Mode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    MODE_UNSPECIFIED: _ClassVar[Mode]
    MODE_DRY_RUN: _ClassVar[Mode]
    MODE_LIVE: _ClassVar[Mode]
SEVERITY_UNSPECIFIED: Severity
SEVERITY_INFO: Severity
SEVERITY_WARNING: Severity
SEVERITY_CRITICAL: Severity
MODE_UNSPECIFIED: Mode
MODE_DRY_RUN: Mode
MODE_LIVE: Mode

class Sample(_message.Message):
    __slots__ = ("metric", "subject", "value", "at_ms")
    METRIC_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    AT_MS_FIELD_NUMBER: _ClassVar[int]
    metric: str
    subject: str
    value: int
    at_ms: int
    def __init__(self, metric: _Optional[str] = ..., subject: _Optional[str] = ..., value: _Optional[int] = ..., at_ms: _Optional[int] = ...) -> None: ...

class Anomaly(_message.Message):
    __slots__ = ("rule", "kind", "severity", "metric", "subject", "value", "threshold", "clear_below", "clear_for_ms", "slope_per_min", "since_ms", "detected_ms", "samples")
    RULE_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    SEVERITY_FIELD_NUMBER: _ClassVar[int]
    METRIC_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    CLEAR_BELOW_FIELD_NUMBER: _ClassVar[int]
    CLEAR_FOR_MS_FIELD_NUMBER: _ClassVar[int]
    SLOPE_PER_MIN_FIELD_NUMBER: _ClassVar[int]
    SINCE_MS_FIELD_NUMBER: _ClassVar[int]
    DETECTED_MS_FIELD_NUMBER: _ClassVar[int]
    SAMPLES_FIELD_NUMBER: _ClassVar[int]
    rule: str
    kind: str
    severity: Severity
    metric: str
    subject: str
    value: int
    threshold: int
    clear_below: int
    clear_for_ms: int
    slope_per_min: int
    since_ms: int
    detected_ms: int
    samples: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, rule: _Optional[str] = ..., kind: _Optional[str] = ..., severity: _Optional[_Union[Severity, str]] = ..., metric: _Optional[str] = ..., subject: _Optional[str] = ..., value: _Optional[int] = ..., threshold: _Optional[int] = ..., clear_below: _Optional[int] = ..., clear_for_ms: _Optional[int] = ..., slope_per_min: _Optional[int] = ..., since_ms: _Optional[int] = ..., detected_ms: _Optional[int] = ..., samples: _Optional[_Iterable[int]] = ...) -> None: ...

class Process(_message.Message):
    __slots__ = ("pid", "start_ticks", "ppid", "name", "cmdline", "user", "unit", "state", "rss_bytes", "cpu_permille", "fds", "age_s")
    PID_FIELD_NUMBER: _ClassVar[int]
    START_TICKS_FIELD_NUMBER: _ClassVar[int]
    PPID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    CMDLINE_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    UNIT_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    RSS_BYTES_FIELD_NUMBER: _ClassVar[int]
    CPU_PERMILLE_FIELD_NUMBER: _ClassVar[int]
    FDS_FIELD_NUMBER: _ClassVar[int]
    AGE_S_FIELD_NUMBER: _ClassVar[int]
    pid: int
    start_ticks: int
    ppid: int
    name: str
    cmdline: str
    user: str
    unit: str
    state: str
    rss_bytes: int
    cpu_permille: int
    fds: int
    age_s: int
    def __init__(self, pid: _Optional[int] = ..., start_ticks: _Optional[int] = ..., ppid: _Optional[int] = ..., name: _Optional[str] = ..., cmdline: _Optional[str] = ..., user: _Optional[str] = ..., unit: _Optional[str] = ..., state: _Optional[str] = ..., rss_bytes: _Optional[int] = ..., cpu_permille: _Optional[int] = ..., fds: _Optional[int] = ..., age_s: _Optional[int] = ...) -> None: ...

class Filesystem(_message.Message):
    __slots__ = ("mountpoint", "device", "fstype", "size_bytes", "used_bytes", "free_bytes", "inodes", "inodes_used")
    MOUNTPOINT_FIELD_NUMBER: _ClassVar[int]
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    FSTYPE_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    USED_BYTES_FIELD_NUMBER: _ClassVar[int]
    FREE_BYTES_FIELD_NUMBER: _ClassVar[int]
    INODES_FIELD_NUMBER: _ClassVar[int]
    INODES_USED_FIELD_NUMBER: _ClassVar[int]
    mountpoint: str
    device: str
    fstype: str
    size_bytes: int
    used_bytes: int
    free_bytes: int
    inodes: int
    inodes_used: int
    def __init__(self, mountpoint: _Optional[str] = ..., device: _Optional[str] = ..., fstype: _Optional[str] = ..., size_bytes: _Optional[int] = ..., used_bytes: _Optional[int] = ..., free_bytes: _Optional[int] = ..., inodes: _Optional[int] = ..., inodes_used: _Optional[int] = ...) -> None: ...

class Unit(_message.Message):
    __slots__ = ("name", "active", "sub", "restarts")
    NAME_FIELD_NUMBER: _ClassVar[int]
    ACTIVE_FIELD_NUMBER: _ClassVar[int]
    SUB_FIELD_NUMBER: _ClassVar[int]
    RESTARTS_FIELD_NUMBER: _ClassVar[int]
    name: str
    active: str
    sub: str
    restarts: int
    def __init__(self, name: _Optional[str] = ..., active: _Optional[str] = ..., sub: _Optional[str] = ..., restarts: _Optional[int] = ...) -> None: ...

class Pressure(_message.Message):
    __slots__ = ("resource", "some_permille", "full_permille")
    RESOURCE_FIELD_NUMBER: _ClassVar[int]
    SOME_PERMILLE_FIELD_NUMBER: _ClassVar[int]
    FULL_PERMILLE_FIELD_NUMBER: _ClassVar[int]
    resource: str
    some_permille: int
    full_permille: int
    def __init__(self, resource: _Optional[str] = ..., some_permille: _Optional[int] = ..., full_permille: _Optional[int] = ...) -> None: ...

class FileEntry(_message.Message):
    __slots__ = ("path", "bytes", "mtime_ms", "deleted", "held_by")
    PATH_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    MTIME_MS_FIELD_NUMBER: _ClassVar[int]
    DELETED_FIELD_NUMBER: _ClassVar[int]
    HELD_BY_FIELD_NUMBER: _ClassVar[int]
    path: str
    bytes: int
    mtime_ms: int
    deleted: bool
    held_by: int
    def __init__(self, path: _Optional[str] = ..., bytes: _Optional[int] = ..., mtime_ms: _Optional[int] = ..., deleted: _Optional[bool] = ..., held_by: _Optional[int] = ...) -> None: ...

class LogLine(_message.Message):
    __slots__ = ("at_ms", "source", "text")
    AT_MS_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    at_ms: int
    source: str
    text: str
    def __init__(self, at_ms: _Optional[int] = ..., source: _Optional[str] = ..., text: _Optional[str] = ...) -> None: ...

class Change(_message.Message):
    __slots__ = ("at_ms", "what", "text")
    AT_MS_FIELD_NUMBER: _ClassVar[int]
    WHAT_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    at_ms: int
    what: str
    text: str
    def __init__(self, at_ms: _Optional[int] = ..., what: _Optional[str] = ..., text: _Optional[str] = ...) -> None: ...

class Context(_message.Message):
    __slots__ = ("captured_ms", "boot_ms", "cpus", "memory_total_bytes", "memory_available_bytes", "swap_total_bytes", "swap_free_bytes", "load1_milli", "processes", "filesystems", "units", "pressure", "files", "logs", "changes", "incomplete", "labels")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    CAPTURED_MS_FIELD_NUMBER: _ClassVar[int]
    BOOT_MS_FIELD_NUMBER: _ClassVar[int]
    CPUS_FIELD_NUMBER: _ClassVar[int]
    MEMORY_TOTAL_BYTES_FIELD_NUMBER: _ClassVar[int]
    MEMORY_AVAILABLE_BYTES_FIELD_NUMBER: _ClassVar[int]
    SWAP_TOTAL_BYTES_FIELD_NUMBER: _ClassVar[int]
    SWAP_FREE_BYTES_FIELD_NUMBER: _ClassVar[int]
    LOAD1_MILLI_FIELD_NUMBER: _ClassVar[int]
    PROCESSES_FIELD_NUMBER: _ClassVar[int]
    FILESYSTEMS_FIELD_NUMBER: _ClassVar[int]
    UNITS_FIELD_NUMBER: _ClassVar[int]
    PRESSURE_FIELD_NUMBER: _ClassVar[int]
    FILES_FIELD_NUMBER: _ClassVar[int]
    LOGS_FIELD_NUMBER: _ClassVar[int]
    CHANGES_FIELD_NUMBER: _ClassVar[int]
    INCOMPLETE_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    captured_ms: int
    boot_ms: int
    cpus: int
    memory_total_bytes: int
    memory_available_bytes: int
    swap_total_bytes: int
    swap_free_bytes: int
    load1_milli: int
    processes: _containers.RepeatedCompositeFieldContainer[Process]
    filesystems: _containers.RepeatedCompositeFieldContainer[Filesystem]
    units: _containers.RepeatedCompositeFieldContainer[Unit]
    pressure: _containers.RepeatedCompositeFieldContainer[Pressure]
    files: _containers.RepeatedCompositeFieldContainer[FileEntry]
    logs: _containers.RepeatedCompositeFieldContainer[LogLine]
    changes: _containers.RepeatedCompositeFieldContainer[Change]
    incomplete: _containers.RepeatedScalarFieldContainer[str]
    labels: _containers.ScalarMap[str, str]
    def __init__(self, captured_ms: _Optional[int] = ..., boot_ms: _Optional[int] = ..., cpus: _Optional[int] = ..., memory_total_bytes: _Optional[int] = ..., memory_available_bytes: _Optional[int] = ..., swap_total_bytes: _Optional[int] = ..., swap_free_bytes: _Optional[int] = ..., load1_milli: _Optional[int] = ..., processes: _Optional[_Iterable[_Union[Process, _Mapping]]] = ..., filesystems: _Optional[_Iterable[_Union[Filesystem, _Mapping]]] = ..., units: _Optional[_Iterable[_Union[Unit, _Mapping]]] = ..., pressure: _Optional[_Iterable[_Union[Pressure, _Mapping]]] = ..., files: _Optional[_Iterable[_Union[FileEntry, _Mapping]]] = ..., logs: _Optional[_Iterable[_Union[LogLine, _Mapping]]] = ..., changes: _Optional[_Iterable[_Union[Change, _Mapping]]] = ..., incomplete: _Optional[_Iterable[str]] = ..., labels: _Optional[_Mapping[str, str]] = ...) -> None: ...

class Report(_message.Message):
    __slots__ = ("event", "host", "anomaly", "context", "challenge", "mode", "policy")
    EVENT_FIELD_NUMBER: _ClassVar[int]
    HOST_FIELD_NUMBER: _ClassVar[int]
    ANOMALY_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_FIELD_NUMBER: _ClassVar[int]
    CHALLENGE_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    event: str
    host: str
    anomaly: Anomaly
    context: Context
    challenge: str
    mode: Mode
    policy: str
    def __init__(self, event: _Optional[str] = ..., host: _Optional[str] = ..., anomaly: _Optional[_Union[Anomaly, _Mapping]] = ..., context: _Optional[_Union[Context, _Mapping]] = ..., challenge: _Optional[str] = ..., mode: _Optional[_Union[Mode, str]] = ..., policy: _Optional[str] = ...) -> None: ...
