"""Stage 8: runs argv trees. The only file that starts a process.

Rules of this file:
  - What runs is the tree that the policy judged: argv vectors, pipes and /dev/null. There is no shell,
    and no string is ever joined or parsed again.
  - A command's name is bare and is looked up in trusted directories only; every directory and link on the
    way and the file itself must belong to root and be writable by nobody else.
  - Every stage is a session of its own, so that a whole pipeline can be ended; its environment is fixed,
    its standard input is /dev/null, its limits are set by prlimit(1) and setpriv(1), never by code
    between fork and exec.
  - Output beyond the cap is read and thrown away: a full pipe must not stop a command half way.
  - Nothing of a command outlives it, except what leaves its session; only a cgroup could hold that.
"""

from __future__ import annotations

import asyncio
import os
import re
import resource
import signal
import stat
from asyncio.subprocess import Process
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import msgspec

from sentinel.agent import pipes, procfs
from sentinel.errors import NodeError
from sentinel.policy.grammar import AndOr, CommandTree, Pipeline, Simple

GRACE_S = 2.0  # between TERM and KILL
DRAIN_S = 1.0  # for output after the last process has ended
POLL_S = 0.02
LINKS = 40  # symbolic links on the way to an executable, as in the kernel
REFUSED = 126  # a shell's status for a command that was found and not run

# Where prlimit and setpriv are; the commands themselves are looked up where the policy says.
SYSTEM = ("/usr/bin", "/bin")
ENVIRONMENT = {
    "HOME": "/",
    "LC_ALL": "C.UTF-8",
    "TERM": "dumb",
    "PAGER": "cat",
    "SYSTEMD_PAGER": "",
    "LESSSECURE": "1",
}


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What each process of a command may use; processor time is bounded by the command's timeout."""

    memory_bytes: int = 4 << 30  # of address space
    file_bytes: int = 4 << 30  # the largest file it may write
    processes: int = 512  # of its user; the kernel does not hold root to it
    files: int = 1024


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one command. `exit_status` is the shell's: 128 + n after signal n.

    `reason` is set where a part of it was not started: then the rest did not run either.
    """

    exit_status: int
    stdout: str
    stderr: str
    truncated_bytes: int
    timed_out: bool
    reason: str = ""


def argv(command: Simple) -> tuple[str, ...]:
    """Return the words of a simple command."""
    return tuple(word.value for word in command.argv)


def resolve(name: str, trusted: Sequence[str]) -> str:
    """Return the absolute path of the executable `name`, or raise NodeError with what is not right."""
    if not name or "/" in name:
        raise NodeError(f"{name!r} is not a bare command name")
    for folder in trusted:
        path = os.path.join("/", folder, name)
        if os.path.isfile(path) and os.access(path, os.X_OK):
            _examine(path)
            return path
    raise NodeError(
        f"{name} is not in {', '.join(trusted) or 'any directory: none is trusted'}",
        hint="install it, or strike the command",
    )


def _examine(path: str) -> None:
    """Raise NodeError where `path` is not to be trusted; what is not there is harmless."""
    try:
        _refuse_writable(path)
    except FileNotFoundError:
        return
    except OSError as error:
        raise NodeError(f"{path} cannot be examined: {error.strerror}") from None


def _refuse_writable(path: str) -> None:
    """Raise NodeError where anybody but root could put another file behind `path`.

    Walks as the kernel does, so that the directory of every link on the way is looked at too.
    """
    here, links = "/", 0
    left = [*reversed(path.split("/")), "/"]
    while left:
        part = left.pop()
        if part in ("", "."):
            continue
        if part == "..":
            here = os.path.dirname(here)
            continue
        there = os.path.join(here, part)
        found = os.lstat(there)
        if stat.S_ISLNK(found.st_mode):
            links += 1
            if links > LINKS:
                raise NodeError(f"{path} is not trusted: more than {LINKS} links")
            target = os.readlink(there)
            left += reversed(target.split("/"))
            here = "/" if target.startswith("/") else here
            continue
        if found.st_uid != 0 or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise NodeError(f"{path} is not trusted: {there} can be changed by others than root")
        here = there


def start_ticks(pid: int) -> int | None:
    """Return field 22 of /proc/PID/stat: with the pid, a process's identity. None: no such process."""
    try:
        return procfs.parse_stat(procfs.read(f"/proc/{pid}/stat")).start
    except (OSError, ValueError, IndexError):
        return None


