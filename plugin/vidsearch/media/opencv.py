"""The decoder on OpenCV: reads a file once, front to back, and never seeks."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vidsearch.errors import NoFramesError
from vidsearch.media.capture import opened
from vidsearch.media.frames import FrameBatch, VideoInfo

__all__ = ["OpenCvDecoder"]

_EPSILON = 1e-6
"""Seconds; OpenCV's milliseconds are doubles with a rounding error."""
_END_TOLERANCE = 1e-3
"""Seconds; Matroska rounds time stamps to milliseconds, which must not add a frame at the end."""
_LOOKAHEAD_FRAMES = 3

_Held = tuple[float, "NDArray[np.uint8] | None"]


class OpenCvDecoder:
    """Reads with ``cv2.VideoCapture`` on FFmpeg, with one decoding thread per file.

    Times count from the stream's start, whatever time stamp it begins with. Rotation metadata is
    applied; transparency is dropped. What decodes of a damaged stream is used.
    """

    name = "opencv"

    def probe(self, path: Path) -> VideoInfo:
        """See :class:`~vidsearch.media.frames.Decoder`. No frame is decoded."""
        with opened(path) as capture:
            return capture.info

    def frames(
        self, path: Path, *, rate: float = 1.0, batch_size: int = 16
    ) -> Iterator[FrameBatch]:
        """See :class:`~vidsearch.media.frames.Decoder`.

        A batch is shorter than ``batch_size`` at the end of the stream, and where the picture
        size changes within it. The last batch knows the stream's true end (``end_seconds``).

        Raises:
            ValueError: ``rate`` or ``batch_size`` is not positive.
        """
        if not rate > 0 or batch_size < 1:
            raise ValueError(f"rate and batch_size must be positive, not {rate} and {batch_size}")
        return _batches(path, rate=rate, batch_size=batch_size)


def _batches(path: Path, *, rate: float, batch_size: int) -> Iterator[FrameBatch]:
    times: list[float] = []
    data = np.empty((0, 0, 0, 3), dtype=np.uint8)
    sampler = _Sampler(path, rate=rate)
    for pts, image in sampler:
        if times and (len(times) == batch_size or data.shape[1:] != image.shape):
            yield FrameBatch(data=data[: len(times)], pts_seconds=np.array(times))
            times.clear()
        if not times:
            data = np.empty((batch_size, *image.shape), dtype=np.uint8)
        data[len(times)] = image
        times.append(pts)
    yield FrameBatch(
        data=data[: len(times)], pts_seconds=np.array(times), end_seconds=sampler.end_seconds
    )


class _TooSparseError(Exception):
    """A frame stayed on display for longer than was looked ahead."""


class _Sampler:
    """Iterates over ``(pts, image)`` of the frame on display at ``k / rate``, k = 0, 1, …"""

    def __init__(self, path: Path, *, rate: float) -> None:
        self._path = path
        self._rate = rate
        self._done = 0
        """Sampling points that are behind us."""
        self.end_seconds = 0.0

    def __iter__(self) -> Iterator[tuple[float, NDArray[np.uint8]]]:
        try:
            yield from self._read(convert_all=False)
        except _TooSparseError:
            # Rare (slide shows, screen recordings): read once more and convert every frame.
            yield from self._read(convert_all=True)

    def _read(self, *, convert_all: bool) -> Iterator[tuple[float, NDArray[np.uint8]]]:
        # Which frame is on display at a point is known only once the next one has been read, and
        # OpenCV converts the current frame only. Converting every frame costs up to as much as
        # decoding it, so only those shortly before a point are.
        held: _Held | None = None
        begin = 0.0
        with opened(self._path) as capture:
            ahead = math.inf if convert_all else _LOOKAHEAD_FRAMES * capture.step
            while capture.read():
                if held is None:
                    # A damaged beginning: points that no frame can be on display at are left out.
                    self._done = max(self._done, math.floor(capture.pts * self._rate + _EPSILON))
                    begin = self._done / self._rate
                else:
                    yield from self._shown(held, until=capture.pts)
                wanted = capture.pts + ahead > self._done / self._rate
                image = capture.image() if wanted else None
                if image is not None or not wanted:
                    held = (capture.pts, image)
                # else: decoded but not convertible, so the frame before stays on display
            if held is None:
                raise NoFramesError(capture.no_frames_message())
            self.end_seconds = max(capture.pts + capture.step, held[0])
            # However short it is, a clip has one frame.
            until = max(self.end_seconds - _END_TOLERANCE, begin + 2 * _EPSILON)
            yield from self._shown(held, until=until)

    def _shown(self, held: _Held, *, until: float) -> Iterator[tuple[float, NDArray[np.uint8]]]:
        pts, image = held
        while self._done / self._rate < until - _EPSILON:
            if image is None:
                raise _TooSparseError
            self._done += 1
            yield pts, image
