"""Every request of a search goes through the alias, and all of a search is of one index."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
from tests.search_index import TableEncoder, create_index, make_videos

from vidsearch.engines import Json
from vidsearch.errors import QueryError
from vidsearch.search import VideoSearch
from vidsearch.testing.memory_engine import MemoryEngine

VIDEOS = make_videos(20)
ODD = {"term": {"tags": "odd"}}
EVERYTHING: dict[str, Any] = {"collapse": "year", "highlight": True, "explain": True}


class WatchedEngine(MemoryEngine):
    """Remembers the names that it was asked for, and does something before the n-th ``msearch``."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []
        self.before: dict[int, Callable[[], object]] = {}

    def mappings_behind(self, name: str) -> dict[str, Json]:
        self.names.append(name)
        return super().mappings_behind(name)

    def msearch(self, index: str, bodies: Sequence[Mapping[str, Any]]) -> list[Json]:
        self.names.append(index)
        self.before.pop(self.names.count(index), lambda: None)()
        return super().msearch(index, bodies)


@pytest.fixture
def engine() -> WatchedEngine:
    engine = WatchedEngine()
    create_index(engine, "shop", VIDEOS)
    engine.update_aliases([{"add": {"index": "shop", "alias": "tenant", "filter": ODD}}])
    return engine


@pytest.mark.parametrize("options", [{}, EVERYTHING, {"like": "v01"}, {"like": "v01", "at": 5.0}])
def test_filtered_alias_holds_in_every_request(
    engine: WatchedEngine, options: dict[str, Any]
) -> None:
    search = VideoSearch(engine, TableEncoder(), index="tenant")
    result = search.search("red circle", k=20, **options)
    found = {hit.id for hit in result} | {id for hit in result for id in hit.duplicates}
    assert found
    assert found <= {video.id for video in VIDEOS if "odd" in video.fields["tags"]}
    assert set(engine.names) == {"tenant"}


def test_like_a_video_beyond_the_filter_of_the_alias_is_refused(engine: WatchedEngine) -> None:
    with pytest.raises(QueryError, match="no video 'v02' in the index"):
        VideoSearch(engine, TableEncoder(), index="tenant").search(like="v02")


@pytest.mark.parametrize("options", [{"collapse": "year"}, {"like": "v01"}], ids=str)
@pytest.mark.parametrize("moved_before", [1, 2, 3, 4])
def test_alias_that_moves_during_a_search_gives_hits_of_one_index(
    engine: WatchedEngine, options: dict[str, Any], moved_before: int
) -> None:
    create_index(engine, "other", VIDEOS[:10])
    search = VideoSearch(engine, TableEncoder(), index="tenant")
    search.search("red circle")
    engine.names.clear()
    actions = [
        {"remove": {"index": "shop", "alias": "tenant"}},
        {"add": {"index": "other", "alias": "tenant", "filter": ODD}},
    ]
    engine.before[moved_before] = lambda: engine.update_aliases(actions)
    result = search.search("red circle", k=20, **options)
    expected = 10 if moved_before > len(engine.names) else 5
    assert result.index == ("shop" if expected == 10 else "other")
    held = {video.id for video in VIDEOS[: 2 * expected]}
    found = {hit.id for hit in result} | {id for hit in result for id in hit.duplicates}
    assert found <= held
    assert all(hit.fields for hit in result)
