"""The socket at which an agent finds sentinel-exec, as systemd's would be."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading

from tests.hostile.cheat import HOST


class Door(threading.Thread):
    """Serves one connection after the other."""

    def __init__(self, folder):
        super().__init__(daemon=True)
        state = folder / "agent"
        words = ["--state", state, "--roots", state / "roots", "--host", HOST]
        words += ["--config", state / "agent.toml"]
        program = [sys.executable, "-P", "-m", "sentinel.agent.exec_main"]
        self.command = [*program, *map(str, words)]
        self.path = folder / "exec.sock"
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self.path))
        self._listener.listen()

    def run(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                self.serve(connection)

    def serve(self, connection):
        raise NotImplementedError

    def executor(self, connection):
        return subprocess.Popen(self.command, stdin=connection)

    def end(self):
        self._listener.shutdown(socket.SHUT_RDWR)
        self.join()
        self._listener.close()
