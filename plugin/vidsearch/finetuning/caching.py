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

__all__ = ["Piece", "backward_in_pieces"]

Piece = Callable[[], Tensor]
"""Computes the vectors of a part of the batch, shape ``(n, dims)``, when called."""


def backward_in_pieces(
    videos: Sequence[Piece],
    texts: Sequence[Piece],
    loss: Callable[[Tensor, Tensor], Tensor],
) -> Tensor:
    """Add the gradients of a batch to its parameters' ``grad``.

    Args:
        videos: the batch's videos. A piece is called twice, with the same random numbers.
        texts: its captions, likewise.
        loss: of all vectors of videos and of captions; its own parameters get their gradient too.

    Returns:
        The loss, without a graph.
    """
    if len(videos) == 1 and len(texts) == 1:
        value = loss(videos[0](), texts[0]())
        value.backward()  # type: ignore[no-untyped-call]
        return value.detach()
    rounds = [[_Repeatable(piece) for piece in side] for side in (videos, texts)]
    with torch.no_grad():
        whole = [torch.cat([piece.first() for piece in side]) for side in rounds]
    for vectors in whole:
        vectors.requires_grad_()
    value = loss(whole[0], whole[1])
    value.backward()  # type: ignore[no-untyped-call]
    for side, vectors in zip(rounds, whole, strict=True):
        assert vectors.grad is not None
        start = 0
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
