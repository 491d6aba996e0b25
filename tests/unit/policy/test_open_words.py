"""Words that the node fills in: where they may stand, and that nothing else may be left open."""

from __future__ import annotations

import pytest

from sentinel.domain import Verdict
from sentinel.policy import grammar
from sentinel.policy.grammar import Reject

ALLOW = Verdict.ALLOW
READ = """
    ls -l /var/log/*.log
    ls -la /etc/nginx/sites-enabled/*
    du -sh /*
    du -sh /home/*
    tail -n 5 /var/log/*/error.log
    timeout 5 grep -c error /var/log/nginx/*.log
    zgrep -h timeout /var/log/syslog.?.gz
    cat /etc/*release
    cat /sys/class/net/*/operstate
    grep VmSwap /proc/*/status
    ls -l /proc/*/exe
    wc -l /var/log/*.log | sort -n
"""
NOT_READ = """
    cat /etc/*
    cat /etc/sh?dow
    cat /etc/shadow*
    cat /root/.ssh/*
    cat /home/*/.ssh/id_rsa
    cat /proc/*/environ
    cat /proc/*/root/etc/shadow
    cat /proc/self/*
    cat /p*/1/environ
    cat /*/shadow
    head /var/lib/*/secret
    cat /tmp/*.key
    cat /var/log/../../etc/sh*
    cat /run/secrets/*
    echo /etc/*
    awk /x*/ /var/log/syslog
    sed -n /x?/p /var/log/syslog
    gzip /var/log/app/*.log.1
    truncate -s 0 /var/log/*.log
    rm -rf /var/log/*
    /bin/l* /tmp
    ls /tmp/'a'*
    ls /tmp/**
    ls *.log
    ls ../*
"""
PIDS = """
    kill $(pgrep leaky)
    kill -TERM $(pgrep -f leaky.py)
    kill -TERM $( pidof  leaky )
    ps -fp $(pgrep -d, nginx)
    lsof -p $(pidof nginx)
    pmap -x $(pgrep -o java) | tail -n 1
"""
NO_PIDS = """
    kill -9 $(pgrep leaky)
    kill -TERM $(pgrep leaky; rm y)
    kill -TERM $(pgrep $(rm y))
    kill -TERM $(pgrep leaky)$(pgrep x)
    kill -TERM $(cat /tmp/pids)
    kill -TERM $(pgrep --signal KILL x)
    kill -TERM `pgrep leaky`
    kill -TERM "$(pgrep leaky)"
    kill -TERM $(pkill leaky)
    kill -TERM $(pgrep 'a|b')
    kill -TERM $(pgrep)
    ls $(pgrep leaky)
    echo $(pgrep leaky)
    systemctl restart $(pgrep leaky)
    $(pgrep leaky) x
    cat /proc/$(pgrep leaky)/status
"""
BEFORE = """
    LC_ALL=C sort /var/log/dpkg.log
    TZ=Europe/Berlin date
    LANG=C LC_ALL=C df -h | LC_ALL=C sort
    LC_ALL=C timeout 5 du -sh /var
"""
NOT_BEFORE = """
    PATH=/tmp ls
    LD_PRELOAD=/tmp/x.so ls
    LC_ALL=$(id) ls
    TZ=/etc/shadow date
    TZ=../../etc/shadow date
    LC_ALL='C' ls
    LC_ALL+=C ls
    LC_ALL=C
    LC_ALL=C bash
    LC_IDENTIFICATION=C ls
"""


def lines(text):
    return [line.strip() for line in text.strip().splitlines()]


@pytest.mark.parametrize("text", lines(READ) + lines(PIDS) + lines(BEFORE))
def test_allowed(verdict, text):
    assert verdict(text, pids=frozenset({4321})) is ALLOW


@pytest.mark.parametrize("text", lines(NOT_READ) + lines(NO_PIDS) + lines(NOT_BEFORE))
def test_not_allowed(verdict, text):
    assert verdict(text, pids=frozenset({4321})) is not ALLOW


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (
            "curl http://localhost:9200/_cluster/health?pretty",
            "http://localhost:9200/_cluster/health?pretty",
        ),
        ("curl localhost:9200/_cat/indices?v", "localhost:9200/_cat/indices?v"),
        ("curl http://[::1]:80/*", "http://[::1]:80/*"),
        ("jq .items[0].a[]", ".items[0].a[]"),
        ('echo "a != b!"', "a != b!"),
    ],
)
def test_a_character_that_can_match_no_file_stands_for_itself(text, value):
    word = grammar.parse(text).commands[0].argv[1]
    assert word.value == value
    assert not word.open


@pytest.mark.parametrize(
    "text", ["ls a[0]", "ls a?b", "jq .a[b]", "ls ./a[0-9]", ".a[0] x", "h://?"]
)
def test_any_other_pattern_is_refused(text):
    with pytest.raises(Reject):
        grammar.parse(text)


def test_an_open_word_has_another_digest_than_the_same_text_quoted():
    for text in ("ls /tmp/*", "kill $(pgrep x)"):
        name, word = text.split(" ", 1)
        same = grammar.parse(f"{name} '{word}'")
        tree = grammar.parse(text)
        assert tree.commands[0].argv[1].value == same.commands[0].argv[1].value
        assert grammar.argv_digest(tree) != grammar.argv_digest(same)
    assert grammar.argv_digest(grammar.parse("TZ=UTC date")) != grammar.argv_digest(
        grammar.parse("date")
    )
