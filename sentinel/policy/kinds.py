"""The types of values: what an option's value or an argument may be. Pure.

A type is a name (`int`, `path`, `unit`), a member of a set that a site defines (`unit@units`), or a
member of what the incident captured (`pid$pids`). Nothing here touches the host: a path is judged by its
text, and the executor judges the file.
"""

from __future__ import annotations

import fnmatch
import posixpath
import re

import msgspec

from sentinel.policy.grammar import Word
from sentinel.policy.options import No

_HOST = r"[A-Za-z0-9]([A-Za-z0-9._:%-]{0,120})"
PATTERNS: dict[str, re.Pattern[str]] = {
    name: re.compile(pattern)
    for name, pattern in {
        "int": r"-?\d+",
        "clusterint": r"-?\d+",
        "nonneg": r"\d+",
        "num": r"\d+(\.\d+)?",
        "dur": r"\d+(\.\d+)?[smh]?",
        "cnt": r"\d{1,2}|100",
        "secs": r"[0-9]|[1-5]\d|60",
        "pktsize": r"\d{1,3}|1[0-4]\d\d",
        "pid": r"[1-9]\d*",
        "pids": r"[\d, ]+",
        "pidonly": r"[1-9]\d*",
        "host": _HOST,
        "lhost": r"(localhost|127\.0\.0\.1|\[?::1\]?)(:\d+)?",
        "unit": r"[A-Za-z0-9@:_.\\-]+",
        "port": r"\d{1,5}(-\d{1,5})?",
        "iface": r"[A-Za-z0-9_.@:-]{1,16}",
        "word": r"[A-Za-z0-9_@%+=:,./^-]*",
        "dev": r"/dev/[A-Za-z0-9_./-]+",
        "fmt": r"\+.*",
        "sysctlkey": r"[A-Za-z0-9_./-]+",
        "numordev": r"\d+|[a-z][A-Za-z0-9/_-]*",
        "dnsarg": r"(?!axfr$|ixfr)[@+A-Za-z0-9._:=-]+",
        "rl": r"l",
        "sigterm": r"(SIG)?TERM|15",
        "nice19": r"[0-9]|1[0-9]",
        "class23": r"[23]",
        "zero": r"0",
        "reloadonly": r"reload|reopen",
        "name": r"[A-Za-z][\w.@%+=:,./-]*",
        "key": r"[A-Za-z_][\w.-]*",
        "bsd": r"[A-Za-z]+",
        "journalmatch": r"\+|_{0,2}[A-Z][A-Z0-9_]*=[^\0]*|/(usr|bin|sbin|dev)/[\w./-]+",
        "binpath": r"/(usr|bin|sbin|lib|lib64|opt)/(?!.*\.\.)[\w./+-]+",
        "etcpath": r"/etc/(?!.*\.\.)[\w./-]+",
        "srvpath": r"/(srv|opt|etc)/(?!.*\.\.)[\w./-]+",
        "logrotconf": r"/etc/logrotate\.(conf|d/[\w.-]+)",
        "any": r"[^\0]*",
        "kout": r"wide|json|yaml|name|(jsonpath|custom-columns|go-template)=[^\0]*",
        "jqexpr": r"(?!.*(\benv\b|\$ENV|\binclude\b|\bimport\b|input_filename|\$__prog))[^\0]*",
        "fmtnoenv": r"(?!.*[Ee]nv)[^\0]*",
    }.items()
}
# Types that are judged by a function of `Scope`.
SPECIAL = frozenset({"path", "metapath", "textarg", "logfile", "rotatedlog", "size100m", "days2"})
CAPTURED = frozenset({"pids"})
_MEMBER = re.compile(r"(\w+)([@$])([\w.]+)")


