"""The port to a model: what is asked, what comes back, and every way in which it can fail.

Two adapters speak two protocols (`ollama_engine`, `openai_engine`) and share what is here: the
deadlines, the caps, and the one vocabulary of failures. An adapter returns a Completion that is whole,
or raises EngineError; nothing else leaves it but cancellation.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Sequence
from enum import StrEnum, unique
from typing import Protocol

import msgspec

from sentinel.errors import ModelError, printable

MAX_TEXT = 64 * 1024  # bytes of a reply: what `parse` would take
MAX_SPACE = 200  # a run of white space that long never ends: a grammar's favourite trap
PROBE_S = 5.0


@unique
class Failure(StrEnum):
    """Why there is no usable answer."""

    UNREACHABLE = "unreachable"
    MODEL_MISSING = "model_missing"
    BUSY = "busy"
    FIRST_TOKEN = "timeout_first_token"  # noqa: S105 - a deadline, no secret
    STALL = "timeout_stall"
    TOTAL = "timeout_total"
    REDIRECTED = "redirected"
    TOO_LARGE = "too_large"
    BAD_REPLY = "bad_reply"  # not what the protocol says
    SERVER_ERROR = "server_error"
    CONTEXT_OVERFLOW = "context_overflow"
    TRUNCATED = "truncated"
    EMPTY = "empty"
    WHITE_SPACE = "white_space"
    BAD_ENCODING = "bad_encoding"
    NOT_JSON = "not_json"
    SCHEMA = "schema"
    UNGROUNDED = "ungrounded"
    BUDGET = "budget"


# Failures of the answer rather than of the way to it: asked again with the reason, it may do better.
# SERVER_ERROR is here because servers that enforce a schema blame themselves for a model's bad text.
REPAIRABLE = frozenset(
    {
        Failure.SERVER_ERROR,
        Failure.TRUNCATED,
        Failure.EMPTY,
        Failure.WHITE_SPACE,
        Failure.TOO_LARGE,
        Failure.BAD_ENCODING,
        Failure.NOT_JSON,
        Failure.SCHEMA,
        Failure.UNGROUNDED,
    }
)


class EngineError(ModelError):
    """A failed call. `reply` is what had arrived of the answer."""

    def __init__(self, what: str, *, kind: Failure, hint: str = "", reply: str = "") -> None:
        """`what` may quote the server: it is escaped and bounded here."""
        super().__init__(printable(what, 500), kind=kind.value, hint=hint)
        self.failure = kind
        self.reply = reply


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """One message of a conversation."""

    role: str  # system, user or assistant
    content: str


class Deadlines(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds: to the first sign of the answer, between two, and in all."""

    first_token_s: float = 600.0
    stall_s: float = 60.0
    total_s: float = 900.0


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What a call may use: tokens of context and of answer, and time."""

    num_ctx: int = 8192
    num_predict: int = 1024
    deadlines: Deadlines = Deadlines()


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """One question. `schema` is JSON Schema; `total_s` what is left of the whole deadline."""

    messages: tuple[Message, ...]
    schema: dict[str, object]
    seed: int
    total_s: float


class Completion(msgspec.Struct, frozen=True, kw_only=True):
    """A whole answer, as the server gave it."""

    text: str
    finish: str = ""
    prompt_tokens: int = 0
    output_tokens: int = 0


class EngineStatus(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the engine can be asked now; `note` says why not, or what is worth knowing."""

    name: str
    ready: bool
    note: str = ""
    digest: str = ""  # of the model, where the server tells
    failure: Failure = Failure.UNREACHABLE  # why it is not ready, where it is not


def missing(name: str, model: str, listed: Sequence[str]) -> EngineStatus:
    """Return the status of an engine whose server has other models than the one that is wanted."""
    there = ", ".join(printable(each, 64) for each in listed[:8]) or "no model at all"
    note = f"the server does not have {model}; it has {there}"
    return EngineStatus(name=name, ready=False, note=note, failure=Failure.MODEL_MISSING)


