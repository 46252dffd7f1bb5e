"""Why a file does not open as a video, in words for the person who registered it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vidsearch.media.ffmpeg_reach import AV_OPTIONS

__all__ = ["why_not_a_video"]


def why_not_a_video(path: Path) -> str:
    """The rest of a sentence that begins with the file's name.

    OpenCV only says that it failed; PyAV, where it is installed, knows the reason.
    """
    if path.is_dir():
        return "is a folder, not a video"
    if not path.is_file():
        return "is not a regular file"
    try:
        if path.stat().st_size == 0:
            return "is empty (0 bytes)"
        with path.open("rb"):
            pass
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    try:
        import av
    except ImportError:
        return "cannot be opened as a video"
    try:
        with av.open(
            str(path.absolute()), options=dict(AV_OPTIONS), metadata_errors="replace"
        ) as container:
            return _why_not_this(container)
    except av.FFmpegError as error:
        return f"is not a readable video: {error.strerror}"


def _why_not_this(container: Any) -> str:
    kinds = [
        f"{stream.type} ({stream.codec_context.name})" if stream.type == "audio" else stream.type
        for stream in container.streams
    ]
    if container.streams.video:
        return f"is {container.format.name} with a video stream that cannot be opened"
    return f"has no video stream, only {', '.join(kinds) or 'an empty container'}"
