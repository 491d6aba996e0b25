from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentinel.agent.redact import HIDDEN, MAX_CHARS, redact, redact_argv

SECRET = "hunter2hunter2"

KEY = "-----BEGIN {0}PRIVATE KEY-----\nMIIEsecret\nsecret==\n-----END {0}PRIVATE KEY-----"


@pytest.mark.parametrize(
    "line",
    [
        f"PGPASSWORD={SECRET} psql -h db",
        f"mysqldump --password={SECRET} shop",
        f"tool --db-password {SECRET} --port 80",
        f"tool --api-key-file={SECRET}",
        f"AWS_SECRET_ACCESS_KEY={SECRET}",
        f'{{"password": "a \\"{SECRET}\\" b", "x": 1}}',
        f"password: '{SECRET} {SECRET}' rest",
        f"client_secret => {SECRET}",
        f"Authorization: Bearer {SECRET}",
        f"authorization: Basic {SECRET}=",
        f"X-Api-Key: {SECRET}",
        f"Cookie: session={SECRET}; other={SECRET}",
        f"sent Bearer {SECRET}=",
        f"postgres://app:{SECRET}@db:5432/shop",
        f"redis://:{SECRET}@cache/0",
        f"amqp://u:p@{SECRET}/x@host/",
        f"https://{SECRET}{SECRET}@git.internal/x",
        f"https://host/path?access_token={SECRET}&x=1",
        f"mysql -uroot -p{SECRET} shop",
        f"sshpass -p {SECRET} ssh host",
        f"requirepass {SECRET}",
        f"  masterauth\t{SECRET} # of the replica",
        f"  auth_pass {SECRET}",
        f"    stats auth admin:{SECRET}",
        f"user bob insecure-password {SECRET}",
        f"curl -u bob:{SECRET} http://x",
        f"curl --user 'bob:{SECRET}' http://x",
        f"ghp_{SECRET}{SECRET}",
        f"glpat-{SECRET}",
        f"xoxb-{SECRET}",
        f"sk-proj-{SECRET}{SECRET}",
        f"hvs.{SECRET}",
        f"token eyJhbGciOiJIUzI1NiJ9.{SECRET}.{SECRET}",
        f"root:$6$salt${SECRET}:19000:0",
        f"AGE-SECRET-KEY-1{SECRET.upper()}",
    ],
)
def test_a_secret_does_not_stay(line):
    shown = redact(line)
    assert SECRET not in shown.lower()
    assert HIDDEN in shown


@pytest.mark.parametrize("kind", ["", "RSA ", "EC ", "OPENSSH ", "ENCRYPTED "])
def test_a_private_key_does_not_stay_and_what_follows_does(kind):
    shown = redact("before\n" + KEY.format(kind) + "\nafter")
    assert "secret" not in shown.lower().replace(HIDDEN, "")
    assert shown.startswith("before")
    assert shown.endswith("after")


def test_a_private_key_that_is_cut_short_does_not_stay():
    assert "MIIE" not in redact(KEY.format("RSA ")[:50])
    assert redact("aB3+" * 16 + "\nplain") == f"{HIDDEN}\nplain"  # a line from its middle


def test_amazon_s_key_id_does_not_stay():
    assert redact("id AKIAIOSFODNN7EXAMPLE") == f"id {HIDDEN}"


@pytest.mark.parametrize(
    "line",
    [
        "nginx: worker process",
        "java -Xmx512m -jar app.jar --server.port=8080",
        "Failed password for root from 10.0.0.1 port 22 ssh2",
        "http://host:8080/path@v2",
        "/etc/pki/tls/private/key.pem",
        "bypass: yes; compass=north",
        "Out of memory: Killed process 123 (python) total-vm:1024kB",
        "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
        "basic configuration was read",
        "cp -p /a /b",
        "kill -USR1 -u bob",
        "/opt/Application1/" + "Folder/" * 9,
        "a" * 64,
    ],
)
def test_what_is_no_secret_stays(line):
    assert redact(line) == line


@pytest.mark.parametrize(
    ("argv", "shown"),
    [
        (["psql", "--password", "a b"], ["psql", "--password", HIDDEN]),
        (["x", "--token", "-abc", "-p", "80"], ["x", "--token", HIDDEN, "-p", "80"]),
        (["x", "--password", "--port", "80"], ["x", "--password", "--port", "80"]),
        (["x", "--password=a b;c&d"], ["x", f"--password={HIDDEN}"]),
        (["env", "DB_PASSWORD=a b", "run"], ["env", f"DB_PASSWORD={HIDDEN}", "run"]),
        (
            ["/usr/bin/mysql", "-pa b", "-P", "3306"],
            ["/usr/bin/mysql", f"-p{HIDDEN}", "-P", "3306"],
        ),
        (["sudo", "mysqldump", "-pabc"], ["sudo", "mysqldump", f"-p{HIDDEN}"]),
        (["curl", "-u", "bob:x", "http://h:80/"], ["curl", "-u", HIDDEN, "http://h:80/"]),
        (
            ["curl", "-H", "Authorization: Bearer abc def", "http://h"],
            ["curl", "-H", f"Authorization: {HIDDEN}", "http://h"],
        ),
        (["redis-cli", "-a", "x", "get", "y"], ["redis-cli", "-a", HIDDEN, "get", "y"]),
        (["openssl", "rsa", "-passin", "pass:x"], ["openssl", "rsa", "-passin", HIDDEN]),
        (["sh", "-c", "mysql -pabc x"], ["sh", "-c", f"mysql -p{HIDDEN} x"]),
        (["ls", "-a", "-p", "x"], ["ls", "-a", "-p", "x"]),
        ([], []),
    ],
)
def test_the_words_of_a_command_line_lose_only_their_secrets(argv, shown):
    assert redact_argv(argv) == shown


@given(st.text(max_size=300))
def test_it_takes_any_text_and_finds_nothing_new_the_second_time(text):
    once = redact(text)
    assert redact(once) == once


@given(st.lists(st.text(max_size=60), max_size=12))
def test_it_takes_any_command_line_word_by_word(argv):
    assert len(redact_argv(argv)) == len(argv)


def test_only_so_much_text_is_looked_at():
    assert len(redact("x" * (2 * MAX_CHARS))) == MAX_CHARS
