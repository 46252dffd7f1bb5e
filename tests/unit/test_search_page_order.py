"""Pages of a window that an engine has ranked by shortened vectors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from tests.search_index import TableEncoder, create_index, make_videos, nearest, unit_vectors

from vidsearch.config import SearchSettings
from vidsearch.engines import Json
from vidsearch.search import VideoSearch
from vidsearch.testing.memory_engine import MemoryEngine

VIDEOS = make_videos(60)
QUERY = unit_vectors("query", 1)[0]
WINDOW = 40
EXACT = dict(nearest(VIDEOS, QUERY))


class ShorteningEngine(MemoryEngine):
    """Ranks a window by shortened vectors, as it is read without segments; keeps its order."""

    def __init__(self) -> None:
        super().__init__()
        self.window: list[str] = []

    def msearch(self, index: str, bodies: Sequence[Mapping[str, Any]]) -> list[Json]:
        responses = super().msearch(index, bodies)
        for response in responses:
            hits = response["hits"]["hits"]
            if not any("inner_hits" in hit for hit in hits):
                for hit in hits:
                    hit["_score"] -= int(hit["_id"][1:]) % 8 / 20
                hits.sort(key=lambda hit: (-hit["_score"], hit["_id"]))
                self.window = [hit["_id"] for hit in hits]
        return responses


def test_every_page_has_its_part_of_the_window_in_the_order_of_its_own_cosines() -> None:
    engine = ShorteningEngine()
    create_index(engine, "videos", VIDEOS)
    search = VideoSearch(engine, TableEncoder(), settings=SearchSettings(window=WINDOW))
    pages: list[list[str]] = []
    for at in (0, 10, 20):
        page = search.search(vector=QUERY, gap=1.0, facets=["tags"], k=10, from_=at)
        pages.append([hit.id for hit in page])
        assert {*pages[-1]} == {*engine.window[at : at + 10]}
        assert pages[-1] != engine.window[at : at + 10]  # or nothing was to be corrected
        cosines = [hit.cosine or 0.0 for hit in page]
        assert cosines == [hit.score for hit in page] == sorted(cosines, reverse=True)
        assert cosines == pytest.approx([EXACT[hit.id] for hit in page], abs=1e-5)
        assert [hit.rank_per_leg["vector"] for hit in page] == [*range(at + 1, at + 11)]
    assert len({id for page in pages for id in page}) == 30
    assert EXACT[pages[0][-1]] < EXACT[pages[1][0]], "the window has the order of exact cosines"
