"""Where each registered video stands: records, transitions, leases and the sweep."""

from __future__ import annotations

from vidsearch.registry.lease_keeper import LeaseKeeper
from vidsearch.registry.record import ErrorRecord, State, VideoRecord
from vidsearch.registry.registry import Registry
from vidsearch.registry.sweep import SweepReport, sweep
from vidsearch.registry.transition import Lease

__all__ = [
    "ErrorRecord",
    "Lease",
    "LeaseKeeper",
    "Registry",
    "State",
    "SweepReport",
    "VideoRecord",
    "sweep",
]
