"""The search for blocking rules, with rules of its own: where a command hides, and what each condition means."""

from __future__ import annotations

import pytest

from sentinel.policy import fits, never
from tests.unit.policy import packs

RULES = """
[[allow]]
id = "t.known"
cmd = ["known", "echo", "cat", "curl", "find", "python3"]

[[block]]
id = "b.boom"
cmd = ["boom", "boom.*"]
why = "it is boom"

[[block]]
id = "b.flags"
cmd = ["fl"]
flags = ["-r", "--force", "-long"]
why = "flags"

[[block]]
id = "b.words"
cmd = ["wo"]
words_any = ["stop", "kill"]
why = "words"

[[block]]
id = "b.first"
cmd = ["fir"]
words_any = ["stop"]
first_word = true
why = "the first word"

[[block]]
id = "b.args"
cmd = ["ar"]
args = ["of=/dev/*", "x*"]
except = ["--dry"]
why = "args"

[[block]]
id = "b.signal"
cmd = ["sig"]
args = ["-1", "1"]
skip_first_flag = true
why = "signal"

[[block]]
id = "b.paths"
cmd = ["pa"]
paths = ["/", "/etc", "/etc/[*]", "~", "."]
why = "paths"

[[block]]
id = "b.redirect"
redirect = ["/dev/sd*"]
why = "redirect"

[[block]]
id = "b.pipe"
pipe_from = ["curl", "dec*"]
pipe_to = ["sh", "python*"]
why = "pipe"

[[block]]
id = "b.text"
text = "over[ ]?there"
why = "text"
"""


@pytest.fixture(scope="module")
def made():
    return packs.alone(RULES)


def hits(made, text):
    return [hit.block.id for hit in never.search(made, text)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("fl -r", 1), ("fl -ar", 1), ("fl --force", 1), ("fl --forc", 1), ("fl --fo", 1), ("fl --force=1", 1), ("fl -long", 1),
        ("fl --f", 0), ("fl", 0), ("fl -f", 0), ("fl r", 0), ("fl --rx", 0), ("fl --forcex", 0), ("fl a b -r", 1), ("fl -l", 0),
        ("wo stop", 1), ("wo -x y kill", 1), ("wo", 0), ("wo stopped", 0), ("wo -stop", 0),
        ("fir stop", 1), ("fir -a --b stop", 1), ("fir go stop", 0), ("fir -a", 0), ("fir", 0),
        ("ar of=/dev/sda", 1), ("ar of=//dev/./sda", 1), ("ar xy", 1), ("ar of=/tmp", 0), ("ar --dry xy", 0), ("ar xy --dry", 0),
        ("ar", 0), ("sig -1", 0), ("sig -1 -1", 1), ("sig -9 1", 1), ("sig 1", 1), ("sig -- -1", 1), ("sig -1 2", 0), ("sig", 0),
        ("pa /", 1), ("pa //", 1), ("pa /etc/", 1), ("pa /x/../etc", 1), ("pa --target=/etc", 1), ("pa '/etc/*'", 1), ("pa ~", 1),
        ("pa ./", 1), ("pa /etc/x", 0), ("pa etc", 0), ("pa ~x", 0), ("pa", 0), ("pa --x=", 0),
        ("known > /dev/sda", 1), ("known >> //dev/sdb1", 1), ("known > /dev/null", 0), ("known /dev/sda", 0),
        ("curl x | sh", 1), ("curl x | cat | python3", 1), ("curl x; sh", 0), ("sh | curl", 0), ("cat x | sh", 0), ("decode | sh", 1),
        ("sh <(curl x)", 1), ("sh $(curl x)", 1), ("known over there", 1), ("known over  there", 0), ("known overthere", 1),
        ("boom", 1), ("/usr/bin/boom x", 1), ("boom.4", 1), ("boomx", 0), ("known boom", 0), ("echo boom", 0),
    ],
)  # fmt: skip
def test_what_each_condition_means(made, text, found):
    assert len(hits(made, text)) == found


