"""Clips with damage, and what decoders give of them."""

from __future__ import annotations

import functools
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.remuxing import Change, remuxed

from vidsearch.media import open_decoder
from vidsearch.media.frames import FrameSummary
from vidsearch.testing.clips import moving_frame, write_clip

av = pytest.importorskip("av")

__all__ = [
    "AV1",
    "Clip",
    "CLIPS",
    "H264",
    "HEVC",
    "MPEG",
    "MPEG2",
    "MPEG4",
    "NUMBERLESS",
    "POINTS",
    "RATE",
    "SECONDS",
    "STEP",
    "WRONG",
    "assert_costs",
    "difference",
    "everything",
    "gop_of",
    "intact",
    "read",
    "scribbled",
    "shortened",
    "x264",
]

_FIRST_CONTAINER = {"libvpx": ".webm", "libvpx-vp9": ".webm", "wmv2": ".asf", "flv": ".flv"}
"""What an encoder's packets are put into first; ``.mp4`` for others."""
RATE = 10
SECONDS = 8
GOP = 10
STEP = 1 / RATE
POINTS = 5.0
"""Sampling points per second."""
WRONG = 2.0
"""Mean levels of 255 by which a picture may differ from the undamaged one."""


@dataclass(frozen=True)
class Clip:
    """How a clip is encoded, and the container that its packets are then put into.

    The key frames of most clips are packets 0, 10, 20, …
    """

    name: str
    codec: str = "libx264"
    options: Mapping[str, str] = field(default_factory=dict)

    def write(self, folder: Path, change: Change = lambda _, data: data) -> Path:
        """Encode it, and copy its packets with changes."""
        suffix = _FIRST_CONTAINER.get(self.codec, ".mp4")
        if self.name.endswith(".ts") or (self.codec, self.name) == ("libx264", "c.avi"):
            suffix = Path(self.name).suffix  # a byte stream, unlike in MP4
        whole = folder / f"whole{suffix}"
        if not whole.exists():
            times = [Fraction(i, RATE) for i in range(RATE * SECONDS)]
            unit = Fraction(1, RATE if self.codec in {"mpeg4", "mpeg2video"} else 90_000)
            options = {"g": str(GOP), **self.options}
            write_clip(
                whole,
                times,
                picture=_picture,
                codec=self.codec,
                rate=RATE,
                time_base=unit,
                options=options,
            )
        return remuxed(whole, folder / self.name, change)


def x264(**options: str) -> dict[str, str]:
    return {"preset": "veryfast", "bf": "2", "sc_threshold": "0", **options}


_X265 = {
    "preset": "ultrafast",
    "x265-params": "log-level=none:pools=1:keyint=10:min-keyint=10:bframes=2:open-gop=0",
}
MPEG = {"bf": "2", "b": "600k"}
H264 = {
    "h264-mp4": Clip("c.mp4", options=x264()),
    "h264-mkv": Clip("c.mkv", options=x264()),
    "h264-ts": Clip("c.ts", options=x264()),
    "h264-flv": Clip("c.flv", options=x264()),
    "h264-slices": Clip("c.mp4", options=x264(coder="0", slices="4")),
    "h264-open-gop": Clip("c.mkv", options=x264(**{"x264-params": "open-gop=1"})),
    "h264-pyramid": Clip("c.mp4", options=x264(bf="5", **{"b-pyramid": "normal"})),
}
MPEG2 = {
    "mpeg2-ts": Clip("c.ts", "mpeg2video", MPEG),
    "mpeg2-mkv": Clip("c.mkv", "mpeg2video", MPEG),
}
MPEG4 = {
    "mpeg4-mp4": Clip("c.mp4", "mpeg4", MPEG),
    "mpeg4-avi": Clip("c.avi", "mpeg4", {"b": "600k"}),
}
HEVC = {
    "hevc-mp4": Clip("c.mp4", "libx265", _X265),
    "hevc-mkv": Clip("c.mkv", "libx265", _X265),
    "hevc-ts": Clip("c.ts", "libx265", _X265),
    "hevc-open-gop": Clip(
        "c.mp4",
        "libx265",
        {**_X265, "x265-params": _X265["x265-params"].replace("open-gop=0", "open-gop=1")},
    ),
}
_FAST = {"deadline": "realtime", "cpu-used": "8"}
VPX = {
    "vp8": Clip("c.webm", "libvpx", _FAST),
    "vp9": Clip("c.webm", "libvpx-vp9", _FAST),
    "vp9-mp4": Clip("c.mp4", "libvpx-vp9", _FAST),
}


