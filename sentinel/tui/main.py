"""`sentinel-tui`: the terminal in which an operator decides."""

from __future__ import annotations

import argparse
import locale
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from sentinel import errors, process, rpc
from sentinel.trust import identity
from sentinel.tui.port import Port
from sentinel.tui.recorded import RecordedHub
from sentinel.tui.recording import load
from sentinel.tui.render.frame import Options

# What a terminal that was left in a strange state (kill -9, a lost link) needs to be itself again.
RESTORE = "\x1b[?1049l\x1b[?1000l\x1b[?1003l\x1b[?1006l\x1b[?1015l\x1b[?2004l\x1b[?1004l\x1b[<u\x1b[?25h\x1b[m"


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    default = Path(os.environ.get("XDG_CONFIG_HOME", "~/.config")).expanduser() / "sentinel"
    made = argparse.ArgumentParser(prog="sentinel-tui", description=__doc__)
    made.add_argument(
        "--identity",
        type=Path,
        default=default,
        metavar="DIR",
        help="folder with your key and certificate (default: %(default)s)",
    )
    made.add_argument(
        "--hub", metavar="HOST:PORT", help="another address of the hub than your identity names"
    )
    made.add_argument("--demo", action="store_true", help="recorded incidents, without any hub")
    made.add_argument("--read-only", action="store_true", help="show, and decide nothing")
    made.add_argument("--ascii", action="store_true", help="no sign beyond ASCII")
    made.add_argument("--no-color", action="store_true", help="no colour (as NO_COLOR does)")
    made.add_argument(
        "--reset", action="store_true", help="mend this terminal, and do nothing else"
    )
    made.set_defaults(run=run)
    return made


def run(args: argparse.Namespace) -> int:
    """Open the terminal; raises ConfigError where the identity cannot be used."""
    if args.reset:
        sys.stdout.write(RESTORE)
        return 0
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise errors.OperatorError(
            "sentinel-tui needs a terminal",
            hint="use ssh -t, or sentinel demo --headless in a script",
        )
    options = Options(
        demo=args.demo,
        read_only=args.read_only,
        ascii=args.ascii or _only_ascii(),
        mono=args.no_color or "NO_COLOR" in os.environ,
    )
    connect, clock = _demo() if args.demo else _hub(args.identity, args.hub)
    _environment()
    # Textual reads its environment when it is imported, so it is imported after that is set.
    from sentinel.tui.app import SentinelApp  # noqa: PLC0415

    app = SentinelApp(connect, clock, options)
    app.run(mouse=False)
    return app.return_code or 0


def _only_ascii() -> bool:
    """Say whether this terminal or locale cannot be trusted with more than ASCII."""
    encoding = locale.getpreferredencoding(False).lower().replace("-", "")
    return os.environ.get("TERM") == "linux" or encoding != "utf8"


def _environment() -> None:
    """Set what Textual is to do before it is imported; what the operator has set stays."""
    # A split escape sequence on a bad link must not turn into an Escape and two letters.
    os.environ.setdefault("ESCDELAY", "500")
    os.environ["TEXTUAL_ANIMATIONS"] = "none"
    os.environ["TEXTUAL_DISABLE_KITTY_KEY"] = "1"
    os.environ.setdefault("TEXTUAL_FPS", "15")


def _demo() -> tuple[Callable[[], Port], Callable[[], int]]:
    """Return the recording as a hub, and a clock that starts when the recording does."""
    recording = load()
    begun_ms = process.now_ms()

    def clock() -> int:
        return recording.at_ms + process.now_ms() - begun_ms

    hub = RecordedHub(recording, clock)
    return (lambda: hub), clock


def _hub(folder: Path, address: str | None) -> tuple[Callable[[], Port], Callable[[], int]]:
    """Return how to reach the hub that the identity in `folder` belongs to.

    The folder is read at every connection, so that a renewed certificate is used without a restart;
    it is read once here, so that a wrong one is told before the screen is taken.
    """
    identity.load(folder, process.now_ms())

    def connect() -> Port:
        credentials = identity.load(folder, process.now_ms())
        where = address or credentials.address.hub
        channel = rpc.channel(where, credentials.authority, credentials.pair)
        return rpc.OperatorsClient(channel, where)

    return connect, process.now_ms


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `sentinel-tui`; return its exit status."""
    listed = None if arguments is None else list(arguments)
    return process.main("sentinel-tui", parser(), listed)


if __name__ == "__main__":
    sys.exit(main())
