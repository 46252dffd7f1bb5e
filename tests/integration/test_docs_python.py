"""The Python of docs/search.md runs, from the first block to the last, on the real engines."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest
from tests.docs_pages import blocks
from tests.search_index import TableEncoder, make_videos
from tests.services import WHOLE_WAYS, RunningServices

from vidsearch import VideoSearch
from vidsearch.config import IndexSettings
from vidsearch.engines import Engine, Write
from vidsearch.index import create_videos_index

pytestmark = [
    pytest.mark.integration,
    pytest.mark.parametrize("search_node", WHOLE_WAYS, indirect=True, scope="session"),
]


@pytest.fixture
def videos(shared_engine: Engine, services: RunningServices) -> Iterator[VideoSearch]:
    """With the fields that the page filters, sorts and groups by."""
    name = f"test-docs-{uuid.uuid4().hex[:8]}"
    create_videos_index(shared_engine, IndexSettings(name=name), TableEncoder().identity)
    writes = []
    for at, video in enumerate(make_videos(24)):
        document = video.document("video")
        document["title"] += " and a boat" if at % 2 else ""
        document["series"] = f"series {at % 3}"
        document["tags"] = ["harbour", *document["tags"]]
        document["year"] = 2024 - at % 3
        writes.append(Write("index", video.id, document))
    shared_engine.bulk(name, writes, refresh=True)
    yield VideoSearch(shared_engine, TableEncoder(), index=name)
    services.drop(name)


def test_python_of_the_page_on_searching_runs(
    videos: VideoSearch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(VideoSearch, "from_settings", lambda settings: videos)
    names: dict[str, object] = {}
    for at, block in enumerate(blocks("docs/search.md", "python"), start=1):
        exec(compile(block, f"docs/search.md, block {at}", "exec"), names)
    assert names["videos"] is videos
