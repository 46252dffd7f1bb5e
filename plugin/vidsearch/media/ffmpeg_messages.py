"""What the FFmpeg inside OpenCV says while it decodes. OpenCV hands none of that on.

The library through which FFmpeg speaks is called directly. Where that is not possible (OpenCV for
Windows, which hides it, or one that a user told to print these messages) nothing is heard.
"""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import ModuleType

__all__ = ["LOG_LEVEL", "SILENT", "Listener", "listener_of"]

LOG_LEVEL = "OPENCV_FFMPEG_LOGLEVEL"
"""The variable in which OpenCV takes FFmpeg's level of messages."""
SILENT = "-8"
"""That of none."""
_DEBUG = "OPENCV_FFMPEG_DEBUG"
_ERROR, _INFO = 16, 32
"""FFmpeg's levels; more important messages have lower ones."""
_LEVEL_BITS = 0xFF
_CONCEALING = b"concealing "
"""What a frame's message begins with in which the codec patched something up."""
_TAKES_MESSAGE = ctypes.CFUNCTYPE(
    None, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p
)


class Listener:
    """Counts the messages of damage, of whatever this FFmpeg decodes.

    Args:
        library: of FFmpeg's messages, or one that loaded it.
    """

    def __init__(self, library: ctypes.CDLL) -> None:
        self._set = library.av_log_set_callback
        self._set.argtypes, self._set.restype = [ctypes.c_void_p], None
        self._usual = ctypes.cast(library.av_log_default_callback, ctypes.c_void_p)
        self._own = _TAKES_MESSAGE(self._take)
        self._lock = threading.Lock()
        self._open = 0
        self.errors = 0
        """Messages of damage so far."""

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Hear messages in here."""
        with self._lock:
            self._open += 1
            self._set(ctypes.cast(self._own, ctypes.c_void_p))
        try:
            yield
        finally:
            with self._lock:
                self._open -= 1
                if not self._open:
                    self._set(self._usual)

    def _take(self, _context: int, level: int, text: int, _values: int) -> None:
        level &= _LEVEL_BITS
        if level <= _ERROR:
            self.errors += 1
        elif level == _INFO:
            self.errors += ctypes.string_at(text).startswith(_CONCEALING)


@cache
def listener_of(cv2: ModuleType) -> Listener | None:
    """The listener to OpenCV's FFmpeg; ``None`` where it cannot be heard."""
    if _DEBUG in os.environ or os.environ.get(LOG_LEVEL, SILENT) != SILENT:
        return None
    place = Path(str(cv2.__file__))
    for library in [place] if place.suffix == ".so" else sorted(place.parent.rglob("cv2*.so")):
        try:
            # Symbols are looked for in the libraries that it loads, too.
            return Listener(ctypes.CDLL(str(library)))
        except (OSError, AttributeError, MemoryError):
            continue
    return None
