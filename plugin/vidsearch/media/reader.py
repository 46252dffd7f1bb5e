"""The seam between ingestion and media files: frames, cuts and subtitles of a local file."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from vidsearch.media.decoders import open_decoder
from vidsearch.media.frames import Decoder, FrameBatch, MediaLimits, Sampling, VideoInfo

if TYPE_CHECKING:
    from vidsearch.config import IngestSettings

__all__ = ["Cue", "DirectReader", "MediaReader", "open_reader"]

_log = logging.getLogger(__name__)


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
            SourceNotFoundError: no file there.
            VideoOpenError: not a readable video.
        """
        ...

    def shots(self, path: Path) -> tuple[float, ...]:
        """Times of the cuts in seconds, ascending, without 0 and the end.

        Raises:
            MissingExtraError: PySceneDetect is not installed (extra ``shots``).
            VideoError: as for :meth:`frames`.
        """
        ...

    def close(self) -> None:
        """Give up what is held (a child process); the reader can be used again afterwards."""
        ...


class DirectReader:
    """Reads files in this process.

    Args:
        decoder: name, as ``ingest.decoder`` has it.
        limits: on the length and the pixels of a video.
        max_damaged: share of the frames that may fail to decode.
        threads: of the decoder.

    Raises:
        ConfigError: no decoder of that name.
    """

    def __init__(
        self,
        decoder: str,
        *,
        limits: MediaLimits,
        max_damaged: float = 0.5,
        threads: int = 1,
    ) -> None:
        self._decoder = open_decoder(
            decoder, limits=limits, max_damaged=max_damaged, threads=threads
        )
        self._limits = limits
        self._threads = threads

    @property
    def name(self) -> str:
        """That of the decoder."""
        return self._decoder.name

    def probe(self, path: Path) -> VideoInfo:
        """See :class:`~vidsearch.media.frames.Decoder`."""
        return self._decoder.probe(path)

    def frames(
        self,
        path: Path,
        *,
        rate: float = 1.0,
        batch_size: int = 16,
        sampling: Sampling = "played-at",
    ) -> Iterator[FrameBatch]:
        """See :class:`~vidsearch.media.frames.Decoder`."""
        return self._decoder.frames(path, rate=rate, batch_size=batch_size, sampling=sampling)

    def cues(self, path: Path) -> tuple[Cue, ...]:
        """See :class:`MediaReader`."""
        from vidsearch.media.subtitles import embedded_cues

        return embedded_cues(path)

    def shots(self, path: Path) -> tuple[float, ...]:
        """See :class:`MediaReader`."""
        from vidsearch.media.segments import find_shots

        return find_shots(path, limits=self._limits, threads=self._threads)

    def close(self) -> None:
        """Nothing is held."""


def open_reader(settings: IngestSettings, *, limits: MediaLimits) -> MediaReader:
    """The reader that the settings ask for: in a child process, or in this one.

    Args:
        settings: the section ``ingest``.
        limits: on the length and the pixels of a video.

    Raises:
        ConfigError: no decoder of that name.
    """
    if settings.isolate and os.name == "posix":
        from vidsearch.media.isolation.protocol import Setup
        from vidsearch.media.isolation.reader import IsolatedReader

        setup = Setup(
            decoder=settings.decoder,
            threads=settings.decoder_threads,
            max_damaged=settings.max_damaged,
            max_seconds=limits.max_seconds,
            max_pixels=limits.max_pixels,
            megabytes=settings.decode_megabytes,
        )
        return IsolatedReader(setup, stall_seconds=settings.stall_seconds)
    if settings.isolate:
        _log.warning("ingest.isolate has no effect on %s: video is decoded in process", os.name)
    return DirectReader(
        settings.decoder,
        limits=limits,
        max_damaged=settings.max_damaged,
        threads=settings.decoder_threads,
    )
