"""The loss of CLIP4Clip (arXiv 2104.08860), for pairs of which some may share a caption or a video.

Captions and videos of a batch are compared all with all. Cross-entropy, by captions and by videos,
pulls the right ones together. Where a caption suits several videos of the batch, the others that it
suits are left out of its denominator rather than pushed away; where each suits one, as in the
paper, it is plain cross-entropy.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["MAX_SCALE", "cap_scale", "contrastive_loss", "pooled_videos", "unit"]

MAX_SCALE = 100.0
"""Of the cosines, as in CLIP: beyond it, training becomes unstable."""


def contrastive_loss(similarity: Tensor, positive: Tensor) -> Tensor:
    """Symmetric cross-entropy over a matrix of similarities.

    Args:
        similarity: scaled cosines, shape ``(videos, texts)``.
        positive: bool, of the same shape: whether the text suits the video. A text that suits none
            (a made-up near miss) counts in the denominators of the videos only.

    Returns:
        The mean of both directions, a scalar.
    """
    # Not infinity: a row that holds no negative would have a gradient that is not a number.
    negative = similarity.masked_fill(positive, torch.finfo(similarity.dtype).min)
    by_video = _one_way(similarity, positive, negative, dim=1)
    return 0.5 * (by_video + _one_way(similarity, positive, negative, dim=0))


def _one_way(similarity: Tensor, positive: Tensor, negative: Tensor, *, dim: int) -> Tensor:
    others = torch.logsumexp(negative, dim=dim, keepdim=True)
    per_pair = torch.nn.functional.softplus(others - similarity)
    number = positive.sum(dim=dim)
    per_row = (per_pair * positive).sum(dim=dim) / number.clamp(min=1)
    return per_row[number > 0].mean()


def unit(vectors: Tensor) -> Tensor:
    """Rows scaled to unit length."""
    return torch.nn.functional.normalize(vectors, dim=-1)


def pooled_videos(frames: Tensor, video_of: Tensor, number: int) -> Tensor:
    """Unit vectors of videos, each the mean of the unit vectors of its frames.

    Args:
        frames: vectors of frames of any length, shape ``(frames, dims)``.
        video_of: the video that each frame is of, shape ``(frames,)``; every video has one.
        number: of videos.

    Returns:
        Shape ``(number, dims)``.
    """
    sums = torch.zeros((number, frames.shape[1]), dtype=frames.dtype, device=frames.device)
    # The sum has the direction of the mean.
    return unit(sums.index_add(0, video_of, unit(frames)))


def cap_scale(log_scale: Tensor, *, most: float = MAX_SCALE) -> None:
    """Keep the learned scale, which is stored as its logarithm, at or below ``most``, in place."""
    with torch.no_grad():
        log_scale.clamp_(max=math.log(most))
