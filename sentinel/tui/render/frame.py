"""What stands around every screen: header, banner, status and footer, one line each."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from sentinel import human
from sentinel.domain import Mode, Value
from sentinel.tui import keys as key_names
from sentinel.tui.commands import Command
from sentinel.tui.line import EMPTY, Line, Tone, joined, line, pad, plain, spread, text, width, wrap
from sentinel.tui.look import Skin
from sentinel.tui.store import Phase, Snapshot, stale

LAST = ("quit", "back", "help")  # at the end of every footer, whatever else has to give way
NAMED_CELLS = 56  # of a help that names what is typed beside each key
NOTICE_ROWS = 3  # of what is said on the status line, at the most


class Options(Value, frozen=True, kw_only=True):
    """How the terminal was asked to be."""

    demo: bool = False
    read_only: bool = False
    ascii: bool = False
    textual: bool = False  # Textual writes to the terminal itself, as it does without `output`
    skin: Skin = Skin.ANSI


def key_word(keys: str) -> str:
    """Return how a person calls the keys: `↵`, `/`, `j ↓`."""
    return " ".join(key_names.shown(key) for key in keys.split(",") if key)


def header(
    path: Sequence[str], snapshot: Snapshot, now_ms: int, options: Options, cells: int
) -> Line:
    """Return the first line: where one is, and how the hub is."""
    tag = line(text(" DEMO ", Tone.ALARM)) if options.demo else EMPTY
    right = _hub(snapshot, now_ms, options)
    left = _trail(tag, path)
    while len(path) > 1 and width(left) + width(right) >= cells:
        path = path[1:]  # where one is matters more than how one came there
        left = _trail(tag, path)
    return spread(left, right, cells, Tone.BAR)


def _trail(tag: Line, path: Sequence[str]) -> Line:
    return (*tag, text(" " + " > ".join(path), Tone.BAR))


def _hub(snapshot: Snapshot, now_ms: int, options: Options) -> Line:
    status, link = snapshot.status, snapshot.link
    if stale(link, now_ms):
        return line(text(f" {_away(snapshot, now_ms)} ", Tone.ALARM))
    if status is None:
        return line(text("connecting ", Tone.BAR))
    words = ["hub ok", "LIVE" if status.mode is Mode.LIVE else "dry-run", status.operator or "?"]
    if reason := read_only(snapshot, now_ms, options):
        words.append(f"READ ONLY ({reason})")
    return line(text("  ".join(words) + " ", Tone.BAR))


def _away(snapshot: Snapshot, now_ms: int) -> str:
    link = snapshot.link
    if link.phase is Phase.CONNECTING:
        return "connecting"
    since = f"STALE {human.age(now_ms - link.heard_ms)}" if link.heard_ms else "NO HUB"
    if link.phase is Phase.UP:
        return f"{since}: the hub is silent  READ ONLY"
    wait = max(0, link.retry_ms - now_ms)
    return f"{since}: retry in {-(-wait // 1000)}s  READ ONLY"


def banner(snapshot: Snapshot, now_ms: int) -> str:
    """Return the sentence that everybody has to know now, or nothing: the hub is away."""
    link = snapshot.link
    if link.phase is Phase.LOST:
        return f"hub unreachable: {link.why}"
    if stale(link, now_ms) and link.phase is Phase.UP:
        return "hub silent: what is shown may no longer be true"
    return ""


def read_only(snapshot: Snapshot, now_ms: int, options: Options) -> str:
    """Return why nothing may be decided now, or nothing where it may."""
    if options.read_only:
        return "--read-only"
    if stale(snapshot.link, now_ms):
        return "the hub is stale"
    if snapshot.status is not None and snapshot.status.role == "viewer":
        return "you are a viewer"
    return ""


def notice(words: str, cells: int, most: int, *, bad: bool = False) -> list[Line]:
    """Return the status line: what happened last, in `most` lines; the last one is cut."""
    rows = wrap(words[: most * cells], cells - 1)
    said = [*map(plain, rows[: most - 1]), " ".join(map(plain, rows[most - 1 :]))]
    tone = Tone.BAD if bad else Tone.STRONG
    return [pad(line(text(f" {row}" if row else "", tone)), cells) for row in said[: len(rows)]]


def footer(commands: Sequence[Command], cells: int) -> Line:
    """Return the keys that work here; those that do not fit are in the help."""
    return _footer(tuple(commands), cells)


@lru_cache(maxsize=16)  # it is wanted every second, and rarely another one
def _footer(commands: tuple[Command, ...], cells: int) -> Line:
    shown = [command for command in commands if command.shown and command.keys]
    last = [command for command in shown if command.what in LAST]
    entries = [_entry(command) for command in shown if command not in last]
    end = [_entry(command) for command in sorted(last, key=lambda c: LAST.index(c.what))]
    gap = line(text("  ", Tone.BAR))
    while entries and _cells(entries + end) > cells - 1:
        entries.pop()
    return pad((text(" ", Tone.BAR), *joined(entries + end, gap)), cells, Tone.BAR)


def _cells(entries: list[Line]) -> int:
    return sum(len("".join(p.text for p in entry)) + 2 for entry in entries)


def _entry(command: Command) -> Line:
    return line(text(f"{key_word(command.keys)} {command.what}", Tone.BAR))


def help_rows(
    sections: Sequence[tuple[str, Sequence[Command]]], cells: int, *, typed: bool = True
) -> list[Line]:
    """Return the help of a screen: every command with its keys, its name and what it does.

    Where none can be `typed`, in a dialog, their names are left out, and where there is no room for them.
    """
    typed = typed and cells >= NAMED_CELLS
    rows: list[Line] = []
    for title, commands in sections:
        if not commands:
            continue
        rows.append(line(text(title, Tone.STRONG)))
        for command in commands:
            head = line(
                text(f"  {key_word(command.keys):<9} ", Tone.STRONG),
                text(f"{command.usage:<17} " if typed else "", Tone.DIM),
            )
            rows += wrap(command.help, cells, first=head)
        rows.append(EMPTY)
    return rows
