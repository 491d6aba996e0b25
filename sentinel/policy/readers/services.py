"""curl, openssl, kubectl, redis-cli, psql, mysql: programs that ask another. Pure."""

from __future__ import annotations

import re
import urllib.parse

from sentinel.policy.grammar import Word
from sentinel.policy.options import No, spec
from sentinel.policy.readers.base import Call, first

_CURL = spec(
    "-s -S -f -I -i -v -k -g -4 -6 -N -q -m=num -w=any -H=any -o=any -A=word -X=word --silent --show-error"
    " --fail --head --include --verbose --max-time=num --connect-timeout=num --write-out=any --header=any"
    " --output=any --request=word --insecure --compressed --retry=cnt --no-buffer --http1.1 --http2"
    " --user-agent=word --get -G --no-progress-meter --ipv4 --ipv6"
)
_LOCAL = ("localhost", "127.0.0.1", "::1")


def curl(call: Call) -> None:
    """A GET or HEAD of this host, written to nowhere."""
    parsed = call.parse(_CURL)
    seen = parsed.seen
    if (first(seen, "-o", "--output") or "/dev/null") != "/dev/null":
        raise No("curl writes a file", call.span, "-o /dev/null")
    if (first(seen, "-X", "--request") or "GET") not in ("GET", "HEAD"):
        raise No("another method than GET or HEAD", call.span)
    for name in ("-H", "--header", "-w", "--write-out"):
        if seen.get(name, "").startswith("@") or "%output" in seen.get(name, ""):
            raise No("curl reads or writes a file", call.span)
    if not parsed.rest:
        raise No("no URL", call.span)
    for word in parsed.rest:
        _local(word)


def _local(word: Word) -> None:
    text = word.value
    try:
        url = urllib.parse.urlsplit(text if "://" in text else "http://" + text)
        local = url.scheme in ("http", "https") and url.hostname in _LOCAL and "@" not in url.netloc
    except ValueError:
        local = False
    # curl expands {a,b} and [1-9] itself; \ is a / to it and part of the name to us.
    if not local or re.search(r"[{}\\]", text) or "[" in text.replace("[::1]", ""):
        raise No(f"{text} is not a URL of this host", word.span, "ask localhost")


_X509 = spec(
    "-in=path -noout -dates -subject -issuer -enddate -startdate -fingerprint -serial -text -ext=any"
    " -checkend=int -sha256 -purpose -hash -inform=word -nameopt=any -email -ocsp_uri -pubkey -alias"
)
_VERIFY = spec("-CAfile=path -CApath=path -untrusted=path -purpose=word -verbose -x509_strict")


def openssl(call: Call) -> None:
    """Showing and verifying certificates."""
    sub = call.words[0].value if call.words else ""
    words = call.words[1:]
    if sub == "version":
        call.parse(spec("-a -v -d -b"), words)
    elif sub == "x509":
        parsed = call.parse(_X509, words, single_dash=True)
        if parsed.rest or "-noout" not in parsed.seen:
            raise No("openssl x509 without -noout", call.span, "add -noout")
    elif sub == "verify":
        for word in call.parse(_VERIFY, words, single_dash=True).rest:
            call.scope.readable(word, content=True)
    else:
        raise No(f"openssl {sub}", call.span, "x509, verify or version")


_KUBECTL = spec(
    "-n=word -A -o=kout -l=any -c=word -p --namespace=word --all-namespaces --output=kout --selector=any"
    " --field-selector=any --sort-by=any --tail=int --since=dur --since-time=any --previous --timestamps"
    " --all-containers --container=word --show-labels --no-headers --containers --request-timeout=dur"
    " --limit-bytes=int --prefix --list --client --api-group=word --namespaced?=word --revision=int"
    " --show-kind --ignore-not-found --chunk-size=int --minify --types=word --for=any --watch=word"
)
_VERBS = frozenset(
    ["logs", "top", "explain", "api-resources", "api-versions", "version", "cluster-info", "events"]
)
_PAIRS = frozenset(
    {
        ("rollout", "status"),
        ("rollout", "history"),
        ("auth", "can-i"),
        ("auth", "whoami"),
        ("config", "get-contexts"),
        ("config", "current-context"),
        ("config", "get-clusters"),
        ("config", "get-users"),
        ("config", "view"),
    }
)


