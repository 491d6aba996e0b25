"""`sentinel-tui`: the terminal in which an operator decides."""

from __future__ import annotations

import argparse
import locale
import os
import sys
import termios
from collections.abc import Callable, Sequence
from pathlib import Path

from sentinel import errors, process
from sentinel.tui import hangup, keys, reach
from sentinel.tui.look import Skin
from sentinel.tui.port import Connect, Port
from sentinel.tui.render.frame import Options
from sentinel.tui.setup import KEYS_FILE, TuiSettings
from sentinel.tui.setup import load as load_setup

# What a terminal that was left in a strange state (kill -9, a lost link) needs to be itself again.
RESTORE = "\x1b[?1049l\x1b[?1000l\x1b[?1003l\x1b[?1006l\x1b[?1015l\x1b[?2004l\x1b[?1004l\x1b[<u\x1b[?25h\x1b[m"


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    made = argparse.ArgumentParser(prog="sentinel-tui", description=__doc__)
    reach.add_arguments(made)
    made.add_argument("--demo", action="store_true", help="recorded incidents, without any hub")
    made.add_argument("--read-only", action="store_true", help="show, and decide nothing")
    made.add_argument("--ascii", action="store_true", help="no sign beyond ASCII")
    made.add_argument(
        "--skin",
        choices=[skin.value for skin in Skin],
        help="colours: your own 16, none, blue and yellow, or 24 bit (default: ansi, or tui.toml)",
    )
    made.add_argument("--no-color", action="store_true", help="no colour (as NO_COLOR does)")
    made.add_argument(
        "--textual-output",
        action="store_true",
        help="let Textual write to the terminal itself: more bytes, and no second wall",
    )
    made.add_argument(
        "--keys", action="store_true", help="print every command with its keys, as keys.toml"
    )
    made.add_argument(
        "--reset", action="store_true", help="mend this terminal, and do nothing else"
    )
    made.set_defaults(run=run)
    return made


def run(args: argparse.Namespace) -> int:
    """Open the terminal; raises ConfigError where the identity cannot be used."""
    if args.reset:
        _mend()
        return 0
    folder = reach.config_folder()
    overrides = keys.load(folder / KEYS_FILE)
    if args.keys:
        sys.stdout.write(keys.to_toml(overrides))
        return 0
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise errors.OperatorError(
            "sentinel-tui needs a terminal",
            hint="use ssh -t, or sentinel demo --headless in a script",
        )
    setup = load_setup(folder, _state(), overrides)
    options = Options(
        demo=args.demo,
        read_only=args.read_only,
        ascii=args.ascii or setup.tui.ascii or _only_ascii(),
        skin=_skin(args, setup.tui),
        textual=args.textual_output,
    )
    connect, clock = _demo() if args.demo else _hub(args.identity, args.hub)
    _environment()
    # Textual reads its environment when it is imported, so it is imported after that is set.
    from sentinel.tui.app import SentinelApp  # noqa: PLC0415

    hangup.watch()
    app = SentinelApp(connect, clock, options, setup)
    app.run(mouse=False)
    if app.failure is not None:
        raise app.failure
    return app.return_code or 0


def _skin(args: argparse.Namespace, settings: TuiSettings) -> Skin:
    """Return the colours: what the command line says, or the environment, or tui.toml."""
    if args.no_color or (os.environ.get("NO_COLOR") and not args.skin):
        return Skin.MONO
    wanted = args.skin or os.environ.get("SENTINEL_SKIN") or settings.skin or Skin.ANSI
    if wanted not in set(Skin):
        raise errors.ConfigError(
            f"SENTINEL_SKIN is {errors.printable(wanted)}", hint=f"one of {' '.join(Skin)}"
        )
    return Skin(wanted)


def _state() -> Path:
    """Return the folder for what is kept from one day to the next."""
    return Path(os.environ.get("XDG_STATE_HOME", "~/.local/state")).expanduser() / "sentinel"


def _only_ascii() -> bool:
    """Say whether this terminal or locale cannot be trusted with more than ASCII.

    Where Chinese, Japanese or Korean is written, our lines and arrows may be two cells wide.
    """
    encoding = locale.getpreferredencoding(False).lower().replace("-", "")
    spoken = next((v for n in ("LC_ALL", "LC_CTYPE", "LANG") if (v := os.environ.get(n))), "")
    wide = spoken[:2] in ("zh", "ja", "ko")
    return os.environ.get("TERM") == "linux" or encoding != "utf8" or wide


def _mend() -> None:
    """Give a terminal back what a program that was killed has taken from it."""
    for stream in (sys.stdin, sys.stdout):
        if stream.isatty():
            modes = termios.tcgetattr(stream)
            modes[0] |= termios.ICRNL | termios.BRKINT
            modes[1] |= termios.OPOST | termios.ONLCR
            modes[3] |= termios.ICANON | termios.ECHO | termios.ECHOE | termios.ECHOK
            modes[3] |= termios.ISIG | termios.IEXTEN
            termios.tcsetattr(stream, termios.TCSANOW, modes)
    sys.stdout.write(RESTORE)


def _environment() -> None:
    """Set what Textual is to do before it is imported; what the operator has set stays."""
    # A split escape sequence on a bad link must not turn into an Escape and two letters.
    os.environ.setdefault("ESCDELAY", "500")
    os.environ["TEXTUAL_ANIMATIONS"] = "none"
    os.environ["TEXTUAL_DISABLE_KITTY_KEY"] = "1"
    os.environ.setdefault("TEXTUAL_FPS", "15")
    os.environ.pop("NO_COLOR", None)  # the skin sees to it, and --skin may say otherwise


def _demo() -> tuple[Connect, Callable[[], int]]:
    """Return the recording as a hub, and a clock that starts when the recording does."""
    # Only the demo pays for its recording.
    from sentinel.tui.recorded import RecordedHub  # noqa: PLC0415
    from sentinel.tui.recording import load  # noqa: PLC0415

    recording = load()
    begun_ms = process.now_ms()

    def clock() -> int:
        return recording.at_ms + process.now_ms() - begun_ms

    hub = RecordedHub(recording, clock)

    async def connect() -> Port:
        return hub

    return connect, clock


def _hub(folder: Path, address: str | None) -> tuple[Connect, Callable[[], int]]:
    return reach.connector(folder, address), process.now_ms


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `sentinel-tui`; return its exit status."""
    listed = None if arguments is None else list(arguments)
    return process.main("sentinel-tui", parser(), listed)


if __name__ == "__main__":
    sys.exit(main())
