"""The same search gives the same ids in the same order on every engine.

Vectors are exact (``flat``), the index has three shards, and there are ties: of every seventh video
a copy with the same words and vectors was written, in another order on each engine.
"""

from __future__ import annotations

import itertools
import random
import uuid
from collections.abc import Iterator

import pytest
from tests.search_index import TableEncoder, Video, create_index, make_videos
from tests.services import NODES, RunningServices

from vidsearch.config import EngineSettings, SearchSettings
from vidsearch.engines import connect
from vidsearch.search import VideoSearch
from vidsearch.search.fusion import Linear, Rrf

pytestmark = pytest.mark.integration

_PLAIN = make_videos()
_COPIES = [Video(f"{v.id}-copy", v.fields, v.segments) for v in _PLAIN[::7]]
VIDEOS = [*_PLAIN, *_COPIES]
QUERIES = ("a red circle at night", "blue river", "house", "number 41", "nothing of the kind")
FILTERS = (None, {"tags": "odd"}, {"year": {"gte": 2008}, "licence": {"exists": True}})
FUSIONS = {
    "rrf": Rrf(weights={"vector": 2.0}),
    "min_max": Linear(weights={"keyword": 2.0}),
    "z_score": Linear("z_score"),
}


@pytest.fixture(scope="module")
def searches(services: RunningServices) -> Iterator[dict[str, VideoSearch]]:
    """One search per node, over the same videos."""
    name = f"test-same-{uuid.uuid4().hex[:8]}"
    made, engines = {}, []
    for node_name in NODES:
        node = services.node(node_name)
        engine = connect(EngineSettings(url=node.url, kind=node.kind))
        engines.append(engine)
        shuffled = random.Random(node_name).sample(VIDEOS, len(VIDEOS))
        create_index(engine, name, shuffled, quantization="flat", shards=3)
        made[node_name] = VideoSearch(
            engine, TableEncoder(), index=name, settings=SearchSettings(window=70)
        )
    yield made
    services.drop(name)
    for engine in engines:
        engine.close()


def same_everywhere(searches: dict[str, VideoSearch], **options: object) -> int:
    """Compares the ids on all nodes; gives how many ids were compared."""
    compared = 0
    for text, filter in itertools.product(QUERIES, FILTERS):
        found = {
            node: [hit.id for hit in search.search(text, k=70, filter=filter, **options)]  # type: ignore[arg-type]
            for node, search in searches.items()
        }
        first, *others = found.values()
        assert all(ids == first for ids in others), (text, filter, options, found)
        compared += len(first)
    return compared


@pytest.mark.parametrize("level", ["segment", "video"])
@pytest.mark.parametrize("mode", ["vector", "keyword"])
def test_single_leg_ranks_the_same_on_every_engine(
    searches: dict[str, VideoSearch], mode: str, level: str
) -> None:
    assert same_everywhere(searches, mode=mode, level=level) > 100


@pytest.mark.parametrize("level", ["segment", "video"])
@pytest.mark.parametrize("fusion", FUSIONS)
def test_fusion_of_vidsearch_ranks_the_same_on_every_engine(
    searches: dict[str, VideoSearch], fusion: str, level: str
) -> None:
    assert same_everywhere(searches, fusion=FUSIONS[fusion], level=level) > 500


def test_sum_of_the_engine_ranks_the_same_on_every_engine(searches: dict[str, VideoSearch]) -> None:
    assert same_everywhere(searches, fusion="sum") > 500


def test_collapse_and_diversity_rank_the_same_on_every_engine(
    searches: dict[str, VideoSearch],
) -> None:
    assert same_everywhere(searches, collapse=0.98, diversity=0.4, level="video") > 400
    assert same_everywhere(searches, collapse="title") > 50


def test_copies_with_equal_scores_are_sorted_by_id(
    searches: dict[str, VideoSearch],
) -> None:
    for search in searches.values():
        for mode in ("vector", "hybrid"):
            ids = [hit.id for hit in search.search(QUERIES[0], k=70, mode=mode)]
            for copy in (id for id in ids if id.endswith("-copy")):
                before, after = ids.index(copy.removesuffix("-copy")), ids.index(copy)
                assert before < after
                if mode == "vector":
                    assert after == before + 1
