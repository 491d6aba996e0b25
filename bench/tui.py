"""The terminal in a real pseudo-terminal, over a live hub with many incidents, beside its peers.

    python -m bench.tui                        at 100 and 100,000 incidents, a minute or two to write them
    python -m bench.tui --incidents 5000 --stall 10
    python -m bench.tui --peer posting=/tmp/peers/bin/posting --peer harlequin=/tmp/peers/bin/harlequin

The figures are at the largest number of incidents; the memory is compared at all of them. Peers in the
same run: a Textual program with one line and gRPC imported (the floor of what we are made of), htop, tig,
posting and harlequin where they are on PATH, and whatever --peer names; they see a home of their own.
Bytes are what leaves the program; idle ones are counted within a minute, and apart from them at its end,
when ages move on. CPU is of the whole process tree. The slow link is 7,000 bytes a second and 150 ms each
way, with a buffer without end before it, as ssh has.
"""

from __future__ import annotations

import argparse
import asyncio
import fcntl
import itertools
import os
import pty
import re
import select
import shlex
import shutil
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections import deque
from pathlib import Path

import msgspec

from sentinel import demo, process, synthetic
from sentinel.domain import Stage, State
from sentinel.hub import main as hub_main
from sentinel.hub.moves import Entry, move
from sentinel.hub.persist import Store
from sentinel.protocol import ListRequest, Order
from tests.unit.tui.ear import heard
from tests.unit.tui.test_output import Terminal
from tests.unit.tui.test_terminal import ASK, MODES, Session

SIZES = ((80, 24), (160, 50))
PAINTED = 40  # characters that are not blank
SEQUENCE = re.compile(r"\x1b\[[0-9;?<=>$]*[A-Za-z]|\x1b[()][A-Z0-9]|\x1b[=>]|[\x00-\x1f]")
KEYS = {"down": "\x1b[B", "page": "\x1b[6~"}
LINK_BYTES_S, LINK_DELAY_S = 7000, 0.150
BARE = """
import grpc.aio
from textual.app import App
from textual.widgets import Static
class Bare(App):
    def compose(self):
        yield Static("one line of text that is as long as it takes to be painted, and then a little")
Bare().run(mouse=False)
"""
PEERS = {
    "bare Textual + gRPC": [sys.executable, "-c", BARE],
    "htop": ["htop", "-d", "1000"],
    "tig": ["setsid", "--ctty", "--wait", "tig"],  # it wants the terminal to be its own
    "posting": ["posting"],
    "harlequin": ["harlequin"],
}
GET = {  # how one comes by those that a distribution does not bring
    name: f"python -m venv V && V/bin/pip install {wanted}, then --peer {name}=V/bin/{name}"
    # posting 2.11 crashes with a newer tree-sitter than it was made for.
    for name, wanted in (("posting", "posting 'tree-sitter<0.26'"), ("harlequin", "harlequin"))
}


# ---------------------------------------------------------------- a hub that can be stirred


async def stir(store, order):
    """Change incidents at the top of the list, as often a second as the file `order` says."""
    shown, turn, due = [], 0, time.monotonic()
    while True:
        rate = float(order.read_text() or 0) if order.exists() else 0
        if not rate:
            await asyncio.sleep(0.05)
            due = time.monotonic()
            continue
        due += 1 / rate
        await asyncio.sleep(max(0, due - time.monotonic()))
        if not shown:
            page = await store.listed(ListRequest(order=Order.URGENCY, limit=12))
            shown = [s.id for s in page.summaries if s.state is State.AWAITING]
        incident, turn = shown[turn % len(shown)], turn + 1

        async def again(work, incident=incident):
            case = await work.case(incident)
            entry = Entry(
                at_ms=process.now_ms(),
                stage=Stage.TRANSPORT,
                actor="bench",
                action="stirred",
                text="",
            )
            after = msgspec.structs.replace(case, count=case.count % 9 + 1)
            await move(work, case, None, after, entry)

        await store.write(again)


