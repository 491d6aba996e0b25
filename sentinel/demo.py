"""`sentinel demo`: the whole product on this machine, with a fault that is real and ours.

A hub and an agent run as real processes over mutual TLS on loopback, in a temporary directory, and then
a process of the demo's own leaks real memory, up to 256 MiB, and ends by itself. Whoever decides signs
with an SSH key that was made in memory for this demo, behind an ssh-agent of its own. A rule that watches
only processes of that name finds it, so nothing else on this machine is at risk; the approved plan runs
for real only with --live.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import cast

from sentinel import errors, process, protocol, rpc
from sentinel.domain import Choice, Incident, Mode, Outcome, State
from sentinel.drill import fire
from sentinel.trust import throwaway
from sentinel.tui import decide
from sentinel.tui.hand import Child

SITE = "demo"
HOST = "demo-host"
OPERATOR = "you"
HOG = "leaky-worker"
HOG_MIB = 256
HOG_LIFE_S = 600
LIMIT = "96MiB"
DEADLINE_S = 60.0
START_S = 20.0

HUB_TOML = """\
mode = "{mode}"
heartbeat_s = 2
verify_s = 30
[engine]
kind = "{engine}"
url = "{url}"
model = "{model}"
total_s = 120
"""

AGENT_TOML = """\
mode = "{mode}"
interval = "250ms"
process_interval = "250ms"
shipped_rules = false
[[rules]]
id = "demo.worker-memory"
metric = "process_resident_memory_bytes"
process = "{hog}"
above = "{limit}"
clear_below = "64MiB"
for = "1s"
clear_for = "1s"
severity = "critical"
"""


class Site:
    """A hub and an agent of their own, as real processes, in one folder. (The tests drive it too.)"""

    def __init__(self, folder: Path) -> None:
        """Build in `folder`; nothing is started yet."""
        self.folder = folder
        self.states = {"hub": folder / "hub", "agent": folder / "agent"}
        self.operator = folder / "operator"
        self.agent_socket = folder / "ssh-agent"
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        self._cleanup = contextlib.ExitStack()

    def set_up(self, hub: str, agent: str) -> None:
        """Make the site's CA, an operator and the node's state; `hub`, `agent` are their settings.

        The node joins through the hub's real enrolment listener, so the hub runs when this returns.
        """
        port, enrol = _free_ports(2)
        state = ("--state", self.states["hub"])
        self.run("hub", "init", "--site", SITE, *state)
        ports = f'site = "{SITE}"\nport = {port}\nenrol_port = {enrol}\n'
        (self.states["hub"] / "hub.toml").write_text(ports + hub)
        self.let_in(OPERATOR, "lead", self.operator, self.agent_socket)
        invite = self.run("hub", "invite", HOST, *state)
        self.start("hub")
        self.run("agent", "join", "-", "--state", self.states["agent"], stdin=invite)
        (self.states["agent"] / "agent.toml").write_text(agent)

    def let_in(self, name: str, role: str, folder: Path, socket: Path) -> None:
        """Make a person with a key of their own, behind an ssh-agent at `socket`, known to the hub."""
        key = self._cleanup.enter_context(throwaway.agent(socket, f"{name} at the demo"))
        public = self.folder / f"{name}.pub"
        public.write_text(f"{key.public} {name} at the demo\n")
        words = ("--out", folder, "--key", public, "--role", role, "--state", self.states["hub"])
        self.run("hub", "operator", name, *words)

    def start(self, name: str, *words: str) -> subprocess.Popen[bytes]:
        """Start `hub` or `agent` with `words`; wait until it says that it is ready, as systemd would."""
        command = [*_program(name), "run", "--state", str(self.states[name]), *words]
        with _ready_socket(self.folder / f"{name}.notify") as (path, ready):
            with (self.folder / f"{name}.log").open("ab") as file:
                child = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=file,
                    stderr=file,
                    env={**os.environ, "NOTIFY_SOCKET": str(path)},
                    start_new_session=True,
                )
            self.running[name] = child
            deadline = time.monotonic() + START_S
            while time.monotonic() < deadline and child.poll() is None:
                with contextlib.suppress(TimeoutError):
                    if b"READY=1" in ready.recv(256):
                        return child
        raise errors.NodeError(f"sentinel-{name} did not start", hint=self.logs())

    def leak(self, name: str) -> subprocess.Popen[bytes]:
        """Start a process of that name that leaks; it ends on TERM, at its deadline, or with us."""
        child = subprocess.Popen(
            fire.command("leak", name, HOG_MIB, HOG_LIFE_S),
            stdin=subprocess.PIPE,
            start_new_session=True,
        )
        self.running[f"leak {child.pid}"] = child
        return child

    def run(self, name: str, *arguments: object, stdin: str = "") -> str:
        """Run one command of a program to its end and return what it printed."""
        command = [*_program(name), *map(str, arguments)]
        done = subprocess.run(command, input=stdin.encode(), capture_output=True, check=False)
        if done.returncode:
            said = done.stderr.decode(errors="replace").strip()
            raise errors.NodeError(f"sentinel-{name} {arguments[0]} failed: {said}")
        return done.stdout.decode()

    def client(self) -> rpc.OperatorsClient:
        """Return a client of the hub with the operator's identity."""
        child = Child(self.operator, str(self.agent_socket))
        return rpc.operators(child.papers(), child)

    def stop(self) -> None:
        """End every process that was started: asked first, then killed."""
        for child in self.running.values():
            if child.poll() is None:
                child.send_signal(signal.SIGTERM)
        for child in self.running.values():
            try:
                child.wait(5)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
            if child.stdin is not None:
                child.stdin.close()
        self._cleanup.close()

    def logs(self) -> str:
        """Return the tail of both logs, for a person who has to find out why."""
        return "\n".join(
            f"--- {path.name}\n" + "\n".join(path.read_text(errors="replace").splitlines()[-15:])
            for path in sorted(self.folder.glob("*.log"))
        )


