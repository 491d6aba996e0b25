"""Paths by their text: what may be read, what holds a secret, what an audit needs. Pure.

The executor's working directory is /, so a relative path is judged as what it will be. A link is not
seen here: the executor opens what it opens, and this is the first wall of two.
"""

from __future__ import annotations

import fnmatch
import functools
import posixpath
import re

import msgspec


class Paths(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The lists of the plumbing pack. A glob's `*` also stands for slashes."""

    secret: tuple[str, ...] = ()  # globs of whole paths
    secret_base: tuple[str, ...] = ()  # globs of a file's name, in lower case
    ok_base: tuple[str, ...] = ()  # names that secret_base would catch and that hold nothing
    device_ok: tuple[str, ...] = ()
    open_roots: tuple[str, ...] = ()  # below these anything that is no secret may be read
    plain: tuple[str, ...] = ()  # globs of what may be read elsewhere: logs and the like
    search_roots: tuple[str, ...] = ()  # below these a recursive search may read
    globs: tuple[str, ...] = ()  # globs, by their text, of which every match may be read
    audit_logs: tuple[str, ...] = ()


# Anybody may put a link there.
OPEN_TO_ALL = ("/tmp", "/var/tmp", "/dev/shm", "/run/lock", "/var/lock")  # noqa: S108
LIVE = ("/dev", "/proc", "/sys")  # reading a file there may act
_EVERY_PROCESS = re.compile(r"/proc/[^/]*[*?]")
_EVERY_PROCESS_OK = re.compile(
    r"/proc/[0-9*?]+(/(status|stat|statm|limits|comm|io|oom_score|oom_score_adj|cgroup|wchan|schedstat"
    r"|smaps_rollup|fd|exe))?"
)
_ELSEWHERE = re.compile(r"/proc/(self|thread-self|\d+)(/task/\d+)?/(root|cwd)(/|$)")


def normal(path: str) -> str:
    """Return `path` as it will be resolved from /, without `//`, `.` and `..`; by its text only."""
    clean = "/" + posixpath.normpath("/" + path).lstrip("/")
    # The one link that every distribution has: what is secret in /run is so in /var/run.
    return clean.removeprefix("/var") if (clean + "/").startswith("/var/run/") else clean


def denied(paths: Paths, path: str, *, content: bool) -> str:
    """Return why the file may not be read (or, without `content`, looked at), empty where it may."""
    if path == "-":
        return ""
    if ".." in path.split("/"):
        return f"{path} goes upwards: with a link on the way that leads elsewhere"
    clean = normal(path)
    if _ELSEWHERE.match(clean):
        return f"{clean} leads out of the tree that is judged"
    if not content:
        return ""
    if clean in paths.device_ok:
        return ""
    if clean.startswith("/dev/"):
        return f"device {clean}"
    if secretish(paths, clean):
        return f"{clean} may hold a secret"
    if not under(clean, paths.open_roots) and not matches(clean, paths.plain):
        return f"{clean} is not below a directory that may be read"
    return ""


def denied_glob(paths: Paths, glob: str, *, content: bool) -> str:
    """Return why the files that `glob` names may not be read (or looked at), empty where they may.

    Which they are only the node knows, and there each is judged by itself. This is for what is sure to be
    refused then: to read, a glob must stand where a recursive search may read, too.
    """
    fixed, _, _ = re.split(r"([*?])", glob, maxsplit=1)
    folder, _, _ = fixed.rpartition("/")
    if ".." in glob.split("/"):
        return f"{glob} goes upwards: with a link on the way that leads elsewhere"
    clean = normal(glob)
    if _EVERY_PROCESS.match(clean):
        return "" if _EVERY_PROCESS_OK.fullmatch(clean) else f"{clean} is not known to be harmless"
    if not folder and "/" in clean[1:]:
        return f"{clean} may lead anywhere"
    if not content or clean in paths.globs:
        return ""
    if secretish(paths, clean):
        return f"{clean} may hold a secret"
    if not searchable(paths, folder):
        return f"{folder or '/'} is not a directory in which every file may be read"
    return ""


def secretish(paths: Paths, clean: str) -> bool:
    """Say whether a normal path's text tells that it holds a secret."""
    base = posixpath.basename(clean)
    if matches(clean, paths.secret):
        return True
    return base not in paths.ok_base and matches(base.lower(), paths.secret_base)


def searchable(paths: Paths, path: str) -> bool:
    """Say whether a recursive search may read everything below `path`."""
    clean = normal(path)
    return under(clean, paths.search_roots) or bool(
        re.search(r"^/(opt|srv|data|app|home)/.*/logs?(/|$)", clean)
    )


def log_file(paths: Paths, path: str, suffix: str) -> bool:
    """Say whether `path` is a log below /var/log with that suffix (a pattern), and no audit needs it."""
    return (
        normal(path) == path
        and re.fullmatch(r"/var/log/[\w./-]+" + suffix, path) is not None
        and not matches(path, paths.audit_logs)
    )


def under(clean: str, roots: tuple[str, ...]) -> bool:
    """Say whether a normal path is one of `roots` or below one."""
    return any(clean == root or clean.startswith(root + "/") for root in roots)


def matches(text: str, globs: tuple[str, ...]) -> bool:
    """Say whether `text` fits one of the `globs`."""
    found = _globs(globs)
    return (
        text in found.whole
        or text.startswith(found.begins)
        or text.endswith(found.ends)
        or (found.other is not None and found.other.match(text) is not None)
    )


class _Globs(msgspec.Struct, frozen=True):
    """Globs by their shape: the common ones need no pattern."""

    whole: frozenset[str]
    begins: tuple[str, ...]
    ends: tuple[str, ...]
    other: re.Pattern[str] | None


@functools.cache
def _globs(globs: tuple[str, ...]) -> _Globs:
    whole: set[str] = set()
    begins: list[str] = []
    ends: list[str] = []
    other: list[str] = []
    for glob in globs:
        literal = glob.replace("[*]", "")
        if not re.search(r"[*?\[]", literal):
            whole.add(glob.replace("[*]", "*"))
        elif glob[-1] == "*" and not re.search(r"[*?\[]", glob[:-1]):
            begins.append(glob[:-1])
        elif glob[0] == "*" and not re.search(r"[*?\[]", glob[1:]):
            ends.append(glob[1:])
        else:
            other.append(fnmatch.translate(glob))
    pattern = re.compile("|".join(other)) if other else None
    return _Globs(frozenset(whole), tuple(begins), tuple(ends), pattern)
