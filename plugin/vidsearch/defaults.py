"""Default values that settings and commands share with functions. Imports nothing."""

from __future__ import annotations

__all__ = [
    "BATCH_SIZE",
    "BROKER_SECONDS",
    "KILL_SECONDS",
    "LEAST_THROTTLE",
    "MAX_LOSS",
    "MAX_PIXELS",
    "MAX_SECONDS",
    "NOTICE_SECONDS",
    "OUTAGE_SECONDS",
    "TIME_LIMIT",
]

BATCH_SIZE = 8
"""Frames that are decoded and encoded at a time."""
BROKER_SECONDS = 0.9
"""For a message to the broker."""
TIME_LIMIT = 2 * 3600
"""Seconds after which a worker gives up a video or a slice. One that hangs would else renew its
lease for ever."""
KILL_SECONDS = 60
"""From then on until the worker process is killed, if it does not."""
LEAST_THROTTLE = 0.1
"""Documents per second of a copy. Each of its slices reads one at a time then, and each has its
turn after 40 seconds; engines forget a scan that asks for nothing within five minutes."""
MAX_SECONDS = 12 * 3600.0
"""Duration of a video."""
MAX_PIXELS = 8192 * 4320
"""Pixels of a frame, as coded."""
MAX_LOSS = {"fp32": 1e-6, "int8": 0.02}
"""Of cosine that an ONNX export may lose to torch, by its precision."""
NOTICE_SECONDS = 15.0
"""That search clients get to load another model before a reindex swaps to it: they look for one
every ten seconds, and load it in a few."""
OUTAGE_SECONDS = 300.0
"""For which an engine may be away or overloaded until a reindex in the foreground breaks off."""
