"""Configuration: TOML -> typed frozen settings, one file per process.

A file says what it means or the program does not start: an unknown key is refused with the nearest
name, a wrong type with the field and the value, an unreadable file with its path. Quantities are
written as people say them ("90%", "256MiB", "10s") and become the integers that `domain` uses.
"""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Generic, TypeVar

import msgspec
from msgspec import Meta

from sentinel.domain import Kind, Metric, Mode, Name, Severity
from sentinel.errors import ConfigError

Port = Annotated[int, Meta(ge=0, le=65535)]
People = Annotated[int, Meta(ge=1, le=8)]  # as many as a bundle has room for

# Labels of that name say what a host is to the rules: they come from `groups` and `role` alone.
Label = Annotated[str, Meta(max_length=256, pattern=r"^(?!sentinel\.)")]
# The name of a host group, or of a role, as rules have it.
HostGroup = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")]

HUB_PORT = 7443  # agents and operators, mutual TLS
ENROL_PORT = 7444  # first certificates, server-authenticated TLS


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Base of every table in a configuration file."""


class EngineSettings(Settings, frozen=True, kw_only=True):
    """Which engine reasons. `playbook` needs nothing; the others name a server on this network."""

    kind: Annotated[str, Meta(pattern="^(playbook|ollama|openai)$")] = "playbook"
    url: str = "http://127.0.0.1:11434"
    model: Name = ""
    num_ctx: Annotated[int, Meta(ge=1024, le=262144)] = 8192
    num_predict: Annotated[int, Meta(ge=64, le=16384)] = 1024
    first_token_s: Annotated[int, Meta(ge=1, le=3600)] = 600
    stall_s: Annotated[int, Meta(ge=1, le=3600)] = 60
    total_s: Annotated[int, Meta(ge=1, le=7200)] = 900


class ApprovalSettings(Settings, frozen=True, kw_only=True):
    """How many distinct people must sign a live approval, by the highest risk of what would run."""

    low: People = 1
    medium: People = 1
    high: People = 2


class HubSettings(Settings, frozen=True, kw_only=True):
    """`hub.toml`. Every default is the prudent one: loopback, dry-run, embedded database."""

    site: Annotated[str, Meta(pattern=r"^[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?$")] = "site"
    host: str = "127.0.0.1"
    port: Port = HUB_PORT
    enrol_port: Port = ENROL_PORT
    socket: str = ""  # a Unix socket to serve on as well, for people who come through ssh
    names: Annotated[tuple[str, ...], Meta(max_length=16)] = ("localhost", "127.0.0.1")
    database: str = ""  # empty: SQLite in the state directory; or postgresql://...
    mode: Mode = Mode.DRY_RUN
    heartbeat_s: Annotated[int, Meta(ge=1, le=3600)] = 10
    verify_s: Annotated[int, Meta(ge=1, le=3600)] = 120  # deadline of stage nine
    decide_s: Annotated[int, Meta(ge=1, le=604800)] = 86400  # a plan awaits no longer
    collect_s: Annotated[int, Meta(ge=1, le=3600)] = 900  # a node fetches its plan within this
    # So long beyond what its plan may take, a node is silent.
    silent_s: Annotated[int, Meta(ge=1, le=86400)] = 600
    policy: Annotated[tuple[str, ...], Meta(max_length=32)] = ()  # site rule files
    allowed_signers: str = ""  # who may sign; empty: allowed_signers in the state directory
    operators: str = ""  # what each may do; empty: operators.toml in the state directory
    session_s: Annotated[int, Meta(ge=60, le=86400)] = 14400  # then an operator logs in again
    # What is collected; each node asks for its own.
    approvals: ApprovalSettings = ApprovalSettings()
    engine: EngineSettings = EngineSettings()


class RuleSettings(Settings, frozen=True, kw_only=True):
    """One detection rule, as written: `above = "90%"`, `for = "30s"`."""

    id: Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")]
    metric: Metric
    above: str | int
    clear_below: str | int | None = None  # default: nine tenths of `above`
    hold: str = msgspec.field(name="for", default="10s")
    clear_for: str = "10s"
    slope_above_per_min: str | int | None = None
    kind: Kind | None = None  # default: the metric's own failure class
    severity: Severity = Severity.WARNING
    process: Name = ""  # only processes of this name
    subject: Name = ""  # only this mount point


class AgentSettings(Settings, frozen=True, kw_only=True):
    """`agent.toml`. The node runs nothing but rehearsals unless `mode = "live"` stands here."""

    hub: str = ""  # host:port; empty: what the invite said
    mode: Mode = Mode.DRY_RUN
    interval: str = "1s"
    process_interval: str = "2s"  # the process table costs more than host metrics
    shipped_rules: bool = True
    rules: Annotated[tuple[RuleSettings, ...], Meta(max_length=200)] = ()
    policy: Annotated[tuple[str, ...], Meta(max_length=32)] = ()
    labels: Annotated[dict[Label, Name], Meta(max_length=32)] = {}
    # What this host is, for rules that are only for some hosts.
    groups: Annotated[tuple[HostGroup, ...], Meta(max_length=12)] = ()
    role: HostGroup = ""  # empty: of no role
    approvals: ApprovalSettings = ApprovalSettings()
    spool_letters: Annotated[int, Meta(ge=100, le=1_000_000)] = 10_000


S = TypeVar("S", bound=Settings)
T = TypeVar("T")


class Watched(Generic[T]):
    """What a file says, read again when it has changed: who is struck off a list is off at once."""

    def __init__(self, path: Path, load: Callable[[Path], T], absent: T) -> None:
        """Read with `load` when first asked; where there is no file it says `absent`."""
        self.path = path
        self._load = load
        self._absent = absent
        self._seen: tuple[int, ...] = ()
        self._found = absent

    def now(self) -> T:
        """Return what the file says now.

        Raises ConfigError where it is wrong: an older reading of it is never used instead.
        """
        try:
            stat = self.path.stat()
        except FileNotFoundError:
            return self._absent
        except OSError as error:
            raise ConfigError(f"{self.path} cannot be read: {error.strerror}") from None
        seen = (stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)
        if seen != self._seen:
            self._found, self._seen = self._load(self.path), seen
        return self._found


def load(kind: type[S], path: Path) -> S:
    """Return the settings in the TOML file at `path`.

    Raises ConfigError that names the file, the field, the value's fault and the remedy.
    """
    return parse(kind, read(path), str(path))


def read(path: Path) -> str:
    """Return the text of the file at `path`; ConfigError where it cannot be read as UTF-8 text."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(
            f"{path} does not exist", hint="name another file, or make this one"
        ) from None
    except IsADirectoryError:
        raise ConfigError(f"{path} is a directory, not a file") from None
    except PermissionError:
        raise ConfigError(
            f"{path} cannot be read: permission denied",
            hint=f"chmod u+r {path}, or run as its owner",
        ) from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 text: byte {error.start}") from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from None


