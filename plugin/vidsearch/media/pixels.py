"""RGB frames → the tensor that an image tower was trained on, without torch.

For CLIP this is the preprocessing of the CLIP4Clip notebook (torchvision on PIL images): bicubic
resize of the shorter side, centre crop, scale to [0, 1], mean and standard deviation per channel.
Other towers saw whole frames, squashed to a square. Where torch is at hand,
:func:`~vidsearch.media.torch_pixels.clip_pixels_torch` does the same faster.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from vidsearch.errors import MissingExtraError

__all__ = [
    "CLIP_PIXELS",
    "Fit",
    "PixelRecipe",
    "Resample",
    "Resize",
    "clip_levels",
    "clip_pixels",
    "fit",
]

Resize = Literal["crop", "squash"]
"""The shorter side to the square's and the middle cut out, or the whole frame made square."""
Resample = Literal["bicubic", "bilinear"]

_KERNEL_RADIUS = 2.0
"""Half the width of the wider kernel, bicubic, in pixels of the coarser side."""


@dataclass(frozen=True, slots=True)
class PixelRecipe:
    """What the image tower expects; read from the checkpoint.

    Raises:
        ValueError: a size that is not positive, not three positive deviations, or an unknown way
            to resize.
    """

    size: int
    """Side of the square in pixels."""
    mean: tuple[float, float, float]
    """Per channel, of values in [0, 1]."""
    std: tuple[float, float, float]
    """Per channel, of values in [0, 1]."""
    resize: Resize = "crop"
    resample: Resample = "bicubic"

    def __post_init__(self) -> None:
        named = self.resize in get_args(Resize) and self.resample in get_args(Resample)
        whole = self.size >= 1 and len(self.mean) == 3 and len(self.std) == 3
        if not named or not whole or min(self.std) <= 0:
            raise ValueError(f"not a preprocessing recipe: {self}")

    @property
    def scale_and_shift(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Per channel: ``level * scale + shift`` is ``(level / 255 - mean) / std``."""
        mean, std = np.asarray(self.mean), np.asarray(self.std)
        return (1 / (255 * std)).astype(np.float32), (-mean / std).astype(np.float32)


CLIP_PIXELS = PixelRecipe(
    size=224,
    mean=(0.48145466, 0.4578275, 0.40821073),
    std=(0.26862954, 0.26130258, 0.27577711),
)
"""CLIP ViT-B/32 as published."""


@dataclass(frozen=True, slots=True)
class Fit:
    """How a frame is resized, and where in the result the square is cut out."""

    height: int
    width: int
    top: int
    left: int
    vertical_first: bool
    """Which way is resized first. It shows, by a few levels, where bicubic overshoots black or
    white, as the picture between the two passes has eight bits."""


def fit(height: int, width: int, *, size: int, resize: Resize = "crop") -> Fit:
    """The arithmetic of torchvision's ``Resize`` and ``CenterCrop``.

    The longer side is cut down to an integer, the crop is rounded (to even at .5). Libraries
    differ here, and a crop off by one pixel costs a cosine of 0.001. The order of the passes is
    Pillow's, whose 13 goes vertically first where that takes off more than twice as many rows as
    columns.
    """
    if resize == "squash":
        new_width, new_height = size, size
    elif width <= height:
        new_width, new_height = size, int(size * height / width)
    else:
        new_width, new_height = int(size * width / height), size
    return Fit(
        height=new_height,
        width=new_width,
        top=round((new_height - size) / 2),
        left=round((new_width - size) / 2),
        vertical_first=height > new_height and height - new_height > 2 * (width - new_width),
    )


def clip_pixels(
    frames: NDArray[np.uint8], recipe: PixelRecipe = CLIP_PIXELS
) -> NDArray[np.float32]:
    """Preprocess frames.

    Args:
        frames: RGB, shape ``(n, height, width, 3)``, uint8.
        recipe: size, mean and standard deviation.

    Returns:
        Shape ``(n, 3, size, size)``, float32. Before the last step, at most two levels of 255 from
        Pillow's resize of the whole frame.

    Raises:
        MissingExtraError: Pillow is not installed.
    """
    levels = clip_levels(frames, recipe)
    pixels = np.empty((len(levels), 3, recipe.size, recipe.size), dtype=np.float32)
    for channel, (scale, shift) in enumerate(zip(*recipe.scale_and_shift, strict=True)):
        np.multiply(levels[..., channel], scale, out=pixels[:, channel], dtype=np.float32)
        pixels[:, channel] += shift
    return pixels


def clip_levels(frames: NDArray[np.uint8], recipe: PixelRecipe) -> NDArray[np.uint8]:
    """Resize and crop only: ``(n, height, width, 3)`` to ``(n, size, size, 3)``, both uint8.

    Raises:
        MissingExtraError: Pillow is not installed.
    """
    levels = np.empty((len(frames), recipe.size, recipe.size, 3), dtype=np.uint8)
    for index, frame in enumerate(frames):
        levels[index] = _resized_and_cropped(frame, recipe)
    return levels


def _resized_and_cropped(frame: NDArray[np.uint8], recipe: PixelRecipe) -> NDArray[np.uint8]:
    try:
        from PIL import Image
    except ImportError as error:
        raise MissingExtraError.of("worker", needed_for="turning frames into pixels") from error

    resample = Image.Resampling[recipe.resample.upper()]
    height, width = frame.shape[:2]
    size = recipe.size
    to = fit(height, width, size=size, resize=recipe.resize)
    rows = _Kept.of(height, resized=to.height, start=to.top, size=size)
    columns = _Kept.of(width, resized=to.width, start=to.left, size=size)
    # What the crop throws away is not resized in the first place.
    image = Image.fromarray(frame[rows.first : rows.last, columns.first : columns.last])
    # One pass at a time, as Pillow's own order depends on its version and on what was cut off.
    for vertical in (to.vertical_first, not to.vertical_first):
        across, down = image.size
        box: tuple[float, float, float, float]
        if vertical:
            down, box = size, (0, rows.low, across, rows.high)
        else:
            across, box = size, (columns.low, 0, columns.high, down)
        image = image.resize((across, down), resample, box)
    return np.asarray(image)


@dataclass(frozen=True, slots=True)
class _Kept:
    """What is needed of one side of a frame: pixels ``first`` to ``last`` (after it), and within
    them the stretch ``low`` to ``high`` that the crop shows; the rest is under the kernel."""

    first: int
    last: int
    low: float
    high: float

    @classmethod
    def of(cls, side: int, *, resized: int, start: int, size: int) -> _Kept:
        scale = side / resized
        low, high = start * scale, min((start + size) * scale, side)
        reach = (
            _KERNEL_RADIUS * max(scale, 1.0) + 1
        )  # one more, as Pillow takes the box in single precision
        first, last = max(0, math.floor(low - reach)), min(side, math.ceil(high + reach))
        return cls(first, last, low - first, high - first)
