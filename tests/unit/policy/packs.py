"""Packs of a test's own."""

from __future__ import annotations

from sentinel.policy import rules
from sentinel.policy.rulefile import Source

HEAD = 'schema = 1\nlayer = "base"\nname = "test"\n'


def alone(text):
    """Return the policy of these rules and no others; `text` is a pack without its head."""
    return rules.build([Source("test.toml", (HEAD + text).encode())], examples=False)