def run_hub(arguments):
    """Be `sentinel-hub`, with a hand in its store."""
    opened, stirring = Store.open, set()

    async def captured(url):
        store = await opened(url)
        order = Path(os.environ["BENCH_STIR"])
        if arguments[0] == "run":
            stirring.add(asyncio.get_running_loop().create_task(stir(store, order)))
        return store

    Store.open = captured
    return hub_main.main(arguments)


class Place:
    """A live hub with so many incidents."""

    def __init__(self, folder, count):
        self.count = count
        self.site = demo.Site(folder)
        self.order = folder / "stir"
        os.environ["BENCH_STIR"] = str(self.order)
        text = demo.HUB_TOML.format(mode="dry-run", engine="playbook", url="", model="")
        self.site.set_up(text, "")
        begun = time.monotonic()
        database = self.site.states["hub"].resolve() / "hub.db"
        asyncio.run(synthetic.fill(f"sqlite:///{database}", count))
        self.filled_s = time.monotonic() - begun

    def stir(self, rate):
        self.order.write_text(str(rate))

    @property
    def command(self):
        tui = [sys.executable, "-m", "sentinel.tui.main"]
        return [*tui, "--identity", str(self.site.operator)]

    @property
    def environment(self):
        return {"SSH_AUTH_SOCK": str(self.site.agent_socket)}


# ---------------------------------------------------------------- a program in a terminal


def tree(pid):
    """Return the process and all that it started."""
    found, todo = [], [pid]
    while todo:
        found.append(todo.pop())
        for path in Path(f"/proc/{found[-1]}/task").glob("*/children"):
            todo += [int(word) for word in _read(path).split()]
    return found


def _read(path):
    try:
        return path.read_text()
    except OSError:
        return ""


def cpu_ms(pid):
    """Return the processor time that the tree has used."""
    paths = (path for each in tree(pid) for path in Path(f"/proc/{each}/task").glob("*/schedstat"))
    return sum(int((_read(path).split() or ["0"])[0]) for path in paths) / 1e6


def rss_mib(pid, field="VmRSS"):
    """Return the resident memory of the tree; `RssAnon` is what no other program could share."""
    kib = 0
    for each in tree(pid):
        status = _read(Path(f"/proc/{each}/status"))
        found = re.search(rf"^{field}:\s+(\d+)", status, re.MULTILINE)
        kib += int(found[1]) if found else 0
    return kib / 1024


class Program:
    """One program, and a terminal that answers it."""

    def __init__(self, command, size, **environment):
        self.near, far = pty.openpty()
        fcntl.ioctl(self.near, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
        drop = ("TEXTUAL", "COLUMNS", "LINES", "NO_COLOR", "COLORTERM", "TMUX")
        clean = {k: v for k, v in os.environ.items() if not k.startswith(drop)}
        self.begun = time.perf_counter()
        self.process = subprocess.Popen(
            command,
            stdin=far,
            stdout=far,
            stderr=far,
            start_new_session=True,
            env={**clean, "TERM": "xterm-256color", "LC_ALL": "C.UTF-8", **environment},
        )
        os.close(far)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        end = time.monotonic() + 5
        while self.process.poll() is None and time.monotonic() < end:
            self.read(0.05)
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self.near)

    def read(self, seconds):
        """Return what comes within `seconds`, and answer what it asks."""
        if not select.select([self.near], [], [], seconds)[0]:
            return ""
        try:
            data = os.read(self.near, 1 << 16).decode(errors="replace")
        except OSError:
            return ""
        self.send("\x1b[1;1R" * data.count(ASK) + "\x1b[?62;22c" * data.count("\x1b[c"))
        return data

    def send(self, keys):
        os.write(self.near, keys.encode())

    def until_quiet(self, quiet, least=0.0):
        """Return what comes until nothing has come for `quiet` seconds, and when the first did."""
        begun = last = time.perf_counter()
        data, first = "", None
        while True:
            now = time.perf_counter()
            if now - last > quiet and now - begun > least:
                return data, first
            if now - begun > 30:
                return data, first
            if part := self.read(0.005):
                last = time.perf_counter()
                first = first or last - begun
                data += part

    def painted(self, quiet=0.8):
        """Return ms, CPU ms and bytes until the first text stands on the screen, and bytes when quiet."""
        data = ""
        while len(SEQUENCE.sub("", data).replace(" ", "")) < PAINTED:
            data += self.read(0.002)
            if time.perf_counter() - self.begun > 30 or self.process.poll() is not None:
                raise RuntimeError(f"painted nothing: {data[-200:]!r}")
        paint_ms, cpu = (time.perf_counter() - self.begun) * 1000, cpu_ms(self.process.pid)
        rest, _ = self.until_quiet(quiet, 1.5)
        return paint_ms, cpu, len((data + rest).encode())

    def key(self, name):
        """Return bytes, ms to the first of them, and CPU ms of one key."""
        before = cpu_ms(self.process.pid)
        self.send(KEYS[name])
        data, first = self.until_quiet(0.12, 0.12)
        return len(data.encode()), (first or 0) * 1000, cpu_ms(self.process.pid) - before

    def idle(self, seconds):
        """Return bytes and CPU ms of so many seconds without a key."""
        before = cpu_ms(self.process.pid)
        data, end = "", time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            data += self.read(left)
        return len(data.encode()), cpu_ms(self.process.pid) - before


