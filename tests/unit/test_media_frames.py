"""Batches of frames, hashes and the decoders' names."""

from __future__ import annotations

import dataclasses
import hashlib
import math
from collections.abc import Generator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vidsearch.errors import ConfigError, SourceUnavailableError
from vidsearch.media import FrameBatch, content_hash, open_decoder, opencv
from vidsearch.media.batches import Batches
from vidsearch.media.capture import Capture
from vidsearch.media.frames import FrameStream, FrameSummary
from vidsearch.media.pyav import codec, last_packets
from vidsearch.media.pyav.container import Video, opened
from vidsearch.media.pyav.frame_times import FrameTimes
from vidsearch.media.pyav.packets import PacketIndex, read_packets
from vidsearch.testing.clips import write_clip


def test_repr_of_a_batch_shows_shapes_and_no_pixels() -> None:
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
def test_a_batch_of_wrong_shapes_is_refused(data: np.ndarray, times: np.ndarray) -> None:
    with pytest.raises(ValueError, match="frames"):
        FrameBatch(data, times)


def test_content_hash_is_sha256(tmp_path: Path) -> None:
    path = tmp_path / "file"
    for content in (b"", b"abc", bytes(range(256)) * 12_345):
        path.write_bytes(content)
        assert content_hash(path) == hashlib.sha256(content).hexdigest()


def test_a_file_that_cannot_be_hashed_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(SourceUnavailableError, match="cannot be read: Is a directory"):
        content_hash(tmp_path)


def test_pictures_of_two_sizes_never_share_a_batch() -> None:
    gathered = Batches(2)
    batches = []
    for index, side in enumerate([4, 4, 4, 6, 6]):
        picture = np.full((side, side, 3), index, dtype=np.uint8)
        batches += gathered.add(float(index), lambda _, picture=picture: picture)
    batches += gathered.rest()
    assert list(gathered.rest()) == []
    assert [batch.data.shape[:2] for batch in batches] == [(2, 4), (1, 4), (2, 6)]
    assert [float(frame.mean()) for batch in batches for _, frame in batch.frames()] == [
        0,
        1,
        2,
        3,
        4,
    ]
    assert [time for batch in batches for time in batch.pts_seconds] == [0, 1, 2, 3, 4]


def test_a_stream_that_is_left_early_has_no_summary() -> None:
    closed = []

    def batches() -> Generator[FrameBatch, None, FrameSummary]:
        try:
            yield FrameBatch(np.zeros((1, 4, 6, 3), dtype=np.uint8), np.zeros(1))
            return FrameSummary(end_seconds=1.0, damaged=0, points=1)
        finally:
            closed.append(True)

    with FrameStream(batches()) as stream:
        assert len(next(stream)) == 1
    assert closed == [True]
    assert list(stream) == []
    with pytest.raises(RuntimeError, match="read all batches first"):
        _ = stream.summary


def test_pictures_are_drawn_into_the_batch() -> None:
    gathered = Batches(2)
    slots = []

    def draw(out: np.ndarray | None) -> np.ndarray:
        slots.append(out)
        picture = out if out is not None else np.empty((4, 6, 3), dtype=np.uint8)
        picture[:] = len(slots)
        return picture

    batches = [batch for index in range(3) for batch in gathered.add(float(index), draw)]
    batches += gathered.rest()
    assert slots[0] is None
    assert np.shares_memory(slots[1], batches[0].data)
    assert np.shares_memory(slots[2], batches[1].data)
    assert not np.shares_memory(batches[0].data, batches[1].data)
    assert [float(frame.mean()) for batch in batches for _, frame in batch.frames()] == [1, 2, 3]


