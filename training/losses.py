"""Which captions suit which videos, for the contrastive loss."""

from __future__ import annotations

from torch import Tensor


def matches(video_labels: Tensor, text_labels: Tensor) -> Tensor:
    """`[videos, texts]` bool: does every attribute the caption states hold for the video?

    Labels are `[rows, 6]` value indices; -1 in a caption's row means "not stated".
    """
    stated = text_labels >= 0
    same = video_labels[:, None] == text_labels[None]
    return (same | ~stated[None]).all(dim=2)
