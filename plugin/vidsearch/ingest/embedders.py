"""What embeds frames with the model of an index, which need not be the configured one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from vidsearch.embeddings import FrameEmbedder
from vidsearch.encoders import Encoder
from vidsearch.index.videos_index import VideosIndex

__all__ = ["EncoderFor", "Embedders"]

EncoderFor = Callable[[VideosIndex], Encoder]
"""Finds the encoder of an index's model; raises ModelMismatchError where there is none."""


class Embedders:
    """The embedder of the settings, with the encoder that an index asks for.

    A worker that still has the former model in its settings thus goes on after a change of model.

    Args:
        embedder: of the settings.
        encoder_for: ``None``: there is no other model.
    """

    def __init__(self, embedder: FrameEmbedder, encoder_for: EncoderFor | None = None) -> None:
        self._embedder = embedder
        self._encoder_for = encoder_for

    def of(self, index: VideosIndex) -> FrameEmbedder:
        """What makes the vectors of that index.

        Raises:
            ModelMismatchError: it has another model, which is not to be had here.
        """
        if self._encoder_for is None:
            index.require_model(self._embedder.model)
            return self._embedder
        return replace(self._embedder, encoder=self._encoder_for(index))
