"""Where each registered video stands: records, transitions, leases and the sweep."""

from __future__ import annotations

from vidsearch.registry.engine_clock import EngineClock
from vidsearch.registry.field_change import FieldChange
from vidsearch.registry.lease_keeper import LeaseKeeper
from vidsearch.registry.notes import Notes
from vidsearch.registry.operations import Operations, Pause, SweepNote
from vidsearch.registry.registration import Registration
from vidsearch.registry.registry import Registry
from vidsearch.registry.store import Lease
from vidsearch.registry.summary import ErrorGroup, Leases, Oldest, RegistrySummary, summarize
from vidsearch.registry.sweep import SweepReport, sweep
from vidsearch.registry.validation import NewVideo
from vidsearch_mappings.registry import ErrorRecord, Priority, State, VideoRecord

__all__ = [
    "EngineClock",
    "ErrorGroup",
    "ErrorRecord",
    "FieldChange",
    "Lease",
    "LeaseKeeper",
    "Leases",
    "NewVideo",
    "Notes",
    "Oldest",
    "Operations",
    "Pause",
    "Priority",
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
