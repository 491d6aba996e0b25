from __future__ import annotations

import contextlib

import pytest

from sentinel.policy import grammar, kinds
from sentinel.policy.kinds import Scope
from sentinel.policy.options import No

GOOD = """
int 5 -5
nonneg 0 12
num 1 1.5
cnt 1 99 100
secs 5 0.5s 59 60 60s
dur 5m 1.5h
pid 1 4242
pids 1,2 3
pidlist 1 1,2 ^1,2
account root www-data user@host
unit nginx.service user@1000.service a:b
host web1 10.0.0.1 fe80::1%eth0 ::1
lhost localhost 127.0.0.1 localhost:80 [::1]:80
lendpoints http://localhost:2379,https://127.0.0.1:2379 localhost
port 80 80-90
iface eth0 br-1.2
method GET HEAD
nowhere /dev/null
stdoutornull - /dev/null
psarg pid,args %cpu 1 1,2 pid=x
psbsd aux
psfmt pid,args
sigterm TERM SIGTERM 15
header Host:x
writeout %{http_code}
dev /dev/sda /dev/mapper/x-y
binpath /usr/bin/ls
bootpath /boot/vmlinuz-5.1
kout wide json jsonpath={.x}
image nginx:1.2 a/b@sha256:x
key a_b.c
etcpath /etc/nginx/nginx.conf
srvpath /srv/app/x.yml /opt/app/x.yml /etc/x.yml
certfile /etc/ssl/certs/x.pem /etc/ssl/private/app.crt
path /etc/hosts -
metapath /etc/shadow /root
logfile /var/log/app/x.log
rotatedlog /var/log/x.log.1 /var/log/x.log-20240101
size100m 100M 1G 1T
days2 2d 2days 1w 1week 1month 1months
unit@units nginx nginx.service
k8s@workloads deployment/web
"""
BAD = """
int x 5x 5.
nonneg -1
cnt 0 101
secs 61 60.5 100
dur 5d 5mm
pid 0 01 -1
pidlist 1, ,1 ^ 1^2
account -x /x
host -x a/b
lhost localhost.evil 127.0.0.2 10.0.0.1 localhost:123456 xlocalhost
lendpoints localhost,evil http://evil localhost,
port 123456 x
method POST GETX
nowhere /dev/nullx /dev/stdout
psarg e axe environ pid,x 1e
psbsd e auxe
psfmt environ pid,environ
sigterm KILL 9
header Authorization:x @/etc/shadow Cookie:x
writeout @/x %output{/x}
dev /dev/../etc/shadow /etc/x
binpath /usr/local/bin/x /usr/bin/../x /bin
bootpath /boot/../x /boot/a/b
kout jsonpath-file=/x yamlx go-template-file=/x
etcpath /etc/../root/x /etc/shadow /root/x
srvpath /home/x /srv/../x
certfile /etc/x.key /etc/KEYS/x /etc/x.p12 /etc/x.pfx /dev/sda /proc/x http://evil/x engine:x
path /etc/shadow /dev/sda /home/x/y
metapath /proc/1/root/x
logfile /var/log/auth.log /etc/x.log /var/log/../x.log
rotatedlog /var/log/x.log /var/log/auth.log.1 /var/log/x.log.gz
size100m 99M 100K 100 1234567M 100MB
days2 1d 1day 0w 2 2years 12345d
unit@units sshd nginx.socket nginx.service.service *
k8s@workloads deployment/other web
"""


def table(text):
    for line in text.split("\n"):
        kind, *values = line.split()[:1] + line.split()[1:] or [""]
        for value in values:
            yield pytest.param(kind, value, id=f"{kind} {value}")


def scope(policy, **fields):
    given = {"pids": frozenset(), "own_pids": frozenset(), "captured": False, "namespace": "prod"}
    return Scope(sets=policy.sets, paths=policy.paths, **{**given, **fields})


def word(text):
    return grammar.parse(f"x '{text}'").commands[0].argv[1]


@pytest.mark.parametrize(("kind", "value"), table(GOOD))
def test_a_value_of_the_type(policy, kind, value):
    scope(policy).check(kind, word(value))


@pytest.mark.parametrize(("kind", "value"), table(BAD))
def test_a_value_that_is_not_of_the_type(policy, kind, value):
    with pytest.raises(No) as no:
        scope(policy).check(kind, word(value))
    assert no.value.reason
    assert no.value.span == (2, 4 + len(value))


def test_a_pid_must_be_captured_and_none_of_our_own(policy):
    here = scope(policy, pids=frozenset({1, 77, 4242}), own_pids=frozenset({77}))
    here.check("pid$pids", word("4242"))
    for value, reason in [
        ("4243", "not a process that this incident captured"),
        ("04242", "not a process"),
        ("-4242", "not a process"),
        ("4242 ", "not a process"),
        ("٤", "not a process"),
        ("1", "never a target"),
        ("77", "never a target"),
    ]:
        with pytest.raises(No) as no:
            here.check("pid$pids", grammar.Word(value, (0, 1), False))
        assert reason in no.value.reason


def test_types_that_a_rule_may_use():
    for kind in ("int", "path", "unit@units", "pid$pids", "word@any.set"):
        assert kinds.known(kind), kind
    for kind in ("", "nothing", "pid$x", "pid#pids", "@x", "int?", "unit@"):
        assert not kinds.known(kind), kind


def test_every_pattern_takes_the_whole_value(policy):
    for kind in kinds.PATTERNS:
        with pytest.raises(No):
            scope(policy).check(kind, grammar.Word("\0", (0, 1), False))


def test_a_glob_is_filled_in_only_where_a_file_is_read(policy):
    glob = grammar.parse("cat /var/log/*.log").commands[0].argv[1]
    here = scope(policy)
    here.check("path", glob)
    assert glob.span in here.filled
    here = scope(policy)
    here.check("any", glob)
    assert here.filled == set()
    with pytest.raises(No, match="secret"):
        here.check("path", grammar.parse("cat /var/log/*.key").commands[0].argv[1])
    assert here.filled == set()


def test_pids_are_filled_in_only_where_a_pid_is_meant(policy):
    pids = grammar.parse("ps -p $(pgrep nginx)").commands[0].argv[2]
    for kind in ("pid", "pids", "pidlist", "pidonly", "pid$pids"):
        here = scope(policy)
        here.check(kind, pids)
        assert pids.span in here.filled
    for kind in ("any", "word", "path", "int"):
        here = scope(policy)
        with contextlib.suppress(No):
            here.check(kind, pids)
        assert here.filled == set()
