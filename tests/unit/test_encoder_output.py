"""What an encoder returns is checked once per batch, whoever wrote the encoder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vidsearch.config import IndexSettings, IngestSettings, SourceSettings
from vidsearch.embeddings import FrameEmbedder
from vidsearch.encoders import Vectors, embedded_frames, embedded_texts
from vidsearch.errors import EncoderError, ModelMismatchError
from vidsearch.index import create_videos_index
from vidsearch.ingest import Indexer
from vidsearch.media import FrameBatch, MediaLimits
from vidsearch.media.direct_reader import DirectReader
from vidsearch.registry import Registry
from vidsearch.search import VideoSearch
from vidsearch.testing.fake_encoder import FakeEncoder
from vidsearch.testing.memory_engine import MemoryEngine
from vidsearch_mappings.registry import State

Change = Callable[[Vectors], Any]


class Changed(FakeEncoder):
    """Returns something else than the right vectors."""

    def __init__(self, change: Change) -> None:
        super().__init__()
        self.change = change

    def encode_frames(self, frames: FrameBatch) -> Any:
        return self.change(super().encode_frames(frames))

    def encode_text(self, texts: Sequence[str]) -> Any:
        return self.change(super().encode_text(texts))


def _frames(count: int = 4) -> FrameBatch:
    rng = np.random.default_rng(0)
    data = rng.integers(0, 256, (count, 8, 8, 3), dtype=np.uint8)
    return FrameBatch(data, np.arange(count, dtype=np.float64))


def _at(row: int, value: float) -> Change:
    def change(vectors: Vectors) -> Vectors:
        vectors[row % len(vectors), 0] = value
        return vectors

    return change


WRONG = [
    pytest.param(lambda v: v[:-1], r"the shape \(\d, 32\) for \d \w+", id="one-too-few"),
    pytest.param(lambda v: np.concatenate([v, v]), r"the shape \(\d+, 32\)", id="twice-as-many"),
    pytest.param(lambda v: v[0], r"the shape \(32,\)", id="one-dimension"),
    pytest.param(lambda v: v.tolist(), "returned a list, but", id="list"),
    pytest.param(lambda v: None, "returned a NoneType, but", id="nothing"),
    pytest.param(lambda v: (v * 127).astype(np.int8), "an array of int8", id="integers"),
    pytest.param(_at(1, np.nan), "not finite, for .* 2 of", id="nan"),
    pytest.param(_at(0, -np.inf), "not finite, for .* 1 of", id="infinity"),
    pytest.param(lambda v: v * 3, r"length 3 for .* 1 of", id="too-long"),
    pytest.param(lambda v: v * 0, r"length 0 for .* 1 of", id="zero"),
]


@pytest.mark.parametrize(("change", "said"), WRONG)
def test_wrong_output_is_refused_with_encoder_and_stage(change: Change, said: str) -> None:
    encoder = Changed(change)
    with pytest.raises(EncoderError, match=said) as caught:
        embedded_frames(encoder, _frames())
    assert str(caught.value).startswith("encoder 'fake', Changed.encode_frames returned ")
    with pytest.raises(EncoderError, match=said) as caught:
        embedded_texts(encoder, ["red", "blue", "green"])
    assert str(caught.value).startswith("encoder 'fake', Changed.encode_text returned ")


@pytest.mark.parametrize("dims", [16, 64])
def test_other_dims_than_those_of_the_identity_are_refused(dims: int) -> None:
    def change(vectors: Vectors) -> Vectors:
        return np.eye(1, dims, dtype=np.float32).repeat(len(vectors), axis=0)

    for embed, method in (
        (lambda e: embedded_frames(e, _frames()), "frames"),
        (lambda e: embedded_texts(e, ["red"]), "text"),
    ):
        said = f"encoder 'fake', Changed.encode_{method} .*{dims} dims, .*identity says 32"
        with pytest.raises(ModelMismatchError, match=said):
            embed(Changed(change))


@pytest.mark.parametrize(
    "change",
    [
        lambda v: v.astype(np.float64),
        lambda v: v.astype(np.float16),
        lambda v: v * np.float32(1.004),
    ],
)
def test_unit_vectors_in_another_precision_are_scaled(change: Change) -> None:
    vectors = embedded_frames(Changed(change), _frames())
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-6)
    np.testing.assert_allclose(vectors, FakeEncoder().encode_frames(_frames()), atol=1e-3)


def test_right_output_is_left_as_it_is() -> None:
    encoder = FakeEncoder()
    expected = encoder.encode_frames(_frames())
    np.testing.assert_array_equal(embedded_frames(encoder, _frames()), expected)
    assert embedded_frames(encoder, _frames(0)).shape == (0, 32)
    assert embedded_texts(encoder, []).shape == (0, 32)


@pytest.mark.parametrize("change", [lambda v: v[:-1], _at(0, np.nan)])
def test_video_of_a_wrong_encoder_is_not_indexed_and_its_record_names_the_stage(
    change: Change, red: Path
) -> None:
    engine, settings = MemoryEngine(), IndexSettings()
    create_videos_index(engine, settings, FakeEncoder().identity)
    registry = Registry(engine, index=settings.registry, max_attempts=1)
    indexer = Indexer(
        engine,
        registry,
        embedder=FrameEmbedder(DirectReader("pyav", limits=MediaLimits()), Changed(change)),
        index=settings,
        settings=IngestSettings(),
        sources=SourceSettings(),
    )
    registry.register("a", uri=str(red))
    indexer.ingest("a", owner="w")
    record = registry.get("a")
    assert record.state is State.DEAD
    assert record.error is not None
    assert (record.error.type, record.error.stage) == ("EncoderError", "encode")
    assert record.error.message.startswith("encoder 'fake', Changed.encode_frames returned ")
    assert engine.get("videos", "a") is None


@pytest.mark.parametrize("change", [lambda v: v[:0], _at(0, np.nan)])
def test_search_with_a_wrong_encoder_is_refused(change: Change) -> None:
    engine = MemoryEngine()
    create_videos_index(engine, IndexSettings(), FakeEncoder().identity)
    search = VideoSearch(engine, Changed(change), index="videos")
    with pytest.raises(EncoderError, match=r"encoder 'fake', Changed\.encode_text returned "):
        search.search("red")
    with pytest.raises(EncoderError, match=r"encoder 'fake', Changed\.encode_text returned "):
        search.search_many(["red", "blue"])
    with pytest.raises(EncoderError, match=r"encoder 'fake', Changed\.encode_frames returned "):
        search.search(image=np.zeros((8, 8, 3), np.uint8))