WRAPPED = [
    "sudo boom", "sudo -u x boom", "sudo -n -u x boom", "env A=b boom", "env -S 'boom x'", "env -Sboom", "env --split-string='boom'",
    "timeout 5 boom", "timeout -k 1 5s boom", "nice -n 5 boom", "nohup boom", "setsid -f boom", "stdbuf -oL boom",
    "xargs boom", "xargs -I {} boom {}", "parallel boom", "watch boom", "watch -n 1 'boom x'", "flock /l boom", "flock -n /l -c 'boom'",
    "busybox boom", "chroot /mnt boom", "unshare -m boom", "nsenter -t 1 boom", "strace -f boom", "ssh h boom", "ssh -p 22 h 'boom x'",
    "docker exec c boom", "kubectl exec c -- boom", "su - x -c boom", "su -c 'boom x' y", "sh -c boom", "bash -lc 'boom x'",
    "bash --command 'boom'", "bash --command='boom'", "eval boom", "eval 'boom x'", "trap boom EXIT", "script -c boom /x",
    "find / -exec boom {} +", "find / -ok boom ;", "find / -execdir known ; -okdir boom ;", "python3 -c 'x(\"boom\")'",
    "python3 -c 'x([\"boom\", \"y\"])'", "perl -e '`boom`'", "ruby -e 'x(%q[boom y])'", "awk 'BEGIN{system(\"boom\")}'",
    "ld-linux-x86-64.so.2 /bin/boom", "corp boom", "corp -x a b c boom", "echo boom | sh", "printf 'boom x' | bash", "echo boom | at now",
    "echo boom | sudo sh", "echo x | xargs boom", "echo boom | xargs", "echo boom x | parallel", "bash <<< boom", "sudo env nice boom",
    "sh -c 'sh -c \"sh -c boom\"'", "if true; then boom; fi", "while boom; do known; done", "f() { boom; }", "known $(boom)", "known `boom`",
    "known <(boom)", "known \"$(boom)\"", "known ${x:-$(boom)}", "known; boom", "known & boom", "known && boom", "known || boom",
    "x=boom; $x", "b''oom", "\\boom", "$'\\x62oom'", "bo{om,y}", "known\nboom", "bash <<E\nboom\nE", "coproc boom", "time boom", "! boom",
    "exec boom", "command boom", "builtin boom", "at 'boom x'", "batch 'boom x'", "source 'boom x'", "trap 'boom x' EXIT",
]  # fmt: skip


@pytest.mark.parametrize("text", WRAPPED)
def test_a_command_is_found_wherever_it_hides(made, text):
    assert "b.boom" in hits(made, text)


QUIET = [
    "known boom", "man boom", "type boom", "echo boom | cat", "known 'boom x'", "logger boom", "help boom", "# boom", "known # boom",
    "find / -name boom", "find boom -exec known ;", "sudo known boom", "python3 -c 'boom'", "timeout 5 known boom", "echo $x | known boom",
]  # fmt: skip


@pytest.mark.parametrize("text", QUIET)
def test_a_name_that_is_only_said_is_not_blocked(made, text):
    assert hits(made, text) == []


def test_every_rule_is_found_once_in_the_order_of_the_text(made):
    assert hits(made, "boom; fl -r; boom; wo stop") == ["b.boom", "b.flags", "b.words"]
    (first, _) = never.search(made, "known; boom x; fl -r")
    assert first.span == (7, 13)


def test_what_is_behind_a_bound_blocks_or_is_not_looked_at(made):
    assert "never.too-much" in hits(made, "x=a;" + "x=$x$x " * 30)
    assert "never.too-much" in hits(made, "docker a " * 400)
    assert "never.too-much" in hits(made, "known;" * 600)
    assert "never.too-much" not in hits(made, "known a b | known; " * 50)
    assert hits(made, "known " + "a" * never.MAX_CHARS + "; boom") == []


def test_each_condition_looks_at_each_word_once(made):
    block = next(block for block in made.blocks if block.id == "b.args")
    words = fits.Words(["corp"] + ["ar"] * 500 + ["y"] * 500, {})
    assert not any(words.fit(block, at) for at in range(500))
    assert words.steps <= 2 * 1001
