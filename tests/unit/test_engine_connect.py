"""What is opened to ask which engine it is does not stay open, however that ends."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from elasticsearch import AsyncElasticsearch, Elasticsearch
from tests.http_stub import Asked, Reply, Stub, http_stub, wait_until

from vidsearch.config import EngineSettings
from vidsearch.engines import connect, connect_async
from vidsearch.errors import BackendError

OPENSEARCH = {"version": {"number": "2.19.1", "distribution": "opensearch"}}
COMPATIBLE = {
    "version": {"number": "7.10.2", "lucene_version": "9.12.1"},
    "tagline": "The OpenSearch Project: https://opensearch.org/",
}
"""What OpenSearch 2.19.1 says where ``compatibility.override_main_response_version`` is set."""


@pytest.fixture
def closed(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The clients that were closed."""
    clients: list[Any] = []
    close, close_async = Elasticsearch.close, AsyncElasticsearch.close

    def noted(client: Elasticsearch) -> None:
        clients.append(client)
        close(client)

    async def noted_async(client: AsyncElasticsearch) -> None:
        clients.append(client)
        await close_async(client)

    monkeypatch.setattr(Elasticsearch, "close", noted)
    monkeypatch.setattr(AsyncElasticsearch, "close", noted_async)
    return clients


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_interrupted_connect_closes_its_client(
    closed: list[Any], monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    def interrupted(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(Elasticsearch, "perform_request", interrupted)
    monkeypatch.setattr(AsyncElasticsearch, "perform_request", interrupted)
    with pytest.raises(error):
        connect(EngineSettings())
    assert len(closed) == 1
    with pytest.raises(error):
        asyncio.run(connect_async(EngineSettings()))
    assert len(closed) == 2


def test_cancelled_connect_closes_its_client(closed: list[Any]) -> None:
    async def cancelled(stub: Stub) -> None:
        connecting = asyncio.create_task(connect_async(EngineSettings(url=stub.url)))
        assert await asyncio.to_thread(wait_until, lambda: len(stub.asked), reaches=1)
        connecting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await connecting

    with http_stub(lambda _: Reply(delay=600)) as stub:
        asyncio.run(cancelled(stub))
        assert stub.paths() == ["GET /"]
    assert len(closed) == 1


@pytest.mark.parametrize("kind", ["auto", "opensearch"])
def test_opensearch_that_calls_itself_an_older_elasticsearch_is_asked_for_its_version(
    kind: Any,
) -> None:
    def answer(asked: Asked) -> Reply:
        if asked.path == "/":
            return Reply(body=COMPATIBLE)
        return Reply(body={"nodes": {"abc": {"version": "2.19.1"}}})

    with http_stub(answer) as stub:
        engine = connect(EngineSettings(url=stub.url, kind=kind))
        assert (engine.kind, engine.info().version) == ("opensearch", (2, 19, 1))
        assert stub.paths()[-1] == "GET /_nodes/_local/http"
        engine.close()


@pytest.mark.parametrize("root", [{"tagline": "a web server"}, OPENSEARCH])
def test_connect_to_another_engine_closes_the_first_client(closed: list[Any], root: Any) -> None:
    def answer(_: Asked) -> Reply:
        return Reply(body=root)

    async def twin(settings: EngineSettings) -> str:
        engine = await connect_async(settings)
        await engine.close()
        return engine.kind

    with http_stub(answer) as stub:
        settings = EngineSettings(url=stub.url)
        for attempt in (lambda: connect(settings).kind, lambda: asyncio.run(twin(settings))):
            if root is OPENSEARCH:
                assert attempt() == "opensearch"
            else:
                with pytest.raises(BackendError, match="neither Elasticsearch nor OpenSearch"):
                    attempt()
    assert [type(client) for client in closed] == [Elasticsearch, AsyncElasticsearch]
