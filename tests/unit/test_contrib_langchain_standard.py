"""LangChain's own tests of a retriever, held to the one of vidsearch."""

from __future__ import annotations

from typing import Any

from langchain_core.retrievers import BaseRetriever
from langchain_tests.integration_tests import RetrieversIntegrationTests
from tests.search_index import TableEncoder, create_index, make_videos

from vidsearch.contrib.langchain import VideoRetriever
from vidsearch.search import VideoSearch
from vidsearch.testing.memory_engine import MemoryEngine


class TestVideoRetriever(RetrieversIntegrationTests):
    @property
    def retriever_constructor(self) -> type[BaseRetriever]:
        return VideoRetriever

    @property
    def retriever_constructor_params(self) -> dict[str, Any]:
        engine = MemoryEngine()
        create_index(engine, "videos", make_videos(8))
        return {"videos": VideoSearch(engine, TableEncoder())}

    @property
    def retriever_query_example(self) -> str:
        return "red circle"
