"""The same pixels as :mod:`vidsearch.media.pixels`, several times faster, where there is torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vidsearch.errors import MissingExtraError
from vidsearch.media.pixels import CLIP_PIXELS, PixelRecipe, clip_levels, fit

if TYPE_CHECKING:
    import torch

__all__ = ["clip_levels_torch", "clip_pixels_torch"]

_MOST_WASTE = 8
"""Longest resized side, in sides of the square that is kept of it."""


def clip_pixels_torch(frames: NDArray[np.uint8], recipe: PixelRecipe = CLIP_PIXELS) -> torch.Tensor:
    """Preprocess frames.

    torch's antialiased resize works on bytes and on a batch of interleaved pixels as it is, so
    nothing is rearranged or becomes a float before the picture is small.

    Args:
        frames: RGB, shape ``(n, height, width, 3)``, uint8; copied first where it is read-only or
            not contiguous.
        recipe: size, mean and standard deviation.

    Returns:
        Shape ``(n, 3, size, size)``, float32, on the CPU. Before the last step, at most two levels
        of 255 from Pillow's resize of the whole frame.

    Raises:
        MissingExtraError: torch is not installed.
    """
    try:
        import torch
    except ImportError as error:
        raise MissingExtraError.of("worker", needed_for="turning frames into tensors") from error

    scale, shift = (torch.from_numpy(each).view(3, 1, 1) for each in recipe.scale_and_shift)
    pixels = torch.empty((len(frames), 3, recipe.size, recipe.size))
    if len(frames):
        pixels.copy_(clip_levels_torch(frames, recipe))
    return pixels.mul_(scale).add_(shift)


def clip_levels_torch(frames: NDArray[np.uint8], recipe: PixelRecipe = CLIP_PIXELS) -> torch.Tensor:
    """The square that is kept of each frame, before it is scaled to floats.

    Args:
        frames: as for :func:`clip_pixels_torch`, one at least.
        recipe: size, and how to resize.

    Returns:
        Shape ``(n, 3, size, size)``, uint8; it need not be contiguous.
    """
    import torch
    from torch.nn.functional import interpolate

    height, width = frames.shape[1:3]
    size, mode = recipe.size, recipe.resample
    to = fit(height, width, size=size, resize=recipe.resize)
    if max(to.height, to.width) > _MOST_WASTE * size:
        # A strip one pixel high would grow to hundreds of megabytes before the crop.
        return torch.from_numpy(clip_levels(frames, recipe)).permute(0, 3, 1, 2)
    # torch warns of memory that it must not write to.
    whole = torch.from_numpy(np.require(frames, requirements=["C", "W"])).permute(0, 3, 1, 2)
    if to.vertical_first:
        whole = interpolate(whole, (to.height, width), mode=mode, antialias=True)
    resized = interpolate(whole, (to.height, to.width), mode=mode, antialias=True)
    return resized[..., to.top : to.top + size, to.left : to.left + size]
