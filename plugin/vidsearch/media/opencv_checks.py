"""What OpenCV would show wrongly or as noise without a word, found with PyAV before it may."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from vidsearch.errors import VideoOpenError
from vidsearch.media.pyav.container import Video, opened
from vidsearch.media.pyav.picture import is_exotic
from vidsearch.media.pyav.streams import is_picture

if TYPE_CHECKING:
    import av

__all__ = ["refuse_what_opencv_misreads"]

_log = logging.getLogger(__name__)
_PROGRESSIVE = (0, 1)
"""Field orders "unknown" and "progressive"."""
_INSTEAD = "set ingest.decoder to pyav"


def refuse_what_opencv_misreads(path: Path) -> None:
    """Call it before OpenCV opens the file.

    For interlaced frames and for colours that swscale refuses, OpenCV (4.14 and 5.0, not 4.10)
    hands out memory that nothing was written to; it takes cover art for a video, and decodes what
    is encrypted to noise. It reads the first video stream of several: where that is not the one
    that ought to be watched, a warning is logged.

    Raises:
        SourceNotFoundError: no file there.
        VideoOpenError: not a readable video, or one that OpenCV cannot show.
        MissingExtraError: PyAV is not installed.
    """
    with opened(path) as video:
        frame = video.first_frame()
        reason = _why_not(video, frame) if frame is not None else None
        if reason:
            raise VideoOpenError(f"{path.name} {reason}; {_INSTEAD}")
        first = next(each for each in video.container.streams.video if not is_picture(each))
        if first.index != video.stream.index:
            _log.warning(
                "%s has several video streams; OpenCV reads the first one, number %d, not the "
                "main one, number %d; %s to read that",
                path.name,
                first.index,
                video.stream.index,
                _INSTEAD,
            )


def _why_not(video: Video, frame: av.VideoFrame) -> str | None:
    order = getattr(video.stream.codec_context, "field_order", 0)  # since PyAV 18.1
    if frame.interlaced_frame or order not in _PROGRESSIVE:
        return "is interlaced, which OpenCV shows as noise"
    if is_exotic(frame):
        return "has colours that OpenCV shows as noise (neither RGB nor plain luma and chroma)"
    return None
