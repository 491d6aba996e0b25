from __future__ import annotations

import pytest

from sentinel.policy import grammar
from sentinel.policy.grammar import Reject, argv_digest, parse


def argvs(text):
    return [[word.value for word in simple.argv] for simple in parse(text).commands]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("ls", [["ls"]]),
        ("  ls   -l  ", [["ls", "-l"]]),
        ("ls 'a b' \"c d\" e\\ f", [["ls", "a b", "c d", "e f"]]),
        ("l's' -\"l\"", [["ls", "-l"]]),
        ("ls ''", [["ls", ""]]),
        ('ls "a\\$b\\`c\\"d\\\\e\\f"', [["ls", 'a$b`c"d\\e\\f']]),
        ("ls 'a\\b$c`d\"e!'", [["ls", 'a\\b$c`d"e!']]),
        ("ls \\$x \\* \\; \\|", [["ls", "$x", "*", ";", "|"]]),
        ("a|b", [["a"], ["b"]]),
        ("a && b || c; d", [["a"], ["b"], ["c"], ["d"]]),
        ("a;", [["a"]]),
        ("ls {} a{}b", [["ls", "{}", "a{}b"]]),
        ("[ -d x ]", [["[", "-d", "x", "]"]]),
        ("ls a#b a~", [["ls", "a#b", "a~"]]),
        ("ls if x=1 -!", [["ls", "if", "x=1", "-!"]]),
        ("ls % ^ @ + , :", [["ls", "%", "^", "@", "+", ",", ":"]]),
        ("'if' x", [["if", "x"]]),
    ],
)
def test_what_is_accepted_means_what_it_says(text, found):
    assert argvs(text) == found


@pytest.mark.parametrize(
    ("text", "reason", "position"),
    [
        ("", "empty", 0),
        ("   ", "empty", 0),
        (";", "empty command", 0),
        ("a;;b", "operator ;;", 1),
        ("a; ;b", "empty command", 3),
        ("a |", "empty command", 3),
        ("| a", "empty command", 0),
        ("a && ", "empty command", 5),
        ("a || && b", "empty command", 5),
        ("a &", "background &", 2),
        ("a & b", "background &", 2),
        ("a |& b", "operator |&", 2),
        ("a ;& b", "operator ;&", 2),
        ("a\nb", "character U+000A", 1),
        ("a\x00", "character U+0000", 1),
        ("é", "character U+00E9", 0),
        ("a\x7f", "character U+007F", 1),
        ("a\r", "character U+000D", 1),
        ("a $x", "unquoted $", 2),
        ("a $(b)", "unquoted $", 2),
        ("a `b`", "unquoted `", 2),
        ("a (b)", "unquoted (", 2),
        ("a {b}", "unquoted {", 2),
        ("a }", "unquoted }", 2),
        ("a #b", "unquoted #", 2),
        ("#a", "unquoted #", 0),
        ("a ~", "unquoted ~", 2),
        ("a x=~", "unquoted ~", 4),
        ("a [b]", "glob [", 2),
        ("a '", "unterminated quote", 2),
        ('a "b', "unterminated quote", 2),
        ('a "$b"', "$ in double quotes", 3),
        ('a "`b`"', "` in double quotes", 3),
        ("a\tb", "character U+0009", 1),
        ("a \\", "trailing backslash", 2),
        ("x=1", "assignment", 0),
        ("x=1 a", "assignment", 0),
        ("x+=1 a", "assignment", 0),
        ("x[0]=1 a", "glob [", 1),
        ("'' a", "empty command name", 0),
        ("if a", "reserved word if", 0),
        ("! a", "reserved word !", 0),
        ("a; then b", "reserved word then", 3),
        ("time a", "reserved word time", 0),
        ("-a", "command name begins with -", 0),
        ("%1", "command name begins with %", 0),
        ("a > x", "redirection >", 2),
        ("a >", "redirection without a target", 2),
        ("a > | b", "redirection without a target", 2),
        ("a < x", "redirection <", 2),
        ("a <<E", "redirection <<", 2),
        ("a <<< b", "redirection <<<", 2),
        ("a <> /dev/null", "redirection <>", 2),
        ("a >| /dev/null", "redirection >|", 2),
        ("a <(b)", "unquoted )", 5),
        ("a 3>/dev/null", "redirection 3>", 2),
        ("a 2</dev/null", "redirection 2<", 2),
        ("a 3>&1", "redirection 3>&", 2),
        ("a 2>&3", "redirection 2>&", 2),
        ("a 2>&-", "redirection 2>&", 2),
        ("a >&/dev/null", "redirection >&", 2),
        ("a > '/dev/null'", "redirection >", 2),
        ("a &>> /dev/null", "redirection &>>", 2),
        ("a 0>/dev/null", "redirection 0>", 2),
    ],
)
def test_what_is_not_in_the_grammar_is_refused_with_its_place(text, reason, position):
    with pytest.raises(Reject) as reject:
        parse(text)
    assert reason in reject.value.reason
    assert reject.value.position == position


