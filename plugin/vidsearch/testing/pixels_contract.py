"""What every way from frames to pixels must do. Subclass it, give it a function, run pytest.

The reference is Pillow's resize of the whole frame and, for CLIP, torchvision's centre crop,
written here in their words and independently of vidsearch's code.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import pytest
from numpy.typing import NDArray

from vidsearch.media.pixels import CLIP_PIXELS, PixelRecipe, Resample

__all__ = ["PixelsContract", "Preprocess", "levels_of", "picture", "reference_levels"]


class Preprocess(Protocol):
    """Frames ``(n, h, w, 3)`` uint8 → ``(n, 3, size, size)`` float32; a tensor or an array."""

    def __call__(self, frames: NDArray[np.uint8], recipe: PixelRecipe = ..., /) -> object: ...


def picture(height: int, width: int, *, seed: int = 0) -> NDArray[np.uint8]:
    """Soft blobs on one half, hard black and white noise on the other, where bicubic overshoots."""
    from PIL import Image

    rng = np.random.default_rng(seed)
    rough = rng.integers(0, 256, (height // 8 + 2, width // 8 + 2, 3), dtype=np.uint8)
    soft = Image.fromarray(rough).resize((width, height), Image.Resampling.BILINEAR)
    pixels = np.array(soft)
    hard = pixels[:, width // 2 :]
    hard[:] = rng.integers(0, 2, hard.shape, dtype=np.uint8) * 255
    return pixels


def reference_levels(frame: NDArray[np.uint8], *, size: int) -> NDArray[np.uint8]:
    """``(size, size, 3)`` levels as torchvision's ``Resize`` and ``CenterCrop`` give on PIL."""
    from PIL import Image

    image = Image.fromarray(frame)
    w, h = image.size
    short, long = (w, h) if w <= h else (h, w)
    new_short, new_long = size, int(size * long / short)
    new_w, new_h = (new_short, new_long) if w <= h else (new_long, new_short)
    resized = image.resize((new_w, new_h), Image.Resampling.BICUBIC)
    crop_top = int(round((new_h - size) / 2.0))  # noqa: RUF046
    crop_left = int(round((new_w - size) / 2.0))  # noqa: RUF046
    return np.asarray(resized.crop((crop_left, crop_top, crop_left + size, crop_top + size)))


def levels_of(pixels: object, recipe: PixelRecipe) -> NDArray[np.float32]:
    """Undo the normalisation: ``(n, size, size, 3)`` levels of 255."""
    mean, std = (np.reshape(each, (3, 1, 1)) for each in (recipe.mean, recipe.std))
    levels: NDArray[np.float64] = (np.asarray(pixels) * std + mean) * 255
    return levels.transpose(0, 2, 3, 1).astype(np.float32)


def _pillow() -> int:
    import PIL

    return int(PIL.__version__.partition(".")[0])


_PLAIN = PixelRecipe(size=10, mean=(0, 0, 0), std=(1, 1, 1))


