"""What facets, a total and a sort add to the latency of a search."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness import Measured, measure
from benchmarks.report import Section, Verdict
from vidsearch.config import EngineSettings, IndexSettings, ModelSettings
from vidsearch.encoders import load_encoder
from vidsearch.engines import Engine, EngineKind, Json, Write, connect
from vidsearch.index import create_videos_index
from vidsearch.local import SearchNode
from vidsearch.search import Facet, VideoSearch

TITLE = "Facets, totals and sort"

VIDEOS = 2000
SEGMENTS = 6
SEARCHES = 20
"""Of each way in a round."""
WARM_UP = 5.0
"""Seconds of each way: what only one of them does must be compiled in the engine as well."""
AT_MOST = 1.2
"""Latency with facets and sort / without, as the issue asks for."""
QUERY = "a red circle"
PLACES = ("harbour", "river", "street", "forest", "desert")
COUNTED: dict[str, Any] = {
    "facets": ["tags", Facet(field="year", interval=10), Facet(field="recorded", interval="month")]
}
SORTED = {**COUNTED, "sort": "-recorded"}
OWN = [Facet(field="tags", own_filter=False)]


def run(*, rounds: int, folder: Path) -> Iterator[Section]:
    """Searches for ten videos; both ways embed the text each time."""
    kinds: tuple[EngineKind, ...] = ("elasticsearch", "opensearch")
    for kind in kinds:
        yield from _on(kind, rounds=rounds)


def _on(kind: EngineKind, *, rounds: int) -> Iterator[Section]:
    encoder = load_encoder(ModelSettings(name="demo"))
    with SearchNode.start(kind, heap="1g") as node:
        engine = connect(EngineSettings(url=node.url, kind=node.kind))
        _fill(engine, encoder.identity)
        videos = VideoSearch(engine, encoder, index="videos")
        version = engine.info()
        for mode in ("hybrid", "vector", "keyword"):
            ways: dict[str, dict[str, Any]] = {
                "plain": {},
                "three facets": COUNTED,
                "three facets and a sort": SORTED,
            }
            if mode == "hybrid":
                ways["with a filter"] = {"filter": {"tags": "river"}}
                ways["with a filter, and a facet without it"] = {
                    "filter": {"tags": "river"},
                    "facets": OWN,
                }
            if mode != "keyword":
                ways["hits by moment"] = {"group_by": "moment"}
            yield _compared(
                f"{version}, mode {mode}, {VIDEOS} videos of {SEGMENTS} segments",
                {
                    name: partial(_searches, videos, {"mode": mode, **options})
                    for name, options in ways.items()
                },
                rounds=rounds,
            )
        engine.close()


def _searches(videos: VideoSearch, options: dict[str, Any]) -> None:
    for _ in range(SEARCHES):
        videos.search(QUERY, **options)


def _compared(title: str, ways: dict[str, Callable[[], None]], *, rounds: int) -> Section:
    end = time.monotonic() + WARM_UP * len(ways)
    while time.monotonic() < end:
        for searches in ways.values():
            searches()
    measured = measure(ways, rounds=rounds, children=False)
    reference, *others = ways
    rows = [(reference, f"{measured.wall_ms(reference) / SEARCHES:.2f}", "1")]
    verdicts = []
    for way in others:
        low, median, high = _slower(measured, way, reference)
        figure = f"{median:.2f} ({low:.2f}-{high:.2f})"
        rows.append((way, f"{measured.wall_ms(way) / SEARCHES:.2f}", figure))
        if way.startswith("three"):
            verdicts.append(
                Verdict.of_figure(
                    f"{title}: latency of {way}, at most {AT_MOST}×",
                    figure,
                    missed_by=median / AT_MOST - 1,
                    others=None,
                )
            )
    return Section(
        title=title,
        columns=("search", "ms", "× plain"),
        rows=tuple(rows),
        notes=(
            "wall time of a search, the engine's included",
            f"other processes, the engine among them: up to {measured.others:.2f} cores",
        ),
        verdicts=tuple(verdicts),
    )


def _slower(measured: Measured, way: str, reference: str) -> tuple[float, float, float]:
    """Least, median and greatest ratio of wall times within a round."""
    pairs = zip(measured.wall[way], measured.wall[reference], strict=True)
    ratios = sorted(slow / plain for slow, plain in pairs)
    return ratios[0], statistics.median(ratios), ratios[-1]


def _fill(engine: Engine, identity: Any) -> None:
    own: Json = {"year": {"type": "integer"}, "recorded": {"type": "date"}}
    settings = IndexSettings(mapping={"properties": own})
    create_videos_index(engine, settings, identity)
    rng = np.random.default_rng(1)
    for start in range(0, VIDEOS, 200):
        engine.bulk("videos", [_video(rng, start + n, dims=identity.dims) for n in range(200)])
    engine.refresh("videos")


def _video(rng: np.random.Generator, number: int, *, dims: int) -> Write:
    vectors = rng.standard_normal((SEGMENTS + 1, dims)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    segments = [
        {"start": 10.0 * n, "end": 10.0 * (n + 1), "vector": vectors[n + 1].tolist()}
        for n in range(SEGMENTS)
    ]
    colour = ("red", "green", "blue")[number % 3]
    return Write(
        "index",
        f"v{number}",
        {
            "title": f"clip number {number} with a {colour} thing",
            "tags": [PLACES[number % 5], PLACES[number // 5 % 5]],
            "year": 1990 + number % 35,
            "recorded": f"{2015 + number % 9}-{1 + number % 12:02}-{1 + number % 28:02}",
            "video": {
                "uri": f"file:///{number}.mp4",
                "duration": 10.0 * SEGMENTS,
                "vector": vectors[0].tolist(),
                "segments": segments,
            },
        },
    )
