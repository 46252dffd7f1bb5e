"""Planned frames are the frames of a decoder that skips nothing, byte for byte, in every codec."""

from __future__ import annotations

import dataclasses
import functools
import json
import logging
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from tests.programs import ffmpeg, ffprobe

from vidsearch.media import open_decoder
from vidsearch.media.frames import Sampling
from vidsearch.media.pyav.container import opened
from vidsearch.testing.clips import moving_frame, write_clip
from vidsearch.testing.frame_range_contract import assert_ranges_add_up
from vidsearch.testing.notebook import cv2_frames, notebook_frames

av = pytest.importorskip("av")

_RATE = 25
_EVEN = [Fraction(i, _RATE) for i in range(90)]
_UNEVEN = [Fraction(int(t), 1000) for t in np.cumsum([*([20, 90, 33, 50, 7, 41] * 15)])]
_NTSC = [Fraction(i * 1001, 30_000) for i in range(110)]


@dataclasses.dataclass(frozen=True)
class Clip:
    """How a clip is written, and what is true of it."""

    name: str
    codec: str = "libx264"
    options: Mapping[str, str] = dataclasses.field(default_factory=dict)
    times: tuple[Fraction, ...] = tuple(_EVEN)
    rate: Fraction | int = _RATE
    pix_fmt: str = "yuv420p"
    reason: str | None = None
    """Why it is read front to back; ``None`` where the plan is carried out."""
    coarse: bool = False
    """Its unit of time is the frame."""
    displayed_width: int | None = None
    """Where pixels are not square."""
    opencv: bool = True
    """OpenCV gets it right. It has no AV1 without special hardware, and 5.0 draws interlaced frames
    from memory that was never written."""

    def write(self, folder: Path) -> Path:
        return write_clip(
            folder / self.name,
            self.times,
            picture=picture,
            codec=self.codec,
            rate=self.rate,
            pix_fmt=self.pix_fmt,
            # Some containers and codecs count frames and know no finer time.
            time_base=1 / Fraction(self.rate) if self.coarse else Fraction(1, 90_000),
            options=dict(self.options),
        )


@functools.cache
def picture(number: int) -> NDArray[np.uint8]:
    return moving_frame(number)


def x264(**options: str) -> dict[str, str]:
    return {"preset": "veryfast", "g": "12", "bf": "3", "sc_threshold": "0", **options}


def x265(parameters: str) -> dict[str, str]:
    return {
        "preset": "ultrafast",
        "x265-params": f"log-level=none:pools=1:rc-lookahead=12:{parameters}",
    }


def mpeg(bf: int = 2, g: int = 10) -> dict[str, str]:
    return {"bf": str(bf), "g": str(g), "b": "600k"}


