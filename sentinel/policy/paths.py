"""Paths by their text: what may be read, what holds a secret, what an audit needs. Pure.

The executor's working directory is /, so a relative path is judged as what it will be. A link is not
seen here: the executor opens what it opens, and this is the first wall of two.
"""

from __future__ import annotations

import fnmatch
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
    audit_logs: tuple[str, ...] = ()


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
    if clean.startswith("/dev/") and clean not in paths.device_ok:
        return f"device {clean}"
    if secretish(paths, clean):
        return f"{clean} may hold a secret"
    if not under(clean, paths.open_roots) and not matches(clean, paths.plain):
        return f"{clean} is not below a directory that may be read"
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
    return any(_fits(text, glob) for glob in globs)


def _fits(text: str, glob: str) -> bool:
    """Say whether `text` fits `glob`; the common shapes without a pattern to compile."""
    stars = glob.count("*")
    if "?" in glob or "[" in glob or stars > 2:
        return fnmatch.fnmatchcase(text, glob)
    if stars == 0:
        return text == glob
    first, _, rest = glob.partition("*")
    if stars == 1:
        return (
            len(text) >= len(first) + len(rest) and text.startswith(first) and text.endswith(rest)
        )
    middle, _, last = rest.partition("*")
    inside = text[len(first) : len(text) - len(last)]
    return (
        len(text) >= len(first) + len(last)
        and text.startswith(first)
        and text.endswith(last)
        and middle in inside
    )
