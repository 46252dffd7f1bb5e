"""Pairs to train on: captions as tokens, videos as small pictures, batches in a seeded order."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["Examples", "Pictures", "epoch_batches", "step_count"]

Pictures = NDArray[np.uint8]
"""RGB frames of a video as the model's square, shape ``(n, 3, size, size)``."""


@dataclass(frozen=True, slots=True, eq=False)
class Examples:
    """Captions, each of one video."""

    captions: Sequence[str]
    video_of: Sequence[int]
    """Number of the video that each caption is of."""
    keys: Sequence[str]
    """Tells each video from all others, by its content."""
    pictures: Callable[[int], Pictures]
    """The frames of the video with that number."""

    def __len__(self) -> int:
        return len(self.captions)

    def positive(self, batch: Sequence[int]) -> Tensor:
        """Which captions of a batch suit which of its videos, bool, shape ``(batch, batch)``.

        Beside its own: captions of the same video or of a copy of it, and the same words about
        another one.
        """
        videos = _numbered([self.keys[self.video_of[number]] for number in batch])
        texts = _numbered([self.captions[number] for number in batch])
        return (videos[:, None] == videos[None]) | (texts[:, None] == texts[None])

    @property
    def digest(self) -> str:
        """Of all captions and videos, in order."""
        digest = hashlib.sha256()
        for caption, number in zip(self.captions, self.video_of, strict=True):
            digest.update(f"{self.keys[number]}\0{caption}\0".encode("utf-8", "replace"))
        return digest.hexdigest()


def _numbered(items: Sequence[str]) -> Tensor:
    """A number for each, the same for equal ones."""
    numbers: dict[str, int] = {}
    return torch.tensor([numbers.setdefault(each, len(numbers)) for each in items])


def step_count(examples: int, batch_size: int) -> int:
    """Batches of an epoch, of which the last ones may be one pair shorter; none has one pair."""
    return max(1, min(-(-examples // batch_size), examples // 2))


def epoch_batches(examples: int, batch_size: int, *, seed: int, epoch: int) -> Iterator[list[int]]:
    """Every example once, in an order that follows from seed and epoch alone."""
    order = np.random.default_rng((seed, epoch)).permutation(examples)
    for part in np.array_split(order, step_count(examples, batch_size)):
        yield part.tolist()