@functools.cache
def _picture(number: int) -> NDArray[np.uint8]:
    return moving_frame(number)


def scribbled(*numbers: int) -> Change:
    """Overwrite a third of the packets."""

    def change(number: int, data: bytes) -> bytes:
        if number not in numbers:
            return data
        begin, end = len(data) // 3, 2 * len(data) // 3
        return data[:begin] + random.Random(number).randbytes(end - begin) + data[end:]

    return change


def shortened(*numbers: int) -> Change:
    return lambda number, data: data[: len(data) // 2] if number in numbers else data


def read(
    path: Path, decoder: str = "pyav", **settings: Any
) -> tuple[dict[float, NDArray[np.uint8]], FrameSummary]:
    frames = open_decoder(decoder, max_damaged=1.0).frames(path, rate=POINTS, **settings)
    pictures = {round(time, 1): picture for batch in frames for time, picture in batch.frames()}
    return pictures, frames.summary


def assert_costs(
    path: Path, whole: Path, gop: tuple[float, float], *, decoder: str = "pyav"
) -> None:
    """All points are given but those of a GOP, and show what they should.

    Its first frame may be missing, so that the one before stays on display. B-frames before it
    depend on it.
    """
    clean = everything(whole)
    begin, end = gop
    points = [k / POINTS for k in range(int(SECONDS * POINTS))]
    pictures, summary = read(path, decoder)
    assert summary.points == len(points)
    assert summary.damaged == summary.points - len(pictures)
    for point in points:
        if begin + STEP <= point < end:
            assert point not in pictures
        elif not begin - 3 * STEP < point < end:
            assert point in pictures
    for time, picture in pictures.items():
        assert difference(picture, clean[time]) < WRONG, time


def everything(path: Path) -> dict[float, NDArray[np.uint8]]:
    """All frames of an intact clip by their times."""
    (batch,) = open_decoder("pyav").frames(path, rate=RATE, batch_size=RATE * SECONDS)
    return {round(time, 1): picture for time, picture in batch.frames()}


def difference(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    return float(np.abs(one.astype(int) - other.astype(int)).mean())


INTRA = {"h264-intra-ts": Clip("c.ts", options={**x264(), "g": "1"})}
CLIPS = H264 | INTRA | MPEG2 | MPEG4 | HEVC | VPX
NUMBERLESS = VPX | {
    "mpeg4-mp4": MPEG4["mpeg4-mp4"],
    "mpeg4-mkv": Clip("c.mkv", "mpeg4", MPEG),
}
"""Clips whose frames bear no numbers."""


_SVT = {"preset": "12", "svtav1-params": f"lp=1:keyint={GOP}"}
AV1 = {
    "av1-mkv": Clip("c.mkv", "libsvtav1", _SVT),
    "av1-mp4": Clip("c.mp4", "libsvtav1", _SVT),
}


def intact(name: str, folder: Path) -> tuple[Clip, Path, list[int]]:
    """A clip, its file, and which packets are key frames."""
    clip = (CLIPS | NUMBERLESS)[name]
    path = clip.write(folder).rename(folder / f"intact-{clip.name}")
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    return clip, path, [number for number, packet in enumerate(packets) if packet.is_keyframe]


def gop_of(path: Path, number: int) -> tuple[float, float]:
    """When a GOP begins and ends, in seconds from the first frame."""
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    first = min(packet.pts for packet in packets)
    times = [float((p.pts - first) * p.time_base) for p in packets if p.is_keyframe]
    return round(times[number], 1), round(times[number + 1], 1)