REALTIME = {"g": "20", "deadline": "realtime", "cpu-used": "8"}
LAGGING = {"g": "20", "auto-alt-ref": "1", "lag-in-frames": "10", "cpu-used": "5"}
SVT = {"g": "20", "preset": "12", "svtav1-params": "lp=1"}
CLIPS = {
    "h264": Clip("c.mp4", options=x264()),
    "h264-mkv": Clip("c.mkv", options=x264()),
    "h264-ts": Clip("c.ts", options=x264()),
    "h264-without-b": Clip("c.mp4", options=x264(bf="0")),
    "h264-open-gop": Clip("c.mp4", options=x264(**{"x264-params": "open-gop=1"})),
    "h264-open-gop-ts": Clip("c.ts", options=x264(**{"x264-params": "open-gop=1"})),
    "h264-open-gop-pyramid": Clip(
        "c.mkv", options=x264(bf="7", **{"x264-params": "open-gop=1:b-pyramid=normal:ref=6"})
    ),
    "h264-strict-pyramid": Clip("c.mp4", options=x264(bf="5", **{"b-pyramid": "strict"})),
    "h264-one-gop": Clip("c.mp4", options=x264(g="9999")),
    "h264-all-intra": Clip("c.mp4", options=x264(g="1", bf="0")),
    "h264-medium": Clip("c.mp4", options={"preset": "medium"}),
    "h264-slower": Clip("c.mp4", options={"preset": "slower", "g": "30"}),
    "h264-zero-latency": Clip("c.mp4", options={"tune": "zerolatency", "preset": "ultrafast"}),
    "h264-variable": Clip("c.mp4", options=x264(), times=tuple(_UNEVEN)),
    "h264-variable-mkv": Clip("c.mkv", options=x264(), times=tuple(_UNEVEN)),
    "h264-ntsc": Clip("c.mp4", options=x264(), times=tuple(_NTSC), rate=Fraction(30_000, 1001)),
    "h264-10-bit": Clip("c.mp4", options=x264(), pix_fmt="yuv420p10le"),
    "h264-444": Clip("c.mp4", options=x264(), pix_fmt="yuv444p"),
    "h264-intra-refresh": Clip(
        "c.mp4",
        options=x264(**{"x264-params": "intra-refresh=1"}),
        reason="cannot start at a key frame",
    ),
    "h264-intra-refresh-ts": Clip(
        "c.ts",
        options=x264(**{"x264-params": "intra-refresh=1"}),
        reason="cannot start at a key frame",
    ),
    "h264-avi": Clip("c.avi", options=x264(), reason="AVI does not time", coarse=True),
    "mpeg2-avi": Clip("c.avi", "mpeg2video", mpeg(), coarse=True),
    "mpeg4-asf": Clip("c.asf", "mpeg4", mpeg(), coarse=True),
    "h264-flv": Clip("c.flv", options=x264()),
    # One thread: several do not write the same file each time.
    "h264-program": Clip(
        "c.vob", options=x264(threads="1"), reason="without time stamps", coarse=True
    ),
    "h264-raw": Clip("c.h264", options=x264(), reason="without time stamps"),
    "h264-interlaced": Clip("c.mp4", options=x264(**{"x264-params": "tff=1"}), opencv=False),
    "hevc": Clip("c.mp4", "libx265", x265("keyint=12:min-keyint=12:open-gop=0")),
    "hevc-open-gop": Clip("c.mp4", "libx265", x265("keyint=12:min-keyint=12:bframes=4")),
    "hevc-open-gop-ts": Clip("c.ts", "libx265", x265("keyint=12:min-keyint=12:bframes=4")),
    "hevc-pyramid": Clip("c.mkv", "libx265", x265("keyint=30:bframes=8:b-adapt=0:b-pyramid=1")),
    "hevc-without-b": Clip("c.mp4", "libx265", x265("keyint=25:bframes=0")),
    "hevc-layers": Clip(
        "c.mp4", "libx265", x265("keyint=24:bframes=7:b-adapt=0:temporal-layers=3")
    ),
    "hevc-10-bit": Clip("c.mp4", "libx265", x265("keyint=12"), pix_fmt="yuv420p10le"),
    "vp8": Clip("c.webm", "libvpx", REALTIME),
    "vp8-hidden-frames": Clip(
        "c.webm", "libvpx", {**LAGGING, "arnr-maxframes": "5"}, times=tuple(_EVEN[:50])
    ),
    "vp9": Clip("c.webm", "libvpx-vp9", REALTIME),
    "vp9-hidden-frames": Clip("c.webm", "libvpx-vp9", LAGGING, times=tuple(_EVEN[:50])),
    "av1": Clip("c.mkv", "libsvtav1", SVT, opencv=False),
    "av1-mp4": Clip("c.mp4", "libsvtav1", SVT, opencv=False),
    "mpeg4": Clip("c.mp4", "mpeg4", mpeg(), coarse=True),
    "mpeg4-mkv": Clip("c.mkv", "mpeg4", mpeg(), coarse=True),
    "mpeg4-avi": Clip("c.avi", "mpeg4", mpeg(), coarse=True),
    "mpeg4-avi-without-b": Clip("c.avi", "mpeg4", mpeg(bf=0), coarse=True),
    "mpeg2": Clip("c.ts", "mpeg2video", mpeg(), coarse=True),
    "mpeg2-mkv": Clip("c.mkv", "mpeg2video", mpeg(), coarse=True),
    "mpeg2-program": Clip("c.mpg", "mpeg2video", mpeg(), coarse=True),
    "mpeg2-interlaced": Clip(
        "c.ts", "mpeg2video", {**mpeg(), "flags": "+ildct+ilme"}, coarse=True, opencv=False
    ),
    "mpeg1": Clip("c.mkv", "mpeg1video", mpeg(), coarse=True),
    "mjpeg": Clip("c.avi", "mjpeg", pix_fmt="yuvj420p", coarse=True),
    "mjpeg-mkv": Clip("c.mkv", "mjpeg", pix_fmt="yuvj420p", coarse=True),
    "prores": Clip("c.mov", "prores_ks", pix_fmt="yuv422p10le"),
    "ffv1": Clip("c.mkv", "ffv1", {"g": "1"}),
    "ffv1-groups": Clip("c.mkv", "ffv1", {"g": "10"}),
    "huffyuv": Clip("c.avi", "huffyuv", pix_fmt="yuv422p", coarse=True),
    "utvideo": Clip("c.avi", "utvideo", coarse=True),
    "png": Clip("c.mov", "png", pix_fmt="rgb24"),
    "qtrle": Clip("c.mov", "qtrle", {"g": "10"}, pix_fmt="rgb24"),
    "gif": Clip("c.gif", "gif", pix_fmt="rgb8"),
    "flv": Clip("c.flv", "flv", {"g": "12"}),
    "h263": Clip("c.3gp", "h263", {"g": "12"}, displayed_width=192),
    "wmv": Clip("c.asf", "wmv2", {"g": "12"}),
    "msmpeg4": Clip("c.avi", "msmpeg4v2", {"g": "12"}, coarse=True),
    "svq1": Clip("c.mov", "svq1", {"g": "12"}, pix_fmt="yuv410p"),
}


