"""The workstation mode: the hub is reached through the person's own ssh, and no agent is forwarded.

One `ssh -N -L` carries a Unix socket in a private directory here to the hub's. What runs inside is the same
mutual TLS as everywhere, so neither ssh nor the hub's host has to be believed for who the hub is; and
decisions are signed here, by an agent that the hub's host never sees.

Rules of this file:
  - ssh is started with the person's own configuration (keys, jump hosts, known hosts), but it forwards
    no agent and no display (-a, -x), runs no command, and shares no master connection.
  - It may ask its questions once, before there is a screen. When the link is lost it is started again,
    and then asks nothing.
  - It ends with this program, however that ends, and with the terminal.
"""

from __future__ import annotations

import atexit
import re
import shutil
import socket
import ssl
import subprocess
import tempfile
import threading
import time
from pathlib import Path

from sentinel import errors

SOCKET = "/run/sentinel/operators.sock"
START_S = 120.0  # a person may have to touch a token, or to answer ssh
HANDSHAKE_S = 15.0
POLL_S = 0.02
RETRY_S = 2.0
WORDS_CHARS = 300

# -W would be simpler, and takes a Unix socket only since OpenSSH 9.4.
_OPTIONS = (
    *("-N", "-T", "-a", "-x"),
    *("-o", "ControlMaster=no", "-o", "ControlPath=none"),
    *("-o", "ForkAfterAuthentication=no", "-o", "PermitLocalCommand=no"),
    *("-o", "StreamLocalBindUnlink=yes", "-o", "StreamLocalBindMask=0177"),
    *("-o", "ServerAliveInterval=10", "-o", "ServerAliveCountMax=2"),
)
_PLACE = re.compile(r"(?P<host>[^\s:/-][^\s:/]*)(?::(?P<socket>/[^\s:]+))?")


def _dying_with_us() -> tuple[str, ...]:
    """Return what starts a program so that the kernel ends it when we are gone, kill -9 included.

    util-linux has it. Where there is another setpriv, or none, ssh outlives a program that was killed until
    its terminal goes.
    """
    path = shutil.which("setpriv")
    ours = (
        path is not None and Path(path).resolve().name == "setpriv"
    )  # BusyBox's knows no such option
    return (path, "--pdeathsig", "TERM", "--") if path and ours else ()


class Tunnel:
    """A Unix socket of our own that ssh carries to the hub's."""

    def __init__(self, place: str) -> None:
        """`place` is [USER@]HOST[:SOCKET], as the person wrote it. Raises OperatorError."""
        found = _PLACE.fullmatch(place)
        if found is None:
            raise errors.OperatorError(
                f"--ssh: {place!r} is not where a hub is",
                hint="[USER@]HOST, or [USER@]HOST:/SOCKET",
            )
        program = shutil.which("ssh")
        if program is None:
            raise errors.OperatorError("there is no ssh here", hint="install the OpenSSH client")
        self._program = (*_dying_with_us(), program)
        self._host = found["host"]
        self._remote = found["socket"] or SOCKET
        self._folder = Path(tempfile.mkdtemp(prefix="sentinel-ssh-"))  # mode 0700
        self._here = self._folder / "hub"
        self._ended = False
        self._child: subprocess.Popen[bytes] | None = None
        atexit.register(self.close)

    @property
    def address(self) -> str:
        """Where gRPC connects to."""
        return f"unix:{self._here}"

    def start(self, authority: bytes, hub: str) -> None:
        """Open the way, see that the `hub` of the CA in `authority` is at its end, and keep it open.

        Raises PeerError, with ssh's own words where it has any.
        """
        child = self._ssh()
        deadline = time.monotonic() + START_S
        while not self._here.exists() and child.poll() is None and time.monotonic() < deadline:
            time.sleep(POLL_S)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cadata=authority.decode())
        try:
            with socket.socket(socket.AF_UNIX) as plain:
                plain.settimeout(HANDSHAKE_S)
                plain.connect(str(self._here))
                context.wrap_socket(plain, server_hostname=hub).close()
        except OSError as error:
            reason = self._said() or getattr(error, "verify_message", "") or str(error)
            self.close()
            raise errors.PeerError(
                f"no way through ssh to {self._remote} on {self._host}: {reason}",
                hint=f"does `ssh {self._host}` work, does sentinel-hub run there with that --socket,"
                " and are you in its group (sentinel)?",
            ) from None
        threading.Thread(target=self._keep, name="ssh", daemon=True).start()

    def close(self) -> None:
        """End ssh and remove the socket."""
        self._ended = True
        if self._child is not None:
            self._child.terminate()
            self._child.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _ssh(self, *more: str) -> subprocess.Popen[bytes]:
        words = [*self._program, *_OPTIONS, *more, "-L", f"{self._here}:{self._remote}"]
        with (self._folder / "log").open("wb") as log:
            child = subprocess.Popen(  # noqa: S603
                [*words, "--", self._host], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        self._child = child
        return child

    def _said(self) -> str:
        """Return what ssh has said last."""
        text = (self._folder / "log").read_text(errors="replace").strip()
        return errors.printable(text[-WORDS_CHARS:].replace("\r", ""))

    def _keep(self) -> None:
        """Start ssh again whenever it has ended, until the program does."""
        while self._child is not None:
            self._child.wait()
            if self._ended:
                return
            time.sleep(RETRY_S)
            try:
                self._ssh("-o", "BatchMode=yes")
            except OSError:
                return  # the directory is gone: so are we
