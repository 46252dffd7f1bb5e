"""Where the segments of a video begin and end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from vidsearch.config import IndexSettings
from vidsearch.embeddings.frame_vectors import FrameVectors
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
    """How videos are cut into segments."""

    method: Literal["fixed", "semantic", "shots"] = "fixed"
    """``fixed``: every ``length`` seconds. ``semantic``: where the content changes. ``shots``: at
    cuts."""
    length: float = 10.0
    """Seconds."""
    overlap: float = 0.0
    """Seconds that neighbouring segments share; ``fixed`` only."""
    limit: int = 512
    """Maximum number of segments per video; longer videos get longer segments."""

    @classmethod
    def of(cls, settings: IndexSettings, *, length: float | None = None) -> SegmentPolicy:
        """The policy that the settings ask for.

        Args:
            settings: the section ``index``.
            length: what the live index says, which wins over the setting.

        Raises:
            ConfigError: segments would overlap by their whole length.
            MissingExtraError: what finds the cuts is not installed.
        """
        length = settings.segment_seconds if length is None else length
        if settings.segments == "fixed" and settings.segment_overlap >= length:
            raise ConfigError(
                f"index.segment_overlap is {settings.segment_overlap:g} s, but the segments "
                f"of index {settings.name!r} are {length:g} s long: overlap less"
            )
        if settings.segments == "shots":
            require_shots()
        return cls(
            method=settings.segments,
            length=length,
            overlap=settings.segment_overlap if settings.segments == "fixed" else 0.0,
            limit=settings.max_segments,
        )

    def spans(
        self, frames: FrameVectors, *, shots: Callable[[], tuple[float, ...]]
    ) -> tuple[SegmentSpan, ...]:
        """Cut one video, from its first picture to its end.

        Args:
            frames: all sampled frames of it.
            shots: gives the times of the cuts; called by the method ``shots`` only.
        """
        first, *others = self._spans(frames, shots)
        return replace(first, start=max(first.start, frames.begin_seconds)), *others

    def _spans(
        self, frames: FrameVectors, shots: Callable[[], tuple[float, ...]]
    ) -> tuple[SegmentSpan, ...]:
        times, duration = frames.pts_seconds, frames.end_seconds
        length, limit = self.length, self.limit
        if self.method == "semantic":
            return semantic_segments(
                times, frames.expanded(), duration=duration, length=length, limit=limit
            )
        if self.method == "shots":
            return shot_segments(times, shots(), duration=duration, length=length, limit=limit)
        return fixed_segments(
            times, duration=duration, length=length, overlap=self.overlap, limit=limit
        )
