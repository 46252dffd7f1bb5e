"""Find the cuts of a video with PySceneDetect."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vidsearch.errors import MissingExtraError, NoFramesError
from vidsearch.media.display import refuse_too_long, refuse_too_many_pixels
from vidsearch.media.frames import MediaLimits
from vidsearch.media.pyav.container import Video, opened
from vidsearch.media.pyav.damage import Damage
from vidsearch.media.pyav.frame_times import FrameTimes
from vidsearch.media.pyav.packets import PacketIndex, read_packets
from vidsearch.media.pyav.sequential import FrontToBack

__all__ = ["find_shots", "require_shots"]

_LONGER_SIDE = 256
"""Pixels; PySceneDetect's own reader scales pictures down to such a width."""
_LEAST_SECONDS = 0.5
"""Between two cuts."""
_FALLBACK_FPS = 25
_TICKS = 1_000_000


def require_shots() -> None:
    """Say before a video is read that its cuts could not be found.

    Raises:
        MissingExtraError: PySceneDetect is not installed.
    """
    if find_spec("scenedetect") is None:
        raise MissingExtraError.of("shots", needed_for="finding cuts")


def find_shots(path: Path, *, limits: MediaLimits, threads: int = 1) -> tuple[float, ...]:
    """Times of the cuts: of the first frame of each shot but the first.

    PySceneDetect's ``AdaptiveDetector`` compares the colours of each frame with those of the one
    before, relative to how much they change anyway (so that a moving camera is no cut). Its frames
    are decoded here, one at a time and scaled down; all are, as a cut may be anywhere.

    Args:
        path: of the file.
        limits: on its length and pixels.
        threads: of the decoder.

    Returns:
        Seconds, as a player counts; ascending, without that of the first frame.

    Raises:
        MissingExtraError: PySceneDetect (``shots``) or PyAV (``worker``) is not installed.
        SourceNotFoundError: no file there.
        VideoOpenError: not a readable video.
        VideoTooLargeError: beyond the limits.
        NoFramesError: not one frame decodes. Frames that show damage are passed over.
    """
    require_shots()
    from scenedetect.common import FrameTimecode, Timecode
    from scenedetect.detectors import AdaptiveDetector

    detector = AdaptiveDetector(min_scene_len=_LEAST_SECONDS)
    cuts: list[float] = []
    with opened(path) as video:
        refuse_too_long(video.name, video.promised, limits)
        refuse_too_many_pixels(video.name, *video.coded_size, limits)
        index = read_packets(video)
    with opened(path) as video:
        rate = Fraction(video.fps or _FALLBACK_FPS).limit_denominator(1001)
        for seconds, picture in _pictures(video, index, limits=limits, threads=threads):
            time = FrameTimecode(Timecode(round(seconds * _TICKS), Fraction(1, _TICKS)), fps=rate)
            cuts += [cut.seconds for cut in detector.process_frame(time, picture)]
    return tuple(cuts)


def _pictures(
    video: Video, index: PacketIndex, *, limits: MediaLimits, threads: int
) -> Iterator[tuple[float, NDArray[np.uint8]]]:
    """The seconds at which each frame comes, and a small BGR picture of it,
    ``(height, width, 3)``."""
    pictures = video.pictures()
    size: tuple[int, int] | None = None  # one for all, also where the video's own changes
    last = -1.0
    times = FrameTimes.of(index)
    damage = Damage(video, index)
    stream = FrontToBack(video, times, damage=damage, limits=limits, threads=threads)
    seen = None
    for seen in stream:
        if seen.seconds <= last or not seen.is_trusted:
            continue  # it shares its time with the one before, or its damage would look like a cut
        last = seen.seconds
        refuse_too_long(video.name, last, limits)
        size = size or _small(seen.frame.width, seen.frame.height)
        yield last, pictures.small_bgr(seen.frame, width=size[0], height=size[1])
    if seen is None:
        raise NoFramesError(f"{video.name}: no frame of it decodes")


def _small(width: int, height: int) -> tuple[int, int]:
    share = min(1.0, _LONGER_SIDE / max(width, height))
    return max(2, round(width * share)), max(2, round(height * share))
