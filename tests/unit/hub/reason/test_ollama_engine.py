from __future__ import annotations

import asyncio

import pytest

from sentinel.hub.reason import guard
from sentinel.hub.reason.engine import EngineError, Failure, Limits, Message, Request
from sentinel.hub.reason.ollama_engine import KEEP_ALIVE, OllamaEngine
from tests.fakes.model_server import DIGEST, MODEL, serving

from .builders import limits

SCHEMA = {
    "type": "object",
    "properties": {
        "culprit": {"enum": ["P1", None]},
        "claims": {"items": {"properties": {"evidence": {"items": {"enum": ["E1"]}}}}},
    },
}
REQUEST = Request(
    messages=(Message(role="system", content="s"), Message(role="user", content="u")),
    schema=SCHEMA,
    seed=77,
    total_s=60.0,
)


def engine(server, own=None):
    return OllamaEngine(guard.server_of(server.url), MODEL, own or limits(server.mode))


async def failure(mode):
    async with serving(mode) as server:
        with pytest.raises(EngineError) as caught:
            await engine(server).complete(REQUEST)
    return caught.value.failure


async def test_a_question_carries_every_limit_and_the_schema():
    async with serving("good") as server:
        answer = await engine(server).complete(REQUEST)
        body = server.chats[0].body
    assert answer.text.startswith("{")
    assert (answer.prompt_tokens, answer.output_tokens) == (100, 50)
    assert body["format"] == SCHEMA
    assert body["stream"] is True
    assert body["keep_alive"] == KEEP_ALIVE
    assert body["options"] == {"num_ctx": 8192, "num_predict": 1024, "temperature": 0.0, "seed": 77}
    assert body["messages"] == [
        {"role": "system", "content": "s"},
        {"role": "user", "content": "u"},
    ]


async def test_the_record_of_the_options_is_what_was_sent():
    async with serving("good") as server:
        own = engine(server)
        await own.complete(REQUEST)
        sent = server.chats[0].body
    for key, value in own.options(REQUEST).items():
        assert sent[key] == value


# Nine kinds of exception and seven bad replies that the client returns as good, with what becomes of them.
FAILURES = {
    "empty": Failure.EMPTY,
    "null": Failure.EMPTY,
    "thinking-only": Failure.EMPTY,
    "load": Failure.EMPTY,
    "truncated": Failure.TRUNCATED,
    "no-done": Failure.TRUNCATED,
    "empty-body": Failure.TRUNCATED,
    "context-full": Failure.CONTEXT_OVERFLOW,
    "no-message": Failure.BAD_REPLY,
    "html": Failure.BAD_REPLY,
    "list-line": Failure.BAD_REPLY,
    "deep-line": Failure.BAD_REPLY,
    "garbage-line": Failure.BAD_REPLY,
    "blank-line": Failure.BAD_REPLY,
    "number-for-text": Failure.BAD_REPLY,
    "500-list": Failure.BAD_REPLY,
    "gzip": Failure.BAD_REPLY,
    "error-body": Failure.SERVER_ERROR,
    "error-line": Failure.SERVER_ERROR,
    "400": Failure.SERVER_ERROR,
    "400-context": Failure.CONTEXT_OVERFLOW,
    "404": Failure.MODEL_MISSING,
    "429": Failure.BUSY,
    "500": Failure.SERVER_ERROR,
    "502": Failure.SERVER_ERROR,
    "503": Failure.BUSY,
    "redirect": Failure.REDIRECTED,
    "hang": Failure.FIRST_TOKEN,
    "hang-after-head": Failure.FIRST_TOKEN,
    "trickle": Failure.FIRST_TOKEN,
    "stall": Failure.STALL,
    "slow": Failure.TOTAL,
    "cut-chunk": Failure.UNREACHABLE,
    "cut-body": Failure.UNREACHABLE,
    "drop": Failure.UNREACHABLE,
    "not-http": Failure.UNREACHABLE,
    "white-space": Failure.WHITE_SPACE,
    "too-large": Failure.TOO_LARGE,
    "endless-line": Failure.TOO_LARGE,
}


@pytest.mark.parametrize("mode", sorted(FAILURES))
async def test_each_way_of_failing_has_its_name(mode):
    assert await failure(mode) is FAILURES[mode]


async def test_nobody_there_is_unreachable():
    async with serving("good") as server:
        gone = engine(server)
    with pytest.raises(EngineError) as caught:
        await gone.complete(REQUEST)
    assert caught.value.failure is Failure.UNREACHABLE
    assert "[engine] url" in caught.value.hint


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"])
async def test_proxy_variables_are_ignored(name, monkeypatch):
    monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    async with serving("good") as server:
        assert (await engine(server).complete(REQUEST)).text
        assert (await engine(server).probe()).ready


async def test_an_api_key_and_a_host_in_the_environment_are_ignored(monkeypatch):
    monkeypatch.setenv("OLLAMA_API_KEY", "secret")
    monkeypatch.setenv("OLLAMA_HOST", "http://127.0.0.1:9")
    async with serving("good") as server:
        await engine(server).complete(REQUEST)
        await engine(server).probe()
        assert len(server.seen) == 4
        assert not [s for s in server.seen if "secret" in str(s.headers)]


async def test_a_redirect_takes_the_prompt_nowhere():
    async with serving("redirect") as server:
        with pytest.raises(EngineError):
            await engine(server).complete(REQUEST)
        assert [s.path for s in server.seen] == ["/api/chat"]


async def test_a_probe_tells_readiness_and_the_digest_of_the_model():
    async with serving("good") as server:
        status = await engine(server).probe()
    assert (status.name, status.ready, status.digest) == ("ollama:tiny", True, DIGEST)


@pytest.mark.parametrize(
    ("shown", "own", "note"),
    [
        ({}, limits(num_ctx=65536), "num_ctx 65536 is over the model's 32768"),
        ({"capabilities": ["embedding"]}, None, "the model cannot chat"),
        (
            {"capabilities": ["completion", "thinking"]},
            None,
            "the model thinks first, which takes from num_predict",
        ),
        ({"model_info": {}}, None, ""),
        ({"model_info": {"llama.context_length": "x"}}, None, ""),
        ({"model_info": 7}, None, ""),
    ],
)
async def test_a_probe_says_what_would_surprise(shown, own, note):
    async with serving("good") as server:
        server.shown |= shown
        status = await engine(server, own).probe()
    assert (status.ready, status.note) == (True, note)


@pytest.mark.parametrize(
    ("mode", "failure", "note"),
    [
        ("absent", Failure.MODEL_MISSING, "the server does not have tiny; it has no model at all"),
        ("sick", Failure.SERVER_ERROR, "the server reports out of order (status 500)"),
    ],
)
async def test_a_probe_says_why_it_is_not_ready(mode, failure, note):
    async with serving(mode) as server:
        status = await engine(server).probe()
    assert (status.ready, status.failure, status.note) == (False, failure, note)


async def test_a_probe_of_a_server_that_does_not_answer_ends(monkeypatch):
    monkeypatch.setattr("sentinel.hub.reason.ollama_engine.PROBE_S", 0.2)
    async with serving("mute") as server:
        status = await engine(server).probe()
    assert (status.ready, status.note) == (False, "no answer within 0.2 s")


async def test_cancellation_passes_through():
    async with serving("hang") as server:
        task = asyncio.ensure_future(engine(server, Limits()).complete(REQUEST))
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
