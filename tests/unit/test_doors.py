"""One door per library, and rooms that do not import one another: read from the source, and at run time."""

from __future__ import annotations

import ast
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2] / "sentinel"

DOORS = {
    "psutil": ["agent/capture.py"],
    "subprocess": [
        *("agent/execute.py", "demo.py", "drill/fire.py"),
        *("tui/clip.py", "tui/hand.py", "tui/tunnel.py"),
    ],
    "bashlex": ["policy/shell.py"],
    "sqlmodel": ["hub/persist*.py", "hub/tables.py", "hub/migrations/*"],
    "sqlalchemy": ["hub/persist*.py", "hub/tables.py", "hub/migrations/*"],
    "alembic": ["hub/persist*.py", "hub/migrations/*"],
    "sentinel.pb": ["wire.py", "pb/*"],
    "google.protobuf": ["wire.py", "pb/*"],
    "ollama": ["hub/reason/*"],
    "httpx": ["hub/reason/*"],
    "textual": ["tui/*"],
    "rich": ["tui/*"],
    "cryptography": ["trust/*"],
    "ctypes": [],
}
# What starts processes or runs code by another name.
CALLS = {
    "create_subprocess_exec": ["agent/execute.py", "agent/handover.py"],
    "create_subprocess_shell": [],
    "system": [],
}


def imported(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def offences(source, name):
    tree = ast.parse(source)
    for module in imported(tree):
        for library, doors in DOORS.items():
            inside = module == library or module.startswith(library + ".")
            if inside and not any(fnmatch(name, door) for door in doors):
                yield f"{name} imports {module}"
    for node in ast.walk(tree):
        called = isinstance(node, ast.Attribute) and node.attr in CALLS
        if called and not any(fnmatch(name, door) for door in CALLS[node.attr]):
            yield f"{name} uses {node.attr}"


def test_each_library_has_one_door():
    found = [
        offence
        for path in sorted(ROOT.rglob("*.py"))
        for offence in offences(path.read_text(), str(path.relative_to(ROOT)))
    ]
    assert found == []


@pytest.mark.parametrize(
    "planted",
    [
        "import psutil",
        "from sentinel.pb import plan_pb2",
        "import os\nos.system('x')",
        "import httpx",
    ],
)
def test_a_planted_offence_is_found(planted):
    assert list(offences(planted, "hub/pipeline.py"))


def modules_after(statement):
    program = f"{statement}\nimport sys\nprint(*sorted(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return {name.split(".")[0] for name in done.stdout.split()} | set(done.stdout.split())


def test_the_agent_never_loads_what_the_hub_and_the_terminal_need():
    loaded = modules_after("import sentinel.agent.main")
    heavy = {"sqlmodel", "sqlalchemy", "pydantic", "textual", "rich", "ollama", "httpx", "alembic"}
    assert not loaded & heavy
    assert not {name for name in loaded if name.startswith(("sentinel.hub", "sentinel.tui"))}


def test_the_hub_never_loads_the_agent_or_the_terminal():
    loaded = modules_after("import sentinel.hub.server")
    assert not {name for name in loaded if name.startswith(("sentinel.agent", "sentinel.tui"))}
    assert "textual" not in loaded


def test_what_needs_no_database_does_not_load_one():
    assert not modules_after("import sentinel.hub.main") & {"sqlmodel", "alembic", "ollama"}


def test_the_terminal_never_loads_the_hub_or_the_agent():
    loaded = modules_after("import sentinel.tui.app, sentinel.tui.reach, sentinel.rpc")
    assert not {name for name in loaded if name.startswith(("sentinel.agent", "sentinel.hub"))}
    assert not loaded & {"sqlmodel", "cryptography"}


def test_checking_a_command_loads_neither_grpc_nor_a_room():
    program = "import sys; sys.argv=['sentinel','check','ls']; from sentinel import cli; cli.main()"
    loaded = modules_after(program)
    assert not loaded & {"grpc", "textual", "sqlmodel", "pydantic", "psutil", "cryptography"}
