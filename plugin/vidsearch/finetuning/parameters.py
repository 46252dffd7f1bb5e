"""Adam, with a rate of its own for the weights of the checkpoint."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

__all__ = ["new_adam"]

_BETAS = (0.9, 0.98)
"""CLIP's and CLIP4Clip's."""


def new_adam(
    own: Iterable[nn.Parameter],
    new: Iterable[nn.Parameter],
    *,
    own_rate: float,
    new_rate: float,
    weight_decay: float,
) -> torch.optim.AdamW:
    """An optimiser whose groups know their highest rate as ``highest``.

    Args:
        own: weights that were trained before: those of CLIP.
        new: what is learned anew: the scale, and layers that are added for training.
        own_rate: highest rate of ``own``.
        new_rate: highest rate of ``new``.
        weight_decay: of matrices; vectors and scalars (biases, norms, the scale) have none.
    """
    groups: list[dict[str, Any]] = []
    for parameters, rate in ((list(own), own_rate), (list(new), new_rate)):
        for decays in (True, False):
            chosen = [p for p in parameters if (p.ndim > 1) is decays]
            decay = weight_decay if decays else 0.0
            if chosen:
                groups.append(
                    {"params": chosen, "weight_decay": decay, "highest": rate, "lr": rate}
                )
    return torch.optim.AdamW(groups, betas=_BETAS)
