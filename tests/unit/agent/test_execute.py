"""The executor, on real processes: what runs is the tree, as bash would run it, bounded, and nothing else."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from sentinel.agent import execute
from sentinel.agent.execute import Limits
from sentinel.errors import NodeError
from sentinel.policy import grammar
from tests import needed
from tests.unit.agent import faults

TRUSTED = ("/usr/sbin", "/usr/bin", "/sbin", "/bin")
DAY = f"86400.{os.getpid()}"  # seconds to sleep: a word that only processes of this run have


async def go(text, *, timeout_s=20, **options):
    return await execute.run(grammar.parse(text), timeout_s=timeout_s, trusted=TRUSTED, **options)


def alive(marker):
    """The processes that have `marker` among their words."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if marker.encode() in (folder / "cmdline").read_bytes().split(b"\0"):
                found.append(int(folder.name))
    return found


def started(*words):
    return subprocess.Popen(words)


async def until(condition, seconds=10):
    """Wait for what another process is about to do."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never happened"
        await asyncio.sleep(0.01)


# ---------------------------------------------------------------- as bash does, without a shell


@pytest.mark.parametrize(
    "text",
    [
        "printf 'b\\na\\n' | sort | head -n 1",
        "true",
        "false",
        "false | true",
        "true | false",
        "sh -c 'exit 7'",
        "sh -c 'kill -9 $$'",
        "sh -c 'kill -TERM $$' | cat",
        "false && echo a || echo b",
        "true || echo a && echo b",
        "true && false || false && echo a",
        "false || false || echo c",
        "echo a ; false",
        "false ; echo a",
        "echo a && echo b | tr b c ; echo d",
        "echo '$(id)' '`id`' '*' ';' '|' \"a b\" a\\ b ''",
        "printf '%s.' a '' 'b c'",
        "echo out ; sh -c 'echo err >&2'",
        "sh -c 'echo out; echo err >&2' > /dev/null",
        "sh -c 'echo out; echo err >&2' 2> /dev/null",
        "sh -c 'echo out; echo err >&2' 2>&1",
        "sh -c 'echo out; echo err >&2' >&2",
        "sh -c 'echo out; echo err >&2' 2>&1 > /dev/null",
        "sh -c 'echo out; echo err >&2' > /dev/null 2>&1",
        "sh -c 'echo out; echo err >&2' &> /dev/null",
        "sh -c 'echo out; echo err >&2' 1>&2 2>&1",
        "sh -c 'echo out; echo err >&2' 2>&1 | tr a-z A-Z",
        "sh -c 'echo out; echo err >&2' 2>&1 > /dev/null | tr a-z A-Z",
        "sh -c 'echo out; echo err >&2' > /dev/null | cat",
        "echo in | cat < /dev/null",
        "echo in | sh -c 'cat; exit 3' | cat",
        "cat",
        "yes | head -n 2",
        "sh -c 'umask; pwd'",
        "TZ=UTC LANG=C sh -c 'echo $TZ $LANG' | TZ=x sh -c 'cat; echo $TZ $LANG'",
    ],
)
async def test_the_tree_does_what_bash_does(text):
    run = await go(text)
    assert (run.exit_status, run.stdout, run.stderr) == as_bash(text)
    assert not run.timed_out
    assert not run.reason


def as_bash(text):
    done = subprocess.run(
        ["bash", "-c", text],
        capture_output=True,
        stdin=subprocess.DEVNULL,
        text=True,
        cwd="/",
        umask=0o077,
        env={"PATH": ":".join(TRUSTED)},
    )
    # bash becomes its last command, so a signal may show as one; a killed stage it remarks upon itself.
    status = done.returncode if done.returncode >= 0 else 128 - done.returncode
    return status, done.stdout, "" if "kill" in text else done.stderr


async def test_the_environment_is_fixed(monkeypatch):
    monkeypatch.setenv("LD_PRELOAD_X", "mine")
    monkeypatch.setenv("SSH_AUTH_SOCK", "/run/agent")
    run = await go("env")
    assert sorted(run.stdout.splitlines()) == [
        "HOME=/",
        "LC_ALL=C.UTF-8",
        "LESSSECURE=1",
        "PAGER=cat",
        "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
        "SYSTEMD_PAGER=",
        "TERM=dumb",
    ]


async def test_a_command_holds_no_descriptor_but_its_three(tmp_path):
    with (tmp_path / "held").open("w") as held:
        os.set_inheritable(held.fileno(), True)
        run = await go("ls /proc/self/fd | cat")
    assert set(run.stdout.split()) == {"0", "1", "2", "3"}  # 3 is the directory that ls reads


async def test_nothing_is_left_open_here():
    await go("true | true")
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        await go("true | true 2> /dev/null && false")
    assert len(os.listdir("/proc/self/fd")) == before


async def test_each_stage_is_a_session_of_its_own():
    run = await go("cat /proc/self/stat | cat - /proc/self/stat")
    for line in run.stdout.splitlines():
        fields = line.split()
        assert fields[0] == fields[4] == fields[5]  # pid, process group, session
    assert len(run.stdout.splitlines()) == 2


# ---------------------------------------------------------------- bounds


@pytest.fixture
def bounded():
    """For what is promised only where util-linux is installed."""
    for name in ("prlimit", "setpriv"):
        needed.program(name, "util-linux")


@pytest.mark.usefixtures("bounded")
async def test_no_command_gains_privileges_or_leaves_a_core():
    soft, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))
    try:
        run = await go("grep NoNewPrivs /proc/self/status && sh -c 'ulimit -c'", timeout_s=9)
    finally:
        resource.setrlimit(resource.RLIMIT_CORE, (soft, hard))
    assert run.stdout == "NoNewPrivs:\t1\n0\n"


@pytest.mark.usefixtures("bounded")
async def test_a_command_is_held_to_its_limits(tmp_path):
    limits = Limits(memory_bytes=1 << 30, file_bytes=8192, processes=77, files=55)
    run = await go("sh -c 'ulimit -v; ulimit -p; ulimit -n; ulimit -t'", timeout_s=9, limits=limits)
    assert run.stdout.split() == ["1048576", "77", "55", "10"]
    target = tmp_path / "large"
    run = await go(f"dd if=/dev/zero of={target} bs=4096 count=9", limits=limits)
    assert run.exit_status == 128 + signal.SIGXFSZ
    assert target.stat().st_size == 8192


@pytest.mark.usefixtures("bounded")
def test_a_limit_that_we_are_under_ourselves_does_not_stop_every_command():
    """A hard limit cannot be raised without privileges: asking for more would fail each time."""
    program = (
        "import asyncio; from sentinel.agent import execute; from sentinel.policy import grammar;"
        "print(asyncio.run(execute.run(grammar.parse('sh -c \"ulimit -n\"'), timeout_s=9,"
        f" trusted={TRUSTED})).stdout)"
    )
    done = subprocess.run(
        ["prlimit", "--nofile=333", sys.executable, "-c", program], capture_output=True, text=True
    )
    assert done.stdout.strip() == "333", done.stderr


async def test_output_over_the_cap_is_counted_and_the_command_ends_as_if_it_were_read():
    run = await go("sh -c 'head -c 300000 /dev/zero | tr \\\\0 x; echo done >&2; exit 5'")
    assert run.stdout == "x" * 65536
    assert run.truncated_bytes == 300_000 - 65536
    assert run.stderr == "done\n"
    assert run.exit_status == 5


async def test_control_characters_and_bad_bytes_stay_data():
    run = await go("printf '\\033[31m\\377\\t\\000\\r\\n'")
    assert run.stdout == "\x1b[31m�\t\\x00\r\n"


async def test_a_timeout_ends_everything_in_the_pipeline_and_keeps_what_was_printed():
    run = await go(f"sh -c 'echo first; sleep {DAY} & sleep {DAY}' | cat", timeout_s=0.3)
    assert run.timed_out
    assert run.stdout == "first\n"
    await until(lambda: not alive(DAY))


async def test_a_command_that_heeds_term_may_tidy_up_and_say_so():
    script = 'trap "head -c 200000 /dev/zero; echo tidied >&2; exit 3" TERM; echo up; while :; do sleep 0.05; done'
    run = await go(f"sh -c '{script}'", timeout_s=0.5)
    assert run.timed_out
    assert run.exit_status == 3
    assert run.stderr.endswith("tidied\n")


async def test_a_command_that_ignores_term_is_killed(monkeypatch):
    monkeypatch.setattr(execute, "GRACE_S", 0.3)
    run = await go("sh -c 'trap \"\" TERM; while :; do sleep 0.1; done'", timeout_s=0.2)
    assert run.timed_out
    assert run.exit_status == 128 + signal.SIGKILL


async def test_the_timeout_is_the_whole_commands():
    run = await go(f"sleep 0.4 ; sleep 0.4 ; sleep {DAY}", timeout_s=1)
    assert run.timed_out
    await until(lambda: not alive(DAY))


async def test_cancelling_ends_the_processes_first():
    task = asyncio.ensure_future(go(f"sleep {DAY} | sleep {DAY}"))
    await until(lambda: len(alive(DAY)) == 2)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not alive(DAY)


async def test_cancelling_again_while_it_tidies_up_kills_at_once():
    task = asyncio.ensure_future(go(f"sh -c 'trap \"\" TERM; while :; do sleep 0.01; done' {DAY}"))
    await until(lambda: alive(DAY))
    task.cancel()
    await asyncio.sleep(0.2)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await until(lambda: not alive(DAY), execute.GRACE_S / 2)
    await asyncio.sleep(0.1)  # nobody waits any more, but the loop still has to hear of the end


async def test_what_a_command_leaves_in_its_session_ends_with_it():
    run = await go(f"sh -c 'sleep {DAY} & echo up'")
    assert (run.exit_status, run.stdout) == (0, "up\n")
    await until(lambda: not alive(DAY))


async def test_what_left_its_session_is_not_waited_for():
    script = '{ setsid sh -c "echo left; exec sleep DAY" & } | head -n 1'.replace("DAY", DAY)
    async with asyncio.timeout(execute.DRAIN_S + 15):
        run = await go(f"sh -c '{script}'")
    assert (run.exit_status, run.stdout, run.timed_out) == (0, "left\n", False)
    left = alive(DAY)
    assert left
    for pid in left:
        os.kill(pid, signal.SIGKILL)


def test_a_number_that_was_given_out_again_is_not_signalled():
    stranger = subprocess.Popen(["sleep", DAY], start_new_session=True)
    try:
        reaped = SimpleNamespace(pid=stranger.pid, returncode=0)
        assert not execute._signal(reaped, signal.SIGKILL)
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


@pytest.mark.usefixtures("bounded")
async def test_a_command_does_not_outlive_an_agent_that_is_killed():
    program = (
        "import asyncio; from sentinel.agent import execute; from sentinel.policy import grammar;"
        f"asyncio.run(execute.run(grammar.parse('sleep {DAY}'), timeout_s=60, trusted={TRUSTED}))"
    )
    agent = started(sys.executable, "-c", program)
    try:
        await until(lambda: any(alive_as_sleep(DAY)))
    finally:
        agent.kill()
        agent.wait()
    await until(lambda: not alive(DAY))


def alive_as_sleep(marker):
    """Past prlimit and setpriv, where the signal at the parent's death is set."""
    for pid in alive(marker):
        with contextlib.suppress(OSError):
            yield Path(f"/proc/{pid}/comm").read_text() == "sleep\n"


