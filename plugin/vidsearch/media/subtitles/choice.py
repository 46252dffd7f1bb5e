"""Which of a video's subtitles are read."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from vidsearch.errors import DecoderFailedError
from vidsearch.media.frames import Cue, MediaReader
from vidsearch.media.languages import language_rank
from vidsearch.media.sources.sidecars import Sidecar
from vidsearch.media.subtitles.sidecar import sidecar_cues

__all__ = ["best_cues"]

_log = logging.getLogger(__name__)


def best_cues(
    path: Path, sidecars: Sequence[Sidecar], *, reader: MediaReader, languages: Sequence[str] = ()
) -> tuple[Cue, ...]:
    """The lines of the best subtitles that hold any: of a file beside the video, or of a track.

    A file comes before a track of the same language. Without a preferred language, any file comes
    before any track. Files of foreign speech only come last.

    Args:
        path: of the video.
        sidecars: best first.
        reader: reads the tracks.
        languages: the preferred ones, best first.
    """
    return next(filter(None, _all_cues(path, sidecars, reader, languages)), ())


def _all_cues(
    path: Path, sidecars: Sequence[Sidecar], reader: MediaReader, languages: Sequence[str]
) -> Iterator[tuple[Cue, ...]]:
    """Best first; each is read when it is asked for."""
    whole = [sidecar for sidecar in sidecars if not sidecar.is_forced]
    asked = 0
    for sidecar in whole:
        place = min(language_rank(sidecar.language, languages)[0], len(languages))
        if better := languages[asked:place]:
            yield _track(path, reader, languages=better)
            asked = place
        yield sidecar_cues(sidecar.path)
    if rest := languages[asked:]:
        yield _track(path, reader, languages=rest)
    yield _track(path, reader)
    yield from (sidecar_cues(sidecar.path) for sidecar in sidecars if sidecar.is_forced)


def _track(path: Path, reader: MediaReader, **chosen: Any) -> tuple[Cue, ...]:
    try:
        return reader.cues(path, **chosen)
    except DecoderFailedError as error:  # its frames are fine
        _log.warning("subtitles left out: %s", error)
        return ()
