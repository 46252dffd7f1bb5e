"""Batches for training: augmented frames, and captions of them with near misses."""

from __future__ import annotations

import random
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from training.pool import Pool, labels_of, scene_of
from vidsearch.demo.scenes import ATTRIBUTES, VALUES, Scene, paraphrase

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)
_SHIFT = 2  # pixels of random translation
# Chosen more often for near misses: the attributes that are hard to see.
_MISS_WEIGHTS = (4, 2, 3, 2, 2, 2)


@dataclass(frozen=True, kw_only=True)
class Captions:
    """Token ids and mask `[texts, tokens]`, stated labels `[texts, 6]` with -1 for "not stated"."""

    ids: Tensor
    mask: Tensor
    labels: Tensor


def normalise(frames: Tensor) -> Tensor:
    """uint8-range RGB `[..., height, width, 3]` to CLIP's normalised `[..., 3, height, width]`."""
    mean, std = torch.tensor(CLIP_MEAN) * 255, torch.tensor(CLIP_STD) * 255
    return ((frames.float() - mean) / std).movedim(-1, -3)


def frames_batch(pool: Pool, rows: NDArray[np.int64], rng: np.random.Generator) -> Tensor:
    """Normalised frames `[rows * GROUP, 3, size, size]`, mirrored, shifted and with noise."""
    frames = pool.frames[rows].reshape(-1, *pool.frames.shape[2:])
    size = frames.shape[1]
    mirrored = rng.random(len(frames)) < 0.5
    # Every shape is its own mirror image. Edges repeat, as backgrounds are flat.
    columns = np.arange(size) + rng.integers(-_SHIFT, _SHIFT + 1, (len(frames), 1))
    columns = np.where(mirrored[:, None], size - 1 - columns, columns).clip(0, size - 1)
    lines = (np.arange(size) + rng.integers(-_SHIFT, _SHIFT + 1, (len(frames), 1))).clip(
        0, size - 1
    )
    index = np.arange(len(frames))[:, None, None]
    moved = torch.from_numpy(frames[index, lines[:, :, None], columns[:, None, :]]).float()
    noise = torch.from_numpy(rng.standard_normal(moved.shape, dtype=np.float32))
    strength = torch.from_numpy(rng.uniform(0, 4, (len(frames), 1, 1, 1)).astype(np.float32))
    return normalise((moved + noise * strength).clamp(0, 255))


def captions_batch(
    labels: NDArray[np.int8],
    tokenizer: PreTrainedTokenizerFast,
    rng: random.Random,
    *,
    partial: float = 0.6,
    misses: float = 0.5,
) -> Captions:
    """Captions of the videos with labels `[videos, 6]`.

    Each video gets a full caption; a share `partial` also one that leaves attributes out (half of
    those state colour and shape alone), and a share `misses` a near miss: a full or short caption
    with one attribute wrong.
    """
    texts: list[str] = []
    stated: list[list[int]] = []

    def add(scene: Scene, mention: tuple[str, ...]) -> None:
        texts.append(_noisy(paraphrase(scene, rng=rng, mention=mention), rng))
        stated.append(
            [
                label if name in mention else -1
                for name, label in zip(ATTRIBUTES, labels_of(scene), strict=True)
            ]
        )

    for row in labels:
        scene = scene_of(row)
        add(scene, ATTRIBUTES)
        if rng.random() < partial:
            add(scene, _mention(rng))
        if rng.random() < misses:
            (name,) = rng.choices(ATTRIBUTES, _MISS_WEIGHTS)
            value = rng.choice([v for v in VALUES[name] if v != scene.value(name)])
            mention = ATTRIBUTES if rng.random() < 0.7 else _mention(rng)
            if name in mention:
                add(scene.with_value(name, value), mention)
    encoded = tokenizer(
        texts, padding=True, truncation=True, return_tensors="pt", return_attention_mask=True
    )
    return Captions(
        ids=encoded["input_ids"],
        mask=encoded["attention_mask"],
        labels=torch.tensor(stated),
    )


def _mention(rng: random.Random) -> tuple[str, ...]:
    if rng.random() < 0.5:
        return ("colour", "shape")
    others = [name for name in ATTRIBUTES if name != "shape"]
    return ("shape", *rng.sample(others, rng.randrange(len(others))))


def _noisy(text: str, rng: random.Random) -> str:
    """Now and then an unknown word, so that the text tower learns to pass over them."""
    if rng.random() > 0.05:
        return text
    word = "".join(rng.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(rng.randrange(2, 7)))
    parts = text.split()
    parts.insert(rng.randrange(len(parts) + 1), word)
    return " ".join(parts)
