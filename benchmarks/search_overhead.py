"""What the search helper costs over a hand-written `_msearch` with the raw client."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.harness import measure
from benchmarks.report import Bar, Section, comparison
from vidsearch.config import EngineSettings, IndexSettings, ModelSettings, SearchSettings
from vidsearch.encoders import load_encoder
from vidsearch.engines import Write, connect
from vidsearch.index import create_videos_index
from vidsearch.local import SearchNode
from vidsearch.search import VideoSearch

TITLE = "Client side of a search"

BY_HAND, OURS = "hand-written _msearch", "VideoSearch.search"
VIDEOS = 2000
SEARCHES = 50
WARM_UP = 200
"""Searches until the node has compiled what it runs; it shares the processor's caches with us."""
QUERY = "a red circle"


def run(*, rounds: int, folder: Path) -> Iterator[Section]:
    """A hybrid search for ten videos among random ones; both ways embed the text each time."""
    from elasticsearch import Elasticsearch

    encoder = load_encoder(ModelSettings(name="demo"))
    with SearchNode.start("elasticsearch", heap="1g") as node:
        engine = connect(EngineSettings(url=node.url, kind=node.kind))
        create_videos_index(engine, IndexSettings(), encoder.identity)
        rng = np.random.default_rng(1)
        for start in range(0, VIDEOS, 200):
            engine.bulk("videos", [_video(rng, start + n) for n in range(200)])
        engine.refresh("videos")
        videos = VideoSearch(engine, encoder, index="videos", settings=SearchSettings())
        bodies = list(videos.body(QUERY).values())
        raw = Elasticsearch(node.url)

        def by_hand() -> object:
            encoder.encode_text([QUERY])
            lines: list[dict[str, object]] = []
            for body in bodies:
                lines += [{}, body]
            return raw.msearch(index="videos", searches=lines)

        def ours() -> object:
            return videos.search(QUERY)

        for _ in range(WARM_UP):
            by_hand()
            ours()
        yield comparison(
            f"Hybrid search, k=10, {VIDEOS} videos, {SEARCHES} searches a round",
            measure(
                {
                    BY_HAND: lambda: [by_hand() for _ in range(SEARCHES)],
                    OURS: lambda: [ours() for _ in range(SEARCHES)],
                },
                rounds=rounds,
                children=False,
            ),
            references=[BY_HAND],
            bars=[Bar(OURS, BY_HAND, 0.87)],
            notes=["the engine's own CPU time is not counted"],
        )
        raw.close()
        engine.close()


def _video(rng: np.random.Generator, number: int) -> Write:
    vectors = rng.standard_normal((4, 512)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    segments = [
        {"start": 10.0 * n, "end": 10.0 * (n + 1), "vector": vectors[n + 1].tolist()}
        for n in range(3)
    ]
    return Write(
        "index",
        f"v{number}",
        {
            "title": f"clip number {number} with a {('red', 'green', 'blue')[number % 3]} thing",
            "video": {
                "uri": f"file:///{number}.mp4",
                "vector": vectors[0].tolist(),
                "segments": segments,
            },
        },
    )
