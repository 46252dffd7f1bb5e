"""A reindex under live traffic on each real node: nothing is lost, and nothing comes back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.integration.reindex_traffic import Traffic, fill_index

from vidsearch.config import Settings
from vidsearch.index import create_videos_index
from vidsearch.local import SearchNode
from vidsearch.reindex import Changes, Step
from vidsearch.testing.fake_encoder import FakeEncoder
from vidsearch_tasks import Services, reindexer

pytestmark = pytest.mark.integration

VIDEOS = 1000


@pytest.fixture
def used(search_node: SearchNode, index_name: str) -> Iterator[Services]:
    settings = Settings(
        engine={"url": search_node.url, "kind": search_node.kind},
        index={"name": index_name, "replicas": 0, "quantization": "float", "segment_seconds": 2},
    )
    with Services(settings, encoder=FakeEncoder()) as services:
        create_videos_index(services.engine, settings.index, FakeEncoder().identity)
        yield services


@pytest.fixture
def traffic(used: Services, red: Path) -> Traffic:
    return Traffic(used, fill_index(used, VIDEOS), red)


def test_under_traffic_nothing_is_lost_and_nothing_comes_back(
    used: Services, traffic: Traffic, index_name: str
) -> None:
    steps: list[Step] = []
    with traffic.running():
        run = reindexer(used, on_step=lambda run: steps.append(run.step)).start(
            Changes(quantization="flat", shards=2)
        )
    assert run.step is Step.SWAPPED
    assert (run.source, run.target) == (f"{index_name}-000001", f"{index_name}-000002")
    assert traffic.deleted
    assert traffic.numbers
    assert traffic.added
    for name in (run.target, run.source):  # the old one is kept up to date
        traffic.check(name)
    assert used.open_index().quantization == "flat"
    with traffic_of(traffic).running():
        done = reindexer(used).clean()
    assert done.step is Step.DONE
    assert used.engine.indices_of(index_name) == (run.target,)
    assert used.engine.indices_of(f"{index_name}-write") == ()
    assert used.engine.indices_of(run.source) == ()


def test_a_rollback_under_traffic_keeps_all_that_was_written(
    used: Services, traffic: Traffic, index_name: str
) -> None:
    run = reindexer(used).start(Changes(quantization="flat"))
    with traffic.running():
        run = reindexer(used).roll_back()
    assert run.step is Step.ROLLED_BACK
    traffic.check(run.source)
    assert used.engine.indices_of(index_name) == (run.source,)
    assert used.engine.indices_of(run.target) == ()
    assert used.engine.indices_of(f"{index_name}-write") == ()


def traffic_of(before: Traffic) -> Traffic:
    """More traffic, after the first has ended."""
    ids = [id for id in before.ids if id not in before.deleted]
    added = {f"added-{number}" for number in range(len(before.added))}
    values: dict[str, Any] = {"numbers": before.numbers, "deleted": before.deleted, "added": added}
    return Traffic(before.services, ids, before.clip, **values)
