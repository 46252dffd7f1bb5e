"""Reads media files in the process that asks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from vidsearch.defaults import BATCH_SIZE
from vidsearch.media.decoders import open_decoder
from vidsearch.media.frames import Cue, FrameStream, MediaLimits, Sampling, VideoInfo

__all__ = ["DirectReader"]


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

    def can_seek(self, path: Path) -> bool:
        """See :class:`~vidsearch.media.frames.Decoder`."""
        return self._decoder.can_seek(path)

    def frames(
        self,
        path: Path,
        *,
        rate: float = 1.0,
        batch_size: int = BATCH_SIZE,
        sampling: Sampling = "played-at",
        start: float = 0.0,
        stop: float | None = None,
    ) -> FrameStream:
        """See :class:`~vidsearch.media.frames.Decoder`."""
        return self._decoder.frames(
            path, rate=rate, batch_size=batch_size, sampling=sampling, start=start, stop=stop
        )

    def cues(self, path: Path, *, languages: Sequence[str] | None = None) -> tuple[Cue, ...]:
        """See :class:`~vidsearch.media.frames.MediaReader`."""
        from vidsearch.media.subtitles import embedded_cues

        return embedded_cues(path, languages=languages)

    def shots(self, path: Path) -> tuple[float, ...]:
        """See :class:`~vidsearch.media.frames.MediaReader`."""
        from vidsearch.media.segments import find_shots

        return find_shots(path, limits=self._limits, threads=self._threads)

    def close(self) -> None:
        """Nothing is held."""
