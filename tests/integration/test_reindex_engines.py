"""A reindex under live traffic on real nodes: nothing is lost, and nothing comes back.

``make drill`` does the same with ten thousand videos, on all nodes.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.integration.reindex_traffic import Traffic, traffic_on
from tests.services import WHOLE_WAYS

from vidsearch.local import SearchNode
from vidsearch.reindex import Changes, Step
from vidsearch_tasks import reindexer

pytestmark = [
    pytest.mark.integration,
    pytest.mark.parametrize("search_node", WHOLE_WAYS, indirect=True, scope="session"),
]

VIDEOS = 1000


@pytest.fixture
def traffic(search_node: SearchNode, index_name: str, red: Path) -> Iterator[Traffic]:
    with traffic_on(search_node, index_name, red, videos=VIDEOS) as traffic:
        yield traffic


def test_under_traffic_nothing_is_lost_and_nothing_comes_back(
    traffic: Traffic, index_name: str
) -> None:
    services = traffic.services
    with traffic.running():
        run = reindexer(services).start(Changes(quantization="flat", shards=2))
    assert run.step is Step.SWAPPED
    assert (run.source, run.target) == (f"{index_name}-000001", f"{index_name}-000002")
    assert all(traffic.done.values()), traffic.done
    for name in (run.target, run.source):  # the old one is kept up to date
        traffic.check(name)
    assert traffic.answered == {run.source, run.target}
    assert services.open_index().quantization == "flat"
    assert reindexer(services).planned(Changes(quantization="flat", shards=2))[1].is_same
    with traffic.running():
        done = reindexer(services).clean()
    assert done.step is Step.DONE
    traffic.check(run.target)
    assert services.engine.indices_of(index_name) == (run.target,)
    assert services.engine.indices_of(f"{index_name}-write") == ()
    assert services.engine.indices_of(run.source) == ()


def test_a_rollback_under_traffic_keeps_all_that_was_written(
    traffic: Traffic, index_name: str
) -> None:
    engine = traffic.services.engine
    run = reindexer(traffic.services).start(Changes(quantization="flat"))
    with traffic.running():
        run = reindexer(traffic.services).roll_back()
    assert run.step is Step.ROLLED_BACK
    traffic.check(run.source)
    assert engine.indices_of(index_name) == (run.source,)
    assert engine.indices_of(run.target) == ()
    assert engine.indices_of(f"{index_name}-write") == ()
