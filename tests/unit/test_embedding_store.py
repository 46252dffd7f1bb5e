"""The embedding store: what is kept, how exactly, and what becomes of a damaged entry."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from vidsearch.config import EmbeddingSettings, Settings
from vidsearch.embeddings import EmbeddingStore, FrameVectors, KeptVideo
from vidsearch.embeddings.store import content_of
from vidsearch.encoders import ModelIdentity
from vidsearch.errors import BackendUnavailableError
from vidsearch.media.file_store import FileStore
from vidsearch.testing.memory_engine import MemoryEngine

CONTENT = "ab" + "0" * 62
MODEL = ModelIdentity(name="m", revision="1", dims=512, image_size=224)


def frames(count: int = 20, *, seed: int = 0) -> FrameVectors:
    vectors = np.random.default_rng(seed).standard_normal((count, 512)).astype(np.float32)
    return FrameVectors(
        pts_seconds=np.arange(count, dtype=np.float64) + 1 / 3,
        vectors=vectors / np.linalg.norm(vectors, axis=1, keepdims=True),
        end_seconds=count + 0.25,
        damaged=2,
        points=count + 2,
        width=640,
        height=360,
    )


@pytest.fixture
def folder(tmp_path: Path) -> FileStore:
    return FileStore(str(tmp_path / "store"), setting="embeddings.url")


@pytest.fixture
def store(folder: FileStore) -> EmbeddingStore:
    return EmbeddingStore(folder)


def assert_same(one: FrameVectors | None, other: FrameVectors) -> None:
    assert one is not None
    for name in ("end_seconds", "damaged", "points", "width", "height", "begin_seconds"):
        assert getattr(one, name) == getattr(other, name)
    assert one.pts_seconds.tolist() == other.pts_seconds.tolist()
    assert one.repeats.tolist() == other.repeats.tolist()
    assert one.vectors.tolist() == other.vectors.tolist()


def test_a_held_picture_takes_the_space_of_one(store: EmbeddingStore, folder: FileStore) -> None:
    held = replace(
        frames(2),
        pts_seconds=np.repeat([3.5, 3000.0], [3000, 600]),
        repeats=np.array([3000, 600]),
        begin_seconds=3.5,
    )
    kept = store.keep_frames(CONTENT, MODEL, held)
    assert_same(store.frames(CONTENT, MODEL), kept)
    assert (len(kept), kept.repeats.tolist(), kept.begin_seconds) == (3600, [3000, 600], 3.5)
    (file,) = folder.files()
    assert file.size < 3600 * 8 + 2 * 1024 + 2048


@pytest.mark.parametrize(("precision", "least"), [("fp16", 0.9999998), ("fp32", 0.9999999)])
def test_frames_come_back_and_embedding_gives_the_same_vectors_as_reading(
    folder: FileStore, precision: Literal["fp16", "fp32"], least: float
) -> None:
    store, given = EmbeddingStore(folder, precision=precision), frames()
    assert store.frames(CONTENT, MODEL) is None
    kept = store.keep_frames(CONTENT, MODEL, given)
    assert_same(store.frames(CONTENT, MODEL), kept)
    assert kept.vectors.dtype == np.float32
    cosines = np.sum(kept.vectors.astype(np.float64) * given.vectors, axis=1)
    assert cosines.min() > least
    assert np.linalg.norm(kept.vectors, axis=1) == pytest.approx(1, abs=1e-6)
    assert kept.pts_seconds.tolist() == given.pts_seconds.tolist()


def test_a_second_takes_about_a_kilobyte(store: EmbeddingStore) -> None:
    store.keep_frames(CONTENT, MODEL, frames(600))
    (file,) = store.files()
    assert 600 * 1024 < file.size < 600 * 1050


def test_entries_of_other_contents_models_and_ranges_are_apart(store: EmbeddingStore) -> None:
    whole = store.keep_frames(CONTENT, MODEL, frames())
    part = store.keep_frames(CONTENT, MODEL, frames(5, seed=1), start=5.0, stop=10.0)
    others = [
        replace(MODEL, revision="2"),
        replace(MODEL, sampling="played-at@2fps"),
        replace(MODEL, sampling="notebook@1fps"),
        replace(MODEL, dims=256),
    ]
    assert [store.frames(CONTENT, other) for other in others] == [None] * 4
    assert store.frames("cd" + "0" * 62, MODEL) is None
    assert store.frames(CONTENT, MODEL, start=5.0, stop=15.0) is None
    assert_same(store.frames(CONTENT, MODEL), whole)
    assert_same(store.frames(CONTENT, replace(MODEL, precision="bf16")), whole)
    assert_same(store.frames(CONTENT, MODEL, start=5.0, stop=10.0), part)
    assert {content_of(file.key) for file in store.files()} == {CONTENT}


@pytest.mark.parametrize("damage", ["cut", "byte", "empty", "other"])
def test_a_damaged_entry_counts_as_absent_and_is_made_again(
    store: EmbeddingStore, folder: FileStore, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    given = store.keep_frames(CONTENT, MODEL, frames())
    (file,) = folder.files()
    data = folder.read(file.key) or b""
    middle = len(data) // 2
    spoiled = {
        "cut": data[:-100],
        "byte": data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :],
        "empty": b"",
        "other": b"<html>",
    }
    folder.write(file.key, spoiled[damage])
    with caplog.at_level(logging.WARNING):
        assert store.frames(CONTENT, MODEL) is None
    assert "is damaged and made again" in caplog.text
    made = KeptVideo(store, CONTENT).frames(MODEL, frames)
    assert_same(made, given)
    assert_same(store.frames(CONTENT, MODEL), given)


def test_vectors_of_other_dims_under_the_key_count_as_absent(
    store: EmbeddingStore, folder: FileStore
) -> None:
    store.keep_frames(CONTENT, MODEL, frames())
    other = replace(MODEL, dims=256)
    store.keep_frames(CONTENT, other, replace_vectors(frames(), 256))
    small, large = sorted(folder.files(), key=lambda file: file.size)
    folder.write(large.key, folder.read(small.key) or b"")
    assert store.frames(CONTENT, MODEL) is None
    assert store.frames(CONTENT, other) is not None


def replace_vectors(given: FrameVectors, dims: int) -> FrameVectors:
    vectors = given.vectors[:, :dims]
    return replace(given, vectors=vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


def test_facts_are_made_once_and_those_no_longer_true_again(store: EmbeddingStore) -> None:
    kept, made = KeptVideo(store, CONTENT), []

    def fact(key: str, value: int, *, is_true: bool = True) -> int:
        def make() -> int:
            made.append(value)
            return value

        return kept.fact(
            "numbers", key, make, restore=lambda n: n if is_true else None, plain=lambda n: n
        )

    assert [fact("a", 1), fact("a", 2), fact("b", 3), fact("a", 4)] == [1, 1, 3, 1]
    assert fact("a", 5, is_true=False) == 5
    assert fact("a", 6) == 5
    assert made == [1, 3, 5]
    for number in range(10, 30):
        fact(f"{number}", number)
    (file,) = store.files()
    assert file.size < 500


def test_frames_that_are_not_kept_are_looked_for_once(
    folder: FileStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Sequence[str]] = []
    read = folder.read_many
    monkeypatch.setattr(folder, "read_many", lambda keys: asked.append(keys) or read(keys))
    kept = KeptVideo(EmbeddingStore(folder), CONTENT)
    assert kept.find_frames(MODEL) is None
    made = kept.frames(MODEL, frames)
    assert len(asked) == 1
    assert not kept.had_frames
    assert_same(KeptVideo(EmbeddingStore(folder), CONTENT).find_frames(MODEL), made)


def test_without_a_store_everything_is_made_each_time() -> None:
    kept, made = KeptVideo(None, CONTENT), [0]

    def make() -> int:
        made[0] += 1
        return made[0]

    values = [kept.fact("n", "", make, restore=int, plain=int) for _ in range(2)]
    assert values == [1, 2]
    given = frames()
    assert kept.frames(MODEL, lambda: given) is given


class Away:
    """A store that never answers."""

    shown = "index 'x'"

    def read(self, key: str) -> bytes | None:
        raise BackendUnavailableError("connection refused")

    def read_many(self, keys: Any) -> dict[str, bytes]:
        raise BackendUnavailableError("connection refused")

    def write(self, key: str, data: bytes) -> None:
        raise BackendUnavailableError("connection refused")

    def files(self) -> Any:
        raise BackendUnavailableError("connection refused")

    def remove(self, keys: Any) -> None:
        raise BackendUnavailableError("connection refused")


def test_a_store_that_does_not_answer_stops_no_ingestion(caplog: pytest.LogCaptureFixture) -> None:
    kept = KeptVideo(EmbeddingStore(Away()), CONTENT)
    with caplog.at_level(logging.WARNING):
        assert len(kept.frames(MODEL, frames)) == 20
        assert kept.fact("n", "", lambda: 1, restore=int, plain=int) == 1
    assert "going on without the embedding store: connection refused" in caplog.text


def test_the_settings_say_where_embeddings_are_kept(tmp_path: Path) -> None:
    def made(**section: Any) -> EmbeddingStore | None:
        settings = Settings(embeddings=EmbeddingSettings(**section))
        return EmbeddingStore.of(settings, MemoryEngine())

    assert repr(made()) == """EmbeddingStore("index 'vidsearch-videos-embeddings'", float16)"""
    assert made(keep=False) is None
    at = made(url=str(tmp_path / "s"), precision="fp32")
    assert at is not None
    assert at.shown == str(tmp_path / "s")
