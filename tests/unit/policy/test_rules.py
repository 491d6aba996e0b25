from __future__ import annotations

import pytest

from sentinel.domain import Verdict
from sentinel.errors import PolicyError
from sentinel.policy import rules, validate
from sentinel.policy.rules import Source

HEAD = 'schema = 1\nlayer = "site"\nname = "site.test"\n'
FROB = '[[allow]]\nid = "site.frob"\ncmd = "frob"\nopts = "-n=int --all"\nargs = "path?"\n'


def load(text, name="site.toml"):
    data = text if isinstance(text, bytes) else (HEAD + text).encode()
    return rules.build([*rules.shipped(), Source(name, data)], examples=True)


def test_the_compiled_packs_are_those_of_the_toml():
    assert (rules.HERE / rules.COMPILED).read_bytes() == rules.compiled(), (
        "run: python -m sentinel.policy.rules"
    )


def test_the_shipped_packs_hold_all_their_examples():
    policy = rules.load()
    assert policy.examples > 1800
    assert len(policy.rules) > 600


def test_a_site_rule_is_in_force_and_changes_the_digest():
    policy = load(FROB + 'ok = ["frob -n 3 --all"]\nno = ["frob -n x"]\n')
    assert validate.judge(policy, "frob --all /var/log/x.log").verdict is Verdict.ALLOW
    assert policy.digest != rules.load(examples=False).digest


def test_the_digest_is_that_of_bytes_and_names_and_not_of_the_order():
    first, second = Source("a", b"x"), Source("b", b"y")
    assert rules.digest([first, second]) == rules.digest([second, first])
    assert rules.digest([first]) != rules.digest([Source("a", b"y")])
    assert rules.digest([Source("ab", b"c")]) != rules.digest([Source("a", b"bc")])


def test_a_set_of_the_site_widens_a_shipped_rule_and_nothing_else():
    policy = load('[sets]\nunits = ["nginx"]\n')
    assert validate.judge(policy, "systemctl restart nginx").verdict is Verdict.ALLOW
    assert validate.judge(policy, "systemctl restart sshd").verdict is Verdict.REVIEW
    shipped = rules.load(examples=False)
    assert validate.judge(shipped, "systemctl restart nginx").verdict is Verdict.REVIEW


def test_a_site_may_disable_a_shipped_rule():
    policy = load('disable = ["ro.curl"]\n')
    assert validate.judge(policy, "curl http://localhost/").verdict is Verdict.REVIEW


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (FROB + 'ok = ["frob -x"]\n', ["site.toml", "site.frob", "frob -x", "option -x"]),
        (FROB + 'no = ["frob -n 3"]\n', ["site.frob", "must not be allow"]),
        (FROB + 'optz = "-x"\n', ["site.frob", "optz"]),
        (FROB.replace("int", "intt"), ["site.frob", "intt"]),
        (FROB + 'require = ["-z"]\n', ["site.frob", "-z"]),
        (FROB + 'use = "magic"\n', ["site.frob", "magic"]),
        (FROB + FROB, ["site.frob", "twice"]),
        (FROB.replace("site.frob", "ro.df"), ["ro.df", "twice"]),
        (FROB.replace("site.frob", "Bad Id"), ["id"]),
        (FROB.replace("-n=int", "n=int"), ["site.frob", "n=int"]),
        ('disable = ["never.rm.system"]\n', ["never.rm.system", "cannot be disabled"]),
        ('disable = ["ro.none"]\n', ["ro.none"]),
        ('[[block]]\nid = "x"\nwhy = "y"\n', ["everything"]),
        ('[[block]]\nid = "x"\nwhy = "y"\ntext = "("\n', ["pattern"]),
        ('[exec]\ntrusted_dirs = ["/tmp"]\n', ["exec"]),
        ('[[wrapper]]\ncmd = "x"\n', ["wrapper"]),
        ("[[allow]\n", ["TOML"]),
        (b"\xff\xfe", ["TOML"]),
        (b"", ["schema"]),
        (b'schema = 9\nlayer = "site"\nname = "x"\n', ["9"]),
        (b'schema = 1\nlayer = "moon"\nname = "x"\n', ["layer"]),
    ],
)
def test_a_wrong_file_is_refused_with_what_is_wrong(text, says):
    with pytest.raises(PolicyError) as caught:
        load(text)
    for word in says:
        assert word in caught.value.what + caught.value.hint


def test_two_files_of_one_name_are_refused():
    with pytest.raises(PolicyError, match="two rule files"):
        load("", name="12-files.toml")


def test_a_file_that_cannot_be_read_is_refused(tmp_path):
    for path in (tmp_path, tmp_path / "none.toml"):
        with pytest.raises(PolicyError, match="cannot be read"):
            rules.load(site=[path])


def test_without_any_rule_there_is_no_policy():
    with pytest.raises(PolicyError, match="empty policy"):
        rules.build([], examples=False)
