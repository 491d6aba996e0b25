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
    assert "site.toml:7: rule s.x: `ok` example 'x -y' is review (unmatched): option -y" in said


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


@pytest.mark.parametrize(
    ("command", "context", "status"),
    [
        ("systemctl restart app", '{"units": ["app"]}', 0),
        ("systemctl restart app", '{"sets": {"units": ["app.service"]}}', 0),
        ("docker restart web", '{"sets": {"containers": ["web"]}}', 0),
        ("kill 4321", '{"pids": [4321], "own_pids": [4321]}', 10),
        ("frob", '{"groups": ["web", "db"]}', 0),
        ("frob", '{"groups": ["web"]}', 10),
        ("frobnicate", '{"role": "primary"}', 0),
        ("frobnicate", '{"role": "replica", "groups": ["primary"]}', 10),
        ("frob", "{}", 10),
    ],
)
def test_a_context_says_what_was_captured_and_what_the_host_is(tmp_path, command, context, status):
    site, file = tmp_path / "site.toml", tmp_path / "context.json"
    site.write_text(
        'schema = 1\nlayer = "site"\nname = "s"\n'
        '[[allow]]\nid = "s.frob"\ncmd = "frob"\ngroups = ["db"]\n'
        '[[allow]]\nid = "s.frobnicate"\ncmd = "frobnicate"\nroles = ["primary"]\n'
    )
    file.write_text(context)
    assert sentinel("check", command, "--policy", str(site), "--context", str(file)) == status


@pytest.mark.parametrize(
    "context", ["[]", "{", '{"pid": [1]}', '{"pids": ["1"]}', '{"role": 1}', "\xff"]
)
def test_a_context_that_is_none_is_refused_with_an_example_of_one(capsys, tmp_path, context):
    file = tmp_path / "context.json"
    file.write_text(context, encoding="latin-1")
    assert sentinel("check", "ls", "--context", str(file)) == 2
    assert sentinel("check", "ls", "--context", str(tmp_path)) == 2
    said = capsys.readouterr().err
    assert str(file) in said
    assert '{"pids": [4321], "units": ["app"]' in said


def test_what_the_gate_will_ask_for_is_told_in_one_line_where_the_command_is_allowed(
    capsys, tmp_path
):
    context = tmp_path / "context.json"
    context.write_text('{"units": ["app"]}')
    for command in ("check", "explain"):
        for text, times in {
            "systemctl restart app": 1,
            "systemctl restart db": 0,
            "df -h": 0,
        }.items():
            sentinel(command, text, "--context", str(context))
            assert capsys.readouterr().out.count("limit  ") == times
    sentinel("check", "systemctl restart app", "--context", str(context))
    assert "limit  fix.systemd.restart: at most 3 an hour, 120 s after" in capsys.readouterr().out