def identity_holds(pid: int, ticks: int) -> bool:
    """Say whether `pid` is still the process that started at `ticks`."""
    return start_ticks(pid) == ticks


def refuse_strangers(words: Iterable[str], captured: Mapping[int, int]) -> None:
    """Raise NodeError where a number in `words` is a captured pid that is another process by now.

    Every run of digits counts: `1234`, `--pid=1234`, `/proc/1234/fd`. `captured` is start_ticks by pid.
    """
    for word in words:
        for digits in re.findall(r"[0-9]+", word):
            pid = int(digits)
            if pid in captured and not identity_holds(pid, captured[pid]):
                raise NodeError(
                    f"pid {pid} is another process now"
                    if start_ticks(pid) is not None
                    else f"process {pid} is gone"
                )


async def run(
    tree: CommandTree,
    *,
    timeout_s: float,
    trusted: Sequence[str],
    limits: Limits | None = None,
    captured: Mapping[int, int] | None = None,
) -> Run:
    """Run `tree` and return what became of it.

    Right before each stage starts, the pids among its words are compared with `captured` (start_ticks by
    pid). Raises NodeError before anything starts where an executable is not to be trusted. Cancelling
    ends every process first.
    """
    for folder in trusted:
        _examine(folder)  # all of them: they are the PATH of a command that starts another
    names = dict.fromkeys(command.argv[0].value for command in tree.commands)
    paths = {name: resolve(name, trusted) for name in names}
    environment = {**ENVIRONMENT, "PATH": ":".join(trusted)}
    deadline = asyncio.get_running_loop().time() + timeout_s
    work = _Work(
        paths, _prefix(limits or Limits(), timeout_s), environment, captured or {}, deadline
    )
    timed_out, reason = False, ""
    try:
        await work.tree(tree)
    except TimeoutError:
        timed_out = True
    except (NodeError, OSError) as error:
        work.status, reason = REFUSED, str(error)
    return Run(
        exit_status=work.status,
        stdout=work.stdout.text(),
        stderr=work.stderr.text(),
        truncated_bytes=work.stdout.lost + work.stderr.lost,
        timed_out=timed_out,
        reason=reason,
    )


def _prefix(limits: Limits, timeout_s: float) -> list[str]:
    """Return the words that bound a command, from util-linux where it is installed."""
    wanted = {
        "as": (resource.RLIMIT_AS, limits.memory_bytes),
        "fsize": (resource.RLIMIT_FSIZE, limits.file_bytes),
        "nproc": (resource.RLIMIT_NPROC, limits.processes),
        "nofile": (resource.RLIMIT_NOFILE, limits.files),
        "cpu": (resource.RLIMIT_CPU, int(timeout_s) + 1),
        "core": (resource.RLIMIT_CORE, 0),
    }
    words: list[str] = []
    if path := _tool("prlimit"):
        bounds = [f"--{name}={_at_most(kind, value)}" for name, (kind, value) in wanted.items()]
        words += [path, *bounds, "--"]
    if path := _tool("setpriv"):
        # A command must not go on unwatched when the agent is killed. util-linux before 2.33 cannot say so.
        with_us = ["--pdeathsig", "TERM"] if b"pdeathsig" in Path(path).read_bytes() else []
        words += [path, "--no-new-privs", *with_us, "--"]
    return words


def _tool(name: str) -> str | None:
    """Return the path of a tool of util-linux, None where it is not installed."""
    installed = any(os.path.isfile(os.path.join(folder, name)) for folder in SYSTEM)
    return resolve(name, SYSTEM) if installed else None


def _at_most(kind: int, value: int) -> int:
    """Return the limit, or the one that we are under ourselves: it could not be raised."""
    hard = resource.getrlimit(kind)[1]
    return value if hard == resource.RLIM_INFINITY else min(value, hard)


