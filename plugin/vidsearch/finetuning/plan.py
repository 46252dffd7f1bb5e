"""What a run of fine-tuning does."""

from __future__ import annotations

from dataclasses import dataclass

from vidsearch.errors import FineTuningError

__all__ = ["Plan"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The settings of a run; the defaults are those of CLIP4Clip.

    Raises:
        FineTuningError: a value is out of range.
    """

    epochs: int = 5
    """Times that every pair is seen, if the run is not stopped early."""
    batch_size: int = 128
    """Pairs that are compared with each other."""
    piece_size: int = 16
    """Pairs that are computed at a time; decides the memory that is needed, and nothing else."""
    clip_rate: float = 1e-7
    """Highest learning rate of the checkpoint's own weights."""
    scale_rate: float = 1e-4
    """Highest learning rate of the scale of the cosines."""
    weight_decay: float = 0.2
    warm_up: float = 0.1
    """Share of the steps until the highest rate is reached."""
    frames: int = 12
    """Most frames of a video; they are spread evenly over it."""
    patience: int = 2
    """Epochs without a better R@1 on the validation split after which a run stops; 0: never."""
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "piece_size", "frames"):
            if getattr(self, name) < 1:
                raise FineTuningError(f"{name} must be at least 1, not {getattr(self, name)}")
        for name in ("clip_rate", "scale_rate", "weight_decay", "warm_up", "patience", "seed"):
            if getattr(self, name) < 0:
                raise FineTuningError(f"{name} must not be negative, but is {getattr(self, name)}")
        if self.batch_size < 2 or self.warm_up > 1:
            raise FineTuningError(
                f"a batch needs two pairs to compare, and a warm-up is a share of the steps: "
                f"batch_size is {self.batch_size}, warm_up {self.warm_up:g}"
            )
