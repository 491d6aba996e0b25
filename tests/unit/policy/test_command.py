from __future__ import annotations

import pytest

from sentinel.policy import command, grammar
from sentinel.policy.kinds import Scope
from sentinel.policy.options import No
from tests.unit.policy import packs

RULES = """
changes = false

[env]
allow = ["LANG", "PAGER"]
value = "^[A-Za-z.]*$"
pager_values = ["cat"]

[sets]
workloads = ["prod/deploy/web"]

[[allow]]
id = "t.show"
cmd = "show"
opts = "-n=int -v --all"
args = "int+"

[[allow]]
id = "t.show.name"
cmd = "show"
opts = "--name"
require = ["--name"]
args = "key"

[[allow]]
id = "t.ctl"
cmd = "ctl"
opts = "-n=word --failed -q"
front = "-n=word"
sub = ["status", "list units", "list", "--failed", ""]
args_by_sub = { status = "key+", units = "int", default = "" }

[[allow]]
id = "t.all"
cmd = "alls"
opts = "-q"
front = "*"
sub = ["go"]
args = "int"

[[allow]]
id = "t.stat"
cmd = "vm"
args = "int*"
require = ["#count"]

[[allow]]
id = "t.fix"
cmd = "fix"
context = true

[[allow]]
id = "t.apply"
cmd = "kapply"
opts = "-n=word --namespace=word"
sub = ["restart"]
args = "k8s@workloads"

[[wrapper]]
cmd = "wrap"
opts = "-n=int"

[[wrapper]]
cmd = "lead"
lead = "int"

[[wrapper]]
cmd = "env"
assign = true
"""


@pytest.fixture(scope="module")
def made():
    return packs.alone(RULES)


def take(policy, text, *, captured=False):
    (simple,) = grammar.parse(text).commands
    scope = Scope(
        sets=policy.sets,
        pids=frozenset(),
        own_pids=frozenset(),
        captured=captured,
        paths=policy.paths,
    )
    return command.take(policy, simple.argv, scope, before=()).allow.id


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("show 1 2", "t.show"),
        ("show -v -n 5 1", "t.show"),
        ("show --name x", "t.show.name"),
        ("ctl status a b", "t.ctl"),
        ("ctl -n x status a", "t.ctl"),
        ("ctl status -q a", "t.ctl"),
        ("ctl list units 5", "t.ctl"),
        ("ctl list", "t.ctl"),
        ("ctl", "t.ctl"),
        ("alls -q go 5", "t.all"),
        ("alls go -q 5", "t.all"),
        ("vm", "t.stat"),
        ("vm 1 5", "t.stat"),
        ("vm 2 2", "t.stat"),
        ("kapply restart -n prod deploy/web", "t.apply"),
        ("kapply restart --namespace=prod deploy/web", "t.apply"),
        ("wrap show 1", "t.show"),
        ("wrap -n 5 show 1", "t.show"),
        ("wrap -- show 1", "t.show"),
        ("lead 5 show 1", "t.show"),
        ("wrap wrap wrap wrap show 1", "t.show"),
        ("env LANG=C show 1", "t.show"),
        ("env LANG=C PAGER=cat show 1", "t.show"),
        ("env show 1", "t.show"),
    ],
)
def test_a_command_that_a_rule_accepts(made, text, rule):
    assert take(made, text) == rule


@pytest.mark.parametrize(
    ("text", "reason", "at"),
    [
        ("other 1", "no rule is about other", "other"),
        ("other", "no rule is about other", "other"),
        ("/bin/show 1", "is a path, not a bare command name", "/bin/show"),
        ("./show 1", "is a path", "./show"),
        ("show", "an argument is missing: int", "show"),
        ("show x", "not of type int", "x"),
        ("show -x 1", "option -x", "-x"),
        ("show --name 1", "not of type key", "1"),
        ("show x --name y", "argument 'y' is not expected", "y"),
        ("ctl stop a", "sub-command 'stop a'", "stop"),
        ("ctl list timers", "not expected", "timers"),
        ("ctl list units x", "not of type int", "x"),
        ("ctl -q status a", "option -q", "-q"),
        ("ctl list -q units 5", "not expected", "units"),
        ("ctl status", "an argument is missing", "ctl status"),
        ("ctl status -z a", "option -z", "-z"),
        ("alls -q", "sub-command ''", "alls -q"),
        ("alls -q stop", "sub-command 'stop'", "stop"),
        ("vm 5", "an interval without a count", "5"),
        ("fix", "no incident", "fix"),
        ("kapply restart deploy/web", "not in the site's set", "deploy/web"),
        ("kapply restart -n dev deploy/web", "not in the site's set", "deploy/web"),
        ("wrap", "wrap without a command", "wrap"),
        ("wrap -n 5", "wrap without a command", "wrap"),
        ("wrap -n x show 1", "not of type int", "x"),
        ("wrap -z show 1", "option -z", "-z"),
        ("wrap show x", "not of type int", "x"),
        ("wrap /bin/show 1", "is a path", "/bin/show"),
        ("wrap other", "no rule is about other", "other"),
        ("wrap wrap wrap wrap wrap show 1", "no rule is about wrap", "wrap"),
        ("lead", "needs an operand", "lead"),
        ("lead show 1", "not of type int", "show"),
        ("lead 5", "without a command", "lead"),
        ("env", "without a command", "env"),
        ("env LD_PRELOAD=/x show 1", "environment LD_PRELOAD", "LD_PRELOAD=/x"),
        ("env LANG=/x show 1", "environment LANG", "LANG=/x"),
        ("env PAGER=sh show 1", "a pager other than cat", "PAGER=sh"),
        ("env -i show 1", "option -i", "-i"),
        ("env LANG=C", "without a command", "env"),
        ("wrap LANG=C show 1", "no rule is about LANG=C", ""),
    ],
)
def test_a_command_that_no_rule_accepts(made, text, reason, at):
    with pytest.raises(No) as no:
        take(made, text)
    assert reason in no.value.reason
    assert at in text[slice(*no.value.span)]


def test_what_changes_the_machine_wants_an_incident(made):
    assert take(made, "fix", captured=True) == "t.fix"


def test_an_open_word_stands_only_where_it_may(policy):
    assert take(policy, "ls /var/log/*.log")
    assert take(policy, "ps -p $(pgrep nginx)")
    for text, reason in [
        ("echo /var/log/*", "only where a file is read"),
        ("systemctl status /var/log/*", "not"),
        ("echo $(pgrep nginx)", "only where a pid is meant"),
        ("ps -p $(pgrep -z nginx)", "option -z"),
    ]:
        with pytest.raises(No) as no:
            take(policy, text)
        assert reason in no.value.reason