def _program(name: str) -> list[str]:
    return [sys.executable, "-m", f"sentinel.{name}.main"]


class Demo:
    """The demo's site, its fault and what was asked for."""

    def __init__(self, args: argparse.Namespace, folder: Path) -> None:
        """Build in `folder`."""
        self.args = args
        self.site = Site(folder)
        self.mode = Mode.LIVE if args.live else Mode.DRY_RUN
        self.fault_ms = 0

    def start(self) -> None:
        """Set the site up, start both programs, and then the leak."""
        args = self.args
        hub = HUB_TOML.format(
            mode=self.mode.value, engine=args.engine, url=args.url, model=args.model
        )
        self.site.set_up(hub, AGENT_TOML.format(mode=self.mode.value, hog=HOG, limit=LIMIT))
        if args.synthetic:
            self._fill(args.synthetic)
        self.site.start("agent")
        self.fault_ms = process.now_ms()
        self.site.leak(HOG)

    def _fill(self, count: int) -> None:
        """Put made-up incidents into the running hub's database."""
        # The database and the policy engine cost a second that the demo otherwise need not pay.
        from sentinel import synthetic  # noqa: PLC0415

        print(f"writing {count} made-up incidents", file=sys.stderr, flush=True)
        database = self.site.states["hub"].resolve() / "hub.db"
        asyncio.run(synthetic.fill(f"sqlite:///{database}", count))


@contextlib.contextmanager
def _ready_socket(path: Path) -> Iterator[tuple[Path, socket.socket]]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ready:
        path.unlink(missing_ok=True)
        ready.bind(str(path))
        ready.settimeout(0.2)
        yield path, ready


def _free_ports(count: int) -> list[int]:
    """Return ports that were free a moment ago, all different."""
    with contextlib.ExitStack() as stack:
        sockets = [
            stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)
        ]
        return [cast("int", sock.getsockname()[1]) for sock in sockets]


class Stages:
    """Prints each stage once, as it happens, with the milliseconds since the fault began."""

    def __init__(self, fault_ms: int) -> None:
        """Count from `fault_ms`."""
        self._from = fault_ms
        self._seen = 0

    def show(self, incident: Incident) -> None:
        """Print the moves that were not printed yet."""
        for move in incident.moves[self._seen :]:
            elapsed = move.at_ms - self._from
            text = errors.printable(move.text, 160)
            print(f"{elapsed:7d} ms  {move.stage.value:<9}  {text}", flush=True)
        self._seen = len(incident.moves)


async def _headless(demo: Demo) -> Incident:
    """Follow the incident to its end, deciding as the arguments say; return its last form."""
    client = demo.site.client()
    stages = Stages(demo.fault_ms)
    decided = False
    try:
        async with asyncio.timeout(DEADLINE_S):
            async for update in client.watch(0):
                if update.summary is None or update.summary.opened_ms < demo.fault_ms:
                    continue  # a sign of life, or one of the made-up ones
                request = protocol.GetRequest(incident=update.summary.id)
                incident = cast("Incident", await client.call(request))
                stages.show(incident)
                if incident.summary.state is State.AWAITING and not decided:
                    decided = True
                    await client.call(await _decision(client, incident, demo))
                elif decided and _ended(incident):
                    return incident
    except TimeoutError:
        raise errors.NodeError(f"no end after {DEADLINE_S:.0f} s", hint=demo.site.logs()) from None
    finally:
        await client.close()
    raise AssertionError("watch ends only by an error")


