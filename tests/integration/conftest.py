"""Fixtures of tests with real workers and commands."""

from __future__ import annotations

import uuid
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


@pytest.fixture(autouse=True)
def no_calm_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is none while other tests run."""
    monkeypatch.setattr("vidsearch.index.catch_up._CALM_SECONDS", 0.5)


@pytest.fixture
def demo_env(
    search_node: SearchNode, redis_url: str, index_name: str, monkeypatch: pytest.MonkeyPatch
) -> dict[str, str]:
    """Settings in the environment, as a person would set them, with the demo model."""
    values = {
        "VIDSEARCH_ENGINE__URL": search_node.url,
        "VIDSEARCH_MODEL__NAME": "demo",
        "VIDSEARCH_BROKER__URL": redis_url,
        "VIDSEARCH_BROKER__QUEUE": f"q-{uuid.uuid4().hex[:8]}",
        "VIDSEARCH_INDEX__NAME": index_name,
        "VIDSEARCH_INDEX__REPLICAS": "0",
    }
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    return values
