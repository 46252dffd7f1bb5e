"""What the worker and its decoding process say to each other.

A message is a JSON object after its length in four bytes. The header of a frame is followed by the
frame's raw pixels. Nothing is ever unpickled, and the worker takes nothing on trust: a codec that
was taken over by a video may say anything.

::

    worker                                    child
    setup                            →
                                     ←        ready | error
    {"do": "frames", "path": …}      →
                                     ←        {"log": …}, at any time
                                     ←        {"frame": …} and pixels, any number of times
                                     ←        {"held": …} where a frame shows the same picture
                                     ←        {"summary": …} after the last frame
                                     ←        done | error
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from vidsearch.errors import (
    ConfigError,
    DecoderFailedError,
    MissingExtraError,
    NoFramesError,
    SourceNotFoundError,
    SourceUnavailableError,
    VideoDamagedError,
    VideoError,
    VideoOpenError,
    VideoTooLargeError,
    VidsearchError,
)
from vidsearch.media.frames import FrameSummary

__all__ = [
    "LENGTH",
    "MOST_BYTES",
    "OUT_OF_MEMORY",
    "UNEXPECTED",
    "FrameHeader",
    "Message",
    "ProtocolError",
    "Setup",
    "error_from",
    "error_message",
    "held_of",
    "pack",
    "proper",
    "summary_message",
    "summary_of",
    "unpack",
]

Message = dict[str, Any]

LENGTH = struct.Struct("!I")
MOST_BYTES = 1 << 20
"""Of one message without pixels."""
OUT_OF_MEMORY = "OutOfMemory"
UNEXPECTED = "Unexpected"
"""An error of an unknown class; the message has a ``traceback``."""

_MOST_TEXT = 4000
_ENLARGED = 8
"""A picture as displayed may have more pixels than as coded, where these are not square."""
_CROSSING: dict[str, type[VidsearchError]] = {
    kind.__name__: kind
    for kind in (
        ConfigError,
        DecoderFailedError,
        MissingExtraError,
        NoFramesError,
        SourceUnavailableError,
        VideoDamagedError,
        VideoError,
        SourceNotFoundError,
        VideoOpenError,
        VideoTooLargeError,
    )
}


class ProtocolError(Exception):
    """The other side said something that it must not say."""


@contextmanager
def proper(otherwise: str) -> Iterator[None]:
    """Take a message apart in here.

    Raises:
        ProtocolError: its parts are missing or of the wrong type; ``otherwise`` is the message.
    """
    try:
        yield
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise ProtocolError(otherwise) from error


@dataclass(frozen=True, slots=True)
class Setup:
    """What the child is told first, and once."""

    decoder: str
    threads: int
    max_damaged: float
    max_seconds: float
    max_pixels: int
    megabytes: int
    """Of address space."""


@dataclass(frozen=True, slots=True)
class FrameHeader:
    """What stands before the pixels of a frame."""

    height: int
    width: int
    pts: float

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of the pixels, RGB."""
        return self.height, self.width, 3

    def to_message(self) -> Message:
        """For the pipe."""
        return {"frame": [self.height, self.width, self.pts]}

    @classmethod
    def of(cls, message: Message, *, max_pixels: int) -> FrameHeader:
        """Read one, believing nothing.

        Raises:
            ProtocolError: senseless numbers, or a picture beyond the limit.
        """
        with proper("a frame without a proper header"):
            height, width, pts = message["frame"]
            sensible = type(height) is type(width) is int and math.isfinite(pts)
        if not sensible or min(height, width) < 1:
            raise ProtocolError("a frame with senseless numbers")
        if height * width > _ENLARGED * max_pixels:
            raise ProtocolError(f"a frame of {width}x{height} pixels")
        return cls(height, width, float(pts))


def held_of(message: Message) -> float:
    """The time of a frame that shows the picture of the one before.

    Raises:
        ProtocolError: a senseless number.
    """
    with proper("a held frame without a proper time"):
        if math.isfinite(message["held"]):
            return float(message["held"])
    raise ProtocolError("a held frame with a senseless time")


def summary_message(summary: FrameSummary) -> Message:
    """What follows the last frame."""
    end, begin = summary.end_seconds, summary.begin_seconds
    return {"summary": [end, summary.damaged, summary.points, begin]}


def summary_of(message: Message) -> FrameSummary:
    """The summary in a message.

    Raises:
        ProtocolError: senseless numbers.
    """
    with proper("a summary without proper numbers"):
        end, damaged, points, begin = message["summary"]
        sensible = type(damaged) is type(points) is int and (end is None or math.isfinite(end))
        sensible = sensible and 0 <= begin < math.inf
    if not sensible or not 0 <= damaged <= points:
        raise ProtocolError("a summary with senseless numbers")
    return FrameSummary(None if end is None else float(end), damaged, points, float(begin))


def pack(message: Mapping[str, Any]) -> bytes:
    """A message as bytes.

    Raises:
        ProtocolError: it is too long.
    """
    body = json.dumps(message).encode()  # ASCII, so that odd file names get across, too
    if len(body) > MOST_BYTES:
        raise ProtocolError(f"a message of {len(body)} bytes")
    return LENGTH.pack(len(body)) + body


def unpack(body: bytes | bytearray) -> Message:
    """The message in these bytes, which follow its length.

    Raises:
        ProtocolError: they hold none.
    """
    try:
        message = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise ProtocolError("a message that is no JSON") from error
    if not isinstance(message, dict):
        raise ProtocolError("a message that is no object")
    return message


def error_message(error: BaseException) -> Message:
    """How an error goes over the pipe: by the name of its class and its text."""
    if isinstance(error, MemoryError):
        return {"error": OUT_OF_MEMORY, "text": str(error)[:_MOST_TEXT]}
    for kind in type(error).__mro__:
        if _CROSSING.get(kind.__name__) is kind:
            return {"error": kind.__name__, "text": str(error)[:_MOST_TEXT]}
    import traceback

    return {
        "error": UNEXPECTED,
        "text": f"{type(error).__name__}: {error}"[:_MOST_TEXT],
        "traceback": "".join(traceback.format_exception(error))[-_MOST_TEXT:],
    }


def error_from(message: Message) -> VidsearchError:
    """The error of a message, one of those that may cross.

    Raises:
        ProtocolError: it names another.
    """
    kind = _CROSSING.get(str(message.get("error")))
    if kind is None:
        raise ProtocolError("an error of an unknown kind")
    return kind(str(message.get("text"))[:_MOST_TEXT])
