"""From a decoded frame to the RGB picture that a viewer sees.

The colours are those of OpenCV 5's decoder, byte for byte: swscale's conversion with the stream's
own matrix and range, and BT.601 in limited range where the stream names none, as the ``ffmpeg``
command does. HDR (PQ, HLG) and wide gamuts (BT.2020, P3) become SDR in the gamut of BT.709.
Transparency is dropped, and both fields of an interlaced frame stay woven.

The geometry is that of players: the display matrix turns and mirrors, then pixels that are not
square are stretched along the displayed width.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vidsearch.media.pyav.wide_gamut import SdrConverter, is_wide, nearest_matrix

if TYPE_CHECKING:
    import av

__all__ = [
    "Pictures",
    "Turn",
    "displayed_size",
    "is_quarter",
    "square_pixels",
    "turn_of",
    "turned",
]

# swscale goes through the same arithmetic for RGB and BGR only here, and only for an even number of
# rows; elsewhere BGR is made first, as OpenCV does, and its channels swapped.
_SAME_EITHER_WAY = frozenset(
    {"yuv420p", "yuvj420p", "yuv422p", "yuvj422p", "yuv444p", "yuvj444p", "yuva420p", "gray"}
)
_MOST_ASPECT = 5
"""Pixels that are longer than this are a wrong header; also a bound on the picture's size."""
_LEAST_DEVIATION = 0.005
_RIGHT_ANGLE = 0.02
_ONE = 1 << 16
Turn = tuple[int, int, int, int]
"""Signs of the display matrix ``x' = a·x + c·y, y' = b·x + d·y``: a turn by right angles, or a
mirroring."""


class Pictures:
    """Converts the frames of one stream; the converter's set-up is kept from frame to frame.

    Args:
        pixel_aspect: width of a coded pixel divided by its height.
        first_frame: gives the first frame of the stream. H.264 and HEVC name a turn with a key
            frame only, which holds for those after it.
    """

    def __init__(
        self,
        *,
        pixel_aspect: Fraction | None = None,
        first_frame: Callable[[], av.VideoFrame | None] = lambda: None,
    ) -> None:
        from av.video.reformatter import VideoReformatter

        self._reformatter = VideoReformatter()
        self._sdr = SdrConverter(self._reformatter)
        self._pixel_aspect = pixel_aspect
        self._first_frame = first_frame
        self._rotation: int | None = None
        self._signs: Turn | None = None

    def to_rgb(
        self, frame: av.VideoFrame, out: NDArray[np.uint8] | None = None
    ) -> NDArray[np.uint8]:
        """The frame as displayed, RGB ``(height, width, 3)``.

        Args:
            frame: a decoded frame.
            out: written and returned where its shape is the picture's; it saves a copy.

        Raises:
            av.FFmpegError: swscale cannot read the frame's format.
        """
        converted = self._converted(frame)
        plane = converted.planes[0]
        rows = np.frombuffer(memoryview(plane), dtype=np.uint8).reshape(plane.height, -1)
        picture = rows[:, : 3 * plane.width].reshape(plane.height, plane.width, 3)
        if plane.line_size < 0:  # it was BGR already, and is stored from the bottom up
            picture = picture[::-1]
        if converted.format.name == "bgr24":
            picture = picture[:, :, ::-1]
        signs = self._turn(frame)
        picture = turned(picture, signs)
        picture = square_pixels(picture, pixel_aspect=_after_turn(self._pixel_aspect, signs))
        if out is not None and out.shape == picture.shape:
            np.copyto(out, picture)
            return out
        return np.ascontiguousarray(picture)

    def small_bgr(self, frame: av.VideoFrame, *, width: int, height: int) -> NDArray[np.uint8]:
        """The frame as coded, scaled down to BGR ``(height, width, 3)``.

        Raises:
            av.FFmpegError: swscale cannot read the frame's format.
        """
        wide = is_wide(frame)
        form = "rgba64le" if wide else "bgr24"
        small = self._plain(frame, form, width=width, height=height, interpolation="AREA")
        if wide:
            small = self._in_sdr(small)
        return np.asarray(small.to_ndarray(), dtype=np.uint8)

    def _converted(self, frame: av.VideoFrame) -> av.VideoFrame:
        """The frame in ``rgb24`` or ``bgr24``."""
        if is_wide(frame):
            return self._in_sdr(frame)
        rows = 4 if frame.interlaced_frame else 2  # a field has half of them
        same = frame.format.name in _SAME_EITHER_WAY and frame.height % rows == 0
        return self._plain(frame, "rgb24" if same else "bgr24")

    def _in_sdr(self, frame: av.VideoFrame) -> av.VideoFrame:
        import av

        try:
            return self._sdr.to_bgr(frame)
        except (av.FFmpegError, ValueError):  # nearly right colours are better than none
            return self._plain(frame, "bgr24")

    def _plain(
        self, frame: av.VideoFrame, form: str, *, interpolation: str = "BICUBIC", **size: int
    ) -> av.VideoFrame:
        return self._reformatter.reformat(
            frame,
            format=form,
            src_colorspace=nearest_matrix(frame),
            interpolation=interpolation,
            threads=1,
            **size,
        )

    def _turn(self, frame: av.VideoFrame) -> Turn | None:
        # PyAV's side data and its frame hold each other, so that frames whose side data is looked
        # at stay until Python's garbage collector comes by: hundreds of megabytes.
        is_first = self._rotation is None
        if is_first or (frame.key_frame and frame.rotation != self._rotation):
            self._rotation = frame.rotation
            self._signs = turn_of(frame)
            if is_first and self._signs is None and not frame.key_frame:
                first = self._first_frame()
                self._signs = turn_of(first) if first is not None else None
        return self._signs


