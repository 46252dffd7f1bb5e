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
_LONGEST_SIDE = 1024
"""Pixels that a picture keeps where it is made smaller: models look at less."""
_WHAT = "the image"


def opened_upload(data: bytes, settings: Settings) -> Image.Image:
    """A picture that is decoded when its pixels are needed; call it outside of the event loop.

    A JPEG is decoded at a half, a quarter or an eighth of its size, as far as its longer side keeps
    1024 pixels. It may have ``sources.max_pixels``, as a progressive one takes memory for all;
    what is decoded may have ``web.max_pixels``.

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
        parts = max(1, max(picture.size) // _LONGEST_SIDE)
        # Which only JPEG follows, by the next smaller power of two.
        picture.draft(None, (max(1, picture.width // parts), max(1, picture.height // parts)))
        limit = settings.web.max_pixels
        require_few_pixels(picture, limit, what=_WHAT, setting="web.max_pixels")
    except QueryError as error:
        error.argument = "image"
        raise
    return picture
