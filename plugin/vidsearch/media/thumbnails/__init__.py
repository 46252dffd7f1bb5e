"""A picture per segment: chosen among the sampled frames, kept in a folder or bucket."""

from __future__ import annotations

from vidsearch.media.thumbnails.candidates import Candidates
from vidsearch.media.thumbnails.store import ThumbnailStore

__all__ = ["Candidates", "ThumbnailStore"]
