"""grep, awk, sed, test: programs whose argument is a program. Pure."""

from __future__ import annotations

import re

from sentinel.policy.grammar import Word
from sentinel.policy.options import No, spec
from sentinel.policy.readers.base import Call

_GREP = spec(
    "-i -v -c -l -L -n -H -h -o -w -x -q -s -a -E -F -P -G -r -R -m=int -A=int -B=int -C=int -# -e=any"
    " -b -Z -T -U -I -y -g=any -t=any -S -N -p -u --color?=word --colour?=word --ignore-case"
    " --count --invert-match --files-with-matches --files-without-match --line-number --only-matching"
    " --word-regexp --line-regexp --extended-regexp --fixed-strings --perl-regexp --basic-regexp"
    " --max-count=int --after-context=int --before-context=int --context=int --include=any"
    " --exclude=any --exclude-dir=any --regexp=any --no-filename --with-filename --quiet --silent"
    " --no-messages --binary-files=word --text --recursive --null --line-buffered --hidden --no-ignore"
    " --glob=any --type=any --byte-offset --no-ignore-case --smart-case --no-heading --heading"
    " --column --no-line-number --stats --sort=word --max-depth=int"
)
# rg's -z runs decompressors found on PATH; grep's only splits at NUL.
_PLAIN_GREP = _GREP | spec("-z --null-data")
_SEARCH_ROOTS = ("/etc/nginx", "/etc/systemd", "/opt", "/srv", "/usr/share")
_AWK = spec("-F=any -v=any --field-separator=any --assign=any -b -n -O -S --sandbox --posix")
_SED = spec(
    "-n -e=any -E -r -s -u -z --quiet --silent --expression=any --regexp-extended --null-data --sandbox"
    " --posix -l=int --unbuffered --separate"
)
_TEST = re.compile(r"-([a-hknoprstuwxzGLNOS]|eq|ne|lt|le|gt|ge|nt|ot|ef|a|o)|-?\d+")


def grep(call: Call) -> None:
    """A pattern, and files that may be read; recursion only below roots of logs and configuration."""
    parsed = call.parse(_GREP if call.name == "rg" else _PLAIN_GREP)
    named = "-e" in parsed.seen or "--regexp" in parsed.seen
    if not named and not parsed.rest:
        raise No("no pattern", call.span)
    files = parsed.rest if named else parsed.rest[1:]
    deep = call.name == "rg" or any(name in parsed.seen for name in ("-r", "-R", "--recursive"))
    roots = call.scope.paths.content_roots + _SEARCH_ROOTS
    for word in files:
        call.scope.readable(word, content=True)
        if deep and not call.scope.under(word.value, roots):
            raise No("recursive search outside of log and configuration roots", word.span)
    if deep and not files and not call.piped:
        raise No("recursive search of the working directory", call.span, "name a directory")


def awk(call: Call) -> None:
    """A program that only computes and prints, and files that may be read."""
    parsed = call.parse(_AWK, stop=True)
    if not parsed.rest:
        raise No("no program", call.span)
    program, *files = parsed.rest
    _check_awk(program)
    for word in files:
        if not re.fullmatch(r"[A-Za-z_]\w*=.*", word.value):
            call.scope.readable(word, content=True)


def _check_awk(program: Word) -> None:
    code = re.sub(r'"(?:[^"\\]|\\.)*"', '""', program.value)
    code = re.sub(r"(^|[\s(,!~&|{;])/(?:[^/\\\n]|\\.)*/", r"\1//", code)
    if re.search(
        r"\b(system|getline|close|fflush|ENVIRON|PROCINFO|SYMTAB|ARGV|ARGC)\b|@|\|&", code
    ):
        raise No("the awk program can execute or read something else", program.span)
    if re.search(r"(?<!\|)\|(?!\|)|>>", code) or re.search(r"\bprintf?\b[^;}\n]*>", code):
        raise No("the awk program writes to a file or a pipe", program.span)
    if re.search(r"while\s*\(\s*1?\s*\)|for\s*\(\s*;\s*;|\bdo\b", code):
        raise No("the awk program may never end", program.span)


