"""A video in slices has the frames, segments and damage of the same video in one go."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from vidsearch.embeddings import FrameEmbedder, FrameVectors
from vidsearch.errors import VideoError
from vidsearch.testing.clips import moving_frame, write_clip
from vidsearch.testing.sliced import ENCODINGS, LEAST_COSINE, compare_slices

pytest.importorskip("av")

_REAL = {
    "cve_vid1.mp4": 3,
    "decord_corrupted.mp4": 3,
    "decord_flipping_a_pancake.mkv": 11,
    "intel_asl_gestures_book.mkv": 4,
    "intel_preview_person-bicycle-car-detection.gif": 4,
    "mdn_rabbit.webm": 8,
    "mdn_stream-of-water.mp4": 4,
    "moviepy_no_duration.webm": 5,
    "moviepy_transparent.webm": 5,
    "moviepy_video_with_failing_audio.mp4": 12,
    "mp4parse_white.mp4": 10,
    "torchcodec_av1_video.mkv": 5,
    "torchcodec_h265_10bits.mp4": 1,
    "vitrivr_color_test.mp4": 3,
}
"""Frames of the real clips that decode fast; ``python -m benchmarks --only slices`` takes all."""


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_an_encoding_in_slices_is_what_it_is_in_one_go(encoding: str, tmp_path: Path) -> None:
    found = compare_slices(ENCODINGS[encoding](tmp_path), seconds=3.0)
    assert found.differences == ()
    assert found.slices == 3
    assert found.frames >= 9
    assert found.is_sliced


@pytest.mark.parametrize("name", _REAL)
def test_a_real_clip_in_slices_is_what_it_is_in_one_go(name: str, shared: Path) -> None:
    found = compare_slices(shared / "clips" / name, seconds=2.0)
    assert found.differences == ()
    assert found.frames == _REAL[name]
    assert found.is_sliced == (name != "decord_corrupted.mp4")


def test_slices_whose_frames_are_one_late_are_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = ENCODINGS["Motion JPEG, AVI"](tmp_path)
    times = [i / 10 for i in range(100)]
    other = write_clip(
        tmp_path / "other.avi",
        times,
        codec="mjpeg",
        rate=10,
        pix_fmt="yuvj420p",
        picture=lambda n: moving_frame(n + 1, width=96, height=80),
    )
    real = FrameEmbedder.embed

    def embed(embedder: FrameEmbedder, path: Path, **given: Any) -> FrameVectors:
        return real(embedder, other if given.get("start") else path, **given)

    monkeypatch.setattr(FrameEmbedder, "embed", embed)
    found = compare_slices(path, seconds=3.0)
    assert found.cosine < LEAST_COSINE
    assert f"a cosine of {found.cosine:.7f}" in found.differences


def test_what_is_no_video_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "text.mp4"
    path.write_text("no video")
    with pytest.raises(VideoError):
        compare_slices(path, seconds=3.0)
