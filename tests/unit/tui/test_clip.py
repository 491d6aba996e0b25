"""What leaves the terminal: bounded, harmless where it is pasted, never over anything else."""

from __future__ import annotations

import base64
import os
import re
import sys
from pathlib import Path

import pytest

from sentinel.errors import OperatorError
from sentinel.tui import clip
from sentinel.tui.line import line, text
from tests.e2e.tmux import Tmux

NOWHERE = dict.fromkeys(("DISPLAY", "WAYLAND_DISPLAY"), "")
OSC = re.compile(r"\x1b\]52;c;([A-Za-z0-9+/]*={0,2})\x07")


def test_the_sequence_carries_the_text_and_nothing_else():
    match = OSC.fullmatch(clip.sequence("systemctl restart app — ü", {}))
    assert base64.b64decode(match[1]).decode() == "systemctl restart app — ü"


def test_in_tmux_it_is_handed_on_in_both_ways_that_tmux_knows():
    sent = clip.sequence("ls", {"TMUX": "/tmp/x,1,0"})
    assert sent == "\x1b]52;c;bHM=\x07\x1bPtmux;\x1b\x1b]52;c;bHM=\x07\x1b\\"


def test_what_is_too_long_for_a_terminal_is_taken_by_tmux(tmp_path):
    assert not clip.taken("x", {})
    assert not clip.taken("x", {**os.environ, **NOWHERE, "TMUX": f"{tmp_path}/none,1,0"})
    screen = Tmux(tmp_path, ["true"], dict(os.environ))
    try:
        long = "ü" * 100_000
        code = "import os, sys; from sentinel.tui import clip; print(clip.taken('ü' * 100_000, os.environ))"
        (tmp_path / "copy.py").write_text(code)
        screen.keys(f"{sys.executable} {tmp_path}/copy.py", "Enter")
        screen.sees("\ntmux")
        assert screen.run("show-buffer") == long
    finally:
        screen.close()


@pytest.mark.parametrize(
    ("program", "display"),
    [("wl-copy", "WAYLAND_DISPLAY"), ("xclip", "DISPLAY"), ("xsel", "DISPLAY")],
)
def test_on_ones_own_machine_the_desktop_takes_it_and_over_ssh_the_terminal(
    tmp_path, program, display
):
    tool = tmp_path / program
    tool.write_text(f"#!/bin/sh\n/bin/cat > {tmp_path}/clipboard\n")
    tool.chmod(0o755)
    here = {"PATH": str(tmp_path), display: ":0"}
    assert clip.taken("rm ü", {**here, "SSH_CONNECTION": "a 1 b 2"}) == ""
    assert clip.taken("rm ü", {**here, display: ""}) == ""
    assert not (tmp_path / "clipboard").exists()
    assert clip.taken("rm ü", here) == program
    assert (tmp_path / "clipboard").read_text() == "rm ü"
    tool.write_text("#!/bin/sh\nexit 1\n")
    assert clip.taken("rm ü", here) == ""


def test_what_is_too_long_for_a_terminal_is_not_sent():
    most = clip.MAX_ENCODED // 4 * 3
    assert clip.sequence("x" * most, {})
    assert clip.sequence("x" * (most + 1), {}) == ""


@pytest.mark.parametrize("evil", ["ls\nrm -rf /", "ls\x1b]52;c;eA==\x07", "a\u202eb", "a\rb"])
def test_what_is_hidden_shows_and_nothing_ends_the_line(evil):
    copied = clip.one_line(f"  {evil}\n")
    assert copied.isprintable()
    assert copied != evil


def test_the_last_copy_is_kept_for_its_owner(tmp_path):
    state = tmp_path / "state"
    path = clip.keep("one", state)
    assert clip.keep("two", state) == path
    assert path.read_text() == "two"
    assert path.stat().st_mode & 0o777 == 0o600
    assert clip.keep("x", None) is None
    assert clip.keep("x", path) is None  # no directory


def test_files_are_new_each_time_and_private(tmp_path):
    evil = line(text("a\x1b[2Jb"), "  ")
    first = clip.write([evil, line("second")], tmp_path, "sentinel-incident")
    second = clip.write([], tmp_path, "sentinel-incident")
    assert (first.name, second.name) == ("sentinel-incident.txt", "sentinel-incident-2.txt")
    assert first.read_text() == "a\\x1b[2Jb\nsecond\n"
    assert first.stat().st_mode & 0o777 == 0o600


def test_a_link_that_somebody_laid_is_not_followed(tmp_path):
    (tmp_path / "s.txt").symlink_to(tmp_path / "elsewhere")
    assert clip.write([], tmp_path, "s").name == "s-2.txt"
    assert not (tmp_path / "elsewhere").exists()


def test_a_folder_that_is_not_there_is_said(tmp_path):
    with pytest.raises(OperatorError, match=r"cannot write \(No such file") as caught:
        clip.write([], tmp_path / "none", "s")
    assert caught.value.hint == "name a folder: :write DIR"


def test_paths_are_written_as_people_do():
    assert clip.short(Path.home() / ".local/x") == "~/.local/x"
    assert clip.short(Path("/var/x")) == "/var/x"
