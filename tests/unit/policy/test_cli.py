from __future__ import annotations

import io
import json
import sys

import pytest

from sentinel import cli


def sentinel(*arguments):
    return cli.main(list(arguments))


@pytest.fixture
def given(monkeypatch):
    def give(text):
        data = text if isinstance(text, bytes) else text.encode()
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))

    return give


@pytest.mark.parametrize(
    ("command", "status", "words"),
    [
        ("df -h /var", 0, ["allow", "0-10", "ro.df"]),
        ("cat /etc/shadow", 10, ["review", "4-15", "/etc/shadow"]),
        ("rm -rf /", 20, ["block", "0-8", "never.rm.system"]),
    ],
)
def test_check_prints_verdict_span_and_rule_and_exits_accordingly(capsys, command, status, words):
    assert sentinel("check", command) == status
    said = capsys.readouterr().out
    for word in words:
        assert word in said


@pytest.mark.parametrize(
    "command", ["", " ", "# x", "\x00", "\u202els", "$(" * 10_000, "x" * (1 << 20), "ls \x1b[2J"]
)
def test_odd_input_is_never_allowed_and_never_printed_raw(capsys, command):
    assert sentinel("check", command) in (10, 20)
    assert all(c.isprintable() or c == "\n" for c in capsys.readouterr().out)


def test_jsonl_answers_each_line_in_order_even_a_bad_one(capsys, given):
    given('{"cmd": "ls"}\n{"cmd": 3}\nnot json\n[]\n{"cmd": "rm -rf /"}\n')
    assert sentinel("check", "--jsonl") == 0
    answers = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [answer["verdict"] for answer in answers] == [
        "allow", "review", "review", "review", "block",
    ]  # fmt: skip
    assert all(set(a) == {"cmd", "verdict", "rule", "reason", "spans"} for a in answers)
    assert answers[0]["cmd"] == "ls"
    assert answers[0]["spans"] == [[0, 2]]


def test_jsonl_survives_bytes_that_are_no_text(capsys, given):
    given(b'\xff\xfe\n{"cmd": "\\ud800"}\n' + b"[" * 100_000 + b"\n")
    assert sentinel("check", "--jsonl") == 0
    answers = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [answer["verdict"] for answer in answers] == ["review"] * 3


@pytest.mark.parametrize(
    ("text", "decision"),
    [
        ('{"tool_input": {"command": "df -h"}}', "allow"),
        ('{"tool_input": {"command": "make install"}}', "ask"),
        ('{"tool_input": {"command": "rm -rf /"}}', "deny"),
        ('{"tool_input": {}}', "ask"),
        ("nonsense", "ask"),
    ],
)
def test_a_hook_gets_a_decision_and_what_cannot_be_read_is_asked_about(
    capsys, given, text, decision
):
    given(text)
    assert sentinel("check", "--hook") == 0
    answer = json.loads(capsys.readouterr().out)["hookSpecificOutput"]
    assert answer["permissionDecision"] == decision
    assert answer["permissionDecisionReason"]


def test_a_context_names_what_may_be_signalled(capsys, tmp_path):
    context = tmp_path / "context.json"
    context.write_text('{"pids": [4321]}')
    assert sentinel("check", "kill -TERM 4321") == 10
    assert sentinel("check", "kill -TERM 4321", "--context", str(context)) == 0
    assert sentinel("check", "kill -TERM 4322", "--context", str(context)) == 10


def test_a_site_file_widens_by_its_sets_and_is_refused_by_its_examples(capsys, tmp_path):
    site = tmp_path / "site.toml"
    site.write_text('schema = 1\nlayer = "site"\nname = "s"\n[sets]\nunits = ["app"]\n')
    assert sentinel("check", "systemctl restart app") == 10
    assert sentinel("check", "systemctl restart app", "--policy", str(site)) == 0
    site.write_text(
        'schema = 1\nlayer = "site"\nname = "s"\n[[allow]]\nid = "s.x"\ncmd = "x"\nok = ["x -y"]\n'
    )
    assert sentinel("check", "x", "--policy", str(site)) == 2
    said = capsys.readouterr().err
    assert "site.toml: rule s.x: example 'x -y' is review" in said


def test_no_command_is_a_usage_error(capsys):
    assert sentinel("check") == 2
    assert "no command given" in capsys.readouterr().err


def test_explain_shows_the_tree_with_a_verdict_on_each_part(capsys):
    assert sentinel("explain", "df -h | xargs rm") == 10
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("? review")
    assert [line for line in lines if "✓ command" in line and "df -h" in line]
    assert [line for line in lines if "? word" in line and "rm" in line]
    assert sentinel("explain", "--json", "df -h") == 0
    assert json.loads(capsys.readouterr().out)["verdict"] == "allow"


def test_policy_diff_tells_which_commands_change(capsys, tmp_path):
    head = 'schema = 1\nlayer = "site"\nname = "s"\n'
    old, new, corpus = tmp_path / "old.toml", tmp_path / "new.toml", tmp_path / "corpus.jsonl"
    old.write_text(head)
    new.write_text(head + '[sets]\nunits = ["app"]\n')
    corpus.write_text('{"cmd": "systemctl restart app"}\n{"cmd": "df"}\n')
    assert sentinel("policy", "diff", str(old), str(new), "--corpus", str(corpus)) == 1
    said = capsys.readouterr().out
    assert "wider" in said
    assert "review -> allow  systemctl restart app" in said
    assert "1 commands change" in said


def test_policy_new_proposes_a_rule_that_loads(capsys, tmp_path):
    assert sentinel("policy", "new", "frobnicate --level 3 now") == 0
    proposal = capsys.readouterr().out
    site = tmp_path / "site.toml"
    site.write_text('schema = 1\nlayer = "site"\nname = "s"\n' + proposal)
    assert sentinel("check", "frobnicate --level 3 now", "--policy", str(site)) in (0, 2)


def test_policy_show_lists_the_rules_of_the_digest_in_force(capsys):
    assert sentinel("policy", "show") == 0
    digest = capsys.readouterr().out.strip()
    assert sentinel("policy", "show", digest) == 0
    assert "never.rm.system" in capsys.readouterr().out
    assert sentinel("policy", "show", "sha256:00") == 2
