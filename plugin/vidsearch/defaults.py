"""Default values that settings and commands share with functions. Imports nothing."""

from __future__ import annotations

__all__ = ["BATCH_SIZE", "BROKER_SECONDS", "MAX_LOSS", "MAX_PIXELS", "MAX_SECONDS"]

BATCH_SIZE = 8
"""Frames that are decoded and encoded at a time."""
BROKER_SECONDS = 0.9
"""For a message to the broker."""
MAX_SECONDS = 12 * 3600.0
"""Duration of a video."""
MAX_PIXELS = 8192 * 4320
"""Pixels of a frame, as coded."""
MAX_LOSS = {"fp32": 1e-6, "int8": 0.02}
"""Of cosine that an ONNX export may lose to torch, by its precision."""
