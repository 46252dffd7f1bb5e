"""The Python of docs/search.md runs, from the first block to the last, on the real engines."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.docs_pages import blocks
from tests.search_index import make_videos
from tests.services import WHOLE_WAYS, RunningServices

from vidsearch.config import IndexSettings, IngestSettings, ModelSettings
from vidsearch.encoders import load_encoder
from vidsearch.engines import Engine, Write
from vidsearch.index import create_videos_index

pytestmark = [
    pytest.mark.integration,
    pytest.mark.parametrize("search_node", WHOLE_WAYS, indirect=True, scope="session"),
]


@pytest.fixture
def index(shared_engine: Engine, services: RunningServices) -> Iterator[str]:
    """Videos with the fields that the page filters, sorts and groups by."""
    name = f"test-docs-{uuid.uuid4().hex[:8]}"
    identity = load_encoder(ModelSettings(name="demo"), IngestSettings()).identity
    create_videos_index(shared_engine, IndexSettings(name=name), identity)
    writes = []
    for at, video in enumerate(make_videos(24, dims=identity.dims)):
        document = video.document("video")
        document["title"] += " and a boat" if at % 2 else ""
        document["series"] = f"series {at % 3}"
        document["tags"] = ["harbour", *document["tags"]]
        document["year"] = 2024 - at % 3
        writes.append(Write("index", video.id, document))
    shared_engine.bulk(name, writes, refresh=True)
    yield name
    services.drop(name)


def test_python_of_the_page_on_searching_runs(
    shared_engine: Engine, index: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, value in {
        "ENGINE__URL": shared_engine.info().url,
        "ENGINE__KIND": shared_engine.kind,
        "INDEX__NAME": index,
        "MODEL__NAME": "demo",
    }.items():
        monkeypatch.setenv(f"VIDSEARCH_{name}", value)
    names: dict[str, object] = {}
    for at, block in enumerate(blocks("docs/search.md", "python"), start=1):
        exec(compile(block, f"docs/search.md, block {at}", "exec"), names)
    videos = names["videos"]
    videos.close()  # type: ignore[attr-defined]
