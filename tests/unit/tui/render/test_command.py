"""A command on the screen: markers under the right cells, a tree that folds, a reason for everything."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from sentinel.domain import Finding, Judgement, Node, Verdict
from sentinel.tui.line import Tone, plain, width
from sentinel.tui.render import command as render

A, R, B = Verdict.ALLOW, Verdict.REVIEW, Verdict.BLOCK


def judgement(*findings, tree=()):
    found = tuple(
        Finding(verdict=v, span=span, rule=rule, reason="why", allow_if=allow_if)
        for v, span, rule, allow_if in findings
    )
    return Judgement(verdict=R, findings=found, tree=tuple(tree))


def shown(command, judged, cells=40):
    return [plain(of) for of in render.source(command, judged, cells)]


def purge(recording):
    incident = next(
        r.incident for r in recording.incidents if r.incident.summary.host == "node-017"
    )
    return incident.plan.commands[2].text, incident.judgement.commands[2]


def test_what_is_allowed_has_no_marker_line():
    assert shown("free -m", judgement((A, (0, 7), "ro", ""))) == ["free -m"]


def test_the_worst_finding_on_a_character_is_the_one_that_marks_it():
    judged = judgement((R, (0, 6), "r", ""), (B, (3, 6), "b", ""), (A, (0, 9), "a", ""))
    assert shown("abcdefghi", judged) == ["abcdefghi", "~~~^^^   "]


def test_markers_stand_under_their_words_after_a_line_break():
    command = "one two three four"
    judged = judgement((B, (8, 13), "b", ""))
    assert shown(command, judged, cells=9) == ["one two ", "three ", "^^^^^ ", "four"]


def test_an_escaped_character_is_as_wide_in_the_marker_line_as_in_the_source():
    lines = shown("a\x1bb rm", judgement((B, (4, 6), "b", "")))
    assert lines == ["a\\x1bb rm", " ~~~~  ^^"]


def test_a_character_that_may_be_taken_for_another_is_marked_though_it_is_allowed():
    command = "cаt x"  # the second letter is Cyrillic
    assert shown(command, judgement((A, (0, 5), "a", ""))) == ["cаt x", " ~   "]
    assert [plain(of) for of in render.strange(command, 60)] == [
        "holds U+0430 CYRILLIC SMALL LETTER A"
    ]


def test_spans_beyond_the_command_do_no_harm():
    assert shown("ab", judgement((B, (1, 99), "b", ""))) == ["ab", " ^"]


@given(
    st.text(min_size=1, max_size=200),
    st.integers(10, 80),
    st.tuples(st.integers(0, 99), st.integers(0, 99)),
)
def test_source_and_marker_lines_fit_whatever_the_command(command, cells, span):
    for of in render.source(command, judgement((B, span, "b", "")), cells):
        assert (
            width(of) <= max(cells, 8) + 6
        )  # a single escaped character may be wider than the room
        assert plain(of).isprintable()


def test_the_node_under_the_cursor_is_underlined_in_the_source():
    (of,) = render.source("free -m", judgement(), 40, here=(5, 7))
    assert next(piece for piece in of if piece.tone is Tone.HERE).text == "-m"


def tree(*nodes):
    return tuple(
        Node(depth=d, kind=k, span=(0, 1), text=t, verdict=v, rule="", reason="")
        for d, k, t, v in nodes
    )


NODES = tree(
    (0, "list", "all", B),
    (1, "command", "ls -l", A),
    (2, "word", "ls", A),
    (2, "word", "-l", A),
    (1, "pipeline", "x | y", B),
    (2, "command", "x", A),
    (2, "command", "y", B),
    (3, "word", "y", B),
)


def guides(folded=()):
    return [
        f"{b.guide}{NODES[b.at].text}" + (f" +{b.folded}" if b.folded else "")
        for b in render.branches(NODES, folded)
    ]


def test_guides_lead_to_their_nodes():
    assert guides() == [
        "all",
        "├─ ls -l",
        "│  ├─ ls",
        "│  └─ -l",
        "└─ x | y",
        "   ├─ x",
        "   └─ y",
        "      └─ y",
    ]


def test_a_command_whose_every_part_is_allowed_is_folded_at_first():
    assert render.folded_first(NODES) == {1}
    assert guides({1})[:3] == ["all", "├─ ls -l +2", "└─ x | y"]


def test_a_folded_root_is_one_row():
    assert guides({0}) == ["all +7"]


def test_a_row_says_sign_word_and_rule(recording):
    _, judged = purge(recording)
    rows = [
        plain(render.branch_line(judged.tree[b.at], b, 78))
        for b in render.branches(judged.tree, render.folded_first(judged.tree))
    ]
    assert rows[0].startswith("✗ list && ")
    assert rows[0].split()[-2:] == ["BLOCK", "never.audit.logs"]
    assert any(row.startswith("│  ├─ ✓ command +7  find /var/log") for row in rows)
    assert any("? rm " in row and "REVIEW unmatched" in row for row in rows)
    assert all(len(row) <= 78 for row in rows)


def test_the_explanation_says_why_and_what_would_make_it_allowed(recording):
    command, judged = purge(recording)
    node = next(n for n in judged.tree if n.text == "rsyslog")
    lines = [plain(of) for of in render.explanation(command, node, judged, 78)]
    assert lines[0].startswith("? REVIEW  unmatched  word, characters 86–93")
    assert lines[1] == "  rsyslog is not in the site's set `units`"
    assert lines[2].startswith("  allowed if: ")


def test_a_part_with_nothing_against_it_says_so(recording):
    command, judged = purge(recording)
    node = next(n for n in judged.tree if n.text == "xargs")
    (head, *_) = render.explanation(command, node, judged, 78)
    assert plain(head).startswith("✓ allow  no finding of its own")


def test_the_worst_findings_come_first_each_thing_said_once(recording):
    _, judged = purge(recording)
    twice = msgspec.structs.replace(judged, findings=judged.findings + judged.findings)
    found = render.worst_findings(twice)
    assert [f.verdict for f in found] == [B, R, R, R]
    assert found[0].rule == "never.audit.logs"


def test_the_limits_of_the_rule_are_told_at_its_part_and_at_the_whole(recording):
    incident = next(r.incident for r in recording.incidents if r.incident.summary.host == "db-01")
    said = "  limit fix.kill.term  at most 4 in a plan, at most 20 an hour"
    for number, limited in ((0, False), (1, True)):
        command, judged = incident.plan.commands[number], incident.judgement.commands[number]
        for node in judged.tree:
            lines = [plain(of) for of in render.explanation(command.text, node, judged, 79)]
            assert (said in lines) is limited
