"""The edge of every program: the clock, the log, systemd's readiness, signals, and how errors end.

This is the one file besides each `main.py` that reads the clock or the environment.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING

from sentinel import errors

if TYPE_CHECKING:
    import asyncio

EXIT_WRONG = 2  # argparse's own status for a command line that is wrong


def now_ms() -> int:
    """Return milliseconds since the Unix epoch."""
    return time.time_ns() // 1_000_000


def notify(state: str) -> None:
    """Tell systemd, or whoever set NOTIFY_SOCKET, that `state` (such as "READY=1") holds."""
    path = os.environ.get("NOTIFY_SOCKET")
    if not path:
        return
    address = "\0" + path[1:] if path.startswith("@") else path
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        try:
            sock.sendto(state.encode(), address)
        except OSError as error:
            logging.getLogger(__name__).debug("cannot notify %s: %s", path, error.strerror)


# syslog(3) priorities, which journald reads from the start of a line.
_PRIORITY = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3}


class _Format(logging.Formatter):
    """A sentence for a person and an action for a machine; under journald, the level as `<N>`."""

    def format(self, record: logging.LogRecord) -> str:
        """Return one line, with whatever could act on a terminal escaped."""
        text = errors.printable(record.getMessage())
        if record.exc_info:
            text += " | " + errors.printable(self.formatException(record.exc_info), 16384)
        action = getattr(record, "action", "")
        line = f"{record.levelname.lower()} {text}" + (f" [{action}]" if action else "")
        if "JOURNAL_STREAM" in os.environ:
            return f"<{_PRIORITY.get(record.levelno, 3)}>{line}"
        return f"{self.formatTime(record, '%H:%M:%S')}.{int(record.msecs):03d} {line}"


def log_to_stderr(*, verbose: bool) -> None:
    """Send the log to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Format())
    logging.basicConfig(level=logging.DEBUG if verbose else logging.INFO, handlers=[handler])
    for noisy in ("httpx", "httpcore", "alembic", "sqlalchemy.engine", "asyncio"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def main(program: str, parser: argparse.ArgumentParser, arguments: list[str] | None) -> int:
    """Parse `arguments`, call the chosen command's `run(args) -> int` and render its error."""
    args = parser.parse_args(arguments)
    # gRPC's own log is for its developers; what a person needs to know is in our error.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    try:
        status: int = args.run(args)
    except errors.SentinelError as error:
        sys.stderr.write(errors.render(error, program) + "\n")
        return EXIT_WRONG
    except BrokenPipeError:
        # Whoever read our output has gone (`| head`): nothing more to say, and no traceback at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        return 130
    return status


def serve(work: Callable[[asyncio.Event], Coroutine[None, None, None]]) -> None:
    """Run `work(stop)` in the process's one event loop; SIGTERM and SIGINT set `stop`."""
    # Here, because `sentinel check` must answer before a person notices, and needs no loop.
    import asyncio  # noqa: PLC0415

    async def until_signal() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        await work(stop)

    asyncio.run(until_signal())
