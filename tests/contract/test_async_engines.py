"""What an async engine reads is held to the same contract, over a loop that runs in a thread."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, TypeVar

import pytest

from vidsearch.config import EngineSettings
from vidsearch.engines import AsyncEngine, Engine, connect, connect_async
from vidsearch.local import SearchNode
from vidsearch.testing.engine_contract import EngineContract

T = TypeVar("T")
Run = Callable[[Coroutine[Any, Any, T]], T]

READS = ("info", "features", "indices_of", "mapping", "get", "search", "msearch")


class ReadsInALoop:
    """An engine whose reads are those of an async one, and whose writes are those of a sync one."""

    def __init__(self, reads: AsyncEngine, writes: Engine, *, run: Run[Any]) -> None:
        self._reads = reads
        self._writes = writes
        self._run = run

    @property
    def kind(self) -> str:
        return self._reads.kind

    def __getattr__(self, name: str) -> Any:
        if name not in READS:
            return getattr(self._writes, name)
        read = getattr(self._reads, name)
        return lambda *args, **options: self._run(read(*args, **options))


@pytest.mark.integration
class TestAsyncEngineOnRealNodes(EngineContract):
    @pytest.fixture
    def engine(self, search_node: SearchNode) -> Iterator[Any]:
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever)
        thread.start()

        def run(work: Coroutine[Any, Any, T]) -> T:
            return asyncio.run_coroutine_threadsafe(work, loop).result(timeout=60)

        settings = EngineSettings(url=search_node.url, kind=search_node.kind)
        reads, writes = run(connect_async(settings)), connect(settings)
        yield ReadsInALoop(reads, writes, run=run)
        run(reads.close())
        writes.close()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
