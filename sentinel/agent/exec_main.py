"""`sentinel-exec`: runs one approved plan, which it has checked itself. The only program with privilege.

sentinel-agent has the network and no privilege; this program has the privilege and no network. systemd
starts one for each connection to its socket (Accept=yes), so that each plan has a control group of its
own; on a node without systemd the agent starts it as a child. One process, one plan, then it ends.

Why an agent that was taken over cannot make it run more than people approved:
  - It believes nothing that it is handed. The bundle goes through the same gate (`admit.admit`) with the
    settings, rules, signers and host name that this program reads itself, from files that the agent's
    user cannot write. So there must be a plan that people signed for this host, word by word, within
    the minutes of its life, and that these rules allow.
  - A challenge is spent in this program's own store, before anything runs. The agent makes challenges,
    but that wins nothing: one that people signed is good once. What is kept here is kept only together
    with a challenge that is spent, so the store cannot be filled up without approvals either.
  - The report, which says what a plan may touch, comes from the agent, and is the one that people saw: its
    digest is in what they signed. Its pids are compared with the kernel too: the name of each that the
    plan names before the plan is admitted, its start time then and right before each command. An agent
    that lies can deceive people about the host it watches; it cannot make another plan of it, nor have
    a process signalled under another's name.
  - That the hub's log has only grown is the agent's to witness. What is checked here needs no memory: the
    approval is in a log that the pinned key has signed.
  - One plan at a time: the store is locked for as long as a plan runs.
  - The agent may leave at any moment; then what runs is ended.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import pwd
import socket
import stat
import struct
import sys
from collections.abc import Sequence
from pathlib import Path

from sentinel import __version__, config, errors, process
from sentinel.agent import admit, gate, hands
from sentinel.agent.handover import Order, Peer, Word
from sentinel.agent.store import Store
from sentinel.config import AgentSettings
from sentinel.domain import Admission, CommandResult
from sentinel.policy import rules
from sentinel.policy.rules import Policy

log = logging.getLogger(__name__)

STATE = Path("/var/lib/sentinel-exec")
STORE = "exec.db"
_CREDENTIALS = struct.Struct("3i")  # of SO_PEERCRED: pid, uid, gid


def run_exec(args: argparse.Namespace) -> int:
    """Take the plan that comes over standard input, and run it."""
    process.log_to_stderr(verbose=args.verbose)
    with _connection() as sock:
        agent = _permitted(sock, args.peer)
        settings, policy = believed(args)
        host = args.host or gate.host_of(args.roots)
        peer = Peer(sock)
        if not peer.asked():
            return 0  # we were made ready, and not needed
        order = peer.receive(Order)
        # From here on alone: the plan before this one has ended, or is being ended.
        with Store(args.state / STORE) as store:
            own = frozenset({agent, os.getpid(), os.getppid()})
            node = gate.node(settings, args.roots, host, policy, store, own)
            return Work(peer, order, node).run()


def believed(args: argparse.Namespace) -> tuple[AgentSettings, Policy]:
    """Return this program's own settings and rules; ConfigError where others could write them."""
    settings = config.load(AgentSettings, args.config) if args.config else AgentSettings()
    site = [Path(each) for each in settings.policy]
    if args.peer:
        for path in (args.roots, args.state, *args.roots.glob("*"), args.config, *site):
            if path is not None:
                only_ours(path)
    # The examples in the files were run when the agent started; here the digest that people signed decides
    # whether these are the rules.
    return settings, rules.load(site=site, examples=False)


def _connection() -> socket.socket:
    """Return the connection that we were started with."""
    try:
        sock = socket.socket(fileno=os.dup(0))
    except OSError:
        raise errors.OperatorError(
            "standard input is not a socket",
            hint="sentinel-exec is started by sentinel-agent, or by systemd: sentinel-exec.socket",
        ) from None
    if sock.family != socket.AF_UNIX:
        sock.close()
        raise errors.OperatorError("standard input is not a Unix socket")
    return sock


def _permitted(sock: socket.socket, user: str) -> int:
    """Return the pid of the other end; PeerError where it is neither `user` nor ourselves."""
    data = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    pid, uid, _ = _CREDENTIALS.unpack(data)
    try:
        wanted = pwd.getpwnam(user).pw_uid if user else os.geteuid()
    except KeyError:
        raise errors.ConfigError(
            f"--peer: there is no user {user}", hint="systemd-sysusers makes it"
        ) from None
    if uid != wanted:
        raise errors.PeerError(f"the user {uid} may not hand plans over, only {user or wanted}")
    return int(pid)


