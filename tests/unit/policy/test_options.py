from __future__ import annotations

import pytest

from sentinel.policy import grammar, options
from sentinel.policy.options import No, Reader, arguments, spec

USAGE = spec("-a -n=int -c?=int -# --all --count=int --when?=int --since=any -nv +x +i=int -in=any")


def check(kind, word):
    if kind == "int" and not word.value.isdigit():
        raise No(f"{word.value!r} is not of type int", word.span)


def read(text, *, single_dash=False, **how):
    (simple,) = grammar.parse("x " + text).commands
    parsed = Reader(USAGE, check, single_dash=single_dash).read(simple.argv[1:], **how)
    return parsed.seen, [word.value for word in parsed.rest]


@pytest.mark.parametrize(
    ("text", "seen", "rest"),
    [
        ("", {}, []),
        ("-a x -a y", {"-a": ""}, ["x", "y"]),
        ("-", {}, ["-"]),
        ("-n 5 -n6", {"-n": "6"}, []),
        ("-an 5", {"-a": "", "-n": "5"}, []),
        ("-an5 6", {"-a": "", "-n": "5"}, ["6"]),
        ("-c 5", {"-c": ""}, ["5"]),
        ("-c5", {"-c": "5"}, []),
        ("-ac", {"-a": "", "-c": ""}, []),
        ("-5", {"-#": "5"}, []),
        ("--all", {"--all": ""}, []),
        ("--count=5", {"--count": "5"}, []),
        ("--count 5 6", {"--count": "5"}, ["6"]),
        ("--when 5", {"--when": ""}, ["5"]),
        ("--when=5", {"--when": "5"}, []),
        ("--since=--all", {"--since": "--all"}, []),
        ("--since -a", {"--since": "-a"}, []),
        ("--since=", {"--since": ""}, []),
        ("-nv", {"-nv": ""}, []),
        ("+x", {}, ["+x"]),
    ],
)
def test_what_is_on_the_usage_line_is_read_as_the_program_reads_it(text, seen, rest):
    assert read(text) == (seen, rest)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("-b", "option -b is not on the rule's list"),
        ("-ab", "option -b (in -ab)"),
        ("--al", "option --al is not"),
        ("--all=1", "option --all takes no value"),
        ("--", "-- is not on the rule's list"),
        ("-n", "option -n needs a value"),
        ("--count", "option --count needs a value"),
        ("-n x", "not of type int"),
        ("-nx", "not of type int"),
        ("-n 1 -n x", "not of type int"),
        ("--count=x", "not of type int"),
        ("--when=x", "not of type int"),
        ("-cx", "not of type int"),
        ("-5a", "option -5 (in -5a)"),
        ("-a=1", "option -= (in -a=1)"),
        ("+y", ""),
    ],
)
def test_what_is_not_on_the_usage_line_is_refused(text, reason):
    if not reason:
        assert read(text) == ({}, [text])
        return
    with pytest.raises(No) as no:
        read(text)
    assert reason in no.value.reason
    assert no.value.span[0] >= 2


def test_the_first_operand_may_end_the_options():
    assert read("-a x -z", stop=True) == ({"-a": ""}, ["x", "-z"])
    assert read("-- -z", stop=True) == ({}, ["-z"])
    assert read("-a -- -z", dashes=True) == ({"-a": ""}, ["-z"])


def test_options_may_begin_with_a_plus():
    assert read("+xi5 a", plus=True) == ({"+x": "", "+i": "5"}, ["a"])
    with pytest.raises(No, match="not on the rule's list"):
        read("+y", plus=True)


def test_long_options_may_begin_with_one_dash():
    assert read("-in x -nv", single_dash=True) == ({"-in": "x", "-nv": ""}, [])
    assert read("-in=x", single_dash=True) == ({"-in": "x"}, [])
    for text, reason in [
        ("-an", "-an is not"),
        ("-inx", "-inx is not"),
        ("-nv=1", "-nv takes no value"),
    ]:
        with pytest.raises(No, match=reason):
            read(text, single_dash=True)


def test_a_refusal_names_what_may_be_carried():
    with pytest.raises(No) as no:
        read("-b")
    assert "--all" in no.value.allow_if
    with pytest.raises(No) as no:
        Reader({}, check).read(grammar.parse("x -b").commands[0].argv[1:])
    assert no.value.allow_if == "it may carry no option"


@pytest.mark.parametrize("term", ["a", "=int", "-a=", "-a=int=any?b c-d"])
def test_a_usage_line_that_is_none_is_refused(term):
    with pytest.raises(ValueError, match="is not an option"):
        spec(term)


def fit(terms, text):
    (simple,) = grammar.parse("x " + text).commands
    arguments(terms, simple.argv[1:], check, simple.span)


@pytest.mark.parametrize(
    ("terms", "text"),
    [
        ("", ""),
        ("int", "5"),
        ("any int", "a 5"),
        ("int?", ""),
        ("int?", "5"),
        ("int? any", "5 a"),
        ("int? any", "a"),
        ("int*", ""),
        ("int*", "1 2 3"),
        ("int+", "1"),
        ("int+", "1 2"),
        ("any", "-"),
        ("'on'|'off'", "off"),
        ("'on'|'off'? int", "5"),
    ],
)
def test_arguments_that_fit(terms, text):
    fit(terms, text)


@pytest.mark.parametrize(
    ("terms", "text", "reason"),
    [
        ("", "a", "argument 'a' is not expected"),
        ("int", "", "an argument is missing: int"),
        ("int", "5 6", "argument '6' is not expected"),
        ("int", "a", "not of type int"),
        ("int+", "", "an argument is missing"),
        ("int+", "1 a", "not of type int"),
        ("int*", "1 a", "not of type int"),
        ("int?", "a", "argument 'a' is not expected"),
        ("any", "-x", "may be an option"),
        ("any*", "a -x", "may be an option"),
        ("any?", "-x", "argument '-x' is not expected"),
        ("'on'|'off'", "of", "is not one of"),
        ("'-x'", "-x", "may be an option"),
    ],
)
def test_arguments_that_do_not_fit(terms, text, reason):
    with pytest.raises(No) as no:
        fit(terms, text)
    assert reason in no.value.reason


def test_a_type_may_be_optional_in_either_place():
    assert spec("-x?=int") == spec("-x=int?") == {"-x": options.Option("int", True)}
