"""The seam between ingestion and media files: frames, cuts and subtitles of a local file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from vidsearch.media.frames import Decoder

__all__ = ["Cue", "MediaReader"]


@dataclass(frozen=True, slots=True)
class Cue:
    """A line of subtitles."""

    start: float
    """Seconds from the first frame of the video."""
    end: float
    """Seconds."""
    text: str
    """Plain words: no markup, no line breaks, never empty."""


@runtime_checkable
class MediaReader(Decoder, Protocol):
    """A decoder that also reads what else ingestion needs of a file."""

    def cues(self, path: Path) -> tuple[Cue, ...]:
        """Lines of the file's text subtitle track, in order; empty where it has none.

        Raises:
            VideoNotFound: no file there.
            VideoOpenError: not a readable video.
        """
        ...

    def shots(self, path: Path) -> tuple[float, ...]:
        """Times of the cuts in seconds, ascending, without 0 and the end.

        Raises:
            MissingExtra: PySceneDetect is not installed (extra ``shots``).
            VideoError: as for :meth:`frames`.
        """
        ...

    def close(self) -> None:
        """Give up what is held (a child process); the reader can be used again afterwards."""
        ...
