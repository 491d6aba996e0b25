"""On which line of a rule file something stands: what tomllib does not say. Pure.

For error messages only, and for a text that is TOML: strings and comments are stepped over as a whole,
so that what looks like a key inside of one is none.
"""

from __future__ import annotations

import re

_TOKEN = re.compile(
    r'"""(?:\\.|[^\\])*?"""(?:"{0,2})'
    r"|'''.*?'''(?:'{0,2})"
    r'|"(?P<basic>(?:\\.|[^"\\\n])*)"'
    r"|'(?P<literal>[^'\n]*)'"
    r"|\#[^\n]*"
    r"|^[ \t]*\[\[?[ \t]*(?P<table>[\w.-]+)[ \t]*\]"
    r"|^[ \t]*(?P<key>[\w-]+)[ \t]*=",
    re.DOTALL | re.MULTILINE,
)
_Section = tuple[str, int]  # a table's name, and how many of that name stand before it


class Lines:
    """The lines of the tables, the keys and the rules of one rule file."""

    def __init__(self, text: str) -> None:
        """Read `text` once."""
        self._lines: dict[tuple[_Section, str], int] = {(("", 0), ""): 1}
        self._rules: dict[str, list[_Section]] = {}
        count: dict[str, int] = {}
        section, key, line, at = ("", 0), "", 1, 0
        for found in _TOKEN.finditer(text):
            # A key's own white space may hold no line feed, a string before it may.
            line += text.count("\n", at, found.start())
            at = found.start()
            if found["table"] is not None:
                name = found["table"]
                section, key = (name, count.get(name, 0)), ""
                count[name] = section[1] + 1
                self._lines[section, ""] = line
            elif found["key"] is not None:
                key = found["key"]
                self._lines.setdefault((section, key), line)
            elif key == "id" and (said := found["basic"] or found["literal"]):
                self._rules.setdefault(said, []).append(section)
                key = ""

    def of(self, table: str, number: int = 0, key: str = "") -> int:
        """Return the line of a key of the `number`th table of that name, or else of the table; 0: unknown."""
        section = (table, number)
        return self._lines.get((section, key)) or self._lines.get((section, ""), 0)

    def of_file(self, key: str) -> int:
        """Return the line of a table, or of a key before the first one; the first line where there is none."""
        return self._lines.get(((key, 0), "")) or self.of("", 0, key)

    def of_rule(self, rule: str, key: str = "id", *, last: bool = False) -> int:
        """Return the line of a key of the rule with that id, or else of its id; 0: unknown.

        `last`: of the last rule of that id, where it is there more than once.
        """
        sections = self._rules.get(rule)
        if not sections:
            return 0
        section = sections[-1 if last else 0]
        return self._lines.get((section, key)) or self._lines.get((section, "id"), 0)
