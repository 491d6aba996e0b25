"""The types of values: what an option's value or an argument may be. Pure.

A type is a name (`int`, `path`, `unit`), a member of a set that a site defines (`unit@units`), or a
member of what the incident captured (`pid$pids`). Nothing here touches the host: a path is judged by its
text, and the executor judges the file.
"""

from __future__ import annotations

import functools
import re

import msgspec

from sentinel.domain import Span
from sentinel.policy.grammar import Word
from sentinel.policy.options import No
from sentinel.policy.paths import Paths, denied, denied_glob, log_file

_LOCAL = r"(localhost|127\.0\.0\.1|\[?::1\]?)"
_ENDPOINT = r"(https?://)?" + _LOCAL + r"(:\d{1,5})?"
# Columns of ps, each alone or in a list. BSD's clusters are not among them: their `e` shows environments.
_PS_COLUMN = (
    r"(%cpu|%mem|addr|args|bsdstart|bsdtime|cgroup|class|cls|cmd|comm|command|cpu|cputime|cputi"
    r"mes|drs|etime|etimes|euser|f|flags|gid|group|label|lstart|lwp|lxc|maj_flt|majflt|mem|min"
    r"_flt|minflt|ni|nice|nlwp|ns|numa|oom|pcpu|pgid|pgrp|pid|pmem|policy|ppid|pri|psr|pss|rss"
    r"|rssize|rtprio|ruser|s|sched|sess|sid|size|slice|spid|start|start_time|stat|state|stime|"
    r"sz|thcount|tid|time|tname|tpgid|trs|tt|tty|ucmd|uid|unit|user|uss|vsz|wchan)"
)
_PS_ARGUMENT = rf"\d[\d,]*|{_PS_COLUMN}(=[a-z0-9_%]*)?(,{_PS_COLUMN}(=[a-z0-9_%]*)?)*"

# One reading statement of clickhouse over its own tables; a function that is not listed might read a file.
_CLICK = (
    r"(?is:show (processlist|databases|tables( from \w+)?|clusters|metrics)|select (version|uptime|hostname|now)\(\)|select "
    r"(?!.*\b(select|from .* from|into|join|union|format|settings|with)\b)"
    r"(?!.*\b(?!(count|sum|max|min|avg|round|any|uniq|formatreadable\w+|length|now|in|and|or|not|where)\b)\w+ ?\()"
    r"[\w ,*()./'%<>=-]+ from system\.(processes|metrics|events|asynchronous_metrics|parts|part_log|replicas|replication_queue"
    r"|merges|mutations|errors|disks|clusters|tables|columns|databases|detached_parts|distribution_queue|dictionaries|zookeeper_connection)\b"
    r"[\w ,*()./'%<>=-]*) ?;?"
)

