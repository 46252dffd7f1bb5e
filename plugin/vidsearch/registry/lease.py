"""The lease that a worker holds on a video."""

from __future__ import annotations

from dataclasses import dataclass

from vidsearch.engines.base import Revision
from vidsearch_mappings.registry import VideoRecord

__all__ = ["Lease"]


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to work on a video, until ``record.lease_until``."""

    record: VideoRecord
    revision: Revision

    @property
    def id(self) -> str:
        """The video's id."""
        return self.record.id
