"""The systemd units: what systemd itself says of them, and that our programs live with what they forbid."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from sentinel.agent import exec_main
from sentinel.agent import main as agent_main
from sentinel.hub import main as hub_main
from tests.needed import program, root

UNITS = Path(__file__).parents[2] / "packaging" / "systemd"
# The most that `systemd-analyze security` may find, from 0 (safe) to 10.
EXPOSURE = {
    "sentinel-hub.service": 1.0,
    "sentinel-agent.service": 1.3,
    "sentinel-exec@.service": 2.0,
}
PARSERS = {
    "sentinel-hub": hub_main.parser,
    "sentinel-agent": agent_main.parser,
    "sentinel-exec": exec_main.parser,
}


def run(name, *words):
    """Run a program of systemd's."""
    done = subprocess.run(
        [program(name, "systemd"), *map(str, words)], capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("unit", EXPOSURE)
def test_the_exposure_is_as_low_as_was_promised(unit):
    _, said = run("systemd-analyze", "security", "--offline=true", "--no-pager", UNITS / unit)
    found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", said)
    assert found, said
    assert float(found[1]) <= EXPOSURE[unit], said


def test_systemd_has_nothing_to_say_against_the_units(tmp_path):
    for unit in UNITS.glob("sentinel-*"):
        text = re.sub(r"/usr/bin/sentinel-\w+", "/bin/true", unit.read_text())
        (tmp_path / unit.name).write_text(text)
    status, said = run("systemd-analyze", "verify", *sorted(tmp_path.iterdir()))
    assert (status, said.strip()) == (0, "")


@pytest.mark.parametrize("unit", EXPOSURE)
def test_the_programs_take_what_the_units_start_them_with(unit):
    (line,) = re.findall(r"^ExecStart=/usr/bin/(.+)$", (UNITS / unit).read_text(), re.MULTILINE)
    program, *words = line.split()
    arguments = PARSERS[program]().parse_args(words)
    assert callable(arguments.run)


def test_the_socket_is_for_the_agent_alone_and_starts_one_process_for_each_plan():
    text = (UNITS / "sentinel-exec.socket").read_text()
    for line in ("Accept=yes", "SocketMode=0660", "SocketUser=root", "SocketGroup=sentinel-agent"):
        assert f"\n{line}\n" in text
    (path,) = re.findall(r"^ListenStream=(.+)$", text, re.MULTILINE)
    assert f"--exec-socket {path}\n" in (UNITS / "sentinel-agent.service").read_text()
    assert "--peer sentinel-agent " in (UNITS / "sentinel-exec@.service").read_text()


def test_users_and_directories_are_made_as_the_units_want_them(tmp_path):
    root("make users")
    (tmp_path / "etc").mkdir()
    for group in ("adm:x:4:", "systemd-journal:x:101:"):
        with (tmp_path / "etc" / "group").open("a") as file:
            file.write(group + "\n")
    (tmp_path / "etc" / "passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
    sysusers, tmpfiles = UNITS / "sysusers.d/sentinel.conf", UNITS / "tmpfiles.d/sentinel.conf"
    status, said = run("systemd-sysusers", f"--root={tmp_path}", sysusers)
    assert status == 0, said
    users = dict(line.split(":", 1) for line in (tmp_path / "etc/passwd").read_text().splitlines())
    assert {"sentinel-hub", "sentinel-agent"} <= set(users)
    groups = (tmp_path / "etc" / "group").read_text()
    for group in ("adm", "systemd-journal"):
        assert re.search(rf"^{group}:.*:sentinel-agent$", groups, re.MULTILINE)
    status, said = run("systemd-tmpfiles", f"--root={tmp_path}", "--create", tmpfiles)
    assert status == 0, said
    uid = {name: int(rest.split(":")[1]) for name, rest in users.items()}
    for path, owner, mode in (
        ("etc/sentinel", 0, 0o755),
        ("etc/sentinel/agent.toml", 0, 0o644),
        ("var/lib/sentinel-exec", 0, 0o700),
        ("var/lib/sentinel-agent", uid["sentinel-agent"], 0o700),
        ("var/lib/sentinel-hub", uid["sentinel-hub"], 0o700),
    ):
        found = (tmp_path / path).stat()
        assert (found.st_uid, found.st_mode & 0o7777) == (owner, mode), path


# PR_SET_MDWE, which is what MemoryDenyWriteExecute= does on kernels since 6.3.
FORBID = """
import ctypes, sys
if ctypes.CDLL(None, use_errno=True).prctl(65, 1, 0, 0, 0):
    sys.exit(f"no PR_SET_MDWE here: errno {ctypes.get_errno()}")
"""
WORK = """
import asyncio
from cryptography.hazmat.primitives.asymmetric import ec
ec.generate_private_key(ec.SECP256R1())
async def serve():
    server = rpc.server()
    await server.start()
    await server.stop(0)
asyncio.run(serve())
"""


@pytest.mark.parametrize("program", ["hub", "agent", "exec"])
def test_no_program_needs_memory_that_is_writable_and_executable(program, tmp_path):
    module = {"hub": "hub.main", "agent": "agent.main", "exec": "agent.exec_main"}[program]
    imports = (
        f"import sentinel.{module}\nfrom sentinel import rpc\nfrom sentinel.policy import rules\n"
    )
    text = FORBID + imports + "rules.load(examples=False)\n" + WORK
    done = subprocess.run(
        [sys.executable, "-c", text], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    if "no PR_SET_MDWE here" in done.stderr:
        pytest.skip(done.stderr.strip())
    assert done.returncode == 0, done.stderr
