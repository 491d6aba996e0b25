from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentinel.policy import scan as module
from sentinel.policy.scan import scan


def commands(text):
    return [" ".join(command.words) for command in scan(text).commands]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", []),
        ("ls -l", ["ls -l"]),
        ("a; b & c\nd", ["a", "b", "c", "d"]),
        ("a && b || c", ["a", "b", "c"]),
        ("a | b |& c", ["a", "b", "c"]),
        ("( a ); { b; }", ["a", "b"]),
        ("if a; then b; else c; fi", ["a", "b", "c"]),
        ("for i in x; do a; done", ["i in x", "a"]),
        ("! a", ["a"]),
        ("time a", ["a"]),
        ("f() { a; }", ["f", "a"]),
        ("X=1 a", ["a"]),
        ("X=1", []),
        ("'a' \"b\" \\c", ["a b c"]),
        ("a'b'\"c\"\\d", ["abcd"]),
        ("a ''", ["a "]),
        ("a 'b c'", ["a b c"]),
        ("a 'b", ["a b"]),
        ('a "b', ["a b"]),
        ('a "b\\"c\\d"', ['a b"c\\d']),
        ("a \\\n b", ["a  b"]),
        ("a # b; c", ["a"]),
        ("a # b\nc", ["a", "c"]),
        ("a#b", ["a#b"]),
        ("$'\\x72\\155' x", ["rm x"]),
        ("$'a\\nb'", ["a\nb"]),
        ("$'\\u0072'", ["r"]),
        ("$'\\U7fffffff'x", ["x"]),
        ("$'a\\'b' c", ["a'b c"]),
        ("$'\\'' b", ["' b"]),
        ("$'' b", [" b"]),
        ("a${IFS}b", ["a b"]),
        ("a$IFS''b", ["a b"]),
        ('a"$IFS"b', ["a$IFSb"]),
        ("x=rm; $x -r", ["rm -r"]),
        ("x='rm -r'; $x y", ["rm -r y"]),
        ("x='rm -r'; \"$x\" y", ["rm -r y"]),
        ("$y a", ["$y a"]),
        ("a $", ["a $"]),
        ("a {b,c}d", ["a bd cd"]),
        ("a '{b,c}'", ["a {b,c}"]),
        ("ls $(a b)", ["a b", "ls"]),
        ("ls `a b`", ["a b", "ls"]),
        ('ls "$(a)" "`b`"', ["a", "b", "ls  "]),
        ("ls '$(a)'", ["ls $(a)"]),
        ("ls $(a $(b))", ["b", "a", "ls"]),
        ("ls $(a ')' b)", ["a ) b", "ls"]),
        ("ls $(a", ["a", "ls"]),
        ("$(echo rm) x", ["echo rm", "rm x"]),
        ("$(printf rm) x", ["printf rm", "rm x"]),
        ("ls ${x:-$(a)}", ["a", "x:-", "ls $x"]),
        ("ls <(a) >(b)", ["a", "b", "ls  "]),
        ("a &> b", ["a"]),
        ("cat <<E\na\nE", ["cat", "a", "E"]),
    ],
)
def test_what_may_be_a_command_is_found(text, found):
    assert [each.rstrip() for each in commands(text)] == [each.rstrip() for each in found]


def test_pipelines_and_redirections():
    (first, second) = scan("a 2>x >>y <z | b <<< w; c &>v").pipelines
    assert [command.words for command in first] == [["a"], ["b"]]
    assert first[0].redirects == ["x", "y", "z"]
    assert first[1].stdin == "w"
    assert first[1].redirects == []
    assert second[0].redirects == ["v"]
    assert [len(pipeline) for pipeline in scan("a || b").pipelines] == [1, 1]


def test_a_number_before_a_redirection_is_no_word():
    (command,) = scan("a 2> x b 3").commands
    assert command.words == ["a", "b", "3"]
    (command,) = scan("a '2'> x").commands
    assert command.words == ["a", "2"]


def test_spans():
    text = "  aa b;  $(cc d) e"
    spans = {" ".join(c.words): text[slice(*c.span)] for c in scan(text).commands}
    assert spans == {"aa b": "aa b", "cc d": "cc d", " e": "$(cc d) e"}
    (command,) = scan("rm x", span=(5, 9)).commands
    assert command.span == (5, 9)


def test_the_commands_inside_of_a_command_are_its_own():
    outer = scan("a $(b $(c))").commands[-1]
    assert [inside.words[0] for inside in outer.inside] == ["c", "b"]


@pytest.mark.parametrize(
    "text",
    [
        "x=a;" + "x=$x$x " * 500,
        "x=" + "a" * 2000 + ";echo" + " $x" * 500,
        "x=" + "a" * 2000 + ";echo" + ' "$x"' * 400,
        "a" * 2000 + "{" + "b," * 1000 + "}",
        "{" + "b," * 1000 + "}" + "a" * 2000,
        "echo $(echo $(echo $(echo " + "a" * 3900 + ")))",
        "$(" * 20 + "a",
        "a;" * 2000,
    ],
)
def test_what_a_text_becomes_is_bounded_and_said(text):
    found = scan(text)
    made = sum(len(word) for command in found.commands for word in command.words)
    assert made <= module.MAX_CHARS * (module.MAX_DEPTH + 1) + module.MAX_EXPANDED
    assert len(found.pipelines) <= module.MAX_COMMANDS + 1
    assert not found.whole


def test_an_ordinary_text_is_seen_whole():
    assert scan("x=a; for i in {1,2}; do echo $x $(date) | tee ${y:-z}; done").whole
    assert scan("x=; " + "echo $x" * 500).whole
    assert scan("$(" * module.MAX_DEPTH + "a").whole


def test_no_more_than_the_first_characters_are_read():
    assert commands("a" * module.MAX_CHARS + "b") == ["a" * module.MAX_CHARS]


FRAGMENTS = st.sampled_from(
    [
        *"ab ;|&\n()'\"\\`$<>{},=#!~\t",
        "$(",
        "${",
        "$'",
        "<(",
        "<<",
        "<<<",
        "$x",
        "x=",
        "echo ",
        "$IFS",
    ]
)


@given(st.lists(FRAGMENTS, max_size=40).map("".join))
def test_any_text_is_read_and_every_span_is_in_it(text):
    found = scan(text)
    for command in found.commands:
        assert 0 <= command.span[0] <= command.span[1] <= len(text)
