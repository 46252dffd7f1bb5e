"""The same search inside a live index, for every way in which the engine keeps vectors."""

from __future__ import annotations

import math
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidsearch.batches import in_batches
from vidsearch.config import IndexSettings, SearchSettings
from vidsearch.encoders import ModelIdentity
from vidsearch.engines import Engine, Json, Write
from vidsearch.engines.dialect import quoted
from vidsearch.errors import EvaluationError, IndexNotFoundError
from vidsearch.evaluation.statistics import Figure, mean_figure
from vidsearch.evaluation.table import CUTS
from vidsearch.evaluation.vectors import PairVectors
from vidsearch.index import videos_index_body
from vidsearch.search import Hit
from vidsearch.search.core import SearchCore
from vidsearch.search.nearest import NearestIds, Wanted
from vidsearch.search.recall import no_encoders
from vidsearch_mappings.types import Quantization
from vidsearch_mappings.vectors import presets_of

__all__ = ["PresetRow", "measure_presets", "memory_of", "presets_for"]

_BATCH = 500
_IN_MEMORY = ("total_veq_size_bytes", "total_veb_size_bytes")
"""Of Elasticsearch's statistics: what is compared first, with fewer bits."""

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class PresetRow:
    """One preset, as it finds and what it takes."""

    preset: str
    figures: Mapping[str, Figure]
    """``R@1``, ``R@5`` and ``R@10`` of captions that ask for their video."""
    recall: Figure
    """Of the ``k`` nearest videos by exact cosine."""
    k: int
    p50: float
    """Milliseconds of a search, round trip and parsing included; its embedding not."""
    p95: float
    load_seconds: float
    disk: int
    """Bytes of the index, with what else is stored."""
    memory: int | None
    """Bytes that searches read at random, so that they should stay in memory; ``None`` where the
    engine does not say."""

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {
            "preset": self.preset,
            **{name: figure.to_dict() for name, figure in self.figures.items()},
            f"recall@{self.k}": self.recall.to_dict(),
            "p50_ms": self.p50,
            "p95_ms": self.p95,
            "load_seconds": self.load_seconds,
            "disk_bytes": self.disk,
            "memory_bytes": self.memory,
        }


def presets_for(engine: Engine, dims: int, asked: Sequence[str] = ()) -> tuple[Quantization, ...]:
    """The presets that a cluster has for vectors of ``dims``; those of them that are asked for.

    Raises:
        EvaluationError: it lacks one that is asked for.
    """
    has = engine.features().quantizations
    known = presets_of(engine.kind, dims=dims, version=engine.info().version)
    found = tuple(preset for preset in known if preset in has)
    if missing := [each for each in asked if each not in found]:
        raise EvaluationError(
            f"{engine.info()} does not keep vectors of {dims} dims as {missing[0]!r}; it has "
            f"{', '.join(found)}"
        )
    return tuple(preset for preset in found if not asked or preset in asked)


def measure_presets(
    engine: Engine,
    vectors: PairVectors,
    presets: Sequence[Quantization],
    *,
    index: IndexSettings,
    search: SearchSettings,
    k: int = 10,
    queries: int = 500,
    seed: int = 0,
    progress: Progress = lambda done, total: None,
) -> list[PresetRow]:
    """Measure searches by captions in an index of the videos for each preset.

    The indices are made beside your own, with one shard that is merged to one Lucene segment, and
    dropped at the end. All presets are searched in turn, query by query, so that a slow spell of
    the machine hits all alike; a first round warms up and is not counted.

    Args:
        engine: the cluster.
        vectors: of captions and videos.
        presets: of :func:`presets_for`.
        index: the section of the settings; ``m`` and ``ef_construction`` hold for these indices.
        search: the section of the settings, as for any search.
        k: number of nearest videos to find.
        queries: maximum number of captions that are searched for, drawn at random.
        seed: of the draw and of intervals.
        progress: told how many steps of how many are done.

    Raises:
        EvaluationError: there are not more than ``k`` videos.
        BackendError: the engine failed or refused.
    """
    if len(vectors.videos) <= k:
        raise EvaluationError(
            f"recall@{k} needs more than {k} videos, and there are {len(vectors.videos)}"
        )
    drawn = np.random.default_rng([seed, 3])
    number = min(queries, len(vectors.texts))
    asked = np.sort(drawn.permutation(len(vectors.texts))[:number])
    search = search.model_copy(update={"window": max(search.window, k, CUTS[-1])})
    total, done = len(presets) * (1 + 2 * number), count(1)

    def step() -> None:
        progress(next(done), total)

    with _indices(engine, vectors, presets, index, step) as made:
        cores = {
            preset: SearchCore(filled.name, encoders=no_encoders, settings=search)
            for preset, filled in made.items()
        }
        found, seconds = _search(engine, cores, vectors.texts[asked], max(k, CUTS[-1]), step)
    wanted = [_wanted(vectors.videos @ vectors.texts[each], k) for each in asked]
    groups = vectors.video_of[asked]
    rows = []
    for preset, filled in made.items():
        hits = found[preset]
        ranks = [_rank(each, str(right)) for each, right in zip(hits, groups, strict=True)]
        shares = [each.share(ids) for each, ids in zip(wanted, hits, strict=True)]
        times = 1000 * np.array(seconds[preset])
        rows.append(
            PresetRow(
                preset=preset,
                figures={
                    f"R@{cut}": mean_figure(
                        (np.array(ranks) <= cut).astype(np.float64), groups, seed=seed
                    )
                    for cut in CUTS
                },
                recall=mean_figure(np.array(shares), groups, seed=seed),
                k=k,
                p50=float(np.percentile(times, 50)),
                p95=float(np.percentile(times, 95)),
                load_seconds=filled.seconds,
                disk=filled.disk,
                memory=filled.memory,
            )
        )
    return rows