# ---------------------------------------------------------------- which executable


@pytest.mark.parametrize(
    "name", ["./ls", "/bin/ls", "../ls", "bin/ls", "", "no-such-program", ".."]
)
def test_only_a_bare_name_in_a_trusted_directory_is_an_executable(name):
    with pytest.raises(NodeError):
        execute.resolve(name, TRUSTED)


def test_a_command_is_looked_up_in_the_trusted_directories_only(tmp_path):
    with pytest.raises(NodeError, match="none is trusted"):
        execute.resolve("ls", ())
    with pytest.raises(NodeError, match="ls is not in"):
        execute.resolve("ls", [str(tmp_path)])
    assert execute.resolve("ls", TRUSTED) == "/usr/bin/ls"


async def test_nothing_starts_where_one_executable_is_missing(tmp_path):
    target = tmp_path / "made"
    with pytest.raises(NodeError, match="no-such-program"):
        await go(f"touch {target} && no-such-program")
    assert not target.exists()


async def test_a_path_that_others_can_write_to_is_no_path(tmp_path):
    with pytest.raises(NodeError, match="can be changed by others than root"):
        await execute.run(grammar.parse("true"), timeout_s=9, trusted=["/usr/bin", str(tmp_path)])


@pytest.fixture
def rooted():
    """A directory that only root can change, all the way up: none under /tmp is."""
    needed.root("make a directory that is root's")
    folder = Path(tempfile.mkdtemp(dir="/run", prefix="sentinel-test-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def program(path, mode=0o755):
    path.write_text("#!/bin/sh\necho ran\n")
    path.chmod(mode)
    return path


async def test_a_program_that_only_root_can_change_runs(rooted):
    program(rooted / "tool")
    run = await execute.run(grammar.parse("tool"), timeout_s=9, trusted=[str(rooted), *TRUSTED])
    assert run.stdout == "ran\n"


@pytest.mark.parametrize("mode", [0o775, 0o757, 0o777])
def test_a_program_that_others_can_write_to_is_refused(rooted, mode):
    program(rooted / "tool", mode)
    with pytest.raises(NodeError, match="tool can be changed"):
        execute.resolve("tool", [str(rooted)])


@pytest.mark.parametrize("mode", [0o775, 0o757, 0o1777])
def test_a_directory_that_others_can_write_to_is_refused(rooted, mode):
    folder = rooted / "bin"
    folder.mkdir()
    program(folder / "tool")
    folder.chmod(mode)
    with pytest.raises(NodeError, match="bin can be changed"):
        execute.resolve("tool", [str(folder)])


def test_a_program_of_another_user_is_refused(rooted):
    os.chown(program(rooted / "tool"), 65534, 65534)
    with pytest.raises(NodeError, match="tool can be changed"):
        execute.resolve("tool", [str(rooted)])


def test_every_link_on_the_way_is_followed_and_its_directory_looked_at(rooted):
    """trusted/tool -> loose/tool -> trusted/real: both ends are fine, the middle is anybody's."""
    trusted, loose = rooted / "trusted", rooted / "loose"
    trusted.mkdir()
    loose.mkdir()
    program(trusted / "real")
    (loose / "tool").symlink_to("../trusted/./real")
    (trusted / "tool").symlink_to(loose / "tool")
    assert execute.resolve("tool", [str(trusted)]) == f"{trusted}/tool"
    loose.chmod(0o777)
    with pytest.raises(NodeError, match="loose can be changed"):
        execute.resolve("tool", [str(trusted)])


def test_a_link_to_itself_is_no_executable(rooted):
    (rooted / "tool").symlink_to("tool")
    with pytest.raises(NodeError):
        execute.resolve("tool", [str(rooted)])


# ---------------------------------------------------------------- which process


def test_an_identity_holds_for_the_process_that_was_captured_and_for_no_other():
    with faults.process(faults.IDLE) as child:
        ticks = execute.start_ticks(child.pid)
        assert execute.identity_holds(child.pid, ticks)
        assert not execute.identity_holds(child.pid, ticks - 1)
    assert not execute.identity_holds(child.pid, ticks)
    assert execute.start_ticks(child.pid) is None


def test_a_name_with_parentheses_does_not_hide_the_start_time():
    with faults.process(faults.NAMED, b"a) 1 (b) R 1".hex()) as child:
        fields = Path(f"/proc/{child.pid}/stat").read_bytes().rpartition(b") ")[2].split()
        assert execute.start_ticks(child.pid) == int(fields[19])


@pytest.mark.parametrize("form", ["{}", "--pid={}", "/proc/{}/fd", "1,{}", "-p{}"])
async def test_a_captured_pid_that_is_another_process_by_now_stops_the_command(form):
    with faults.process(faults.IDLE) as child:
        ticks = execute.start_ticks(child.pid)
        word = form.format(child.pid)
        run = await go(f"echo {word}", captured={child.pid: ticks - 1})
        assert run.reason == f"pid {child.pid} is another process now"
        assert (run.exit_status, run.stdout) == (execute.REFUSED, "")
        run = await go(f"echo {word}", captured={child.pid: ticks})
        assert (run.reason, run.stdout) == ("", f"{word}\n")


async def test_the_identity_is_compared_again_before_every_stage():
    """Between the first signal and the second the process goes: the second must hit nobody."""
    child = started("sleep", DAY)
    captured = {child.pid: execute.start_ticks(child.pid)}
    text = f"kill -TERM {child.pid} && sleep 1 && echo {child.pid} ; echo after"
    task = asyncio.ensure_future(go(text, captured=captured))
    await until(lambda: child.poll() is not None)  # and now its number is free
    run = await task
    assert run.reason == f"process {child.pid} is gone"
    assert run.exit_status == execute.REFUSED
    assert run.stdout == ""
