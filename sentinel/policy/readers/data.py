"""redis-cli, psql, mysql: statements that only read. Pure."""

from __future__ import annotations

import re

from sentinel.policy.grammar import Word
from sentinel.policy.options import No, spec
from sentinel.policy.paths import normal, under
from sentinel.policy.readers.base import Call, names

_REDIS = spec(
    "-h=lhost -p=nonneg -n=nonneg -s=metapath --raw --no-raw --csv --json -2 -3 --tls --cacert=metapath --no-auth-warning"
)
# Command -> what may follow it: nothing, a number, a section or a key's name.
_REDIS_READS = names(
    "ping info dbsize time lastsave role type ttl pttl exists strlen llen scard hlen zcard xlen"
)
_REDIS_PAIRS = frozenset(
    {
        ("slowlog", "get"),
        ("slowlog", "len"),
        ("client", "list"),
        ("client", "info"),
        ("client", "id"),
        ("memory", "stats"),
        ("memory", "doctor"),
        ("memory", "usage"),
        ("memory", "malloc-stats"),
        ("latency", "doctor"),
        ("latency", "latest"),
        ("latency", "history"),
        ("latency", "graph"),
        ("cluster", "info"),
        ("cluster", "nodes"),
        ("cluster", "slots"),
        ("cluster", "shards"),
        ("config", "get"),
        ("command", "count"),
        ("module", "list"),
        ("acl", "whoami"),
        ("object", "encoding"),
        ("object", "freq"),
        ("object", "idletime"),
    }
)
_REDIS_CONFIG = re.compile(r"(?!.*(pass|auth|secret|key|tls|user|acl))[a-z-]+")


def redis(call: Call) -> None:
    """Commands that read the server's state, without passwords and without the data."""
    if call.before:
        raise No("redis-cli runs what stands on its input", call.span)
    parsed = call.parse(_REDIS, stop=True)
    words = [word.value.lower() for word in parsed.rest]
    if not words:
        raise No("an interactive session", call.span)
    if any(word.startswith("-") for word in words):
        raise No("an option behind the command", call.span)
    if words[0] not in _REDIS_READS and tuple(words[:2]) not in _REDIS_PAIRS:
        raise No(f"redis {' '.join(words[:2])} is not on the list", call.span)
    if words[:2] == ["config", "get"] and not (
        len(words) == 3 and _REDIS_CONFIG.fullmatch(words[2])
    ):
        raise No("redis config get of that name", call.span, "one plain name, such as maxmemory")


_PSQL = spec(
    "-c=sql -A -t -x -X -q -n -U=key -d=key -h=pghost -p=nonneg -l -w -F=any -P=word -E --command=sql --list --dbname=key"
    " --username=key --host=pghost --port=nonneg --no-psqlrc --tuples-only --no-align --no-password --expanded --quiet"
    " --csv --field-separator=any --pset=word --html -H"
)
_MYSQL = spec(
    "-e=sql -N -B -s -t -E -A -r -u=key -h=lhost -P=nonneg -D=database -S=socket --execute=sql --batch --skip-column-names --table"
    " --user=key --host=lhost --port=nonneg --database=database --socket=socket --connect-timeout=nonneg --vertical --silent --raw"
    " --protocol=word --no-auto-rehash"
)


def sql(call: Call) -> None:
    """One read-only statement, on this host."""
    if call.before:
        raise No(f"{call.name} runs what stands on its input", call.span)
    psql = call.name == "psql"
    statements: list[Word] = []

    def statement(word: Word) -> None:
        statements.append(word)
        _Statement(word, postgres=psql).check()

    def host(word: Word) -> None:
        call.scope.check("cgroup" if re.match(r"/(var/)?run/|/tmp", word.value) else "lhost", word)

    def database(word: Word) -> None:
        call.scope.check("key", word)
        if word.value.lower() == "mysql":
            raise No("the database of accounts", word.span)

    kinds = {"sql": statement, "pghost": host, "database": database, "socket": _own_socket}
    parsed = call.parse(_PSQL if psql else _MYSQL, kinds=kinds)
    listing = psql and {"-l", "--list"} & set(parsed.seen)
    if len(statements) != (0 if listing else 1):
        raise No("exactly one statement is needed", call.span, "-c 'SELECT ...'" if psql else "-e")
    if len(parsed.rest) > (2 if psql else 1):
        raise No("too many arguments", call.span)
    for word in parsed.rest:
        database(word)


