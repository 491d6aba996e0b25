"""find, xargs, tar: programs that walk, and that can run another. Pure."""

from __future__ import annotations

import re

from sentinel.policy.grammar import Word
from sentinel.policy.kinds import normal
from sentinel.policy.options import No, spec
from sentinel.policy.readers.base import Call, first

_VALUED = frozenset(
    [
        "-name",
        "-iname",
        "-path",
        "-ipath",
        "-wholename",
        "-iwholename",
        "-regex",
        "-iregex",
        "-regextype",
        "-lname",
        "-ilname",
        "-type",
        "-xtype",
        "-size",
        "-mtime",
        "-atime",
        "-ctime",
        "-mmin",
        "-amin",
        "-cmin",
        "-newer",
        "-anewer",
        "-cnewer",
        "-newermt",
        "-newerat",
        "-newerct",
        "-perm",
        "-user",
        "-group",
        "-uid",
        "-gid",
        "-maxdepth",
        "-mindepth",
        "-links",
        "-inum",
        "-samefile",
        "-fstype",
        "-printf",
        "-used",
        "-context",
    ]
)
_PLAIN = frozenset(
    [
        "-empty",
        "-readable",
        "-writable",
        "-executable",
        "-nouser",
        "-nogroup",
        "-depth",
        "-d",
        "-mount",
        "-xdev",
        "-daystart",
        "-print",
        "-print0",
        "-ls",
        "-prune",
        "-quit",
        "-true",
        "-false",
        "-not",
        "-and",
        "-or",
        "-o",
        "-a",
        "!",
        "(",
        ")",
        ",",
        "-noleaf",
        "-warn",
        "-nowarn",
        "-ignore_readdir_race",
    ]
)
# Commands that only look at the names they are given; their operands are not known in advance.
_LOOKS = frozenset(
    [
        "ls",
        "wc",
        "stat",
        "md5sum",
        "sha1sum",
        "sha256sum",
        "du",
        "file",
        "basename",
        "dirname",
        "readlink",
        "realpath",
        "lsattr",
        "getfacl",
    ]
)
_LOG_READERS = frozenset(["grep", "head", "tail", "zgrep"])
_XARGS = spec(
    "-0 -r -t -n=int -P=int -L=int -I=any -d=any --null --no-run-if-empty --max-args=int -x --delimiter=any"
    " --max-lines?=int --max-procs=int --replace?=any"
)
_TAR = spec(
    "-t -v -z -j -J -f=path -a --list --file=path --verbose --gzip --bzip2 --xz --zstd --wildcards"
    " --numeric-owner --full-time --utc --auto-compress"
)
_SAMPLE = "/var/log/x"  # stands for a name that is only known when it runs


def find(call: Call) -> None:
    """Tests and prints only; -exec of commands that look, below roots of logs and temporary files."""
    words = list(call.words)
    while words and words[0].value in ("-H", "-P"):
        words.pop(0)
    roots: list[Word] = []
    while (
        words and not words[0].value.startswith("-") and words[0].value not in ("!", "(", ")", ",")
    ):
        roots.append(words.pop(0))
    for root in roots:
        call.scope.readable(root, content=False)
    while words:
        word = words.pop(0)
        if word.value in ("-exec", "-execdir"):
            _exec(call, roots, word, words)
        elif word.value in _VALUED:
            if not words:
                raise No(f"{word.value} needs a value", word.span)
            words.pop(0)
        elif word.value not in _PLAIN:
            raise No(f"find primary {word.value} is not on the list", word.span)


def _exec(call: Call, roots: list[Word], at: Word, words: list[Word]) -> None:
    inner: list[Word] = []
    while words and words[0].value not in (";", "+"):
        inner.append(words.pop(0))
    if not words or not inner:
        raise No("-exec without its end", at.span, "end it with \\; or +")
    words.pop(0)
    name = inner[0].value
    logs = bool(roots) and all(call.scope.under(root.value, ("/var/log",)) for root in roots)
    if name not in _LOOKS and not (logs and name in _LOG_READERS):
        raise No(f"find runs {name} on names that are not in the plan", inner[0].span)
    call.inner([_with(word, "{}") for word in inner])


def _with(word: Word, mark: str) -> Word:
    return Word(word.value.replace(mark, _SAMPLE), word.span, word.quoted) if mark else word


def xargs(call: Call) -> None:
    """Commands that only look at the names they are given."""
    parsed = call.parse(_XARGS, stop=True)
    if not parsed.rest:
        raise No("xargs without a command", call.span)
    name = parsed.rest[0]
    if name.value not in _LOOKS | {"ps", "echo"}:
        raise No(f"xargs runs {name.value} on names that are not in the plan", name.span)
    mark = first(parsed.seen, "-I", "--replace") or ""
    sample = Word("1234" if name.value == "ps" else _SAMPLE, name.span, False)
    call.inner([*(_with(word, mark) for word in parsed.rest), sample])


def tar(call: Call) -> None:
    """Listing an archive, and nothing else."""
    words = list(call.words)
    if words and re.fullmatch(r"[a-zA-Z]+", words[0].value):
        words[0] = Word("-" + words[0].value, words[0].span, words[0].quoted)
    parsed = call.parse(_TAR, words)
    if first(parsed.seen, "-t", "--list") is None:
        raise No("tar other than a listing", call.span, "use tar -t")
    if ":" in (first(parsed.seen, "-f", "--file") or ""):
        raise No("a remote archive", call.span)


def find_delete(call: Call) -> None:
    """Old files below the rule's roots, by age and by type or name; -delete last."""
    words = [word.value for word in call.words]
    if len(words) < 4 or words[-1] != "-delete":
        raise No("-delete must be last, after the tests", call.span)
    root = words[0]
    if normal(root) != root or not call.scope.under(root, call.roots):
        raise No(f"{root} is not below {', '.join(call.roots)}", call.words[0].span)
    tests = _delete_tests(call, list(call.words[1:-1]))
    if "age" not in tests or not tests & {"type", "name"}:
        raise No("it wants an age, and a type or a name", call.span, "-type f -mtime +14 -delete")
    if call.scope.under(root, call.need_name_under) and "name" not in tests:
        raise No(f"below {root} it wants a -name", call.span)


def _delete_tests(call: Call, words: list[Word]) -> set[str]:
    seen: set[str] = set()
    while words:
        word = words.pop(0)
        if word.value in ("-xdev", "-mount"):
            continue
        value = words.pop(0) if words else word
        kind = _delete_test(word.value, value.value, call.min_age_days)
        if not kind:
            raise No(f"find primary {word.value} {value.value}", word.span)
        seen.add(kind)
    return seen


def _delete_test(name: str, value: str, min_age_days: int) -> str:
    """Return what the test restricts, empty where it is not one that a deletion may have."""
    match name:
        case "-type" if value == "f":
            return "type"
        case "-name" | "-iname" if "/" not in value and value.strip("*"):
            return "name"
        case "-mtime" if re.fullmatch(r"\+\d{1,4}", value) and int(value) >= min_age_days:
            return "age"
        case "-maxdepth" | "-mindepth" if value.isdigit():
            return "depth"
        case "-size" if re.fullmatch(r"\+\d{1,6}[kMG]", value):
            return "size"
    return ""
