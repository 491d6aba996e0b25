"""What an attacker found, one line each: none of it may be allowed again."""

from __future__ import annotations

import pytest

from sentinel.domain import Verdict
from sentinel.policy import never

NEVER_ALLOWED = [
    "tar tfI /etc/hostname \"sh -c 'id'\"", "tar tIf 'sh -c id' /tmp/x", "tar -tf h:/x", "tar tf /tmp/x h:/y",
    "awk 'BEGIN{x = default / system(\"id\") / 1}'", "awk 'BEGIN{switch / system(\"id\") / 1}'", "gawk --posix 1 /var/log/x",
    "docker -l info rm -f web", "docker -H info rm web", "docker -f ps rm web", "podman -a ps rm web", "helm -a list uninstall x",
    "kubectl --ignore-not-found events delete foo", "kubectl -l get delete pod x", "oc -A get delete",
    "lz4 -l /etc/hostname /tmp/x", "rsyslogd -N0", "rpm -q '%(id)'", "rpm -qf '%{lua:x}'", "bzgrep x /var/log/x", "zstdgrep x /var/log/x",
    "ps ax eopid,args", "ps axe", "ps ax e", "cat /var/log/../../etc/shadow", "cat /var/log/a/../b.log", "ls /tmp/../root",
    "cat /var/run/secrets/x", "cat /var/run/credentials/x", "haproxy -c -f /etc/ssl/private/x", "docker compose -f /etc/shadow ps",
    "find /tmp -exec ls + -delete ';'", "find /tmp -exec ls '{}' x + -delete", "diff -N /etc/hosts /tmp/x.txt",
    "find /tmp -print0 | xargs -0 -d ' ' wc", "mysql -D mysql -e 'select * from user'", "mysql mysql -e 'select 1'",
    "mysql -e 'show create user root'", "psql -c 'select * from information_schema.user_mapping_options'",
    "kubectl describe pod/x secret/y", "kubectl describe pods,secrets", "kubectl describe cm x", "systemctl show nginx",
    "podman inspect -f '{{.Config.CreateCommand}}' x", "podman inspect -f '{{.CreateCommand}}' x", "docker history --no-trunc x",
    "tcpdump -c 1 -v", "tcpdump -c 1 -A", "wget -qO- http://localhost/", "pip list -f /x", "xmllint --valid /tmp/x.txt",
    "nawk --re-interval 1 x", "wget -qO- --max-redirect=5 http://localhost/",
]  # fmt: skip
BLOCKED = [
    "dd if=/dev/zero of=//dev/sda", "echo b | tee /proc/sysrq-trigger", "systemctl start reboot.target", "systemctl start poweroff.target",
    "rm -rf /usr/bin /var/lib", "rm -rf /var/lib", "chmod -R 777 /usr/lib", "find //etc -exec rm {} +", "rsync -a --delete x/ /",
    "rm -rf $(echo /)", "echo 'rm -rf /' | at now", "echo / | xargs rm -rf", "printf 'rm -rf /' | sudo bash",
]  # fmt: skip


@pytest.mark.parametrize("command", NEVER_ALLOWED)
def test_an_attack_that_was_found_is_not_allowed(verdict, command):
    assert verdict(command) is not Verdict.ALLOW


@pytest.mark.parametrize("command", BLOCKED)
def test_a_catastrophe_that_was_missed_is_blocked(verdict, command):
    assert verdict(command) is Verdict.BLOCK


WORK = [
    "docker a " * 113,
    "docker sudo ssh " * 60,
    "sudo " * 200,
    "sh -c '" * 140,
    "a rm " * 200,
    "a|" * 500,
]


@pytest.mark.parametrize("command", WORK)
def test_what_is_looked_at_is_bounded(policy, command):
    for known in (policy.rules, ()):
        looks = list(never._Apart(known).looks(command, 0, None))
        assert sum(len(look.words) for look in looks) < 2 * never.MAX_WORDS


@pytest.mark.parametrize(
    "command",
    ["ps a" + ":" * 1000 + "A", "ps a" + "a," * 500 + "A", "awk '/" + "[[:a:]" * 160 + "'", "awk '/" + "[]" * 480 + "'"],
)  # fmt: skip
def test_no_pattern_is_exponential(verdict, command):
    assert verdict(command) is not Verdict.ALLOW
