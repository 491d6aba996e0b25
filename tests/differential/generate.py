"""Texts near the border of the grammar: made up from its pieces, or a known command changed a little."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path

from sentinel.policy import rules
from sentinel.policy.rulecheck import parse

GOLDEN = Path(__file__).parents[1] / "golden" / "policy"

_NAMES = ["ls", "df", "a", "b", "x1", "if", "!", "time", "in", "]", "exec", "cd", "/bin/ls", "./a"]
_REDIRECTS = [
    *("2>&1", "1>&2", ">&2", ">&1", "2>&2", "1>&1", ">/dev/null", "2>/dev/null", "1>/dev/null"),
    *("&>/dev/null", ">>/dev/null", "2>>/dev/null", "</dev/null", "0</dev/null", "2> /dev/null"),
    *("> /dev/null 2>&1", "2>&1 >/dev/null", "2&>/dev/null", "02>&1", "3>&1", "2>&1a", ">&2 2>&1"),
]
_OPERATORS = ["|", "|", "||", "&&", ";", ";", "&", "|&", ";;", "; ;", "&& &&", "\n"]
_QUOTED = ["a b", "|", ";", "$(a)", "\\", "", "#", "*", "`b`", "a=1", "{a,b}", "!", "<", "&&", "~"]
_IN_DOUBLE = [*"ab |;&(){}<>*?~#'", "\\a", '\\"', "\\\\", "\\$", "\\`", "\\n", "\\ ", "$", "!", "`"]
_PIECES = [
    *("{}", "[", "]", "=", "+=", "A=", "a~", "~", "~a", "if", "time", "!", "2", "1", "#", "^", "%"),
    *(
        "-",
        ",",
        "..",
        "{a",
        "a}",
        "{a,b}",
        "*",
        "?",
        "[a]",
        "$",
        "$a",
        "`",
        "(",
        ")",
        "\t",
        "A[0]=",
    ),
    *(
        "-n",
        "--",
        "{1..3}",
        "@",
        ":",
        "\x01",
        "é",
        "\u00a0",
        "\r",
        "\\\n",
        "a[",
        "x[1",
        "{}}",
        *("http://a?b", "https://a/[0]?", "http:/a?", ".a[0]", ".a[].b", ".[a]", "a[0]", ".a[0"),
        "~+",
    ),
    *(
        "$'a'",
        '$"a"',
        "<(",
        "<<<",
        "&",
        "!!",
        "!a",
        "=~",
        "a:~",
        "b=~",
        ":~/x",
        "a~b",
        "1~",
        "b+=~",
    ),
]
_OPEN = [
    *(
        "/t/*",
        "/t/a?",
        "/t/*.log",
        "/t/*/a1",
        "/t/*/*",
        "/t/.*",
        "/t/?/b*",
        "/t/*/",
        "/t/[a]*",
        "/t/z*",
    ),
    *("/t/a**", "/t/*'a'", "/t/*{}", "/t/*\\a", "/t/*#", "t/*", "a/*", "/t/*!", "/t/*]", "/t/a1*~"),
    *("$(pgrep a)", "$(pgrep -f a.b)", "$( pidof x )", "$(pidof  -s  a)", "$(pgrep a b=c @/x)"),
    *("$(pgrep)", "$(pgrep a|b)", "$(pgrep a)b", "a$(pgrep b)", "$(pgrep 'a')", "$(pgrep a;b)"),
    *(
        "$(pgrep a) ",
        "$(pgrep\ta)",
        "$(pgrep $a)",
        "$(ls a)",
        "$(pgrepx a)",
        "$(pgrep a",
        "$(pgrep a))",
    ),
]
_BEFORE = [
    *(
        "LC_ALL=C ",
        "LANG= ",
        "TZ=Europe/Paris ",
        "LC_ALL=C TZ=UTC ",
        "LC_ALL='C' ",
        "LC_ALL=C$a ",
        "LC_ALL+=C ",
    ),
    *(
        "COLUMNS=200 ",
        "PATH=/x ",
        "LC_ALL=~ ",
        "LC_ALL=a:~ ",
        "lc_all=C ",
        "LC_=C ",
        "LC_ALL =C ",
        "LC_ALL[0]=C ",
    ),
]
_SOUP = [
    *" " * 16,
    *_NAMES,
    *_REDIRECTS,
    *_OPERATORS,
    *_PIECES,
    *_OPEN,
    *_BEFORE,
    "'",
    "'",
    '"',
    '"',
    "\\",
    "\\",
]


def corpus() -> list[str]:
    """Return known commands: the golden ones and the examples in the shipped rule files."""
    found: list[str] = []
    for path in sorted(GOLDEN.glob("*.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            plain = json.loads(line)
            found += [plain[key] for key in ("cmd", "command", "text") if key in plain]
    for source in rules.shipped():
        file = parse(source)
        found += [text for rule in file.allow for text in (*rule.ok, *rule.no)]
        found += [text for rule in file.block for text in (*rule.hit, *rule.miss)]
    return sorted(set(found))


def texts(seed: int, known: list[str]) -> Iterator[str]:
    """Yield texts without end, the same ones for the same seed and the same known commands."""
    source = _Source(random.Random(seed))
    while True:
        kind = source.random.random()
        if kind < 0.6:
            yield source.line()
        elif kind < 0.75:
            yield source.soup()
        else:
            yield source.changed(source.random.choice(known))


class _Source:
    def __init__(self, randomness: random.Random):
        self.random = randomness

    def line(self) -> str:
        """Several commands, mostly within the grammar."""
        text = ""
        for _ in range(self.random.choice([1, 1, 1, 2, 2, 3, 4])):
            text += self.command() + self._blank()
            text += self.random.choice(_OPERATORS[:6] if self._in(0.9) else _OPERATORS)
            text += self._blank()
        if self._in(0.85):
            text = text.rstrip("|&;\n <>")
        return self.changed(text) if self._in(0.2) else text

    def command(self) -> str:
        """Return one command with arguments and redirections."""
        parts = [self.random.choice(_NAMES[:5]) if self._in(0.5) else self.word()]
        parts += [self.word() for _ in range(self.random.randint(0, 3))]
        for _ in range(self.random.choice([0, 0, 0, 1, 1, 2])):
            at = self.random.randint(0, len(parts))
            parts.insert(at, self.random.choice(_REDIRECTS[:-6] if self._in(0.9) else _REDIRECTS))
        before = self.random.choice(_BEFORE) if self._in(0.06) else ""
        return before + " ".join(parts)

    def word(self) -> str:
        """Return one word of plain, quoted and escaped parts, or an open one."""
        if self._in(0.06):
            return self.random.choice(_OPEN)
        return "".join(self._part() for _ in range(self.random.choice([1, 1, 1, 2, 2, 3])))

    def _part(self) -> str:
        kind = self.random.random()
        length = self.random.randint(0, 4)
        if kind < 0.45:
            return "".join(self.random.choices("ab1.-_/:,+@%=^]#!~A", k=length + 1))
        if kind < 0.6:
            return "'" + "".join(self.random.choices(_QUOTED, k=length)) + "'"
        if kind < 0.78:
            return '"' + "".join(self.random.choices(_IN_DOUBLE[:-3], k=length)) + '"'
        if kind < 0.9:
            return "\\" + self.random.choice("ab |;&$`\"'\\(){}<>*?[]~#!=-%")
        if kind < 0.96:
            return self.random.choice(["{}", "[", "=", "A=", "a~", "if", "time", "!", "2", "]"])
        return self.random.choice(_NAMES if self._in(0.5) else _PIECES)

    def soup(self) -> str:
        """Return pieces in any order."""
        return "".join(self.random.choices(_SOUP, k=self.random.randint(2, 14)))

    def changed(self, text: str) -> str:
        """Put a piece into `text`, take a character out, or swap two, up to three times."""
        for _ in range(self.random.randint(0, 3)):
            at = self.random.randint(0, len(text))
            kind = self.random.random()
            if kind < 0.4:
                text = text[:at] + self.random.choice(_SOUP) + text[at:]
            elif kind < 0.6:
                text = text[:at] + self._part() + text[at:]
            elif kind < 0.85:
                text = text[:at] + text[at + 1 :]
            else:
                text = text[:at] + text[at + 1 : at + 2] + text[at : at + 1] + text[at + 2 :]
        return text

    def _blank(self) -> str:
        return self.random.choice(["", " ", " ", "  "])

    def _in(self, share: float) -> bool:
        return self.random.random() < share
