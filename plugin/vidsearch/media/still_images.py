"""From a still image, as Pillow opens it, to what people see of it.

Pillow's own ``convert("RGB")`` cuts 16 bits off at 255, shows the colours under transparent pixels,
and passes over colour profiles and HDR.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["rgb_pixels"]

_BYTE, _WORD = 255, 65535
_FAINT = 8
"""Levels; a picture that is white all over but for so much is not seen on white."""
_BITS, _PHOTOMETRIC, _KIND = 258, 262, 339
"""Tags of TIFF."""
_UNSIGNED, _SIGNED = 1, 2
_LEVELS = {"1": 255, "L;2": 85, "L;4": 17}
"""From one level to the next, in eight bits, of a grey PNG of less."""
_CODED_COLOURS = {"AVIF": (b"colrnclx", ">HH"), "PNG": (b"cICP", ">BB")}
"""What precedes the numbers of primaries and transfer characteristic (ITU-T H.273)."""
_HEAD = 1 << 16
_VALUES = 1 << 18
"""Wide numbers that are computed with at a time, each of which takes eight bytes."""
_HDR_SIZE = (512, 512)
"""HDR is shrunk to this, so that all such images share one table of colours."""


def rgb_pixels(image: Image.Image) -> NDArray[np.uint8]:
    """The image upright, opaque and in sRGB, ``(height, width, 3)``; of an animation the first.

    - Orientation in EXIF is applied.
    - 16 bits are scaled to eight, and so are 9 to 15 of a TIFF, in which the lowest level may be
      white. Of other wide numbers, the smallest of 1, 255, 65535 and the image's own maximum that
      none exceeds is white.
    - Transparent pixels are white; black, where all that is opaque is white itself.
    - A colour profile is applied. HDR and wide gamuts of AVIF and PNG become SDR, as in videos.

    Raises:
        OSError: the file is damaged.
        ValueError: pixels of a kind that Pillow cannot convert.
    """
    from PIL import Image, ImageOps

    colours, profile = _coded_colours(image), image.info.get("icc_profile")
    word = image.mode.startswith("I;16") or (image.mode == "I" and image.format in ("PNG", "PPM"))
    tags: Mapping[int, Any] = getattr(image, "tag_v2", {})
    of_few_bits = _LEVELS.get(_raw_mode(image), 1)
    upright = ImageOps.exif_transpose(image)
    if isinstance(key := upright.info.get("transparency"), int):
        upright.info["transparency"] = key * of_few_bits
    if word or upright.mode in ("I", "F"):
        white = _white_of_tiff(tags) if tags else _WORD if word else None
        is_negative = tags.get(_PHOTOMETRIC) == 0
        if upright.mode == "I" and tags.get(_KIND, (_UNSIGNED,))[0] == _UNSIGNED and tags:
            levels = np.asarray(upright).view(np.uint32)  # Pillow takes them for signed
            upright = Image.fromarray(levels.astype(np.float32))
        upright = _eight_bits(upright, white=white, is_negative=is_negative)
    if _has_alpha(upright):
        upright = _opaque(upright)
    pixels: NDArray[np.uint8] = np.array(_in_srgb(upright, profile))
    return pixels if colours is None else _in_sdr(pixels, *colours)


def _has_alpha(image: Image.Image) -> bool:
    modes = [image.getbands()[-1], image.palette.mode[-1] if image.palette else ""]
    return "transparency" in image.info or not {"A", "a"}.isdisjoint(modes)


def _raw_mode(image: Image.Image) -> str:
    """How a PNG stores its pixels; empty for what is no PNG or was read already."""
    tiles: Any = getattr(image, "tile", ()) if image.format == "PNG" else ()
    return str(tiles[0][3]) if tiles else ""


def _white_of_tiff(tags: Mapping[int, Any]) -> int | None:
    """The largest level that so many bits hold; ``None`` of 32 bits, of which few use all."""
    bits, kind = (tags.get(tag, (1,))[0] for tag in (_BITS, _KIND))
    return (1 << bits - (kind == _SIGNED)) - 1 if bits <= _WORD.bit_length() else None


def _eight_bits(
    image: Image.Image, *, white: float | None, is_negative: bool = False
) -> Image.Image:
    """An image of one wide channel, with alpha where one of its values is transparent.

    Args:
        image: the image.
        white: its brightest level, where that is known.
        is_negative: its levels are the darker, the higher.
    """
    from PIL import Image

    levels = np.asarray(image)
    step = max(1, _VALUES // max(1, image.width))
    strips = [slice(at, at + step) for at in range(0, image.height, step)]

    def finite(rows: slice) -> NDArray[np.float64]:
        return np.nan_to_num(levels[rows].astype(np.float64), posinf=0.0, neginf=0.0)

    if not white:
        top = max((float(finite(rows).max(initial=0)) for rows in strips), default=0.0)
        white = next((each for each in (1, _BYTE, _WORD) if top <= each), None) or top
    scaled = np.empty(levels.shape, np.uint8)
    for rows in strips:
        part = np.clip(finite(rows) * (_BYTE / white), 0, _BYTE)
        scaled[rows] = np.round(_BYTE - part if is_negative else part)
    grey = Image.fromarray(scaled)
    key = image.info.get("transparency")
    if isinstance(key, int):
        grey.putalpha(Image.fromarray((levels != key).astype(np.uint8) * np.uint8(_BYTE)))
    return grey


def _opaque(image: Image.Image) -> Image.Image:
    from PIL import Image

    key = image.info.get("transparency")
    if image.mode == "RGB" and isinstance(key, tuple) and max(key) > _BYTE:
        # Of a PNG with 16 bits, of which Pillow keeps the upper eight.
        image.info["transparency"] = tuple(value >> 8 for value in key)
    coloured = image.convert("RGBA")
    alpha = coloured.getchannel("A")
    on_white, on_black = (Image.new("RGB", image.size, colour) for colour in ("white", "black"))
    on_white.paste(coloured, mask=alpha)
    if np.asarray(on_white).min() < _BYTE - _FAINT or np.asarray(alpha).max() < _FAINT:
        return on_white
    on_black.paste(coloured, mask=alpha)
    return on_black


def _in_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    from PIL import ImageCms

    if image.mode == "P":
        image = image.convert("RGB")
    try:
        if image.mode == "LAB":
            source: Any = ImageCms.createProfile("LAB")
        elif profile:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        else:
            return image.convert("RGB")
        target = ImageCms.createProfile("sRGB")
        converted = ImageCms.profileToProfile(image, source, target, outputMode="RGB")
        return converted or image.convert("RGB")
    except (ImageCms.PyCMSError, OSError, ImportError):
        # A broken profile or one for other channels, or a Pillow without LittleCMS.
        return image.convert("RGB")


def _coded_colours(image: Image.Image) -> tuple[int, int] | None:
    """Primaries and transfer characteristic, which Pillow does not tell; ``None`` without."""
    file: Any = getattr(image, "fp", None)
    if image.format not in _CODED_COLOURS or file is None or file.closed:
        return None
    mark, numbers = _CODED_COLOURS[image.format]
    place = file.tell()
    file.seek(0)
    before, _, after = file.read(_HEAD).partition(mark)
    file.seek(place)
    if len(after) < struct.calcsize(numbers) or before.find(b"IDAT") >= 0:
        return None
    primaries, transfer = struct.unpack_from(numbers, after)
    return primaries, transfer


def _in_sdr(pixels: NDArray[np.uint8], primaries: int, transfer: int) -> NDArray[np.uint8]:
    from PIL import Image

    try:
        import av
        from av.video.reformatter import VideoReformatter

        from vidsearch.media.pyav.wide_gamut import SdrConverter, is_wide
    except ImportError:
        return pixels
    image = Image.fromarray(pixels)
    image.thumbnail(_HDR_SIZE)
    canvas = Image.new("RGB", _HDR_SIZE)
    canvas.paste(image)
    frame = av.VideoFrame.from_ndarray(np.asarray(canvas))
    frame.color_primaries, frame.color_trc = primaries, transfer
    if not is_wide(frame):
        return pixels
    try:
        mapped = SdrConverter(VideoReformatter()).to_bgr(frame).to_ndarray()
    except (av.FFmpegError, ValueError):  # colours that FFmpeg does not know
        return pixels
    return np.ascontiguousarray(mapped[: image.height, : image.width, ::-1])
