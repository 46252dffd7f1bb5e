"""How well a live index is searched: recall against exact search, and latency."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vidsearch.batches import in_batches
from vidsearch.config import SearchSettings, Settings
from vidsearch.engines import Document, Engine, Json
from vidsearch.engines.vectors import BYTE_ORDERS, decode_vector
from vidsearch.errors import BackendAccessDeniedError, MappingConflictError, QueryError
from vidsearch.index.size import IndexSize, size_of
from vidsearch.index.videos_index import VideosIndex, open_videos_index
from vidsearch.search.core import SearchCore
from vidsearch.search.legs import segment_values
from vidsearch.search.nearest import Nearest, NearestIds, Wanted
from vidsearch.search.recall_advice import Recall, advice
from vidsearch_mappings.candidates import MAX_CANDIDATES, auto_candidates
from vidsearch_mappings.queries import SEGMENT_HITS, Level, segments_path, vector_path
from vidsearch_mappings.recall import exact_query, sample_query

if TYPE_CHECKING:
    from vidsearch.encoders.pool import EncoderPool

__all__ = ["Recall", "RecallReport", "measure_recall", "no_encoders", "recall_of"]

_LEVELS: tuple[Level, ...] = ("segment", "video")
_FACTORS = (0.5, 1, 2, 4, 8)
"""Numbers of candidates that are tried, by the present one."""
_MOST_QUERIES = 1_000
_PAGE = 20
"""Documents that are read at a time; each may hold hundreds of vectors."""

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class RecallReport:
    """What :func:`measure_recall` found."""

    index: str
    quantization: str
    k: int
    target: float
    videos: int
    segments: int
    queries: int
    """Vectors that were searched for, at each level."""
    exact: str
    """Who compared with all vectors: ``engine``, by a script, or ``vidsearch``, which read them."""
    measured: tuple[Recall, ...]
    advice: tuple[str, ...]
    """What to change, if anything."""


def measure_recall(
    engine: Engine,
    settings: Settings,
    *,
    queries: int = 100,
    k: int = 10,
    target: float = 0.98,
    progress: Progress = lambda done, total: None,
) -> RecallReport:
    """Measure the searches of a live index against exact search.

    Vectors of the index, taken at random, are searched for as
    :class:`~vidsearch.search.VideoSearch` does, one after the other; the video that a vector is of
    does not count. The exact search is a script in the engine. Where the cluster runs none, all
    vectors are read and compared here, which takes minutes for a million.

    Args:
        engine: the cluster.
        settings: the sections ``index`` and ``search``.
        queries: number of vectors, at each level that the index has.
        k: number of nearest videos to find.
        target: recall that is wanted; the advice goes by it.
        progress: told how many steps of how many are done.

    Raises:
        QueryError: ``queries``, ``k`` or ``target`` is out of range, or the index holds no vectors
            or too few videos.
        IndexNotFoundError, MappingConflictError: see :func:`~vidsearch.index.open_videos_index`.
    """
    _require_in_range("queries", queries, 1, _MOST_QUERIES)
    _require_in_range("k", k, 1, 100)
    _require_in_range("target", target, 0, 1)
    index = open_videos_index(engine, settings.index)
    return recall_of(
        index,
        settings.search,
        queries=queries,
        k=k,
        target=target,
        factors=_FACTORS,
        progress=progress,
    )


def recall_of(
    index: VideosIndex,
    settings: SearchSettings,
    *,
    queries: int,
    k: int,
    target: float,
    factors: Sequence[float] = (1,),
    progress: Progress = lambda done, total: None,
) -> RecallReport:
    """As :func:`measure_recall`, of an opened index, by its alias.

    ``factors``: of the present number of candidates, which are tried besides; 1 is among them.
    """
    engine = index.engine
    size = engine.run(size_of(engine.calls, index.alias, index.field))
    _require_enough(index, size, k)
    # Room for the video itself, which is not counted.
    search = settings.model_copy(update={"window": max(settings.window, k + 1)})
    ladder = {level: _ladder(index, size, level, search, factors) for level in _LEVELS}
    samples = {level: _sample(engine, index, level, queries) for level in _LEVELS}
    samples = {level: sample for level, sample in samples.items() if sample}
    steps = sum(len(sample) * (1 + len(ladder[level])) for level, sample in samples.items())
    done = _Steps(steps, progress)
    truth, exact = _truth(engine, index, samples, k=2 * k + 1, done=done)
    measured: list[Recall] = []
    for level, sample in samples.items():
        right = [Wanted.of(best, id, k) for best, (id, _) in zip(truth[level], sample, strict=True)]
        measured += _measure(engine, index, search, level, sample, right, ladder[level], k, done)
    return RecallReport(
        index=index.name,
        quantization=index.quantization,
        k=k,
        target=target,
        videos=size.videos,
        segments=size.segments,
        queries=min(map(len, samples.values())),
        exact=exact,
        measured=tuple(measured),
        advice=tuple(advice(engine, index, measured, target=target, k=k)),
    )


class _Steps:
    """Counts steps, and tells of them."""

    def __init__(self, total: int, progress: Progress) -> None:
        self._done, self._total, self._progress = 0, total, progress

    def add(self, number: int = 1) -> None:
        self._done += number
        self._progress(self._done, self._total)


Sample = list[tuple[str, NDArray[Any]]]
"""Ids of videos, each with its vector, or with that of one of its segments."""


def _require_in_range(name: str, value: float, least: float, most: float) -> None:
    if not least <= value <= most:
        raise QueryError(f"{name} must be from {least:g} to {most:g}, not {value!r}", argument=name)


def _require_enough(index: VideosIndex, size: IndexSize, k: int) -> None:
    if not size.videos:
        raise QueryError(
            f"index {index.name!r} holds no vectors, so there is nothing to measure: ingest videos "
            "first (`vidsearch ingest`, or `vidsearch scan` of an attached index)"
        )
    if size.videos <= k:
        raise QueryError(
            f"index {index.name!r} holds {size.videos} videos with vectors, and recall@{k} needs "
            f"more than {k}: ask for a smaller k, or ingest more",
            argument="k",
        )


def _ladder(
    index: VideosIndex,
    size: IndexSize,
    level: Level,
    search: SearchSettings,
    factors: Sequence[float],
) -> list[tuple[int, bool]]:
    """Numbers of candidates to try, in order; which one is the present one."""
    given = search.num_candidates
    if given == "auto":
        given = auto_candidates(size.vectors(level), level=level, k=search.window)
    present = max(given, search.window)  # the engines ask for no fewer
    if "flat" in index.quantization:
        return [(present, True)]  # every vector is compared, however many are asked for
    tried = {min(max(search.window, int(present * f)), MAX_CANDIDATES) for f in factors}
    return [(number, number == present) for number in sorted(tried)]


def _sample(engine: Engine, index: VideosIndex, level: Level, size: int) -> Sample:
    """Vectors at random, without what an index has no vectors for."""
    body = sample_query(engine.kind, field=index.field, level=level, size=size)
    hits = engine.search(index.alias, body)["hits"]["hits"]
    if level == "video":
        stored = [(hit["_id"], hit["_source"][index.field]["vector"]) for hit in hits]
    else:
        path = segments_path(index.field)
        inner = [(hit["_id"], hit["inner_hits"][SEGMENT_HITS]["hits"]["hits"][0]) for hit in hits]
        stored = [(id, segment_values(one, path)["vector"]) for id, one in inner]
    return [(id, decode_vector(vector, BYTE_ORDERS[engine.kind])) for id, vector in stored]


def _truth(
    engine: Engine,
    index: VideosIndex,
    samples: Mapping[Level, Sample],
    *,
    k: int,
    done: _Steps,
) -> tuple[dict[Level, list[NearestIds]], str]:
    """The ``k`` nearest of each sample, by comparing with all; and who did it."""

    def by_engine(level: Level, vector: NDArray[Any]) -> NearestIds:
        body = exact_query(engine.kind, field=index.field, level=level, vector=vector.tolist(), k=k)
        hits = engine.search(index.alias, body)["hits"]["hits"]
        done.add()
        # Both engines' scores are a cosine times a factor, plus a constant.
        per_cosine = 1.0 if engine.kind == "elasticsearch" else 0.5
        return [(hit["_id"], float(hit["_score"]) / per_cosine) for hit in hits]

    try:
        return {
            level: [by_engine(level, vector) for _, vector in sample]
            for level, sample in samples.items()
        }, "engine"
    except (BackendAccessDeniedError, MappingConflictError):  # it runs no scripts, or not Painless
        return _truth_by_reading(engine, index, samples, k=k, done=done), "vidsearch"


def _truth_by_reading(
    engine: Engine, index: VideosIndex, samples: Mapping[Level, Sample], *, k: int, done: _Steps
) -> dict[Level, list[NearestIds]]:
    queries = {level: np.array([v for _, v in sample]) for level, sample in samples.items()}
    nearest = {level: Nearest(len(sample), keep=k) for level, sample in samples.items()}
    paths = [vector_path(index.field, level=level) for level in samples]
    exists = {"exists": {"field": vector_path(index.field, level="video")}}
    documents = engine.scan(index.alias, query=exists, source=paths, page_size=_PAGE)
    for batch in in_batches(documents, _PAGE):
        for level in samples:
            ids, vectors = _vectors_of(batch, index, level)
            if ids:
                _show(nearest[level], ids, queries[level] @ vectors.T)
    done.add(sum(map(len, samples.values())))
    return {level: each.best() for level, each in nearest.items()}


def _vectors_of(
    documents: Sequence[Document], index: VideosIndex, level: Level
) -> tuple[list[str], NDArray[Any]]:
    """All vectors of a level, each with the id of its video."""

    def of_one(video: Json) -> Iterator[Any]:
        items = video.get("segments") or () if level == "segment" else (video,)
        return (item["vector"] for item in items if item.get("vector") is not None)

    found = [(each.id, vector) for each in documents for vector in of_one(each.source[index.field])]
    order = BYTE_ORDERS[index.engine.kind]
    return [id for id, _ in found], np.array([decode_vector(v, order) for _, v in found])


def _show(nearest: Nearest, ids: Sequence[str], cosines: NDArray[Any]) -> None:
    """Show the videos, each by its best segment."""
    names = list(dict.fromkeys(ids))
    first = [ids.index(name) for name in names]  # those of one video follow each other
    nearest.show(names, np.maximum.reduceat(cosines, first, axis=1))


def _measure(
    engine: Engine,
    index: VideosIndex,
    settings: SearchSettings,
    level: Level,
    sample: Sample,
    right: Sequence[Wanted],
    ladder: Sequence[tuple[int, bool]],
    k: int,
    done: _Steps,
) -> Iterator[Recall]:
    """All numbers of candidates in turn, query by query, so that a slow spell hits all alike."""
    cores = {
        number: SearchCore(
            index.alias,
            encoders=no_encoders,
            settings=settings.model_copy(update={"num_candidates": number}),
        )
        for number, _ in ladder
    }
    seconds: dict[int, list[float]] = {number: [] for number in cores}
    shares: dict[int, list[float]] = {number: [] for number in cores}

    def found_by(core: SearchCore, vector: NDArray[Any]) -> NearestIds:
        request = core.request(None, {"vector": vector, "k": k + 1, "level": level})
        hits = engine.run(core.search(request, engine.calls)).hits
        return [(hit.id, -math.inf if hit.cosine is None else hit.cosine) for hit in hits]

    for core in cores.values():  # the mapping is read, and files come into memory
        found_by(core, sample[0][1])
    for (_, vector), wanted in zip(sample, right, strict=True):
        for number, core in cores.items():
            began = time.perf_counter()
            found = found_by(core, vector)
            seconds[number].append(time.perf_counter() - began)
            shares[number].append(wanted.share(found))
            done.add()
    for number, present in ladder:
        times = np.array(seconds[number]) * 1000
        yield Recall(
            level=level,
            num_candidates=number,
            present=present,
            recall=statistics.fmean(shares[number]),
            p50=float(np.percentile(times, 50)),
            p95=float(np.percentile(times, 95)),
            tied=statistics.fmean(wanted.is_tied for wanted in right),
        )


def no_encoders() -> EncoderPool:
    """For the steps of searches that are by vectors alone."""
    raise AssertionError("a search by a vector needs no model")
