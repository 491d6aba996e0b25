"""Stage 8: runs argv trees. The only file that starts a process.

Rules of this file:
  - What runs is the tree that the policy judged: argv vectors, pipes and /dev/null. There is no shell,
    and no string is ever joined or parsed again.
  - A command's name is bare and is looked up in trusted directories only; every directory on the way and
    the file itself must belong to root and be writable by nobody else.
  - Every stage is a session of its own, so that a whole pipeline can be ended; its environment is fixed,
    its standard input is /dev/null, its limits are set by prlimit(1) and setpriv(1), never by code
    between fork and exec.
  - Output beyond the cap is read and thrown away: a full pipe must not stop a command half way.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from sentinel.errors import NodeError
from sentinel.policy.grammar import AndOr, CommandTree, Pipeline, Simple

OUTPUT_BYTES = 64 * 1024  # kept of each of stdout and stderr
GRACE_S = 2.0  # between TERM and KILL
DRAIN_S = 1.0  # for output after the last process has ended
FILE_BYTES = 4 << 30  # the largest file a command may write

ENVIRONMENT = {
    "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/",
    "LC_ALL": "C.UTF-8",
    "TERM": "dumb",
    "PAGER": "cat",
    "SYSTEMD_PAGER": "",
    "LESSSECURE": "1",
}


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one command. `exit_status` is the shell's: 128 + n after signal n."""

    exit_status: int
    stdout: str
    stderr: str
    truncated_bytes: int
    timed_out: bool


def flat(tree: CommandTree) -> Iterator[Simple]:
    """Yield every simple command of `tree`, in the order of its text."""
    for item in tree.lists:
        for pipeline in (item.first, *(pipeline for _, pipeline in item.rest)):
            yield from pipeline.commands


def argv(command: Simple) -> tuple[str, ...]:
    """Return the words of a simple command."""
    return tuple(word.value for word in command.argv)


def resolve(name: str, trusted: Sequence[str]) -> str:
    """Return the absolute path of the executable `name`, or raise NodeError with what is not right."""
    if not name or "/" in name:
        raise NodeError(f"{name!r} is not a bare command name")
    for folder in trusted:
        path = Path(folder) / name
        if path.is_file() and os.access(path, os.X_OK):
            _refuse_writable(path)
            return str(path)
    raise NodeError(
        f"{name} is not in {', '.join(trusted)}", hint="install it, or strike the command"
    )


def _refuse_writable(path: Path) -> None:
    """Raise NodeError where anybody but root could replace what is behind `path`, links followed."""
    for place in (path, Path(os.path.realpath(path))):
        for part in (place, *place.parents):
            found = part.lstat()
            if stat.S_ISLNK(found.st_mode):
                found = part.stat()
            if found.st_uid != 0 or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
                raise NodeError(f"{path} is not trusted: {part} can be changed by others than root")


def start_ticks(pid: int) -> int | None:
    """Return field 22 of /proc/PID/stat: with the pid, a process's identity. None: no such process."""
    try:
        line = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return None
    # The name stands in parentheses and may hold anything, so count from the last one.
    return int(line.rpartition(b")")[2].split()[19])


async def run(tree: CommandTree, *, timeout_s: float, trusted: Sequence[str]) -> Run:
    """Run `tree` and return what became of it.

    Raises NodeError before anything starts where one of its executables is not to be trusted. Cancelling
    ends every process first.
    """
    paths = {command.argv[0].value: "" for command in flat(tree)}
    for name in paths:
        paths[name] = resolve(name, trusted)
    work = _Work(paths, _prefix(timeout_s))
    timed_out = False
    try:
        async with asyncio.timeout(timeout_s):
            status = await work.tree(tree)
    except TimeoutError:
        timed_out, status = True, 128 + signal.SIGKILL
    finally:
        await work.end()
    return Run(
        exit_status=status,
        stdout=work.stdout.text(),
        stderr=work.stderr.text(),
        truncated_bytes=work.stdout.lost + work.stderr.lost,
        timed_out=timed_out,
    )


def _prefix(timeout_s: float) -> list[str]:
    """Return the words that bound a command, from util-linux where it is installed."""
    words = []
    if limits := shutil.which("prlimit", path=ENVIRONMENT["PATH"]):
        cpu = int(timeout_s) + 1
        words += [limits, "--core=0", f"--fsize={FILE_BYTES}", f"--cpu={cpu}", "--"]
    if privileges := shutil.which("setpriv", path=ENVIRONMENT["PATH"]):
        words += [privileges, "--no-new-privs", "--"]
    return words


class _Sink:
    """Keeps the head of what is read, and counts the rest."""

    def __init__(self) -> None:
        self._kept = bytearray()
        self.lost = 0

    def take(self, data: bytes) -> None:
        room = OUTPUT_BYTES - len(self._kept)
        self._kept += data[:room]
        self.lost += max(0, len(data) - room)

    def text(self) -> str:
        return self._kept.decode("utf-8", "replace")[:OUTPUT_BYTES]


