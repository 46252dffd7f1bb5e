"""The queries that a row does worst on, and what came first instead."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vidsearch.config import IngestSettings, SourceSettings
from vidsearch.errors import VideoError
from vidsearch.evaluation.places import Places
from vidsearch.evaluation.variants import Variant
from vidsearch.evaluation.vectors import PairVectors
from vidsearch.media import MediaLimits, MediaReader, fetch, open_reader
from vidsearch.media.thumbnails.pictures import as_jpeg, shrunk

__all__ = ["WorstQuery", "pictures_of", "worst_queries"]

_PIXELS = 240
_INSTEAD = 3


@dataclass(frozen=True, slots=True)
class WorstQuery:
    """A caption whose video came late."""

    caption: int
    """Its number."""
    rank: float
    """Expected, from 1."""
    video: int
    """Number of the right video."""
    score: float
    instead: tuple[tuple[int, float], ...]
    """Numbers of the videos that came first, each with its score."""


def worst_queries(
    vectors: PairVectors, variant: Variant, places: Places, *, number: int = 12
) -> list[WorstQuery]:
    """The captions of the highest ranks above 1, the worst first.

    Args:
        vectors: of captions and videos.
        variant: how they were compared.
        places: of all captions, ranking videos.
        number: of captions.
    """
    ranks = places.ranks()
    worst = [int(n) for n in np.argsort(-ranks, kind="stable")[:number] if ranks[n] > 1]
    if not worst:
        return []
    scores = variant.scorer(vectors.texts[worst], vectors.videos)(slice(0, len(worst)))
    found = []
    for row, caption in zip(scores, worst, strict=True):
        right = int(vectors.video_of[caption])
        best = [int(n) for n in np.argsort(-row, kind="stable") if n != right][:_INSTEAD]
        found.append(
            WorstQuery(
                caption=caption,
                rank=float(ranks[caption]),
                video=right,
                score=float(row[right]),
                instead=tuple((n, float(row[n])) for n in best),
            )
        )
    return found


@contextmanager
def pictures_of(
    *, ingest: IngestSettings, sources: SourceSettings
) -> Iterator[Callable[[Path], str | None]]:
    """Gives a function that gives the frame in the middle of a file as a JPEG data URI.

    It gives ``None`` where the file cannot be read any more.
    """
    with closing(open_reader(ingest, limits=MediaLimits.of(sources))) as reader:

        def picture(path: Path) -> str | None:
            try:
                with fetch(str(path.absolute()), settings=sources) as file:
                    return _middle(reader, file.path)
            except VideoError:
                return None

        yield picture


def _middle(reader: MediaReader, path: Path) -> str | None:
    middle = (reader.probe(path).duration or 0.0) / 2
    with reader.frames(path, rate=1.0, batch_size=1, start=middle, stop=middle + 1.0) as frames:
        for batch in frames:
            data = as_jpeg(shrunk(batch.data[0], size=_PIXELS))
            return f"data:image/jpeg;base64,{base64.b64encode(data).decode()}"
    return None
