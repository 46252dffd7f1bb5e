"""Cut a video into segments: pure functions over the sampled frames, and the search for cuts."""

from __future__ import annotations

from vidsearch.media.segments.cuts import find_shots, require_shots
from vidsearch.media.segments.fixed import fixed_segments
from vidsearch.media.segments.semantic import semantic_segments
from vidsearch.media.segments.shots import shot_segments
from vidsearch.media.segments.spans import SegmentSpan

__all__ = [
    "SegmentSpan",
    "find_shots",
    "require_shots",
    "fixed_segments",
    "semantic_segments",
    "shot_segments",
]
