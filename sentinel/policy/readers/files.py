"""find, xargs, tar: programs that walk, and that can run another. Pure."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Sequence

from sentinel.policy.grammar import Word
from sentinel.policy.options import No, spec
from sentinel.policy.paths import (
    LIVE,
    OPEN_TO_ALL,
    denied,
    matches,
    normal,
    searchable,
    under,
)
from sentinel.policy.readers.base import Argv, Call, names

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
_HARMLESS = names("ls stat basename dirname readlink realpath pwdx echo")
# Commands that only look, if the words they are given are names or numbers and no options.
_LOOKS = _HARMLESS | names("du file lsattr getfacl getcap namei")
# These open what they are given and show nothing of it. To open a device may act: a watchdog resets.
_OPENS = names("wc md5sum sha1sum sha256sum sha512sum")
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
    # -follow counts for the whole walk, wherever it stands.
    follows = any(word.value == "-follow" for word in words)
    while words and words[0].value in ("-H", "-P", "-L"):
        follows |= words.pop(0).value in ("-L", "-H")
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
    tests = [word.value for word in call.words if word.span < at.span]
    _may_run(call, inner[0], [root.value for root in roots], tests)
    call.inner([_with(word, "{}", _SAMPLE) for word in inner])


def _may_run(call: Call, command: Word, roots: Sequence[str], tests: Sequence[str]) -> None:
    """Raise No unless `command` may be given the names that find has below `roots` after its `tests`."""
    name = command.value
    if name in _LOOKS:
        return
    paths = call.scope.paths
    if name in _READS:
        known = all(searchable(paths, root) for root in roots)
    else:
        known = name in _OPENS and not any(
            denied(paths, root, content=True) or under(normal(root), LIVE) for root in roots
        )
    if not roots or not known:
        raise No(f"{name} of names that are not in the plan", command.span, "name a log directory")
    if not _plain_files(tests) and any(under(normal(root), OPEN_TO_ALL) for root in roots):
        raise No("anybody may put a link there", command.span, "add -type f in front")


def _plain_files(tests: Sequence[str]) -> bool:
    """Say whether all that passes find's `tests` is a plain file."""
    sure = not set(tests) & {"-o", "-or", "!", "-not", ","}
    return sure and any(pair == ("-type", "f") for pair in itertools.pairwise(tests))


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
        name in _LOOKS | _READS | _OPENS
        and {"-0", "--null"} & set(parsed.seen)
        and not {"-d", "--delimiter"} & set(parsed.seen)
    ):
        _named(call, command)
    elif name not in _HARMLESS:
        raise No(
            f"xargs runs {name} on words that are not in the plan",
            command.span,
            "find ... -print0 | xargs -0 with a command that only reads, or pgrep ... | xargs ps",
        )
    replaces = {"-I", "--replace"} & set(parsed.seen)
    counts = {"-n", "-L", "--max-args", "--max-lines"} & set(parsed.seen)
    if len(replaces) > 1 or (replaces and counts):
        raise No("two ways to place what xargs is given", call.span, "one -I, or one -n")
    if replaces:
        mark = parsed.seen[replaces.pop()]
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
    if "-print0" not in argv or any(_PRINTS.fullmatch(word) for word in argv):
        raise No("find prints something else than names", command.span, "find ... -print0")
    if "-follow" in argv:
        raise No("links are followed", command.span, "leave -follow out")
    if not roots or not all(root.startswith("/") for root in roots):
        raise No("find starts at a relative directory", command.span, "name it from /")
    _may_run(call, command, roots, argv[: argv.index("-print0")])


_PRINTS = re.compile(r"-(printf?|ls|fls|fprint.*|exec.*|ok.*)")


def _plain_roots(words: Sequence[str]) -> list[str]:
    roots: list[str] = []
    for word in words:
        if word.startswith("-") or word in ("!", "("):
            break
        roots.append(word)
    return roots


def _only_passes(stages: Iterable[Argv]) -> bool:
    """Say whether the stages pass on lines of their input: a file that they name would stand in its place."""
    return all(
        stage[0] in _PASSES and all(re.fullmatch(r"-[\w=-]*|\d+", word) for word in stage[1:])
        for stage in stages
    )


def tar(call: Call) -> None:
    """Listing an archive, and nothing else."""
    words = list(call.words)
    # Old style: each letter that has a value takes a word of its own, so only the last may have one.
    if words and re.fullmatch(r"[tvzjJa]+f?", words[0].value):
        words[0] = Word("-" + words[0].value, words[0].span, words[0].quoted)

    def archive(word: Word) -> None:
        call.scope.check("archive", word)
        if under(normal(word.value), LIVE):
            raise No("an archive on a device", word.span)

    # Of several archives tar opens the first.
    parsed = call.parse(_TAR, words, kinds={"archive": archive})
    if not {"-t", "--list"} & set(parsed.seen):
        raise No("tar other than a listing", call.span, "use tar -t")
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
        if not words:
            raise No(f"find primary {word.value} needs a value", word.span)
        value = words.pop(0)
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