@pytest.fixture(scope="module", params=CLIPS)
def clip(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Clip, Path]:
    described = CLIPS[request.param]
    return described, described.write(tmp_path_factory.mktemp("clip"))


def taken(name: str, path: Path, **settings) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    stream = open_decoder(name).frames(path, **settings)
    batches = list(stream)
    assert stream.summary.damaged == 0
    return (
        np.array([frame for batch in batches for _, frame in batch.frames()]),
        np.concatenate([batch.pts_seconds for batch in batches]),
    )


def everything(path: Path) -> tuple[list[float | None], list[NDArray[np.uint8]]]:
    """All frames by PyAV, one after the other, as anyone would decode them."""
    times, pictures = [], []
    with opened(path) as video:
        draw = video.pictures()
        for frame in video.container.decode(video.stream):
            times.append(None if frame.pts is None else float(frame.pts * frame.time_base))
            pictures.append(draw.to_rgb(frame))
    return times, pictures


@pytest.mark.parametrize("rate", [1.0, 3.7])
def test_planned_frames_equal_those_of_plain_decoding(
    clip: tuple[Clip, Path], caplog: pytest.LogCaptureFixture, rate: float
) -> None:
    described, path = clip
    with caplog.at_level(logging.INFO, logger="vidsearch"):
        frames, seconds = taken("pyav", path, rate=rate)
    if described.reason is None:
        assert not caplog.messages
    else:
        assert described.reason in caplog.text
    stamps, pictures = everything(path)
    assert len(pictures) == len(described.times)
    if None in stamps or stamps != sorted(stamps):
        stamps = [float(time) for time in described.times]
    own = np.array(stamps) - stamps[0]
    at = np.arange(len(frames)) / rate
    shown = np.searchsorted(own, at + 1e-6, side="right") - 1
    np.testing.assert_allclose(seconds, own[shown], atol=1.1e-3)
    for frame, number in zip(frames, shown, strict=True):
        np.testing.assert_array_equal(frame, pictures[number])


def test_both_decoders_give_the_frames_of_a_plain_cv2_loop(clip: tuple[Clip, Path]) -> None:
    described, path = clip
    if not described.opencv:
        pytest.skip("OpenCV gets this one wrong or not at all, see the table")
    pictures = cv2_frames(path)
    if described.displayed_width is not None:
        size = (described.displayed_width, pictures[0].shape[0])
        pictures = [np.asarray(Image.fromarray(picture).resize(size)) for picture in pictures]
    assert len(pictures) == len(described.times)
    own = np.array([float(time - described.times[0]) for time in described.times])
    for decoder in ("pyav", "opencv"):
        frames, seconds = taken(decoder, path, rate=2.3)
        shown = np.searchsorted(own, np.arange(len(frames)) / 2.3 + 1e-6, side="right") - 1
        np.testing.assert_allclose(seconds, own[shown], atol=2.1e-3)
        for frame, number in zip(frames, shown, strict=True):
            np.testing.assert_array_equal(frame, pictures[number])


