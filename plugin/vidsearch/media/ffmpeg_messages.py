"""What the FFmpeg inside OpenCV says while it decodes. OpenCV hands none of that on.

The library through which FFmpeg speaks is called directly. Where that is not possible (OpenCV for
Windows, which hides it, one that shares it with PyAV, or one that a user told to print these
messages) nothing is heard; nor in a process in which other code may use OpenCV, which goes on with
its own messages there. Worse, Python ends a capture that nobody refers to any more while it keeps
all other threads from running: those of its codec would wait for ever to have their messages taken.
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

__all__ = ["LOG_LEVEL", "SILENT", "Listener", "allow_listening", "listener_of"]

LOG_LEVEL = "OPENCV_FFMPEG_LOGLEVEL"
"""The variable in which OpenCV takes FFmpeg's level of messages."""
SILENT = "-8"
"""That of none."""
_DEBUG = "OPENCV_FFMPEG_DEBUG"
_ERROR, _INFO = 16, 32
"""FFmpeg's levels; more important messages have lower ones. As a piece of information it says how
much of a frame the codec patched up."""
_LEVEL_BITS = 0xFF
_PROBE = 0xF0
"""Level of a message that only shows who hears it: no one prints any that is so unimportant."""
_is_allowed = threading.Event()
_TAKES_MESSAGE = ctypes.CFUNCTYPE(None, ctypes.c_ssize_t, ctypes.c_int)
"""Of whom it is, as an address, and its level; what follows is left out."""


class Listener:
    """Counts the messages of damage, of whatever this FFmpeg decodes.

    Args:
        library: of FFmpeg's messages, or one that loaded it.
    """

    def __init__(self, library: ctypes.CDLL) -> None:
        self._set = library.av_log_set_callback
        self._set.argtypes, self._set.restype = [ctypes.c_void_p], None
        self._say = library.av_log
        self._say.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p]
        self._say.restype = None
        self._usual = ctypes.cast(library.av_log_default_callback, ctypes.c_void_p)
        self._levels: list[int] = []
        """Of the messages since they were counted."""
        # Not a function of Python: signals would be handled in there, and what their handlers
        # raise (Ctrl-C) would be lost. Any address is beyond the list's end.
        self._own = _TAKES_MESSAGE(self._levels.insert)
        self._lock = threading.Lock()
        self._open = 0
        self._errors = 0

    @property
    def errors(self) -> int:
        """Messages of damage so far, and times at which some may have been missed."""
        with self._lock:
            self._count()
            return self._errors

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Hear messages in here."""
        with self._lock:
            self._count()
            self._open += 1
            self._listen()
        try:
            yield
        finally:
            with self._lock:
                self._count()
                self._open -= 1
                if not self._open:
                    self._set(self._usual)

    def _listen(self) -> None:
        self._set(ctypes.cast(self._own, ctypes.c_void_p))

    def _count(self) -> None:
        if not self._open:
            return
        self._say(None, _PROBE, b"")
        is_heard = False
        while self._levels:  # others may come meanwhile
            level = self._levels.pop() & _LEVEL_BITS
            is_heard |= level == _PROBE
            self._errors += level <= _ERROR or level == _INFO
        if not is_heard:
            # Each capture that OpenCV 4 opens, whoever has it do so, takes the messages over.
            self._errors += 1
            self._listen()


def allow_listening() -> None:
    """Call it in a process in which no other code uses OpenCV, before the first video."""
    _is_allowed.set()
    listener_of.cache_clear()


@cache
def listener_of(cv2: ModuleType) -> Listener | None:
    """The listener to OpenCV's FFmpeg; ``None`` where it cannot be heard.

    Raises:
        ModuleNotFoundError: PyAV is not installed.
    """
    if not _is_allowed.is_set():
        return None
    if _DEBUG in os.environ or os.environ.get(LOG_LEVEL, SILENT) != SILENT:
        return None
    import av.logging

    place = Path(str(cv2.__file__))
    for path in [place] if place.suffix == ".so" else sorted(place.parent.rglob("cv2*.so")):
        try:
            # Symbols are looked for in the libraries that it loads, too.
            library = ctypes.CDLL(str(path))
            listener = Listener(library)
        except (OSError, AttributeError, MemoryError):
            continue
        # Codecs that PyAV ends while it keeps other threads from running would wait for ever.
        return None if _speaks_by(av.logging) == _speaker(library) else listener
    return None


def _speaks_by(module: ModuleType) -> int | None:
    try:
        return _speaker(ctypes.CDLL(str(module.__file__)))
    except (OSError, AttributeError):
        return None


def _speaker(library: ctypes.CDLL) -> int | None:
    return ctypes.cast(library.av_log_set_callback, ctypes.c_void_p).value
