"""Opens the media reader that the settings ask for."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING

from vidsearch.media.direct_reader import DirectReader
from vidsearch.media.frames import MediaLimits, MediaReader

if TYPE_CHECKING:
    from vidsearch.config import IngestSettings

__all__ = ["open_reader"]

_log = logging.getLogger(__name__)


def open_reader(settings: IngestSettings, *, limits: MediaLimits) -> MediaReader:
    """The reader that the settings ask for: in a child process, or in this one.

    Args:
        settings: the section ``ingest``.
        limits: on the length and the pixels of a video.

    Raises:
        ConfigError: no decoder of that name.
    """
    if settings.isolate and os.name == "posix":
        from vidsearch.media.isolation.isolated_reader import IsolatedReader
        from vidsearch.media.isolation.protocol import Setup

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
