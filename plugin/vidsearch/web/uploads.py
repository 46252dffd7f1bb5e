"""Pictures that clients send, opened so that decoding them takes little memory."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from vidsearch.config import Settings
from vidsearch.errors import QueryError
from vidsearch.search.image_files import opened_image, require_few_pixels

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["opened_upload"]

_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "AVIF")
_PARTS = (1, 2, 4, 8)
"""A JPEG can be decoded at one of these parts of its size."""
_LONGER, _SHORTER = 1024, 512
"""Pixels that the sides of a picture keep where it is made smaller. Models look at a square of
fewer; most of them at as much of a long picture as its shorter side makes."""
_WHAT = "the image"


def opened_upload(data: bytes, settings: Settings) -> Image.Image:
    """A picture that is decoded when its pixels are needed; call it outside of the event loop.

    A JPEG is decoded at a half, a quarter or an eighth of its size, as far as its longer side keeps
    1024 pixels and its shorter one 512, or as ``web.max_pixels`` asks for. It may have
    ``sources.max_pixels``, as a progressive one takes memory for all; what is decoded may have
    ``web.max_pixels``.

    Args:
        data: the file.
        settings: the limits.

    Raises:
        QueryError: it is no picture, or has too many pixels.
        MissingExtraError: Pillow is not installed.
    """
    try:
        picture = opened_image(io.BytesIO(data), what=_WHAT, formats=_FORMATS)
        limit = settings.sources.max_pixels
        require_few_pixels(picture, limit, what=_WHAT, setting="sources.max_pixels")
        limit = settings.web.max_pixels
        parts = _parts(picture.width, picture.height, limit)
        # Which only JPEG follows.
        picture.draft(None, (max(1, picture.width // parts), max(1, picture.height // parts)))
        require_few_pixels(picture, limit, what=_WHAT, setting="web.max_pixels")
    except QueryError as error:
        if _is_unknown(error):
            raise QueryError(
                "the image is damaged, or in a format that this server cannot decode: save it as "
                "JPEG",
                argument="image",
            ) from error
        error.argument = "image"
        raise
    return picture


def _is_unknown(error: QueryError) -> bool:
    """Whether no decoder knew the file, which began as one of a format that is read."""
    from PIL import UnidentifiedImageError

    return isinstance(error.__cause__, UnidentifiedImageError)


def _parts(width: int, height: int, most: int) -> int:
    """By how much both sides of a picture are divided, so that it has at most so many pixels."""
    longer, shorter = max(width, height), min(width, height)
    fine = [each for each in _PARTS if longer >= each * _LONGER and shorter >= each * _SHORTER]
    few = [each for each in _PARTS if -(-width // each) * -(-height // each) <= most]
    enough = few[0] if few else _PARTS[-1]
    return max(enough, fine[-1] if fine else 1)
