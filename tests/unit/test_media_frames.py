"""Batches of frames, hashes and the decoders' names."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from vidsearch.errors import ConfigError
from vidsearch.media import FrameBatch, content_hash, open_decoder


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


def test_an_unknown_decoder() -> None:
    with pytest.raises(ConfigError, match=r"'vhs'.*'opencv'"):
        open_decoder("vhs")
