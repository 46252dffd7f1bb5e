"""Batches of frames, hashes and the decoders' names."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import pytest

from vidsearch.errors import ConfigError, SourceUnavailable
from vidsearch.media import FrameBatch, content_hash, open_decoder, opencv
from vidsearch.media.capture import Capture
from vidsearch.testing.clips import write_clip


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


def test_a_disk_that_fails_is_an_outage(tmp_path: Path) -> None:
    with pytest.raises(SourceUnavailable, match="cannot be read: Is a directory"):
        content_hash(tmp_path)


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


@pytest.mark.parametrize(
    ("times", "passes"),
    [
        ([i / 30 for i in range(90)], 1),
        ([i * 1001 / 30_000 for i in range(90)], 1),
        ([i / 30 + 0.012 * (i % 3) for i in range(90)], 1),
        ([0.0, 1 / 30, 2 / 30, 3.5, 3.6], 2),
    ],
)
def test_only_a_clip_with_long_pauses_is_read_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, times: list[float], passes: int
) -> None:
    path = write_clip(tmp_path / "clip.mkv", times)
    reads = []
    original = opencv.opened

    def counted(path: Path) -> AbstractContextManager[Capture]:
        reads.append(path)
        return original(path)

    monkeypatch.setattr(opencv, "opened", counted)
    list(open_decoder().frames(path))
    assert len(reads) == passes


class Source:
    """A ``cv2.VideoCapture`` that reports the positions it is told to."""

    def __init__(self, positions: list[float]) -> None:
        self.positions = positions

    def get(self, _: int) -> float:
        return self.positions[0]

    def grab(self) -> bool:
        self.positions = self.positions[1:]
        return bool(self.positions)


@pytest.mark.parametrize(
    ("positions", "expected"),
    [
        ([0, 40, 80], [0, 0.04, 0.08]),
        ([0, 0, 0], [0, 0.04, 0.08]),
        ([-1, -1, -1], [0, 0.04, 0.08]),
        ([-80, -40, 0], [0, 0.04, 0.08]),
        ([2000, 2040, 2100], [2, 2.04, 2.1]),
        ([0, 500, 20, 60], [0, 0.5, 0.54, 0.58]),
        ([math.nan, math.nan], [0, 0.04]),
    ],
)
def test_time_stamps_are_made_to_ascend(positions: list[float], expected: list[float]) -> None:
    cv2 = pytest.importorskip("cv2")
    capture = Capture(cv2, Source([0.0, *positions]), name="clip")
    times = []
    while capture.read():
        times.append(capture.pts)
    assert times == pytest.approx(expected)


def test_an_unknown_decoder() -> None:
    with pytest.raises(ConfigError, match=r"'vhs'.*'opencv'"):
        open_decoder("vhs")
