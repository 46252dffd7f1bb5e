"""Small pictures: made, measured, encoded."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from vidsearch.errors import MissingExtraError

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["Look", "PictureFormat", "as_jpeg", "look_of", "recoded", "shrunk"]

PictureFormat = Literal["webp", "jpeg"]

_JPEG_QUALITY = 88
_WEBP_QUALITY = 80
_FLAT = 6.0
_DARKEST, _LIGHTEST = 10.0, 245.0


@dataclass(frozen=True, slots=True)
class Look:
    """What is measured of a small picture, in grey levels from 0 to 255."""

    sharpness: float
    """Variance of the Laplacian: Pech-Pacheco et al., "Diatom autofocusing in brightfield
    microscopy: a comparative study", ICPR 2000."""
    brightness: float
    """Mean."""
    contrast: float
    """Standard deviation."""

    @property
    def is_blank(self) -> bool:
        """Black, white or one colour all over, as in fades and flashes."""
        return self.contrast < _FLAT or not _DARKEST <= self.brightness <= _LIGHTEST


def shrunk(
    frame: NDArray[np.uint8], *, size: int, displayed: tuple[int, int] | None = None
) -> Image.Image:
    """An RGB frame ``(height, width, 3)`` with a longer side of ``size`` pixels; never enlarged.

    Args:
        frame: the picture.
        size: in pixels.
        displayed: its width and height on display, where they are not its own.

    Raises:
        MissingExtraError: Pillow is not installed.
    """
    try:
        from PIL import Image
    except ImportError as error:
        raise MissingExtraError.of("worker", needed_for="making thumbnails") from error
    width, height = displayed or (frame.shape[1], frame.shape[0])
    share = min(1.0, size / max(height, width))
    small = (max(1, round(width * share)), max(1, round(height * share)))
    return Image.fromarray(frame).resize(small, Image.Resampling.BICUBIC, reducing_gap=2.0)


def look_of(picture: Image.Image) -> Look:
    """Measure a small picture."""
    grey = np.asarray(picture.convert("L"), dtype=np.int16)
    around = np.pad(grey, 1, mode="edge")
    laplacian = (
        around[:-2, 1:-1] + around[2:, 1:-1] + around[1:-1, :-2] + around[1:-1, 2:] - 4 * grey
    )
    return Look(
        sharpness=float(laplacian.var()),
        brightness=float(grey.mean()),
        contrast=float(grey.std()),
    )


def as_jpeg(picture: Image.Image) -> bytes:
    """The picture as a JPEG file, which takes a tenth of a millisecond."""
    return _saved(picture, "jpeg", quality=_JPEG_QUALITY)


def recoded(jpeg: bytes, form: PictureFormat) -> bytes:
    """The file of :func:`as_jpeg` in the form that is asked for."""
    if form == "jpeg":
        return jpeg
    from PIL import Image

    with Image.open(io.BytesIO(jpeg)) as picture:
        return _saved(picture, "webp", quality=_WEBP_QUALITY)


def _saved(picture: Image.Image, form: PictureFormat, *, quality: int) -> bytes:
    file = io.BytesIO()
    picture.save(file, form, quality=quality)
    return file.getvalue()