class _Work:
    """One command under way: its processes and its output."""

    def __init__(self, paths: dict[str, str], prefix: list[str]) -> None:
        self._paths = paths
        self._prefix = prefix
        self._processes: list[asyncio.subprocess.Process] = []
        self.stdout = _Sink()
        self.stderr = _Sink()

    async def tree(self, tree: CommandTree) -> int:
        """Run the lists one after the other; the status is the last one's, as in a shell."""
        status = 0
        for item in tree.lists:
            status = await self._and_or(item)
        return status

    async def _and_or(self, item: AndOr) -> int:
        status = await self._pipeline(item.first)
        for operator, pipeline in item.rest:
            if (status == 0) == (operator == "&&"):
                status = await self._pipeline(pipeline)
        return status

    async def _pipeline(self, pipeline: Pipeline) -> int:
        """Start every stage, then wait for all; the status is the last stage's."""
        with _Pipes(len(pipeline.commands)) as pipes:
            started = [
                await self._start(command, pipes.of(index))
                for index, command in enumerate(pipeline.commands)
            ]
            pipes.close_children()
            async with asyncio.TaskGroup() as tasks:
                readers = [
                    tasks.create_task(_drain(pipes.take_stdout(), self.stdout)),
                    tasks.create_task(_drain(pipes.take_stderr(), self.stderr)),
                ]
                for process in started:
                    await process.wait()
                # A process that left its session may hold the pipe open: it is not waited for.
                await asyncio.wait(readers, timeout=DRAIN_S)
                for reader in readers:
                    reader.cancel()
        status = started[-1].returncode
        assert status is not None
        return 128 - status if status < 0 else status

    async def _start(self, command: Simple, fds: list[int]) -> asyncio.subprocess.Process:
        words = [self._paths[command.argv[0].value], *argv(command)[1:]]
        with _redirected(command, fds) as (stdin, stdout, stderr):
            process = await asyncio.create_subprocess_exec(
                *self._prefix,
                *words,
                stdin=stdin,
                stdout=stdout,
                stderr=stderr,
                env=ENVIRONMENT,
                cwd="/",
                umask=0o077,
                start_new_session=True,
            )
        self._processes.append(process)
        return process

    async def end(self) -> None:
        """End what still runs: TERM, a moment, KILL, to every session."""
        alive = [process for process in self._processes if process.returncode is None]
        for process in alive:
            _signal(process.pid, signal.SIGTERM)
        if alive:
            waits = [asyncio.ensure_future(process.wait()) for process in alive]
            await asyncio.wait(waits, timeout=GRACE_S)
        for process in self._processes:
            # Also where the leader has gone: its session may have members left.
            _signal(process.pid, signal.SIGKILL)
        for process in alive:
            await process.wait()


def _signal(group: int, number: signal.Signals) -> None:
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        return


async def _drain(descriptor: int, sink: _Sink) -> None:
    """Read to the end of the pipe, keeping what the sink keeps."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=OUTPUT_BYTES)
    transport, _ = await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(descriptor, "rb", buffering=0)
    )
    try:
        while data := await reader.read(OUTPUT_BYTES):
            sink.take(data)
    finally:
        transport.close()


class _Pipes:
    """The descriptors of one pipeline: one pipe between two stages, one for stdout, one for stderr."""

    def __init__(self, stages: int) -> None:
        self._open: set[int] = set()
        self._between = [self._pipe() for _ in range(stages - 1)]
        self._stdout = self._pipe()
        self._stderr = self._pipe()

    def __enter__(self) -> _Pipes:
        return self

    def __exit__(self, *_: object) -> None:
        self._close(list(self._open))

    def of(self, stage: int) -> list[int]:
        """Return [stdin, stdout, stderr] of a stage; -1 is /dev/null."""
        first, last = stage == 0, stage == len(self._between)
        stdin = -1 if first else self._between[stage - 1][0]
        stdout = self._stdout[1] if last else self._between[stage][1]
        return [stdin, stdout, self._stderr[1]]

    def close_children(self) -> None:
        """Close what only the children need, or no reader would ever see the end."""
        ends = [end for pipe in self._between for end in pipe]
        self._close([*ends, self._stdout[1], self._stderr[1]])

    def take_stdout(self) -> int:
        """Return the reading end of stdout; the caller closes it."""
        self._open.discard(self._stdout[0])
        return self._stdout[0]

    def take_stderr(self) -> int:
        """Return the reading end of stderr; the caller closes it."""
        self._open.discard(self._stderr[0])
        return self._stderr[0]

    def _pipe(self) -> tuple[int, int]:
        ends = os.pipe2(os.O_CLOEXEC)
        self._open.update(ends)
        return ends

    def _close(self, descriptors: Iterable[int]) -> None:
        for descriptor in descriptors:
            if descriptor in self._open:
                self._open.discard(descriptor)
                os.close(descriptor)


@contextmanager
def _redirected(command: Simple, fds: list[int]) -> Iterator[list[int]]:
    """Apply the redirections to [stdin, stdout, stderr] in order, as a shell does."""
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    try:
        now = [null if fd == -1 else fd for fd in fds]
        for redirect in command.redirects:
            match redirect.op, redirect.target:
                case "dup", int() as target:
                    now[redirect.fd] = now[target]
                case "&>", "/dev/null":
                    now[1] = now[2] = null
                case ((">" | ">>" | "<"), "/dev/null"):
                    now[redirect.fd] = null
                case _:
                    raise NodeError(
                        f"redirection {redirect.op} {redirect.target} is never executed"
                    )
        yield now
    finally:
        os.close(null)
