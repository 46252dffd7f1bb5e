"""Probe inputs, and the largest difference between torch and onnxruntime on them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidsearch.encoders.base import Vectors
from vidsearch.encoders.checkpoint import Checkpoint
from vidsearch.encoders.families import Tower
from vidsearch.encoders.onnx.sessions import TowerSession
from vidsearch.encoders.texts import TextRecipe
from vidsearch.media.pixels import clip_pixels

__all__ = ["max_loss", "probes"]

_FRAMES = 12


def probes(
    tower: Tower, checkpoint: Checkpoint, *, texts: TextRecipe, tokenizer: Any
) -> list[NDArray[Any]]:
    """Inputs of one row each: texts of every length that the model reads, or frames."""
    rng = np.random.default_rng(0)
    if tower == "text":
        return list(_texts(rng, texts, checkpoint.vocabulary_size, ends=texts.ids(tokenizer, "")))
    pixels = clip_pixels(_frames(rng, side=checkpoint.pixels.size), checkpoint.pixels)
    return [pixels[index : index + 1] for index in range(len(pixels))]


def max_loss(
    session: TowerSession, inputs: Sequence[NDArray[Any]], expected: Sequence[Vectors]
) -> float:
    """The largest ``1 - cosine`` between a session's vectors and the expected ones."""
    worst = 0.0
    for batch, wanted in zip(inputs, expected, strict=True):
        a, b = session(batch).astype(np.float64), wanted.astype(np.float64)
        cosine = (a * b).sum(-1) / (np.linalg.norm(a, axis=-1) * np.linalg.norm(b, axis=-1))
        # Not a number is no vector at all.
        worst = max(worst, float(np.nan_to_num(1 - cosine, nan=2.0).max()))
    return worst


def _texts(
    rng: np.random.Generator, recipe: TextRecipe, vocabulary_size: int, *, ends: Sequence[int]
) -> Iterator[NDArray[np.int64]]:
    *start, end = ends
    words = np.setdiff1d(np.arange(vocabulary_size), ends)
    for length in range(len(ends), recipe.context_length + 1):
        inner = rng.choice(words, length - len(ends))
        yield np.array([recipe.row([*start, *inner, end])], dtype=np.int64)


def _frames(rng: np.random.Generator, *, side: int) -> NDArray[np.uint8]:
    # Colours with slopes and some noise, from hardly any to nothing else.
    colour = rng.uniform(0, 255, (_FRAMES, 1, 1, 3))
    slope = rng.uniform(-128, 128, (2, _FRAMES, 1, 1, 3))
    down, across = np.mgrid[-0.5 : 0.5 : side * 1j, -0.5 : 0.5 : side * 1j][..., None]
    noise = rng.standard_normal((_FRAMES, side, side, 3))
    strength = np.geomspace(1, 80, _FRAMES).reshape(-1, 1, 1, 1)
    picture = colour + slope[0] * down + slope[1] * across + strength * noise
    levels: NDArray[np.uint8] = picture.clip(0, 255).astype(np.uint8)
    return levels
