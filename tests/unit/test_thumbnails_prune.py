"""Thumbnails that no document refers to any more."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from tests.reindex_runs import reindex_run

from vidsearch.cli.thumbnails import videos_in_work, with_those_of_reindexes
from vidsearch.config import IndexSettings
from vidsearch.errors import IndexNotFoundError
from vidsearch.index import create_videos_index
from vidsearch.ingest.thumbnails import remove_thumbnails, unused_thumbnails
from vidsearch.media import ThumbnailStore
from vidsearch.registry import NewVideo, Notes, Registry
from vidsearch.reindex import RunStore, Step
from vidsearch.testing.fake_encoder import FakeEncoder
from vidsearch.testing.memory_engine import MemoryEngine

DAY = 24 * 3600.0


@pytest.fixture
def store(tmp_path: Path) -> ThumbnailStore:
    return ThumbnailStore(str(tmp_path / "thumbs"))


@pytest.fixture
def engine() -> MemoryEngine:
    engine = MemoryEngine()
    for name in ("videos", "others"):
        create_videos_index(engine, IndexSettings(name=name), FakeEncoder().identity)
    return engine


def write(engine: MemoryEngine, index: str, id: str, *keys: str) -> None:
    segments = [{"start": 0.0, "end": 1.0, "thumbnail": key} for key in keys]
    engine.put(index, id, {"video": {"segments": [*segments, {"start": 1.0, "end": 2.0}]}})


def aged(tmp_path: Path, key: str) -> Path:
    path = tmp_path / "thumbs" / key
    os.utime(path, (time.time() - 2 * DAY,) * 2)
    return path


def test_videos_that_workers_of_any_of_the_indices_have_are_counted(engine: MemoryEngine) -> None:
    settings = IndexSettings(name="videos")

    def claim(index: str, id: str) -> None:
        registry = Registry(engine, index=index)
        registry.register_many([NewVideo(id, f"/{id}.mp4")])
        registry.claim(id, owner="w")

    assert videos_in_work(engine, settings, ["videos", "others"]) == 0
    claim(IndexSettings(name="others").registry, "a")
    assert videos_in_work(engine, settings, ["videos"]) == 0
    assert videos_in_work(engine, settings, ["videos", "others"]) == 1
    claim(settings.registry, "b")
    assert videos_in_work(engine, settings, ["videos", "others"]) == 2


def test_index_without_a_registry_of_its_own_raises(engine: MemoryEngine) -> None:
    (concrete,) = engine.indices_of("others")
    with pytest.raises(IndexNotFoundError, match=f"index '{concrete}' has no registry"):
        videos_in_work(engine, IndexSettings(name="videos"), ["videos", concrete])


def test_prune_takes_old_pictures_of_no_document_only(
    store: ThumbnailStore, engine: MemoryEngine, tmp_path: Path
) -> None:
    used, shared, left, fresh = (store.put(data) for data in (b"used", b"both", b"left", b"new"))
    for key in (used, shared, left):
        aged(tmp_path, key)
    own = tmp_path / "thumbs" / "cover.webp"
    own.write_bytes(b"of somebody else")
    os.utime(own, (0, 0))
    write(engine, "videos", "a", used)
    write(engine, "others", "b", shared)
    engine.put("videos", "c", {"title": "not ingested"})

    def unused(*names: str) -> set[str]:
        return {picture.key for picture in unused_thumbnails(store, engine, names)}

    assert unused("videos") == {shared, left, fresh}
    assert unused("videos", "others") == {left, fresh}
    with pytest.raises(IndexNotFoundError):
        unused("nothing")
    missing = "00/" + "0" * 64 + ".webp"
    remove_thumbnails(store, [missing, left, fresh], written_before=time.time() - DAY)
    assert {picture.key for picture in store.pictures()} == {used, shared, fresh}
    assert own.exists()


def test_old_picture_that_a_video_being_indexed_refers_to_is_kept(
    store: ThumbnailStore, engine: MemoryEngine, tmp_path: Path
) -> None:
    key = store.put(b"of a deleted video")
    aged(tmp_path, key)
    assert store.put(b"of a deleted video") == key  # its new document is not written yet
    (found,) = unused_thumbnails(store, engine, ("videos",))
    assert (found.key, found.is_older(time.time() - DAY)) == (key, False)


def test_picture_that_a_worker_puts_between_the_look_and_the_removal_is_kept(
    store: ThumbnailStore, engine: MemoryEngine, tmp_path: Path
) -> None:
    taken_up, left = store.put(b"taken up"), store.put(b"left")
    for key in (taken_up, left):
        aged(tmp_path, key)
    before = time.time() - DAY
    unused = unused_thumbnails(store, engine, ("videos",))
    assert {picture.key for picture in unused} == {taken_up, left}
    store.put(b"taken up")
    remove_thumbnails(store, (picture.key for picture in unused), written_before=before)
    assert {picture.key for picture in store.pictures()} == {taken_up}


def test_indices_of_a_reindex_that_is_open_are_asked_as_well(engine: MemoryEngine) -> None:
    settings, runs = IndexSettings(), RunStore(Notes(engine, index=IndexSettings().operations))
    assert with_those_of_reindexes(engine, settings, ["videos", "others"]) == ["videos", "others"]

    (other,) = engine.indices_of("others")
    (source,) = engine.indices_of("videos")
    run = runs.begin(
        lambda id, now: reindex_run(
            id, now, source=source, target=other, changes={"segment_seconds": 5}
        )
    )
    assert with_those_of_reindexes(engine, settings, ["videos"]) == ["videos", other]
    runs.update(run.id, lambda run: run.changed(step=Step.DONE))
    assert with_those_of_reindexes(engine, settings, ["videos"]) == ["videos"]


def test_store_that_does_not_exist_yet_has_no_pictures(store: ThumbnailStore) -> None:
    assert list(store.pictures()) == []
