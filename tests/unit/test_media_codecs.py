"""The right frames at the right times from every codec that PyAV writes, in what holds it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from vidsearch.media import open_decoder
from vidsearch.testing.clips import counter_frame, read_counter
from vidsearch.testing.odd_clips import Track, write_tracks

av = pytest.importorskip("av")

_ERROR = 2e-3
"""Seconds; Matroska and FLV count milliseconds."""
_CONTAINERS = {
    "libx264": "mp4 mov mkv avi flv ts 3gp nut",
    "libx265": "mp4 mov mkv ts nut",
    "libsvtav1": "mp4 mkv ivf",
    "libvpx": "webm mkv ivf ogg avi",
    "libvpx-vp9": "webm mkv mp4 ivf",
    "mpeg4": "mp4 mov avi mkv 3gp ts nut",
    "mpeg2video": "mpg ts mkv mp4 vob",
    "mjpeg": "avi mov mkv mp4",
    "prores_ks": "mov mkv",
    "prores_aw": "mov",
    "dnxhd": "mov",
    "cfhd": "mov",
    "ffv1": "mkv avi nut",
    "ffvhuff": "avi",
    "huffyuv": "avi",
    "utvideo": "avi",
    "magicyuv": "avi",
    "gif": "gif",
    "apng": "apng",
    "png": "mov avi",
    "jpeg2000": "mov mkv",
    "qtrle": "mov",
    "rawvideo": "avi nut mkv",
    "h263": "3gp avi",
    "h263p": "avi",
    "flv": "flv",
    "flashsv2": "flv",
    "wmv1": "asf wmv",
    "wmv2": "wmv asf avi",
    "msmpeg4": "avi asf",
    "msmpeg4v2": "avi asf",
    "rv10": "rm",
    "cinepak": "avi mov",
    "snow": "avi nut",
    "svq1": "mov",
    "zmbv": "avi",
    "msvideo1": "avi",
}
_PIXELS = {
    "mjpeg": "yuvj420p", "prores_ks": "yuv422p10le", "prores_aw": "yuv422p10le",
    "dnxhd": "yuv422p", "cfhd": "yuv422p10le", "huffyuv": "yuv422p", "magicyuv": "gbrp",
    "gif": "rgb8", "apng": "rgb24", "png": "rgb24", "jpeg2000": "rgb24", "qtrle": "rgb24",
    "flashsv2": "bgr24", "cinepak": "rgb24", "svq1": "yuv410p", "zmbv": "bgr0",
    "msvideo1": "rgb555le",
}  # fmt: skip
_SIZES = {"h263": (176, 144), "h263p": (176, 144), "rv10": (176, 144), "dnxhd": (1280, 720)}
_OPTIONS = {
    "dnxhd": {"profile": "dnxhr_lb"},
    "snow": {"strict": "-2"},
    "libsvtav1": {"preset": "12"},
    "libvpx": {"deadline": "realtime", "cpu-used": "8"},
    "libvpx-vp9": {"deadline": "realtime", "cpu-used": "8"},
}
_SHAPES = {
    "b-frames": {"bf": "3", "g": "15"},
    "no-b-frames": {"bf": "0", "g": "15"},
    "one-gop": {"g": "1000"},
    "all-intra": {"g": "1"},
}


@pytest.mark.parametrize(
    ("codec", "suffix"),
    [
        pytest.param(codec, suffix, id=f"{codec}-{suffix}")
        for codec, suffixes in _CONTAINERS.items()
        for suffix in suffixes.split()
    ],
)
def test_every_codec_gives_the_frames_on_display(tmp_path: Path, codec: str, suffix: str) -> None:
    _can_write(codec)
    track = Track(
        codec=codec,
        pixel_format=_PIXELS.get(codec, "yuv420p"),
        picture=_counter_of(*_SIZES.get(codec, (128, 96))),
        options=_OPTIONS.get(codec, {}),
    )
    path = write_tracks(tmp_path / f"clip.{suffix}", track)
    _check(path, rate=1.0, wanted=[0, 10, 20])


@pytest.mark.parametrize(
    ("codec", "pixel_format", "suffix"),
    [
        ("rawvideo", "pal8", "avi"),
        ("rawvideo", "pal8", "mov"),
        ("rawvideo", "pal8", "nut"),
        ("rawvideo", "gray", "mov"),
        ("msrle", "pal8", "avi"),
        ("msrle", "pal8", "mov"),
        ("png", "pal8", "avi"),
        ("png", "pal8", "mov"),
        ("zmbv", "pal8", "avi"),
    ],
)
def test_video_with_a_palette_gives_the_frames_on_display(
    tmp_path: Path, codec: str, pixel_format: str, suffix: str
) -> None:
    """FFmpeg hands the palette of AVI and MOV out once, with the first packet after opening."""
    _can_write(codec)
    track = Track(codec=codec, pixel_format=pixel_format, options={"g": "10"})
    path = write_tracks(tmp_path / f"clip.{suffix}", track)
    _check(path, rate=1.0, wanted=[0, 10, 20])
    frames = open_decoder("pyav").frames(path, rate=1.0, start=2.0)
    assert [read_counter(frame) for batch in frames for _, frame in batch.frames()] == [20]


@pytest.mark.parametrize("rate", [0.5, 3.0])
@pytest.mark.parametrize("shape", _SHAPES)
@pytest.mark.parametrize(
    ("codec", "suffix"),
    [("libx264", "mp4"), ("libx264", "ts"), ("libx265", "mkv"), ("mpeg4", "avi"),
     ("mpeg2video", "ts"), ("libvpx-vp9", "webm")],
)  # fmt: skip
def test_every_shape_of_gop_gives_the_frames_on_display(
    tmp_path: Path, codec: str, suffix: str, shape: str, rate: float
) -> None:
    _can_write(codec)
    options = {**_OPTIONS.get(codec, {}), **_SHAPES[shape]}
    if codec == "libvpx-vp9":
        options.pop("bf", None)  # VP9 has none; its hidden frames do their work
    elif codec == "libx265":
        frames = f"bframes={options.pop('bf', 3)}:keyint={options['g']}:min-keyint=1"
        options["x265-params"] = f"log-level=none:{frames}"
    elif codec in ("mpeg4", "mpeg2video"):
        options["bf"] = str(min(int(options.get("bf", 0)), 2))
        options["g"] = str(min(int(options["g"]), 600))
    track = Track(codec=codec, options=options, frames=45)
    path = write_tracks(tmp_path / f"clip.{suffix}", track)
    points = [point / rate for point in range(int(4.5 * rate) + 1) if point / rate < 4.5]
    _check(path, rate=rate, wanted=[int(point * 10 + 1e-6) for point in points])


def _check(path: Path, *, rate: float, wanted: list[int]) -> None:
    stream = open_decoder("pyav").frames(path, rate=rate)
    batches = list(stream)
    numbers = [read_counter(frame) for batch in batches for _, frame in batch.frames()]
    times = np.concatenate([batch.pts_seconds for batch in batches])
    assert numbers == wanted
    np.testing.assert_allclose(times, np.array(wanted) / 10, atol=_ERROR)
    frames = 30 if rate == 1 else 45
    assert stream.summary.end_seconds == pytest.approx(frames / 10, abs=5e-3)
    assert stream.summary.damaged == 0


def _counter_of(width: int, height: int) -> Callable[[int], NDArray[np.uint8]]:
    return lambda number: counter_frame(number, width=width, height=height)


def _can_write(codec: str) -> Any:
    try:
        return av.Codec(codec, "w")
    except ValueError:
        pytest.skip(f"this PyAV does not write {codec}")