@dataclass(frozen=True, slots=True)
class _Filled:
    name: str
    seconds: float
    disk: int
    memory: int | None


@contextmanager
def _indices(
    engine: Engine,
    vectors: PairVectors,
    presets: Sequence[Quantization],
    settings: IndexSettings,
    step: Callable[[], None],
) -> Iterator[dict[str, _Filled]]:
    """An index for each preset, dropped at the end."""
    prefix = f"{settings.side_prefix}{settings.name}-eval-{uuid.uuid4().hex[:8]}"
    names = {preset: f"{prefix}-{preset.replace('_', '-')}" for preset in presets}
    try:
        made = {}
        for preset, name in names.items():
            own = settings.model_copy(
                update={"quantization": preset, "shards": 1, "replicas": 0, "mapping": None}
            )
            made[str(preset)] = _fill(engine, name, own, vectors.videos)
            step()
        yield made
    finally:
        for name in names.values():
            with suppress(IndexNotFoundError):
                engine.delete_index(name)


def _fill(
    engine: Engine, name: str, settings: IndexSettings, videos: NDArray[np.float32]
) -> _Filled:
    identity = ModelIdentity("evaluation", "0", videos.shape[1], image_size=1)
    engine.create_index(name, videos_index_body(engine, settings, identity))
    began = time.perf_counter()
    for batch in in_batches(enumerate(videos), _BATCH):
        writes = [Write("index", str(n), {settings.field: {"vector": v}}) for n, v in batch]
        engine.bulk(name, writes)
    _ask(engine, "POST", f"/{quoted(name)}/_forcemerge", {"max_num_segments": "1"})
    engine.refresh(name)
    seconds = time.perf_counter() - began
    stats = _ask(engine, "GET", f"/{quoted(name)}/_stats", {})["indices"][name]["primaries"]
    return _Filled(name, seconds, stats["store"]["size_in_bytes"], memory_of(stats))


def memory_of(stats: Json) -> int | None:
    """Bytes of vectors that searches read at random: the graph, and what is compared first.

    Args:
        stats: of the engine, of an index's primary shards.

    Returns:
        ``None`` where the engine does not tell; Elasticsearch does from 9.1 on.
    """
    off_heap = stats.get("dense_vector", {}).get("off_heap")
    if not off_heap:
        return None
    quantized = sum(off_heap.get(name, 0) for name in _IN_MEMORY)
    return int(
        off_heap.get("total_vex_size_bytes", 0)
        + (quantized or off_heap.get("total_vec_size_bytes", 0))
    )


def _ask(engine: Engine, method: str, path: str, params: Mapping[str, str]) -> Json:
    answer = engine.run(engine.calls.dialect.request(method, path, params=params))
    body: Json = answer.body
    return body


def _search(
    engine: Engine,
    cores: Mapping[str, SearchCore],
    texts: NDArray[np.float32],
    k: int,
    step: Callable[[], None],
) -> tuple[dict[str, list[NearestIds]], dict[str, list[float]]]:
    found: dict[str, list[NearestIds]] = {preset: [] for preset in cores}
    seconds: dict[str, list[float]] = {preset: [] for preset in cores}
    for is_warm in (False, True):
        for vector in texts:
            for preset, core in cores.items():
                request = core.request(None, {"vector": vector, "k": k, "level": "video"})
                began = time.perf_counter()
                hits = engine.run(core.search(request, engine.calls)).hits
                took = time.perf_counter() - began
                if is_warm:
                    seconds[preset].append(took)
                    found[preset].append([(hit.id, _cosine(hit)) for hit in hits])
                step()
    return found, seconds


def _wanted(cosines: NDArray[np.float32], k: int) -> Wanted:
    best = np.argsort(-cosines, kind="stable")[: 2 * k + 1]
    return Wanted.of([(str(n), float(cosines[n])) for n in best], "", k)


def _rank(hits: NearestIds, right: str) -> float:
    return next((rank for rank, (id, _) in enumerate(hits, 1) if id == right), math.inf)


def _cosine(hit: Hit) -> float:
    return -math.inf if hit.cosine is None else hit.cosine
