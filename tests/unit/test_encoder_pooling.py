"""Pooling, and what the fake encoder is good for."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from vidsearch.encoders import mean_unit
from vidsearch.media import FrameBatch
from vidsearch.testing.fake_encoder import FakeEncoder


def test_mean_has_unit_length() -> None:
    pooled = mean_unit(np.array([[1, 0, 0], [0, 1, 0]], dtype=np.float32))
    np.testing.assert_allclose(pooled, [0.5**0.5, 0.5**0.5, 0], atol=1e-7)
    assert pooled.dtype == np.float32


def test_many_frames_lose_no_precision() -> None:
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((50_000, 8)) + 3
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    exact = vectors.mean(0)
    exact /= np.linalg.norm(exact)
    assert float(mean_unit(vectors.astype(np.float32)) @ exact) >= 1 - 1e-7


@pytest.mark.parametrize(
    "vectors",
    [
        np.empty((0, 4), dtype=np.float32),
        np.ones(4, dtype=np.float32),
        np.array([[1, 0], [-1, 0]], dtype=np.float32),
        np.array([[np.nan, 0]], dtype=np.float32),
    ],
)
def test_vectors_without_a_mean_are_refused(vectors: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"pooling|direction"):
        mean_unit(vectors)


def test_the_fake_encoder_finds_colours() -> None:
    encoder = FakeEncoder()
    colours = {"red": (230, 20, 20), "blue": (10, 30, 240), "yellow": (240, 230, 20)}
    data = np.array([np.full((4, 4, 3), rgb) for rgb in colours.values()], dtype=np.uint8)
    frames = encoder.encode_frames(FrameBatch(data, np.arange(3, dtype=np.float64)))
    texts = encoder.encode_text([f"a {name} car" for name in colours])
    assert (texts @ frames.T).argmax(1).tolist() == [0, 1, 2]


def test_the_fake_encoder_is_the_same_in_every_process() -> None:
    code = (
        "from vidsearch.testing.fake_encoder import FakeEncoder;"
        "print(FakeEncoder().encode_text(['a red car']).tobytes().hex())"
    )
    runs = {
        subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            env={"PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2")
    }
    assert runs == {FakeEncoder().encode_text(["a red car"]).tobytes().hex() + "\n"}


def test_the_fake_encoder_needs_room_for_its_colours() -> None:
    with pytest.raises(ValueError, match="dims"):
        FakeEncoder(dims=8)