def kubectl(call: Call) -> None:
    """Reading, without the values of secrets and configuration maps."""
    parsed = call.parse(_KUBECTL)
    words = [word.value for word in parsed.rest]
    if parsed.seen.get("--watch", "false").lower() != "false":
        raise No("watching never ends", call.span)
    if not words:
        raise No("no verb", call.span)
    if words[0] in ("get", "describe"):
        _kubectl_get(call, parsed.rest, first(parsed.seen, "-o", "--output") or "")
    elif words[0] in _VERBS:
        if words[0] == "cluster-info" and len(words) > 1:
            raise No("cluster-info dump", call.span)
    elif tuple(words[:2]) not in _PAIRS:
        raise No(f"kubectl {' '.join(words[:2])} is not on the list", call.span)


def _kubectl_get(call: Call, words: tuple[Word, ...], output: str) -> None:
    if len(words) < 2:
        raise No("no resource", call.span)
    for word in words[1:]:
        text = word.value
        if not re.fullmatch(r"[A-Za-z0-9_.,/:-]+", text):
            raise No(f"{text!r} is not a resource", word.span)
        shows = output not in ("", "wide", "name")
        if shows and re.search(r"(?i)secret|serviceaccounttoken|^sa$|configmap|^cm(/|$)", text):
            raise No("shows secret or configuration values", word.span, "-o name or -o wide")


_REDIS = spec("-h=lhost -p=int -n=int --raw --no-raw --csv -3 --tls --cacert=path")
_REDIS_READS = frozenset(
    [
        "ping",
        "info",
        "dbsize",
        "time",
        "lastsave",
        "role",
        "type",
        "ttl",
        "exists",
        "strlen",
        "llen",
        "scard",
        "hlen",
    ]
) | frozenset(
    [
        "slowlog get",
        "slowlog len",
        "client list",
        "client info",
        "memory stats",
        "memory doctor",
        "memory usage",
        "latency doctor",
        "latency latest",
        "latency history",
        "cluster info",
        "cluster nodes",
        "cluster slots",
        "config get",
        "command count",
        "module list",
        "acl whoami",
        "object encoding",
    ]
)


def redis(call: Call) -> None:
    """Commands that read the server's state, without passwords."""
    parsed = call.parse(_REDIS, stop=True)
    words = [word.value.lower() for word in parsed.rest]
    if not words:
        raise No("an interactive session", call.span)
    if words[0] not in _REDIS_READS and " ".join(words[:2]) not in _REDIS_READS:
        raise No(f"redis {' '.join(words[:2])} is not on the list", call.span)
    if words[:2] == ["config", "get"]:
        secret = re.compile("pass|auth|secret|key|tls")
        if len(words) != 3 or not re.fullmatch(r"[a-z-]+", words[2]) or secret.search(words[2]):
            raise No("redis config get of that name", call.span)


