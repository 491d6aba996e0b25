from __future__ import annotations

import msgspec
import pytest

from sentinel.hub.reason import guard
from sentinel.hub.reason.engine import EngineError, Failure
from sentinel.hub.reason.openai_engine import OpenAIEngine
from tests.fakes.model_server import MODEL, serving

from .builders import limits
from .test_ollama_engine import FAILURES, REQUEST, SCHEMA


def engine(server, own=None):
    return OpenAIEngine(guard.server_of(server.url), MODEL, own or limits(server.mode))


async def test_a_question_carries_every_limit_and_the_schema():
    async with serving("good") as server:
        answer = await engine(server).complete(REQUEST)
        body = server.chats[0].body
    assert answer.text.startswith("{")
    assert (answer.prompt_tokens, answer.output_tokens) == (100, 50)
    assert body["response_format"]["json_schema"]["schema"] == SCHEMA
    assert body["response_format"]["json_schema"]["strict"] is True
    assert (body["max_tokens"], body["temperature"], body["seed"]) == (1024, 0, 77)


# Where it differs from Ollama: a stream is asked for and nothing else is taken for one.
OWN = {
    "empty-body": Failure.BAD_REPLY,
    "no-message": Failure.BAD_REPLY,
    "error-body": Failure.BAD_REPLY,
    "500-list": Failure.SERVER_ERROR,
    "not-utf8": Failure.BAD_REPLY,
}
HERE = {mode: failure for mode, failure in (FAILURES | OWN).items() if mode != "context-full"}


@pytest.mark.parametrize("mode", sorted(HERE))
async def test_each_way_of_failing_has_its_name(mode):
    async with serving(mode) as server:
        with pytest.raises(EngineError) as caught:
            await engine(server).complete(REQUEST)
    assert caught.value.failure is HERE[mode]


async def test_nobody_there_is_unreachable():
    async with serving("good") as server:
        gone = engine(server)
    with pytest.raises(EngineError) as caught:
        await gone.complete(REQUEST)
    assert caught.value.failure is Failure.UNREACHABLE


@pytest.mark.parametrize("name", ["HTTP_PROXY", "ALL_PROXY"])
async def test_proxy_variables_are_ignored(name, monkeypatch):
    monkeypatch.setenv(name, "http://127.0.0.1:9")
    async with serving("good") as server:
        assert (await engine(server).complete(REQUEST)).text
        assert (await engine(server).probe()).ready


async def test_a_redirect_takes_the_prompt_nowhere():
    async with serving("redirect") as server:
        with pytest.raises(EngineError):
            await engine(server).complete(REQUEST)
        assert [s.path for s in server.seen] == ["/v1/chat/completions"]


@pytest.mark.parametrize(
    ("mode", "ready", "note"),
    [
        ("good", True, ""),
        ("absent", False, "the server does not have tiny; it has no model at all"),
        ("sick", False, "the server reports out of order (status 500)"),
    ],
)
async def test_a_probe_tells_readiness(mode, ready, note):
    async with serving(mode) as server:
        status = await engine(server).probe()
    assert (status.ready, status.note) == (ready, note)


async def test_a_probe_of_a_server_that_does_not_answer_ends(monkeypatch):
    monkeypatch.setattr("sentinel.hub.reason.openai_engine.PROBE_S", 0.2)
    async with serving("mute") as server:
        status = await engine(server).probe()
    assert (status.ready, status.note) == (False, "no answer within 0.2 s")


async def test_the_deadline_in_all_is_that_of_the_request():
    async with serving("hang") as server:
        brief = msgspec.structs.replace(REQUEST, total_s=0.2)
        with pytest.raises(EngineError) as caught:
            await engine(server).complete(brief)
    assert caught.value.failure is Failure.TOTAL
