"""A reindex on a real node while the videos of the index are to be embedded again, or are dead."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.whole_reindex import COLOURS, WholeStage, whole_stage

from vidsearch.errors import ReindexCheckError
from vidsearch.local import SearchNode
from vidsearch.registry import ErrorRecord, State
from vidsearch.reindex import Changes, ReindexRun, Step
from vidsearch.search import VideoSearch
from vidsearch.testing.fake_encoder import FakeEncoder

pytestmark = [pytest.mark.integration, pytest.mark.one_node("es-9.5.3")]


@pytest.fixture
def stage(search_node: SearchNode, index_name: str, tmp_path: Path) -> Iterator[WholeStage]:
    with whole_stage(tmp_path / "share", node=search_node, name=index_name) as stage:
        yield stage


def found(stage: WholeStage) -> set[str]:
    """What searches find."""
    name = stage.services.settings.index.name
    stage.engine.refresh(name)
    with VideoSearch(stage.engine, FakeEncoder(revision="1"), index=name) as search:
        return {hit.id for hit in search.search(text="any", mode="vector", k=10).hits}


def test_what_searches_find_is_found_after_a_change_of_segments(
    stage: WholeStage, tmp_path: Path, index_name: str
) -> None:
    registry = stage.services.registry
    registry.reopen_many(["red"], ask=True)
    registry.reopen_many(["green", "blue"], forget=True)
    away = ErrorRecord("SourceUnavailableError", "fetch", "the share is away")
    registry.release(registry.claim("blue", owner="w"), away, counted=False, give_up_after=0.0)
    assert registry.get("blue").state is State.DEAD
    share = stage.folder.rename(tmp_path / "away")
    assert found(stage) == {*COLOURS}
    plan = stage.reindexer().plan(Changes(segment_seconds=3))
    assert (plan.videos, plan.waiting) == (3, 0)
    waits: list[str] = []

    def come_back(run: ReindexRun) -> None:
        if run.waits_for is not None:
            assert stage.documents(run.target).keys() == {"red"}
            assert "red" in found(stage)
            waits.append(run.waits_for)
            share.rename(stage.folder)
            assert stage.again("green").status == "indexed"

    with pytest.raises(ReindexCheckError) as refused:
        stage.start(Changes(segment_seconds=3), on_step=come_back)
    assert waits == ["1 video that searches find, to be embedded again, such as 'green'"]
    said = f"searches find 1 dead video that '{index_name}-000002' lacks, such as 'blue': "
    assert said in str(refused.value)
    assert stage.engine.indices_of(index_name) == (f"{index_name}-000001",)

    registry.retry("blue")
    assert stage.again("blue").status == "indexed"
    with stage.worker():
        run = stage.reindexer().resume()
    assert (run.step, run.waits_for) == (Step.SWAPPED, None)
    assert found(stage) == {*COLOURS}
    segments = [len(one["video"]["segments"]) for one in stage.documents(index_name).values()]
    assert segments == [2, 2, 2]
    assert stage.again("red").status == "unchanged"
    assert stage.missing() == []
    assert stage.reindexer().clean().step is Step.DONE
    assert found(stage) == {*COLOURS}
