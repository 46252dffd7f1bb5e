"""What the registry knows of one video.

Declared in :mod:`vidsearch_mappings.registry`, so that record, JSON and mapping are one.
"""

from __future__ import annotations

from vidsearch_mappings.registry import ErrorRecord, State, VideoRecord, from_stamp, to_stamp

__all__ = ["ErrorRecord", "State", "VideoRecord", "from_stamp", "to_stamp"]