def square_pixels(
    picture: NDArray[np.uint8], *, pixel_aspect: Fraction | float | None
) -> NDArray[np.uint8]:
    """An RGB picture with its width scaled, so that its pixels become square.

    Args:
        picture: ``(height, width, 3)``, turned upright already.
        pixel_aspect: width of a displayed pixel divided by its height; ``None``, one that is
            square to half a percent, and senseless ones (beyond 5:1) change nothing.
    """
    height, width = picture.shape[:2]
    wanted, _ = displayed_size(width, height, pixel_aspect=pixel_aspect)
    if wanted == width:
        return picture
    from PIL import Image

    image = Image.fromarray(np.ascontiguousarray(picture))
    return np.asarray(image.resize((wanted, height), Image.Resampling.BICUBIC))


def displayed_size(
    width: int, height: int, *, pixel_aspect: Fraction | float | None, quarter_turned: bool = False
) -> tuple[int, int]:
    """Width and height on display of a picture that is coded as ``width`` x ``height``.

    Args:
        width: of the coded picture.
        height: of the coded picture.
        pixel_aspect: of the coded picture; see :func:`square_pixels`.
        quarter_turned: a turn by 90 degrees to either side comes first.
    """
    aspect = float(pixel_aspect or 1)
    if quarter_turned:
        width, height, aspect = height, width, 1 / aspect
    sensible = 1 / _MOST_ASPECT <= aspect <= _MOST_ASPECT
    if not sensible or abs(aspect - 1) <= _LEAST_DEVIATION:
        return width, height
    return max(round(width * aspect), 1), height


def is_quarter(turn: Turn | None) -> bool:
    """Whether a picture lies on its side, so that its width is displayed as height."""
    return turn is not None and turn[0] == 0


def _after_turn(pixel_aspect: Fraction | None, signs: Turn | None) -> Fraction | None:
    return 1 / pixel_aspect if pixel_aspect and is_quarter(signs) else pixel_aspect


def turned(picture: NDArray[np.uint8], signs: Turn | None) -> NDArray[np.uint8]:
    """The picture as displayed; a view."""
    if signs is None:
        return picture
    a, b, c, d = signs
    if a == 0:  # x on display is the coded y
        return picture.transpose(1, 0, 2)[:: (-1 if b < 0 else 1), :: (-1 if c < 0 else 1)]
    return picture[:: (-1 if d < 0 else 1), :: (-1 if a < 0 else 1)]


def turn_of(frame: av.VideoFrame) -> Turn | None:
    """How a frame is turned on display; ``None`` for no change.

    Angles that are no multiple of 90 degrees change nothing, as in OpenCV.
    """
    data: Any = frame.side_data.get("DISPLAYMATRIX")
    if data is None:
        return None
    cells = np.frombuffer(bytes(data), dtype=np.int32)
    if len(cells) < 5:
        return None
    a, b, c, d = (int(cells[i]) / _ONE for i in (0, 1, 3, 4))
    size = max(abs(a), abs(b), abs(c), abs(d))
    straight, across = min(abs(a), abs(d)), min(abs(b), abs(c))
    if size == 0 or min(max(abs(a), abs(d)), max(abs(b), abs(c))) > _RIGHT_ANGLE * size:
        return None
    if straight > across:
        signs = (1 if a > 0 else -1, 0, 0, 1 if d > 0 else -1)
    elif across > 0:
        signs = (0, 1 if b > 0 else -1, 1 if c > 0 else -1, 0)
    else:
        return None
    return None if signs == (1, 0, 0, 1) else signs