def only_ours(path: Path) -> None:
    """Raise ConfigError where anybody but root and ourselves could change what is at `path`."""
    ours = (0, os.geteuid())
    # As it is written and as it is: a link could be laid anew by whoever owns the link's directory.
    for end in (path.absolute(), path.resolve()):
        for each in (end, *end.parents):
            try:
                found = each.stat()
            except OSError as error:
                raise errors.ConfigError(f"{each} cannot be examined: {error.strerror}") from None
            writable = found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
            if each is not end and found.st_mode & stat.S_ISVTX:
                writable = 0  # there nobody can replace what is another's
            if found.st_uid not in ours or writable:
                raise errors.ConfigError(
                    f"{each} can be changed by others than root",
                    hint=f"chown root {each} && chmod go-w {each}",
                )


class Work:
    """One plan, from the gate to its last result."""

    def __init__(self, peer: Peer, order: Order, node: admit.Node) -> None:
        """Run `order` as `node` admits it, and tell `peer`."""
        self._peer = peer
        self._order = order
        self._node = node

    def run(self) -> int:
        """Return 0 where the agent heard all there was to say, 1 where it left before."""
        store = self._node.store
        for cut in store.interrupted():  # the store is ours alone: whoever began them is no more
            store.end_execution(cut.bundle.incident)
        # Each plan brings a signed checkpoint and the proof that its approval is under it. That the log
        # has only grown is for the agent to see, which is shown every checkpoint and keeps the last.
        store.forget_checkpoints()
        try:
            self._answer()
        except errors.PeerError as error:
            log.error("%s: what ran was ended", error.what, extra={"action": "agent_gone"})
            return 1
        return 0

    def _answer(self) -> None:
        now_ms = process.now_ms()
        bundle = self._order.bundle
        outcome = gate.admit_handed(bundle, self._order.report, self._node, now_ms)
        refused = outcome if isinstance(outcome, admit.Refused) else None
        admission = Admission(
            incident=bundle.incident,
            admitted=refused is None,
            mode=outcome.mode if isinstance(outcome, admit.Admitted) else self._node.mode,
            check=refused.check if refused else "",
            reason=errors.printable(refused.reason, 900) if refused else "",
            at_ms=now_ms,
        )
        log.info(
            "plan of %s: %s",
            bundle.incident,
            f"{refused.check}: {refused.reason}" if refused else "admitted",
            extra={"action": "refused" if refused else "admitted"},
        )  # fmt: skip
        try:
            stopped = self._peer.tell(Word(admission=admission))
            if isinstance(outcome, admit.Admitted):
                asyncio.run(self._plan(outcome, stopped))
        finally:
            self._node.store.end_execution(bundle.incident)

    async def _plan(self, admitted: admit.Admitted, stopped: str) -> None:
        """Run the plan to its end. PeerError where the agent leaves meanwhile; nothing runs then."""
        loop, task = asyncio.get_running_loop(), asyncio.current_task()

        def left() -> None:
            loop.remove_reader(self._peer)
            if task is not None:
                task.cancel()

        # The agent says nothing unasked, so whatever comes while a command runs is its end.
        loop.add_reader(self._peer, left)
        try:
            finish = await hands.run_plan(
                admitted, self._node.policy, self._tell, clock=process.now_ms, stopped=stopped
            )
        except asyncio.CancelledError:
            raise errors.PeerError("the agent left while a command ran") from None
        finally:
            loop.remove_reader(self._peer)
        self._peer.tell(Word(finish=finish))

    def _tell(self, result: CommandResult) -> str:
        return self._peer.tell(Word(result=result))


def parser() -> argparse.ArgumentParser:
    """Return the command line of `sentinel-exec`."""
    top = argparse.ArgumentParser(
        prog="sentinel-exec",
        description="Runs one approved plan, which it checks itself."
        " sentinel-agent or systemd starts it, with a socket as its standard input.",
    )
    top.add_argument("--version", action="version", version=f"sentinel-exec {__version__}")
    top.add_argument(
        "--state", type=Path, default=STATE, metavar="DIR", help=f"spent challenges ({STATE})"
    )
    top.add_argument(
        "--roots",
        type=Path,
        default=gate.ROOTS,
        metavar="DIR",
        help=f"what this host believes ({gate.ROOTS})",
    )
    top.add_argument("--config", type=Path, metavar="FILE", help="settings, as of sentinel-agent")
    top.add_argument("--host", default="", help="this host's name (the file `host` in --roots)")
    top.add_argument(
        "--peer", default="", metavar="USER", help="who may hand plans over (our own user)"
    )
    top.add_argument("--verbose", action="store_true", help="log more")
    top.set_defaults(run=run_exec)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `sentinel-exec`."""
    given = list(arguments) if arguments is not None else None
    return process.main("sentinel-exec", parser(), given)


if __name__ == "__main__":
    sys.exit(main())