def sed(call: Call) -> None:
    """Scripts that neither write nor execute, and files that may be read."""
    parsed = call.parse(_SED)
    scripts = [word for word, _ in _valued(call.words)]
    files = list(parsed.rest)
    if not scripts:
        if not files:
            raise No("no script", call.span)
        scripts = [files.pop(0)]
    for script in scripts:
        _check_sed(script)
    for word in files:
        call.scope.readable(word, content=True)


def _valued(words: tuple[Word, ...]) -> list[tuple[Word, str]]:
    """Return the scripts given with -e or --expression; clusters such as -ne take the next word."""
    found: list[tuple[Word, str]] = []
    for at, word in enumerate(words):
        text = word.value
        if text.startswith("--expression="):
            script = Word(text.partition("=")[2], word.span, word.quoted)
            found.append((script, text))
        elif text == "--expression" or re.fullmatch(r"-[nErsuz]*e", text):
            if at + 1 < len(words):
                found.append((words[at + 1], text))
        elif re.match(r"-[nErsuz]*e.", text) and not text.startswith("--"):
            found.append((Word(text.partition("e")[2], word.span, word.quoted), text))
    return found


_ADDRESS = r"(?:\d+(?:~\d+)?|\$|/(?:[^/\\]|\\.)*/I?M?)"
_SED_ADDRESS = re.compile(rf"{_ADDRESS}(?:\s*,\s*(?:{_ADDRESS}|[+~]\d+))?\s*!?\s*")


def _check_sed(script: Word) -> None:
    text = script.value
    at = 0
    while at < len(text):
        if text[at] in " ;\n\t{}":
            at += 1
            continue
        address = _SED_ADDRESS.match(text, at)
        at = address.end() if address else at
        if at >= len(text):
            raise No("sed: an address without a command", script.span)
        at = _sed_command(script, at)


def _sed_command(script: Word, at: int) -> int:
    """Return the position behind the command at `at`; only commands that print, delete and edit."""
    text, letter = script.value, script.value[at]
    if letter in "pPdDgGhHnNxlq=QFz":
        found = re.compile(r"\s*\d*").match(text, at + 1)
        return found.end() if found else at + 1
    if letter in "{}!":
        return at + 1
    if letter in ":btT":
        label = re.compile(r"[^;\n}]*").match(text, at + 1)
        return label.end() if label else at + 1
    if letter in "sy":
        return _sed_substitute(script, at)
    raise No(f"sed command {letter!r} can write or execute", script.span, "use p, d, s, y, q, =")


def _sed_substitute(script: Word, start: int) -> int:
    text = script.value
    mark = text[start + 1 : start + 2]
    if not mark or mark in "\\\n":
        raise No("sed: no delimiter", script.span)
    at, marks = start + 2, 0
    while at < len(text) and marks < 2:
        if text[at] == "\\":
            at += 1
        elif text[at] == mark:
            marks += 1
        at += 1
    if marks < 2:
        raise No("sed: unterminated s", script.span)
    flags = re.compile(r"[gpiIM0-9]*").match(text, at)
    at = flags.end() if flags else at
    if at < len(text) and text[at] not in " ;\n}\t":
        raise No(f"sed flag {text[at]!r} can write or execute", script.span)
    return at


def test(call: Call) -> None:
    """Comparisons and file tests, without what a shell's builtin would evaluate."""
    words = call.words
    if call.name == "[":
        if not words or words[-1].value != "]":
            raise No("[ without ]", call.span)
        words = words[:-1]
    for word in words:
        text = word.value
        if "[" in text or text in ("-v", "-R"):
            raise No("a subscript is evaluated", word.span)
        if text.startswith("-") and len(text) > 1 and not _TEST.fullmatch(text):
            raise No(f"test operator {text}", word.span)
