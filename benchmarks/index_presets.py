"""What each way of keeping vectors costs and finds: recall, latency, loading, disk."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness import others_from_now
from benchmarks.report import Section, Verdict
from vidsearch.config import EngineSettings
from vidsearch.engines import Engine, EngineKind, Write, connect
from vidsearch.local import SearchNode
from vidsearch_mappings import index_meta, videos_index
from vidsearch_mappings.queries import vector_query
from vidsearch_mappings.vectors import oversample_of

TITLE = "Ways of keeping vectors in the index"

VECTORS, DIMS, CLUSTERS, QUERIES, K = 100_000, 512, 1_000, 200, 10
CANDIDATES = (50, 100, 200)
EXACT = "flat"
_BATCH = 1_000
_PICTURE = Path(__file__).resolve().parent.parent / "docs" / "index-presets.svg"

_ABOUT_RECALL = (
    f"recall over {QUERIES} queries that are not in the index, against comparing with all in "
    f"numpy; vectors are drawn around {CLUSTERS:,} centres with a spread that falls off as in "
    "embeddings, so the figures say how presets compare, not what your videos will give"
)
_ABOUT_TIME = (
    "one shard, merged to one segment; wall time of one client, round trip and parsing included, "
    "all presets in turn, query by query; quantised ones score all candidates anew with the exact "
    "vectors, at most 9.9 times k, where the engine can"
)
_MOST_OVERSAMPLE = 9.9

Vectors = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Loaded:
    """An index that was filled."""

    preset: str
    docs_per_second: float
    merge_seconds: float
    megabytes: float
    search: Callable[[Vectors, int], list[int]]


@dataclass(frozen=True, slots=True)
class Point:
    """One preset at one number of candidates."""

    preset: str
    candidates: int
    recall: float
    p50: float
    """Milliseconds."""
    p95: float


def run(*, rounds: int, folder: Path) -> Iterator[Section]:
    """Every preset of both engines, one shard merged to one segment, one client."""
    corpus, queries = clustered(VECTORS), clustered(QUERIES, seed=2)
    truth = nearest(corpus, queries)
    figures: dict[str, list[Point]] = {}
    kinds: tuple[EngineKind, ...] = ("elasticsearch", "opensearch")
    for kind in kinds:
        with SearchNode.start(kind, heap="2g") as node:
            engine = connect(EngineSettings(url=node.url, kind=kind, timeout=1800))
            presets = sorted(engine.features().quantizations)
            loaded = [_load(engine, preset, corpus) for preset in presets]
            others = others_from_now()
            points = _measure(loaded, queries, truth, rounds=rounds)
            figures[str(engine.info()).partition(" at ")[0]] = points
            yield _section(engine, loaded, points, others=others())
            engine.close()
    _draw(figures)


def clustered(count: int, *, seed: int = 1) -> Vectors:
    """``(count, dims)`` unit vectors around :data:`CLUSTERS` centres.

    The variance falls off along the axes by a power law, as it does in embeddings of pictures; the
    same in all directions would make all vectors of a cluster equally near.
    """
    shape = np.random.default_rng(0)
    spread = np.power(np.arange(1, DIMS + 1), -0.5).astype(np.float32)
    rotation = np.linalg.qr(shape.standard_normal((DIMS, DIMS)))[0].astype(np.float32)
    centres = shape.standard_normal((CLUSTERS, DIMS)).astype(np.float32)
    drawn = np.random.default_rng(seed)
    vectors = centres[drawn.integers(CLUSTERS, size=count)]
    vectors += 0.7 * drawn.standard_normal((count, DIMS), dtype=np.float32)
    turned = (vectors * spread) @ rotation
    unit: Vectors = (turned / np.linalg.norm(turned, axis=1, keepdims=True)).astype(np.float32)
    return unit


def nearest(corpus: Vectors, queries: Vectors) -> list[set[int]]:
    """Numbers of the :data:`K` nearest vectors of each query, by comparing with all."""
    cosines = queries @ corpus.T
    return [set(row.tolist()) for row in np.argpartition(-cosines, K, axis=1)[:, :K]]


def _load(engine: Engine, preset: str, corpus: Vectors) -> Loaded:
    name = f"bench-{preset.replace('_', '-')}"
    version = engine.info().version
    meta = index_meta(
        model={"name": "none"}, quantization=preset, field="video", segment_seconds=10.0
    )
    body = videos_index(
        engine.kind,
        version=version,
        dims=DIMS,
        field="video",
        meta=meta,
        quantization=preset,  # type: ignore[arg-type]
        shards=1,
        replicas=0,
    )
    body["settings"]["index"]["refresh_interval"] = "-1"
    engine.create_index(name, body)
    started = time.perf_counter()
    for start in range(0, len(corpus), _BATCH):
        batch = corpus[start : start + _BATCH]
        writes = [
            Write("index", str(start + n), {"video": {"vector": vector}})
            for n, vector in enumerate(batch)
        ]
        engine.bulk(name, writes)
    engine.refresh(name)
    loading = time.perf_counter() - started
    merging = _merge(engine, name)

    def search(query: Vectors, candidates: int) -> list[int]:
        body = vector_query(
            engine.kind,
            field="video",
            vector=query.tolist(),
            level="video",
            k=K,
            num_candidates=candidates,
            source=False,
            oversample=_oversample(preset, candidates),
        )
        return [int(hit["_id"]) for hit in engine.search(name, body)["hits"]["hits"]]

    size = _raw(engine, "GET", f"/{name}/_stats/store")["_all"]["total"]["store"]["size_in_bytes"]
    print(f"{preset}: loaded in {loading:.0f} s, merged in {merging:.0f} s", flush=True)
    return Loaded(preset, len(corpus) / loading, merging, size / 2**20, search)


def _oversample(preset: str, candidates: int) -> float | None:
    least = oversample_of(preset)
    return None if least is None else max(least, min(candidates / K, _MOST_OVERSAMPLE))


def _merge(engine: Engine, name: str) -> float:
    started = time.perf_counter()
    _raw(engine, "POST", f"/{name}/_forcemerge?max_num_segments=1")
    engine.refresh(name)
    return time.perf_counter() - started


def _raw(engine: Engine, method: str, path: str) -> Any:
    import httpx

    answer = httpx.request(method, engine.info().url + path, timeout=1800, trust_env=False)
    return answer.raise_for_status().json()


def _measure(
    loaded: Sequence[Loaded], queries: Vectors, truth: Sequence[set[int]], *, rounds: int
) -> list[Point]:
    """All presets in turn, query by query, so that a slow spell of the machine hits all alike."""
    ways = [(index, candidates) for index in loaded for candidates in CANDIDATES]
    seconds: dict[tuple[str, int], list[float]] = {}
    found: dict[tuple[str, int], list[float]] = {}
    for round_ in range(max(2, rounds // 2)):
        for number, query in enumerate(queries):
            for index, candidates in ways if number % 2 else reversed(ways):
                key = (index.preset, candidates)
                started = time.perf_counter()
                ids = index.search(query, candidates)
                took = time.perf_counter() - started
                if round_:  # the first one warms up
                    seconds.setdefault(key, []).append(took)
                    found.setdefault(key, []).append(len(truth[number] & set(ids)) / K)
    return [
        Point(
            *key,
            recall=statistics.fmean(found[key]),
            p50=1000 * statistics.median(seconds[key]),
            p95=1000 * statistics.quantiles(seconds[key], n=20)[-1],
        )
        for key in seconds
    ]


def _section(
    engine: Engine, loaded: Sequence[Loaded], points: Sequence[Point], *, others: float
) -> Section:
    by_preset = {index.preset: index for index in loaded}
    rows = []
    for point in sorted(points, key=lambda each: (each.preset, each.candidates)):
        index = by_preset[point.preset]
        rows.append(
            (
                point.preset,
                f"{point.candidates}",
                f"{point.recall:.3f}",
                f"{point.p50:.1f}",
                f"{point.p95:.1f}",
                f"{index.docs_per_second:.0f}",
                f"{index.merge_seconds:.0f}",
                f"{index.megabytes:.0f}",
            )
        )
    title = str(engine.info()).partition(" at ")[0]
    return Section(
        title=f"{title}: {VECTORS:,} x {DIMS} clustered unit vectors, k={K}",
        columns=(
            *("preset", "num_candidates", f"recall@{K}", "p50 ms", "p95 ms"),
            *("docs/s", "merge s", "MiB on disk"),
        ),
        rows=tuple(rows),
        notes=(
            _ABOUT_RECALL,
            _ABOUT_TIME,
            "docs/s: bulks of 1,000 from one client; on disk: with the stored source",
            f"other processes: {others:.2f} cores",
        ),
        verdicts=tuple(_verdicts(title, points, others)),
    )


def _verdicts(title: str, points: Sequence[Point], others: float) -> Iterator[Verdict]:
    best = {
        preset: max(
            (each for each in points if each.preset == preset), key=lambda each: each.recall
        )
        for preset in {each.preset for each in points}
    }
    for preset, bar in (("int8", 0.98), ("binary", 0.95)):
        if preset in best:
            recall = best[preset].recall
            yield Verdict.of_figure(
                f"{title}, {preset}: recall@{K} at least {bar}",
                f"{recall:.3f} at {best[preset].candidates} candidates",
                missed_by=(bar - recall) / bar,
            )
    enough = [p for p in points if p.preset == "binary" and p.recall >= 0.95]
    if enough:
        fastest = min(enough, key=lambda each: each.p50)
        exact = min(p.p50 for p in points if p.preset == EXACT)
        share = fastest.p50 / exact
        yield Verdict.of_figure(
            f"{title}, binary with recall of 0.95: at most half of the exact latency",
            f"{share:.2f} of it, {fastest.p50:.1f} of {exact:.1f} ms",
            missed_by=(share - 0.5) / 0.5,
            others=others,
        )


def _draw(figures: dict[str, list[Point]]) -> None:
    """Recall against latency; up and to the left is better."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    matplotlib.rcParams.update({"svg.hashsalt": "vidsearch", "font.size": 9})
    figure, axes = pyplot.subplots(
        1, len(figures), figsize=(5 * len(figures), 4), sharey=True, squeeze=False
    )
    for panel, (title, points) in zip(axes[0], figures.items(), strict=True):
        for number, preset in enumerate(sorted({point.preset for point in points})):
            line = sorted((p for p in points if p.preset == preset), key=lambda p: p.candidates)
            panel.plot(
                [p.p50 for p in line],
                [p.recall for p in line],
                marker="os^Dvp*<>h"[number % 10],
                label=preset,
            )
        panel.set(title=title, xlabel="p50 latency, ms", xscale="log")
        for axis in (panel.xaxis.set_major_formatter, panel.xaxis.set_minor_formatter):
            axis("{x:g}")
        panel.grid(visible=True, alpha=0.3)
        panel.legend(fontsize=8)
    axes[0][0].set_ylabel(f"recall@{K}")
    figure.tight_layout()
    figure.savefig(_PICTURE, metadata={"Date": None})
    pyplot.close(figure)
