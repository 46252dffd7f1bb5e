"""Whether a video in slices gets what it gets in one go, and encodings to find that out with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidsearch.embeddings import FrameEmbedder, SegmentPolicy, assemble
from vidsearch.embeddings.frame_vectors import FrameVectors
from vidsearch.encoders import Vectors
from vidsearch.ingest.slices import Slice, count_slices
from vidsearch.media import FrameBatch, MediaLimits
from vidsearch.media.direct_reader import DirectReader
from vidsearch.testing.clips import moving_frame, write_clip
from vidsearch.testing.fake_encoder import FakeEncoder

__all__ = ["ENCODINGS", "LEAST_COSINE", "Comparison", "compare_slices"]

LEAST_COSINE = 0.999999
_GRID = 8
_POLICIES = (SegmentPolicy(length=2.0), SegmentPolicy(method="semantic", length=2.0))

_TENTHS = [Fraction(i, 10) for i in range(100)]
_PAL = {
    "rate": 25,
    "time_base": Fraction(1, 25),
    "times": [Fraction(i, 25) for i in range(250)],
}
_UNEVEN = [Fraction(int(x), 1000) for x in np.cumsum([*([20, 190, 33, 150, 7, 241] * 15)])]


class _GridEncoder(FakeEncoder):
    """The mean colours of a grid of cells, so that no two frames of a clip have the same vector."""

    def __init__(self) -> None:
        super().__init__(dims=_GRID * _GRID * 3)

    def encode_frames(self, frames: FrameBatch) -> Vectors:
        return self._unit([_cells(frame) for frame in frames.data])


def _cells(frame: NDArray[np.uint8]) -> NDArray[np.float64]:
    rows, columns = (np.linspace(0, n, _GRID, endpoint=False).astype(int) for n in frame.shape[:2])
    sums = np.add.reduceat(np.add.reduceat(frame.astype(np.float64), rows, 0), columns, 1)
    counts = np.outer(np.diff([*rows, frame.shape[0]]), np.diff([*columns, frame.shape[1]]))
    # Less the mean: pictures of one brightness would otherwise all be alike.
    cells: NDArray[np.float64] = (sums / np.maximum(counts, 1)[..., None]).ravel()
    cells += 1.0 - cells.mean()
    return cells


@dataclass(frozen=True, slots=True)
class Comparison:
    """A video in slices against the same video in one go."""

    slices: int
    """At least two, where it is embedded in one go as well."""
    is_sliced: bool
    """Whether the product embeds it in slices: it can be read from its middle."""
    frames: int
    cosine: float
    """The least of a frame or segment with its counterpart."""
    differences: tuple[str, ...]
    """What is not the same."""


def compare_slices(path: Path, *, seconds: float) -> Comparison:
    """Embed the frames of a video both ways, and cut them into segments.

    Raises:
        VideoError: it cannot be read.
    """
    reader = DirectReader("pyav", limits=MediaLimits(), max_damaged=1.0)
    embedder = FrameEmbedder(reader, _GridEncoder())
    whole = embedder.embed(path)
    count = max(2, count_slices(reader.probe(path).duration, seconds=seconds))
    joined = FrameVectors.joined(
        [
            embedder.embed(path, start=one.start, stop=one.stop)
            for one in Slice.all_of("video", "content", count=count, seconds=seconds)
        ]
    )
    cosines, differences = [1.0], []
    for name in (
        "pts_seconds",
        "begin_seconds",
        "end_seconds",
        "damaged",
        "points",
        "width",
        "height",
    ):
        one, other = getattr(joined, name), getattr(whole, name)
        if not np.array_equal(one, other):
            differences.append(f"{name}: {one} in place of {other}")
    if not differences:
        cosines += (joined.expanded() * whole.expanded()).sum(axis=1).tolist()
        for policy in _POLICIES:
            ours, theirs = (assemble(f, segments=policy).segments for f in (joined, whole))
            spans = [[(s.start, s.end) for s in segments] for segments in (ours, theirs)]
            if spans[0] != spans[1]:
                differences.append(f"{policy.method} segments: {spans[0]} in place of {spans[1]}")
            cosines += [float(a.vector @ b.vector) for a, b in zip(ours, theirs, strict=False)]
    if min(cosines) < LEAST_COSINE:
        differences.append(f"a cosine of {min(cosines):.7f}")
    return Comparison(count, reader.can_seek(path), len(whole), min(cosines), tuple(differences))


def _clip(suffix: str, codec: str, **given: Any) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        arguments: dict[str, Any] = {"rate": 10, "picture": _picture, **given}
        times = arguments.pop("times", _TENTHS)
        return write_clip(folder / f"clip.{suffix}", times, codec=codec, **arguments)

    return write


def _picture(number: int) -> NDArray[np.uint8]:
    return moving_frame(number, width=96, height=80)


def _options(**options: str) -> dict[str, Any]:
    return {"options": {"g": "17", **options}}


ENCODINGS: Mapping[str, Callable[[Path], Path]] = {
    "H.264 with B-frames, MP4": _clip("mp4", "libx264", **_options(bf="3")),
    "H.264 with open GOPs, MP4": _clip(
        "mp4", "libx264", **_options(bf="3", **{"x264-params": "open-gop=1"})
    ),
    "H.264 with open GOPs, MPEG-TS": _clip(
        "ts", "libx264", **_options(bf="3", **{"x264-params": "open-gop=1"})
    ),
    "H.264 of varying rate, Matroska": _clip("mkv", "libx264", times=_UNEVEN, **_options(bf="2")),
    "H.264 with one key frame, MP4": _clip("mp4", "libx264", **_options(g="1000", bf="2")),
    "H.264 that begins at 5 s, MPEG-TS": _clip(
        "ts", "libx264", times=[5 + time for time in _TENTHS], **_options(bf="2")
    ),
    "HEVC with B-frames, MP4": _clip(
        "mp4", "libx265", **_options(**{"x265-params": "log-level=none:bframes=3:open-gop=1"})
    ),
    "VP8, WebM": _clip("webm", "libvpx", **_options(deadline="realtime", **{"cpu-used": "8"})),
    "VP9 with hidden frames, WebM": _clip(
        "webm",
        "libvpx-vp9",
        **_options(deadline="good", **{"cpu-used": "5", "auto-alt-ref": "1", "lag-in-frames": "9"}),
    ),
    "AV1, Matroska": _clip("mkv", "libsvtav1", **_options(preset="12")),
    "MPEG-4 with B-frames, AVI": _clip(
        "avi", "mpeg4", time_base=Fraction(1, 10), **_options(bf="2")
    ),
    "MPEG-2 with B-frames, MPEG-TS": _clip("ts", "mpeg2video", **_PAL, **_options(bf="2")),
    "MPEG-2, program stream": _clip("mpg", "mpeg2video", **_PAL, **_options(bf="2")),
    "ProRes, QuickTime": _clip("mov", "prores_ks", pix_fmt="yuv422p10le"),
    "Motion JPEG, AVI": _clip("avi", "mjpeg", pix_fmt="yuvj420p"),
}
"""By name: what writes ten seconds into a folder."""
