"""A search through a filtered alias, and through one whose index the user has no right to name."""

from __future__ import annotations

from typing import Any

import pytest
from tests.search_index import TableEncoder, create_index, make_videos

from vidsearch.engines import Engine
from vidsearch.errors import QueryError
from vidsearch.search import VideoSearch

pytestmark = pytest.mark.integration

VIDEOS = make_videos(24)
ODD = {video.id for video in VIDEOS if "odd" in video.fields["tags"]}


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"level": "both", "highlight": True, "explain": True},
        {"collapse": "year", "diversity": 0.3},
        {"collapse": 0.9, "from_": 2},
        {"like": "v01"},
        {"like": "v01", "at": 3.0, "fusion": "sum"},
    ],
    ids=str,
)
def test_filtered_alias_is_not_seen_through(
    engine: Engine,
    index_name: str,
    options: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    create_index(engine, f"{index_name}-000001", VIDEOS)
    alias = {"index": f"{index_name}-000001", "alias": index_name}
    engine.update_aliases([{"add": {**alias, "filter": {"term": {"tags": "odd"}}}}])
    paths: list[str] = []
    send = engine._send  # type: ignore[attr-defined]

    def note(request: Any) -> Any:
        paths.append(request.path)
        return send(request)

    monkeypatch.setattr(engine, "_send", note)
    search = VideoSearch(engine, TableEncoder(), index=index_name)
    result = search.search("red circle at night", k=10, **options)
    found = {hit.id for hit in result} | {id for hit in result for id in hit.duplicates}
    assert found
    assert found <= ODD
    assert all(hit.fields["title"] for hit in result)
    assert not [path for path in paths if f"{index_name}-000001" in path]
    with pytest.raises(QueryError, match="no video 'v02' in the index"):
        search.search(like="v02")