class Linked:
    """The terminal at the far end of a slow link: what was sent is shown when it has come through."""

    def __init__(self, program, size):
        self.program = program
        self.terminal = Terminal(*size)
        self.size = size
        self._on_its_way = deque()  # when, what
        self._back = deque()
        self._free_at = 0.0
        self._pending = b""
        self.sent = 0

    def pump(self):
        """Let 5 ms pass."""
        near, now = self.program.near, time.perf_counter()
        if select.select([near], [], [], 0.005)[0]:
            data = os.read(near, 1 << 16)
            self.sent += len(data)
            self._free_at = max(self._free_at, now) + len(data) / LINK_BYTES_S
            self._on_its_way.append((self._free_at + LINK_DELAY_S, data))
        while self._on_its_way and self._on_its_way[0][0] <= now:
            self._show(self._on_its_way.popleft()[1])
        while self._back and self._back[0][0] <= now:
            self.program.send(self._back.popleft()[1])

    def _show(self, data):
        self._pending += data
        text, self._pending = Session._whole(self._pending)
        self.terminal.feed(MODES.sub("", text.replace(ASK, "")))
        for _ in range(text.count(ASK)):
            self.press("\x1b[1;1R")

    def press(self, keys):
        self._back.append((time.perf_counter() + LINK_DELAY_S, keys))

    def row(self):
        """Return the row that the cursor's mark stands on, or -1."""
        grid = self.terminal.grid
        return next((y for y, row in enumerate(grid) if row[0].shown == ">"), -1)

    def wait(self, holds, seconds):
        """Return the seconds until `holds`; None where it never does."""
        begun = time.perf_counter()
        while time.perf_counter() - begun < seconds:
            self.pump()
            if holds():
                return time.perf_counter() - begun
        return None

    def lag(self):
        """Return the seconds from a key to its row."""
        before = self.row()
        self.press(KEYS["down"])
        return self.wait(lambda: self.row() == before + 1, 25)


# ---------------------------------------------------------------- the figures


def row(name, *figures, goal=""):
    print(f"  {name:<34} {'  '.join(f'{f:>14}' for f in figures)}   {goal}", flush=True)


def start(command, size, runs, quiet=0.8, **environment):
    """Return the medians of first paint, its CPU and the bytes of a start."""
    found = []
    for _ in range(runs):
        with Program(command, size, **environment) as program:
            found.append(program.painted(quiet))
    return [statistics.median(column) for column in zip(*found, strict=True)]


