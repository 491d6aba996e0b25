"""Ollama's own protocol, through its own client with none of that client's defaults.

The client has no timeout, follows redirects, trusts proxy variables and sends OLLAMA_API_KEY to
whatever host it talks to; here its transport is `guard.Guard`, its host is always given, and every
call is a stream within the deadlines of `engine.collect`. It also lets nine kinds of exception out
and returns seven bad replies as if they were good: `_mapped` and `collect` are where those end.

The context length and the length of the answer are always sent: the server's own default is short,
and it cuts what does not fit silently, from the front, where the rules are.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Iterator

import httpx
import ollama

from sentinel.errors import printable
from sentinel.hub.reason.engine import (
    PROBE_S,
    Completion,
    EngineError,
    EngineStatus,
    Failure,
    Limits,
    Piece,
    Request,
    collect,
    missing,
)
from sentinel.hub.reason.guard import Guard, failure_of, lost, timeout

KEEP_ALIVE = "30m"


class OllamaEngine:
    """A model behind Ollama's `/api/chat`."""

    kind = "ollama"

    def __init__(self, server: httpx.URL, model: str, limits: Limits) -> None:
        """`server` is from `guard.server_of`; `model` a name that the server lists."""
        self._server = server
        self.model = model
        self.limits = limits

    async def complete(self, request: Request) -> Completion:
        """Return the answer to `request`; EngineError where there is none that is whole."""
        answer = await collect(self._chat(request), self.limits.deadlines, request.total_s)
        if answer.prompt_tokens >= self.limits.num_ctx:
            raise EngineError(
                f"the prompt took {answer.prompt_tokens} tokens of {self.limits.num_ctx}",
                kind=Failure.CONTEXT_OVERFLOW,
                hint="raise [engine] num_ctx",
                reply=answer.text,
            )
        return answer

    async def probe(self) -> EngineStatus:
        """Return whether the server answers and has the model. Never raises."""
        name = f"{self.kind}:{self.model}"
        try:
            async with asyncio.timeout(PROBE_S), self._client(PROBE_S) as client:
                with _mapped():
                    return await self._look(client, name)
        except TimeoutError:
            return EngineStatus(name=name, ready=False, note=f"no answer within {PROBE_S:g} s")
        except EngineError as error:
            return EngineStatus(name=name, ready=False, note=error.what, failure=error.failure)

    def options(self, request: Request) -> dict[str, object]:
        """Return everything that is sent beside messages and schema."""
        return {
            "model": self.model,
            "keep_alive": KEEP_ALIVE,
            "options": {
                "num_ctx": self.limits.num_ctx,
                "num_predict": self.limits.num_predict,
                "temperature": 0,
                "seed": request.seed,
            },
        }

    def _client(self, read_s: float) -> ollama.AsyncClient:
        return ollama.AsyncClient(
            host=str(self._server),
            transport=Guard(self._server),
            timeout=timeout(read_s),
            follow_redirects=False,
            trust_env=False,
        )

    async def _chat(self, request: Request) -> AsyncGenerator[Piece, None]:
        deadlines = self.limits.deadlines
        read_s = max(deadlines.first_token_s, deadlines.stall_s)
        messages = [{"role": m.role, "content": m.content} for m in request.messages]
        async with self._client(read_s) as client:
            with _mapped():
                stream = await client.chat(
                    messages=messages,
                    format=request.schema,
                    stream=True,
                    **self.options(request),
                )
                async with contextlib.aclosing(stream) as parts:
                    async for part in parts:
                        yield _piece(part)

    async def _look(self, client: ollama.AsyncClient, name: str) -> EngineStatus:
        wanted = {self.model, f"{self.model}:latest"}
        listed = {m.model: m.digest or "" for m in (await client.list()).models if m.model}
        found = next((each for each in sorted(wanted) if each in listed), None)
        if found is None:
            return missing(name, self.model, sorted(listed))
        notes = await self._warnings(client)
        running = {m.model for m in (await client.ps()).models}
        if found not in running:
            notes.append("the model is not loaded: its first answer takes longer")
        return EngineStatus(
            name=name, ready=True, note="; ".join(notes), digest=printable(listed[found], 256)
        )

    async def _warnings(self, client: ollama.AsyncClient) -> list[str]:
        """Return what the model's description promises no good of; nothing where there is none."""
        try:
            with _mapped():
                shown = await client.show(self.model)
        except EngineError:
            return []
        notes, able = [], shown.capabilities or ["completion"]
        length = _context_length(shown)
        if "completion" not in able:
            notes.append("the model cannot chat")
        if "thinking" in able:
            notes.append("the model thinks first, which takes from num_predict")
        if 0 < length < self.limits.num_ctx:
            notes.append(f"num_ctx {self.limits.num_ctx} is over the model's {length}")
        return notes


def _piece(part: ollama.ChatResponse) -> Piece:
    return Piece(
        text=part.message.content or "",
        done=bool(part.done),
        finish=part.done_reason or "",
        prompt_tokens=part.prompt_eval_count or 0,
        output_tokens=part.eval_count or 0,
    )


def _context_length(shown: ollama.ShowResponse) -> int:
    """Return the model's context length as the server knows it, 0 where it does not say."""
    info = shown.modelinfo or {}
    lengths = [value for key, value in info.items() if key.endswith(".context_length")]
    return lengths[0] if lengths and isinstance(lengths[0], int) else 0


@contextlib.contextmanager
def _mapped() -> Iterator[None]:
    """Turn whatever the client raises into EngineError; cancellation and deadlines pass."""
    try:
        yield
    except EngineError:
        raise
    except ollama.ResponseError as error:
        raise _refused(str(error.error), error.status_code) from None
    except (httpx.HTTPError, OSError) as error:
        raise lost(error) from None
    # Not JSON, not UTF-8, JSON of the wrong shape, absurdly nested: the client checks little itself.
    except (ValueError, TypeError, AttributeError, KeyError, RuntimeError) as error:
        text = f"the server's answer is not Ollama's: {type(error).__name__}"
        raise EngineError(text, kind=Failure.BAD_REPLY) from None


def _refused(text: str, status: int) -> EngineError:
    """Return the error for one that the server reports itself; -1 comes from inside a stream."""
    return EngineError(
        f"the server reports {text} ({f'status {status}' if status > 0 else 'in the stream'})",
        kind=failure_of(status, text),
    )
