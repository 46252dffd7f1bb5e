"""Slices of a film that are in the store of embeddings, and those that it does not give back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.ingest_stage import SETTINGS, Stage, aged

from vidsearch.config import IngestSettings
from vidsearch.embeddings import EmbeddingStore
from vidsearch.errors import SourceUnavailableError
from vidsearch.index import create_videos_index
from vidsearch.media.file_store import FileStore
from vidsearch.registry import State
from vidsearch.testing.clips import write_clip


@pytest.fixture
def stage() -> Stage:
    stage = Stage()
    stage.ingest_settings = IngestSettings(slice_seconds=10.0)
    create_videos_index(stage.engine, SETTINGS, stage.encoder.identity)
    return stage


@pytest.fixture
def film(tmp_path: Path) -> Path:
    """30 seconds with a key frame each second."""
    path = tmp_path / "film.mp4"
    return aged(write_clip(path, [i / 5 for i in range(150)], rate=5, options={"g": "5"}))


def embed_slices(stage: Stage) -> None:
    for entry in list(stage.board.entries.scan(State.REGISTERED)):
        stage.embed_slice(entry.id)


def folder(path: Path) -> EmbeddingStore:
    return EmbeddingStore(FileStore(str(path), setting="embeddings.url"))


def test_a_film_whose_slices_are_kept_elsewhere_fails_after_as_many_attempts_as_a_slice_has(
    stage: Stage, film: Path, tmp_path: Path
) -> None:
    """As where the folder of the store is another one on each machine."""
    here, there = folder(tmp_path / "here"), folder(tmp_path / "there")
    stage.store = here
    outcome = stage.add("a", film)
    for _ in range(2):
        assert outcome.status == "sliced"
        stage.store = there
        embed_slices(stage)
        for file in list(there.files()):
            there.remove([file.key])
        stage.store = here
        outcome = stage.ingest("a")
    assert outcome.status == "failed"
    assert stage.work()[1] == 60
    error = stage.registry.get("a").error
    assert error is not None
    assert error.type == "SliceFailedError"
    assert "0 s to 10 s of video 'a': attempt 2 embedded it, and the store" in error.message
    assert "(embeddings.url)" in error.message
    stage.registry.retry("a")
    assert stage.ingest("a").status == "sliced"
    embed_slices(stage)
    assert stage.ingest("a").status == "indexed"


def test_a_film_waits_for_a_store_that_cannot_be_read_and_is_embedded_once(
    stage: Stage, film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = FileStore(str(tmp_path / "store"), setting="embeddings.url")
    stage.store = EmbeddingStore(files)
    assert stage.add("a", film).status == "sliced"
    embed_slices(stage)
    assert stage.work()[1] == 30
    with monkeypatch.context() as away:

        def read(key: str) -> bytes:
            raise SourceUnavailableError("embeddings.url cannot be read: timed out")

        away.setattr(files, "read", read)
        assert stage.ingest("a").status == "retry"
    record = stage.registry.get("a")
    assert (record.state, record.attempts) == (State.REGISTERED, 0)
    assert record.error is not None
    assert "embeddings.url cannot be read" in record.error.message
    assert stage.ingest("a").status == "indexed"
    assert stage.work()[1] == 0


def indexed_in_slices(stage: Stage, film: Path) -> None:
    assert stage.add("a", film).status == "sliced"
    embed_slices(stage)
    assert stage.ingest("a").status == "indexed"
    stage.work()
    stage.reader.probes = 0


@pytest.mark.parametrize("is_gone", [False, True], ids=["there", "gone"])
@pytest.mark.parametrize("seconds", [0.0, 5.0, 20.0, 1000.0])
def test_a_film_is_made_of_its_slices_after_another_length_is_set(
    stage: Stage, film: Path, seconds: float, is_gone: bool
) -> None:
    indexed_in_slices(stage, film)
    before = stage.video("a")
    stage.ingest_settings = IngestSettings(slice_seconds=seconds)
    stage.engine.delete("videos", "a")
    if is_gone:
        film.unlink()
    assert stage.again("a").status == "indexed"
    assert (stage.work(), stage.reader.probes) == ((0, 0), 0)
    after = stage.video("a")
    assert after["segments"] == before["segments"]
    assert np.array_equal(after["vector"], before["vector"])


def test_a_film_is_made_of_its_slices_by_another_decoder(
    stage: Stage, film: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    indexed_in_slices(stage, film)
    monkeypatch.setattr(type(stage.reader), "name", "opencv")
    stage.engine.delete("videos", "a")
    assert stage.again("a").status == "indexed"
    assert (stage.work(), stage.reader.probes) == ((0, 0), 0)


def test_slices_of_another_length_are_used_only_where_all_are_kept(
    stage: Stage, film: Path
) -> None:
    first, *_ = stage.add("a", film).slices
    stage.embed_slice(first)
    stage.work()
    stage.ingest_settings = IngestSettings(slice_seconds=15.0)
    stage.registry.register("b", uri=str(film))
    outcome = stage.ingest("b")
    assert outcome.status == "sliced"
    assert [stage.embed_slice(id).ready for id in outcome.slices] == [None, "b"]
    assert stage.ingest("b").status == "indexed"
    assert stage.work()[1] == 30
