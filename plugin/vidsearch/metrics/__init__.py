"""What workers count and time, for Prometheus and OpenTelemetry; nothing of it is loaded unused.

Prometheus counts where the application has imported ``prometheus_client``, or
``PROMETHEUS_MULTIPROC_DIR`` is set. Spans are made where ``opentelemetry`` was imported.
"""

from __future__ import annotations

from vidsearch.metrics.recording import (
    count_bytes,
    count_frames,
    count_lost_lease,
    current_work,
    enter_stage,
    measured,
    measured_sweep,
    timed,
)

__all__ = [
    "count_bytes",
    "count_frames",
    "count_lost_lease",
    "current_work",
    "enter_stage",
    "measured",
    "measured_sweep",
    "timed",
]
