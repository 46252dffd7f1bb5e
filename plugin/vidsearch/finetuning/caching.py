"""Gradient caching: the gradient of a large batch with the memory of a small one, exactly.

The loss compares all vectors of a batch, so a batch cannot simply be added up from small ones. But
it depends on the model through the vectors alone. So all vectors are computed in pieces without
keeping what a gradient needs, the loss gives its gradient by vector, and each piece is computed
once more and given its share (Gao et al., arXiv 2101.06983).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

__all__ = ["Gather", "Piece", "backward_in_pieces"]

Piece = Callable[[], Tensor]
"""Computes the vectors of a part of the batch, shape ``(n, dims)``, when called."""
Gather = Callable[[Tensor], tuple[Tensor, int]]
"""Puts together the rows of all devices: all of them, and where those of this device begin."""


def backward_in_pieces(
    videos: Sequence[Piece],
    texts: Sequence[Piece],
    loss: Callable[[Tensor, Tensor], Tensor],
    *,
    gather: Gather | None = None,
) -> Tensor:
    """Add the gradients of a batch to its parameters' ``grad``.

    Args:
        videos: the batch's videos. A piece is called twice, with the same random numbers.
        texts: its captions, likewise.
        loss: of all vectors of videos and of captions; its own parameters get their gradient too.
        gather: on several devices, of which each has other videos and captions and calls this at
            the same time. The gradients of the devices then add up to those of the whole batch,
            while those of the loss's own parameters are the whole's on every device.

    Returns:
        The loss, without a graph.
    """
    if gather is None and len(videos) == 1 and len(texts) == 1:
        value = loss(videos[0](), texts[0]())
        value.backward()  # type: ignore[no-untyped-call]
        return value.detach()
    rounds = [[_Repeatable(piece) for piece in side] for side in (videos, texts)]
    with torch.no_grad():
        own = [torch.cat([piece.first() for piece in side]) for side in rounds]
        whole = [(vectors, 0) if gather is None else gather(vectors) for vectors in own]
    for vectors, _ in whole:
        vectors.requires_grad_()
    value = loss(whole[0][0], whole[1][0])
    value.backward()  # type: ignore[no-untyped-call]
    for side, (vectors, start) in zip(rounds, whole, strict=True):
        assert vectors.grad is not None
        for piece in side:
            piece.backward(vectors.grad[start : start + piece.rows])
            start += piece.rows
    return value.detach()


class _Repeatable:
    """A piece that draws the same random numbers (dropout) both times."""

    def __init__(self, piece: Piece) -> None:
        self._piece = piece
        self._random: tuple[Tensor, list[Tensor]] | None = None
        self.rows = 0

    def first(self) -> Tensor:
        cards = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
        self._random = torch.get_rng_state(), cards
        vectors = self._piece()
        self.rows = len(vectors)
        return vectors

    def backward(self, gradient: Tensor) -> None:
        assert self._random is not None
        cpu, cards = self._random
        with torch.random.fork_rng(devices=range(len(cards))):
            torch.set_rng_state(cpu)
            if cards:
                torch.cuda.set_rng_state_all(cards)
            self._piece().backward(gradient)  # type: ignore[no-untyped-call]