@pytest.mark.parametrize(
    ("times", "wanted"),
    [
        ([i / 30 for i in range(90)], 3),
        ([i * 1001 / 30_000 for i in range(90)], 4),
        ([i / 30 + 0.012 * (i % 3) for i in range(90)], 4),
        ([0.0, 1 / 30, 2 / 30, 3.5, 3.6], 2),
    ],
)
def test_opencv_converts_no_frame_but_those_that_are_wanted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, times: list[float], wanted: int
) -> None:
    path = write_clip(tmp_path / "clip.mkv", times)
    passes, pictures = [], []
    opened_before, image_before = opencv.opened, Capture.image

    def opened_once_more(path: Path, **settings: Any) -> AbstractContextManager[Capture]:
        passes.append(path)
        return opened_before(path, **settings)

    def image(self: Capture, **settings: Any) -> np.ndarray | None:
        pictures.append(self.name)
        return image_before(self, **settings)

    monkeypatch.setattr(opencv, "opened", opened_once_more)
    monkeypatch.setattr(Capture, "image", image)
    list(open_decoder("opencv").frames(path))
    assert (len(passes), len(pictures)) == (1, wanted)


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
        ([2000, 2040, 2100], [0, 0.04, 0.1]),
        ([0, 500, 20, 60], [0, 0.5, 0.54, 0.58]),
        ([0, 3000, 0, 50], [0, 3, 3.04, 3.09]),
        ([0, 36e6, 36e6 + 50], [0, 0.04, 0.09]),
        ([math.nan, math.nan], [0, 0.04]),
    ],
)
def test_time_stamps_are_made_to_ascend(
    tmp_path: Path, positions: list[float], expected: list[float]
) -> None:
    cv2 = pytest.importorskip("cv2")
    capture = Capture(cv2, Source([0.0, *positions]), name="clip")
    with opened(write_clip(tmp_path / "clip.h264", [0.0], rate=25)) as video:
        times = FrameTimes.of(read_packets(video))
    seconds = []
    while capture.read():
        assert times.advance_to(capture.seconds, lost=capture.lost)
        seconds.append(times.seconds)
    assert seconds == pytest.approx(expected)


def test_an_unknown_decoder_is_a_config_error() -> None:
    with pytest.raises(ConfigError, match=r"'vhs'.*'pyav', 'opencv'"):
        open_decoder("vhs")


def test_pyav_is_the_default() -> None:
    assert [open_decoder().name, open_decoder("opencv").name] == ["pyav", "opencv"]


def test_why_a_video_is_read_front_to_back_is_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write_clip(tmp_path / "clip.h264", [i / 10 for i in range(20)], rate=10)
    with caplog.at_level("INFO", logger="vidsearch"):
        list(open_decoder().frames(path))
    assert caplog.messages == [
        "clip.h264 is decoded from front to back: packets without time stamps"
    ]


def test_a_file_that_changes_between_passes_is_read_front_to_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The plan is not carried out on packets that it was not made for."""
    path = write_clip(tmp_path / "clip.mp4", [i / 10 for i in range(60)], rate=10)
    read = last_packets.read_packets

    def read_before(video: Video) -> PacketIndex:
        index = read(video)
        return dataclasses.replace(index, sizes=np.where(np.arange(60) < 30, index.sizes, 1))

    monkeypatch.setattr(last_packets, "read_packets", read_before)
    with caplog.at_level("INFO", logger="vidsearch"):
        batches = list(open_decoder().frames(path))
    assert "reads differently the second time" in caplog.text
    assert sum(len(batch) for batch in batches) == 6
    assert batches[-1].pts_seconds.tolist() == pytest.approx(range(6), abs=1e-6)


def test_temporal_layers_of_hevc_are_counted() -> None:
    # hvcC: numTemporalLayers is the middle of byte 21; a VPS: vps_max_sub_layers_minus1.
    assert codec.hevc_layers(bytes([1, *[0] * 20, 0b00_011_1_11, 0])) == 3
    assert codec.hevc_layers(bytes([1, *[0] * 20, 0b00_000_1_11, 0])) is None
    assert codec.hevc_layers(b"\0\0\0\1\x40\x01\x0c\x03\xff") == 2
    assert codec.hevc_layers(b"") is None
