"""Async clients of the host, as hosts make them, and what an event loop does to an engine."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from typing import Any

import pytest
from elasticsearch import AsyncElasticsearch
from opensearchpy import AsyncOpenSearch
from tests.http_stub import ELASTIC, Asked, Reply, http_stub, wait_until

from vidsearch.config import EngineSettings
from vidsearch.engines import Engine, Json, connect_async
from vidsearch.errors import BackendAccessDeniedError, BackendUnavailableError
from vidsearch.local import SearchNode
from vidsearch.testing.small_index import small_index

pytestmark = pytest.mark.integration

KINDS = ("elasticsearch", "opensearch")
FOUND = {"_shards": {"failed": 0}, "hits": {"hits": []}}


class OurElasticsearch(AsyncElasticsearch):
    """As host applications have them."""


class OurOpenSearch(AsyncOpenSearch):
    """As host applications have them."""


def make_client(kind: str, url: str) -> Any:
    headers = {"x-tenant": "blue"}
    if kind == "elasticsearch":
        return OurElasticsearch(url, headers=headers).options(opaque_id="shop")
    return OurOpenSearch([url], headers=headers, opaque_id="shop")


@pytest.mark.parametrize("kind", KINDS)
def test_headers_and_options_of_the_client_are_sent(kind: str) -> None:
    async def search(url: str) -> str:
        client = make_client(kind, url.replace("://", "://me:hidden@"))
        engine = await connect_async(EngineSettings(url="http://elsewhere:1"), client=client)
        assert await engine.run(engine.calls.search("videos", {})) == FOUND
        await engine.close()
        assert (
            await engine.run(engine.calls.search("videos", {})) == FOUND
        )  # the client is still open
        await client.close()
        return repr(engine)

    with http_stub(lambda _: Reply(body=FOUND, headers=ELASTIC)) as stub:
        shown = asyncio.run(search(stub.url))
    assert stub.url in shown
    assert "hidden" not in shown
    assert len(stub.asked) == 2
    for asked in stub.asked:
        sent = asked.headers
        assert (sent["x-tenant"], sent["x-opaque-id"]) == ("blue", "shop")
        assert sent["authorization"].startswith("Basic ")


def test_every_async_client_of_an_application_works_on_a_node(search_node: SearchNode) -> None:
    async def ask() -> None:
        client = make_client(search_node.kind, search_node.url)
        engine = await connect_async(EngineSettings(), client=client)
        info = await engine.run(engine.calls.info())
        assert (info.kind, info.url) == (search_node.kind, search_node.url)
        assert ".".join(map(str, info.version)) == search_node.version
        await client.close()

    asyncio.run(ask())


def test_searches_that_are_cancelled_leave_the_engine_usable(
    engine: Engine, index_name: str
) -> None:
    engine.create_index(index_name, small_index(engine))
    for number in range(5):
        engine.put(index_name, str(number), {"n": number}, refresh=True)

    async def give_up_and_search() -> None:
        opened = await connect_async(EngineSettings(url=engine.info().url, kind=engine.kind))
        bodies = [{"query": {"term": {"n": number % 5}}} for number in range(3)]

        async def search() -> list[Json]:
            return await opened.run(opened.calls.msearch(index_name, bodies))

        given_up = [asyncio.create_task(search()) for _ in range(50)]
        await asyncio.sleep(0.005)  # some are sent by now, some wait for a connection
        for task in given_up:
            task.cancel()
        outcomes = await asyncio.gather(*given_up, return_exceptions=True)
        assert any(isinstance(outcome, asyncio.CancelledError) for outcome in outcomes)
        answers = await asyncio.gather(*(search() for _ in range(50)))
        ids = [[a["hits"]["hits"][0]["_id"] for a in answer] for answer in answers]
        assert ids == [["0", "1", "2"]] * 50
        await opened.close()

    asyncio.run(give_up_and_search())


@pytest.mark.parametrize("kind", KINDS)
def test_refused_connection_is_reported(kind: Any) -> None:
    async def ask(url: str) -> None:
        engine = await connect_async(EngineSettings(url=url, kind=kind))
        try:
            await engine.run(engine.calls.search("videos", {}))
        finally:
            await engine.close()

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, but not listening
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(BackendUnavailableError) as raised:
            asyncio.run(ask(url))
    assert str(raised.value) == (
        f"{url} does not answer: Connection refused. "
        "Is the search engine running, and is engine.url right?"
    )


@pytest.mark.parametrize("kind", KINDS)
def test_timed_out_request_is_reported_and_not_repeated(kind: Any) -> None:
    async def ask(url: str) -> None:
        engine = await connect_async(EngineSettings(url=url, kind=kind, timeout=0.5))
        try:
            await engine.run(engine.calls.search("videos", {}))
        finally:
            await engine.close()

    with http_stub(lambda _: Reply(delay=30, headers=ELASTIC)) as stub:
        with pytest.raises(BackendUnavailableError, match="did not answer in time"):
            asyncio.run(ask(stub.url))
        assert wait_until(lambda: len(stub.asked), reaches=1)  # it may be read late
    assert len(stub.asked) == 1


@pytest.mark.parametrize("kind", [*KINDS, "auto"])
def test_refused_credentials_are_reported(kind: Any) -> None:
    def refuse(asked: Asked) -> Reply:
        assert asked.headers["authorization"] == "Basic bWU6c2VjcmV0"
        return Reply(401, {"error": {"type": "x", "reason": "because"}}, ELASTIC)

    async def ask(url: str) -> None:
        settings = EngineSettings(url=url, kind=kind, username="me", password="secret")
        engine = await connect_async(settings)
        try:
            await engine.run(engine.calls.search("videos", {}))
        finally:
            await engine.close()

    with http_stub(refuse) as stub, pytest.raises(BackendAccessDeniedError, match="401") as raised:
        asyncio.run(ask(stub.url))
    assert ("set engine.kind" in str(raised.value)) == (kind == "auto")


@pytest.mark.parametrize("kind", KINDS)
def test_missing_aiohttp_is_reported_with_its_extra(kind: str) -> None:
    code = (
        "import asyncio, sys\n"
        "sys.modules['aiohttp'] = None\n"
        "from vidsearch.config import EngineSettings\n"
        "from vidsearch.engines import connect_async\n"
        "from vidsearch.errors import MissingExtraError\n"
        "try:\n"
        f"    asyncio.run(connect_async(EngineSettings(kind={kind!r})))\n"
        "except MissingExtraError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert "vidsearch[async]" in done.stdout