def measured(place, size, args):
    """Return the figures of `sentinel-tui` at one size, by name."""
    found = {}
    with Program(place.command, size, **place.environment) as program:
        program.painted()
        program.until_quiet(1.0, 2.0)
        for name, count in (("down", 20), ("page", 8)):
            keys = [program.key(name) for _ in range(count)]
            for at, what in enumerate(("bytes", "ms", "cpu")):
                found[f"{name} {what}"] = statistics.median(key[at] for key in keys)
        program.send("g")
        program.until_quiet(1.0, 1.0)
        until_minute_s = 60 - time.time() % 60
        if until_minute_s < 12:
            program.idle(until_minute_s + 2)
        found["idle bytes"], found["idle cpu"] = program.idle(10)
        found["minute bytes"], _ = program.idle(62 - time.time() % 60)
        place.stir(5)
        program.idle(2)
        live, found["live cpu"] = program.idle(10)
        found["live bytes"] = live / 50
        place.stir(0)
        program.idle(2)
        found["rss"] = rss_mib(program.process.pid)
        found["own"] = rss_mib(program.process.pid, "RssAnon")
    return found


def slow_link(place, size):
    """Return the lags of three keys at ten updates a second over the slow link, and its bytes a second."""
    with Program(place.command, size, **place.environment) as program:
        linked = Linked(program, size)
        assert linked.wait(lambda: linked.row() > 0, 30) is not None
        place.stir(10)
        linked.wait(lambda: False, 5)
        begun, sent = time.perf_counter(), linked.sent
        lags = []
        for _ in range(3):
            lags.append(linked.lag())
            linked.wait(lambda: False, 1)
        rate = (linked.sent - sent) / (time.perf_counter() - begun)
        place.stir(0)
    return lags, rate


def stalled(place, size, seconds):
    """Return how often the hub was heard while the terminal took nothing, the longest silence, and the rest.

    What is counted are the signs of life that came as far as the program's event loop.
    """
    ear = place.site.folder / "heard"
    ear.unlink(missing_ok=True)
    command = [word.replace("sentinel.tui.main", "tests.unit.tui.ear") for word in place.command]
    with Program(command, size, EAR=str(ear), **place.environment) as program:
        program.painted()
        program.until_quiet(1.0, 2.0)
        place.stir(10)
        program.idle(2)
        begun_ms, before = time.time() * 1000, cpu_ms(program.process.pid)
        time.sleep(seconds)
        used, end_ms = cpu_ms(program.process.pid) - before, time.time() * 1000
        data, _ = program.until_quiet(0.5, 1.5)
        place.stir(0)
    signs = [at for at, _, sign in heard(ear) if sign and begun_ms <= at <= end_ms]
    times = [begun_ms, *signs, end_ms]
    silence = max(b - a for a, b in itertools.pairwise(times)) / 1000
    return len(signs), silence, used, len(data.encode())


def report(places, args):
    """Print everything."""
    bare = [sys.executable, "-c", BARE]
    *others, place = places
    for size in SIZES:
        large = size != SIZES[0]
        print(f"\n{size[0]}x{size[1]}, {place.count} incidents, {load()}    figure, goal")
        paint, cpu, size_bytes = start(place.command, size, args.runs, **place.environment)
        floor = start(bare, size, args.runs)
        row("first paint, ms", f"{paint:.0f}", f"{paint / floor[0]:.2f}x bare", goal="400; 1.5x")
        row("CPU to first paint, ms", f"{cpu:.0f}", f"{cpu / floor[1]:.2f}x bare", goal="400; 1.5x")
        row(
            "start bytes",
            f"{size_bytes:.0f}",
            f"bare {floor[2]:.0f}",
            goal="12000" if large else "6000",
        )
        found = measured(place, size, args)
        row("cursor down, bytes", f"{found['down bytes']:.0f}", goal="450" if large else "300")
        row("page down, bytes", f"{found['page bytes']:.0f}", goal="6000" if large else "2500")
        row("one live row, bytes", f"{found['live bytes']:.0f}", goal="100")
        minute = f"full minute {found['minute bytes']:.0f}"
        row("idle bytes in 10 s", f"{found['idle bytes']:.0f}", minute, goal="0")
        row(
            "CPU per key, ms", f"{found['down cpu']:.1f}", f"page {found['page cpu']:.1f}", goal="6"
        )
        row("key to first byte, ms", f"{found['down ms']:.1f}")
        row("idle CPU in 10 s, ms", f"{found['idle cpu']:.0f}", goal="15")
        row("CPU at 5 updates/s in 10 s, ms", f"{found['live cpu']:.0f}", goal="150")
        few = [f"at {other.count}: {measured(other, size, args)['rss']:.1f}" for other in others]
        row("RSS, MiB", f"{found['rss']:.1f}", *few, goal="60; within 5 %")
        row("of it no library's pages, MiB", f"{found['own']:.1f}")
        peers(size, args, place.site.folder / "home")
    lags, rate = slow_link(place, SIZES[0])
    shown = ", ".join("never" if lag is None else f"{lag:.2f}" for lag in lags)
    print("\n56 kbit/s, 300 ms, 10 updates/s, 80x24")
    row("key to visible, s", shown, f"{rate:.0f} B/s", goal="1.2")
    signs, silence, used, size_bytes = stalled(place, SIZES[0], args.stall)
    print(f"\na terminal that takes nothing for {args.stall} s, 10 updates/s")
    row("signs of life heard meanwhile", f"{signs}", goal=f"{args.stall / 0.6:.0f}")
    row("longest silence, s", f"{silence:.2f}", goal="5")
    row("CPU meanwhile, ms; bytes after", f"{used:.0f}", f"{size_bytes}")


