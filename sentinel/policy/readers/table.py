"""The readers by the name that a rule's `use` gives. Pure.

A reader is imported when a command first needs it: most commands need none, and `sentinel check` is to
answer at once.
"""

from __future__ import annotations

import functools
import importlib

from sentinel.policy.readers.base import Judge

# Name -> module in this package, function in it.
READERS: dict[str, tuple[str, str]] = {
    "ask": ("web", "ask"),
    "awk": ("awk", "awk"),
    "curl": ("web", "curl"),
    "find": ("files", "find"),
    "finddelete": ("files", "find_delete"),
    "grep": ("text", "grep"),
    "haproxy": ("web", "haproxy"),
    "jq": ("text", "jq"),
    "kubectl": ("cluster", "kubectl"),
    "openssl": ("web", "openssl"),
    "redis": ("data", "redis"),
    "sed": ("sed", "sed"),
    "sql": ("data", "sql"),
    "tarlist": ("files", "tar"),
    "test": ("text", "test"),
    "text": ("text", "text"),
    "wget": ("web", "wget"),
    "xargs": ("files", "xargs"),
}


@functools.cache
def reader(name: str) -> Judge:
    """Return the reader of that name."""
    module, function = READERS[name]
    found: Judge = getattr(importlib.import_module(f"sentinel.policy.readers.{module}"), function)
    return found
