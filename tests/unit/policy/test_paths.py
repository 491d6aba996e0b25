from __future__ import annotations

import fnmatch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentinel.policy import paths
from sentinel.policy.paths import denied, denied_glob, log_file, matches, normal, searchable, under


@pytest.mark.parametrize(
    ("path", "clean"),
    [
        ("/etc//hosts", "/etc/hosts"),
        ("//etc/hosts", "/etc/hosts"),
        ("///etc", "/etc"),
        ("/etc/./hosts/", "/etc/hosts"),
        ("/var/log/../../etc/shadow", "/etc/shadow"),
        ("/../..", "/"),
        ("etc/hosts", "/etc/hosts"),
        ("./x", "/x"),
        ("", "/"),
        ("/var/run/x", "/run/x"),
        ("/var/run", "/run"),
        ("/var/runner", "/var/runner"),
        ("/x/var/run/y", "/x/var/run/y"),
    ],
)
def test_a_path_is_judged_as_what_it_will_be(path, clean):
    assert normal(path) == clean


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("-", ""),
        ("/etc/hosts", ""),
        ("/etc/passwd", ""),
        ("/var/log/syslog", ""),
        ("/dev/null", ""),
        ("/home/x/app.log", ""),
        ("/home/x/logs/a", ""),
        ("/proc/1/status", ""),
        ("/proc/self/cmdline", ""),
        ("etc/hosts", ""),
        ("/etc/shadow", "secret"),
        ("etc/shadow", "secret"),
        ("//etc//shadow", "secret"),
        ("/etc/shadow-", "secret"),
        ("/etc/ssl/private/a.crt", "secret"),
        ("/etc/nginx/x.key", "secret"),
        ("/etc/nginx/X.KEY", "secret"),
        ("/etc/app/.env", "secret"),
        ("/opt/app/secret.txt", "secret"),
        ("/opt/app/MyPassword.log", "secret"),
        ("/root/.ssh/id_rsa", "secret"),
        ("/home/x/.bash_history", "secret"),
        ("/proc/1/environ", "secret"),
        ("/proc/1/mem", "secret"),
        ("/proc/1/task/2/environ", "secret"),
        ("/var/run/secrets/x", "secret"),
        ("/etc/sentinel/x.toml", "secret"),
        ("/proc/1/root", "leads out"),
        ("/proc/1/root/etc/hosts", "leads out"),
        ("/proc/self/cwd/x", "leads out"),
        ("/proc/1/task/1/root/x", "leads out"),
        ("/proc/thread-self/root/x", "leads out"),
        ("/dev/sda", "device"),
        ("/dev/null/x", "device"),
        ("/home/x/notes", "not below"),
        ("/", "not below"),
        ("/etcetera", "not below"),
        ("/etc/../root/x.log", "goes upwards"),
        ("..", "goes upwards"),
        ("/var/log/..", "goes upwards"),
        ("/var/log/..a", ""),
    ],
)
def test_what_may_be_read(policy, path, reason):
    found = denied(policy.paths, path, content=True)
    assert bool(found) == bool(reason), found
    assert reason in found


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/etc/shadow", ""),
        ("/home/x", ""),
        ("/dev/sda", ""),
        ("/proc/1/root/x", "leads out"),
        ("/x/../y", "goes upwards"),
    ],
)
def test_what_may_be_looked_at(policy, path, reason):
    found = denied(policy.paths, path, content=False)
    assert bool(found) == bool(reason), found
    assert reason in found


@pytest.mark.parametrize(
    ("glob", "reason"),
    [
        ("/var/log/*.log", ""),
        ("/var/log/app?/x", ""),
        ("/tmp/*", ""),
        ("/proc/*/status", ""),
        ("/proc/1*", ""),
        ("/proc/*/environ", "not known to be harmless"),
        ("/proc/*/root", "not known to be harmless"),
        ("/proc/?/mem", "not known to be harmless"),
        ("/proc/*/task/1/environ", "not known to be harmless"),
        ("/var/log/../*", "goes upwards"),
        ("/*/shadow", "may lead anywhere"),
        ("/et?/shadow", "may lead anywhere"),
        ("/*", "not a directory"),
        ("/etc/*", "not a directory"),
        ("/root/*", "not a directory"),
        ("/home/*/x.log", "not a directory"),
        ("/etc/shado?", "not a directory"),
        ("/var/log/*.key", "may hold a secret"),
        ("/etc/nginx/secret*", "may hold a secret"),
    ],
)
def test_which_globs_may_stand_where_a_file_is_read(policy, glob, reason):
    found = denied_glob(policy.paths, glob, content=True)
    assert bool(found) == bool(reason), found
    assert reason in found


@pytest.mark.parametrize(
    ("glob", "allowed"),
    [
        ("/etc/*", True),
        ("/*", True),
        ("/*/shadow", False),
        ("/a/../*", False),
        ("/proc/*/mem", False),
    ],
)
def test_which_globs_may_be_looked_at(policy, glob, allowed):
    assert (denied_glob(policy.paths, glob, content=False) == "") is allowed


def test_where_a_recursive_search_may_read(policy):
    for path in ("/var/log", "/var/log/app", "/etc/nginx", "/opt/app/logs", "/srv/x/log/y"):
        assert searchable(policy.paths, path)
    for path in (
        "/",
        "/etc",
        "/var/logs",
        "/root/logs",
        "/opt",
        "/opt/logs",
        "/opt/app/logsx",
        "-",
    ):
        assert not searchable(policy.paths, path)


def test_a_log_that_may_be_truncated(policy):
    for path, allowed in [
        ("/var/log/app/x.log", True),
        ("/var/log/x.log", True),
        ("/var/log/app/../auth.log", False),
        ("/var/log//x.log", False),
        ("/var/log/auth.log", False),
        ("/var/log/audit/audit.log", False),
        ("/var/log/x.logs", False),
        ("/var/log/x y.log", False),
        ("/tmp/x.log", False),
    ]:
        assert log_file(policy.paths, path, r"\.log") is allowed, path


def test_under_is_by_whole_names():
    assert under("/etc", ("/etc",))
    assert under("/etc/x", ("/a", "/etc"))
    assert not under("/etcx", ("/etc",))
    assert not under("/etc", ())


TEXTS = st.text("ab/.*[]?", max_size=8)


@given(TEXTS, st.lists(TEXTS.filter(bool), max_size=4).map(tuple))
def test_matching_is_that_of_fnmatch(text, globs):
    assert matches(text, globs) == any(fnmatch.fnmatchcase(text, glob) for glob in globs)


def test_the_common_shapes_of_a_glob_need_no_pattern():
    found = paths._globs(("/a", "/b/*", "*.key", "/c/[*]", "/d*e", "?"))
    assert found.whole == {"/a", "/c/*"}
    assert found.begins == ("/b/",)
    assert found.ends == (".key",)
    assert found.other is not None
    assert not matches("/x", ("/a",))
    assert matches("/dxe", ("/a", "/d*e"))
