"""Linear layers computed by oneDNN, where that is the faster of the two libraries in torch.

On a CPU torch multiplies fp32 matrices with MKL, which leaves AVX-512 aside on chips that are not
Intel's; oneDNN, which torch brings along for convolutions and bf16, does not. The products are the
same but for rounding. This module imports torch; import it late.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

__all__ = ["OneDnnLinear", "use_faster_linear"]

_log = logging.getLogger(__name__)

_ROWS = 400
"""Eight frames of 50 tokens."""
_ROUNDS = 3
_WORTH_IT = 0.9


class OneDnnLinear(nn.Module):
    """A linear layer without gradients, for fp32 on the CPU.

    Args:
        layer: gives weight and bias; both are copied into oneDNN's own layout.
    """

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        bias = layer.bias if layer.bias is not None else torch.zeros(layer.out_features)
        self._weight = layer.weight.detach().to_mkldnn()
        self._bias = bias.detach().to_mkldnn()

    def forward(self, x: Tensor) -> Tensor:
        """``(…, in)`` to ``(…, out)``."""
        product: Tensor = torch._C._nn.mkldnn_linear(x.to_mkldnn(), self._weight, self._bias)
        return product.to_dense()


def use_faster_linear(tower: nn.Module) -> bool:
    """Put :class:`OneDnnLinear` in place of every linear layer, where it is faster here.

    Layers of a class of their own stay: torch's attention reads the weight of its last one itself.

    What is faster is timed on the tower's largest layer, which takes some tens of milliseconds.

    Returns:
        Whether it was done.
    """
    layers = [module for module in tower.modules() if type(module) is nn.Linear]
    if not layers or not _is_faster(max(layers, key=lambda layer: layer.weight.numel())):
        return False
    for parent in list(tower.modules()):
        for name, child in list(parent.named_children()):
            if type(child) is nn.Linear:
                setattr(parent, name, OneDnnLinear(child))
    return True


def _is_faster(layer: nn.Linear) -> bool:
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return False
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(_ROWS, layer.in_features, generator=generator)
    try:
        with torch.inference_mode():
            other = OneDnnLinear(layer)
            if not torch.allclose(layer(x), other(x), rtol=1e-4, atol=1e-4):
                return False
            usual, seconds = _seconds(layer, x), _seconds(other, x)
    except (AttributeError, RuntimeError) as error:  # a build of torch without these operators
        _log.debug("linear layers stay with torch's default: %s", error)
        return False
    return seconds < _WORTH_IT * usual


def _seconds(layer: Callable[[Tensor], Tensor], x: Tensor) -> float:
    """Of this thread, as others may be at work."""
    best = float("inf")
    for _ in range(_ROUNDS):
        started = time.thread_time()
        layer(x)
        best = min(best, time.thread_time() - started)
    return best
