"""Contrastive loss between videos and captions when one caption may suit many videos."""

from __future__ import annotations

import torch
from torch import Tensor


def matches(video_labels: Tensor, text_labels: Tensor) -> Tensor:
    """`[videos, texts]` bool: does every attribute the caption states hold for the video?

    Labels are `[rows, 6]` value indices; -1 in a caption's row means "not stated".
    """
    stated = text_labels >= 0
    same = video_labels[:, None] == text_labels[None]
    return (same | ~stated[None]).all(dim=2)


def contrastive_loss(similarity: Tensor, positive: Tensor) -> Tensor:
    """Symmetric InfoNCE where the other positives of a row or column are left out, not pushed away.

    `similarity` `[videos, texts]` is scaled already; `positive` has its shape. Texts without a
    positive (made-up hard negatives) count in the denominators of the videos only.
    """
    negative = similarity.masked_fill(positive, float("-inf"))
    return 0.5 * (
        _one_way(similarity, positive, negative, dim=1)
        + _one_way(similarity, positive, negative, dim=0)
    )


def _one_way(similarity: Tensor, positive: Tensor, negative: Tensor, *, dim: int) -> Tensor:
    others = torch.logsumexp(negative, dim=dim, keepdim=True)
    per_pair = torch.nn.functional.softplus(others - similarity)
    number = positive.sum(dim=dim)
    per_row = (per_pair * positive).sum(dim=dim) / number.clamp(min=1)
    return per_row[number > 0].mean()
