"""A checkpoint's two towers in training: captions and videos to unit vectors, with gradients."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from vidsearch.batches import in_batches
from vidsearch.encoders.checkpoint import Checkpoint
from vidsearch.encoders.precision import FramePrecision
from vidsearch.encoders.towers import load_model
from vidsearch.encoders.vocabulary import load_texts
from vidsearch.finetuning.examples import Pictures
from vidsearch.finetuning.loss import pooled_videos, unit

__all__ = ["TwoTowers"]

_EMBEDDED_AT_A_TIME = 16


class TwoTowers:
    """What :class:`~vidsearch.encoders.TorchEncoder` computes, with gradients.

    Args:
        checkpoint: CLIP or SigLIP.
        device: a ``torch.device``.
        precision: of the towers; losses and sums are fp32.

    Raises:
        ModelUnavailableError: weights or tokenizer are missing or of another model.
        MissingExtraError: transformers is not installed.
    """

    def __init__(
        self, checkpoint: Checkpoint, *, device: torch.device, precision: FramePrecision
    ) -> None:
        self.checkpoint = checkpoint
        self.model: nn.Module = load_model(checkpoint, device=device, precision=precision)
        self.precision = precision
        self._device = device
        self._recipe, self._tokenizer = load_texts(checkpoint)
        scale, shift = (torch.from_numpy(each) for each in checkpoint.pixels.scale_and_shift)
        self._scale, self._shift = (each.view(3, 1, 1).to(device) for each in (scale, shift))

    @property
    def log_scale(self) -> nn.Parameter:
        """The learned scale of cosines, as a logarithm."""
        parameter: Any = self.model.logit_scale
        assert isinstance(parameter, nn.Parameter)
        return parameter

    @property
    def own_weights(self) -> list[nn.Parameter]:
        """All others."""
        return [each for each in self.model.parameters() if each is not self.log_scale]

    def texts(self, captions: Sequence[str]) -> Tensor:
        """Unit vectors of captions, shape ``(n, dims)``."""
        rows = [
            self._recipe.row(self._recipe.ids(self._tokenizer, caption)) for caption in captions
        ]
        longest = max(map(len, rows))
        # As the encoder fills rows: the towers that read shorter ones pool at the first end token.
        ids = torch.tensor([[*row, *row[-1:] * (longest - len(row))] for row in rows])
        model: Any = self.model
        with self._autocast():
            output = model.get_text_features(input_ids=ids.to(self._device))
        return unit(_vectors(output))

    def videos(self, clips: Sequence[Pictures]) -> Tensor:
        """Unit vectors of videos, each the mean of its frames' unit vectors, ``(n, dims)``."""
        bytes_ = torch.from_numpy(np.concatenate(clips)).to(self._device)
        # The same two steps, in fp32, as the encoder's.
        pixels = bytes_.float().mul_(self._scale).add_(self._shift)
        numbers = np.repeat(np.arange(len(clips)), [len(clip) for clip in clips])
        model: Any = self.model
        with self._autocast():
            output = model.get_image_features(pixel_values=pixels)
        video_of = torch.from_numpy(numbers).to(self._device)
        return pooled_videos(_vectors(output), video_of, len(clips))

    def embedded_texts(self, captions: Iterable[str]) -> NDArray[np.float32]:
        """The same as an array, without gradients."""
        return self._embedded(self.texts, captions)

    def embedded_videos(self, clips: Iterable[Pictures]) -> NDArray[np.float32]:
        """The same as an array, without gradients; few of the clips are in memory at a time."""
        return self._embedded(self.videos, clips)

    def _embedded(
        self, embed: Callable[[Sequence[Any]], Tensor], items: Iterable[Any]
    ) -> NDArray[np.float32]:
        self.model.eval()
        try:
            with torch.inference_mode():
                parts = in_batches(items, _EMBEDDED_AT_A_TIME)
                return np.concatenate([embed(part).cpu().numpy() for part in parts])
        finally:
            self.model.train()

    def _autocast(self) -> AbstractContextManager[Any]:
        if self.precision == "fp32":
            return nullcontext()
        return torch.autocast(self._device.type, torch.bfloat16)


def _vectors(output: Any) -> Tensor:
    # transformers 5 returns them within an object.
    vectors: Tensor = getattr(output, "pooler_output", output)
    return vectors.float()
