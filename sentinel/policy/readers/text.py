"""grep, jq, echo, test: programs whose words are patterns, expressions or plain text. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

from sentinel.policy.grammar import Word
from sentinel.policy.options import No, spec
from sentinel.policy.paths import OPEN_TO_ALL, normal, searchable, under
from sentinel.policy.readers.base import Call

_GREP = spec(
    "-i -v -c -l -L -n -H -h -o -w -x -q -s -a -E -F -P -G -r -R -m=nonneg -A=nonneg -B=nonneg -C=nonneg -# -e=any"
    " -b -Z -T -U -I -y -z --color?=word --colour?=word --ignore-case --no-ignore-case --count --invert-match"
    " --files-with-matches --files-without-match --line-number --only-matching --word-regexp --line-regexp"
    " --extended-regexp --fixed-strings --perl-regexp --basic-regexp --max-count=nonneg --after-context=nonneg"
    " --before-context=nonneg --context=nonneg --include=any --exclude=any --exclude-dir=any --regexp=any"
    " --no-filename --with-filename --quiet --silent --no-messages --binary-files=word --text --recursive"
    " --dereference-recursive --null --null-data --line-buffered --byte-offset --initial-tab"
)
# rg's -z runs decompressors found on PATH, --pre and --hostname-bin anything, -f reads patterns from a file.
_RG = spec(
    "-i -v -c -l -n -N -H -I -o -w -x -q -s -S -a -F -P -U -u -L -p -0 -b -A=nonneg -B=nonneg -C=nonneg -m=nonneg"
    " -M=nonneg -j=nonneg -d=nonneg -g=any -t=word -T=word -e=any -r=any -E=word --ignore-case --case-sensitive"
    " --smart-case --count --count-matches --files-with-matches --files-without-match --line-number --no-line-number"
    " --with-filename --no-filename --only-matching --word-regexp --line-regexp --quiet --text --fixed-strings --pcre2"
    " --multiline --unrestricted --hidden --no-ignore --follow --pretty --null --byte-offset --after-context=nonneg"
    " --before-context=nonneg --context=nonneg --max-count=nonneg --max-columns=nonneg --max-depth=nonneg --glob=any"
    " --iglob=any --type=word --type-not=word --regexp=any --replace=any --encoding=word --color=word --no-heading"
    " --heading --column --stats --sort=word --sortr=word --trim --vimgrep --json --no-messages --invert-match"
)
_DEEP = ("-r", "-R", "--recursive", "--dereference-recursive")
_TEST = re.compile(r"-([a-hknoprstuwxzGLNOS]|eq|ne|lt|le|gt|ge|nt|ot|ef|a|o)|-?\d+")
_JQ = spec(
    "-r -c -M -C -e -s -S -n -j -a -R --tab --indent=nonneg --raw-output --raw-input --compact-output --slurp --sort-keys"
    " --exit-status --null-input --join-output --ascii-output --monochrome-output --color-output --unbuffered --stream"
    " --seq --raw-output0"
)
_JQ_REFUSED = re.compile(
    r"\benv\b|\bENV\b|\$\s*__prog|\binclude\b|\bimport\b|input_filename|\bdebug\b|\bmodulemeta\b|\bget_search_list\b"
)


def grep(call: Call) -> None:
    """A pattern, and files that may be read; recursion only below roots of logs and configuration."""
    parsed = call.parse(_RG if call.name == "rg" else _GREP, dashes=True)
    named = "-e" in parsed.seen or "--regexp" in parsed.seen
    if not named and not parsed.rest:
        raise No("no pattern", call.span)
    files = parsed.rest if named else parsed.rest[1:]
    deep = call.name == "rg" or any(name in parsed.seen for name in _DEEP)
    for word in files:
        call.scope.readable(word, content=True)
        if deep and not searchable(call.scope.paths, word.value):
            raise No("recursive search outside of log and configuration directories", word.span)
    _linked(call, parsed.seen, files)
    if deep and not files and not (call.before and call.name == "rg"):
        raise No("recursive search of the working directory", call.span, "name a directory")


def _linked(call: Call, seen: dict[str, str], files: Sequence[Word]) -> None:
    """Refuse to follow links where anybody may put one."""
    follows = {"-L", "--follow"} if call.name == "rg" else {"-R", "--dereference-recursive"}
    for word in files:
        if follows & set(seen) and under(normal(word.value), OPEN_TO_ALL):
            raise No("links are followed where anybody may put one", word.span, "grep -r")


def text(call: Call) -> None:
    """Any words: the program only prints them, or not even that."""


def jq(call: Call) -> None:
    """A filter that computes, and files that may be read."""
    words: list[Word] = []
    rest = list(call.words)
    while rest:
        word = rest.pop(0)
        if word.value in ("--arg", "--argjson"):
            if len(rest) < 2:
                raise No(f"{word.value} needs a name and a value", word.span)
            del rest[:2]
            continue
        words.append(word)
        if word.value == "--indent" and rest:
            words.append(rest.pop(0))  # its value, whatever it looks like
    parsed = call.parse(_JQ, words)
    if not parsed.rest and call.before:
        return  # it prints what stands on its input
    if not parsed.rest:
        raise No("no filter", call.span)
    program, *files = parsed.rest
    if _JQ_REFUSED.search(program.value):
        raise No("the filter can read something else", program.span)
    for word in files:
        call.scope.readable(word, content=True)


def test(call: Call) -> None:
    """Comparisons and file tests, without what a shell's builtin would evaluate."""
    words = call.words
    if call.name == "[":
        if not words or words[-1].value != "]":
            raise No("[ without ]", call.span)
        words = words[:-1]
    for word in words:
        value = word.value
        if "[" in value or value in ("-v", "-R"):
            raise No("a subscript is evaluated", word.span)
        if value.startswith("-") and len(value) > 1 and not _TEST.fullmatch(value):
            raise No(f"test operator {value}", word.span)
