"""Documents of long videos that a reindex has workers make, in slices."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.fill_stage import Reindexed
from tests.ingest_stage import SETTINGS, aged

from vidsearch.config import IngestSettings
from vidsearch.encoders import Vectors
from vidsearch.errors import EncoderError
from vidsearch.index import open_videos_index
from vidsearch.ingest import delete_video
from vidsearch.ingest.slices import Slice
from vidsearch.media import FrameBatch
from vidsearch.registry import State
from vidsearch.testing.clips import write_clip


@pytest.fixture
def stage(tmp_path: Path) -> Reindexed:
    """A film of 30 seconds is indexed, and another model is to be had."""
    stage = Reindexed()
    stage.ingest_settings = IngestSettings(slice_seconds=10)
    film = tmp_path / "film.mp4"
    aged(write_clip(film, [i / 5 for i in range(150)], rate=5, options={"g": "5"}))
    for id in stage.add("film", film, title="Film").slices:
        stage.embed_slice(id)
    assert stage.ingest("film").status == "indexed"
    return stage


def left(stage: Reindexed) -> list[str]:
    """Entries of slices."""
    return [entry.id for entry in stage.board.entries.scan(*State)]


def test_a_film_is_embedded_for_another_model_in_slices_with_the_result_of_one_go(
    stage: Reindexed,
) -> None:
    stage.begin(stage.other.identity)
    (fill,) = stage.request("film")
    planned = stage.fill(fill)
    assert planned.status == "sliced"
    first, second, third = planned.slices
    assert stage.fills.counts()[State.PROCESSING] == 1
    assert stage.registry.get("film").state is State.INDEXED
    done = [stage.embed_slice(id) for id in (second, third, first)]
    assert [(one.status, one.ready, one.ready_fill) for one in done] == [
        ("indexed", None, None),
        ("indexed", None, None),
        ("indexed", None, fill),
    ]
    assert stage.other.frames == 30
    assert stage.fill(fill).status == "indexed"
    assert stage.other.frames == 30
    assert stage.encoder.frames == 30, "once, by the former model"
    sliced = stage.made("film")
    assert sliced is not None
    assert sliced["title"] == "Film"
    assert sliced["video"]["model"] == "fake@2"
    assert left(stage) == []

    stage.engine.delete("videos-000002", "film")
    stage.store, stage.ingest_settings = None, IngestSettings(slice_seconds=0)
    assert stage.request("film") == (fill,)
    assert stage.fill(fill).status == "indexed"
    whole = stage.made("film")
    assert whole is not None
    pairs = zip(whole["video"]["segments"], sliced["video"]["segments"], strict=True)
    for one, other in pairs:
        assert (one["start"], one["end"]) == (other["start"], other["end"])
        assert np.dot(one["vector"], other["vector"]) >= 0.999999, "kept ones are rounded"


def test_slices_that_are_kept_are_not_embedded_again(stage: Reindexed) -> None:
    stage.begin(segment_seconds=5)
    (fill,) = stage.request("film")
    assert stage.fill(fill).status == "indexed"
    assert stage.encoder.frames == 30
    assert left(stage) == []


def test_the_slices_of_a_video_that_is_deleted_are_dropped_and_nobody_waits_for_it(
    stage: Reindexed,
) -> None:
    stage.begin(stage.other.identity)
    (fill,) = stage.request("film")
    slices = stage.fill(fill).slices
    delete_video(stage.registry, open_videos_index(stage.engine, SETTINGS), "film")
    done = [stage.embed_slice(id) for id in slices]
    assert [(one.status, one.ready_fill) for one in done] == [("skipped", fill)] * 3
    assert stage.fill(fill).status == "skipped"
    assert stage.fills.counts()[State.PROCESSING] == 0
    assert stage.other.frames == 0
    assert left(stage) == []


def test_nothing_is_embedded_for_an_index_that_is_gone(stage: Reindexed) -> None:
    stage.begin(stage.other.identity)
    (fill,) = stage.request("film")
    slices = stage.fill(fill).slices
    stage.engine.delete_index("videos-000002")
    assert [stage.embed_slice(id).status for id in slices] == ["skipped"] * 3
    assert stage.other.frames == 0
    assert left(stage) == []


def test_the_end_of_a_reindex_takes_its_slices_off_the_board_and_no_others(
    stage: Reindexed,
) -> None:
    stage.begin(stage.other.identity)
    (fill,) = stage.request("film")
    for id in stage.fill(fill).slices[:2]:
        stage.embed_slice(id)
    others = Slice.all_of("another", "c" * 64, count=2, seconds=10)
    stage.board.add(others, uri="/another.mp4")
    assert len(left(stage)) == 5
    stage.board.clear_fills()
    assert sorted(left(stage)) == sorted(one.id for one in others)


def test_a_slice_that_is_given_up_fails_the_document_with_the_reason_until_a_retry(
    stage: Reindexed, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(frames: FrameBatch) -> Vectors:
        raise EncoderError("out of memory")

    stage.begin(stage.other.identity)
    (fill,) = stage.request("film")
    first, second, third = stage.fill(fill).slices
    stage.embed_slice(first)
    stage.embed_slice(third)
    with monkeypatch.context() as patch:
        patch.setattr(stage.other, "encode_frames", broken)
        stage.embed_slice(second)
        outcome = stage.embed_slice(second)
    assert (outcome.status, outcome.ready_fill) == ("dead", fill)
    assert stage.fill(fill).status == "failed"
    (entry,) = stage.fills.given_up()
    assert "10 s to 20 s of video 'film': EncoderError (encode): out of memory" in str(entry.error)
    assert stage.fills.retry() == (fill,)
    (again,) = stage.fill(fill).slices
    assert stage.embed_slice(again).ready_fill == fill
    assert stage.fill(fill).status == "indexed"
    assert stage.other.frames == 30
