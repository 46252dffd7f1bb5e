"""RGB frames → the tensor that a CLIP image tower was trained on.

This is the preprocessing of the CLIP4Clip notebook (torchvision on PIL images): bicubic resize of
the shorter side, centre crop, scale to [0, 1], mean and standard deviation per channel.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vidsearch.errors import MissingExtra

__all__ = ["CLIP_PIXELS", "PixelRecipe", "clip_pixels"]


@dataclass(frozen=True, slots=True)
class PixelRecipe:
    """What the image tower expects; read from the checkpoint.

    Raises:
        ValueError: a size that is not positive, or not three positive deviations.
    """

    size: int
    """Side of the square in pixels."""
    mean: tuple[float, float, float]
    """Per channel, of values in [0, 1]."""
    std: tuple[float, float, float]
    """Per channel, of values in [0, 1]."""

    def __post_init__(self) -> None:
        if self.size < 1 or len(self.mean) != 3 or len(self.std) != 3 or min(self.std) <= 0:
            raise ValueError(f"not a preprocessing recipe: {self}")


CLIP_PIXELS = PixelRecipe(
    size=224,
    mean=(0.48145466, 0.4578275, 0.40821073),
    std=(0.26862954, 0.26130258, 0.27577711),
)
"""CLIP ViT-B/32 as published."""


def clip_pixels(
    frames: NDArray[np.uint8], recipe: PixelRecipe = CLIP_PIXELS
) -> NDArray[np.float32]:
    """Preprocess frames.

    Args:
        frames: RGB, shape ``(n, height, width, 3)``, uint8.
        recipe: size, mean and standard deviation.

    Returns:
        Shape ``(n, 3, size, size)``, float32.

    Raises:
        MissingExtra: Pillow is not installed.
    """
    size = recipe.size
    pixels = np.empty((len(frames), size, size, 3), dtype=np.float32)
    for index, frame in enumerate(frames):
        pixels[index] = _resized_and_cropped(frame, size)
    pixels /= 255.0
    pixels -= np.asarray(recipe.mean, dtype=np.float32)
    pixels /= np.asarray(recipe.std, dtype=np.float32)
    return np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))


def _resized_and_cropped(frame: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    try:
        from PIL import Image
    except ImportError as error:
        raise MissingExtra.of("worker", needed_for="turning frames into pixels") from error

    height, width = frame.shape[:2]
    # torchvision's arithmetic: the longer side is cut down to an integer, the crop is rounded (to
    # even at .5). Libraries differ here, and a crop off by one pixel costs a cosine of 0.001.
    if width <= height:
        new_width, new_height = size, int(size * height / width)
    else:
        new_width, new_height = int(size * width / height), size
    left, top = round((new_width - size) / 2), round((new_height - size) / 2)
    image = Image.fromarray(frame).resize((new_width, new_height), Image.Resampling.BICUBIC)
    return np.asarray(image.crop((left, top, left + size, top + size)))
