"""Where each registered video stands: records, transitions, leases and the sweep."""

from __future__ import annotations

from vidsearch.registry.engine_clock import EngineClock
from vidsearch.registry.lease_keeper import LeaseKeeper
from vidsearch.registry.operations import Operations, Pause, SweepNote
from vidsearch.registry.registration import Registration
from vidsearch.registry.registry import Registry
from vidsearch.registry.store import Lease
from vidsearch.registry.sweep import SweepReport, sweep
from vidsearch.registry.validation import NewVideo
from vidsearch_mappings.registry import ErrorRecord, Priority, State, VideoRecord

__all__ = [
    "EngineClock",
    "ErrorRecord",
    "Lease",
    "LeaseKeeper",
    "NewVideo",
    "Operations",
    "Pause",
    "Priority",
    "Registration",
    "Registry",
    "State",
    "SweepNote",
    "SweepReport",
    "VideoRecord",
    "sweep",
]
