"""``python -m benchmarks.large``: recall and latency of searches in a large index.

Fills a real Elasticsearch node with drawn vectors in documents as vidsearch writes them, a video
with its mean vector and 15 segments, and searches as :class:`~vidsearch.search.VideoSearch` does,
before and after the index is merged to one Lucene segment. What was found is kept in
benchmarks/results by the number of vectors, and stands in docs/benchmarks.md. Not part of
``python -m benchmarks``: 1.5 million vectors take more than an hour and about 10 GB of disk.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness import others_from_now
from benchmarks.report import Section, Verdict
from vidsearch.config import EngineSettings, IndexSettings, SearchSettings
from vidsearch.engines import Engine, Json, Write, connect
from vidsearch.evaluation.presets import memory_of
from vidsearch.index import create_videos_index
from vidsearch.local import SearchNode
from vidsearch.search import Level, VideoSearch
from vidsearch.search.nearest import Nearest
from vidsearch.testing.fake_encoder import FakeEncoder

TITLE = "Recall and latency of a large index"

DIMS, SEGMENTS, TOPICS, QUERIES, K = 512, 15, 2_000, 200, 10
LEVELS: tuple[Level, ...] = ("segment", "video")
CANDIDATES: tuple[int | Literal["auto"], ...] = (200, 400, "auto")
_BATCH = 200
"""Videos of one request, about 9 MB."""
_CLIENTS = 2
_LEAST_RECALL, _MOST_MS = 0.98, 25.0

Vectors = NDArray[np.float32]


class Corpus:
    """Videos whose vectors lie as those of a trained model do; the same at every call.

    A video is drawn around one of :data:`TOPICS` topics, some of which are far more common than
    others, and its segments wander around the video: neighbours have a cosine of about 0.98, the
    ends of a video 0.92, videos of different topics 0.3. In every one of these steps the
    variance falls off along the axes by a power law, as in embeddings of pictures.
    """

    def __init__(self) -> None:
        shape = np.random.default_rng(0)
        spread = np.power(np.arange(1, DIMS + 1), -0.5)
        rotation = np.linalg.qr(shape.standard_normal((DIMS, DIMS)))[0]
        self._turned = (spread[:, None] * rotation).astype(np.float32)
        self._mean = 0.8 * shape.standard_normal(DIMS, dtype=np.float32)
        self._topics = shape.standard_normal((TOPICS, DIMS), dtype=np.float32)
        share = 1 / np.arange(1, TOPICS + 1) ** 0.7
        self._share = share / share.sum()

    def videos(self, batch: int, count: int) -> tuple[Vectors, Vectors]:
        """``(count, segments, dims)`` vectors of segments, and ``(count, dims)`` of videos."""
        drawn = np.random.default_rng([1, batch])
        centres = self._mean + self._topics[drawn.choice(TOPICS, size=count, p=self._share)]
        centres += 0.7 * drawn.standard_normal((count, DIMS), dtype=np.float32)
        steps = drawn.standard_normal((SEGMENTS, count, DIMS), dtype=np.float32)
        for before, step in pairwise(steps):
            step *= 0.6
            step += 0.8 * before
        segments = _unit((centres + 0.45 * steps) @ self._turned).swapaxes(0, 1)
        return np.ascontiguousarray(segments), _unit(segments.mean(axis=1))

    def queries(self) -> Vectors:
        """``(queries, dims)``: segments of other videos of the same topics."""
        return self.videos(-1 % 2**32, QUERIES)[0][:, SEGMENTS // 2]


def _unit(vectors: Vectors) -> Vectors:
    unit: Vectors = vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
    return unit


class Truth:
    """The nearest videos of each query, of all that it was shown."""

    def __init__(self, queries: Vectors) -> None:
        self._queries = queries
        self._nearest = {level: Nearest(len(queries), keep=K) for level in LEVELS}

    def show(self, first: int, segments: Vectors, videos: Vectors) -> None:
        """Compare with the videos from number ``first`` on."""
        ids = [f"v{first + number}" for number in range(len(videos))]
        by_segment = self._queries @ segments.reshape(-1, DIMS).T
        best = by_segment.reshape(len(self._queries), -1, SEGMENTS).max(axis=2)
        self._nearest["segment"].show(ids, best)
        self._nearest["video"].show(ids, self._queries @ videos.T)

    def ids(self, level: Level) -> list[set[str]]:
        """Of each query."""
        return [{id for id, _ in best} for best in self._nearest[level].best()]


class Point(NamedTuple):
    """What one number of candidates finds."""

    recall: float
    p50: float
    """Milliseconds."""
    p95: float


@dataclass(frozen=True, slots=True)
class State:
    """An index at one moment, and what was measured there."""

    lucene_segments: int
    disk: int
    """Bytes."""
    memory: int
    """Bytes that searches read at random."""
    others: float
    points: Mapping[tuple[Level, str], Point]


def main() -> None:
    """Fill a node, measure, merge, measure; keep what was found."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.large", description=__doc__)
    parser.add_argument("--vectors", type=int, default=1_500_000, help="vectors of segments")
    parser.add_argument("--quantization", default="int8")
    parser.add_argument("--m", type=int, help="setting index.m")
    parser.add_argument("--ef-construction", type=int, help="setting index.ef_construction")
    parser.add_argument("--heap", default="3g", help="of the node")
    arguments = parser.parse_args()
    graph = {"m": arguments.m, "ef_construction": arguments.ef_construction}
    settings = IndexSettings(
        quantization=arguments.quantization,
        replicas=0,
        **{name: value for name, value in graph.items() if value is not None},
    )
    began = time.perf_counter()
    with SearchNode.start("elasticsearch", version="9.5.3", heap=arguments.heap) as node:
        engine = connect(EngineSettings(url=node.url, kind=node.kind, timeout=7200))
        videos = arguments.vectors // SEGMENTS
        truth, loading = fill(engine, settings, videos)
        before = measure(engine, settings, truth)
        merging = merge(engine, settings.name)
        after = measure(engine, settings, truth)
        section = _section(engine, settings, videos, [before, after], loading, merging)
        engine.close()
    _keep(section, seconds=time.perf_counter() - began)