def test_both_decoders_give_the_same_frames(clip: tuple[Clip, Path]) -> None:
    described, path = clip
    if not described.opencv:
        pytest.skip("OpenCV gets this one wrong or not at all, see the table")
    for settings in ({"rate": 2.3}, {"sampling": "notebook"}):
        frames, seconds = taken("pyav", path, **settings)
        reference, their_seconds = taken("opencv", path, **settings)
        np.testing.assert_allclose(seconds, their_seconds, atol=2.1e-3)
        np.testing.assert_array_equal(frames, reference)


@pytest.mark.parametrize("settings", [{"rate": 3.7}, {"rate": 2.0, "sampling": "notebook"}])
def test_ranges_add_up_to_the_whole_video(
    clip: tuple[Clip, Path], settings: Mapping[str, Any]
) -> None:
    assert_ranges_add_up(open_decoder("pyav"), clip[1], **settings)


@pytest.mark.parametrize(
    "name",
    ["h264", "h264-mkv", "h264-without-b", "h264-medium", "h264-ntsc", "hevc", "vp9", "mpeg4"],
)
@pytest.mark.parametrize("rate", [1.0, 2.0])
def test_the_notebook_sampling_gives_the_frames_of_the_notebook(
    tmp_path: Path, name: str, rate: float
) -> None:
    path = CLIPS[name].write(tmp_path)
    expected = np.stack(notebook_frames(path, rate=rate))
    for decoder in ("pyav", "opencv"):
        frames, _ = taken(decoder, path, rate=rate, sampling="notebook")
        np.testing.assert_array_equal(frames, expected)


TIMED = {
    "29.97": ("c.mp4", tuple(_NTSC), Fraction(30_000, 1001)),
    "29.97-mkv": ("c.mkv", tuple(_NTSC), Fraction(30_000, 1001)),
    "variable": ("c.mp4", tuple(_UNEVEN), _RATE),
    "variable-mkv": ("c.mkv", tuple(_UNEVEN), _RATE),
    "variable-ts": ("c.ts", tuple(_UNEVEN), _RATE),
    "begins-late": ("c.mp4", tuple(time + 7 for time in _EVEN), _RATE),
    "begins-late-ts": ("c.ts", tuple(time + 7 for time in _EVEN), _RATE),
    "begins-late-mkv": ("c.mkv", tuple(time + 7 for time in _EVEN), _RATE),
    "begins-early": ("c.mkv", tuple(time - Fraction(3, 2) for time in _EVEN), _RATE),
    "begins-early-ts": ("c.ts", tuple(time - Fraction(3, 2) for time in _EVEN), _RATE),
}


@pytest.mark.parametrize("sampling", ["played-at", "notebook"])
@pytest.mark.parametrize("name", TIMED)
def test_times_equal_those_of_ffprobe(tmp_path: Path, name: str, sampling: Sampling) -> None:
    file, times, rate = TIMED[name]
    path = Clip(file, options=x264(), times=times, rate=rate).write(tmp_path)
    _compare_with_ffprobe(path, sampling=sampling)


@pytest.mark.parametrize("start", [0.0, 0.5, 0.97])
def test_an_edit_list_cuts_the_beginning_off(tmp_path: Path, start: float) -> None:
    """Frames before the cut are decoded, as others refer to them, and not shown."""
    whole = Clip("whole.mp4", options=x264(g="40")).write(tmp_path)
    path = tmp_path / "cut.mp4"
    ffmpeg("-ss", start, "-i", whole, "-c", "copy", path)
    _compare_with_ffprobe(path, sampling="played-at")
    _, pictures = everything(path)
    frames, _ = taken("pyav", path, rate=float(_RATE))
    np.testing.assert_array_equal(frames, np.stack(pictures))


def _compare_with_ffprobe(path: Path, *, sampling: Sampling) -> None:
    entries = ("-show_entries", "frame=best_effort_timestamp_time")
    said = json.loads(ffprobe("-select_streams", "v:0", "-of", "json", *entries, path))
    told = [float(frame["best_effort_timestamp_time"]) for frame in said["frames"]]
    own = np.array(told) - told[0]
    fps = open_decoder("opencv").probe(path).fps or 25  # where the header is senseless
    for decoder in ("pyav", "opencv"):
        _, seconds = taken(decoder, path, sampling=sampling)
        k = np.arange(len(seconds))
        shown = (
            k * int(fps)
            if sampling == "notebook"
            else np.searchsorted(own, k + 1e-6, side="right") - 1
        )
        assert len(k) >= int(own[-1]) or sampling == "notebook"
        np.testing.assert_allclose(seconds, own[shown], atol=1e-3)