def load():
    """Return how busy the machine is: what absolute times have to be read with."""
    return f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} CPUs"


def peers(size, args, home):
    """Print what programs of others cost in the same terminal, with nothing of ours in their `home`."""
    home.mkdir(exist_ok=True)
    own = {"HOME": str(home)}
    own |= {f"XDG_{name}_HOME": str(home / name) for name in ("CONFIG", "DATA", "STATE", "CACHE")}
    known = {**PEERS, **{name: shlex.split(command) for name, command in args.peer}}
    for name, command in known.items():
        if shutil.which(command[-1] if name == "tig" else command[0]) is None:
            print(f"  {name} is not here{': ' + GET[name] if name in GET else ''}")
            continue
        try:
            paint, cpu, size_bytes = start(command, size, 3, 2.5, **own)  # some paint in parts
        except RuntimeError as failure:
            print(f"  {name}: {failure}")
            continue
        with Program(command, size, **own) as program:
            program.painted(2.5)
            downs = [program.key("down") for _ in range(5)]
            pages = [program.key("page") for _ in range(3)]
            rss, own_mib = (rss_mib(program.process.pid, name) for name in ("VmRSS", "RssAnon"))
            _, idle = program.idle(5)
        down, page = (statistics.median(key[0] for key in keys) for keys in (downs, pages))
        row(
            f"peer {name}",
            f"paint {paint:.0f} ms",
            f"CPU {cpu:.0f} ms",
            f"start {size_bytes:.0f} B",
            f"down {down:.0f} B",
            f"page {page:.0f} B",
            f"RSS {rss:.0f} ({own_mib:.0f})",
            f"idle {2 * idle:.0f} ms",
        )


def main():
    """Set two hubs up and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--incidents", type=int, nargs="+", default=[100, 100_000], metavar="N")
    parser.add_argument("--stall", type=float, default=60)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument(
        "--peer",
        action="append",
        default=[],
        type=lambda word: word.split("=", 1),
        metavar="NAME=COMMAND",
    )
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    ours = demo._program
    demo._program = lambda name: (
        [sys.executable, "-m", "bench.tui", "--be-hub"] if name == "hub" else ours(name)
    )
    folders = [Path(tempfile.mkdtemp(prefix="sentinel-bench-")) for _ in args.incidents]
    places = []
    try:
        for folder, count in zip(folders, sorted(args.incidents), strict=True):
            places.append(Place(folder, count))
            print(f"{count} incidents written in {places[-1].filled_s:.1f} s", flush=True)
        report(places, args)
    finally:
        for place in places:
            place.site.stop()
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--be-hub"]:
        sys.exit(run_hub(sys.argv[2:]))
    main()
