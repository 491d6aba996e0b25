from __future__ import annotations

import asyncio
import ssl

import httpx
import pytest

from sentinel import process
from sentinel.errors import ConfigError
from sentinel.hub.reason import guard
from sentinel.hub.reason.engine import EngineError, Failure
from sentinel.trust import x509
from tests.fakes.model_server import serving


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("http://127.0.0.1:11434", "http://127.0.0.1:11434/"),
        ("http://127.0.0.1:8000/v1", "http://127.0.0.1:8000/"),
        ("http://127.0.0.1:8000/v1/", "http://127.0.0.1:8000/"),
        ("https://models.example/ollama/", "https://models.example/ollama"),
        ("http://[::1]:11434", "http://[::1]:11434/"),
        ("http://localhost", "http://localhost/"),
    ],
)
def test_an_address_is_a_host_with_port_and_path(url, server):
    assert str(guard.server_of(url)) == server


@pytest.mark.parametrize(
    "url",
    [
        "",
        "127.0.0.1:11434",
        "file:///etc/passwd",
        "http://",
        "http://user:secret@127.0.0.1/",
        "http://127.0.0.1/?key=1",
        "http://127.0.0.1/#x",
        "http://0.0.0.0:11434",
        "http://[::]:11434",
        "http://127.0.0.1:port",
    ],
)
def test_what_is_more_or_less_than_that_is_refused_with_the_field(url):
    with pytest.raises(ConfigError, match=r"engine\.url"):
        guard.server_of(url)


async def test_another_host_is_never_spoken_to():
    async with serving("good") as server, serving("good") as other:
        transport = guard.Guard(guard.server_of(server.url))
        async with httpx.AsyncClient(transport=transport) as client:
            with pytest.raises(EngineError) as caught:
                await client.get(f"{other.url}/api/tags")
    assert caught.value.failure is Failure.REDIRECTED
    assert other.seen == []


async def test_a_redirect_is_not_followed_even_by_a_client_that_would():
    async with serving("redirect") as server:
        transport = guard.Guard(guard.server_of(server.url))
        async with httpx.AsyncClient(transport=transport, follow_redirects=True) as client:
            with pytest.raises(EngineError) as caught:
                await client.post(f"{server.url}/api/chat", json={})
        assert [seen.path for seen in server.seen] == ["/api/chat"]
    assert caught.value.failure is Failure.REDIRECTED


async def test_no_credential_leaves_whatever_a_client_adds():
    async with serving("good") as server:
        transport = guard.Guard(guard.server_of(server.url))
        secrets = {"Authorization": "Bearer s", "Cookie": "s=1", "Proxy-Authorization": "s"}
        async with httpx.AsyncClient(transport=transport, headers=secrets) as client:
            await client.get(f"{server.url}/api/tags")
        assert not {"authorization", "cookie", "proxy-authorization"} & set(server.seen[0].headers)
        assert server.seen[0].headers["accept-encoding"] == "identity"


@pytest.mark.parametrize(
    ("mode", "failure"),
    [("endless-line", Failure.TOO_LARGE), ("gzip", Failure.BAD_REPLY)],
)
async def test_a_body_that_is_too_large_is_cut_off_before_it_is_held(mode, failure):
    async with serving(mode) as server:
        transport = guard.Guard(guard.server_of(server.url))
        async with httpx.AsyncClient(transport=transport) as client:
            with pytest.raises(EngineError) as caught:
                await client.post(f"{server.url}/api/chat", json={})
    assert caught.value.failure is failure


@pytest.mark.parametrize(
    ("status", "text", "failure"),
    [
        (404, "", Failure.MODEL_MISSING),
        (429, "", Failure.BUSY),
        (503, "", Failure.BUSY),
        (400, "exceeds the available context size", Failure.CONTEXT_OVERFLOW),
        (400, "bad schema", Failure.SERVER_ERROR),
        (500, "context", Failure.SERVER_ERROR),
        (-1, "CUDA error", Failure.SERVER_ERROR),
    ],
)
def test_a_status_and_its_text_say_what_failed(status, text, failure):
    assert guard.failure_of(status, text) is failure


def https_server(folder):
    """Return a TLS context with a certificate of a CA of its own, and that CA."""
    now_ms = process.now_ms()
    ca = x509.new_authority("models", now_ms)
    key = x509.new_key()
    name = x509.Identity(site="models", role=x509.Role.HUB, name="m")
    leaf = x509.issue(ca, x509.request(key), name, now_ms=now_ms, names=("127.0.0.1",))
    for file, data in (("key", key), ("leaf", leaf), ("ca", ca.certificate)):
        (folder / file).write_bytes(data)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "leaf", folder / "key")
    return context


async def asked_over_tls(folder):
    async def answer(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
        writer.close()

    listener = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=https_server(folder))
    async with listener:
        url = f"https://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
        async with httpx.AsyncClient(transport=guard.Guard(guard.server_of(url))) as client:
            return (await client.get(url)).text


async def test_a_server_that_nobody_vouches_for_is_not_spoken_to(tmp_path):
    with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        await asked_over_tls(tmp_path)


async def test_a_server_that_the_hosts_trust_store_vouches_for_is(tmp_path, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca"))
    assert await asked_over_tls(tmp_path) == "ok"