class _Work:
    """One command under way: its status so far and its output."""

    def __init__(
        self,
        paths: Mapping[str, str],
        prefix: Sequence[str],
        environment: Mapping[str, str],
        captured: Mapping[int, int],
        deadline: float,
    ) -> None:
        self._paths = paths
        self._prefix = prefix
        self._environment = environment
        self._captured = captured
        self._deadline = deadline
        self.status = 0
        self.stdout = pipes.Sink()
        self.stderr = pipes.Sink()

    async def tree(self, tree: CommandTree) -> None:
        """Run the lists one after the other; the status is the last one's, as in a shell."""
        for item in tree.lists:
            await self._and_or(item)

    async def _and_or(self, item: AndOr) -> None:
        await self._pipeline(item.first)
        for operator, pipeline in item.rest:
            if (self.status == 0) == (operator == "&&"):
                await self._pipeline(pipeline)

    async def _pipeline(self, pipeline: Pipeline) -> None:
        """Start every stage, then wait for all; the status is the last stage's."""
        started: list[Process] = []
        with pipes.Pipes(len(pipeline.commands)) as ends:
            readers = ends.readers(self.stdout, self.stderr)
            try:
                async with asyncio.timeout_at(self._deadline):
                    for index, command in enumerate(pipeline.commands):
                        started.append(await self._start(command, ends.of(index)))
                    ends.close_children()
                    for process in started:
                        await process.wait()
            finally:
                # Readers go on until the very end: no stage may meet a closed pipe while it tidies up.
                ends.close_children()
                try:
                    await _end(started)
                    await _drained(readers)
                finally:
                    for reader in readers:
                        reader.close()
                    self.status = _status(started)

    async def _start(self, command: Simple, fds: list[int]) -> Process:
        words = argv(command)
        with pipes.redirected(command, fds) as (stdin, stdout, stderr):
            refuse_strangers(words[1:], self._captured)
            return await asyncio.create_subprocess_exec(
                *self._prefix,
                self._paths[words[0]],
                *words[1:],
                stdin=stdin,
                stdout=stdout,
                stderr=stderr,
                env={**self._environment, **_assigned(command)},
                cwd="/",
                umask=0o077,
                start_new_session=True,
            )


def _assigned(command: Simple) -> dict[str, str]:
    """Return what stands before a command as `NAME=value`; the policy has judged it."""
    parts = (word.value.partition("=") for word in command.environment)
    return {name: value for name, _, value in parts}


def _status(stages: Sequence[Process]) -> int:
    """Return the last stage's exit status as a shell has it."""
    status = stages[-1].returncode if stages else REFUSED
    if status is None:  # not even KILL has ended it yet: it hangs in the kernel
        return 128 + signal.SIGKILL
    return 128 - status if status < 0 else status


async def _drained(readers: Sequence[pipes.Reader]) -> None:
    """Wait for the ends of the pipes, but not for a process that left its session and holds one open."""
    try:
        async with asyncio.timeout(DRAIN_S):
            for reader in readers:
                await reader.ended.wait()
    except TimeoutError:
        return


async def _end(stages: Sequence[Process]) -> None:
    """End what is left of the stages' sessions: TERM, a moment, KILL. Usually nothing is."""
    left = [stage for stage in stages if not _over(stage)]
    for stage in left:
        _signal(stage, signal.SIGTERM)
    try:
        await _gone(left)
    finally:
        for stage in left:
            _signal(stage, signal.SIGKILL)
    await _gone(left)


async def _gone(stages: Sequence[Process]) -> None:
    """Wait until nothing of the stages is left, at most GRACE_S."""
    for _ in range(int(GRACE_S / POLL_S)):
        if all(map(_over, stages)):
            return
        await asyncio.sleep(POLL_S)


def _over(stage: Process) -> bool:
    """Say whether the stage's status is known and nothing is left of its session."""
    return stage.returncode is not None and not _signal(stage, None)


def _signal(leader: Process, number: signal.Signals | None) -> bool:
    """Signal everything in the session of `leader`; False where nothing is left of it."""
    # The kernel does not give out a number that is still a group's. So if the leader was reaped and
    # there is a process of its number, the group was empty before and this one is a stranger's.
    if leader.returncode is not None and os.path.exists(f"/proc/{leader.pid}"):
        return False
    try:
        os.killpg(leader.pid, number or 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True
