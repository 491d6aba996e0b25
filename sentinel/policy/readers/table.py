"""The readers by the name that a rule's `use` gives. Pure."""

from __future__ import annotations

from sentinel.policy.readers import files, services, text
from sentinel.policy.readers.base import Judge

READERS: dict[str, Judge] = {
    "grep": text.grep,
    "awk": text.awk,
    "sed": text.sed,
    "test": text.test,
    "find": files.find,
    "finddelete": files.find_delete,
    "xargs": files.xargs,
    "tarlist": files.tar,
    "curl": services.curl,
    "openssl": services.openssl,
    "kubectl": services.kubectl,
    "redis": services.redis,
    "sql": services.sql,
}
