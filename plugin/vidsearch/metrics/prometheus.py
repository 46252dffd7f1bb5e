"""The metrics of workers, in the registry of ``prometheus_client``.

With ``PROMETHEUS_MULTIPROC_DIR``, the processes of a prefork worker keep their values in files
there, which ``vidsearch metrics`` reads.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

if folder := os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
    Path(folder).mkdir(parents=True, exist_ok=True)  # the first metric writes there

from prometheus_client import Counter, Histogram

from vidsearch.metrics.measurement import Measurement

__all__ = ["attempt_ended", "sweep_ended"]

_BUCKETS = (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000, 3000)

STAGE_SECONDS = Histogram(
    "vidsearch_stage_seconds",
    "Seconds per attempt that a stage took; preprocess is a part of encode.",
    ["stage"],
    buckets=_BUCKETS,
)
ATTEMPTS = Counter(
    "vidsearch_attempts",
    "Attempts that ended, at videos and at slices of long ones; cause is the class of the error.",
    ["kind", "outcome", "cause"],
)
FRAMES = Counter("vidsearch_frames", "Frames that were embedded.")
FETCHED_BYTES = Counter("vidsearch_fetched_bytes", "Bytes of remote files that were fetched.")
LEASES_LOST = Counter(
    "vidsearch_leases_lost", "Attempts that ended because another worker had got the lease."
)
SWEEP_SECONDS = Histogram("vidsearch_sweep_seconds", "Seconds that a sweep took.", buckets=_BUCKETS)
SWEPT = Counter("vidsearch_swept", "Videos that sweeps saw to, by what was done.", ["outcome"])


def attempt_ended(measurement: Measurement) -> None:
    """Count an attempt."""
    for stage, seconds in measurement.seconds.items():
        STAGE_SECONDS.labels(stage).observe(seconds)
    ATTEMPTS.labels(measurement.kind, measurement.outcome, measurement.cause).inc()
    for what, counter in (
        ("frames", FRAMES),
        ("bytes", FETCHED_BYTES),
        ("leases lost", LEASES_LOST),
    ):
        if number := measurement.counts.get(what):
            counter.inc(number)


def sweep_ended(seconds: float, counts: Mapping[str, int]) -> None:
    """Count a sweep; ``counts`` are numbers of videos by what was done."""
    SWEEP_SECONDS.observe(seconds)
    for outcome, number in counts.items():
        SWEPT.labels(outcome).inc(number)
