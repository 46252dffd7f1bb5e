"""A film of which all slices have ended, and the message after that was lost: on real nodes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.integration.stage import LEASE, Stage, running_stage
from tests.services import WHOLE_WAYS

from vidsearch.index import videos_index_body
from vidsearch.index.targets import open_concrete
from vidsearch.local import SearchNode
from vidsearch.registry import State
from vidsearch.testing.clips import write_clip
from vidsearch.testing.fake_encoder import FakeEncoder
from vidsearch_tasks import Services, run_sweep

pytestmark = [
    pytest.mark.integration,
    pytest.mark.parametrize("search_node", WHOLE_WAYS, indirect=True, scope="session"),
]

LATER = 3 * LEASE
"""Seconds after which a worker that went on with a film would have shown itself."""


@pytest.fixture
def stage(
    search_node: SearchNode, redis_url: str, index_name: str, tmp_path: Path
) -> Iterator[Stage]:
    more = {"ingest": {"slice_seconds": 10, "isolate": False}}
    with running_stage(search_node, redis_url, index_name, tmp_path, more=more) as stage:
        yield stage


@pytest.fixture
def film(tmp_path: Path) -> Path:
    path = tmp_path / "film.mp4"
    return write_clip(path, [i / 5 for i in range(100)], rate=5, options={"g": "5"})


def embed_all(worker: Services, slices: tuple[str, ...]) -> None:
    for id in slices:
        assert worker.slice_worker.embed(id, owner="w").status == "indexed"


def test_film_whose_message_after_its_slices_was_lost_is_sent_again_by_the_sweep(
    stage: Stage, film: Path
) -> None:
    stage.register("film", film)
    with Services(stage.services.settings, encoder=FakeEncoder()) as worker:
        *slices, last = worker.indexer.ingest("film", owner="w").slices
        embed_all(worker, tuple(slices))
        with stage.later(LATER) as later:
            assert run_sweep(services=later).requeued == (), "one is still to be embedded"
        embed_all(worker, (last,))
        assert stage.record("film").owner == "slices"
        with stage.later(LATER) as later:
            assert run_sweep(services=later).requeued == ("film",)
            assert run_sweep(services=later).requeued == (), "once"
        assert stage.record("film").state is State.QUEUED
        assert worker.indexer.ingest("film", owner="w").status == "indexed"
    assert stage.record("film").attempts == 1


def test_document_of_a_reindex_whose_message_after_its_slices_was_lost_is_sent_again(
    stage: Stage, film: Path
) -> None:
    stage.register("film", film)
    settings, engine = stage.services.settings, stage.services.engine
    with Services(settings, encoder=FakeEncoder()) as worker:
        embed_all(worker, worker.indexer.ingest("film", owner="w").slices)
        assert worker.indexer.ingest("film", owner="w").status == "indexed"
    other, name = FakeEncoder(revision="2"), f"{settings.index.name}-000002"
    engine.create_index(name, videos_index_body(engine, settings.index, other.identity))
    target = open_concrete(engine, name, alias=settings.index.name)
    with Services(settings, encoder=other) as worker:
        (fill,) = worker.fills.add([stage.record("film")], target)
        embed_all(worker, worker.filler.fill(fill, owner="w").slices)
        assert worker.fills.counts()[State.PROCESSING] == 1
        with stage.later(LATER) as later:
            assert run_sweep(services=later).fills == 1
            assert run_sweep(services=later).fills == 0, "once"
        assert worker.filler.fill(fill, owner="w").status == "indexed"
    engine.refresh(name)
    assert engine.count(name) == 1
