"""CLIP and SigLIP checkpoints, run with torch and transformers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from pydantic import SecretStr

from vidsearch.encoders.base import Encoder, Vectors
from vidsearch.encoders.checkpoint import Checkpoint, open_checkpoint
from vidsearch.encoders.identity import ModelIdentity
from vidsearch.encoders.precision import FramePrecision, frame_precision, may_have_card
from vidsearch.encoders.texts import TextRecipe
from vidsearch.error_texts import first_line
from vidsearch.errors import EncoderError, ModelUnavailableError
from vidsearch.media.frames import FrameBatch, Sampling
from vidsearch.media.torch_pixels import clip_pixels_torch
from vidsearch.metrics import timed
from vidsearch.once import build_once

__all__ = ["TorchEncoder"]

_PROBES = ("a red circle", "two people walk a dog")


class TorchEncoder(Encoder):
    """A CLIP or SigLIP checkpoint as an :class:`~vidsearch.encoders.base.Encoder`.

    Text and frames become the vectors that transformers' own classes compute: in fp32 with a
    cosine of at least 0.999999. With ``precision="auto"`` frames are computed in bf16 where the
    hardware has it, with a cosine of at least 0.9995 to fp32.

    The constructor loads nothing. ``identity`` reads the checkpoint's small files (and hashes the
    weights of a local folder). The tokenizer and each tower are loaded when first used, so a
    process that only searches never loads the vision tower.
    """

    def __init__(
        self,
        name: str,
        *,
        revision: str | None = None,
        device: str = "auto",
        precision: str = "auto",
        batch_size: int = 8,
        threads: int = 1,
        offline: bool = False,
        token: SecretStr | None = None,
        rate: float = 1.0,
        sampling: Sampling = "played-at",
    ) -> None:
        """
        Args:
            name: hub id, folder, or ``demo``.
            revision: of the hub: commit, tag or branch.
            device: torch device, or ``auto``.
            precision: of frames: ``fp32``, ``bf16``, or ``auto``, which is bf16 where the hardware
                has it and fp32 elsewhere. Text is always computed in fp32.
            batch_size: frames or texts per forward pass.
            threads: torch threads, for the whole process.
            offline: never ask the hub.
            token: of the hub.
            rate: frames per second that videos are sampled at; part of the identity.
            sampling: how those frames are chosen; part of it as well.

        Raises:
            ConfigError: no such precision, or one that torch does not have.
        """
        frame_precision(precision)
        self._name = name
        self._revision = revision
        self._device_name = device
        self._precision = precision
        self._batch_size = batch_size
        self._threads = threads
        self._offline = offline
        self._token = token
        self._rate = rate
        self._sampling: Sampling = sampling

    def __repr__(self) -> str:
        return f"TorchEncoder({self._name!r})"

    @build_once
    def identity(self) -> ModelIdentity:
        """See :class:`~vidsearch.encoders.base.Encoder`. Loads no weights.

        Raises:
            ModelUnavailableError: there is no such checkpoint.
        """
        return self._checkpoint.identity(
            rate=self._rate, sampling=self._sampling, precision=self.precision
        )

    @property
    def precision(self) -> FramePrecision:
        """Number format that frames are computed in."""
        on_cpu = self._device_name == "cpu" or (self._device_name == "auto" and not may_have_card())
        # What the CPU has is known without torch, and an index can be made where there is none.
        if self._precision != "auto" or on_cpu:
            return frame_precision(self._precision)
        return frame_precision(self._precision, device=self._device)

    @property
    def context_length(self) -> int:
        return self._checkpoint.context_length

    def count_tokens(self, text: str) -> int:
        recipe, tokenizer = self._texts
        return len(recipe.ids(tokenizer, text))

    def encode_text(self, texts: Sequence[str]) -> Vectors:
        tower = self._text_tower
        return self._in_batches(lambda part: self._embed_text(tower, list(part)), texts)

    def encode_frames(self, frames: FrameBatch) -> Vectors:
        tower = self._vision_tower
        recipe, vector = self._checkpoint.pixels, self._checkpoint.family.vector

        def embed(part: Any) -> Any:
            with timed("preprocess"):
                pixels = clip_pixels_torch(part, recipe)
            return tower(pixel_values=pixels.to(tower.device, tower.dtype))[vector]

        return self._in_batches(embed, frames.data)

    def _embed_text(self, tower: Any, texts: list[str]) -> Any:
        import torch

        rows = [self._row(text) for text in texts]
        # Where rows differ in length the tower is causal and pools at the first end token: what is
        # put after it changes time and nothing else.
        longest = max(map(len, rows))
        ids = torch.tensor([[*row, *row[-1:] * (longest - len(row))] for row in rows])
        return tower(input_ids=ids.to(tower.device))[self._checkpoint.family.vector]

    def _row(self, text: str) -> list[int]:
        recipe, tokenizer = self._texts
        return recipe.row(recipe.ids(tokenizer, text))

    def _in_batches(self, embed: Callable[[Any], Any], items: Any) -> Vectors:
        import torch

        rows: list[Vectors] = [np.empty((0, self.identity.dims), dtype=np.float32)]
        try:
            with torch.inference_mode():
                for start in range(0, len(items), self._batch_size):
                    output = embed(items[start : start + self._batch_size]).float()
                    unit = output / output.norm(dim=-1, keepdim=True)
                    rows.append(unit.cpu().numpy())
        except RuntimeError as error:  # out of memory, a device that went away
            raise EncoderError(f"{self._name!r} failed: {first_line(error)}") from error
        return np.concatenate(rows)

    @build_once
    def _checkpoint(self) -> Checkpoint:
        return open_checkpoint(
            self._name, revision=self._revision, offline=self._offline, token=self._token
        )

    @build_once
    def _device(self) -> Any:
        from vidsearch.encoders.towers import torch_device

        return torch_device(self._device_name, threads=self._threads)

    @build_once
    def _texts(self) -> tuple[TextRecipe, Any]:
        from vidsearch.encoders.vocabulary import load_texts

        return load_texts(self._checkpoint)

    @build_once
    def _vision_tower(self) -> Any:
        from vidsearch.encoders.towers import load_tower

        precision = self.precision
        tower = load_tower(self._checkpoint, "vision", device=self._device, precision=precision)
        # A text is a few tokens, for which it hardly matters.
        if precision == "fp32" and self._device.type == "cpu":
            from vidsearch.encoders.onednn import use_faster_linear

            use_faster_linear(tower)
        return tower

    @build_once
    def _text_tower(self) -> Any:
        from vidsearch.encoders.towers import load_tower

        # First, as it names the extra where there is no torch.
        tower = load_tower(self._checkpoint, "text", device=self._device)
        import torch

        with torch.inference_mode():
            one, other = self._embed_text(tower, list(_PROBES))
        # With an eos_token_id that is not the tokenizer's, every text is the same vector.
        if torch.allclose(one, other, rtol=1e-4, atol=1e-6):
            raise ModelUnavailableError(
                f"{self._name!r} gives one and the same vector for different texts: its "
                "text_config.eos_token_id is not the end token of its tokenizer"
            )
        return tower
