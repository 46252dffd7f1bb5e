"""From a registered video to its vectors in the index."""

from __future__ import annotations

from vidsearch.ingest.record import ErrorRecord, State, VideoRecord
from vidsearch.ingest.registry import Registry
from vidsearch.ingest.transition import Lease

__all__ = ["ErrorRecord", "Lease", "Registry", "State", "VideoRecord"]
