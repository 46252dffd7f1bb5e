"""An async engine is held to the same contract, over a loop that runs in a thread."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, TypeVar

import pytest

from vidsearch.config import EngineSettings
from vidsearch.engines import AsyncEngine, Engine, connect, connect_async
from vidsearch.engines.steps import Steps
from vidsearch.local import SearchNode
from vidsearch.testing.engine_contract import EngineContract

T = TypeVar("T")
Run = Callable[[Coroutine[Any, Any, T]], T]


class RunInALoop:
    """A sync engine whose calls an async one carries out, but for scans."""

    def __init__(self, engine: AsyncEngine, scans: Engine, *, await_: Run[Any]) -> None:
        self._engine = engine
        self._await = await_
        self.scan = scans.scan
        self.scan_slices = scans.scan_slices
        self.changes = scans.changes
        self.close = scans.close
        self.calls = engine.calls
        self.kind = engine.kind

    def run(self, steps: Steps[T]) -> T:
        result: T = self._await(self._engine.run(steps))
        return result

    def __getattr__(self, name: str) -> Any:
        call = getattr(self.calls, name)
        return lambda *args, **options: self.run(call(*args, **options))


@pytest.mark.integration
@pytest.mark.newest_nodes  # the steps of a call are those of test_engines.py, on all three nodes
class TestAsyncEngineOnRealNodes(EngineContract):
    # These are about what a sync engine does here, and the same in test_engines.py.
    test_scan_yields_every_document_once = None
    test_slices_of_a_scan_hold_every_document_once = None
    test_changes_are_those_between_two_checkpoints = None

    @pytest.fixture
    def engine(self, search_node: SearchNode) -> Iterator[Any]:
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever)
        thread.start()

        def run(work: Coroutine[Any, Any, T]) -> T:
            return asyncio.run_coroutine_threadsafe(work, loop).result(timeout=60)

        settings = EngineSettings(url=search_node.url, kind=search_node.kind)
        engine, scans = run(connect_async(settings)), connect(settings)
        yield RunInALoop(engine, scans, await_=run)
        run(engine.close())
        scans.close()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
