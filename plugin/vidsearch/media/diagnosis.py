"""Why a file does not open as a video, in words for the person who registered it."""

from __future__ import annotations

from pathlib import Path

from vidsearch.media.ffmpeg_reach import AV_OPTIONS
from vidsearch.media.lookalikes import HEAD_BYTES, lookalike
from vidsearch.media.mp4_boxes import (
    has_external_data,
    is_encrypted,
    is_mp4,
    is_still_picture,
    lacks_index,
)
from vidsearch.media.streams import what_is_in

__all__ = ["ENCRYPTED", "why_refused", "why_not_a_video"]

ENCRYPTED = "is encrypted (DRM); register a copy without copy protection"
"""The rest of a sentence that begins with the file's name."""

_STILL = "is a still picture (HEIF or AVIF), not a video"
_NO_INDEX = (
    "is an MP4 or MOV without its index (moov): the recording or the upload broke off "
    "before the end, where the index is written"
)


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
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
        if is_still_picture(path):
            return _STILL
        if lacks_index(path):
            return _NO_INDEX
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    return lookalike(head) or _what_ffmpeg_says(path)


def why_refused(path: Path) -> str | None:
    """Why a file that opens must not be decoded; the rest of a sentence, or ``None``.

    FFmpeg would take what is encrypted for damaged, and show the noise that decodes.
    """
    try:
        if not is_mp4(path):
            return None
        if is_still_picture(path):
            return _STILL
        if is_encrypted(path):
            return ENCRYPTED
        if has_external_data(path):
            return "keeps its pictures in another file (a reference movie), which is never followed"
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    return None


def _what_ffmpeg_says(path: Path) -> str:
    try:
        import av
    except ImportError:
        return "cannot be opened as a video"
    try:
        with av.open(
            str(path.absolute()), options=dict(AV_OPTIONS), metadata_errors="replace"
        ) as container:
            return what_is_in(container)
    except av.error.ArgumentError:  # not on the list of formats
        return "is in a format that is not read as video"
    except (av.FFmpegError, OSError) as error:
        return f"is not a readable video: {error.strerror}"
