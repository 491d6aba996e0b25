"""The error tree: whose fault it is, what happened, and what to do about it.

    SentinelError
    ├── OperatorError          the person at the keyboard or in the configuration file
    │   ├── ConfigError        a configuration file or value
    │   ├── PolicyError        a rule file: the engine does not start
    │   ├── LifecycleError     a move that the state table does not have
    │   └── ConflictError      somebody else was first; read again and decide again
    ├── NodeError              the host: /proc, disk, a process that cannot be started
    ├── ModelError             the engine or its answer (`kind` names the failure)
    ├── PeerError              the other end of a connection: hub, agent or their certificates
    │   ├── WireError          a message that is malformed or too large
    │   ├── LoginError         the caller has to log in first, or again
    │   └── SignatureError     a signature that does not count (`check` names why)
    └── StoreError             the database: locked, full, or from a newer version

An error is raised once, with what it is about and the remedy in `hint`, and is rendered at the edge in
one place per process: `render()`. Text inside may be untrusted, so rendering escapes it.
"""

from __future__ import annotations

from typing import TypeVar


class SentinelError(Exception):
    """Base; raise a leaf, so that the fault has an owner."""

    def __init__(self, what: str, *, hint: str = "") -> None:
        """Say `what` is wrong (it names the field and the value) and the remedy in `hint`."""
        if type(self) is SentinelError:
            raise TypeError("raise a leaf of the tree: somebody owns the fault")
        super().__init__(what)
        self.what = what
        self.hint = hint


class OperatorError(SentinelError):
    """The person at the keyboard can mend it."""


class ConfigError(OperatorError):
    """A configuration file is missing, unreadable or says something it cannot say."""


class PolicyError(OperatorError):
    """A rule file is malformed, contradicts itself or fails its own examples."""


class LifecycleError(OperatorError):
    """The incident cannot make that move from where it is."""


class ConflictError(OperatorError):
    """The incident changed under the request; nothing was done."""


class NodeError(SentinelError):
    """The host did not let us read or start something."""


class ModelError(SentinelError):
    """The engine could not be used, or what it said is not usable."""

    def __init__(self, what: str, *, kind: str, hint: str = "") -> None:
        """`kind` is one of the failure kinds in `hub/reason/engine.py`."""
        super().__init__(what, hint=hint)
        self.kind = kind


class PeerError(SentinelError):
    """The other end, its certificate, or the way there."""


class WireError(PeerError):
    """A message that does not decode within its bounds."""


class LoginError(PeerError):
    """The hub knows no session of the caller."""


class SignatureError(PeerError):
    """A signature that does not hold, or is not one that counts here."""

    def __init__(self, what: str, *, check: str, hint: str = "") -> None:
        """`check` is the name of what failed, such as "signature.namespace"."""
        super().__init__(what, hint=hint)
        self.check = check


class StoreError(SentinelError):
    """The database."""


E = TypeVar("E", bound=Exception)


def first(group: BaseExceptionGroup[E]) -> E:
    """Return one of the errors in a group, however deep it is nested."""
    found = group.exceptions[0]
    return first(found) if isinstance(found, BaseExceptionGroup) else found


def printable(text: str, limit: int = 4096) -> str:
    """Return `text` with everything that could act on a terminal or a log shown escaped.

    Control, format, surrogate and unassigned characters become `\\x1b` / `\\u202e` notation; a text
    longer than `limit` characters is cut and says so.
    """
    cut = text[:limit]
    shown = cut if cut.isprintable() else "".join(map(_shown, cut))
    return shown if len(text) <= limit else f"{shown}… ({len(text) - limit} more characters)"


def _shown(char: str) -> str:
    return char if char.isprintable() else _escape(char)


def _escape(char: str) -> str:
    """Return the Python-style escape of one character; TAB and LF get their usual names."""
    named = {"\t": "\\t", "\n": "\\n", "\r": "\\r"}
    if char in named:
        return named[char]
    code = ord(char)
    return (
        f"\\x{code:02x}"
        if code < 0x100
        else f"\\u{code:04x}"
        if code < 0x10000
        else f"\\U{code:08x}"
    )


def in_one_line(error: SentinelError) -> str:
    """Return what is wrong and the remedy, if there is one; not escaped yet."""
    return f"{error.what}; {error.hint}" if error.hint else error.what


def render(error: SentinelError, program: str) -> str:
    """Return what a person reads on standard error: `program: what`, then the remedy."""
    lines = [f"{program}: {printable(error.what)}"]
    if error.hint:
        lines.append(f"  {printable(error.hint)}")
    return "\n".join(lines)
