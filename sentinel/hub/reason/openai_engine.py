"""The protocol that vLLM, llama-server and others share: `/v1/chat/completions`, streamed, over httpx.

The schema travels as `response_format`; whether the server keeps to it is not believed but checked
afterwards, as with every engine.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, Iterator

import httpx
import msgspec

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


class OpenAIEngine:
    """A model behind an OpenAI-compatible server."""

    kind = "openai"

    def __init__(self, server: httpx.URL, model: str, limits: Limits) -> None:
        """`server` is from `guard.server_of`; `model` a name that the server lists."""
        self._server = server
        self.model = model
        self.limits = limits

    async def complete(self, request: Request) -> Completion:
        """Return the answer to `request`; EngineError where there is none that is whole."""
        return await collect(self._chat(request), self.limits.deadlines, request.total_s)

    async def probe(self) -> EngineStatus:
        """Return whether the server answers and has the model. Never raises."""
        name = f"{self.kind}:{self.model}"
        try:
            async with asyncio.timeout(PROBE_S), self._client(PROBE_S) as client:
                with _mapped():
                    response = await client.get("v1/models")
                    listed = _models(response)
        except TimeoutError:
            return EngineStatus(name=name, ready=False, note=f"no answer within {PROBE_S:g} s")
        except EngineError as error:
            return EngineStatus(name=name, ready=False, note=error.what, failure=error.failure)
        if self.model not in listed:
            return missing(name, self.model, listed)
        return EngineStatus(name=name, ready=True)

    def options(self, request: Request) -> dict[str, object]:
        """Return everything that is sent beside messages and schema."""
        return {
            "model": self.model,
            "max_tokens": self.limits.num_predict,
            "temperature": 0,
            "seed": request.seed,
            "stream": True,
            "stream_options": {"include_usage": True},
        }

    def _client(self, read_s: float) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            base_url=self._server,
            transport=Guard(self._server),
            timeout=timeout(read_s),
            follow_redirects=False,
            trust_env=False,
        )

    async def _chat(self, request: Request) -> AsyncGenerator[Piece, None]:
        deadlines = self.limits.deadlines
        body = {
            **self.options(request),
            "messages": [{"role": m.role, "content": m.content} for m in request.messages],
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "plan", "strict": True, "schema": request.schema},
            },
        }
        read_s = max(deadlines.first_token_s, deadlines.stall_s)
        async with self._client(read_s) as client:
            with _mapped():
                async with client.stream("POST", "v1/chat/completions", json=body) as response:
                    if response.status_code != 200:
                        raise _refused(response.status_code, await response.aread())
                    if "text/event-stream" not in response.headers.get("content-type", ""):
                        raise _refused(200, await response.aread())
                    async for piece in _events(response):
                        yield piece


class _Delta(msgspec.Struct):
    content: str | None = None


class _Choice(msgspec.Struct):
    delta: _Delta
    finish_reason: str | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: int = 0
    completion_tokens: int = 0


class _Event(msgspec.Struct):
    """What we read of one event; servers send much more."""

    choices: tuple[_Choice, ...] = ()
    usage: _Usage | None = None
    error: object = None


class _Model(msgspec.Struct):
    id: str


class _Models(msgspec.Struct):
    data: tuple[_Model, ...]


async def _events(response: httpx.Response) -> AsyncGenerator[Piece, None]:
    """Yield the answer's parts, and at the end one that is done, if the stream says that it is."""
    finish, usage = "", _Usage()
    async for line in response.aiter_lines():
        kind, _, data = line.partition(":")
        if kind != "data":
            continue
        if data.strip() == "[DONE]":
            yield Piece(
                done=bool(finish),
                finish=finish,
                prompt_tokens=usage.prompt_tokens,
                output_tokens=usage.completion_tokens,
            )
            return
        event = msgspec.json.decode(data.encode(), type=_Event)
        if event.error is not None:
            raise EngineError(f"the server reports {event.error}", kind=Failure.SERVER_ERROR)
        usage = event.usage or usage
        for choice in event.choices:
            finish = choice.finish_reason or finish
            yield Piece(text=choice.delta.content or "")


def _models(response: httpx.Response) -> list[str]:
    if response.status_code != 200:
        raise _refused(response.status_code, response.content)
    return [model.id for model in msgspec.json.decode(response.content, type=_Models).data]


def _refused(status: int, body: bytes) -> EngineError:
    """Return the error for an answer that is not a stream of an answer."""
    text = body[:300].decode("utf-8", "replace")
    with contextlib.suppress(ValueError, KeyError, TypeError, RecursionError):
        error = json.loads(body)["error"]
        text = str(error["message"] if isinstance(error, dict) else error)
    kind = failure_of(status, text) if status != 200 else Failure.BAD_REPLY
    return EngineError(f"the server reports {text} (status {status})", kind=kind)


@contextlib.contextmanager
def _mapped() -> Iterator[None]:
    """Turn whatever goes wrong on the way into EngineError; cancellation and deadlines pass."""
    try:
        yield
    except EngineError:
        raise
    except (httpx.HTTPError, OSError) as error:
        raise lost(error) from None
    # Not JSON, or JSON of another shape than the protocol's.
    except (ValueError, RuntimeError, msgspec.MsgspecError) as error:
        text = f"the server's answer is not the protocol's: {type(error).__name__}"
        raise EngineError(text, kind=Failure.BAD_REPLY) from None