def fill(engine: Engine, settings: IndexSettings, videos: int) -> tuple[Truth, float]:
    """Create the index and fill it; the truth, and how many seconds the loading took."""
    create_videos_index(engine, settings, FakeEncoder(dims=DIMS).identity)
    (name,) = engine.indices_of(settings.name)
    engine.put_settings(name, {"refresh_interval": "-1"})
    corpus = Corpus()
    truth = Truth(corpus.queries())
    began = time.perf_counter()
    with ThreadPoolExecutor(_CLIENTS) as clients:
        pending = []
        for batch, first in enumerate(range(0, videos, _BATCH)):
            segments, means = corpus.videos(batch, min(_BATCH, videos - first))
            truth.show(first, segments, means)
            pending.append(clients.submit(engine.bulk, name, _writes(first, segments, means)))
            while len(pending) > _CLIENTS:  # no more batches in memory than are being sent
                pending.pop(0).result()
            if batch % 50 == 0:
                print(f"{first * SEGMENTS:,} after {time.perf_counter() - began:.0f} s", flush=True)
        for each in pending:
            each.result()
    engine.refresh(name)
    took = time.perf_counter() - began
    print(f"{videos * SEGMENTS:,} vectors of segments loaded in {took:.0f} s", flush=True)
    return truth, took


def _writes(first: int, segments: Vectors, means: Vectors) -> list[Write]:
    return [
        Write("index", f"v{number}", {"title": f"Video {number}", "video": _video(*vectors)})
        for number, vectors in enumerate(zip(segments, means, strict=True), first)
    ]


def _video(segments: Vectors, mean: Vectors) -> Json:
    parts = [
        {"start": 10.0 * at, "end": 10.0 * (at + 1), "vector": vector}
        for at, vector in enumerate(segments)
    ]
    return {"duration": 10.0 * SEGMENTS, "vector": mean, "segments": parts}


def merge(engine: Engine, index: str) -> float:
    """Merge to one Lucene segment. Returns how many seconds it took."""
    began = time.perf_counter()
    _raw(engine, "POST", f"/{index}/_forcemerge?max_num_segments=1")
    engine.refresh(index)
    took = time.perf_counter() - began
    print(f"merged in {took:.0f} s", flush=True)
    return took


