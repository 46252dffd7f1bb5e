"""Where the moments of a video begin and end: the policy of an index, applied to one video."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from vidsearch.config import IndexSettings
from vidsearch.errors import ConfigError
from vidsearch.media import (
    SegmentSpan,
    fixed_segments,
    require_shots,
    semantic_segments,
    shot_segments,
)

__all__ = ["SegmentPolicy"]


@dataclass(frozen=True, slots=True)
class SegmentPolicy:
    """How videos are cut into moments."""

    method: Literal["fixed", "semantic", "shots"] = "fixed"
    """Every ``length`` seconds; where the content changes; at the cuts."""
    length: float = 10.0
    """Seconds."""
    overlap: float = 0.0
    """Seconds that neighbours share; ``fixed`` only."""
    limit: int = 512
    """Most moments per video; they grow beyond it."""

    @classmethod
    def of(cls, settings: IndexSettings, *, length: float | None = None) -> SegmentPolicy:
        """The policy that the settings ask for.

        Args:
            settings: the section ``index``.
            length: what the live index says, which wins over the setting.

        Raises:
            ConfigError: they would overlap by their whole length.
            MissingExtraError: what finds the cuts is not installed.
        """
        length = settings.segment_seconds if length is None else length
        if settings.segments == "fixed" and settings.segment_overlap >= length:
            raise ConfigError(
                f"index.segment_overlap is {settings.segment_overlap:g} s, but the moments of "
                f"index {settings.name!r} are {length:g} s long: overlap less"
            )
        if settings.segments == "shots":
            require_shots()
        return cls(
            method=settings.segments,
            length=length,
            overlap=settings.segment_overlap if settings.segments == "fixed" else 0.0,
            limit=settings.max_segments,
        )

    def windows(
        self,
        pts_seconds: NDArray[np.float64],
        vectors: NDArray[np.float32],
        *,
        duration: float,
        shots: Callable[[], tuple[float, ...]],
    ) -> tuple[SegmentSpan, ...]:
        """Cut one video.

        Args:
            pts_seconds: times of the sampled frames, shape ``(n,)``.
            vectors: of the same frames, shape ``(n, dims)``.
            duration: seconds.
            shots: reads the times of the cuts; called by the method ``shots`` only.
        """
        if self.method == "semantic":
            return semantic_segments(
                pts_seconds, vectors, duration=duration, length=self.length, limit=self.limit
            )
        if self.method == "shots":
            return shot_segments(
                pts_seconds, shots(), duration=duration, length=self.length, limit=self.limit
            )
        return fixed_segments(
            pts_seconds,
            duration=duration,
            length=self.length,
            overlap=self.overlap,
            limit=self.limit,
        )
