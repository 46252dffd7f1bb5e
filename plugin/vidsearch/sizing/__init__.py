"""What a number of videos takes in memory, on disk and in hours, before there is any."""

from __future__ import annotations

from vidsearch.sizing.estimate import Estimate, Library, PresetCost, estimate

__all__ = ["Estimate", "Library", "PresetCost", "estimate"]
