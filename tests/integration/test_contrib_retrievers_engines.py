"""The retrievers for LangChain, Haystack and LlamaIndex on real nodes, from an event loop too."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tests.search_index import TableEncoder, create_index, make_videos
from tests.services import WHOLE_WAYS

from vidsearch.config import EngineSettings
from vidsearch.contrib import haystack, langchain, llamaindex
from vidsearch.contrib.passages import passages_of
from vidsearch.engines import Engine, connect_async
from vidsearch.search import AsyncVideoSearch, VideoSearch

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("search_node", WHOLE_WAYS, indirect=True)
def test_all_retrievers_give_the_moments_of_the_search(engine: Engine, index_name: str) -> None:
    create_index(engine, index_name, make_videos(20), quantization="flat")
    encoder, k = TableEncoder(), 6
    videos = VideoSearch(engine, encoder, index=index_name)
    options: dict[str, Any] = {"filter": {"tags": "odd"}}
    wanted = [p.metadata for p in passages_of(videos.search("red dog", k=k, **options))[:k]]
    assert len(wanted) == k
    assert all(moment["end"] > moment["start"] for moment in wanted if moment["start"] is not None)

    async def found_async() -> list[Any]:
        opened = await connect_async(EngineSettings(url=engine.info().url, kind=engine.kind))
        try:
            given = {
                "videos": videos,
                "async_videos": AsyncVideoSearch(opened, encoder, index=index_name),
                "search_options": options,
            }
            documents = await langchain.VideoRetriever(k=k, **given).ainvoke("red dog")
            nodes = await llamaindex.VideoRetriever(k=k, **given).aretrieve("red dog")
            output = await haystack.VideoRetriever(top_k=k, **given).run_async("red dog")
        finally:
            await opened.close()
        return [
            [one.metadata for one in documents],
            [one.metadata for one in nodes],
            [one.meta for one in output["documents"]],
        ]

    assert asyncio.run(found_async()) == [wanted] * 3
    given: dict[str, Any] = {"videos": videos, "search_options": options}
    documents = langchain.VideoRetriever(k=k, **given).invoke("red dog")
    nodes = llamaindex.VideoRetriever(k=k, **given).retrieve("red dog")
    output = haystack.VideoRetriever(top_k=k, **given).run("red dog")
    assert [one.metadata for one in documents] == wanted
    assert [one.metadata for one in nodes] == wanted
    assert [one.meta for one in output["documents"]] == wanted
