"""What every command of the twin does first and last: connect, ask, print.

Exit status: 0 done, 1 ended otherwise than well, 2 refused or not possible.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

from sentinel import errors, protocol, rpc
from sentinel.domain import Incident, Value
from sentinel.tui import reach
from sentinel.tui.line import Line
from sentinel.tui.twin import plain

CELLS = 100  # of a line that nobody has a width for

V = TypeVar("V", bound=Value)
Run = Callable[[argparse.Namespace, rpc.OperatorsClient], Awaitable[int]]


def run(run: Run, args: argparse.Namespace) -> int:
    """Connect, run, and let the connection go."""
    connect = reach.connector(args.identity, args.hub)

    async def work() -> int:
        client = await connect()
        try:
            return await run(args, client)
        finally:
            await client.close()

    return asyncio.run(work())


def say(words: str) -> None:
    """Print at once; what the output's encoding has no sign for becomes an escape."""
    encoding = sys.stdout.encoding or "ascii"
    sys.stdout.write(words.encode(encoding, "backslashreplace").decode(encoding))
    sys.stdout.flush()


def cells() -> int:
    """Return how wide a line may be."""
    return shutil.get_terminal_size((CELLS, 24)).columns if sys.stdout.isatty() else CELLS


def lines(of: Iterable[Line]) -> None:
    """Print lines of a screen as plain text."""
    say(plain.lines(of))


async def call(client: rpc.OperatorsClient, request: Value, reply: type[V]) -> V:
    """Return the hub's reply, which is of that type."""
    answer = await client.call(request)
    assert isinstance(answer, reply)
    return answer


async def get(client: rpc.OperatorsClient, name: str) -> Incident:
    """Return the incident of that id, or of the one id that begins or ends so."""
    return await call(client, protocol.GetRequest(incident=named(name)), Incident)


def named(name: str) -> str:
    """Return `name` if an id can look so; OperatorError before anybody is asked."""
    if (
        not name
        or len(name) > 64
        or not all(c.isascii() and (c.isalnum() or c in "._:-") for c in name)
    ):
        raise errors.OperatorError(
            f"{errors.printable(name, 64)!r} is not an incident's id",
            hint="sentinel incidents lists them",
        )
    return name


def ask(words: str) -> str:
    """Ask the person at the keyboard."""
    say(f"{words}\n> ")
    return sys.stdin.readline().strip()
