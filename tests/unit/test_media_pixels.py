"""The arithmetic behind CLIP pixels; the pixels themselves are in the contract tests."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidsearch.media.pixels import CLIP_PIXELS, PixelRecipe, clip_levels, clip_pixels, fit


@pytest.mark.parametrize(
    ("height", "width", "resized", "corner"),
    [
        (360, 640, (224, 398), (0, 87)),
        (427, 640, (224, 335), (0, 56)),  # 55.5, to even; transformers takes 55
        (480, 848, (224, 395), (0, 86)),  # 85.5
        (816, 1920, (224, 527), (0, 152)),  # 151.5
        (640, 427, (335, 224), (56, 0)),
        (224, 227, (224, 227), (0, 2)),  # 1.5
        (224, 229, (224, 229), (0, 2)),  # 2.5, to even
        (100, 100, (224, 224), (0, 0)),
        (1, 640, (224, 143_360), (0, 71_568)),
    ],
)
def test_size_and_crop_equal_those_of_torchvision(
    height: int, width: int, resized: tuple[int, int], corner: tuple[int, int]
) -> None:
    found = fit(height, width, size=224)
    assert ((found.height, found.width), (found.top, found.left)) == (resized, corner)


@pytest.mark.parametrize(
    ("height", "width", "vertical"),
    [
        (601, 300, True),
        (600, 300, False),  # not taller than 2:1
        (600, 200, False),  # grows
        (300, 601, False),
    ],
)
def test_only_what_shrinks_and_is_tall_goes_vertically_first(
    height: int, width: int, vertical: bool
) -> None:
    assert fit(height, width, size=224).vertical_first is vertical


@pytest.mark.parametrize(
    ("height", "width", "vertical"),
    [
        (300, 199, True),  # 200 rows less, 99 columns
        (300, 200, False),  # 200 and 100
        (101, 60, True),  # columns are added
        (100, 60, False),  # no rows less
    ],
)
def test_what_loses_more_than_twice_as_many_rows_goes_vertically_first(
    height: int, width: int, vertical: bool
) -> None:
    found = fit(height, width, size=100, resize="squash")
    assert (found.height, found.width, found.top, found.left) == (100, 100, 0, 0)
    assert found.vertical_first is vertical


@given(height=st.integers(1, 9000), width=st.integers(1, 9000), size=st.integers(1, 512))
def test_the_square_lies_within_the_resized_frame(height: int, width: int, size: int) -> None:
    found = fit(height, width, size=size)
    assert 0 <= found.top <= found.top + size <= found.height
    assert 0 <= found.left <= found.left + size <= found.width


def test_cropped_parts_are_not_resized(monkeypatch: pytest.MonkeyPatch) -> None:
    """A strip of one row would grow to 30 million pixels."""
    image = pytest.importorskip("PIL.Image")
    sizes = []
    resize = image.Image.resize

    def recorded(self: Any, size: tuple[int, int], *arguments: Any) -> Any:
        sizes.append(size)
        return resize(self, size, *arguments)

    monkeypatch.setattr(image.Image, "resize", recorded)
    clip_levels(np.zeros((1, 1, 640, 3), dtype=np.uint8), CLIP_PIXELS)
    assert max(width * height for width, height in sizes) <= 224 * 224


def test_torch_and_numpy_pixels_of_an_extreme_strip_are_equal() -> None:
    torch = pytest.importorskip("torch")
    from vidsearch.media.torch_pixels import clip_pixels_torch

    strip = np.random.default_rng(0).integers(0, 256, (2, 2, 900, 3), dtype=np.uint8)
    expected = torch.from_numpy(clip_pixels(strip))
    assert torch.allclose(clip_pixels_torch(strip), expected, atol=1e-6)


def test_scale_and_shift_are_the_normalisation() -> None:
    levels = np.arange(256, dtype=np.float64)
    scale, shift = CLIP_PIXELS.scale_and_shift
    for channel in range(3):
        plain = (levels / 255 - CLIP_PIXELS.mean[channel]) / CLIP_PIXELS.std[channel]
        np.testing.assert_allclose(levels * scale[channel] + shift[channel], plain, atol=1e-6)


@pytest.mark.parametrize(
    "wrong",
    [
        {"size": 0, "mean": (0, 0, 0), "std": (1, 1, 1)},
        {"size": 8, "mean": (0, 0), "std": (1, 1, 1)},
        {"size": 8, "mean": (0, 0, 0), "std": (1, 0, 1)},
        {"size": 8, "mean": (0, 0, 0), "std": (1, 1, 1), "resize": "stretch"},
        {"size": 8, "mean": (0, 0, 0), "std": (1, 1, 1), "resample": "nearest"},
    ],
)
def test_invalid_recipe_is_refused(wrong: dict) -> None:
    with pytest.raises(ValueError, match="recipe"):
        PixelRecipe(**wrong)
