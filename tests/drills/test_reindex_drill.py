"""A reindex of ten thousand videos under live traffic, on each node; ends with a table."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.drills.report import Report
from tests.integration.reindex_traffic import Traffic, traffic_on

from vidsearch.local import SearchNode
from vidsearch.reindex import Changes, Step
from vidsearch_tasks import reindexer

pytestmark = pytest.mark.drill

_THROTTLE = 200.0
"""Documents per second: so that much is written while they are copied."""


@pytest.fixture(
    params=[
        pytest.param(500, id="short"),
        pytest.param(10_000, id="long", marks=pytest.mark.timeout(1800)),
    ]
)
def traffic(
    request: pytest.FixtureRequest, search_node: SearchNode, index_name: str, red: Path
) -> Iterator[Traffic]:
    with traffic_on(search_node, index_name, red, videos=request.param) as traffic:
        yield traffic


def test_no_update_delete_or_search_is_lost_to_a_reindex_its_end_or_its_rollback(
    traffic: Traffic, report: Report
) -> None:
    services, name = traffic.services, traffic.services.settings.index.name
    report.row("videos at the beginning", len(traffic.ids), "")

    began = time.monotonic()
    with traffic.running():
        first = reindexer(services).start(
            Changes(quantization="flat", shards=2), throttle=_THROTTLE
        )
    assert first.step is Step.SWAPPED
    report.row("reindex to another quantization", 1, f"{time.monotonic() - began:.1f} s")
    copied = f"{first.began['catching_up'] - first.began['copying']:.1f} s"
    report.row(f"copied in it, {_THROTTLE:.0f} a second", first.total, copied)
    for index in (first.target, first.source):
        traffic.check(index)
    assert traffic.answered == {first.source, first.target}
    with traffic.running():
        reindexer(services).clean()
    traffic.check(first.target)

    # As exact as before: in a graph of so many equal videos too few of the others would be found.
    second = reindexer(services).start(Changes(shards=1))
    began = time.monotonic()
    with traffic.running():
        reindexer(services).roll_back()
    report.row("rollback of another one", 1, f"{time.monotonic() - began:.1f} s")
    traffic.check(second.source)

    assert services.engine.indices_of(name) == (first.target,)
    for index in (first.source, second.target, f"{name}-write"):
        assert services.engine.indices_of(index) == ()
    for kind, times in traffic.done.items():
        report.row(f"{kind} meanwhile", times, f"{times / traffic.seconds:.1f}/s")
    report.row("lost updates, videos that came back, failed or mixed searches", 0, "")
