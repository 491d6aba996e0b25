"""Real bash where nothing can be run: it tells what it would have run.

The outer half (`Sandbox`) starts the inner half (`python -m tests.differential.sandbox`) in namespaces of
its own. The inner half changes its root to an empty folder, gives up its rights, and then lets one bash
per text and exit status run `bash -c TEXT`. There every builtin is disabled and no path leads to a
program, so that bash hands each command to `command_not_found_handle`, which writes down the argument
vector and where the descriptors 0, 1 and 2 lead.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import resource
import select
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import msgspec

REPOSITORY = Path(__file__).parents[2]
NOBODY = 65534
SECONDS = 4  # for one text; bash needs a few thousandths
STATUSES = (0, 1)
# What bash is started on, so that no descriptor can be taken for another one.
STARTED_ON = {"in": "/dev/zero", "out": "/dev/full", "err": "/errors"}

# What a glob can name, all of it below one folder.
GLOBBED = "/t"
FILES = ("a1", "a2", "b.log", ".hidden", "B.log", "d/a1", "d/b.log", "d/.x", "e/a1", "e/f/b.log")

# [[ ]] is syntax, not a builtin: it is all that is left to look at the descriptors with. nullglob: a
# pattern that matches no file here is not a literal word, since it might match one elsewhere.
HANDLER = r"""
command_not_found_handle() {
  where=
  for fd in 0 1 2; do
    if [[ -p /proc/self/fd/$fd ]]; then where+='pipe '
    elif [[ /proc/self/fd/$fd -ef /dev/null ]]; then where+='null '
    elif [[ /proc/self/fd/$fd -ef /dev/zero ]]; then where+='in '
    elif [[ /proc/self/fd/$fd -ef /dev/full ]]; then where+='out '
    elif [[ /proc/self/fd/$fd -ef /errors ]]; then where+='err '
    else where+='other '
    fi
  done
  /.real/printf '%s\0' "$#" "$where" "$@" >>/log/$STATUS
  [[ $STATUS == 0 ]]
}
shopt -s nullglob
enable -n BUILTINS
"""


class Record(msgspec.Struct, frozen=True, array_like=True):
    """One command that bash would have run: its vector, and where descriptors 0, 1, 2 lead."""

    argv: tuple[str, ...]
    leads: tuple[str, ...]


class Run(msgspec.Struct, frozen=True, array_like=True):
    """What bash did with a text while every command returned the same status. `code` -1: no end."""

    records: tuple[Record, ...]
    code: int


def _unshare() -> list[str]:
    options = ["--net", "--mount", "--pid", "--ipc", "--uts", "--fork", "--kill-child"]
    return ["unshare", *options, *([] if os.geteuid() == 0 else ["--map-root-user"])]


class Sandbox:
    """The outer half. Raises Unavailable where there are no namespaces or there is no bash."""

    class Unavailable(Exception):
        """The reason, as the kernel or the tool gave it."""

    def __init__(self):
        if missing := [tool for tool in ("unshare", "bash", "printf") if not shutil.which(tool)]:
            raise self.Unavailable(f"not installed: {', '.join(missing)}")
        self._folder = tempfile.TemporaryDirectory(prefix="differential-")
        os.chmod(self._folder.name, 0o755)
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - close() closes it
        self._inner = subprocess.Popen(
            [*_unshare(), sys.executable, "-m", "tests.differential.sandbox", self._folder.name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            cwd=REPOSITORY,
        )
        if self._inner.stdout.readline() != b"ready\n":
            self._inner.wait(timeout=SECONDS)
            self._errors.seek(0)
            reason = self._errors.read().decode(errors="replace").strip().splitlines()
            self.close()
            raise self.Unavailable(reason[-1] if reason else "the sandbox ended")

    def run(self, text: str) -> tuple[Run, ...]:
        """Return what bash does with `text` when every command returns 0, and when each returns 1."""
        if not text.isprintable() or not text.isascii():
            raise ValueError("one line of printable ASCII is what the grammar accepts")
        self._inner.stdin.write(text.encode() + b"\n")
        self._inner.stdin.flush()
        line = self._inner.stdout.readline()
        if not line:
            self._errors.seek(0)
            raise RuntimeError(f"the sandbox ended: {self._errors.read()!r}")
        return msgspec.json.decode(line, type=tuple[Run, ...])

    def close(self) -> None:
        """End the inner half (its namespaces end with it) and remove its folder."""
        with contextlib.suppress(BrokenPipeError):
            self._inner.stdin.close()
        self._inner.stdout.close()
        self._inner.wait(timeout=10)
        self._errors.close()
        self._folder.cleanup()

    def __enter__(self):
        return self

    def __exit__(self, *_exception):
        self.close()


# ---------------------------------------------------------------- the inner half


def _libraries(program: str) -> set[str]:
    listed = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    return set(re.findall(r"(/\S+) \(0x", listed))


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True)


def _furnish(root: str) -> None:
    """Mount at `root` a file system with nothing but bash, printf, /proc and four devices."""
    _mount("--make-rprivate", "/")
    _mount("-t", "tmpfs", "-o", "size=64m,mode=755", "tmpfs", root)
    for folder in (".real", "proc", "dev", "log", "empty"):
        os.mkdir(f"{root}/{folder}")
    _mount("-t", "proc", "proc", f"{root}/proc")
    for device in ("null", "zero", "full"):
        Path(f"{root}/dev/{device}").touch()
        _mount("--bind", f"/dev/{device}", f"{root}/dev/{device}")
    bash, printf = shutil.which("bash"), shutil.which("printf")
    for library in _libraries(bash) | _libraries(printf):
        os.makedirs(os.path.dirname(root + library), exist_ok=True)
        shutil.copy(library, root + library)
    shutil.copy(bash, f"{root}/.real/bash")
    shutil.copy(printf, f"{root}/.real/printf")
    for name in FILES:
        Path(f"{root}{GLOBBED}/{name}").parent.mkdir(parents=True, exist_ok=True)
        Path(f"{root}{GLOBBED}/{name}").touch()
    builtins = subprocess.run(
        [bash, "--norc", "-c", "compgen -b"], capture_output=True, text=True, check=True
    ).stdout.split()
    Path(f"{root}/.real/handler").write_text(HANDLER.replace("BUILTINS", " ".join(builtins)))
    for name in ("errors", *(f"log/{status}" for status in STATUSES)):
        Path(f"{root}/{name}").touch()
        os.chmod(f"{root}/{name}", 0o666)


def _confine(root: str) -> None:
    """Change the root and give up every right. There is no way back."""
    os.chroot(root)
    os.chdir("/empty")
    for limit, most in (
        (resource.RLIMIT_NPROC, 500),
        (resource.RLIMIT_FSIZE, 1 << 20),
        (resource.RLIMIT_AS, 1 << 30),
    ):
        resource.setrlimit(limit, (most, most))
    # In a user namespace root is the one user there is, and outside it is nobody special.
    if int(Path("/proc/self/uid_map").read_text().split()[2]) > NOBODY:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)


def _start(text: str, status: int) -> subprocess.Popen[bytes]:
    os.truncate(f"/log/{status}", 0)
    with (
        open(STARTED_ON["in"], "rb") as stdin,
        open(STARTED_ON["out"], "wb") as stdout,
        open(STARTED_ON["err"], "wb") as stderr,
    ):
        # Without `--` a text that begins with a dash would be an option of bash.
        return subprocess.Popen(
            ["/.real/bash", "-c", "--", text],
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            start_new_session=True,
            env={
                "PATH": "/nonexistent",
                "LC_ALL": "C",
                "BASH_ENV": "/.real/handler",
                "STATUS": str(status),
            },
        )


def _end(shell: subprocess.Popen[bytes]) -> int:
    """Wait for `shell` and return its exit code, or -1 where it had to be ended."""
    # wait(timeout=) looks again only after a sleep, which costs more than bash does.
    watched = os.pidfd_open(shell.pid)
    ended, _, _ = select.select([watched], [], [], SECONDS)
    os.close(watched)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(shell.pid, signal.SIGKILL)
    code = shell.wait()
    return code if ended else -1


def _run(text: str) -> list[tuple[list[tuple[list[str], list[str]]], int]]:
    shells = [_start(text, status) for status in STATUSES]
    codes = [_end(shell) for shell in shells]
    return [
        (_records(Path(f"/log/{status}").read_bytes()), code)
        for status, code in zip(STATUSES, codes, strict=True)
    ]


def _records(written: bytes) -> list[tuple[list[str], list[str]]]:
    fields = written.decode("latin-1").split("\0")[:-1]
    records: list[tuple[list[str], list[str]]] = []
    at = 0
    while at < len(fields):
        end = at + 2 + int(fields[at])
        records.append((fields[at + 2 : end], fields[at + 1].split()))
        at = end
    return records


def main(root: str) -> None:
    """Serve: a line in is a text, a line out is what bash did with it."""
    if os.getpid() != 1:
        sys.exit("only in a process namespace of its own: it mounts, and gives up its rights")
    _furnish(root)
    _confine(root)
    print("ready", flush=True)
    for line in sys.stdin:
        print(json.dumps(_run(line.removesuffix("\n"))), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
