"""Open words on the node: filled in as bash would, judged again, and never past what the policy says."""

from __future__ import annotations

import asyncio
import os
import subprocess
import threading

import pytest

from sentinel.agent import execute, fill
from sentinel.errors import NodeError
from sentinel.policy import grammar, rules, validate

POLICY = rules.load(examples=False)
SECONDS = f"8{os.getpid():07}"  # to sleep: a word that only a process of this run has


@pytest.fixture
def folder(tmp_path):
    """A place with names of every sort; below /tmp, where the shipped policy lets files be read."""
    for name in ("b.log", "a.log", "B.log", ".hidden.log", "c d.log", "-rf", "x.txt"):
        (tmp_path / name).write_text(name)
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "error.log").write_text(name)
    return tmp_path


async def filled(text, facts=validate.NO_FACTS):
    """The words that would run."""
    tree = grammar.parse(text)
    done = await fill.fill(
        tree,
        refusal=lambda literal: validate.refusal(POLICY, literal, facts),
        trusted=POLICY.trusted_dirs,
    )
    return [execute.argv(command) for command in done.tree.commands], done.note


@pytest.mark.parametrize(
    "pattern", ["*", "*.log", "?.log", ".*", "*/error.log", "*/*", "x*", "nothing*", "*/", "-*"]
)
def test_a_glob_names_what_bash_makes_of_it(folder, pattern):
    glob = f"{folder}/{pattern}"
    said = subprocess.run(
        ["bash", "-c", f"printf '%s\\0' {glob}"],
        capture_output=True,
        env={"LC_ALL": "C"},
        check=True,
    ).stdout
    assert (fill.names(glob) or [glob]) == os.fsdecode(said).split("\0")[:-1]


async def test_a_command_gets_every_name_and_what_matches_nothing_stays(folder):
    argvs, note = await filled(f"ls -l {folder}/?.log | grep x {folder}/nothing*")
    names = [f"{folder}/{name}.log" for name in "Bab"]
    assert argvs == [("ls", "-l", *names), ("grep", "x", f"{folder}/nothing*")]
    assert note == ""


async def test_a_quoted_star_is_a_star(folder):
    argvs, _ = await filled(f"ls '{folder}/*'")
    assert argvs == [("ls", f"{folder}/*")]


async def test_a_name_that_a_rule_refuses_refuses_the_command(folder):
    (folder / "id_rsa.log").write_text("a key")
    with pytest.raises(NodeError, match=r"what came of it is not allowed: .*id_rsa.log may hold"):
        await filled(f"cat {folder}/*.log")


async def test_a_link_is_judged_by_where_it_leads(folder):
    (folder / "z.log").symlink_to("/etc/shadow")
    (folder / "fine.txt").symlink_to(folder / "x.txt")
    argvs, _ = await filled(f"cat {folder}/fine.txt")
    assert argvs == [("cat", f"{folder}/fine.txt")]
    for text in (f"cat {folder}/z.log", f"cat {folder}/?.log"):
        with pytest.raises(NodeError, match="where its links lead is not allowed: /etc/shadow"):
            await filled(text)


async def test_a_name_that_is_not_plain_is_left_out_and_said_to_be(folder):
    (folder / "evil\x1b[2J.log").write_text("")
    argvs, note = await filled(f"ls {folder}/*il*")
    assert argvs == [("ls", f"{folder}/*il*")]
    assert note == f"left out, for their names are not plain: {folder}/evil\\x1b[2J.log"


async def test_too_many_names_are_refused(folder, monkeypatch):
    monkeypatch.setattr(fill, "MAX_WORDS", 3)
    with pytest.raises(NodeError, match="it has 7 words; at most 3 run"):
        await filled(f"ls {folder}/*.* {folder}/nothing*")
    monkeypatch.setattr(fill, "MAX_ENTRIES", 3)
    with pytest.raises(NodeError, match="looks at more than 3 names"):
        await filled(f"ls {folder}/*")


def test_a_file_system_that_hangs_stops_neither_the_node_nor_the_end_of_the_program(
    folder, monkeypatch
):
    answered, ended = threading.Event(), []
    monkeypatch.setattr(fill, "LOOK_S", 0.05)
    monkeypatch.setattr(fill, "names", lambda _: ended.append(answered.wait(5)))
    with pytest.raises(NodeError, match="the file system did not answer"):
        asyncio.run(filled(f"ls {folder}/*"))
    assert not ended
    answered.set()


@pytest.fixture
def sleeper():
    """A process that pgrep finds by a number no other has."""
    with subprocess.Popen(["sleep", SECONDS]) as child:
        yield child
        child.kill()


async def test_pids_stand_where_pgrep_stood(sleeper):
    facts = validate.Facts(pids=frozenset({sleeper.pid}), captured=True)
    argvs, _ = await filled(f"kill -TERM $(pgrep -f {SECONDS})", facts)
    assert argvs == [("kill", "-TERM", str(sleeper.pid))]


async def test_a_found_process_that_was_not_captured_refuses(sleeper):
    facts = validate.Facts(pids=frozenset({1234}), captured=True)
    with pytest.raises(NodeError, match=f"{sleeper.pid} is not a process that this incident"):
        await filled(f"kill -TERM $(pgrep -f {SECONDS})", facts)


async def test_no_process_found_is_no_command():
    with pytest.raises(NodeError, match="there is no such process"):
        await filled("ps -fp $(pgrep -x no-such-process-here)")


async def test_what_prints_no_pid_is_refused(sleeper):
    with pytest.raises(NodeError, match="which is no pid"):
        await filled(f"ps -fp $(pgrep -a -f {SECONDS})")
