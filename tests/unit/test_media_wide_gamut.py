"""HDR and wide gamuts become SDR as OpenCV makes them, and cost their table once."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from vidsearch.config import IngestSettings
from vidsearch.media import open_reader
from vidsearch.media.frames import DEFAULT_LIMITS
from vidsearch.media.pyav import wide_gamut
from vidsearch.media.pyav.container import opened
from vidsearch.testing.notebook import cv2_frames
from vidsearch.testing.odd_clips import Track, write_tracks

av = pytest.importorskip("av")
cv2 = pytest.importorskip("cv2")

pytestmark = pytest.mark.skipif(
    int(av.__version__.split(".")[0]) < 18 or int(cv2.__version__.split(".")[0]) < 5,
    reason="older PyAV writes no such tags, and older OpenCV converts no HDR",
)

PQ = {"color_trc": 16, "color_primaries": 9, "colorspace": 9}
HLG = {"color_trc": 18, "color_primaries": 9, "colorspace": 9}
BT2020 = {"color_trc": 1, "color_primaries": 9, "colorspace": 9}
_BT2020_DISPLAY = "G(8500,39850)B(6550,2300)R(35400,14600)WP(15635,16450)"
_P3_DISPLAY = "G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)"


def write(
    path: Path, tags: Mapping[str, int], *, size: tuple[int, int] = (64, 48), **track: Any
) -> Path:
    """Two frames of coloured noise."""
    width, height = size
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    track = {"codec": "libx264", "pixel_format": "yuv420p10le", "picture": lambda _: noise, **track}
    return write_tracks(path, Track(frames=2, tags=tags, **track))


def x265(parameters: str) -> dict[str, Any]:
    options = {"x265-params": f"log-level=none:bframes=0:{parameters}"}
    return {"codec": "libx265", "options": options}


def pictures(path: Path) -> list[NDArray[np.uint8]]:
    with opened(path) as video:
        draw = video.pictures()
        return [draw.to_rgb(frame) for frame in video.container.decode(video.stream)]


@pytest.mark.parametrize(
    ("name", "tags", "track"),
    [
        ("c.mkv", PQ, {"codec": "ffv1", "pixel_format": "yuv422p10le", "size": (67, 49)}),
        ("c.mp4", PQ, x265(f"hdr10=1:max-cll=900,300:master-display={_P3_DISPLAY}L(10000000,50)")),
        ("c.ts", HLG, x265(f"hdr10=1:master-display={_P3_DISPLAY}L(10000000,500)")),
        ("c.mp4", BT2020, x265(f"hdr10=1:master-display={_BT2020_DISPLAY}L(10000000,50)")),
    ],
)  # fmt: skip
def test_the_pictures_are_those_of_opencv(
    tmp_path: Path, name: str, tags: dict[str, int], track: dict[str, Any]
) -> None:
    path = write(tmp_path / name, tags, **track)
    expected = cv2_frames(path)
    assert len(expected) == 2
    for picture, reference in zip(pictures(path), expected, strict=True):
        np.testing.assert_array_equal(picture, reference)


def test_a_mastering_display_leaves_bright_colours_bright(tmp_path: Path) -> None:
    """As nearly every HDR10 file names one."""
    white = {"picture": lambda _: np.full((48, 64, 3), 190, dtype=np.uint8)}
    plain = write(tmp_path / "plain.mp4", PQ, **white)
    display = x265(f"hdr10=1:master-display={_P3_DISPLAY}L(10000000,50)")
    named = write(tmp_path / "named.mp4", PQ, **white, **display)
    level = pictures(plain)[0].mean()
    assert level > 250
    assert abs(pictures(named)[0].mean() - level) < 3


@pytest.mark.parametrize("isolate", [False, True])
def test_the_second_hdr_video_of_a_process_is_read_at_once(tmp_path: Path, isolate: bool) -> None:
    videos = [write(tmp_path / f"{n}.mp4", HLG, size=(66, 50)) for n in range(3)]
    # Another kind in between takes nothing away.
    videos.insert(1, write(tmp_path / "other.mp4", PQ, size=(66, 50)))
    reader = open_reader(IngestSettings(isolate=isolate), limits=DEFAULT_LIMITS)
    seconds = []
    for video in videos:
        begin = time.perf_counter()
        assert sum(map(len, reader.frames(video))) == 1
        seconds.append(time.perf_counter() - begin)
    reader.close()
    assert min(seconds[2:]) < min(seconds[:2]) / 4, seconds


def test_cuts_of_hdr_are_looked_for_in_small_pictures_in_sdr(tmp_path: Path) -> None:
    colours = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    blocks = np.kron(colours, np.ones((16, 16, 1), dtype=np.uint8))
    path = write(tmp_path / "c.mp4", HLG, picture=lambda _: blocks, options={"qp": "1"})
    with opened(path) as video:
        draw = video.pictures()
        frame = next(video.container.decode(video.stream))
        small = draw.small_bgr(frame, width=32, height=24)
        whole = draw.to_rgb(frame)
    assert small.shape == (24, 32, 3)
    apart = small[2::4, 2::4].astype(int) - whole[8::16, 8::16, ::-1]
    assert np.abs(apart).mean() < 8


def test_converters_are_kept_up_to_a_number_of_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wide_gamut, "_KEPT_PIXELS", 64 * 64 + 32 * 32)
    kept = wide_gamut._Kept()
    for side, count in ((32, 1), (64, 2), (32, 2), (48, 2), (128, 1), (32, 1)):
        frame = av.VideoFrame(side, side, "yuv420p")
        assert kept.convert(frame, "flags=bicubic", mastering=b"").width == side
        assert len(kept._graphs) == count
