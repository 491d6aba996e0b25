from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentinel import canonical
from sentinel.domain import (
    Command,
    Context,
    Diagnosis,
    Metric,
    Plan,
    Process,
    Recovery,
    Verdict,
)
from sentinel.policy import grammar, rules, validate
from sentinel.policy.validate import Facts

ALLOW, REVIEW, BLOCK = Verdict.ALLOW, Verdict.REVIEW, Verdict.BLOCK
ORDER = [ALLOW, REVIEW, BLOCK]
GOOD = ["ls -l /var/log", "ps aux", "df -h", "free -m", "journalctl -u nginx -n 5", "uptime"]
# Not the fixture: Hypothesis would print it whole beside a counter-example.
SHIPPED = rules.load(examples=False)
CHARS = st.text(
    alphabet=" \t\n'\"\\$`(){}[]<>|&;#*?~!=:-/.,_aeilmnrst0123456789\x00\u202e", max_size=60
)


def plan(*texts):
    return Plan(
        incident="i", event="e", revision=1, host="web1", author="playbook", engine="playbook:x",
        created_ms=0, diagnosis=Diagnosis(summary="s", confidence_pct=50),
        commands=tuple(Command(text=text) for text in texts),
        recovery=Recovery(metric=Metric.MEMORY_USED, subject="", clear_below=1, clear_for_ms=1, deadline_ms=1000),
    )  # fmt: skip


def judged(policy, *texts, facts=validate.NO_FACTS):
    made = plan(*texts)
    return validate.judge_plan(policy, made, canonical.digest_of(made), facts)


def test_the_worst_of_nothing_is_block():
    assert validate.worst([]) is BLOCK


def test_an_empty_plan_is_block(policy):
    assert judged(policy).verdict is BLOCK


@pytest.mark.parametrize(
    ("texts", "verdict"),
    [(["ls", "ps aux"], ALLOW), (["ls", "vi x"], REVIEW), (["ls", "rm -rf /", "vi x"], BLOCK)],
)
def test_a_plan_is_as_bad_as_its_worst_command(policy, texts, verdict):
    found = judged(policy, *texts)
    assert found.verdict is verdict
    assert found.policy == policy.digest


@pytest.mark.parametrize(
    "text", ["kill 4321", "kill -TERM 4321", "kill -s TERM 4321", "kill -15 4321"]
)
def test_a_captured_process_may_be_asked_to_end(verdict, text):
    assert verdict(text, pids=frozenset({4321})) is ALLOW
    assert verdict(text) is REVIEW
    assert verdict(text, pids=frozenset({4321}), own_pids=frozenset({4321})) is REVIEW


@pytest.mark.parametrize(
    "text", ["kill -9 4321", "kill -KILL 4321", "kill -TERM 4321 99", "kill -- -4321"]
)
def test_no_other_signal_and_no_other_process(verdict, text):
    assert verdict(text, pids=frozenset({4321})) is not ALLOW


def test_init_is_no_target_even_if_captured(verdict):
    assert verdict("kill 1", pids=frozenset({1})) is BLOCK


def test_the_pids_of_the_facts_are_those_of_the_context():
    context = Context(captured_ms=1, processes=(Process(pid=7, start_ticks=1, name="x"),))
    assert validate.facts_of(context, own_pids=frozenset({3})) == Facts(
        pids=frozenset({7}), own_pids=frozenset({3}), captured=True
    )


@pytest.mark.parametrize(
    "text", ["ps -o pid,rss,args -p 12", "free -m", "df -h", "cat /proc/12/status"]
)
def test_a_diagnostic_changes_nothing_and_says_so(policy, text):
    found = validate.judge(policy, text)
    assert found.verdict is ALLOW
    assert not found.changes
    assert found.argv_digest == grammar.argv_digest(grammar.parse(text))


def test_a_remedy_says_that_it_changes_something(policy):
    found = validate.judge(policy, "systemctl restart nginx && uptime")
    assert found.verdict is ALLOW
    assert found.changes


def test_a_refusal_names_the_word_and_what_would_be_allowed(policy):
    (finding,) = validate.judge(policy, "sort -o /var/log/syslog").findings
    assert finding.verdict is REVIEW
    assert "sort -o /var/log/syslog"[slice(*finding.span)] == "-o"
    assert "-n" in finding.allow_if
    assert finding.argv == ("sort", "-o", "/var/log/syslog")


