"""A real tmux of the test's own: keys in, screen out."""

from __future__ import annotations

import subprocess
import time

from tests.needed import program

DEADLINE_S = 30.0


class Tmux:
    """One window of a tmux server on a socket of its own."""

    def __init__(self, folder, command, environment, size=(80, 24)):
        program("tmux", "tmux")
        self._folder = folder
        self._socket = folder / "tmux"
        clean = {k: v for k, v in environment.items() if not k.startswith(("TMUX", "TEXTUAL_"))}
        self._environment = {
            **clean,
            "TERM": "xterm-256color",
            "SHELL": "/bin/sh",
            "PS1": "READY$ ",
        }
        for gone in ("NO_COLOR", "COLUMNS", "LINES", "DISPLAY", "WAYLAND_DISPLAY"):
            self._environment.pop(gone, None)
        columns, rows = map(str, size)
        self.run("-f", "/dev/null", "new-session", "-d", "-x", columns, "-y", rows, "/bin/sh", "-i")
        self.run("set-option", "-g", "window-size", "manual")
        self.sees("READY$")
        self.keys(" ".join(map(str, command)), "Enter")

    def run(self, *words):
        done = subprocess.run(
            ["tmux", "-S", str(self._socket), *words],
            capture_output=True,
            text=True,
            check=False,
            env=self._environment,
        )
        assert done.returncode == 0, (words, done.stderr)
        return done.stdout

    def keys(self, *names):
        """Press keys by tmux's names for them; other words are typed."""
        self.run("send-keys", *names)

    def bytes(self, *values):
        """Send raw bytes, as they come from a terminal."""
        self.run("send-keys", "-H", *(f"{value:02x}" for value in values))

    def paste(self, text):
        """Paste, with the brackets that the program has asked for."""
        path = self._folder / "paste"
        path.write_text(text)
        self.run("load-buffer", str(path))
        self.run("paste-buffer", "-p")

    def resize(self, columns, rows):
        self.run("resize-window", "-x", str(columns), "-y", str(rows))

    @property
    def text(self):
        return self.run("capture-pane", "-p")

    def asked(self, variable):
        """Return one of tmux's own variables, such as `alternate_on`."""
        return self.run("display-message", "-p", f"#{{{variable}}}").strip()

    def until(self, holds):
        deadline = time.monotonic() + DEADLINE_S
        while time.monotonic() < deadline:
            if holds(self.text):
                return
            time.sleep(0.05)
        raise AssertionError(self.text)

    def sees(self, *words):
        """Wait until all of `words` are on the screen."""
        self.until(lambda text: all(word in text for word in words))

    def misses(self, word):
        """Wait until `word` is no longer on the screen."""
        self.until(lambda text: word not in text)

    def close(self):
        self.run("kill-server")