def there(path: Path) -> bool:
    """Say whether there is something at `path`; ConfigError where one may not look."""
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be looked for: {error.strerror}",
            hint=f"chmod u+rx {path.parent}, or run as its owner",
        ) from None
    return True


def read_if_there(path: Path) -> str:
    """Return the text of the file at `path`, none where there is no such file; else as `read` does."""
    return read(path) if there(path) else ""


def parse(kind: type[S], text: str, source: str) -> S:
    """Return the settings in the TOML `text`; `source` names it in errors."""
    try:
        plain = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{source} is not TOML: {error}") from None
    try:
        return msgspec.convert(plain, kind, strict=True)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{source}: {error}", hint=_hint(str(error), kind)) from None


def _hint(message: str, kind: type[Settings]) -> str:
    """Return the remedy for an unknown key: the nearest name there is."""
    found = re.search(r"unknown field `([^`]*)`", message)
    if not found:
        return "see the configuration chapter of README.md for each field's type and range"
    names = _names(kind)
    near = difflib.get_close_matches(found.group(1), names, n=1)
    return f"did you mean `{near[0]}`?" if near else f"known keys: {', '.join(sorted(names))}"


def _names(kind: type[Settings]) -> set[str]:
    """Return the keys of `kind` and of the tables inside it."""
    names: set[str] = set()
    for field in msgspec.structs.fields(kind):
        names.add(field.encode_name)
        inner = {field.type, *getattr(field.type, "__args__", ())}
        for part in inner | {a for i in inner for a in getattr(i, "__args__", ())}:
            if isinstance(part, type) and issubclass(part, Settings):
                names |= _names(part)
    return names


_UNITS: dict[str, tuple[str, int]] = {
    "ms": ("duration", 1),
    "s": ("duration", 1000),
    "m": ("duration", 60_000),
    "h": ("duration", 3_600_000),
    "B": ("bytes", 1),
    "KiB": ("bytes", 1 << 10),
    "MiB": ("bytes", 1 << 20),
    "GiB": ("bytes", 1 << 30),
    "TiB": ("bytes", 1 << 40),
    "%": ("permille", 10),
}


def quantity(value: str | int, what: str, field: str) -> int:
    """Return `value` as an integer of the base unit of `what`.

    `what` is "duration" (ms), "bytes", "permille", "milli" or "count". A bare number is taken in the
    unit itself for counts and thousandths for "milli"; the other three want their unit written.
    """
    if isinstance(value, int):
        value = str(value)
    found = re.fullmatch(
        r"(\d{1,15})(?:\.(\d{1,3}))?\s*(ms|s|m|h|B|KiB|MiB|GiB|TiB|%)?", value.strip()
    )
    if found:
        whole, part, unit = found.groups()
        thousandths = int(whole) * 1000 + int((part or "0").ljust(3, "0"))
        if unit is None and what == "milli":
            return thousandths
        if unit is None and what == "count" and not part:
            return int(whole)
        if unit is not None and _UNITS[unit][0] == what:
            return thousandths * _UNITS[unit][1] // 1000
    examples = {
        "duration": '"500ms", "10s", "2m"',
        "bytes": '"256MiB", "1.5GiB"',
        "permille": '"90%", "97.5%"',
        "milli": '"1.5"',
        "count": "100",
    }
    raise ConfigError(
        f"{field}: {value!r} is not a {what}", hint=f"write for example {examples[what]}"
    )


def unit_of(metric: Metric) -> str:
    """Return what `quantity` calls the unit that the metric's name ends in."""
    return metric.value.rsplit("_", 1)[1]
