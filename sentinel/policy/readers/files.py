"""find, xargs, tar: programs that walk, and that can run another. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from sentinel.policy.grammar import Word
from sentinel.policy.options import No, spec
from sentinel.policy.paths import matches, normal, searchable, under
from sentinel.policy.readers.base import Argv, Call, first, names

_VALUED = names(
    "-name -iname -path -ipath -wholename -iwholename -regex -iregex -regextype -lname -ilname -type -xtype -size -mtime"
    " -atime -ctime -mmin -amin -cmin -newer -anewer -cnewer -newermt -newerat -newerct -newermm -newerma -newermc -perm"
    " -user -group -uid -gid -maxdepth -mindepth -links -inum -samefile -fstype -printf -used -context"
)
_PLAIN = names(
    "-empty -readable -writable -executable -nouser -nogroup -depth -d -mount -xdev -daystart -print -print0 -ls -prune"
    " -quit -true -false -not -and -or -o -a ! ( ) , -noleaf -warn -nowarn -ignore_readdir_race -noignore_readdir_race"
    " -follow"
)
# Commands that only look, whatever words they are given: no option of theirs writes, runs or reads a file
# that an operand names.
_HARMLESS = names(
    "ls stat basename dirname readlink realpath pwdx echo md5sum sha1sum sha256sum sha512sum"
)
# Commands that only look, if the words they are given are names or numbers and no options.
_LOOKS = _HARMLESS | names("wc du file lsattr getfacl getcap namei")
_READS = names("grep egrep zgrep head tail zcat")
_OF_PIDS = names("ps pwdx pmap lsof prlimit")
_PASSES = names("head tail sort uniq tac")  # stages that change no line
_XARGS = spec(
    "-0 -r -t -x -n=nonneg -P=nonneg -L=nonneg -s=nonneg -I=any -d=any --null --no-run-if-empty --verbose --exit"
    " --max-args=nonneg --max-procs=nonneg --max-lines?=nonneg --delimiter=any --replace?=any"
)
_TAR = spec(
    "-t -v -z -j -J -f=archive -a --list --file=archive --verbose --gzip --bzip2 --xz --zstd --wildcards"
    " --numeric-owner --full-time --utc --auto-compress --gunzip"
)
_SAMPLE = "/var/log/x"  # stands for a name that is only known when it runs


def find(call: Call) -> None:
    """Tests and prints only; -exec of commands that look, or that read below searchable roots."""
    words = list(call.words)
    follows = False
    while words and words[0].value in ("-H", "-P", "-L"):
        follows |= words.pop(0).value == "-L"
    roots = _roots(words)
    del words[: len(roots)]
    for root in roots:
        call.scope.readable(root, content=False)
    while words:
        word = words.pop(0)
        if word.value in ("-exec", "-execdir"):
            if follows:
                raise No("-exec while links are followed", word.span, "leave -L out")
            _exec(call, roots, word, words)
        elif word.value in _VALUED:
            if not words:
                raise No(f"{word.value} needs a value", word.span)
            words.pop(0)
        elif word.value not in _PLAIN:
            raise No(f"find primary {word.value} is not on the list", word.span)
        else:
            follows |= word.value == "-follow"


def _roots(words: Sequence[Word]) -> list[Word]:
    roots: list[Word] = []
    for word in words:
        if word.value.startswith("-") or word.value in ("!", "(", ")", ","):
            break
        roots.append(word)
    return roots


def _exec(call: Call, roots: list[Word], at: Word, words: list[Word]) -> None:
    inner: list[Word] = []
    while words and not _ends(inner, words[0].value):
        inner.append(words.pop(0))
    if not words or not inner:
        raise No("-exec without its end", at.span, "end it with \\; or +")
    words.pop(0)
    name = inner[0].value
    reads = bool(roots) and all(searchable(call.scope.paths, root.value) for root in roots)
    if name not in _LOOKS and not (reads and name in _READS):
        raise No(f"find runs {name} on names that are not in the plan", inner[0].span)
    call.inner([_with(word, "{}", _SAMPLE) for word in inner])


def _ends(inner: list[Word], value: str) -> bool:
    """`;` ends, and `+` directly behind `{}`; elsewhere it is one more word."""
    return value == ";" or (value == "+" and bool(inner) and inner[-1].value == "{}")


def _with(word: Word, mark: str, sample: str) -> Word:
    return Word(word.value.replace(mark, sample), word.span, word.quoted) if mark else word


def xargs(call: Call) -> None:
    """Commands that only look at what they are given.

    What stands on the input becomes words, options too. So either nothing that could stand there does harm,
    or the input is what find prints, ended by NUL, or pids.
    """
    parsed = call.parse(_XARGS, stop=True)
    if not parsed.rest:
        raise No("xargs without a command", call.span)
    command = parsed.rest[0]
    name = command.value
    sample = _SAMPLE
    if name in _OF_PIDS and _pids(call.before):
        sample = "1234"
    elif (
        name in _LOOKS | _READS
        and first(parsed.seen, "-0", "--null") is not None
        and first(parsed.seen, "-d", "--delimiter") is None
    ):
        _named(call, command)
    elif name not in _HARMLESS:
        raise No(
            f"xargs runs {name} on words that are not in the plan",
            command.span,
            "find ... -print0 | xargs -0, or pgrep ... | xargs ps",
        )
    mark = first(parsed.seen, "-I", "--replace") or ""
    if "-I" in parsed.seen or "--replace" in parsed.seen:
        call.inner([_with(word, mark or "{}", sample) for word in parsed.rest])
    else:
        call.inner([*parsed.rest, Word(sample, command.span, False)])


def _pids(before: tuple[Argv, ...]) -> bool:
    """Say whether the input is pids and nothing else."""
    if not before or not _only_passes(before[1:]):
        return False
    producer = before[0]
    if producer[0] == "pgrep":
        return not any(re.match(r"-[a-zA-Z]*[alfd]|--list|--delim", word) for word in producer[1:])
    return producer[0] == "pidof" and not any(word.startswith("-d") for word in producer)


def _named(call: Call, command: Word) -> None:
    """Raise No unless the input is absolute names that find prints, ended by NUL."""
    before = call.before
    if not before or before[0][0] != "find" or len(before) > 1:
        raise No("xargs of something else than what find prints", command.span)
    argv = before[0]
    roots = _plain_roots(argv[1:])
    if "-print0" not in argv or {"-printf", "-ls", "-exec", "-print"} & set(argv):
        raise No("find prints something else than names", command.span, "find ... -print0")
    if not roots or not all(root.startswith("/") for root in roots):
        raise No("find starts at a relative directory", command.span, "name it from /")
    if command.value in _READS and not all(searchable(call.scope.paths, root) for root in roots):
        raise No(f"xargs runs {command.value} on files outside of log directories", command.span)


def _plain_roots(words: Sequence[str]) -> list[str]:
    roots: list[str] = []
    for word in words:
        if word.startswith("-") or word in ("!", "("):
            break
        roots.append(word)
    return roots


def _only_passes(stages: Iterable[Argv]) -> bool:
    return all(stage[0] in _PASSES for stage in stages)


def tar(call: Call) -> None:
    """Listing an archive, and nothing else."""
    words = list(call.words)
    # Old style: each letter that has a value takes a word of its own, so only the last may have one.
    if words and re.fullmatch(r"[tvzjJa]+f?", words[0].value):
        words[0] = Word("-" + words[0].value, words[0].span, words[0].quoted)
    parsed = call.parse(_TAR, words)
    if first(parsed.seen, "-t", "--list") is None:
        raise No("tar other than a listing", call.span, "use tar -t")
    if ":" in (first(parsed.seen, "-f", "--file") or ""):
        raise No("an archive on another host", call.span)
    for word in parsed.rest:
        call.scope.check("archive", word)
    if words and not words[0].value.startswith("-"):
        raise No("tar options that are not understood", words[0].span, "tar -tf")


def find_delete(call: Call) -> None:
    """Old files below the rule's roots, by age and by type or name; -delete last."""
    words = [word.value for word in call.words]
    if len(words) < 4 or words[-1] != "-delete":
        raise No("-delete must be last, after the tests", call.span)
    root = words[0]
    audit = call.scope.paths.audit_logs
    if normal(root) != root or not under(root, call.roots):
        raise No(f"{root} is not below {', '.join(call.roots)}", call.words[0].span)
    if root in call.need_name_under or matches(root, audit) or matches(root + "/x", audit):
        raise No(f"{root} holds what is kept for audit", call.words[0].span, "a directory below it")
    tests = _delete_tests(call, list(call.words[1:-1]))
    if "age" not in tests or not tests & {"type", "name"}:
        raise No("it wants an age, and a type or a name", call.span, "-type f -mtime +14 -delete")
    if under(root, call.need_name_under) and "name" not in tests:
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
        case "-name" | "-iname" if "/" not in value and value.strip("*?"):
            return "name"
        case "-mtime" if re.fullmatch(r"\+\d{1,4}", value) and int(value) >= min_age_days:
            return "age"
        case "-maxdepth" | "-mindepth" if value.isdigit():
            return "depth"
        case "-size" if re.fullmatch(r"\+\d{1,6}[kMG]", value):
            return "size"
    return ""
