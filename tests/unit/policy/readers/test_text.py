from __future__ import annotations

import pytest

from tests.unit.policy.readers.tables import agree, rows

GREP = r"""
allow grep -i error /var/log/syslog
allow grep -c processor /proc/cpuinfo
allow grep -A3 -B 3 panic /var/log/kern.log
allow grep -3 x /var/log/x
allow grep -e a -e b /var/log/x
allow grep --regexp=a /var/log/x
allow grep -rn upstream /etc/nginx
allow grep -Rn upstream /etc/nginx
allow grep -r x /tmp
allow grep -- -x /var/log/x
allow dmesg | grep -i oom
allow rg -n error /var/log/app
allow dmesg | rg oom
no grep ## no pattern
no grep -i ## no pattern
no grep -f /etc/shadow x ## -f
no grep --file=/etc/shadow x ## --file
no grep -d recurse x /etc ## -d
no grep '' /etc/shadow ## may hold a secret
no grep -e a /etc/shadow ## may hold a secret
no grep -e x -- /etc/shadow ## may hold a secret
no grep --regexp=a /etc/shadow ## may hold a secret
no grep x /dev/sda ## device
no grep x /var/log/../../etc/shadow ## goes upwards
no grep -r password / ## not below a directory
no grep -r x /etc ## recursive search outside
no grep -R x /etc/nginx /etc ## recursive search outside
no grep x -r /etc ## recursive search outside
no grep --recursive x /etc ## recursive search outside
no grep --dereference-recursive x /etc ## recursive search outside
no grep -ir x ## recursive search of the working directory
no dmesg | grep -r x ## recursive search of the working directory
no grep -R x /tmp ## links are followed
no grep --dereference-recursive x /tmp/a ## links are followed
no rg -L x /tmp ## links are followed
no rg --follow x /tmp ## links are followed
no rg x ## recursive search of the working directory
no rg x /root ## not below a directory
no rg --pre /x y /var/log ## --pre
no rg --hostname-bin /x y /var/log ## --hostname-bin
no rg -z x /var/log ## -z
no rg -f /etc/shadow /var/log ## -f
"""
JQ = r"""
allow jq . /etc/docker/daemon.json
allow jq -r '.items[].name' /tmp/x.json
allow jq --arg n web '.[$n]' /tmp/x.json
allow jq --argjson n 1 '.[$n]' /tmp/x.json
allow jq -cM --indent 2 . -
allow jq '.environment' /tmp/x.json
allow dmesg | jq -c
no jq ## no filter
no jq -n ## no filter
no jq -f /tmp/x ## -f
no jq --from-file /tmp/x ## --from-file
no jq -n --rawfile x /etc/shadow . ## --rawfile
no jq -n --slurpfile x /etc/shadow . ## --slurpfile
no jq -L /tmp . /tmp/x.json ## -L
no jq --args . /tmp/x.json ## --args
no jq --arg n ## needs a name and a value
no jq --arg n web ## no filter
no jq --indent --arg . /etc/shadow 5 . /tmp/x.json ## not of type nonneg
no jq -n env ## read something else
no jq -n 'env.PATH' ## read something else
no jq -n '$ENV.PATH' ## read something else
no jq -n '$ ENV' ## read something else
no jq -n '"\(env)"' ## read something else
no jq -n '$__prog_args' ## read something else
no jq 'import "x" as x; .' /tmp/x.json ## read something else
no jq 'include "x"; .' /tmp/x.json ## read something else
no jq input_filename /tmp/x.json ## read something else
no jq . /etc/shadow ## may hold a secret
no jq . /tmp/x.json /etc/shadow ## may hold a secret
"""
TEST = r"""
allow [ -d /var/log ]
allow [ 3 -gt 2 ]
allow [ a = b ]
allow [ -3 -lt -2 ]
allow test -f /etc/hosts
allow test ! -e /x
allow test /a -nt /b -o /a -ef /b
allow test - = x
allow test
no [ -d /var ## without ]
no [ ## without ]
no test -v 'a[$(id)]' ## subscript
no test 'a[0]' -eq 1 ## subscript
no test -v PATH ## subscript
no test -R x ## subscript
no [ -v x ] ## subscript
no test -q x ## test operator -q
no test --version ## test operator --version
"""
TEXT = r"""
allow echo rm -rf /
allow echo -e x
allow true
"""


@pytest.mark.parametrize(("text", "reason"), rows(GREP))
def test_grep(policy, text, reason):
    agree(policy, "grep", text, reason)


@pytest.mark.parametrize(("text", "reason"), rows(JQ))
def test_jq(policy, text, reason):
    agree(policy, "jq", text, reason)


@pytest.mark.parametrize(("text", "reason"), rows(TEST))
def test_test(policy, text, reason):
    agree(policy, "test", text, reason)


@pytest.mark.parametrize(("text", "reason"), rows(TEXT))
def test_text(policy, text, reason):
    agree(policy, "text", text, reason)
