"""Films whose slices have ended while nobody went on with them, and when a sweep does."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.fill_stage import Reindexed
from tests.ingest_stage import SETTINGS, Stage, aged

from vidsearch.config import IngestSettings
from vidsearch.encoders import Vectors
from vidsearch.errors import EncoderError
from vidsearch.index import create_videos_index
from vidsearch.ingest import Slice, SliceBoard, recover_ended
from vidsearch.media import FrameBatch
from vidsearch.registry import Registry, State
from vidsearch.testing.clips import write_clip

LEASE = 30.0


@pytest.fixture
def film(tmp_path: Path) -> Path:
    """30 seconds with a key frame each second."""
    path = tmp_path / "film.mp4"
    return aged(write_clip(path, [i / 5 for i in range(150)], rate=5, options={"g": "5"}))


@pytest.fixture
def stage() -> Stage:
    stage = Stage()
    stage.ingest_settings = IngestSettings(slice_seconds=10.0)
    create_videos_index(stage.engine, SETTINGS, stage.encoder.identity)
    return stage


def swept(stage: Stage, *, seconds: float, fills: bool = False) -> tuple[str, ...]:
    """What a sweep recovers so many seconds later."""
    later = Registry(
        stage.engine,
        index=SETTINGS.fills if fills else SETTINGS.registry,
        lease_seconds=LEASE,
        max_attempts=2,
        clock=lambda: time.time() + seconds,
    )
    of: Callable[..., Any] = Slice.of_fill if fills else Slice.of_video
    return recover_ended(later, stage.board, slices_of=of)


def test_a_film_whose_slices_have_ended_is_recovered_once_nobody_went_on_with_it(
    stage: Stage, film: Path
) -> None:
    *slices, last = stage.add("a", film).slices
    for id in slices:
        stage.embed_slice(id)
    assert swept(stage, seconds=2 * LEASE) == (), "one is still to be embedded"
    assert stage.embed_slice(last).ready == "a"
    assert swept(stage, seconds=0) == (), "its worker may be about to take it"
    assert swept(stage, seconds=2 * LEASE) == ("a",)
    record = stage.registry.get("a")
    assert (record.state, record.attempts) == (State.REGISTERED, 0)
    assert record.due_at is not None
    assert swept(stage, seconds=2 * LEASE) == ()
    assert stage.ingest("a").status == "indexed"
    assert stage.registry.get("a").attempts == 1
    assert swept(stage, seconds=2 * LEASE) == ()


def test_a_film_is_recovered_where_a_slice_was_given_up(
    stage: Stage, film: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, *_ = stage.add("a", film).slices

    def broken(frames: FrameBatch) -> Vectors:
        raise EncoderError("out of memory")

    monkeypatch.setattr(stage.encoder, "encode_frames", broken)
    assert [stage.embed_slice(first).status for _ in range(2)] == ["retry", "dead"]
    assert swept(stage, seconds=2 * LEASE) == ("a",)
    assert stage.ingest("a").status == "failed"


def test_a_film_that_was_taken_up_meanwhile_is_left_alone(
    stage: Stage, film: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for id in stage.add("a", film).slices:
        stage.embed_slice(id)
    entries_of = SliceBoard.of

    def taken(board: SliceBoard, slices: Any) -> Any:
        found = entries_of(board, slices)
        stage.registry.claim("a", owner="w")
        return found

    monkeypatch.setattr(SliceBoard, "of", taken)
    assert swept(stage, seconds=2 * LEASE) == ()
    assert stage.registry.get("a").state is State.PROCESSING


def test_a_document_in_another_index_is_recovered_likewise(film: Path) -> None:
    stage = Reindexed()
    stage.ingest_settings = IngestSettings(slice_seconds=10.0)
    for id in stage.add("film", film).slices:
        stage.embed_slice(id)
    assert stage.ingest("film").status == "indexed"
    stage.begin(stage.other.identity)
    (fill,) = stage.request("film")
    *slices, last = stage.fill(fill).slices
    for id in slices:
        stage.embed_slice(id)
    assert swept(stage, seconds=2 * LEASE, fills=True) == ()
    assert stage.embed_slice(last).ready_fill == fill
    assert swept(stage, seconds=2 * LEASE, fills=True) == (fill,)
    assert stage.fills.counts()[State.REGISTERED] == 1
    assert stage.fill(fill).status == "indexed"
    assert stage.made("film") is not None