def measure(
    engine: Engine,
    settings: IndexSettings,
    truth: Truth,
    candidates: Sequence[int | Literal["auto"]] = CANDIDATES,
) -> State:
    """All numbers of candidates in turn, query by query, after a round that warms up."""
    queries = Corpus().queries()
    encoder = FakeEncoder(dims=DIMS)
    searches = {
        str(number): VideoSearch(
            engine,
            encoder,
            index=settings.name,
            settings=SearchSettings(num_candidates=number),
        )
        for number in candidates
    }
    ways = [(level, name) for level in LEVELS for name in searches]
    known = {level: truth.ids(level) for level in LEVELS}
    seconds: dict[tuple[Level, str], list[float]] = {way: [] for way in ways}
    recalls: dict[tuple[Level, str], list[float]] = {way: [] for way in ways}
    for is_warm in (False, True):
        others = others_from_now()
        for number, query in enumerate(queries):
            for level, name in ways if number % 2 else reversed(ways):
                began = time.perf_counter()
                hits = searches[name].search(vector=query, k=K, level=level).hits
                took = time.perf_counter() - began
                if is_warm:
                    seconds[level, name].append(took)
                    found = known[level][number] & {hit.id for hit in hits}
                    recalls[level, name].append(len(found) / K)
    points = {
        way: Point(
            statistics.fmean(recalls[way]),
            1000 * statistics.median(seconds[way]),
            1000 * statistics.quantiles(seconds[way], n=20)[-1],
        )
        for way in ways
    }
    (stats,) = _raw(engine, "GET", f"/{settings.name}/_stats")["indices"].values()
    stats = stats["primaries"]
    state = State(
        lucene_segments=int(stats["segments"]["count"]),
        disk=int(stats["store"]["size_in_bytes"]),
        memory=memory_of(stats) or 0,
        others=others(),
        points=points,
    )
    for way, point in points.items():
        print(state.lucene_segments, *way, point, f"others {state.others:.2f}", flush=True)
    return state


def _raw(engine: Engine, method: str, path: str) -> Any:
    import httpx

    answer = httpx.request(method, engine.info().url + path, timeout=7200, trust_env=False)
    return answer.raise_for_status().json()


def _section(
    engine: Engine,
    settings: IndexSettings,
    videos: int,
    states: Sequence[State],
    loading: float,
    merging: float,
) -> Section:
    title = str(engine.info()).partition(" at ")[0]
    vectors = videos * SEGMENTS
    rows = tuple(
        (f"{state.lucene_segments}", level, name, f"{p.recall:.3f}", f"{p.p50:.1f}", f"{p.p95:.1f}")
        for state in states
        for (level, name), p in state.points.items()
    )
    in_memory = ", ".join(f"{state.memory / 1e9:.2f}" for state in states)
    return Section(
        title=(
            f"{title}: {vectors:,} x {DIMS} in segments, {videos:,} videos, "
            f"{settings.quantization}, m {settings.m}, ef_construction {settings.ef_construction}"
        ),
        columns=("Lucene segments", "level", "num_candidates", f"recall@{K}", "p50 ms", "p95 ms"),
        rows=rows,
        notes=(
            f"loaded in {loading:.0f} s by {_CLIENTS} clients, merged in {merging:.0f} s",
            f"on disk: {', '.join(f'{state.disk / 1e9:.2f}' for state in states)} GB",
            f"graph and quantized vectors, which searches read at random: {in_memory} GB",
            f"other processes: {', '.join(f'{state.others:.2f}' for state in states)} cores",
        ),
        verdicts=tuple(_verdicts(title, vectors, states)),
    )


def _verdicts(title: str, vectors: int, states: Sequence[State]) -> Iterator[Verdict]:
    for state in states:
        for level in LEVELS:
            if (point := state.points.get((level, "auto"))) is None:
                continue
            name = f"{title}, {vectors:,} vectors in {state.lucene_segments} segments, {level}"
            yield Verdict.of_figure(
                f"{name}: recall@{K} of auto at least {_LEAST_RECALL}",
                f"{point.recall:.3f}",
                missed_by=(_LEAST_RECALL - point.recall) / _LEAST_RECALL,
            )
            yield Verdict.of_figure(
                f"{name}: p95 of auto at most {_MOST_MS:.0f} ms",
                f"{point.p95:.1f} ms",
                missed_by=(point.p95 - _MOST_MS) / _MOST_MS,
                others=state.others,
            )


def _keep(section: Section, *, seconds: float) -> None:
    """Put the section into the results, in place of an earlier one of the same title."""
    from benchmarks.__main__ import RESULTS
    from benchmarks.machine import made_on
    from benchmarks.report import load, save

    print(section.markdown(), flush=True)
    kept = load(RESULTS, "large")
    sections = [each for each in (kept[1] if kept else []) if each.title != section.title]
    made = made_on("large", rounds=1, seconds=seconds).replace(" --only ", ".")
    save(RESULTS, "large", [*sections, section], made=made)


if __name__ == "__main__":
    main()
