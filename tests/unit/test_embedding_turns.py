"""Copies of one content that are ingested at the same moment are embedded once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.ingest_stage import SETTINGS, Stage, aged

from vidsearch.config import IngestSettings
from vidsearch.embeddings import EmbeddingStore, FrameVectors, KeptVideo, turns
from vidsearch.embeddings.turns import in_turn
from vidsearch.encoders import Vectors
from vidsearch.index import create_videos_index
from vidsearch.ingest import opened_video
from vidsearch.media import FrameBatch
from vidsearch.media.file_store import FileStore
from vidsearch.testing.clips import write_clip
from vidsearch.testing.fake_encoder import FakeEncoder

_LONG = 60.0


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    stage = Stage()
    create_videos_index(stage.engine, SETTINGS, stage.encoder.identity)
    stage.sources = stage.sources.model_copy(update={"folder": tmp_path})
    return stage


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return aged(write_clip(tmp_path / "clip.mp4", [i / 10 for i in range(30)], rate=10))


@pytest.fixture
def second_waits(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Set as soon as somebody waits for another's embeddings."""
    waits, real = threading.Event(), turns.sleep

    def sleep(seconds: float) -> None:
        waits.set()
        real(seconds / 10)

    monkeypatch.setattr(turns, "sleep", sleep)
    return waits


def held_back(stage: Stage, monkeypatch: pytest.MonkeyPatch, until: Callable[[], bool]) -> None:
    """The first frames are encoded when ``until`` has returned."""
    encode = stage.encoder.encode_frames

    def encode_frames(frames: FrameBatch) -> Vectors:
        assert until()
        return encode(frames)

    monkeypatch.setattr(stage.encoder, "encode_frames", encode_frames)


def test_copies_that_two_workers_take_at_once_are_embedded_once(
    stage: Stage,
    clip: Path,
    second_waits: threading.Event,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    held_back(stage, monkeypatch, lambda: second_waits.wait(_LONG))
    for id in ("a", "copy"):
        stage.registry.register(id, uri=str(clip))
    with ThreadPoolExecutor(2) as pool:
        ends = list(pool.map(stage.ingest, ("a", "copy")))
    assert [end.status for end in ends] == ["indexed", "indexed"]
    assert stage.work()[1] == 3, "the frames of one"
    assert stage.reader.probes == 1
    seconds = [stage.registry.get(id).seconds for id in ("a", "copy")]
    assert sum("decode" in each for each in seconds) == 1
    assert ["wait" in each for each in seconds] == ["decode" not in each for each in seconds]
    assert stage.video("a")["vector"] == stage.video("copy")["vector"]


def test_slices_of_copies_that_two_workers_take_at_once_are_embedded_once(
    stage: Stage,
    tmp_path: Path,
    second_waits: threading.Event,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stage.ingest_settings = IngestSettings(slice_seconds=2.0)
    times = [i / 5 for i in range(20)]
    film = aged(write_clip(tmp_path / "film.mp4", times, rate=5, options={"g": "5"}))
    first, copy = (stage.add(id, film).slices for id in ("a", "copy"))
    held_back(stage, monkeypatch, lambda: second_waits.wait(_LONG))
    with ThreadPoolExecutor(2) as pool:
        ends = list(pool.map(stage.embed_slice, (first[0], copy[0])))
    assert [end.status for end in ends] == ["indexed", "indexed"]
    assert stage.work()[1] == 2, "the frames of one slice"
    assert [stage.embed_slice(id).status for id in (first[1], copy[1])] == ["indexed"] * 2
    assert [stage.ingest(id).status for id in ("a", "copy")] == ["indexed", "indexed"]
    assert stage.work()[1] == 2
    assert stage.video("a")["vector"] == stage.video("copy")["vector"]


@pytest.mark.parametrize(("limit", "longest"), [(7200, 300.0), (40, 10.0)])
def test_wait_leaves_time_to_embed_what_is_waited_for_in_vain(
    stage: Stage, clip: Path, monkeypatch: pytest.MonkeyPatch, limit: int, longest: float
) -> None:
    told: list[float] = []

    def in_turn(*args: Any, **options: Any) -> AbstractContextManager[None]:
        told.append(options["longest"])
        return nullcontext()

    monkeypatch.setattr(opened_video, "in_turn", in_turn)
    stage.ingest_settings = IngestSettings(time_limit=limit)
    assert stage.add("a", clip).status == "indexed"
    assert told == [longest]


def test_wait_ends_with_what_it_is_told_and_has_an_end(
    stage: Stage, tmp_path: Path, second_waits: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = FakeEncoder().identity

    class ToldToStopError(Exception):
        pass

    def stop() -> None:
        raise ToldToStopError

    def kept() -> KeptVideo:
        return KeptVideo(stage.store, "1" * 64)

    with in_turn(kept(), model, folder=tmp_path, longest=_LONG, waiting=stop):
        with (
            pytest.raises(ToldToStopError),
            in_turn(kept(), model, folder=tmp_path, longest=_LONG, waiting=stop),
        ):
            pass
        monkeypatch.setattr(turns, "monotonic", iter([0.0, 1.0, _LONG]).__next__)
        with in_turn(kept(), model, folder=tmp_path, longest=_LONG, waiting=lambda: None):
            assert second_waits.is_set()
        elsewhere = EmbeddingStore(FileStore(str(tmp_path), setting="embeddings.url"))
        for store, content in ((stage.store, "2"), (elsewhere, "1"), (None, "1")):
            other = KeptVideo(store, content * 64)
            with in_turn(other, model, folder=tmp_path, longest=_LONG, waiting=stop):
                pass


def test_what_is_kept_until_the_turn_begins_is_found(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, model, real = KeptVideo(stage.store, "1" * 64), FakeEncoder().identity, turns.opened_lock
    vectors = np.eye(model.dims, dtype=np.float32)[:1]

    def another_ends(*args: Any) -> int:
        assert stage.store is not None
        frames = FrameVectors(np.zeros(1), vectors, 1.0, 0, 1, 8, 6)
        stage.store.keep_frames("1" * 64, model, frames)
        return real(*args)

    monkeypatch.setattr(turns, "opened_lock", another_ends)
    with in_turn(kept, model, folder=tmp_path, longest=_LONG, waiting=lambda: None):
        assert kept.find_frames(model) is not None


@pytest.mark.parametrize("name", ["file", "absent"])
def test_without_a_place_for_locks_nobody_waits(stage: Stage, tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    kept, model = KeptVideo(stage.store, "1" * 64), FakeEncoder().identity
    with in_turn(kept, model, folder=tmp_path / name, longest=_LONG, waiting=lambda: None):
        assert kept.find_frames(model) is None
    assert [one.name for one in tmp_path.iterdir()] == ["file"], "a disk may not be mounted there"