# Name -> the whole of what the value may be. Compiled when a command first needs it.
PATTERNS: dict[str, str] = {
    "any": r"[^\0]*",
    "word": r"[A-Za-z0-9_@%+=:,./^-]*",
    "name": r"[A-Za-z][\w.@%+=:,./-]*",
    "key": r"[A-Za-z_][\w.-]*",
    # numbers
    "int": r"-?\d+",
    "nonneg": r"\d+",
    "num": r"\d+(\.\d+)?",
    "cnt": r"[1-9]\d?|100",
    "secs": r"\d(\.\d{1,3})?s?|[1-5]\d(\.\d{1,3})?s?|60s?",
    "dur": r"\d+(\.\d+)?[smh]?",
    "limit": r"0*[1-9]\d{0,3}(\.\d+)?[sm]?|0*[1-9]\d?h|0?\.\d*[1-9]\d*[sm]?",  # 0 sets timeout no limit
    "interval": r"\d{1,6}(ms|s)?",
    "pktsize": r"\d{1,4}",
    "zero": r"0",
    "level": r"[1-9]",
    # processes
    "pid": r"[1-9]\d*",
    "pidonly": r"[1-9]\d*",
    "pids": r"[\d, ]+",
    "pidlist": r"\^?\d+(,\^?\d+)*",
    "psval": r"[^\0]*",
    "psfmt": r"(?!.*environ)[A-Za-z0-9_%,:=+. -]*",
    "psbsd": r"[AacfghjklLmnoOprStTuUvwxXZ]+",  # never e: the environment
    "psarg": _PS_ARGUMENT,
    "sigterm": r"(SIG)?TERM|15",
    "endsignal": r"(SIG)?(TERM|INT|KILL|QUIT)|2|3|9|15",
    "proclink": r"/proc/(self|[1-9]\d*)/(exe|cwd|root|ns/[a-z_]+|fd/\d+)",
    "nice19": r"[0-9]|1[0-9]",
    "class23": r"[23]",
    "numordev": r"\d+|ALL|[a-z][A-Za-z0-9/_-]*",
    "sararg": r"\d+|[A-Z]+|\d\d:\d\d(:\d\d)?|/var/log/(sa|sysstat)/sa\d+",
    "cgroup": r"[A-Za-z0-9@:_.\\/-]+",
    # accounts, units, scripts
    "account": r"[A-Za-z0-9_.][\w.@$-]*",
    "unit": r"[A-Za-z0-9@:_.\\-]+",
    "unitglob": r"[A-Za-z0-9@:_.\\*?\[\]-]+",
    "script": r"[A-Za-z0-9_][\w.@+-]*",
    "sysprop": r"(?!.*[Ee]nviron)[A-Za-z0-9_,]+",
    "rl": r"l",
    "reloadonly": r"reload|reopen",
    "dumpdefine": r"DUMP_[A-Z_]+",
    "unitfile": r"/(etc|usr/lib|lib|run)/systemd/(system|user)/[\w@.:\\-]+",
    "confname": r"systemd/[\w.-]+\.conf|udev/udev\.conf|(tmpfiles|sysctl|modules-load)\.d(/[\w.-]+\.conf)?",
    "ntpqcmd": r"(rv|readvar|cv|clockvar)( \d+)?|rl|l?pe|[lo]?peers|as|ass?ociations|lassoc|iostats|kerninfo|sysinfo|sysstats|timerstats|monstats|version",
    "mailaddr": r"[\w.+=][\w.+=-]*(@[\w.-]+)?",
    "squidk": r"check|parse",
    # the network
    "host": r"(::)?[A-Za-z0-9_][A-Za-z0-9._:%-]{0,120}",
    "lhost": _LOCAL + r"(:\d{1,5})?",
    "lendpoints": rf"{_ENDPOINT}(,{_ENDPOINT})*",
    "port": r"\d{1,5}(-\d{1,5})?",
    "iface": r"[A-Za-z0-9_.@:-]{1,16}",
    "dnsarg": r"(?i:(?!axfr|ixfr))[@+A-Za-z0-9._:=-]+",
    "dnstype": r"(?i:(?!axfr|ixfr))[A-Za-z0-9]+",
    "connection": r"[\w.:@ -]+",
    "nftname": r"[A-Za-z0-9_.-]+",
    "tcpfilter": r"[A-Za-z0-9_.:/()!&|=\[\]<> -]+",
    "vtyshow": r"show (?!.*(running|startup|config|key|password))[\w ./:-]+",
    "method": r"GET|HEAD|OPTIONS",
    "header": r"(Host|Accept|Accept-[A-Za-z]+|User-Agent|X-Forwarded-(For|Proto|Host)|Cache-Control|Connection|Origin|Range): ?[^\0]*",
    "writeout": r"(?!@)(?!.*%output)[^\0]*",
    "nowhere": r"/dev/null",
    "stdoutornull": r"-|/dev/null",
    # devices, files of a known place
    "dev": r"/dev/(?!.*\.\.)[A-Za-z0-9_./:-]+",
    "fmt": r"\+.*",
    "sysctlkey": r"[A-Za-z0-9_./-]+",
    "storpath": r"/c(\d{1,2}|all)(/[vesdfpmu](\d{1,4}|all))*(/(bbu|cv))?",
    "megadrive": r"\[[\dE:,]+\]",
    "ssatarget": r"all|slot=\d+|\d{1,3}|\d+[IEC]:\d+:\d+|[A-Z]",
    "xfsdbcmd": r"freesp( -[sd]+)?|frag( -[adflqrRv]+)?|info|version|sb 0|p(rint)?( \w+)?",
    "xfsquotacmd": r"(report|df|state|quota|print|path|free)( -[a-eg-zA-Z]+)*( [\w/][\w/.-]*)?",  # -f writes
    "smartlog": r"error|selftest|selective|directory|background|x(error|selftest)(,\w+)?|devstat(,\w+)?|ssd|sasphy|sataphy|scttemp|scttempsts|scttemphist|scterc|farm|defects",
    "iscsimode": r"session|node|iface|host",
    "journalmatch": r"\+|-?\d+|[0-9a-f]{32}|_{0,2}[A-Z][A-Z0-9_]*=[^\0]*|/(usr|bin|sbin|dev)/[\w./-]+",
    "journaldir": r"/(var|run)/log/journal(/[0-9a-f]{32})?",
    "auditwhen": r"now|recent|this-hour|boot|today|yesterday|this-week|week-ago|this-month|this-year|[\d/.-]{1,10}|\d\d:\d\d(:\d\d)?",
    "coredump": r"[\w.=@:-]+|/(usr|bin|sbin|opt)/(?!.*\.\.)[\w./+-]+",
    "binpath": r"/(usr|bin|sbin|lib|lib64)/(?!local/)(?!.*\.\.)[\w./+-]+",
    "bootpath": r"/boot/[\w.+-]+",
    "logrotconf": r"/etc/logrotate\.(conf|d/[\w.-]+)",
    "srcdir": r"/(opt|srv|etc|usr/local|var/www)(/(?!\.\.?(/|$))[\w.-]+)*",
    "gitref": r"[A-Za-z0-9_][\w./~^@{}-]*",
    "gitfmt": r"(oneline|short|medium|full|fuller|(t?format:)?(?!.*%\()[^\0]*)",
    "straceset": r"(trace=)?[%a-z0-9_,]+",
    "perfevent": r"[\w:,*{}=/-]+",  # no dot: a file's name would be a program for the kernel
    "archive": r"[^\0:]*",
    # formats and programs of other tools
    "sealertid": r"\*|[0-9a-f-]{1,40}",
    "yqexpr": r"(?!.*(?i:load|env|input|import|include|eval|system|debug))[^\0]*",
    "rawpath": r"/(healthz|livez|readyz)(/[a-z0-9-]+)*(\?verbose(=(true|1))?)?|/metrics|/version|/apis?|/apis/metrics\.k8s\.io/v1beta1/(nodes|pods)",
    "psqlmeta": r"\\(d(?![eR])[A-Za-z]{0,3}\+?|l\+?|conninfo|z)( [\w.*]+)?",  # \deu+ and \dRs+ show passwords
    "cqlread": r"(?i:(describe|desc) (keyspaces|tables|cluster|(keyspace|table|index|type) [\w.]+)|show (version|host)"
    r"|select [\w,* ()]+ from (system|system_schema|system_traces|system_distributed)\.\w+( where \w+ ?= ?'?[\w.-]+'?)?( limit \d+)?) ?;?",
    "clickread": _CLICK,
    "rpmfmt": r"(?:[^%\0]|%%|%-?\d*\{[=#]?[A-Za-z_0-9]+(?::(date|day|hex|octal|perms|fflags|depflags|arraysize|humansi|humaniec|pgpsig|fstate|shescape|json))?\})*",
    "rpmarg": r"(?![A-Za-z]+://)[A-Za-z0-9_+.,:/*?~^@=-]+",
    "tracepoint": r"[A-Za-z0-9_:*?./-]+",
    "jsontool": r"json\.tool",
    "kout": r"wide|json|yaml|name|(jsonpath|custom-columns|go-template)=[^\0]*",
    "never": r"false",
    "fmtnoenv": r"(?!.*[Ee][Nn][Vv])[^\0]*",
    # Of docker inspect: only named parts, for the whole and .Config hold the environment.
    "inspectfmt": r"(?=.*\{\{)(?!.*([Ee][Nn][Vv]|CreateCommand))(?!.*\$(?!\w))(?!.*(?<![\w)}\]\"])\.(?![A-Za-z]))"
    r"(?!.*(?<!Host)(Config|Spec|Template)(?!\.[A-Z]))[^\0]*",
    "image": r"[A-Za-z0-9][\w.:/@-]*",
    "lxcname": r"[A-Za-z0-9_.:-]+",
    "mongoexpr": r"(printjson\()?((db|rs|sh)\.(serverStatus|stats|currentOp|status|conf|config|hello|isMaster|printReplicationInfo"
    r"|printSecondaryReplicationInfo|printSlaveReplicationInfo|getReplicationInfo|version|hostInfo|getCollectionNames)\(\)"
    r"|db\.adminCommand\(\{ ?['\"]?(ping|listDatabases|serverStatus|hostInfo|replSetGetStatus|connectionStatus|buildInfo)['\"]? ?: ?1 ?\}\)"
    r")(\.\w+)*\)?;?",
}
CAPTURED = frozenset({"pids"})
_PIDS = frozenset({"pid", "pidonly", "pids", "pidlist", "pid$pids"})  # where `$(pgrep x)` may stand
_MEMBER = re.compile(r"(\w+)([@$])([\w.]+)")