def test_what_never_ends_is_allowed_inside_of_timeout(policy):
    (finding,) = validate.judge(policy, "tail -f /var/log/syslog").findings
    assert (finding.reason, finding.allow_if) == ("it never ends by itself", "timeout 10 ...")
    assert validate.judge(policy, "nice timeout 5 tail -f /var/log/syslog").verdict is ALLOW
    assert validate.judge(policy, "timeout 0 tail -f /var/log/syslog").verdict is REVIEW
    assert validate.judge(policy, "timeout -s CONT 5 tail -f /var/log/syslog").verdict is REVIEW


def test_every_node_of_the_tree_points_into_the_text(policy):
    text = "ls -l 'a b' | wc -l && df -h 2>/dev/null; rm x"
    tree = validate.judge(policy, text).tree
    assert [node.kind for node in tree if node.depth == 0] == ["list ;"]
    assert all(text[slice(*node.span)] == node.text for node in tree)
    assert {node.text: node.verdict for node in tree if node.kind == "command"} == {
        "ls -l 'a b'": ALLOW, "wc -l": ALLOW, "df -h 2>/dev/null": ALLOW, "rm x": REVIEW,
    }  # fmt: skip


def test_what_the_grammar_refuses_is_shown_as_another_parser_sees_it(policy):
    tree = validate.judge(policy, "ls $(rm -rf /)").tree
    assert tree[0].kind == "not in the grammar"
    assert "commandsubstitution" in {node.kind for node in tree}
    assert tree[0].verdict is BLOCK


@pytest.mark.parametrize(
    "text",
    ["", " ", "\t", "\n", "# rm", "\x00", "ls\x00", "\udcff", "ls \u202e", "ls\u00a0-l", "ls \x1b[2J", "$(" * 10_000,
     "(" * 10_000, "a;" * 5_000, "x" * (1 << 20), "'" * 999, "ls " + "-l " * 500, "ls|" * 9 + "ls", "ls;" * 20,
     "%1", "-c ls", "=x", "~", "!", "&", "|", ";", "ls ;; ls", "ls &", "> x", "[", "]", "\\", "ls \\"],
)  # fmt: skip
def test_odd_input_is_an_answer_and_never_allow(verdict, text):
    assert verdict(text) in (REVIEW, BLOCK)


@given(text=CHARS)
def test_the_judgement_is_total_and_always_the_same(text):
    first = validate.judge(SHIPPED, text)
    assert first == validate.judge(SHIPPED, text)
    assert (first.verdict is ALLOW) <= (first.argv_digest is not None)
    assert first.findings


@given(
    before=st.sampled_from(GOOD),
    operator=st.sampled_from([" ; ", " && ", " || ", " | ", "\n", " & "]),
    text=CHARS,
)
def test_adding_a_command_never_weakens_a_verdict(before, operator, text):
    worse = ORDER.index(validate.judge(SHIPPED, before + operator + text).verdict)
    try:
        grammar.parse(text)
    except grammar.Reject:
        assert worse >= 1 or not text.strip()
        return
    assert worse >= ORDER.index(validate.judge(SHIPPED, before).verdict)
    assert worse > 0 or validate.judge(SHIPPED, text).verdict is ALLOW or operator == " | "


@given(
    text=st.sampled_from([*GOOD, "kill -TERM 4321"]),
    at=st.integers(0, 40),
    char=st.characters(min_codepoint=1, max_codepoint=0x2100),
)
def test_one_changed_character_is_not_allowed_or_another_digest(text, at, char):
    at %= len(text)
    changed = text[:at] + char + text[at + 1 :]
    facts = Facts(pids=frozenset({4321}))
    found = validate.judge(SHIPPED, changed, facts)
    if found.verdict is ALLOW and changed != text:
        same = found.argv_digest == validate.judge(SHIPPED, text, facts).argv_digest
        assert not same or changed.split() == text.split()


def test_the_tree_that_people_see_nests_as_the_command_does(policy):
    text = "LC_ALL=C ls /tmp/* | wc -l && df; uptime 2>&1"
    shown = validate.judge(policy, text).tree
    assert [f"{'  ' * node.depth}{node.kind}" for node in shown] == [
        "list ;",
        "  list &&",
        "    pipeline",
        "      command",
        "        assignment",
        "        word",
        "        glob",
        "      command",
        "        word",
        "        word",
        "    command",
        "      word",
        "  command",
        "    word",
        "    redirect",
    ]
    assert shown[6].text == "/tmp/*"
