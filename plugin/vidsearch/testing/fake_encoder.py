"""An encoder without a model: colours and words in one small space, the same in every process."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vidsearch.encoders.base import Vectors
from vidsearch.encoders.identity import ModelIdentity
from vidsearch.media.frames import FrameBatch

__all__ = ["FakeEncoder"]

_COLOURS = {
    "black": (0, 0, 0),
    "white": (255, 255, 255),
    "red": (255, 0, 0),
    "green": (0, 255, 0),
    "blue": (0, 0, 255),
    "yellow": (255, 255, 0),
    "cyan": (0, 255, 255),
    "magenta": (255, 0, 255),
}
_REACH = 64.0
"""Distance in RGB levels at which a colour has faded to 1/e."""


class FakeEncoder:
    """Knows eight colours: text that names one is near frames whose mean colour is like it.

    Every other word has a direction of its own, drawn from a stable hash, in which frames have no
    part. Held to the same contract as the real encoder.
    """

    context_length = 77

    def __init__(self, *, dims: int = 32, revision: str = "1", rate: float = 1.0) -> None:
        if dims <= len(_COLOURS):
            raise ValueError(f"dims must exceed {len(_COLOURS)}, one per colour, not {dims}")
        self._identity = ModelIdentity(
            name="fake",
            revision=revision,
            dims=dims,
            image_size=1,
            sampling=f"played-at@{rate:g}fps",
        )

    @property
    def identity(self) -> ModelIdentity:
        """See :class:`~vidsearch.encoders.base.Encoder`."""
        return self._identity

    def count_tokens(self, text: str) -> int:
        """A token per word, and two."""
        return len(_words(text)) + 2

    def encode_text(self, texts: Sequence[str]) -> Vectors:
        """Sum of the words' directions, scaled to unit length."""
        return self._unit([self._text(text) for text in texts])

    def encode_frames(self, frames: FrameBatch) -> Vectors:
        """Nearness of each frame's mean colour to the known ones, scaled to unit length."""
        return self._unit([self._frame(frame) for frame in frames.data])

    def _text(self, text: str) -> NDArray[np.float64]:
        words = _words(text)[: self.context_length - 2]
        return sum((self._word(word) for word in words), start=self._direction("") * 1e-3)

    def _word(self, word: str) -> NDArray[np.float64]:
        if word in _COLOURS:
            vector = np.zeros(self._identity.dims)
            vector[list(_COLOURS).index(word)] = 1.0
            return vector
        return self._direction(word)

    def _direction(self, word: str) -> NDArray[np.float64]:
        # Python's own hash is salted per process.
        seed = int.from_bytes(hashlib.sha256(word.encode()).digest()[:8], "big")
        vector = np.zeros(self._identity.dims)
        rest = np.random.default_rng(seed).standard_normal(self._identity.dims - len(_COLOURS))
        vector[len(_COLOURS) :] = rest / np.linalg.norm(rest)
        return vector

    def _frame(self, frame: NDArray[np.uint8]) -> NDArray[np.float64]:
        distances = np.linalg.norm(np.array(list(_COLOURS.values())) - frame.mean((0, 1)), axis=1)
        vector = np.zeros(self._identity.dims)
        vector[: len(_COLOURS)] = np.exp(-((distances / _REACH) ** 2)) + 1e-3
        return vector

    def _unit(self, rows: list[NDArray[np.float64]]) -> Vectors:
        vectors = np.array(rows).reshape(len(rows), self._identity.dims)
        unit: Vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(
            np.float32
        )
        return unit


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())
