"""What facets, a total and a sort add to the latency of a search."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness import others_from_now
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
CORPUS = f"{VIDEOS} videos of {SEGMENTS} segments"
ROUND = 3.0
"""Seconds of searches in a round; all ways in turn, one search of each at a time."""
SEARCHES = 20
"""The fewest of each way in a round."""
WARM_UP = 20.0
"""Seconds of each way: what only one of them does must be compiled in the engine as well, as it is
in a node that has run for an hour. Ratios still fell after 10 seconds."""
AT_MOST = 1.2
"""Latency with facets and sort / without, as the issue asks for."""
QUERY = "a red circle"
GAP = 0.05
PLACES = ("harbour", "river", "street", "forest", "desert")
COUNTED: dict[str, Any] = {
    "facets": ["tags", Facet(field="year", interval=10), Facet(field="recorded", interval="month")]
}
SORTED = {**COUNTED, "sort": "-recorded"}
ONE_QUERY = (
    "one query again and again, so that what the gap leaves is known from the search before; where "
    "it leaves another number than before, a sort on Elasticsearch takes one request more"
)
OWN = [Facet(field="tags", own_filter=False)]
COMPARED: dict[str, dict[str, Any]] = {
    "plain": {},
    "three facets": COUNTED,
    "three facets and a sort": SORTED,
}
BY_MOMENT: dict[str, Any] = {"group_by": "moment"}
FILTERED: dict[str, Any] = {"filter": {"tags": "river"}}


def run(*, rounds: int, folder: Path) -> Iterator[Section]:
    """Searches for ten videos; all ways embed the text each time."""
    kinds: tuple[EngineKind, ...] = ("elasticsearch", "opensearch")
    for kind in kinds:
        yield from _on(kind, rounds=rounds)


def _on(kind: EngineKind, *, rounds: int) -> Iterator[Section]:
    encoder = load_encoder(ModelSettings(name="demo"))
    with SearchNode.start(kind, heap="1g") as node:
        engine = connect(EngineSettings(url=node.url, kind=node.kind))
        _fill(engine, encoder.identity)
        videos = VideoSearch(engine, encoder, index="videos")
        version = engine.info().product
        filtered = {
            "with a filter": FILTERED,
            "with a filter, and a facet without it": {**FILTERED, "facets": OWN},
        }
        more: dict[str, dict[str, dict[str, Any]]] = {
            "hybrid": {**filtered, "hits by moment": BY_MOMENT},
            "vector": {"hits by moment": BY_MOMENT},
            "keyword": {"a sort whose page ends among equal hits": {"sort": "year"}},
        }
        for mode, others in more.items():
            ways = {name: {"mode": mode, **way} for name, way in {**COMPARED, **others}.items()}
            yield _compared(f"{version}, mode {mode}, {CORPUS}", videos, ways, rounds=rounds)
        cut: dict[str, Any] = {"mode": "vector", "gap": GAP}
        total = videos.search(QUERY, **cut, **COUNTED).total
        ways = {name: {**cut, **way} for name, way in COMPARED.items()}
        yield _compared(
            f"{version}, mode vector, gap {GAP} ({total} videos within it), {CORPUS}",
            videos,
            ways,
            rounds=rounds,
            notes=(ONE_QUERY,),
        )
        engine.close()


def _compared(
    title: str,
    videos: VideoSearch,
    ways: Mapping[str, Mapping[str, Any]],
    *,
    rounds: int,
    notes: tuple[str, ...] = (),
) -> Section:
    began, turns = time.monotonic(), 0
    while time.monotonic() < began + WARM_UP * len(ways):
        _turn(videos, ways, backwards=turns % 2 == 1)
        turns += 1
    seconds = (time.monotonic() - began) / turns
    others = others_from_now()
    taken = [
        _round(videos, ways, searches=max(SEARCHES, round(ROUND / seconds))) for _ in range(rounds)
    ]
    busy = others()
    reference = next(iter(ways))
    rows, verdicts = [], []
    for way in ways:
        ratios = sorted(each[way] / each[reference] for each in taken)
        median = statistics.median(ratios)
        figure = f"{median:.2f} ({ratios[0]:.2f}-{ratios[-1]:.2f})" if way != reference else "1"
        milliseconds = 1000 * statistics.median(each[way] for each in taken)
        rows.append((way, f"{milliseconds:.2f}", figure))
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
            "wall time of a search, the engine's included; medians, of each round and of all",
            f"other processes, the engine among them: {busy:.2f} cores",
            *notes,
        ),
        verdicts=tuple(verdicts),
    )


def _round(
    videos: VideoSearch, ways: Mapping[str, Mapping[str, Any]], *, searches: int
) -> dict[str, float]:
    """The median seconds of a search of each way."""
    taken = [_turn(videos, ways, backwards=at % 2 == 1) for at in range(searches)]
    return {way: statistics.median(turn[way] for turn in taken) for way in ways}


def _turn(
    videos: VideoSearch, ways: Mapping[str, Mapping[str, Any]], *, backwards: bool
) -> dict[str, float]:
    """The seconds of one search of each way; so that a slow spell of the machine hits all."""
    seconds = {}
    for way in reversed(list(ways)) if backwards else ways:
        began = time.perf_counter()
        videos.search(QUERY, **ways[way])
        seconds[way] = time.perf_counter() - began
    return seconds


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
        {"start": 10.0 * n, "end": 10.0 * (n + 1), "vector": vectors[n + 1]}
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
                "vector": vectors[0],
                "segments": segments,
            },
        },
    )