def _own_socket(word: Word) -> None:
    """A server of anybody's could ask the client for any file."""
    if not under(normal(word.value), ("/run", "/var/lib/mysql")) or ".." in word.value:
        raise No("a socket that anybody may have put there", word.span, "one below /run")


_TOKEN = re.compile(
    r"""\s+
    | (?P<string>'(?:[^'\\]|'')*')
    | (?P<quoted>"[^"\\]*")
    | (?P<number>\d+(?:\.\d+)?)
    | (?P<name>[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)
    | (?P<sign>::|<>|<=|>=|!=|\|\||->>|->|@>|~\*|!~\*?|[=<>+\-*/%(),.~?@\[\]])""",
    re.VERBOSE,
)
_KINDS = names("select show explain describe desc table values with")
_REFUSED = re.compile(
    r"(insert|update|delete|drop|alter|create|truncate|grant|revoke|copy|call|do|vacuum|analy[sz]e|reindex|refresh"
    r"|cluster|lock|reset|listen|notify|load|import|into|execute|prepare|deallocate|merge|replace|rename|flush|kill"
    r"|purge|shutdown|install|uninstall|handler|outfile|dumpfile|system|source|tee|pager|delimiter|share"
    r"|pg_shadow|pg_authid|\w*user_mapping\w*|pg_subscription|pg_largeobject|pg_file_settings|set|begin|commit|rollback"
    r"|declare|fetch|discard|checkpoint|security|procedure)",
    re.IGNORECASE,
)
_HIDDEN = re.compile(
    r"conninfo|passw|passphrase|secret|token|credential|api_?key|credit_?card|\bssn\b|authentication_string",
    re.IGNORECASE,
)
_FUNCTIONS = names(
    "count sum max min avg round coalesce now age lower upper length char_length left right substr substring extract"
    " date_trunc date_part to_char to_timestamp trim concat concat_ws ifnull nullif isnull greatest least cast abs floor ceil"
    " format if timestampdiff unix_timestamp from_unixtime curdate curtime current_timestamp date time year month day hour"
    " minute second datediff string_agg array_agg group_concat json_agg row_number rank lag lead ntile bool_or bool_and"
    " version database schema user current_user current_database current_schema connection_id inet_server_addr pg_size_pretty"
    " pg_database_size pg_total_relation_size pg_relation_size pg_table_size pg_indexes_size pg_tablespace_size"
    " pg_is_in_recovery pg_last_xact_replay_timestamp pg_last_wal_receive_lsn pg_last_wal_replay_lsn pg_current_wal_lsn"
    " pg_wal_lsn_diff pg_blocking_pids pg_postmaster_start_time pg_conf_load_time pg_backend_pid pg_get_indexdef"
    " pg_get_viewdef pg_table_is_visible pg_stat_get_backend_idset pg_is_wal_replay_paused txid_current_if_assigned"
    " pg_get_constraintdef to_regclass regexp_replace split_part position strpos row_to_json interval sys.format_bytes"
    " format_bytes sec_to_time"
)
_BEFORE_PARENTHESIS = names(
    "in and or not values exists any all some over filter using on where from select as like ilike by when then else"
    " having join lateral union except intersect limit offset partition within between is distinct"
)
_SHOWN = names(
    "create grants binary master slave replica engine global session full open table index tables databases variables"
    " status processlist all columns warnings errors innodb plugins events triggers procedure function character"
    " collation storage engines count"
)


_CREATED = (["table"], ["view"], ["database"], ["schema"], ["trigger"], ["procedure"], ["function"])
_HELD = ("primary_conninfo", "ssl_passphrase_command", "archive_command", "restore_command")


class _Token:
    """One token: its kind, its text, and its text in lower case."""

    __slots__ = ("kind", "text")

    def __init__(self, kind: str, text: str) -> None:
        self.kind = kind
        self.text = text.lower() if kind == "name" else text


