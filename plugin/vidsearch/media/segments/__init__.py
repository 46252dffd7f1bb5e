"""Cut a video into moments: pure functions over the sampled frames, and the search for cuts."""

from __future__ import annotations

from vidsearch.media.segments.cuts import find_shots, require_shots
from vidsearch.media.segments.fixed import fixed_windows
from vidsearch.media.segments.semantic import semantic_windows
from vidsearch.media.segments.shots import shot_windows
from vidsearch.media.segments.window import Window

__all__ = [
    "Window",
    "find_shots",
    "require_shots",
    "fixed_windows",
    "semantic_windows",
    "shot_windows",
]