class PixelsContract:
    """Define a fixture ``preprocess`` in the subclass: a :class:`Preprocess`."""

    @pytest.mark.parametrize(
        ("height", "width"),
        [
            pytest.param(360, 640, id="360p"),
            pytest.param(1080, 1920, id="1080p"),
            pytest.param(427, 640, id="odd-margin"),
            pytest.param(480, 848, id="half-margin"),
            pytest.param(816, 1920, id="cinema"),
            pytest.param(1920, 1080, id="portrait"),
            pytest.param(640, 427, id="portrait-odd"),
            pytest.param(2400, 1080, id="taller-than-2:1"),
            pytest.param(500, 250, id="2:1-upright"),
            pytest.param(480, 480, id="square"),
            pytest.param(224, 224, id="as-wanted"),
            pytest.param(225, 224, id="one-row-more"),
            pytest.param(224, 700, id="height-as-wanted"),
            pytest.param(100, 150, id="smaller"),
            pytest.param(500, 90, id="narrow-and-smaller"),
            pytest.param(7, 5, id="tiny"),
            pytest.param(1, 1, id="one-pixel"),
            pytest.param(1, 640, id="one-row"),
            pytest.param(640, 1, id="one-column"),
            pytest.param(3, 3000, id="strip"),
            pytest.param(4320, 7680, id="8k"),
        ],
    )
    def test_at_most_two_levels_from_pillow(
        self, preprocess: Preprocess, height: int, width: int
    ) -> None:
        if height > 2 * width and height > 224 and _pillow() < 13:
            pytest.skip("Pillow before 13 resizes frames taller than 2:1 in another order")
        frame = picture(height, width)
        (levels,) = levels_of(preprocess(frame[None], CLIP_PIXELS), CLIP_PIXELS)
        error = np.abs(levels - reference_levels(frame, size=224))
        assert error.max() <= 2.01
        assert error.mean() <= 0.01

    def test_a_batch_is_its_frames_one_by_one(self, preprocess: Preprocess) -> None:
        frames = np.stack([picture(90, 120, seed=seed) for seed in range(5)])
        together = np.asarray(preprocess(frames, CLIP_PIXELS))
        for frame, pixels in zip(frames, together, strict=True):
            np.testing.assert_array_equal(
                np.asarray(preprocess(frame[None], CLIP_PIXELS))[0], pixels
            )

    @pytest.mark.parametrize(
        "view",
        [
            pytest.param(np.s_[::2], id="every-other-frame"),
            pytest.param(np.s_[:, ::-1], id="upside-down"),
            pytest.param(np.s_[:, 10:70, 5:100], id="cut-out"),
            pytest.param(np.s_[..., ::-1], id="channels-swapped"),
        ],
    )
    def test_how_frames_lie_in_memory_does_not_matter(
        self, preprocess: Preprocess, view: tuple[slice, ...]
    ) -> None:
        frames = np.stack([picture(90, 120, seed=seed) for seed in range(4)])[view]
        expected = np.asarray(preprocess(frames.copy(), CLIP_PIXELS))
        np.testing.assert_array_equal(np.asarray(preprocess(frames, CLIP_PIXELS)), expected)

    def test_frames_are_only_read(self, preprocess: Preprocess) -> None:
        frames = picture(90, 120)[None]
        before = frames.copy()
        frames.flags.writeable = False
        expected = np.asarray(preprocess(before.copy(), CLIP_PIXELS))
        np.testing.assert_array_equal(np.asarray(preprocess(frames, CLIP_PIXELS)), expected)
        np.testing.assert_array_equal(frames, before)

    def test_colours_stay_in_their_channel(self, preprocess: Preprocess) -> None:
        red = np.zeros((1, 50, 80, 3), dtype=np.uint8)
        red[..., 0] = 255
        pixels = np.asarray(preprocess(red, _PLAIN))
        assert pixels.shape == (1, 3, 10, 10)
        assert pixels.dtype == np.float32
        assert pixels.flags.c_contiguous
        np.testing.assert_allclose(pixels[0, 0], 1.0, atol=1e-6)
        np.testing.assert_array_equal(pixels[0, 1:], 0.0)

    def test_mean_and_deviation_come_from_the_recipe(self, preprocess: Preprocess) -> None:
        grey = np.full((1, 20, 20, 3), 51, dtype=np.uint8)
        recipe = PixelRecipe(size=4, mean=(0.1, 0.2, 0.3), std=(0.5, 1.0, 2.0))
        pixels = np.asarray(preprocess(grey, recipe))
        np.testing.assert_allclose(pixels[0, :, 0, 0], [0.2, 0.0, -0.05], atol=1e-6)

    @pytest.mark.parametrize("size", [32, 223, 336])
    def test_other_sizes_are_cropped_alike(self, preprocess: Preprocess, size: int) -> None:
        recipe = PixelRecipe(size=size, mean=CLIP_PIXELS.mean, std=CLIP_PIXELS.std)
        frame = picture(427, 640)
        (levels,) = levels_of(preprocess(frame[None], recipe), recipe)
        assert np.abs(levels - reference_levels(frame, size=size)).max() <= 2.01

    @pytest.mark.parametrize("resample", ["bicubic", "bilinear"])
    @pytest.mark.parametrize(
        ("height", "width"),
        [
            pytest.param(1080, 1920, id="1080p"),
            pytest.param(640, 427, id="portrait"),
            pytest.param(500, 250, id="2:1-upright"),
            pytest.param(100, 150, id="smaller"),
            pytest.param(90, 500, id="low-and-smaller"),
            pytest.param(1, 640, id="one-row"),
            pytest.param(3000, 3, id="strip"),
        ],
    )
    def test_squashed_at_most_two_levels_from_pillow(
        self, preprocess: Preprocess, height: int, width: int, resample: Resample
    ) -> None:
        from PIL import Image

        if height > 224 and _pillow() < 13:
            pytest.skip("Pillow before 13 resizes what loses more rows in another order")
        recipe = PixelRecipe(224, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5), "squash", resample)
        frame = picture(height, width)
        (levels,) = levels_of(preprocess(frame[None], recipe), recipe)
        whole = Image.fromarray(frame).resize((224, 224), Image.Resampling[resample.upper()])
        error = np.abs(levels - np.asarray(whole))
        assert error.max() <= 2.01
        assert error.mean() <= 0.01

    def test_no_frames_no_pixels(self, preprocess: Preprocess) -> None:
        none = np.empty((0, 9, 9, 3), dtype=np.uint8)
        assert np.asarray(preprocess(none, CLIP_PIXELS)).shape == (0, 3, 224, 224)
