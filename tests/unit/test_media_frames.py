"""Batches of frames, hashes and the decoders' names."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from vidsearch.errors import ConfigError
from vidsearch.media import FrameBatch, content_hash, open_decoder, opencv


def test_a_batch_says_what_it_is_without_pixels() -> None:
    batch = FrameBatch(np.zeros((2, 4, 6, 3), dtype=np.uint8), np.array([0.0, 1.0]))
    assert len(batch) == 2
    assert repr(batch) == "FrameBatch(2 frames of 6x4, pts_seconds=[0. 1.])"


@pytest.mark.parametrize(
    ("data", "times"),
    [
        (np.zeros((2, 4, 6, 3), dtype=np.float32), np.zeros(2)),
        (np.zeros((2, 4, 6), dtype=np.uint8), np.zeros(2)),
        (np.zeros((2, 4, 6, 4), dtype=np.uint8), np.zeros(2)),
        (np.zeros((2, 4, 6, 3), dtype=np.uint8), np.zeros(3)),
    ],
)
def test_a_batch_that_does_not_fit_together(data: np.ndarray, times: np.ndarray) -> None:
    with pytest.raises(ValueError, match="frames"):
        FrameBatch(data, times)


def test_content_hash_is_sha256(tmp_path: Path) -> None:
    path = tmp_path / "file"
    for content in (b"", b"abc", bytes(range(256)) * 12_345):
        path.write_bytes(content)
        assert content_hash(path) == hashlib.sha256(content).hexdigest()


def test_pictures_of_two_sizes_never_share_a_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    class Sampler:
        end_seconds = 5.0

        def __init__(self, path: Path, *, rate: float) -> None:
            pass

        def __iter__(self) -> Iterator[tuple[float, np.ndarray]]:
            for index, side in enumerate([4, 4, 4, 6, 6]):
                yield float(index), np.full((side, side, 3), index, dtype=np.uint8)

    monkeypatch.setattr(opencv, "_Sampler", Sampler)
    batches = list(open_decoder().frames(Path("any"), batch_size=2))
    assert [batch.data.shape[:2] for batch in batches] == [(2, 4), (1, 4), (2, 6)]
    assert [float(frame.mean()) for batch in batches for frame in batch.data] == [0, 1, 2, 3, 4]
    assert [batch.end_seconds for batch in batches] == [None, None, 5.0]


def test_an_unknown_decoder() -> None:
    with pytest.raises(ConfigError, match=r"'vhs'.*'opencv'"):
        open_decoder("vhs")
