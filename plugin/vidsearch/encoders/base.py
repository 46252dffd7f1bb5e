"""The seam between pixels or words and unit vectors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from vidsearch.encoders.identity import ModelIdentity
from vidsearch.media.frames import FrameBatch

__all__ = ["Encoder", "Vectors"]

Vectors = NDArray[np.float32]
"""Unit vectors, shape ``(n, dims)``, float32."""


@runtime_checkable
class Encoder(Protocol):
    """Text and frames into one space of unit vectors. Methods may be called from many threads."""

    @property
    def identity(self) -> ModelIdentity:
        """What the index must remember to know these vectors again."""
        ...

    @property
    def context_length(self) -> int:
        """Tokens the text tower reads, those included that the model adds; more is cut off."""
        ...

    def count_tokens(self, text: str) -> int:
        """Tokens of ``text`` before any cut, those included that the model adds."""
        ...

    def encode_text(self, texts: Sequence[str]) -> Vectors:
        """Embed texts: ``(len(texts), dims)`` float32, each row of unit length.

        Raises:
            EncoderError: the model failed.
        """
        ...

    def encode_frames(self, frames: FrameBatch) -> Vectors:
        """Embed frames: ``(len(frames), dims)`` float32, each row of unit length.

        Raises:
            EncoderError: the model failed.
        """
        ...
