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
import tty

import pytest

from sentinel.tui import decide, main
from sentinel.tui.recording import load
from tests.needed import POWERLESS
from tests.unit.tui.test_output import TOKEN, Resized, Terminal

# What else a terminal program has to say at its beginning and its end: modes on and off.
COPY = re.compile(r"\x1b\]52;c;[A-Za-z0-9+/=]*\x07")
MODES = re.compile(r"\x1b\[\?\d+(?:;\d+)*[hl]|\x1b\[<u|\x1b\[\?\d+\$p")
ASK = "\x1b[6n"
ANSWER = "\x1b[1;1R"
# Nobody's own keys, colours or history.
OWN = {"TERM": "xterm-256color", "LANG": "C.UTF-8"}
OWN |= {"DISPLAY": "", "WAYLAND_DISPLAY": ""}
OWN |= {"XDG_CONFIG_HOME": "/dev/null", "XDG_STATE_HOME": "/dev/null"}
DEADLINE_S = 15.0


class Session:
    """`sentinel-tui` on the other side of a pseudo-terminal that shows, and answers when asked."""

    def __init__(
        self, *arguments, size=(80, 24), answers=True, program="sentinel.tui.main", **environment
    ):
        self.terminal = Terminal(*size)
        self.answers = answers
        self.shows = True
        self.raw = ""
        self.heard = 0
        self._pending = b""
        self._near, far = pty.openpty()
        self._set_size(*size)
        clean = {k: v for k, v in os.environ.items() if not k.startswith("TEXTUAL_")}
        self.process = subprocess.Popen(
            [sys.executable, "-m", program, *arguments],
            stdin=far,
            stdout=far,
            stderr=far,
            start_new_session=True,
            env={**clean, **OWN, **environment},
        )
        os.close(far)

    def _set_size(self, columns, rows):
        fcntl.ioctl(self._near, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def resize(self, columns, rows):
        self.terminal = Resized(columns, rows)
        self._set_size(columns, rows)
        self.process.send_signal(signal.SIGWINCH)

    def press(self, keys):
        self.heard = len(self.raw)
        os.write(self._near, keys.encode())

    def answer(self, before=""):
        """Answer one question; the keys `before` that were typed before it was."""
        os.write(self._near, f"{before}{ANSWER}".encode())

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
            self.terminal.feed(MODES.sub("", COPY.sub("", text.replace(ASK, ""))))
        if self.answers:
            os.write(self._near, ANSWER.encode() * asked)
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

    def hears(self, *words):
        """Wait for words in what has come since the last key, whatever it looks like."""
        deadline = time.monotonic() + DEADLINE_S
        while not all(word in self.raw[self.heard :] for word in words):
            assert time.monotonic() < deadline, self.raw[self.heard :]
            self.pump()

    def settles(self):
        """Wait until nothing comes any more."""
        known = -1
        while known != len(self.raw):
            known = len(self.raw)
            self.pump(0.4)

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


@pytest.mark.parametrize("paste", ["{}", "\x1b[200~{}\x1b[201~"])
def test_what_was_typed_before_the_decision_was_seen_does_not_count(paste):
    typed = paste.format(digits())
    with session("--demo") as tui:
        tui.sees(" DEMO ", "> 5f02", "hub ok")
        tui.press("\r")
        tui.sees("kill -TERM 2217", "a approve")
        tui.answers = False
        tui.press("a")
        answered = tui.raw.count(ASK)
        while "Approving lets db-01" not in tui.text():
            tui.pump()
            if tui.raw.count(ASK) > answered and "Approving lets db-01" not in tui.text():
                tui.answer(before=typed + "\r")
                answered += 1
        tui.press(typed)  # it has been sent, and nobody says that it is seen
        asked = tui.raw.count(ASK)
        tui.answer(before=typed + "\r")
        while tui.raw.count(ASK) == asked:  # the cursor: from now on keys count
            tui.pump()
        assert "digest > _" in tui.text()
        tui.answers = True
        tui.answer()
        tui.press(digits()[:2])
        tui.sees(f"digest > {digits()[:2]}_")
        assert "approve" not in tui.text().splitlines()[-2]


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


def test_textual_can_be_told_to_write_to_the_terminal_itself():
    with session("--demo", "--textual-output") as tui:
        tui.shows = False  # it ends lines, which no frame of ours does
        tui.hears("db-01", "hub ok", "\r\n")
        tui.press("\r")
        tui.hears("2217", "approve")
        tui.answers = False
        tui.press("a")
        tui.hears("q Esc back", ASK)
        tui.settles()
        tui.press(digits())  # before the terminal has answered, as with frames of our own
        tui.settles()
        assert tui.raw[tui.heard :] == ""
        tui.answers = True
        os.write(tui._near, b"\x1b[1;1R")
        tui.hears(ASK)
        tui.settles()
        tui.press(digits())
        tui.hears(f"{digits()[-1]}\x1b[1;4m_")
        tui.press("\r")
        tui.hears("approved, dry-run")
        tui.press("\x03")
        assert tui.ends() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_gives_the_terminal_back(number):
    with session("--demo") as tui:
        tui.sees("hub ok")
        tui.process.send_signal(number)
        assert tui.ends() == 0
        end = tui.raw[-200:]
        assert "\x1b[?1049l" in end
        assert "\x1b[?25h" in end


def test_a_crash_gives_the_terminal_back_and_says_what_it_was():
    with session("--demo", program="tests.unit.tui.crash") as tui:
        tui.sees("hub ok")
        tui.shows = False  # a traceback is no frame
        before = termios.tcgetattr(tui._near)
        assert not before[3] & termios.ECHO
        tui.press("j")
        assert tui.ends() != 0
        left = tui.raw.rindex("\x1b[?1049l")
        assert "\x1b[?25h" in tui.raw[left:]
        assert "a fault that was put here" in tui.raw[left:]
        after = termios.tcgetattr(tui._near)
        wanted = termios.ECHO | termios.ICANON | termios.ISIG
        assert after[3] & wanted == wanted


def test_keys_that_come_at_once_go_where_the_ones_before_them_lead():
    with session("--demo") as tui:
        tui.sees("> 5f02", "hub ok")
        tui.press(":sort host\r")
        tui.sees("by host", "sentinel > prod-dc1")
        tui.press("/kind=memory\rj")
        tui.sees("/kind=memory shows")
        tui.press(":audit\rq:nodes\r")
        tui.sees("> nodes")


def test_an_answer_that_is_late_is_not_typed_into_the_shell():
    with session("--demo") as tui:
        tui.sees("> 5f02", "hub ok")
        tui.answers = False
        tui.press("j")
        asked = tui.raw.count(ASK)
        while tui.raw.count(ASK) == asked:
            tui.pump()
        tui.press("\x03")
        while tui.pump(0.4) and "\x1b[?2004l" not in tui.raw:
            pass
        tui.pump(0.4)
        assert "\x1b[?1049l" not in tui.raw
        tui.press(ANSWER)
        assert tui.ends() == 0
        assert tui.raw.endswith("\x1b[?1049l\x1b[?25h\x1b[?1004l")


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


@pytest.mark.parametrize(
    "environment",
    [
        {"LANG": "C", "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
        {"TERM": "linux"},
        {"LC_CTYPE": "ja_JP.UTF-8", "LC_ALL": "", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "1"},
    ],
    ids=["C", "linux", "ja"],
)
def test_a_terminal_that_cannot_be_trusted_with_more_gets_ascii(environment):
    with session("--demo", **environment) as tui:
        tui.sees("hub ok", "x BLOCK")
        assert tui.raw.isascii()


def run(*arguments, **environment):
    return subprocess.run(
        [sys.executable, "-m", "sentinel.tui.main", *arguments],
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
        stdin=subprocess.DEVNULL,
        env={**os.environ, **OWN, **environment},
    )


def test_without_a_terminal_it_says_so():
    done = run("--demo")
    assert done.returncode == 2
    assert done.stderr.startswith("sentinel-tui: sentinel-tui needs a terminal")


def test_textual_is_not_read_before_its_environment_is_set():
    code = "import sys, sentinel.tui.main; sys.exit('textual' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_copy_goes_with_a_frame_and_never_piles_up():
    with session("--demo", TMUX="") as tui:
        tui.sees("> 5f02", "hub ok")
        tui.press("\r")
        tui.sees("kill -TERM 2217", "a approve")
        tui.press("jy")
        tui.sees("command copied to OSC 52")
        assert COPY.findall(tui.raw)[-1].endswith("a2lsbCAtVEVSTSAyMjE3\x07")
        tui.answers = False
        before = len(COPY.findall(tui.raw))
        tui.press("ky" * 50)
        for _ in range(20):
            tui.pump()
        assert len(COPY.findall(tui.raw)) - before <= 1
        tui.answers = True
        tui.press(ANSWER * 2)
        tui.press("q")
        tui.sees("ID   AGE")


def test_reset_gives_back_what_a_killed_program_took():
    near, far = pty.openpty()
    try:
        before = termios.tcgetattr(far)
        tty.setraw(far)
        command = [sys.executable, "-m", "sentinel.tui.main", "--reset"]
        subprocess.run(command, stdin=far, stdout=far, check=True, timeout=30)
        after = termios.tcgetattr(far)
        wanted = termios.ECHO | termios.ICANON | termios.ISIG
        assert after[3] & wanted == before[3] & wanted == wanted
        assert after[1] & termios.OPOST
        assert os.read(near, 4096).decode() == main.RESTORE
    finally:
        os.close(near)
        os.close(far)


def test_keys_are_printed_as_a_file_that_can_be_read(tmp_path):
    file = tmp_path / "sentinel" / "keys.toml"
    file.parent.mkdir()
    file.write_text('[keys]\napprove = "v"\n')
    done = run("--keys", XDG_CONFIG_HOME=str(tmp_path))
    assert done.returncode == 0
    assert '\napprove = ["v"]' in done.stdout
    file.write_text(done.stdout)
    assert run("--keys", XDG_CONFIG_HOME=str(tmp_path)).stdout == done.stdout


@pytest.mark.parametrize(
    ("file", "text", "words"),
    [
        (
            "keys.toml",
            '[keys]\naprove = "x"\n',
            "keys.toml:2: keys.aprove: there is no such command",
        ),
        ("keys.toml", '[keys]\napprove = "["\n', "a broken escape sequence could press ["),
        ("tui.toml", 'skin = "pink"\n', "tui.toml: "),
    ],
)
def test_a_setup_that_is_wrong_is_told_before_anything_is_drawn(tmp_path, file, text, words):
    (tmp_path / "sentinel").mkdir()
    (tmp_path / "sentinel" / file).write_text(text)
    with session("--demo", XDG_CONFIG_HOME=str(tmp_path)) as tui:
        tui.shows = False  # it is a line of text, longer than the screen
        assert tui.ends() == 2
        assert words in tui.raw
    assert "\x1b" not in tui.raw


@pytest.mark.parametrize(
    ("arguments", "environment", "expected"),
    [
        ((), {}, "31"),
        (("--skin", "deut"), {}, "94"),
        ((), {"SENTINEL_SKIN": "deut"}, "94"),
        (("--skin", "truecolor"), {}, "38;2;215;38;61"),
        (("--skin", "deut"), {"NO_COLOR": "1"}, "94"),
    ],
)
def test_the_skin_is_what_leaves_the_program(arguments, environment, expected):
    with session("--demo", *arguments, **environment) as tui:
        tui.sees("BLOCK")
        styles = set(re.findall(r"\x1b\[([\d;]*)m", tui.raw))
    assert any(f";{codes}".endswith(f";{expected}") for codes in styles), styles


def test_reset_mends_a_terminal():
    done = run("--reset")
    assert (done.returncode, done.stdout) == (0, main.RESTORE)


def test_a_missing_identity_is_told_before_the_screen_is_taken(tmp_path):
    with session("--identity", str(tmp_path / "nothing")) as tui:
        tui.shows = False  # plain lines, as any program writes them
        assert tui.ends() == 2
        assert "\x1b[?1049h" not in tui.raw
        assert "sentinel-tui: " in tui.raw


def test_a_wrong_identity_is_told_after_the_terminal_is_given_back(tmp_path):
    (tmp_path / "identity.pem").write_text("not a key")
    with session("--identity", str(tmp_path)) as tui:
        tui.shows = False
        assert tui.ends() == 2
        told = tui.raw.index(f"sentinel-tui: {tmp_path}")
        assert tui.raw.rindex("\x1b[?1049l") < told


def test_a_folder_that_may_not_be_read_is_one_clear_error(tmp_path):
    folder = tmp_path / "sentinel"
    folder.mkdir(mode=0)
    done = subprocess.run(
        [
            *POWERLESS,
            sys.executable,
            "-m",
            "sentinel.tui.main",
            "--keys",
        ],
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
        env={**os.environ, **OWN, "XDG_CONFIG_HOME": str(tmp_path)},
    )
    assert done.returncode == 2
    path = folder / "keys.toml"
    assert done.stderr.splitlines() == [
        f"sentinel-tui: {path} cannot be looked for: Permission denied",
        f"  chmod u+rx {folder}, or run as its owner",
    ]
