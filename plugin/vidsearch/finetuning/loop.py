"""Steps of training that can be interrupted and go on as if they had not been."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from vidsearch.error_texts import first_line
from vidsearch.errors import FineTuningError
from vidsearch.finetuning.loss import MAX_SCALE, cap_scale
from vidsearch.finetuning.writing import save_state

__all__ = ["Loop"]

_MOST_NORM = 1.0


class Loop:
    """Modules, their optimiser, and the step that they are at.

    Nothing random is carried from step to step: each begins with a seed of its own. So a run that
    was interrupted and resumed equals one that was not, on the same machine and threads.

    Args:
        modules: what is trained, by a name for the saved state.
        optimizer: with groups that know their rate as ``highest``.
        rate: the share of it that a step takes.
        log_scale: the learned scale, as a logarithm.
        max_scale: what it is capped at.
        seed: of the run.
    """

    def __init__(
        self,
        modules: Mapping[str, nn.Module],
        optimizer: torch.optim.Optimizer,
        *,
        rate: Callable[[int], float],
        log_scale: nn.Parameter,
        max_scale: float = MAX_SCALE,
        seed: int = 0,
    ) -> None:
        self._modules = dict(modules)
        self._optimizer = optimizer
        self._rate = rate
        self._log_scale = log_scale
        self._max_scale = max_scale
        self._seed = seed
        self.step = 0
        """Steps that are done."""

    def advance(self, backward: Callable[[], Any]) -> None:
        """Take one step.

        Args:
            backward: computes the gradients of this step; draws what it needs by chance from torch
                or from a seed and :attr:`step`.

        Raises:
            FineTuningError: a gradient is not a number.
        """
        torch.manual_seed(self._seed * 1_000_003 + self.step)
        for group in self._optimizer.param_groups:
            group["lr"] = group["highest"] * self._rate(self.step)
        self._optimizer.zero_grad()
        backward()
        parameters = [p for module in self._modules.values() for p in module.parameters()]
        norm = nn.utils.clip_grad_norm_(parameters, _MOST_NORM)
        if not torch.isfinite(norm):
            raise FineTuningError(
                f"gradients at step {self.step} are not numbers: take lower rates, or fp32"
            )
        self._optimizer.step()
        cap_scale(self._log_scale, most=self._max_scale)
        self.step += 1

    def save(self, path: Path, **notes: Any) -> None:
        """Write all that is needed to go on, in place of what is there.

        Args:
            path: of the file.
            notes: plain values that :meth:`resume` gives back.

        Raises:
            FineTuningError: the file cannot be written.
        """
        state = {
            "modules": {name: each.state_dict() for name, each in self._modules.items()},
            "optimizer": self._optimizer.state_dict(),
            "step": self.step,
            "notes": notes,
        }
        save_state(state, path)

    def resume(
        self, path: Path, *, check: Callable[[Mapping[str, Any]], None] = lambda notes: None
    ) -> Mapping[str, Any] | None:
        """Go on from a saved state.

        Args:
            path: of the file.
            check: looks at the notes before anything is loaded; what it raises is raised.

        Returns:
            The notes; ``None`` where there is no state, and nothing was changed.

        Raises:
            FineTuningError: the file is damaged, or of other modules.
        """
        if not path.exists():
            return None
        try:
            state = torch.load(path, weights_only=True, map_location="cpu")
            notes: Mapping[str, Any] = state["notes"]
        except (OSError, RuntimeError, KeyError, EOFError, pickle.UnpicklingError) as error:
            raise FineTuningError(
                f"the saved state {path} cannot be read ({first_line(error)}): remove it to begin "
                "again"
            ) from error
        check(notes)
        try:
            for name, module in self._modules.items():
                module.load_state_dict(state["modules"][name])
            self._optimizer.load_state_dict(state["optimizer"])
            self.step = state["step"]
        except (RuntimeError, ValueError, KeyError) as error:
            raise FineTuningError(
                f"the saved state {path} is of another model ({first_line(error)}): remove it to "
                "begin again"
            ) from error
        return notes