class Engine(Protocol):
    """What reasons."""

    @property
    def kind(self) -> str:
        """`ollama` or `openai`: the author of its plans."""

    @property
    def model(self) -> str:
        """The model's name, as the server knows it."""

    @property
    def limits(self) -> Limits:
        """What one call may use."""

    async def complete(self, request: Request) -> Completion:
        """Return the answer to `request`; EngineError where there is none that is whole."""

    async def probe(self) -> EngineStatus:
        """Return whether it can be asked, within about PROBE_S seconds. Never raises."""

    def options(self, request: Request) -> dict[str, object]:
        """Return everything that is sent beside messages and schema, for the record."""


class Piece(msgspec.Struct, frozen=True, kw_only=True):
    """One part of a streamed answer; the last one says why it ended."""

    text: str = ""
    done: bool = False
    finish: str = ""
    prompt_tokens: int = 0
    output_tokens: int = 0


async def collect(
    pieces: AsyncGenerator[Piece, None], deadlines: Deadlines, total_s: float
) -> Completion:
    """Return the answer that `pieces` add up to, within every deadline and cap.

    Raises EngineError: a deadline, too much of it, endless white space, the stream's end before it
    said that it is done, cut at its limit, or empty.
    """
    answer = _Answer()
    total_s = max(0.0, min(total_s, deadlines.total_s))
    try:
        async with asyncio.timeout(total_s) as total, contextlib.aclosing(pieces):
            await _read(pieces, answer, deadlines)
    except TimeoutError:
        if total.expired():
            raise answer.error(f"no whole answer within {total_s:.1f} s", Failure.TOTAL) from None
        late = Failure.STALL if answer.begun else Failure.FIRST_TOKEN
        limit = deadlines.stall_s if answer.begun else deadlines.first_token_s
        raise answer.error(f"nothing came for {limit:g} s", late) from None
    except EngineError as error:
        error.reply = error.reply or answer.text
        raise
    return answer.completion()


async def _read(pieces: AsyncGenerator[Piece, None], answer: _Answer, deadlines: Deadlines) -> None:
    while True:
        wait_s = deadlines.stall_s if answer.begun else deadlines.first_token_s
        async with asyncio.timeout(wait_s):
            try:
                piece = await anext(pieces)
            except StopAsyncIteration:
                return
        answer.take(piece)


class _Answer:
    """What has arrived so far."""

    def __init__(self) -> None:
        self.begun = False
        self._parts: list[str] = []
        self._bytes = 0
        self._spaces = 0
        self._last = Piece()

    @property
    def text(self) -> str:
        return "".join(self._parts)

    def error(self, what: str, kind: Failure) -> EngineError:
        return EngineError(what, kind=kind, reply=self.text)

    def take(self, piece: Piece) -> None:
        """Add one piece; EngineError where the answer must not grow any further."""
        self.begun = True
        self._parts.append(piece.text)
        # A lone surrogate has no UTF-8 form; it is refused later, with its own words.
        self._bytes += len(piece.text.encode("utf-8", "surrogatepass"))
        if self._bytes > MAX_TEXT:
            raise self.error(f"the answer is over {MAX_TEXT} bytes", Failure.TOO_LARGE)
        solid = len(piece.text.rstrip())
        trailing = len(piece.text) - solid
        self._spaces = trailing if solid else self._spaces + trailing
        if self._spaces > MAX_SPACE:
            raise self.error("the answer runs on in white space", Failure.WHITE_SPACE)
        if piece.done or not self._last.done:
            self._last = piece

    def completion(self) -> Completion:
        """Return the answer if it is whole; EngineError where it is a silent bad one."""
        last = self._last
        if not last.done:
            raise self.error("the answer ended before it was done", Failure.TRUNCATED)
        if not self.text.strip():
            raise self.error(f"the answer is empty (finish: {last.finish or '-'})", Failure.EMPTY)
        if last.finish not in ("", "stop"):
            raise self.error(f"the answer was cut: {last.finish}", Failure.TRUNCATED)
        return Completion(
            text=self.text,
            finish=last.finish,
            prompt_tokens=last.prompt_tokens,
            output_tokens=last.output_tokens,
        )
