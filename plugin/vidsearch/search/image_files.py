"""Image files as Pillow opens them, with errors of the query in place of Pillow's."""

from __future__ import annotations

import io
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from vidsearch.errors import MissingExtraError, QueryError

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["opened_image", "readable", "require_few_pixels"]

_NOT_READ = frozenset({"EPS", "IPTC", "WMF"})
"""Formats of Pillow that are more than data: EPS is a program that Ghostscript runs, IPTC opens
what it holds in any format, and Windows draws WMF."""


def opened_image(
    file: Path | io.BytesIO, *, what: str, formats: Collection[str] | None = None
) -> Image.Image:
    """The image in a file; its pixels are read when they are first used.

    Args:
        file: to open.
        what: it is, for messages.
        formats: names of the formats of Pillow that are read; ``None``: all that are data.

    Raises:
        QueryError: it is no image, or its head is damaged.
        MissingExtraError: Pillow is not installed.
    """
    with readable(what):
        from PIL import Image

        Image.init()
        known = Image.OPEN.keys() - _NOT_READ if formats is None else Image.OPEN.keys() & formats
        # In the order in which Pillow tries them.
        return Image.open(file, formats=[name for name in Image.OPEN if name in known])


@contextmanager
def readable(what: str) -> Iterator[None]:
    """Turn errors of Pillow, which it also raises where pixels are read, into errors of the query.

    Args:
        what: is read, for messages.

    Raises:
        QueryError: it cannot be read.
        MissingExtraError: Pillow is not installed.
    """
    try:
        from PIL import Image, UnidentifiedImageError
    except ImportError as error:
        raise MissingExtraError("an image file needs Pillow: pip install pillow") from error
    try:
        yield
    except UnidentifiedImageError as error:
        raise QueryError(
            f"{what} is in no image format that is read, as JPEG and PNG are; a video goes in as "
            "clip"
        ) from error
    # RuntimeError: of the decoder of AVIF.
    except (
        OSError, ValueError, SyntaxError, RuntimeError, Image.DecompressionBombError
    ) as error:  # fmt: skip
        raise QueryError(f"{what} cannot be read: {error}") from error


def require_few_pixels(image: Image.Image, limit: int, *, what: str, setting: str) -> None:
    """Refuse an image of too many pixels.

    Args:
        image: as it is going to be decoded.
        limit: most pixels.
        what: it is, for the message.
        setting: that the limit comes from.

    Raises:
        QueryError: it has more.
    """
    if image.width * image.height > limit:
        raise QueryError(
            f"{what} has {image.width}x{image.height} pixels, more than {setting} ({limit}) allows"
        )