class _Statement:
    def __init__(self, word: Word, *, postgres: bool) -> None:
        self._word = word
        self._postgres = postgres

    def check(self) -> None:
        tokens = self._tokens()
        first = tokens[0].text if tokens else ""
        if first not in _KINDS:
            raise self._no("a statement that does not only read")
        if first == "explain" and self._executes(tokens):
            raise self._no("EXPLAIN ANALYZE executes")
        shows = first == "show"
        for at, token in enumerate(tokens):
            after = tokens[at + 1].text if at + 1 < len(tokens) else ""
            if token.kind == "name" and not (shows and token.text in _SHOWN):
                self._name(token.text, after)
            elif token.kind == "quoted":
                self._quoted(tokens, at, after)
        words = [token.text for token in tokens]
        if shows:
            self._shown(words)
        if any(word.endswith("pg_settings") for word in words):
            self._settings(tokens, words)

    def _shown(self, words: list[str]) -> None:
        if {"grants", "user"} & set(words):
            raise self._no("SHOW GRANTS and SHOW CREATE USER show password hashes")
        if words[1:2] == ["create"] and words[2:3] not in _CREATED:
            raise self._no("SHOW CREATE of that kind may show a password")
        if self._postgres and words[1:2] == ["all"]:
            raise self._no("SHOW ALL shows the password of a replica")

    def _settings(self, tokens: list[_Token], words: list[str]) -> None:
        """Take a question for settings by their names, none of which holds a password."""
        at = words.index("where") if "where" in words else len(words)
        plain = words[at + 1 : at + 3] in (["name", "in"], ["name", "="], ["name", "like"])
        asked = [token.text.strip("'") for token in tokens[at:] if token.kind == "string"]
        if not plain or not asked or {"or", "not", "union", "join"} & set(words):
            raise self._no("settings without their names: one holds the password of a replica")
        for name in asked:
            like = re.escape(name.lower()).replace("%", ".*").replace("_", ".")
            if any(re.fullmatch(like, held) for held in _HELD):
                raise self._no(f"the setting {name} may hold a password")

    def _no(self, reason: str) -> No:
        return No(reason, self._word.span, "one SELECT, SHOW, EXPLAIN or DESCRIBE")

    def _tokens(self) -> list[_Token]:
        text = re.sub(r"\\G$", "", self._word.value.strip()).strip()
        text = text.removesuffix(";").strip()
        found: list[_Token] = []
        at = 0
        while at < len(text):
            # Comments, a second statement, \\commands, $quotes$, :variables and `names` match nothing here.
            token = _TOKEN.match(text, at)
            if token is None or text.startswith(("--", "/*"), at):
                raise self._no(f"{text[at : at + 2]!r} is not understood in a statement")
            if token.lastgroup:
                found.append(_Token(token.lastgroup, token[0]))
            at = token.end()
        return found

    def _executes(self, tokens: list[_Token]) -> bool:
        """EXPLAIN ANALYZE, EXPLAIN (ANALYZE ...), EXPLAIN VERBOSE ANALYZE."""
        return any(token.text in ("analyze", "analyse") for token in tokens) or (
            len(tokens) > 1 and tokens[1].text == "("
        )

    def _name(self, name: str, after: str) -> None:
        parts = name.split(".")
        for part in parts:
            if _REFUSED.fullmatch(part) or _HIDDEN.search(part):
                raise self._no(f"the statement says {part}")
        if parts[0] == "mysql":
            raise self._no("the tables of accounts")
        if after == "(" and name not in _FUNCTIONS | _BEFORE_PARENTHESIS:
            raise self._no(f"SQL function {name} is not on the list")

    def _quoted(self, tokens: list[_Token], at: int, after: str) -> None:
        """A quoted name could be any function or table; to MySQL it is text."""
        before = tokens[at - 1].text if at else ""
        named = "." in (before, after) or before in (
            "from",
            "join",
        )  # with ANSI_QUOTES, to MySQL too
        if after == "(" or named or (self._postgres and before != "as"):
            raise self._no("a quoted name")