async def _decision(
    client: rpc.OperatorsClient, incident: Incident, demo: Demo
) -> protocol.DecideRequest:
    status = cast("protocol.HubStatus", await client.call(protocol.StatusRequest()))
    return decide.request(
        incident,
        choice=Choice.APPROVE if demo.args.approve else Choice.REJECT,
        mode=demo.mode,
        operator=status.operator,
        reason="approved by sentinel demo" if demo.args.approve else "rejected by sentinel demo",
        now_ms=process.now_ms(),
    )


def _ended(incident: Incident) -> bool:
    """Say whether nothing more will happen by itself after the decision."""
    state = incident.summary.state
    if state in (State.RESOLVED, State.CLOSED, State.UNRESOLVED, State.MANUAL):
        return True
    return state is State.AWAITING and bool(incident.results)  # rehearsed


def judged(incident: Incident, demo: Demo) -> tuple[bool, str]:
    """Return whether the run ended as its arguments promise, and the sentence that says so."""
    outcomes = [result.outcome for result in incident.results]
    state = incident.summary.state
    if not demo.args.approve:
        good = state is State.MANUAL and not outcomes and incident.decision is not None
        reason = incident.decision.reason if incident.decision else "nobody decided"
        return good, f"rejected by {incident.decider}: {reason}; nothing was executed"
    if demo.mode is Mode.DRY_RUN:
        good = bool(outcomes) and set(outcomes) <= {Outcome.REHEARSED, Outcome.SKIPPED}
        return good, "rehearsed: nothing was executed (--live runs it)"
    ran = Outcome.RAN in outcomes and incident.verification is not None
    recovered = incident.verification is not None and incident.verification.recovered
    good = state is State.RESOLVED and ran and recovered
    return good, "resolved because the plan ran" if good else f"not resolved: {state.value}"


def run(args: argparse.Namespace) -> int:
    """Run the demo; exit status 0 only if it ended as promised."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        # A closed terminal must not leave a hub, an agent and a leak behind.
        signal.signal(number, _leave)
    folder = Path(tempfile.mkdtemp(prefix="sentinel-demo-"))
    demo = Demo(args, folder)
    try:
        demo.start()
        if not args.headless:
            return _terminal(demo)
        good, sentence = judged(asyncio.run(_headless(demo)), demo)
        print(f"{'ok' if good else 'FAILED'}: {sentence}")
        if not good:
            print(demo.site.logs(), file=sys.stderr)
        return 0 if good else 1
    finally:
        demo.site.stop()
        if args.keep:
            print(f"kept in {folder}", file=sys.stderr)
        else:
            shutil.rmtree(folder, ignore_errors=True)


def _leave(number: int, _: object) -> None:
    raise SystemExit(128 + number)


def twin(demo: Demo) -> str:
    """Return how another shell reaches the demo's hub as the same person."""
    return (
        "in another shell, while this runs:\n"
        f"  export SSH_AUTH_SOCK={demo.site.agent_socket}\n"
        f"  sentinel incidents --identity {demo.site.operator}\n"
    )


def _terminal(demo: Demo) -> int:
    """Open the terminal UI on the demo's hub, as a program of its own."""
    sys.stderr.write(twin(demo))
    sys.stderr.flush()
    command = [sys.executable, "-m", "sentinel.tui.main", "--identity", str(demo.site.operator)]
    return subprocess.call(
        command, env={**os.environ, "SSH_AUTH_SOCK": str(demo.site.agent_socket)}
    )


def add_command(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register `demo` on the command line of `sentinel`."""
    parser = subparsers.add_parser(
        "demo",
        help="a real fault on this machine, from detection to the terminal",
        description=__doc__,
    )
    parser.add_argument("--live", action="store_true", help="run the approved plan for real")
    parser.add_argument("--headless", action="store_true", help="print the stages, no terminal UI")
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument("--approve", action="store_true", help="headless: approve the plan")
    choice.add_argument("--reject", action="store_true", help="headless: reject it (default)")
    parser.add_argument(
        "--engine", choices=("playbook", "ollama", "openai"), default="playbook", help="who reasons"
    )
    parser.add_argument("--model", default="", help="the engine's model")
    parser.add_argument("--url", default="http://127.0.0.1:11434", help="where the engine is")
    parser.add_argument(
        "--synthetic", type=int, default=0, metavar="N", help="and N made-up incidents in the list"
    )
    parser.add_argument("--keep", action="store_true", help="keep the temporary directory")
    parser.set_defaults(run=run)
