"""Pixels as the image tower was trained on them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from vidsearch.media import CLIP_PIXELS, PixelRecipe, clip_pixels

Image = pytest.importorskip("PIL.Image")

_STD = np.array(CLIP_PIXELS.std, dtype=np.float32).reshape(3, 1, 1)


def picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    rough = rng.integers(0, 256, (height // 8 + 2, width // 8 + 2, 3), dtype=np.uint8)
    smooth = Image.fromarray(rough).resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(smooth)


def test_golden_tensors(shared: Path) -> None:
    golden = np.load(shared / "clip_golden" / "golden.npz")
    for name, expected in zip(golden["names"], golden["image_tensors"], strict=True):
        image = Image.open(shared / "clip_golden" / "images" / f"{name}.jpg").convert("RGB")
        (ours,) = clip_pixels(np.asarray(image)[None])
        levels = np.abs(ours - expected) * _STD * 255
        assert levels.max() <= 2, name


@pytest.mark.parametrize(
    ("height", "width"),
    [(360, 640), (427, 640), (480, 848), (816, 1920), (640, 427), (224, 224), (225, 224)],
)
def test_offset_and_size_follow_torchvision(height: int, width: int) -> None:
    image = picture(height, width)
    size = 224
    short, long = min(height, width), max(height, width)
    resized = (size, int(size * long / short))
    if width > height:
        resized = resized[::-1]
    # `resized` is (width, height) now, as PIL takes it.
    left, top = (int(round((side - size) / 2.0)) for side in resized)  # noqa: RUF046
    expected = np.asarray(Image.fromarray(image).resize(resized, Image.Resampling.BICUBIC))
    expected = expected[top : top + size, left : left + size]
    (ours,) = clip_pixels(image[None])
    back = (ours * _STD + np.array(CLIP_PIXELS.mean, dtype=np.float32).reshape(3, 1, 1)) * 255
    np.testing.assert_allclose(back.transpose(1, 2, 0), expected, atol=1e-3)


def test_colours_stay_in_their_channel() -> None:
    red = np.zeros((1, 50, 80, 3), dtype=np.uint8)
    red[..., 0] = 255
    plain = PixelRecipe(size=10, mean=(0, 0, 0), std=(1, 1, 1))
    pixels = clip_pixels(red, plain)
    assert pixels.shape == (1, 3, 10, 10)
    assert pixels.dtype == np.float32
    assert pixels.flags.c_contiguous
    np.testing.assert_array_equal(pixels[0, 0], 1.0)
    np.testing.assert_array_equal(pixels[0, 1:], 0.0)


def test_mean_and_deviation_come_from_the_recipe() -> None:
    grey = np.full((1, 20, 20, 3), 51, dtype=np.uint8)
    pixels = clip_pixels(grey, PixelRecipe(size=4, mean=(0.1, 0.2, 0.3), std=(0.5, 1.0, 2.0)))
    np.testing.assert_allclose(pixels[0, :, 0, 0], [0.2, 0.0, -0.05], atol=1e-6)


def test_no_frames_no_pixels() -> None:
    assert clip_pixels(np.empty((0, 9, 9, 3), dtype=np.uint8)).shape == (0, 3, 224, 224)


@pytest.mark.parametrize(
    "wrong",
    [
        {"size": 0, "mean": (0, 0, 0), "std": (1, 1, 1)},
        {"size": 8, "mean": (0, 0), "std": (1, 1, 1)},
        {"size": 8, "mean": (0, 0, 0), "std": (1, 0, 1)},
    ],
)
def test_a_senseless_recipe_is_refused(wrong: dict) -> None:
    with pytest.raises(ValueError, match="recipe"):
        PixelRecipe(**wrong)