class Scope(msgspec.Struct, frozen=True, kw_only=True):
    """What the types refer to: the site's sets, the incident's captured pids, and paths."""

    sets: dict[str, frozenset[str]]
    pids: frozenset[int]
    own_pids: frozenset[int]
    captured: bool  # there is an incident
    groups: frozenset[str] = frozenset()  # of the host
    role: str = ""
    paths: Paths
    namespace: str = ""  # of kubectl, where a rule's type is a workload
    filled: set[Span] = msgspec.field(default_factory=set)  # open words that stand where they may

    def check(self, kind: str, word: Word) -> None:
        """Raise No unless `word` is of type `kind`."""
        if word.pids_of and kind in _PIDS:
            self.filled.add(word.span)
        elif kind in PATTERNS:
            if not _pattern(kind).fullmatch(word.value):
                raise No(f"{word.value!r} is not of type {kind}", word.span)
        elif kind in SPECIAL:
            SPECIAL[kind](self, word)
        else:
            member = _MEMBER.fullmatch(kind)
            assert member is not None, kind
            if member[2] == "$":
                self._captured(word)
            else:
                self._listed(member[1], member[3], word)

    def readable(self, word: Word, *, content: bool) -> None:
        """Raise No unless the file may be read, or with `content` False, be looked at from outside."""
        judge = denied_glob if word.glob else denied
        reason = judge(self.paths, word.value, content=content)
        if reason:
            raise No(reason, word.span)
        if word.glob:
            self.filled.add(word.span)

    def _captured(self, word: Word) -> None:
        value = word.value
        if not re.fullmatch(r"[1-9]\d{0,6}", value) or int(value) not in self.pids:
            raise No(
                f"{value} is not a process that this incident captured",
                word.span,
                "name a pid of the captured processes",
            )
        if int(value) in self.own_pids or int(value) == 1:
            raise No(f"process {value} is never a target", word.span)

    def _listed(self, base: str, name: str, word: Word) -> None:
        value = word.value
        if base == "k8s":
            value = f"{self.namespace}/{value}"
        elif base == "unit":
            value = value.removesuffix(".service")
        names = {value, f"{value}.service"} if base == "unit" else {value}
        if names.isdisjoint(self.sets.get(name, frozenset())):
            raise No(
                f"{value} is not in the site's set `{name}`", word.span, f"add it to [sets] {name}"
            )


