"""One ``cv2.VideoCapture``, with its noise kept off stderr."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidsearch.errors import MissingExtraError, SourceNotFoundError, VideoOpenError
from vidsearch.media.diagnosis import why_not_a_video
from vidsearch.media.display import FALLBACK_STEP
from vidsearch.media.ffmpeg_allowlist import opencv_restricted
from vidsearch.media.ffmpeg_messages import LOG_LEVEL, SILENT, Listener, listener_of
from vidsearch.media.frames import VideoInfo
from vidsearch.media.pyav.picture import Turn, displayed_size, is_quarter, square_pixels, turned
from vidsearch.media.raw_mjpeg import is_raw_mjpeg

__all__ = ["Capture", "errors_are_heard", "opened"]

_MOST_FAILED_READS = 2000
_SANE_FPS = 1000.0


@contextmanager
def opened(
    path: Path, *, threads: int = 1, late_picture: bool = False, turn: Turn | None = None
) -> Iterator[Capture]:
    """Open a file for one pass. Nothing but this file is opened, whatever it says.

    Args:
        path: of the file.
        threads: of the codec.
        late_picture: its first picture comes seconds after its beginning.
        turn: of the pictures on display. OpenCV itself does not mirror, and passes over what the
            codec says.

    Raises:
        SourceNotFoundError: no file there.
        VideoOpenError: not a readable video; the message says why.
        MissingExtraError: OpenCV is not installed.
    """
    if not path.exists():
        raise SourceNotFoundError(f"no such file: {path}")
    if not path.is_file():  # FFmpeg would wait for a pipe for ever
        raise VideoOpenError(f"{path.name} {why_not_a_video(path)}")
    cv2 = _quiet_cv2()
    # An absolute path, so that a file name can never be read as a protocol ("concat:…").
    settings = {
        cv2.CAP_PROP_N_THREADS: threads,
        cv2.CAP_PROP_HW_ACCELERATION: cv2.VIDEO_ACCELERATION_NONE,
        # Without end: OpenCV gives up a file after 30 s, so what is read would depend on the load.
        cv2.CAP_PROP_OPEN_TIMEOUT_MSEC: 0,
        cv2.CAP_PROP_READ_TIMEOUT_MSEC: 0,
    }
    with opencv_restricted(late_picture=late_picture, raw_mjpeg=is_raw_mjpeg(path)):
        source = cv2.VideoCapture(
            str(path.absolute()),
            cv2.CAP_FFMPEG,
            [value for pair in settings.items() for value in pair],
        )
    try:
        if not source.isOpened():
            raise VideoOpenError(f"{path.name} {why_not_a_video(path)}")
        source.set(cv2.CAP_PROP_ORIENTATION_AUTO, 0)
        listener = listener_of(cv2)
        with ExitStack() as held:
            if listener:  # not before OpenCV has set up its own way with messages
                held.enter_context(listener.listening())
            yield Capture(cv2, source, name=path.name, turn=turn, listener=listener)
    finally:
        source.release()


def errors_are_heard() -> bool:
    """Whether :attr:`Capture.errors` counts what the codecs say.

    Raises:
        MissingExtraError: OpenCV is not installed.
    """
    return listener_of(_quiet_cv2()) is not None


class Capture:
    """Reads forward, one frame at a time; see :func:`opened`."""

    def __init__(
        self,
        cv2: Any,
        source: Any,
        *,
        name: str,
        turn: Turn | None = None,
        listener: Listener | None = None,
    ) -> None:
        self._cv2 = cv2
        self._source = source
        self._listener = listener
        self.name = name
        """The file's name, for messages."""
        fps = float(source.get(cv2.CAP_PROP_FPS))
        count = float(source.get(cv2.CAP_PROP_FRAME_COUNT))
        self._promised = int(count) if 0 < count < 1e12 else None
        known = fps if 0 < fps <= _SANE_FPS else None
        self._turn = turn
        coded_aspect = _pixel_aspect(cv2, source)
        self._pixel_aspect = 1 / coded_aspect if coded_aspect and is_quarter(turn) else coded_aspect
        width, height = displayed_size(
            int(source.get(cv2.CAP_PROP_FRAME_WIDTH)),
            int(source.get(cv2.CAP_PROP_FRAME_HEIGHT)),
            pixel_aspect=coded_aspect,
            quarter_turned=is_quarter(turn),
        )
        self.info = VideoInfo(
            width=width,
            height=height,
            duration=None,  # see Video.duration
            fps=known,
        )
        self.step = 1 / known if known else FALLBACK_STEP
        """Usual time between two frames in seconds."""
        self.lost = 0
        """Failures between the frame before and the current one."""
        self.errors = 0
        """What the codec, or that of another capture of this process, said of damage until the
        current frame came out: a number that grows with each message.
        """
        self._count_errors()

    @property
    def seconds(self) -> float:
        """The current frame's time stamp in seconds, counted from where FFmpeg says that the
        stream starts; without time stamps it is 0 or -1 for every frame, in AVI at its end.
        """
        return float(self._source.get(self._cv2.CAP_PROP_POS_MSEC)) / 1000

    def read(self) -> bool:
        """Decode the next frame; ``False`` at the end of the stream."""
        # OpenCV says "no frame" for a damaged packet as well as for the end, so one failure ends
        # nothing; at the end a failure costs a microsecond.
        for lost in range(_MOST_FAILED_READS):
            if self._source.grab():
                self.lost = lost
                self._count_errors()
                return True
        return False

    def _count_errors(self) -> None:
        if self._listener:
            self.errors = self._listener.errors

    def image(self, *, stretched: bool = True) -> NDArray[np.uint8] | None:
        """The current frame, RGB ``(height, width, 3)``; ``None`` if damaged.

        Args:
            stretched: to square pixels, as players do.
        """
        try:
            ok, bgr = self._source.retrieve()
            if not ok or bgr is None:
                return None
            rgb: NDArray[np.uint8] = self._cv2.cvtColor(bgr, self._cv2.COLOR_BGR2RGB)
        except self._cv2.error:
            return None
        rgb = np.ascontiguousarray(turned(rgb, self._turn))
        return square_pixels(rgb, pixel_aspect=self._pixel_aspect) if stretched else rgb

    def no_frames_message(self) -> str:
        """Why a file that opened is of no use."""
        info = self.info
        fourcc = int(self._source.get(self._cv2.CAP_PROP_FOURCC)).to_bytes(4, "little", signed=True)
        codec = "".join(chr(c) for c in fourcc if 32 < c < 127) or "unknown"
        promise = f"promises {self._promised} frames" if self._promised else "opens as a video"
        return (
            f"{self.name} {promise} of {info.width}x{info.height} (codec {codec}), but no frame "
            f"decodes: the file is damaged or cut off, or this OpenCV build cannot decode {codec}"
        )


def _pixel_aspect(cv2: Any, source: Any) -> Fraction | None:
    """Width of a coded pixel divided by its height."""
    wide, high = (int(source.get(cv2.CAP_PROP_SAR_NUM)), int(source.get(cv2.CAP_PROP_SAR_DEN)))
    return Fraction(wide, high) if wide > 0 and high > 0 else None


@cache
def _quiet_cv2() -> Any:
    # FFmpeg inside OpenCV reads its level once, from the environment, at the first capture.
    # Failures become errors of vidsearch, so what both print is noise. Users' settings win.
    os.environ.setdefault(LOG_LEVEL, SILENT)
    try:
        import cv2
    except ImportError as error:
        raise MissingExtraError.of("worker", needed_for="decoding video") from error
    if "OPENCV_LOG_LEVEL" not in os.environ:
        # OpenCV 4, else 5; 0 is "silent" in both.
        set_level = getattr(cv2, "setLogLevel", None) or cv2.utils.logging.setLogLevel
        set_level(0)
    return cv2