@pytest.mark.parametrize(
    ("text", "redirect"),
    [
        ("a 2>&1", (2, "dup", 1)),
        ("a >&2", (1, "dup", 2)),
        ("a 1>&2", (1, "dup", 2)),
        ("a >/dev/null", (1, ">", "/dev/null")),
        ("a 2> /dev/null", (2, ">", "/dev/null")),
        ("a >>/dev/null", (1, ">>", "/dev/null")),
        ("a &>/dev/null", (1, "&>", "/dev/null")),
        ("a </dev/null", (0, "<", "/dev/null")),
        ("a 0</dev/null", (0, "<", "/dev/null")),
    ],
)
def test_redirections(text, redirect):
    (found,) = parse(text).commands[0].redirects
    assert (found.fd, found.op, found.target) == redirect
    assert found.span == (2, len(text))


def test_bounds():
    parse("a" * grammar.MAX_CHARS)
    parse("a " * grammar.MAX_WORDS)
    parse("|".join("a" * grammar.MAX_STAGES))
    parse(";".join("a" * grammar.MAX_COMMANDS))
    for text, reason in [
        ("a" * (grammar.MAX_CHARS + 1), "characters"),
        ("a " * (grammar.MAX_WORDS + 1), "words"),
        ("|".join("a" * (grammar.MAX_STAGES + 1)), "stages"),
        (";".join("a" * (grammar.MAX_COMMANDS + 1)), "commands"),
    ]:
        with pytest.raises(Reject, match=f"more than .* {reason}|longer than .* {reason}"):
            parse(text)


def test_spans_are_those_of_the_text():
    text = "ls 'a b' 2>&1 | wc -l; df"
    tree = parse(text)
    assert [text[slice(*c.span)] for c in tree.commands] == ["ls 'a b' 2>&1", "wc -l", "df"]
    assert [text[slice(*w.span)] for w in tree.commands[0].argv] == ["ls", "'a b'"]
    assert [w.quoted for w in tree.commands[0].argv] == [False, True]
    assert text[slice(*tree.lists[0].span)] == "ls 'a b' 2>&1 | wc -l"


def test_the_digest_is_of_what_runs():
    same = ["ls -l | wc", "ls  '-l'|wc", '"ls" -l | wc']
    assert len({argv_digest(parse(each)) for each in same}) == 1
    other = [
        "ls -l | wc", "ls -l; wc", "ls -l && wc", "ls -l || wc", "ls -l wc", "ls '-l |' wc", "ls -l | wc 2>&1",
        "ls -l | wc >/dev/null", "ls -l | wc >>/dev/null", "ls -l | wc 2>/dev/null", "ls -l 2>&1 | wc", "ls | wc",
        "ls '' -l | wc", "ls -l | wc 1>&2", "ls -l | wc </dev/null", "ls -l | wc &>/dev/null",
    ]  # fmt: skip
    assert len({argv_digest(parse(each)) for each in other}) == len(other)
