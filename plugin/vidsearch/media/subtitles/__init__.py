"""Subtitles: of a track in the file or of a file beside it, as plain lines with times."""

from __future__ import annotations

from vidsearch.media.subtitles.choice import best_cues
from vidsearch.media.subtitles.embedded import embedded_cues
from vidsearch.media.subtitles.segment_texts import segment_texts, transcript
from vidsearch.media.subtitles.sidecar import sidecar_cues

__all__ = ["best_cues", "embedded_cues", "segment_texts", "sidecar_cues", "transcript"]
