"""`sentinel policy`: what the author of rules is told."""

from __future__ import annotations

import pytest

from sentinel import cli
from sentinel.policy import rules

HEAD = 'schema = 1\nlayer = "site"\nname = "s"\n'


def sentinel(*arguments):
    return cli.main(list(map(str, arguments)))


def test_policy_diff_tells_which_commands_change(capsys, tmp_path):
    old, new, corpus = tmp_path / "old.toml", tmp_path / "new.toml", tmp_path / "corpus.jsonl"
    old.write_text(HEAD)
    new.write_text(HEAD + '[sets]\nunits = ["app"]\n')
    corpus.write_text('{"cmd": "systemctl restart app"}\n{"cmd": "df"}\n')
    assert sentinel("policy", "diff", old, new, "--corpus", corpus) == 1
    said = capsys.readouterr().out
    assert "wider" in said
    assert "review -> allow  systemctl restart app  (fix.systemd.restart)" in said
    assert "1 of 2 commands change" in said


@pytest.mark.parametrize("corpus", ['{"cmd": 3}', '{"command": "ls"}', "{", '{"cmd": "ls"}\n{}'])
def test_a_corpus_that_is_none_is_refused_with_the_line(capsys, tmp_path, corpus):
    site, file = tmp_path / "site.toml", tmp_path / "corpus.jsonl"
    site.write_text(HEAD)
    file.write_text(corpus)
    assert sentinel("policy", "diff", site, "--corpus", file) == 2
    assert f"{file}:{corpus.count(chr(10)) + 1}: " in capsys.readouterr().err


def test_policy_diff_of_one_file_is_against_the_packs_with_the_sites_other_files(capsys, tmp_path):
    sets, new, corpus = tmp_path / "sets.toml", tmp_path / "new.toml", tmp_path / "corpus"
    sets.write_text(HEAD + '[sets]\nunits = ["app"]\n')
    new.write_text(HEAD + 'disable = ["fix.systemd.restart"]\n')
    corpus.write_text("systemctl restart app\n\ndf\n")
    assert sentinel("policy", "diff", new, "--corpus", corpus) == 0
    assert sentinel("policy", "diff", new, "--corpus", corpus, "--policy", sets) == 1
    said = capsys.readouterr().out
    assert "tighter allow -> review  systemctl restart app" in said
    assert said.count("of 2 commands") == 2


@pytest.mark.parametrize(
    "command",
    [
        "frobnicate --level 3 now",
        "frobnicate --level=3 --name=x -v /etc/frob 'two words' a=b",
        "frob 1 | frobnicate 2 && frob 3",
        "frob it\\'s",
    ],
)
def test_policy_new_proposes_a_file_that_loads_and_takes_the_command_and_little_more(
    capsys, tmp_path, command
):
    assert sentinel("policy", "new", command) == 0
    site = tmp_path / "site.toml"
    site.write_text(capsys.readouterr().out)
    assert sentinel("check", command, "--policy", site) == 0
    assert sentinel("check", command.replace("frob", "frub"), "--policy", site) == 10
    assert sentinel("check", command + " more", "--policy", site) == 10


def test_policy_new_adds_to_a_file_under_another_id(capsys, tmp_path):
    site = tmp_path / "site.toml"
    sentinel("policy", "new", "frob one")
    site.write_text(capsys.readouterr().out)
    assert sentinel("policy", "new", "frob two", "--policy", site) == 0
    with site.open("a") as file:
        file.write("\n" + capsys.readouterr().out)
    assert {"site.frob", "site.frob-2"} <= {
        r.allow.id for r in rules.load(site=[site]).rules["frob"]
    }
    for command in ("frob one", "frob two"):
        assert sentinel("check", command, "--policy", site) == 0


@pytest.mark.parametrize(
    ("command", "why"),
    [("df -h", "allow (ro.df)"), ("rm -rf /", "block (never."), ("ls $x", "review (grammar)")],
)
def test_policy_new_proposes_nothing_for_what_is_not_merely_unknown(capsys, command, why):
    assert sentinel("policy", "new", command) == 2
    assert f"no rule can be proposed: the command is {why}" in capsys.readouterr().err


def test_policy_lint_tells_a_set_that_nothing_refers_to(capsys, tmp_path):
    site = tmp_path / "site.toml"
    site.write_text(
        HEAD + '[sets]\nunist = ["app"]\n[[allow]]\nid = "s.x"\ncmd = "x"\nargs = "any"\n'
    )
    assert sentinel("policy", "lint", site) == 1
    said = capsys.readouterr().out
    assert "no rule refers to the set `unist`: did you mean `units`?" in said
    for doubt in (
        "no `ok` example",
        "has no `no` example",
        "takes any argument",
        "4 doubts in 1 files",
    ):
        assert doubt in said


@pytest.mark.parametrize("args", ["any", "any?", "any*", "any+"])
def test_policy_lint_tells_a_change_that_takes_any_argument_however_often(capsys, tmp_path, args):
    site = tmp_path / "site.toml"
    site.write_text(f'{HEAD}[[allow]]\nid = "s.x"\ncmd = "x"\nargs = "{args}"\nok = ["x y"]\n')
    sentinel("policy", "lint", site)
    assert "takes any argument" in capsys.readouterr().out


def test_policy_types_lists_what_rules_may_use(capsys):
    assert sentinel("policy", "types") == 0
    said = capsys.readouterr().out
    for name in ("unit@SET", "pid$pids", "int ", "logfile "):
        assert f"\n{name}" in said


def test_policy_show_lists_the_rules_of_the_digest_in_force(capsys):
    assert sentinel("policy", "show") == 0
    digest = capsys.readouterr().out.strip()
    assert sentinel("policy", "show", digest) == 0
    assert "never.rm.system" in capsys.readouterr().out
    assert sentinel("policy", "show", "sha256:" + "0" * 64) == 2


def test_policy_show_tells_the_digest_with_a_sites_file(capsys, tmp_path):
    site = tmp_path / "site.toml"
    site.write_text(HEAD + '[[allow]]\nid = "s.x"\ncmd = "x"\n')
    assert sentinel("policy", "show", site) == 0
    digest = capsys.readouterr().out.strip()
    assert digest == rules.load(site=[site], examples=False).digest
    assert sentinel("policy", "show", digest, site) == 0
    assert "s.x" in capsys.readouterr().out
    assert sentinel("policy", "show", digest) == 2
