"""Which of a file's streams is the video, and what is said of a file that has none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.stream import VideoStream

__all__ = ["has_encryption_key", "is_picture", "select_stream", "why_no_video"]

_PICTURES = ("attached_pic", "timed_thumbnails", "still_image")
_PICTURE_CODECS = frozenset({"mjpeg", "png", "bmp", "tiff", "webp"})
_DEFAULT_WEIGHT = 5_000_000
"""Pixels that the mark "default" is worth, as in the ``ffmpeg`` command."""


def select_stream(container: InputContainer) -> VideoStream | None:
    """The video stream that is read; ``None`` without one that can be decoded.

    The rule is that of the ``ffmpeg`` command: the largest one by pixels, where one that the
    container marks as default counts as five million pixels larger; among equals the first. Cover
    art and thumbnails are never taken, and a track of JPEGs or PNGs, which may be cover art that
    is not marked, only where there is no other.
    """
    streams = [stream for stream in container.streams.video if not is_picture(stream)]
    return max(
        (stream for stream in streams if _area(stream)),
        key=lambda stream: (
            stream.codec_context.name not in _PICTURE_CODECS,
            _area(stream) + _DEFAULT_WEIGHT * _marked(stream, "default"),
        ),
        default=None,
    )


def has_encryption_key(stream: VideoStream) -> bool:
    """Whether the stream of a Matroska or WebM file is encrypted."""
    return "enc_key_id" in stream.metadata


def why_no_video(container: InputContainer) -> str:
    """Why a file that opened has no video; the rest of a sentence that begins with its name."""
    if any(not is_picture(stream) for stream in container.streams.video):
        form = container.format.long_name
        return (
            f"is {form} with a video stream that cannot be decoded: its codec is unknown here, or "
            f"the file is damaged or cut off before its first picture"
        )
    kinds = [_kind(stream) for stream in container.streams]
    return f"has no video stream, only {' and '.join(kinds) or 'an empty container'}"


def _kind(stream: Any) -> str:
    if stream.type == "video":
        return "a cover picture"
    if stream.type == "audio" and stream.codec_context is not None:
        return f"audio ({stream.codec_context.name})"
    return str(stream.type)


def is_picture(stream: Any) -> bool:
    """Whether a video stream is cover art or thumbnails."""
    return any(_marked(stream, name) for name in _PICTURES)


def _marked(stream: Any, name: str) -> bool:
    flag = getattr(type(stream.disposition), name, None)  # not every PyAV knows every mark
    return flag is not None and bool(stream.disposition & flag)


def _area(stream: Any) -> int:
    context = stream.codec_context  # None without a decoder
    return int(context.width * context.height) if context is not None else 0