_PSQL = spec(
    "-c=any -A -t -x -X -q -n -U=word -d=word -h=lhost -p=int -l -w -F=any -P=word --command=any --list"
    " --dbname=word --username=word --host=lhost --port=int --no-psqlrc --tuples-only --no-align"
    " --no-password --expanded --quiet"
)
_MYSQL = spec(
    "-e=any -N -B -s -t -u=word -h=lhost -P=int -D=word -S=path --execute=any --batch --skip-column-names"
    " --table --user=word --host=lhost --port=int --database=word --connect-timeout=int -E"
)
_SQL_WRITES = re.compile(
    r"\b(insert|update|delete|drop|alter|create|truncate|grant|revoke|copy|call|do|vacuum|analyze|reindex"
    r"|cluster|lock|set|reset|listen|notify|load|load_file|import|into|execute|prepare|merge|replace"
    r"|rename|flush|kill|purge|shutdown|install|uninstall|handler|outfile|dumpfile|sleep|benchmark"
    r"|get_lock|system|source|tee|pager|delimiter|for\s+update|password|passwd|authid|pg_shadow"
    r"|pg_authid|mysql\.user)\b",
    re.IGNORECASE,
)
_SQL_FUNCTIONS = frozenset(
    [
        "count",
        "sum",
        "max",
        "min",
        "avg",
        "round",
        "coalesce",
        "now",
        "age",
        "lower",
        "upper",
        "length",
        "left",
        "right",
        "substr",
        "substring",
        "extract",
        "date_trunc",
        "to_char",
        "pg_size_pretty",
        "pg_database_size",
        "pg_total_relation_size",
        "pg_relation_size",
        "pg_table_size",
        "pg_indexes_size",
        "current_database",
        "current_user",
        "version",
        "pg_is_in_recovery",
        "pg_last_xact_replay_timestamp",
        "pg_current_wal_lsn",
        "pg_wal_lsn_diff",
        "pg_blocking_pids",
        "in",
        "and",
        "or",
        "values",
        "exists",
        "any",
        "all",
        "over",
        "concat",
        "ifnull",
        "nullif",
        "greatest",
        "least",
        "cast",
        "abs",
        "floor",
        "ceil",
    ]
)
_SHOW = re.compile(
    r"^show\s+(create|grants|binary|master|slave|replica|engine|global|session|full|open|table|index"
    r"|tables|databases|variables|status|processlist|all|columns|warnings|errors|innodb)\b",
    re.IGNORECASE,
)


def sql(call: Call) -> None:
    """One read-only statement."""
    psql = call.name == "psql"
    parsed = call.parse(_PSQL if psql else _MYSQL)
    if psql and first(parsed.seen, "-l", "--list") is not None:
        return
    flags = ("-c", "--command") if psql else ("-e", "--execute")
    given = sum(_gives(word.value, flags) for word in call.words)
    statement = first(parsed.seen, *flags)
    if given != 1 or statement is None:
        raise No("exactly one statement option is needed", call.span, f"{flags[0]} 'SELECT ...'")
    if len(parsed.rest) > (2 if psql else 1):
        raise No("too many arguments", call.span)
    for word in parsed.rest:
        call.scope.check("word", word)
    _check_sql(statement, call)


def _gives(text: str, flags: tuple[str, str]) -> bool:
    short, long = flags
    if text.startswith("--"):
        return text == long or text.startswith(long + "=")
    return text.startswith("-") and short[1] in text[1:]


def _check_sql(statement: str, call: Call) -> None:
    text = re.sub(r"\\G$", "", statement.strip().rstrip(";").strip()).strip().rstrip(";")
    body = re.sub(r"'(?:[^'\\]|'')*'", "''", text)
    if ";" in body or "\\" in text or "--" in body or "/*" in body or "`" in body or "#" in body:
        raise No("more than one statement, a meta-command or a comment", call.span)
    if not re.match(r"(?i)(select|show|explain|table|describe|desc)\b", body):
        raise No(
            "a statement that does not only read", call.span, "SELECT, SHOW, EXPLAIN, DESCRIBE"
        )
    if re.match(r"(?i)explain\s+(\(|analyze)", body):
        raise No("EXPLAIN ANALYZE executes", call.span)
    if found := _SQL_WRITES.search(_SHOW.sub("", body)):
        raise No(f"the statement says {found[0]}", call.span)
    for name in re.findall(r"([A-Za-z_][\w.]*)\s*\(", body):
        if name.lower() not in _SQL_FUNCTIONS:
            raise No(f"SQL function {name} is not on the list", call.span)
    if re.search(r"\"\s*\(", body):
        raise No("a quoted function name", call.span)
