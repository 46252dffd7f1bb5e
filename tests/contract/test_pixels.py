"""Every way to CLIP pixels keeps the same contract, and leads to the same vectors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vidsearch.media.pixels import CLIP_PIXELS, clip_pixels
from vidsearch.media.torch_pixels import clip_pixels_torch
from vidsearch.testing.pixels_contract import (
    PixelsContract,
    Preprocess,
    levels_of,
    picture,
    reference_levels,
)

Image = pytest.importorskip("PIL.Image")

_SIZES = [(427, 640), (816, 1920), (1920, 1080), (2000, 900)]


@pytest.fixture(scope="module")
def tower() -> Any:
    """The image tower of ViT-B/32 with random weights."""
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        config = transformers.CLIPVisionConfig(projection_dim=512)
        return transformers.CLIPVisionModelWithProjection(config).eval()


class _OnRealPictures(PixelsContract):
    def test_golden_tensors_of_the_published_clip(
        self, preprocess: Preprocess, shared: Path
    ) -> None:
        golden = np.load(shared / "clip_golden" / "golden.npz")
        for name, tensor in zip(golden["names"], golden["image_tensors"], strict=True):
            path = shared / "clip_golden" / "images" / f"{name}.jpg"
            frame = np.asarray(Image.open(path).convert("RGB"))
            ours, expected = (
                levels_of(each, CLIP_PIXELS)
                for each in (preprocess(frame[None], CLIP_PIXELS), tensor[None])
            )
            error = np.abs(ours - expected)
            assert error.max() <= 2.01, name
            assert error.mean() <= 0.01, name

    def test_vectors_equal_those_of_pillows_pixels(
        self, preprocess: Preprocess, tower: Any
    ) -> None:
        import torch

        frames = [picture(height, width) for height, width in _SIZES]
        ours = np.concatenate([np.asarray(preprocess(frame[None])) for frame in frames])
        levels = np.stack([reference_levels(frame, size=224) for frame in frames])
        mean, std = np.float32(CLIP_PIXELS.mean), np.float32(CLIP_PIXELS.std)
        theirs = ((levels / np.float32(255) - mean) / std).transpose(0, 3, 1, 2)
        with torch.inference_mode():
            vectors = [
                tower(pixel_values=torch.from_numpy(np.ascontiguousarray(each)))[0].double()
                for each in (ours, theirs)
            ]
        cosines = torch.cosine_similarity(*vectors)
        assert cosines.min() >= 0.999999
        # The bar is not met by just any picture.
        assert torch.cosine_similarity(vectors[0], vectors[1].roll(1, 0)).max() < 0.9999


class TestWithoutTorch(_OnRealPictures):
    @pytest.fixture
    def preprocess(self) -> Preprocess:
        return clip_pixels


class TestWithTorch(_OnRealPictures):
    @pytest.fixture
    def preprocess(self) -> Preprocess:
        pytest.importorskip("torch")
        return clip_pixels_torch
