"""The real program in a real pseudo-terminal: what leaves it, and that it gives the terminal back."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time

import pytest

from sentinel.tui import decide, main
from sentinel.tui.recording import load
from tests.unit.tui.test_output import TOKEN, Terminal

# What else a terminal program has to say at its beginning and its end: modes on and off.
MODES = re.compile(r"\x1b\[\?\d+(?:;\d+)*[hl]|\x1b\[<u|\x1b\[\?\d+\$p")
ASK = "\x1b[6n"
DEADLINE_S = 15.0


class Session:
    """`sentinel-tui` on the other side of a pseudo-terminal that shows, and answers when asked."""

    def __init__(self, *arguments, size=(80, 24), answers=True, **environment):
        self.terminal = Terminal(*size)
        self.answers = answers
        self.shows = True
        self.raw = ""
        self._pending = b""
        self._near, far = pty.openpty()
        self._set_size(*size)
        clean = {k: v for k, v in os.environ.items() if not k.startswith("TEXTUAL_")}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "sentinel.tui.main", *arguments],
            stdin=far,
            stdout=far,
            stderr=far,
            start_new_session=True,
            env={**clean, "TERM": "xterm-256color", "LANG": "C.UTF-8", **environment},
        )
        os.close(far)

    def _set_size(self, columns, rows):
        fcntl.ioctl(self._near, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def resize(self, columns, rows):
        self.terminal = Terminal(columns, rows)
        self._set_size(columns, rows)
        self.process.send_signal(signal.SIGWINCH)

    def press(self, keys):
        os.write(self._near, keys.encode())

    def pump(self, seconds=0.05):
        """Show what the program has sent; False when it has hung up."""
        ready, _, _ = select.select([self._near], [], [], seconds)
        if not ready:
            return True
        try:
            data = os.read(self._near, 65536)
        except OSError:
            return False
        self._pending += data
        text, self._pending = self._whole(self._pending)
        self.raw += text
        asked = text.count(ASK)
        if self.shows:
            self.terminal.feed(MODES.sub("", text.replace(ASK, "")))
        if self.answers:
            os.write(self._near, b"\x1b[1;1R" * asked)
        return bool(data)

    @staticmethod
    def _whole(data):
        """Split off an escape sequence or a character whose end has not come yet."""
        at = data.rfind(b"\x1b")
        if at >= 0 and not re.match(rb"\x1b\[[?<>]?[\d;$]*[A-Za-z]", data[at:]):
            return data[:at].decode(), data[at:]
        for cut in range(4):
            with contextlib.suppress(UnicodeDecodeError):
                end = len(data) - cut
                return data[:end].decode(), data[end:]
        raise AssertionError(data)

    def text(self):
        return "\n".join("".join(c.shown for c in row).rstrip() for row in self.terminal.grid)

    def sees(self, *words):
        deadline = time.monotonic() + DEADLINE_S
        while time.monotonic() < deadline:
            self.pump()
            if all(word in self.text() for word in words):
                return
        raise AssertionError(self.text())

    def ends(self):
        deadline = time.monotonic() + DEADLINE_S
        while self.pump() and time.monotonic() < deadline:
            pass
        return self.process.wait(5)

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._near)


@contextlib.contextmanager
def session(*arguments, **options):
    opened = Session(*arguments, **options)
    try:
        yield opened
    finally:
        opened.close()


def digits():
    incident = next(r.incident for r in load().incidents if r.incident.summary.host == "db-01")
    return decide.digits(decide.offer(incident, incident.report.mode))


def test_a_live_approval_from_the_first_key_to_the_resolved_signal():
    with session("--demo") as tui:
        tui.sees(" DEMO ", "> 5f02", "hub ok")
        tui.press("\r")
        tui.sees("kill -TERM 2217", "a approve")
        tui.press("a")
        tui.sees("Approving lets db-01", "digest > _")
        tui.press("t")
        tui.sees("LIVE: the node does it", "digest > _")
        tui.press(digits())
        tui.sees(f"digest > {digits()}_")
        tui.press("\r")
        tui.sees("approved, live: the hub has recorded it")
        tui.sees("verifying", "3 done")
        tui.resize(40, 10)
        tui.sees(" DEMO  5f02", "? help")
        tui.resize(80, 24)
        tui.sees("verifying", "q Esc back")
        tui.press("\x03")
        assert tui.ends() == 0
        assert "\x1b[?1049l" in tui.raw[-200:]


def test_a_terminal_that_answers_no_questions_is_served_all_the_same():
    with session("--demo", answers=False) as tui:
        tui.sees("> 5f02", "hub ok")
        tui.press("\r")
        tui.sees("a approve")
        tui.press("a")
        tui.sees("digest > _")
        tui.press(digits())
        tui.sees(f"digest > {digits()}_")
        tui.press("q")
        tui.sees("a approve")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_gives_the_terminal_back(number):
    with session("--demo") as tui:
        tui.sees("hub ok")
        tui.process.send_signal(number)
        assert tui.ends() == 0
        end = tui.raw[-200:]
        assert "\x1b[?1049l" in end
        assert "\x1b[?25h" in end


def test_only_listed_sequences_reach_the_terminal():
    with session("--demo") as tui:
        tui.sees("hub ok")
        for key in ("j", "\r", "n", "q", "2", "3", "4", "?", "q"):
            tui.press(key)
            tui.pump(0.2)
        tui.press("\x03")
        tui.ends()
        rest = MODES.sub("", tui.raw).replace(ASK, "")
        left = "".join(char for *_, char in TOKEN.findall(rest))
        assert "\x1b" not in left
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f]", left), repr(left[:200])


def test_no_color_is_kept():
    with session("--demo", NO_COLOR="1") as tui:
        tui.sees("hub ok", "BLOCK")
        styles = re.findall(r"\x1b\[([\d;]*)m", tui.raw)
        codes = {code for style in styles for code in style.split(";") if code}
        assert codes <= {"0", "1", "2", "4", "7"}


def test_an_ascii_locale_gets_ascii():
    with session("--demo", LANG="C", LC_ALL="C", PYTHONCOERCECLOCALE="0", PYTHONUTF8="0") as tui:
        tui.sees("hub ok", "x BLOCK")
        assert tui.raw.isascii()


def run(*arguments, **options):
    return subprocess.run(
        [sys.executable, "-m", "sentinel.tui.main", *arguments],
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
        stdin=subprocess.DEVNULL,
        **options,
    )


def test_without_a_terminal_it_says_so():
    done = run("--demo")
    assert done.returncode == 2
    assert done.stderr.startswith("sentinel-tui: sentinel-tui needs a terminal")


def test_textual_is_not_read_before_its_environment_is_set():
    code = "import sys, sentinel.tui.main; sys.exit('textual' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_reset_mends_a_terminal():
    done = run("--reset")
    assert (done.returncode, done.stdout) == (0, main.RESTORE)


def test_a_missing_identity_is_told_before_the_screen_is_taken(tmp_path):
    with session("--identity", str(tmp_path / "nothing")) as tui:
        tui.shows = False  # plain lines, as any program writes them
        assert tui.ends() == 2
        assert "\x1b[?1049h" not in tui.raw
        assert "sentinel-tui: " in tui.raw