def _path(scope: Scope, word: Word) -> None:
    scope.readable(word, content=True)


def _metapath(scope: Scope, word: Word) -> None:
    scope.readable(word, content=False)


def _etcpath(scope: Scope, word: Word) -> None:
    _below(scope, word, r"/etc/[\w./-]+")


def _srvpath(scope: Scope, word: Word) -> None:
    _below(scope, word, r"/(srv|opt|etc)/[\w./-]+")


def _below(scope: Scope, word: Word, pattern: str) -> None:
    if not re.fullmatch(pattern, word.value):
        raise No(f"{word.value!r} is not below a directory of configuration", word.span)
    scope.readable(word, content=True)


def _certfile(scope: Scope, word: Word) -> None:
    """A certificate may stand beside its key; what is named as a key is none."""
    scope.readable(word, content=False)
    if ":" in word.value:
        raise No("openssl takes it for an address and fetches it", word.span)
    if re.search(r"key|\.p12$|\.pfx$|^/(dev|proc)/", word.value.lower()):
        raise No(f"{word.value} may hold a private key", word.span)


def _logfile(scope: Scope, word: Word) -> None:
    if not log_file(scope.paths, word.value, r"\.log"):
        raise No(f"{word.value} is not a *.log file below /var/log that no audit needs", word.span)


def _rotatedlog(scope: Scope, word: Word) -> None:
    if not log_file(scope.paths, word.value, r"\.log[.-]\d+"):
        raise No(f"{word.value} is not a rotated log that no audit needs", word.span)


def _size100m(_: Scope, word: Word) -> None:
    found = re.fullmatch(r"(\d{1,6})([MGT])", word.value)
    if not found or int(found[1]) * {"M": 1, "G": 1 << 10, "T": 1 << 20}[found[2]] < 100:
        raise No(f"{word.value!r} keeps less than 100M", word.span, "keep at least 100M")


def _days2(_: Scope, word: Word) -> None:
    found = re.fullmatch(r"(\d{1,4})(d|days?|w|weeks?|months?)", word.value)
    if not found or int(found[1]) * {"d": 1, "w": 7, "m": 30}[found[2][0]] < 2:
        raise No(f"{word.value!r} keeps less than two days", word.span, "keep at least 2d")


# Types that a pattern cannot say.
SPECIAL = {
    "path": _path,
    "metapath": _metapath,
    "certfile": _certfile,
    "etcpath": _etcpath,
    "srvpath": _srvpath,
    "logfile": _logfile,
    "rotatedlog": _rotatedlog,
    "size100m": _size100m,
    "days2": _days2,
}


def known(kind: str) -> bool:
    """Say whether a rule may use the type `kind`."""
    if kind in PATTERNS or kind in SPECIAL:
        return True
    member = _MEMBER.fullmatch(kind)
    return member is not None and (member[2] == "@" or member[3] in CAPTURED)


@functools.cache
def _pattern(kind: str) -> re.Pattern[str]:
    return re.compile(PATTERNS[kind])
