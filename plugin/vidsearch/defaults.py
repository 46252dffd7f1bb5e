"""Default values that settings share with functions which are called without settings."""

from __future__ import annotations

__all__ = ["BATCH_SIZE", "MAX_PIXELS", "MAX_SECONDS"]

BATCH_SIZE = 8
"""Frames that are decoded and encoded at a time."""
MAX_SECONDS = 12 * 3600.0
"""Duration of a video."""
MAX_PIXELS = 8192 * 4320
"""Pixels of a frame, as coded."""
