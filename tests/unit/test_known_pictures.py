"""Pictures that were encoded a moment ago are not encoded again."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from vidsearch.embeddings import known_pictures
from vidsearch.embeddings.known_pictures import KnownPictures
from vidsearch.encoders import Vectors, require_sound
from vidsearch.errors import EncoderError
from vidsearch.media import FrameBatch
from vidsearch.testing.clips import moving_frame
from vidsearch.testing.fake_encoder import FakeEncoder


class Counting(FakeEncoder):
    """Keeps the times of the pictures of each batch."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[list[float]] = []
        require_sound(self)
        self.batches.clear()  # of the pictures that show it is sound

    def encode_frames(self, frames: FrameBatch) -> Vectors:
        self.batches.append(frames.pts_seconds.tolist())
        return super().encode_frames(frames)


def batch(*numbers: int, repeats: list[int] | None = None, width: int = 32) -> FrameBatch:
    counts = np.array(repeats or [1] * len(numbers))
    pictures = [moving_frame(number, width=width, height=24) for number in numbers]
    return FrameBatch(np.stack(pictures), np.arange(counts.sum(), dtype=np.float64), counts)


def test_only_new_pictures_are_encoded_and_the_vectors_are_those_of_the_encoder() -> None:
    known, encoder = KnownPictures(), Counting()
    for frames, encoded in (
        (batch(1, 2), [0, 1]),
        (batch(2, 3, 1, 4, repeats=[5, 2, 1, 3]), [5, 8]),
        (batch(5, 6, 5), [0, 1]),
        (batch(4, 3, 2), None),
    ):
        encoder.batches.clear()
        vectors = known.encode(encoder, frames)
        assert encoder.batches == ([encoded] if encoded is not None else [])
        np.testing.assert_array_equal(vectors, FakeEncoder().encode_frames(frames))


def test_pictures_that_differ_in_one_pixel_or_in_shape_are_two() -> None:
    known, encoder = KnownPictures(), Counting()
    one = batch(1)
    other = FrameBatch(one.data.copy(), one.pts_seconds)
    other.data[0, 11, 13, 2] ^= 1
    turned = FrameBatch(one.data.reshape(1, 32, 24, 3), one.pts_seconds)
    for frames in (one, other, turned):
        known.encode(encoder, frames)
    assert len(encoder.batches) == 3


def test_the_pictures_seen_longest_ago_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known_pictures, "_MOST", 3)
    known, encoder = KnownPictures(), Counting()
    known.encode(encoder, batch(1, 2, 3))
    known.encode(encoder, batch(1))  # so that 2 is the one seen longest ago
    known.encode(encoder, batch(4))
    encoder.batches.clear()
    known.encode(encoder, batch(1, 3, 4))
    assert encoder.batches == []
    known.encode(encoder, batch(2))
    assert encoder.batches == [[0.0]]


def test_nothing_is_remembered_of_a_batch_that_failed() -> None:
    class Broken(Counting):
        broken = False

        def encode_frames(self, frames: FrameBatch) -> Vectors:
            vectors = super().encode_frames(frames)
            return vectors * np.nan if self.broken else vectors

    known, encoder = KnownPictures(), Broken()
    encoder.broken = True
    with pytest.raises(EncoderError):
        known.encode(encoder, batch(1, 2))
    encoder.broken = False
    np.testing.assert_array_equal(
        known.encode(encoder, batch(2)), FakeEncoder().encode_frames(batch(2))
    )
    assert len(encoder.batches) == 2


def test_threads_share_what_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known_pictures, "_MOST", 5)
    known, encoder = KnownPictures(), FakeEncoder()
    batches = [batch(n % 7, (n + 1) % 7, (n + 3) % 7) for n in range(200)]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda frames: known.encode(encoder, frames), batches))
    for frames, vectors in zip(batches, found, strict=True):
        np.testing.assert_array_equal(vectors, encoder.encode_frames(frames))
