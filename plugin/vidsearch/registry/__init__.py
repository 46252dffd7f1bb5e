"""Where each registered video stands: records, transitions, leases and the sweep."""

from __future__ import annotations

from vidsearch.registry.lease_keeper import LeaseKeeper
from vidsearch.registry.operations import Operations, Pause, SweepNote
from vidsearch.registry.registry import Registration, Registry
from vidsearch.registry.store import Lease
from vidsearch.registry.summary import ErrorGroup, Leases, Oldest, RegistrySummary, summarize
from vidsearch.registry.sweep import SweepReport, sweep
from vidsearch.registry.validation import NewVideo
from vidsearch_mappings.registry import ErrorRecord, State, VideoRecord

__all__ = [
    "ErrorGroup",
    "ErrorRecord",
    "Lease",
    "LeaseKeeper",
    "Leases",
    "NewVideo",
    "Oldest",
    "Operations",
    "Pause",
    "Registration",
    "Registry",
    "RegistrySummary",
    "State",
    "SweepNote",
    "SweepReport",
    "VideoRecord",
    "summarize",
    "sweep",
]
