"""Every engine keeps the same contract: the two adapters on real nodes, and the one in memory."""

from __future__ import annotations

import pytest

from vidsearch.engines import Engine
from vidsearch.testing.engine_contract import EngineContract
from vidsearch.testing.memory_engine import MemoryEngine


class TestMemoryEngine(EngineContract):
    @pytest.fixture
    def engine(self) -> Engine:
        return MemoryEngine()

    @pytest.fixture
    def index_name(self) -> str:
        return "videos"


@pytest.mark.integration
class TestEngineOnRealNodes(EngineContract):
    """With ``engine`` and ``index_name`` of conftest: each of the three nodes in turn."""
