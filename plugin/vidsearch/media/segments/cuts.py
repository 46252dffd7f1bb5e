"""Find the cuts of a video with PySceneDetect."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vidsearch.errors import MissingExtra, NoFramesError, VideoTooLarge
from vidsearch.media.frames import MediaLimits
from vidsearch.media.pyav.container import Video, opened

if TYPE_CHECKING:
    import av

__all__ = ["find_shots"]

_LONGER_SIDE = 256
"""Pixels; PySceneDetect's own reader scales pictures down to such a width."""
_LEAST_SECONDS = 0.5
"""Between two cuts."""
_FALLBACK_FPS = 25
_TICKS = 1_000_000


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
        Seconds from the first frame, ascending, without 0.

    Raises:
        MissingExtra: PySceneDetect (``shots``) or PyAV (``worker``) is not installed.
        VideoNotFound: no file there.
        VideoOpenError: not a readable video.
        VideoTooLarge: beyond the limits.
        NoFramesError: not one frame decodes.
    """
    try:
        from scenedetect.common import FrameTimecode, Timecode
        from scenedetect.detectors import AdaptiveDetector
    except ImportError as error:
        raise MissingExtra.of("shots", needed_for="finding cuts") from error

    detector = AdaptiveDetector(min_scene_len=_LEAST_SECONDS)
    cuts: list[float] = []
    with opened(path) as video:
        video.stream.codec_context.thread_count = threads
        rate = Fraction(video.fps or _FALLBACK_FPS).limit_denominator(1001)
        seconds = None
        for seconds, picture in _pictures(video, limits=limits):
            time = FrameTimecode(Timecode(round(seconds * _TICKS), Fraction(1, _TICKS)), fps=rate)
            cuts += [cut.seconds for cut in detector.process_frame(time, picture)]
        if seconds is None:
            raise NoFramesError(f"{video.name}: no frame of it decodes")
    return tuple(cuts)


def _pictures(video: Video, *, limits: MediaLimits) -> Iterator[tuple[float, Any]]:
    """Seconds since the first frame and a small BGR picture ``(height, width, 3)`` of each."""
    from av.video.reformatter import VideoReformatter

    reformatter = VideoReformatter()
    begin = last = 0.0
    size: tuple[int, int] | None = None
    for number, frame in enumerate(_frames(video)):
        time = frame.time if frame.time is not None else number / (video.fps or _FALLBACK_FPS)
        if frame.width * frame.height > limits.max_pixels:
            raise VideoTooLarge(
                f"{video.name} has pictures of {frame.width}x{frame.height}, more than "
                f"sources.max_pixels ({limits.max_pixels}) allows"
            )
        if size is None:
            begin, size = time, _small(frame.width, frame.height)
        elif time - begin <= last:
            continue  # a time stamp that goes back
        last = time - begin
        if last > limits.max_seconds:
            raise VideoTooLarge(
                f"{video.name} is longer than sources.max_seconds ({limits.max_seconds:g}) allows"
            )
        small = reformatter.reformat(
            frame, width=size[0], height=size[1], format="bgr24", interpolation="AREA", threads=1
        )
        yield last, small.to_ndarray()


def _frames(video: Video) -> Iterator[av.VideoFrame]:
    import av

    for packet in video.container.demux(video.stream):
        try:
            yield from packet.decode()
        except av.FFmpegError:
            continue  # damaged: what does decode is compared


def _small(width: int, height: int) -> tuple[int, int]:
    share = min(1.0, _LONGER_SIDE / max(width, height))
    return max(2, round(width * share)), max(2, round(height * share))
