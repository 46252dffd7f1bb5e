"""Fixtures of tests with real workers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.integration.stage import Stage, running_stage

from vidsearch.local import SearchNode


@pytest.fixture
def stage(
    elasticsearch_9: SearchNode, redis_url: str, index_name: str, tmp_path: Path
) -> Iterator[Stage]:
    """An index, a queue and workers on Elasticsearch."""
    with running_stage(elasticsearch_9, redis_url, index_name, tmp_path) as stage:
        yield stage
