"""The async twins give what the sync ones give, on every real node."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from tests.search_index import TableEncoder, create_index, make_videos
from tests.services import RunningServices

from vidsearch.config import EngineSettings, IndexSettings, Settings
from vidsearch.engines import AsyncEngine, Engine, connect, connect_async
from vidsearch.errors import BackendUnavailableError, ConfigError, IndexNotFoundError, QueryError
from vidsearch.search import AsyncVideoSearch, VideoSearch

pytestmark = pytest.mark.integration

VIDEOS = make_videos(40)


@pytest.fixture(scope="module")
def index(shared_engine: Engine, services: RunningServices) -> Iterator[str]:
    """No test changes it."""
    name = f"test-{uuid.uuid4().hex[:12]}"
    create_index(shared_engine, name, VIDEOS, quantization="flat")
    yield name
    services.drop(name)


@asynccontextmanager
async def async_engine(engine: Engine) -> AsyncIterator[AsyncEngine]:
    opened = await connect_async(EngineSettings(url=engine.info().url))
    try:
        yield opened
    finally:
        await opened.close()


def run(work: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    return asyncio.run(work())


def shown(result: Any) -> dict[str, Any]:
    """A result but for how long it took."""
    found: dict[str, Any] = result.to_dict()
    del found["took"]
    return found


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"mode": "vector", "level": "video"},
        {"mode": "keyword", "k": 3},
        {"filter": {"year": {"gte": 2010}}, "moments": 1},
        {"from_": 5, "k": 5},
    ],
)
def test_async_hits_equal_sync_hits(engine: Engine, index: str, options: dict[str, Any]) -> None:
    encoder = TableEncoder()

    async def search() -> Any:
        async with async_engine(engine) as opened:
            assert opened.kind == engine.kind
            return await AsyncVideoSearch(opened, encoder, index=index).search(
                "red circle", **options
            )

    expected = VideoSearch(engine, encoder, index=index).search("red circle", **options)
    assert len(expected) > 0
    assert shown(run(search)) == shown(expected)


def test_many_texts_give_the_hits_of_single_searches(engine: Engine, index: str) -> None:
    encoder, texts = TableEncoder(), ["red circle", "blue dog", "no such words", "white house"]

    async def search() -> Any:
        async with async_engine(engine) as opened:
            videos = AsyncVideoSearch(opened, encoder, index=index)
            return await videos.search_many([]), await videos.search_many(texts, k=4, explain=True)

    none, found = run(search)
    sync = VideoSearch(engine, encoder, index=index)
    assert none == []
    assert [shown(each) for each in found] == [
        shown(sync.search(text, k=4, explain=True)) for text in texts
    ]


def test_async_bodies_and_vectors_equal_sync_ones(engine: Engine, index: str) -> None:
    encoder = TableEncoder()

    async def ask() -> Any:
        async with async_engine(engine) as opened:
            videos = AsyncVideoSearch(opened, encoder, index=index)
            return await videos.body("blue dog"), await videos.embed("blue dog")

    sync = VideoSearch(engine, encoder, index=index)
    body, vector = run(ask)
    assert body == sync.body("blue dog")
    assert (vector == sync.embed("blue dog")).all()


def test_async_calls_return_what_sync_calls_return(engine: Engine, index: str) -> None:
    async def read() -> Any:
        async with async_engine(engine) as opened:
            calls = opened.calls
            return (
                await opened.run(calls.info()),
                await opened.run(calls.features()),
                await opened.run(calls.indices_of(index)),
                await opened.run(calls.mapping(index)),
                await opened.run(calls.get(index, "v01")),
                await opened.run(calls.get(index, "absent")),
                (await opened.run(calls.search(index, {"query": {"ids": {"values": ["v02"]}}})))[
                    "hits"
                ]["hits"][0]["_id"],
                await opened.run(calls.msearch(index, [])),
            )

    info, features, names, mapping, found, absent, id, none = run(read)
    assert (info, features) == (engine.info(), engine.features())
    assert (names, mapping) == (engine.indices_of(index), engine.mapping(index))
    assert (found, absent, id, none) == (engine.get(index, "v01"), None, "v02", [])


def test_cancelled_search_does_not_disturb_concurrent_ones(engine: Engine, index: str) -> None:
    encoder = TableEncoder()
    texts = [f"text {number}" for number in range(50)]

    async def search() -> Any:
        async with async_engine(engine) as opened:
            videos = AsyncVideoSearch(opened, encoder, index=index)
            given_up = asyncio.create_task(videos.search("given up"))
            await asyncio.sleep(0.002)
            given_up.cancel()
            found = await asyncio.gather(*(videos.search(text, k=2) for text in texts))
            with pytest.raises(asyncio.CancelledError):
                await given_up
            return found

    sync = VideoSearch(engine, encoder, index=index)
    assert [shown(each) for each in run(search)] == [
        shown(sync.search(text, k=2)) for text in texts
    ]


def test_embedding_does_not_block_the_event_loop(engine: Engine, index: str) -> None:
    began, goes_on = asyncio.Event(), asyncio.Event()

    async def search() -> Any:
        loop = asyncio.get_running_loop()

        class Waiting(TableEncoder):
            """Is done only once the loop has done something else meanwhile."""

            def encode_text(self, texts: Any) -> Any:
                loop.call_soon_threadsafe(began.set)
                asyncio.run_coroutine_threadsafe(goes_on.wait(), loop).result(timeout=30)
                return super().encode_text(texts)

        async with async_engine(engine) as opened:
            task = asyncio.create_task(
                AsyncVideoSearch(opened, Waiting(), index=index).search("red circle")
            )
            await asyncio.wait_for(began.wait(), 30)
            goes_on.set()
            return await asyncio.wait_for(task, 30)

    assert len(run(search)) == 10


def test_async_errors_equal_sync_errors(engine: Engine, index: str) -> None:
    async def search(name: str, **options: Any) -> Any:
        async with async_engine(engine) as opened:
            return await AsyncVideoSearch(opened, TableEncoder(), index=name).search(
                "dog", **options
            )

    with pytest.raises(IndexNotFoundError, match=f"{index}-absent"):
        run(lambda: search(f"{index}-absent"))
    with pytest.raises(QueryError, match="no such field"):
        run(lambda: search(index, filter={"colour": "red"}))
    with pytest.raises(QueryError, match="k must be"):
        run(lambda: search(index, k=0))


def test_a_cluster_that_does_not_answer_raises_unavailable() -> None:
    async def search() -> None:
        settings = Settings(
            engine=EngineSettings(url="http://127.0.0.1:9", kind="elasticsearch"),
            index=IndexSettings(name="videos"),
        )
        async with AsyncVideoSearch.from_settings(settings) as videos:
            await videos.search("dog", mode="keyword")

    with pytest.raises(BackendUnavailableError, match=r"127\.0\.0\.1:9 does not answer"):
        run(search)


def test_from_settings_with_the_demo_model(
    services: RunningServices, engine: Engine, index: str
) -> None:
    async def search() -> Any:
        settings = Settings(
            engine=EngineSettings(url=engine.info().url), index=IndexSettings(name=index)
        )
        async with AsyncVideoSearch.from_settings(settings) as videos:
            first, second = await asyncio.gather(
                videos.search("red circle", mode="keyword"),
                videos.search("blue dog", mode="keyword"),
            )
            return first, second

    first, second = run(search)
    assert first.hits[0].fields["title"].startswith("red circle")
    assert second.hits[0].fields["title"].startswith("blue dog")


def test_a_client_of_the_application_is_used_and_stays_open(engine: Engine, index: str) -> None:
    async def search() -> Any:
        client: Any
        if engine.kind == "elasticsearch":
            from elasticsearch import AsyncElasticsearch

            client = AsyncElasticsearch(engine.info().url).options(opaque_id="application")
        else:
            from opensearchpy import AsyncOpenSearch

            client = AsyncOpenSearch(engine.info().url)
        opened = await connect_async(EngineSettings(url="http://elsewhere:1"), client=client)
        found = await AsyncVideoSearch(opened, TableEncoder(), index=index).search("dog", k=1)
        await opened.close()
        await AsyncVideoSearch(opened, TableEncoder(), index=index).search("dog", k=1)  # still open
        await client.close()
        return found

    assert len(run(search)) == 1


def test_a_client_of_the_wrong_kind_is_refused() -> None:
    from elasticsearch import AsyncElasticsearch, Elasticsearch
    from opensearchpy import AsyncOpenSearch, OpenSearch

    async def check() -> None:
        for client in (AsyncElasticsearch("http://h:1"), AsyncOpenSearch("http://h:1")):
            with pytest.raises(ConfigError, match="AsyncVideoSearch or connect_async"):
                connect(EngineSettings(), client=client)
            await client.close()
        for other in (Elasticsearch("http://h:1"), OpenSearch("http://h:1")):
            with pytest.raises(ConfigError, match="would block the event loop"):
                await connect_async(EngineSettings(), client=other)
            other.close()
        with pytest.raises(ConfigError, match=r"builtins\.int is not usable: pass in an "):
            await connect_async(EngineSettings(), client=3)

    run(check)
