"""The readers by the name that a rule's `use` gives. Pure."""

from __future__ import annotations

from sentinel.policy.readers import awk, cluster, data, files, sed, text, web
from sentinel.policy.readers.base import Judge

READERS: dict[str, Judge] = {
    "awk": awk.awk,
    "curl": web.curl,
    "find": files.find,
    "finddelete": files.find_delete,
    "grep": text.grep,
    "jq": text.jq,
    "kubectl": cluster.kubectl,
    "openssl": web.openssl,
    "redis": data.redis,
    "sed": sed.sed,
    "sql": data.sql,
    "tarlist": files.tar,
    "test": text.test,
    "text": text.text,
    "wget": web.wget,
    "xargs": files.xargs,
}