class Paths(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What may be read by its path, and what is a secret; from the plumbing pack."""

    secret: tuple[str, ...] = ()
    secret_base: tuple[str, ...] = ()
    ok_base: tuple[str, ...] = ()
    device_ok: tuple[str, ...] = ()
    audit_logs: tuple[str, ...] = ()
    exec_meta_roots: tuple[str, ...] = ()
    content_roots: tuple[str, ...] = ()


class Scope(msgspec.Struct, frozen=True, kw_only=True):
    """What the types refer to: the site's sets, the incident's captured pids, and paths."""

    sets: dict[str, frozenset[str]]
    pids: frozenset[int]
    own_pids: frozenset[int]
    paths: Paths
    namespace: str = ""  # of kubectl, where a rule's type is a workload

    def check(self, kind: str, word: Word) -> None:
        """Raise No unless `word` is of type `kind`."""
        member = _MEMBER.fullmatch(kind)
        if member is not None:
            self._member(member[1], member[2], member[3], word)
        elif kind in SPECIAL:
            getattr(self, f"_{kind}")(word)
        elif not PATTERNS[kind].fullmatch(word.value):
            raise No(f"{word.value!r} is not of type {kind}", word.span)

    def _member(self, base: str, sign: str, name: str, word: Word) -> None:
        value = word.value
        if sign == "$":
            if not re.fullmatch(r"[1-9]\d{0,6}", value) or int(value) not in self.pids:
                raise No(
                    f"{value} is not a process that this incident captured",
                    word.span,
                    "name a pid of the captured processes",
                )
            if int(value) in self.own_pids or int(value) == 1:
                raise No(f"process {value} is never a target", word.span)
            return
        if base == "k8s":
            value = f"{self.namespace}/{value}"
        elif base == "unit":
            value = value.removesuffix(".service")
        if value not in self.sets.get(name, frozenset()):
            raise No(
                f"{value} is not in the site's set `{name}`", word.span, f"add it to [sets] {name}"
            )

    def _path(self, word: Word) -> None:
        self.readable(word, content=True)

    def _metapath(self, word: Word) -> None:
        self.readable(word, content=False)

    def _textarg(self, word: Word) -> None:
        if "/" in word.value or self.secretish(word.value):
            self.readable(word, content=True)

    def _logfile(self, word: Word) -> None:
        self._log(word, r"/var/log/[\w./-]+\.log")

    def _rotatedlog(self, word: Word) -> None:
        self._log(word, r"/var/log/[\w./-]+\.log[.-]\d+")

    def _log(self, word: Word, pattern: str) -> None:
        value = word.value
        if normal(value) != value or not re.fullmatch(pattern, value):
            raise No(f"{value} is not such a log file below /var/log", word.span)
        if matches(value, self.paths.audit_logs):
            raise No(f"{value} is kept for audit", word.span)

    def _size100m(self, word: Word) -> None:
        found = re.fullmatch(r"(\d{1,6})([MGT])", word.value)
        if not found or int(found[1]) * {"M": 1, "G": 1 << 10, "T": 1 << 20}[found[2]] < 100:
            raise No(f"{word.value!r} keeps less than 100M", word.span, "keep at least 100M")

    def _days2(self, word: Word) -> None:
        found = re.fullmatch(r"(\d{1,4})(d|days?|w|weeks?|months?)", word.value)
        if not found or int(found[1]) * {"d": 1, "w": 7, "m": 30}[found[2][0]] < 2:
            raise No(f"{word.value!r} keeps less than two days", word.span, "keep at least 2d")

    def secretish(self, path: str) -> bool:
        """Say whether a path's text tells that it holds a secret."""
        base = posixpath.basename(normal(path))
        if matches(normal(path), self.paths.secret):
            return True
        return base not in self.paths.ok_base and matches(base.lower(), self.paths.secret_base)

    def readable(self, word: Word, *, content: bool) -> None:
        """Raise No unless the file may be read, or with `content` False, be looked at from outside."""
        path = word.value
        if path == "-":
            return
        clean = normal(path)
        if clean.startswith("/dev/") and clean not in self.paths.device_ok and content:
            raise No(f"device {clean}", word.span)
        if content and self.secretish(path):
            raise No(f"{clean} may hold a secret", word.span)
        if re.match(r"/proc/(self|\d+|thread-self)(/task/\d+)?/(root|cwd)(/|$)", clean):
            raise No(f"{clean} leads out of the tree that is judged", word.span)

    def under(self, path: str, roots: tuple[str, ...]) -> bool:
        """Say whether `path` is one of `roots` or below one."""
        clean = normal(path)
        return any(clean == root or clean.startswith(root + "/") for root in roots)


def known(kind: str) -> bool:
    """Say whether a rule may use the type `kind`."""
    member = _MEMBER.fullmatch(kind)
    if member is not None:
        return member[2] == "@" or member[3].removeprefix("ctx.") in CAPTURED
    return kind in SPECIAL or kind in PATTERNS


def normal(path: str) -> str:
    """Return `path` without `//`, `/./` and `/../`; by its text only."""
    return (
        "/" + posixpath.normpath(path).lstrip("/")
        if path.startswith("/")
        else (posixpath.normpath(path) if path else path)
    )


def matches(text: str, globs: tuple[str, ...]) -> bool:
    """Say whether `text` fits one of the `globs`."""
    return any(fnmatch.fnmatchcase(text, glob) for glob in globs)
