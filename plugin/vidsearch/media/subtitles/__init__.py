"""Subtitles: of a track in the file or of a file beside it, as plain lines with times."""

from __future__ import annotations

from vidsearch.media.subtitles.embedded import embedded_cues
from vidsearch.media.subtitles.moments import spoken_in, spoken_in_each, transcript
from vidsearch.media.subtitles.sidecar import sidecar_cues

__all__ = ["embedded_cues", "sidecar_cues", "spoken_in", "spoken_in_each", "transcript"]
