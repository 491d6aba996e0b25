from __future__ import annotations

import pytest

from sentinel import canonical
from sentinel.domain import Context, Verdict
from sentinel.errors import PolicyError
from sentinel.policy import rules, validate
from sentinel.policy.rulefile import Source
from sentinel.policy.validate import Facts
from tests.unit.policy.test_validate import plan

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


ALLOW = '[[allow]]\nid = "site.frob"\ncmd = "frob"\n'  # the id stands on line 5
NEAR = "did you mean `"


# Each: what stands behind the head of three lines, the line that the message names (0: none), what it says.
WRONG = {
    "an ok example that is refused": (ALLOW + 'ok = [\n "frob -x"]\n', 7, "rule site.frob: `ok` example 'frob -x' is review"),
    "a no example that is allowed": (FROB + 'no = ["frob -n 3"]\n', 9, "`no` example 'frob -n 3' is allow: every word"),
    "a key that is misspelt": (ALLOW + 'optz = "-x"\n', 7, "unknown field `optz`", NEAR + "opts`"),
    "a key of the file that is misspelt": ('[set]\nunits = ["x"]\n', 4, "unknown field `set`", NEAR + "sets`"),
    "a value of another kind": (ALLOW + "args = 3\n", 7, "rule site.frob: args: Expected `str`"),
    "a list where there is none": (b'schema = [1]\nlayer = "site"\nname = "x"\n', 1, "schema: Expected `int`"),
    "a key that is missing": ('[[allow]]\ncmd = "frob"\n', 4, "rule frob: ", "field `id`"),
    "a type that is not there": (FROB.replace("int", "intt"), 7, "no type 'intt'", NEAR + "int`"),
    "an option that is none": (FROB.replace("-n=int", "n=int"), 7, "'n=int' is not an option"),
    "a required option that is not accepted": (FROB + 'require = ["-z"]\n', 9, "requires -z, which it does not accept"),
    "a reader that is not there": (ALLOW + 'use = "finddelet"\n', 7, "no reader 'finddelet'", NEAR + "finddelete`"),
    "an id that is none": (FROB.replace("site.frob", "Bad Id"), 5, "rule Bad Id: id: Expected `str`"),
    "an id twice in the file": (ALLOW + ALLOW, 8, "rule site.frob: it is there twice"),
    "an id of a pack": (ALLOW.replace("site.frob", "ro.df"), 5, "rule ro.df: it is there twice: 12-files.toml"),
    "its own rule disabled": ('disable = ["site.frob"]\n' + ALLOW, 6, "rule site.frob: this file disables its own rule"),
    "a block disabled": ('disable = ["never.rm.system"]\n', 4, "never.rm.system blocks, and a block cannot be disabled"),
    "an unknown rule disabled": ('disable = ["ro.dff"]\n', 4, "ro.dff, which no lower layer has", NEAR),
    "a set that is not there": (ALLOW + 'args = "unit@unist"\n', 5, "no layer defines the set `unist`", NEAR + "units`"),
    "a set whose name is none": ('[sets]\n"a b" = ["x"]\n', 4, "a set cannot be named 'a b'"),
    "a pid that is none": ('[example_sets]\npids = ["abc"]\n', 4, "'abc' is not a pid"),
    "an example that is ok and no": (ALLOW + 'ok = ["frob"]\nno = ["frob"]\n', 8, "'frob' is an example of `ok` and of `no`"),
    "an example that is hit and miss": ('[[block]]\nid = "x"\nwhy = "y"\ncmd = ["z"]\nhit = ["z"]\nmiss = ["z"]\n', 9, "of `hit` and of `miss`"),
    "never in a plan": (ALLOW + "per_plan = 0\n", 7, "rule site.frob: per_plan: Expected `int` >= 1"),
    "more in a plan than in an hour": (ALLOW + "per_hour = 1\nper_plan = 2\n", 8, "per_plan = 2 can never be used with per_hour = 1"),
    "a rest without end": (ALLOW + "cool_down_s = 999999999\n", 7, "cool_down_s: Expected `int` <= 604800"),
    "hours that are none": (ALLOW + 'hours = "22-6"\n', 7, "hours '22-6' is not a part of the day", "UTC"),
    "hours of no length": (ALLOW + 'hours = "06:00-06:00"\n', 7, "is not a part of the day"),
    "hours past the day": (ALLOW + 'hours = "22:00-24:00"\n', 7, "is not a part of the day"),
    "no group at all": (ALLOW + "groups = []\n", 7, "groups: Expected `array` of length >= 1"),
    "groups at the top of a site file": ('groups = ["db"]\n', 4, '`groups` at the top of a file needs `layer = "group"`'),
    "a block of everything": ('[[block]]\nid = "x"\nwhy = "y"\n', 5, "rule x: it would block everything"),
    "a pattern that is none": ('[[block]]\nid = "x"\nwhy = "y"\ntext = "("\n', 7, "text is not a pattern"),
    "what widens every rule": ('[exec]\ntrusted_dirs = ["/tmp"]\n', 4, "[exec] belongs to the shipped packs"),
    "a wrapper": ('[[wrapper]]\ncmd = "x"\n', 4, "[[wrapper]] belongs to the shipped packs"),
    "no TOML": ("[[allow]\n", 4, "not TOML"),
    "no end": ('[[allow]]\nid = """x', 5, "not TOML"),
    "nested without end": ("x = " + "[" * 100_000, 0, "nested too deeply"),
    "a number without end": ("x = " + "9" * 5000 + "\n", 5, "not TOML"),
    "no text": (b"a = 1\n\xff\xfe", 2, "not UTF-8 text: byte 6"),
    "nothing": (b"", 1, "missing required field `schema`"),
    "another schema": (b'schema = 9\nlayer = "site"\nname = "x"\n', 1, "schema 9"),
    "a layer that is none": (b'schema = 1\nlayer = "moon"\nname = "x"\n', 2, "layer: Invalid enum value 'moon'"),
    "a group layer of no group": (b'schema = 1\nlayer = "group"\nname = "x"\n', 2, "a group layer names its hosts"),
    "a rule and a file of no common role": (
        b'schema = 1\nlayer = "role"\nname = "x"\nroles = ["a"]\n[[allow]]\nid = "y"\ncmd = "z"\nroles = ["b"]\n', 8,
        "rule y: no host has one of its roles (b) and one of the file's (a)",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_file_is_refused_with_its_line_its_rule_and_the_reason(name):
    text, line, *says = WRONG[name]
    with pytest.raises(PolicyError) as caught:
        load(text)
    what = caught.value.what
    assert what.startswith(f"site.toml:{line}: " if line else "site.toml: "), what
    for words in says:
        assert words in f"{what} {caught.value.hint}"


def test_the_line_of_a_rule_is_not_one_inside_of_a_string_or_a_comment():
    text = (
        "[[allow]] # id = 'site.frob'\n"
        'why = """\n[[allow]]\nid = "site.frob"\n"""\n'
        "cmd = 'x'\nid = 'site.x'\n\n"
        'no = ["id = \\"site.frob\\""]\n' + ALLOW + "per_plan = 99\n"
    )
    with pytest.raises(PolicyError, match=r"site\.toml:16: allow rule site\.frob: per_plan"):
        load(text)
    with pytest.raises(PolicyError, match=r"site\.toml:14: rule site\.frob: .*nosuch"):
        load(text.replace("per_plan = 99", 'args = "unit@nosuch"'))


def test_two_files_of_one_name_are_refused():
    with pytest.raises(PolicyError, match="two rule files"):
        load("", name="12-files.toml")


def test_a_file_that_cannot_be_read_is_refused(tmp_path):
    large = tmp_path / "large.toml"
    large.write_bytes(b"#" * 10_000_000)
    for path, says in {
        tmp_path: "cannot be read: Is a directory",
        tmp_path / "none.toml": "cannot be read: No such file",
        large: "is larger than 1 MiB",
    }.items():
        with pytest.raises(PolicyError, match=says) as caught:
            rules.load(site=[path])
        assert str(path) in caught.value.what


def test_a_file_of_ones_own_is_no_shipped_pack(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('schema = 1\nlayer = "base"\nname = "mine"\n[exec]\ntrusted_dirs = ["/tmp"]\n')
    with pytest.raises(PolicyError, match=r'mine.toml:2: layer = "base" is for the shipped packs'):
        rules.load(site=[path])


# ---------------------------------------------------------------- hosts that a rule is for

DB = Facts(groups=frozenset({"db", "eu"}), role="primary")
WEB = Facts(groups=frozenset({"web"}))


def told(policy, text, facts):
    """The verdict, and why where it is not allow."""
    judgement = validate.judge(policy, text, facts)
    worst = [each for each in judgement.findings if each.verdict is judgement.verdict]
    return judgement.verdict, f"{worst[0].reason} {worst[0].allow_if}"


@pytest.mark.parametrize(
    ("scope", "where"),
    [
        ('groups = ["db"]', "only on hosts of group db"),
        ('groups = ["mail", "db"]', "only on hosts of group mail or db"),
        ('roles = ["primary"]', "only on hosts of role primary"),
        ('groups = ["db"]\nroles = ["primary"]', "only on hosts of group db"),
    ],
)
def test_a_rule_with_a_scope_accepts_on_those_hosts_and_says_elsewhere_which_they_are(scope, where):
    # A second rule of that command refuses a later word: what counts is that the first takes them all.
    policy = load(
        f'{ALLOW}{scope}\nok = ["frob"]\nargs = "int?"\n{ALLOW.replace("frob", "frob2", 1)}'
    )
    assert told(policy, "frob 3", DB)[0] is Verdict.ALLOW
    for facts in (WEB, validate.NO_FACTS):
        verdict, why = told(policy, "frob 3", facts)
        assert verdict is Verdict.REVIEW
        assert f"rule site.frob is in force {where}" in why
    assert "this host is in group web and has no role" in told(policy, "frob 3", WEB)[1]


def test_a_role_alone_or_a_group_alone_is_not_both():
    policy = load(ALLOW + 'groups = ["db"]\nroles = ["primary"]\n')
    for facts in (Facts(groups=frozenset({"db"})), Facts(role="primary")):
        assert told(policy, "frob", facts)[0] is Verdict.REVIEW


OF_GROUP = """schema = 1
layer = "group"
name = "site.db"
groups = ["db"]
disable = ["ro.curl"]
[sets]
units = ["postgresql"]
[[allow]]
id = "db.frob"
cmd = "frob"
ok = ["frob", "systemctl restart postgresql"]
[[block]]
id = "db.uptime"
cmd = ["uptime"]
why = "not here"
hit = ["uptime", "sudo uptime"]
"""
OF_ROLE = """schema = 1
layer = "role"
name = "site.replica"
roles = ["replica"]
disable = ["db.frob"]
"""
CHANGED = {
    "frob": Verdict.ALLOW,
    "curl http://localhost/": Verdict.REVIEW,
    "systemctl restart postgresql": Verdict.ALLOW,
    "uptime": Verdict.BLOCK,
    "sudo uptime": Verdict.BLOCK,
}


def test_the_file_of_a_host_group_adds_disables_blocks_and_widens_on_its_hosts_alone():
    policy = rules.build([*rules.shipped(), Source("db.toml", OF_GROUP.encode())], examples=True)
    shipped = rules.load(examples=False)
    for text, verdict in CHANGED.items():
        assert validate.judge(policy, text, DB).verdict is verdict
        for facts in (WEB, validate.NO_FACTS):
            there = validate.judge(policy, text, facts).verdict
            assert there is validate.judge(shipped, text, facts).verdict
            assert there is not verdict
    made = plan(*CHANGED)
    judged = validate.judge_plan(policy, made, canonical.digest_of(made), DB)
    assert [each.verdict for each in judged.commands] == list(CHANGED.values())


def test_a_role_is_above_a_group_in_whatever_order_they_are_named():
    sources = [Source("role.toml", OF_ROLE.encode()), Source("group.toml", OF_GROUP.encode())]
    policy = rules.build([*sources, *rules.shipped()], examples=True)
    both = Facts(groups=frozenset({"db"}), role="replica")
    assert validate.judge(policy, "frob", DB).verdict is Verdict.ALLOW
    assert validate.judge(policy, "frob", both).verdict is Verdict.REVIEW
    site = Source("site.toml", (HEAD + ALLOW.replace("site.frob", "site.x")).encode())
    above = Source("group.toml", OF_GROUP.replace("ro.curl", "site.x").encode())
    assert rules.build([above, site, *rules.shipped()], examples=True)
    with pytest.raises(PolicyError, match=r"group.toml:5: disable names site.x, which no lower"):
        rules.build([above, *rules.shipped()], examples=False)


def test_what_the_node_writes_into_a_context_is_what_both_judge_by():
    context = Context(
        captured_ms=1, labels={"rack": "b7", **validate.labels_of(DB.groups, DB.role)}
    )
    facts = validate.facts_of(context)
    assert (facts.groups, facts.role) == (DB.groups, DB.role)
    nothing = validate.facts_of(Context(captured_ms=1, labels=validate.labels_of((), "")))
    assert (nothing.groups, nothing.role) == (frozenset(), "")


def test_without_any_rule_there_is_no_policy():
    with pytest.raises(PolicyError, match="empty policy"):
        rules.build([], examples=False)
